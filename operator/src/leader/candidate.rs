//! One replica as a candidate for the Lease: what it has seen, and what it does next. There is neither a client nor a clock here.
//!
//! The rules are those of Kubernetes' own components (the package `tools/leaderelection` of client-go). Steady time of this machine
//! decides alone. The dates in a Lease are never compared with a clock: they only show, by changing, that the holder is at work. So it
//! does not matter how wrong the clock of any machine is.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

/// Seconds for which the Lease stays with a holder that does not renew it.
const HOLDS: i32 = 15;
/// Another holder's own figure counts where it is longer, up to this one, in seconds: an absurd one would keep everybody out for years.
const LONGEST: i32 = 60;
/// A replica may act for this time after it began to renew: it stops three seconds before another may take the Lease.
const ACTS: Duration = Duration::from_secs(12);
/// The holder renews the Lease this long after the last time: it has some seconds for an API server that is out of reach.
const RENEWED_AFTER: Duration = Duration::from_secs(4);

/// What stands in a Lease. Dates are text: one that no calendar here knows must not hide who the holder is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    pub holder_identity: Option<String>,
    /// In seconds.
    pub lease_duration_seconds: Option<i32>,
    pub acquire_time: Option<String>,
    pub renew_time: Option<String>,
    /// How often it went from one holder to another.
    pub lease_transitions: Option<i32>,
}

impl Record {
    /// Whoever has it; an empty name is nobody's.
    fn holder(&self) -> Option<&str> {
        self.holder_identity.as_deref().filter(|name| !name.is_empty())
    }

    /// Time for which it stays with a holder that does not renew it.
    fn holds(&self) -> Duration {
        let seconds = self.lease_duration_seconds.unwrap_or(HOLDS).clamp(HOLDS, LONGEST);
        Duration::from_secs(u64::from(seconds.unsigned_abs()))
    }
}

/// A Lease as a look showed it.
#[derive(Clone, Debug)]
pub struct Found {
    pub record: Record,
    /// `metadata.resourceVersion`. A write names it, so that the API server refuses the slower of two writers.
    pub version: String,
}

/// What a candidate does after a look.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Nothing, until the next look.
    Rest,
    /// It makes the Lease, which is not there.
    Make(Record),
    /// It writes this over what it found.
    Write { record: Record, over: String },
}

/// One replica, and what it knows of the Lease.
#[derive(Debug)]
pub struct Candidate {
    identity: String,
    seen: Option<Seen>,
    /// When it began the last write that made or kept the Lease its own; `None`: it is not known to be its own.
    renewed: Option<Instant>,
}

/// What the Lease said last, and since when it is known to say so.
#[derive(Debug)]
struct Seen {
    record: Record,
    since: Instant,
}

impl Candidate {
    /// `identity`: a name that no other process has, nor had.
    pub fn new(identity: String) -> Self {
        Self { identity, seen: None, renewed: None }
    }

    /// What to do after a look that ended at `now` and found this; `None`: there is no Lease. `date` is only written down.
    ///
    /// A Lease that somebody deleted says nothing of its holder, who may still act: what was seen of it counts on.
    pub fn decide(&mut self, found: Option<Found>, now: Instant, date: Timestamp) -> Action {
        if let Some(found) = &found {
            self.saw(&found.record, now);
        }
        if !self.is_due(found.is_some(), now) {
            return Action::Rest;
        }
        let record = self.claim(date);
        match found {
            None => Action::Make(record),
            Some(found) => Action::Write { record, over: found.version },
        }
    }

    fn saw(&mut self, record: &Record, now: Instant) {
        if self.seen.as_ref().is_none_or(|seen| seen.record != *record) {
            self.seen = Some(Seen { record: record.clone(), since: now });
        }
        if !self.is_own(record) {
            self.renewed = None;
        }
    }

    fn is_own(&self, record: &Record) -> bool {
        record.holder() == Some(&self.identity)
    }

    /// Whether to write now.
    fn is_due(&self, is_there: bool, now: Instant) -> bool {
        let Some(Seen { record, since }) = &self.seen else { return true };
        match record.holder() {
            None => true,
            Some(_) if self.is_own(record) => {
                !is_there || self.renewed.is_none_or(|renewed| now >= renewed + RENEWED_AFTER)
            }
            Some(_) => now >= *since + record.holds(),
        }
    }

    /// The Lease as this replica's own.
    fn claim(&self, date: Timestamp) -> Record {
        let before = self.seen.as_ref().map(|seen| &seen.record);
        let own = before.filter(|record| self.is_own(record));
        let transitions = before.and_then(|record| record.lease_transitions).unwrap_or(0);
        let is_new = before.is_none();
        Record {
            holder_identity: Some(self.identity.clone()),
            lease_duration_seconds: Some(HOLDS),
            acquire_time: own.and_then(|record| record.acquire_time.clone()).or_else(|| Some(written(date))),
            renew_time: Some(written(date)),
            lease_transitions: Some(transitions.saturating_add(i32::from(own.is_none() && !is_new))),
        }
    }

    /// A write of this record, which began at `began`, was carried out. Others see the Lease change after that moment.
    pub fn wrote(&mut self, record: Record, began: Instant) {
        self.renewed = self.is_own(&record).then_some(began);
        self.seen = Some(Seen { record, since: began });
    }

    /// Until when it may act.
    pub fn acts_until(&self) -> Option<Instant> {
        self.renewed.map(|renewed| renewed + ACTS)
    }

    /// Whether it may act.
    pub fn leads(&self, now: Instant) -> bool {
        self.acts_until().is_some_and(|until| now < until)
    }

    /// What gives the Lease back, so that another replica need not wait; `None`: it is not this replica's.
    pub fn give_back(&self, found: Found, date: Timestamp) -> Option<Action> {
        let Found { record, version } = found;
        let free = Record {
            holder_identity: Some(String::new()),
            lease_duration_seconds: Some(1),
            acquire_time: Some(written(date)),
            renew_time: Some(written(date)),
            lease_transitions: record.lease_transitions,
        };
        self.is_own(&record).then_some(Action::Write { record: free, over: version })
    }
}

/// A date as the API server reads it: with microseconds.
fn written(date: Timestamp) -> String {
    format!("{date:.6}")
}

#[cfg(test)]
#[path = "candidate_tests.rs"]
mod tests;
