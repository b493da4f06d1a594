//! What is remembered of single PilotVMs between two looks, and stands nowhere else. Losing it costs repetition, never a VM.

use std::time::Duration;

use broker::{cloud::Vm, pilot::rows::PilotRow};
use crds::Reason;
use jiff::Timestamp;
use tokio::time::Instant;

use super::Shared;

/// What an object asks for: its generation, whether it is being deleted, whether it is let go.
pub type Wish = (Option<i64>, bool, bool);

/// What is remembered of one PilotVM.
#[derive(Clone, Debug, Default)]
pub struct Remembered {
    /// Failed attempts of the present step.
    pub attempts: u32,
    /// No further attempt before this moment, whatever wakes the PilotVM, unless the object asks for another step.
    pub pause: Option<(Instant, Wish)>,
    /// Version of the object after our last write: an older one from the watch is not looked at.
    pub written: Option<(String, Instant)>,
    /// When the VM was last made or deleted by us: only a list asked for later knows.
    pub touched: Option<Timestamp>,
    /// When its labels were put back.
    pub labelled: Option<Instant>,
    /// When the deletion of the VM was accepted.
    pub delete_asked: Option<Instant>,
    /// What the provider said last when it was asked for this very VM.
    pub answer: Option<Box<Answer>>,
    /// Why the round gave it back.
    pub surplus: Option<String>,
    /// What the last round decided on its drain; `None`: no round has looked at it since the start.
    pub drain: Option<Drain>,
    /// Whether its row is known to be there.
    pub is_registered: bool,
    /// Whether its row was closed, or left as it is.
    pub row_closed: bool,
    /// Since when its row could not be closed.
    pub row_tried: Option<Instant>,
    /// Whether nothing is left to do for the jobs of a VM that is gone.
    pub jobs_settled: bool,
    /// Jobs that could not be given back yet.
    pub undone: Vec<u64>,
    /// Its row as it was read last for itself, and when.
    pub row: Option<Box<(Timestamp, Option<PilotRow>)>>,
    /// What is known of the last attempt to make its VM.
    pub tried: Option<Tried>,
    pub row_written: Option<Timestamp>,
    /// When the demand was read for which it was made, until its VM is first ordered.
    pub planned: Option<Timestamp>,
}

/// Whether a VM is to take no more jobs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Drain {
    /// It is, for this reason and with this sentence.
    Begins(Reason, String),
    /// It is not, or not any more.
    Stops,
}

/// An attempt to make a VM that this process knows of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tried {
    pub n: u32,
    /// How the call to the provider went.
    pub call: Call,
}

/// How an attempt went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// It is written down, and nobody was called.
    Begun,
    /// The provider was called; whether it carries the order out is not known, and will be at this moment, where one was named.
    InDoubt(Option<Timestamp>),
    /// It is over, and no VM came of it.
    Over,
}

/// What the provider said when it was asked for one VM.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// When it was asked.
    pub at: Timestamp,
    /// The same moment in steady time.
    pub moment: Instant,
    /// How often it was asked in a row without a proof of absence.
    pub times: u32,
    pub found: Found,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Found {
    /// The provider asserts that there is no such VM.
    Nothing,
    /// The provider has it.
    Present(Box<Vm>),
    /// Nobody knows, and why.
    Unclear(String),
}

impl Answer {
    /// When to ask again: after 5 s, doubled up to five minutes.
    pub fn again(&self) -> Instant {
        self.moment + Duration::from_secs(5 << self.times.min(6)).min(Duration::from_secs(300))
    }
}

/// What is remembered, by UID; in boxes, since a map has room for twice as many as it holds.
#[derive(Debug, Default)]
pub struct Memory(Shared<String, Box<Remembered>>);

impl Memory {
    /// A copy of what is remembered of this PilotVM; empty where nothing is.
    pub fn of(&self, uid: &str) -> Remembered {
        self.0.with(|map| map.get(uid).map(|remembered| Remembered::clone(remembered)).unwrap_or_default())
    }

    /// When the VM was last made or deleted by us.
    pub fn touched(&self, uid: &str) -> Option<Timestamp> {
        self.0.with(|map| map.get(uid).and_then(|remembered| remembered.touched))
    }

    pub fn note(&self, uid: &str, change: impl FnOnce(&mut Remembered)) {
        self.0.with(|map| change(map.entry(uid.to_owned()).or_default()));
    }

    /// Remembers something of a PilotVM of which something is remembered: one that was just forgotten stays so.
    pub fn amend(&self, uid: &str, change: impl FnOnce(&mut Remembered)) {
        self.0.with(|map| {
            if let Some(remembered) = map.get_mut(uid) {
                change(remembered);
            }
        });
    }

    /// Forgets a PilotVM that is gone.
    pub fn forget(&self, uid: &str) {
        self.0.with(|map| {
            map.remove(uid);
        });
    }
}

impl Remembered {
    /// When we last wrote the object, where this version of it is older than that.
    pub fn stale_since(&self, version: Option<&str>) -> Option<Instant> {
        let number = |v: &str| v.parse::<u64>().ok();
        let (written, at) = self.written.as_ref()?;
        (version.and_then(number)? < number(written)?).then_some(*at)
    }

    /// The pause after this number of failures: 1 s, doubled up to a minute.
    pub fn next_pause(&self) -> Duration {
        Duration::from_secs(1_u64 << self.attempts.min(6)).min(Duration::from_secs(60))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_older_than_our_last_write_is_stale() {
        let now = Instant::now();
        let remembered = Remembered { written: Some(("10".into(), now)), ..Remembered::default() };
        assert_eq!(remembered.stale_since(Some("9")), Some(now));
        assert_eq!(remembered.stale_since(Some("10")), None);
        assert_eq!(remembered.stale_since(None), None);
        assert_eq!(Remembered::default().stale_since(Some("9")), None);
    }

    #[test]
    fn pauses_grow_to_a_minute() {
        let pause = |attempts| Remembered { attempts, ..Remembered::default() }.next_pause().as_secs();
        assert_eq!((pause(0), pause(3), pause(50)), (1, 8, 60));
    }

    #[test]
    fn a_pilotvm_that_was_forgotten_is_not_remembered_by_an_amendment() {
        let memory = Memory::default();
        memory.note("a", |m| m.attempts = 1);
        memory.amend("a", |m| m.attempts = 2);
        assert_eq!(memory.of("a").attempts, 2);
        memory.forget("a");
        memory.amend("a", |m| m.attempts = 3);
        assert_eq!(memory.of("a").attempts, 0);
    }
}
