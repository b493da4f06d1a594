//! When a poller asks what, and how long it rests. Pure.

use std::time::Duration;

use broker::cloud::{CloudError, Disposition};
use tokio::time::Instant;

use crate::{args::Run, known::cloud::Question};

/// This many readings of the headroom go by before the offers are read again.
const OFFERS_EVERY: u32 = 15;
/// No rest is longer, whatever a provider asks for: the pace keeps its silences, and a new credential is taken up in the meantime.
const LONGEST_REST: Duration = Duration::from_secs(60);
/// The first rest after no driver could be made; each further one is twice as long.
const NOT_DRIVEN: Duration = Duration::from_secs(1);

/// The times between questions.
#[derive(Clone, Copy, Debug)]
pub struct Intervals {
    /// Lists, while a VM boots, ends or has gone missing.
    pub busy: Duration,
    /// Lists otherwise.
    pub quiet: Duration,
    pub headroom: Duration,
}

impl Intervals {
    /// What the command line says.
    pub fn of(args: &Run) -> Self {
        Self {
            busy: args.busy_interval.min(args.list_interval),
            quiet: args.list_interval,
            headroom: args.catalogue_interval,
        }
    }
}

/// When offers and headroom are read next. `None`: at once.
#[derive(Clone, Copy, Debug, Default)]
pub struct Looks {
    offers: Option<Instant>,
    headroom: Option<Instant>,
}

impl Looks {
    /// What is to be read now, the offers first.
    pub fn due(&self, now: Instant) -> Option<Question> {
        let is_due = |at: Option<Instant>| at.is_none_or(|at| at <= now);
        match (is_due(self.offers), is_due(self.headroom)) {
            (true, _) => Some(Question::Offers),
            (false, true) => Some(Question::Headroom),
            (false, false) => None,
        }
    }

    /// The offers were read. They change rarely; where something was missing its owner may be about to mend it.
    pub fn offers_read(&mut self, is_complete: bool, i: Intervals, now: Instant) {
        self.offers = Some(now + if is_complete { i.headroom * OFFERS_EVERY } else { i.headroom });
    }

    pub fn headroom_read(&mut self, i: Intervals, now: Instant) {
        self.headroom = Some(now + i.headroom);
    }

    /// A question was not answered: it is asked again after a rest. Another question is not asked sooner for that, with one
    /// exception: after a refused credential the offers show whether it is good again.
    pub fn failed(&mut self, question: Question, error: &CloudError, i: Intervals, now: Instant) {
        let again = now + rest_after(error, i);
        match question {
            Question::Offers => self.offers = Some(again),
            Question::Headroom => self.headroom = Some(again),
            Question::List | Question::Launch => {}
        }
        if matches!(error, CloudError::Unauthorized(_)) {
            self.reread_offers(i, now);
        }
    }

    /// Has the offers read at once: a pool wants what was not asked for.
    pub fn offers_are_due(&mut self) {
        self.offers = None;
    }

    /// Has the offers read again soon, but not at once: a refused credential that is tried too often locks an account.
    pub fn reread_offers(&mut self, i: Intervals, now: Instant) {
        let soon = now + i.headroom;
        self.offers = Some(self.offers.map_or(soon, |at| at.min(soon)));
    }

    /// How long nothing is due.
    pub fn rest(&self, now: Instant) -> Duration {
        let left = |at: Option<Instant>| at.map_or(Duration::ZERO, |at| at.saturating_duration_since(now));
        left(self.offers).min(left(self.headroom)).min(LONGEST_REST)
    }
}

/// How long a question that was not answered is left alone.
pub fn rest_after(error: &CloudError, i: Intervals) -> Duration {
    let rest = match error.disposition() {
        Disposition::RetryAfter(pause) => pause,
        Disposition::Retry | Disposition::LookUntil(_) => i.busy * 2,
        Disposition::Elsewhere(_) | Disposition::GiveUp | Disposition::Gone => i.quiet,
    };
    rest.clamp(i.busy, LONGEST_REST.max(i.busy))
}

/// A rest between two lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rest {
    /// It is never cut short before this.
    pub at_least: Duration,
    /// It ends then, or when a bell rings.
    pub at_most: Duration,
}

/// The rest after a list that took this time: at least twice that, so that a slow provider has time for others.
pub fn rest(answer: Result<(), &CloudError>, took: Duration, is_busy: bool, i: Intervals) -> Rest {
    let at_least = match answer {
        Ok(()) => i.busy,
        Err(error) => rest_after(error, i),
    }
    .max(took * 2);
    let wanted = if is_busy || answer.is_err() { i.busy } else { i.quiet };
    Rest { at_least, at_most: wanted.max(at_least) }
}

