//! What comes of a step: what is written, told, counted and rung, as a value. Pure.

use std::time::Duration;

use broker::cloud::{CloudError, Scope};
use crds::{Reason, vm::PilotVMStatus};
use jiff::Timestamp;

use super::Error;
use crate::known::{
    memory::{Answer, Remembered, Tried},
    permits::Permit,
};

/// What came of a step.
#[derive(Debug, Default)]
pub struct Done {
    /// The status to write; nothing is written where it is the one that there is.
    pub record: Option<PilotVMStatus>,
    /// Whether the write only counts if nobody wrote the object meanwhile.
    pub alone: bool,
    /// What to remember.
    pub learnt: Learnt,
    pub event: Option<Event>,
    /// What to count, and whom to ring.
    pub effects: Vec<Effect>,
    pub again: Again,
    /// The permit with which the next step is taken.
    pub permit: Option<Permit>,
    /// Whether the record says nothing but why the PilotVM waits: it is written when it is its turn, and may come later.
    pub waits: bool,
    /// The step failed so, and is tried again after a pause. The record is then written only when its reasons are new ones.
    pub failed: Option<Error>,
}

/// When the next step is taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Again {
    /// At once: the next step follows from this one.
    Now,
    /// After this time, or when it is rung.
    After(Duration),
    /// When somebody rings for this PilotVM.
    #[default]
    Rung,
}

/// An event about the PilotVM, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Whether something is wrong.
    pub warns: bool,
    pub reason: Reason,
    /// A sentence for people.
    pub text: String,
}

/// What others are told of a step.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// The VM was ordered at this moment; for the first time where it was remembered when it was planned.
    Ordered(Timestamp),
    /// A VM was made.
    Launched,
    /// A life ended for this reason; `wasted`: it never had a job.
    Ended { reason: Reason, wasted: bool },
    /// The VM was kept for this many seconds.
    Spent(f64),
    /// A Spot VM is gone that lived for so many seconds; `reclaimed`: the provider took it back.
    Lived { seconds: u64, reclaimed: bool },
    /// The VM was refused, as far as the scope reaches: where it was bought, or, where it was not, wherever its order would have bought it.
    Refused(Scope),
    /// The VM was bought in a zone that its order names after others: those had no room.
    PassedOver,
    /// So many jobs of a lost VM wait for others again.
    JobsGivenBack(u64),
    /// The cloud refuses to be asked for VMs.
    NotAnswered(CloudError),
    /// The VM came to nothing: its pilot never asked for work, and could have.
    NeverAsked,
    /// The pilot asks for work.
    Asked,
    /// The cloud took the order, and may find no host for it.
    Accepted,
    /// The cloud has made the VM.
    Granted,
    /// The next round must not count the VM as supply: it waits until this write is back.
    NotSupply,
    /// The cloud is polled soon.
    Poll,
    /// The installation is planned soon.
    Plan,
}

/// What to remember of a step; what is absent stays as it was.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Learnt {
    /// The VM was made or deleted by us.
    pub touched: bool,
    /// Its labels were put back.
    pub labelled: bool,
    /// Its deletion was accepted.
    pub delete_asked: bool,
    /// What the provider says of it.
    pub answer: Option<Answer>,
    /// How an attempt went.
    pub tried: Option<Tried>,
    pub is_registered: bool,
    pub row_written: bool,
    /// The row was closed, or left as it is.
    pub row_closed: bool,
    pub row_not_closed: bool,
    /// Nothing is left to do for its jobs.
    pub jobs_settled: bool,
    /// Jobs that are still to be given back.
    pub undone: Option<Vec<u64>>,
    /// The row, as it was read.
    pub row: Option<(Timestamp, Option<broker::pilot::rows::PilotRow>)>,
}

impl Learnt {
    /// Puts it into what is remembered.
    pub fn keep(self, m: &mut Remembered, now: Timestamp, moment: tokio::time::Instant) {
        if self.labelled {
            m.labelled = Some(moment);
        }
        if self.touched {
            m.touched = Some(now);
        }
        if self.delete_asked {
            m.delete_asked = Some(moment);
        }
        if self.answer.is_some() {
            m.answer = self.answer.map(Box::new);
        }
        if self.tried.is_some() {
            m.tried = self.tried;
        }
        if self.row.is_some() {
            m.row = self.row.map(Box::new);
        }
        if self.row_written {
            m.row_written = Some(now);
        }
        if self.row_not_closed {
            m.row_tried.get_or_insert(moment);
        }
        if let Some(undone) = self.undone {
            m.undone = undone;
        }
        m.jobs_settled |= self.jobs_settled;
        m.is_registered |= self.is_registered;
        m.row_closed |= self.row_closed;
    }
}

impl Done {
    /// Writes this status and goes on at once.
    pub fn record(status: PilotVMStatus) -> Self {
        Self { record: Some(status), again: Again::Now, ..Self::default() }
    }

    /// Goes on at once.
    pub fn now() -> Self {
        Self { again: Again::Now, ..Self::default() }
    }

    /// Looks again after this time.
    pub fn after(time: Duration) -> Self {
        Self { again: Again::After(time), ..Self::default() }
    }

    /// The step failed; the status says why.
    pub fn failed(error: Error, status: PilotVMStatus) -> Self {
        Self { record: Some(status), waits: true, failed: Some(error), ..Self::default() }
    }

    pub fn tells(mut self, warns: bool, reason: Reason, text: impl Into<String>) -> Self {
        self.event = Some(Event { warns, reason, text: text.into() });
        self
    }

    pub fn learns(mut self, learnt: Learnt) -> Self {
        self.learnt = learnt;
        self
    }

    /// And others are told.
    pub fn with(mut self, effects: impl IntoIterator<Item = Effect>) -> Self {
        self.effects.extend(effects);
        self
    }
}