/// The rest after no driver could be made, for the `n`th time in a row (from 0).
pub fn rest_without_driver(n: u32, i: Intervals) -> Rest {
    let rest = NOT_DRIVEN.saturating_mul(1_u32.checked_shl(n).unwrap_or(u32::MAX)).min(i.quiet);
    Rest { at_least: NOT_DRIVEN.min(rest), at_most: rest }
}

#[cfg(test)]
mod tests {
    use super::*;

    const I: Intervals =
        Intervals { busy: Duration::from_secs(5), quiet: Duration::from_secs(30), headroom: Duration::from_secs(60) };
    fn seconds(n: u64) -> Duration {
        Duration::from_secs(n)
    }
    fn transient() -> CloudError {
        CloudError::Transient("no answer".into())
    }
    fn unauthorized() -> CloudError {
        CloudError::Unauthorized("expired".into())
    }
    /// Both were read now.
    fn read(now: Instant) -> Looks {
        let mut looks = Looks::default();
        looks.offers_read(true, I, now);
        looks.headroom_read(I, now);
        looks
    }

    #[test]
    fn at_first_the_offers_are_read_and_then_the_headroom() {
        let (mut looks, now) = (Looks::default(), Instant::now());
        assert_eq!(looks.due(now), Some(Question::Offers));
        looks.offers_read(true, I, now);
        assert_eq!(looks.due(now), Some(Question::Headroom));
        looks.headroom_read(I, now);
        assert_eq!((looks.due(now), looks.rest(now)), (None, seconds(60)));
    }

    #[test]
    fn the_headroom_is_read_each_minute_and_the_offers_each_quarter_of_an_hour() {
        let now = Instant::now();
        let mut looks = read(now);
        for minute in 1..15 {
            let at = now + seconds(60 * minute);
            assert_eq!(looks.due(at), Some(Question::Headroom));
            looks.headroom_read(I, at);
        }
        assert_eq!(looks.due(now + seconds(900)), Some(Question::Offers));
    }

    #[test]
    fn offers_that_lack_something_are_read_again_after_a_minute() {
        let (mut looks, now) = (Looks::default(), Instant::now());
        looks.offers_read(false, I, now);
        looks.headroom_read(I, now);
        assert_eq!(looks.due(now + seconds(60)), Some(Question::Offers));
    }

    #[test]
    fn a_list_that_fails_has_no_offers_read_and_a_refused_credential_has_them_read_after_a_minute() {
        let now = Instant::now();
        let mut looks = read(now);
        looks.failed(Question::List, &transient(), I, now);
        assert_eq!(looks.due(now + seconds(59)), None);
        looks.failed(Question::List, &unauthorized(), I, now);
        assert_eq!(looks.due(now + seconds(59)), None, "not at once, so that no account is locked");
        assert_eq!(looks.due(now + seconds(60)), Some(Question::Offers));
    }

    #[test]
    fn a_question_that_fails_is_asked_again_and_holds_up_no_other() {
        let now = Instant::now();
        let mut looks = read(now);
        looks.failed(Question::Headroom, &transient(), I, now);
        assert_eq!((looks.due(now + seconds(9)), looks.due(now + seconds(10))), (None, Some(Question::Headroom)));
    }

    #[test]
    fn a_provider_that_wants_an_hour_of_silence_is_looked_at_each_minute_by_the_pace_that_keeps_it() {
        let throttled = CloudError::Throttled { message: String::new(), retry_after: Some(seconds(3600)) };
        assert_eq!(rest_after(&throttled, I), seconds(60));
        let soon = CloudError::Throttled { message: String::new(), retry_after: Some(Duration::ZERO) };
        assert_eq!(rest_after(&soon, I), seconds(5));
    }

    #[test]
    fn the_rest_is_short_while_something_happens_and_long_otherwise() {
        let at = |is_busy| rest(Ok(()), seconds(1), is_busy, I);
        assert_eq!(at(true), Rest { at_least: seconds(5), at_most: seconds(5) });
        assert_eq!(at(false), Rest { at_least: seconds(5), at_most: seconds(30) });
    }

    #[test]
    fn the_rest_is_at_least_twice_as_long_as_the_list_took() {
        assert_eq!(rest(Ok(()), seconds(40), true, I), Rest { at_least: seconds(80), at_most: seconds(80) });
        assert_eq!(rest(Err(&transient()), seconds(40), true, I).at_least, seconds(80));
    }

    #[test]
    fn without_a_driver_the_rests_grow_to_the_long_interval() {
        let rests: Vec<u64> = (0..7).map(|n| rest_without_driver(n, I).at_most.as_secs()).collect();
        assert_eq!(rests, [1, 2, 4, 8, 16, 30, 30]);
        assert_eq!(rest_without_driver(200, I).at_most, seconds(30));
    }
}
