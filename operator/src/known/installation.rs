//! What the operator knows of one installation, in memory: everything here can be read again from DIRAC.

use std::{collections::BTreeMap, sync::Arc};

use broker::{
    demand::{DemandSource, Unreadable},
    experience::Waits,
    pilot::{
        lost::LostJobs,
        rows::{PilotRow, PilotRows},
    },
    plan::{self, Plan},
    readiness::{Finding, Inspect},
    simulation::SimulatedDirac,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    Known,
    accounts::Accounts,
    change::Change,
    jobs::{Jobs, PilotJobs},
    services::Services,
};
use crate::trouble::Trouble;

/// What the last planning round saw and decided.
#[derive(Clone, Debug, Default)]
pub struct Round {
    /// When the task queues were read.
    pub at: Timestamp,
    /// Task queues with waiting jobs that could be read.
    pub queues: u64,
    /// Task queues that could not, whose jobs are in no sum here.
    pub unreadable: Option<Unreadable>,
    /// Waiting jobs.
    pub jobs: u64,
    pub plan: Plan,
    /// Why VMs that were planned are not made, by pool.
    pub unmade: BTreeMap<String, (plan::Reason, String)>,
    /// Why VMs that were to be given back are still there, by pool.
    pub kept: BTreeMap<String, String>,
    /// Changes that would drain most of a pool's VMs and that are held back, by pool.
    pub frozen: BTreeMap<String, Change>,
    /// How many VMs of each pool run and are not as it says any more.
    pub drifted: BTreeMap<String, u64>,
    /// PilotVMs that boot and for which no job is planned, by name: since when.
    pub unneeded: BTreeMap<String, Timestamp>,
    /// Since when jobs of each class wait without a pause.
    pub waiting: Vec<Waits>,
}

/// What is known of an installation.
#[derive(Clone, Default)]
pub struct Facts {
    /// Where task queues are read.
    pub demand: Option<Arc<dyn DemandSource>>,
    /// Where pilots are registered. It stays in force after the object is gone, for PilotVMs that still have a row.
    pub rows: Option<Arc<dyn PilotRows>>,
    /// What pilots run, where `rows` finds it out; `None`: nobody says, since no address of the JobMonitoring is given.
    pub jobs: Option<Arc<Jobs>>,
    /// Where jobs of lost VMs are given back; `None`: they are not, or nobody can be asked.
    pub lost: Option<Arc<dyn LostJobs>>,
    /// The simulated DIRAC, where that is what the installation is: simulated clouds attach their pilots to it.
    pub simulated: Option<SimulatedDirac>,
    /// Looks whether DIRAC knows what pilots need; `None`: there is no DIRAC that could be looked at.
    pub inspect: Option<Arc<dyn Inspect>>,
    /// What was found the last time.
    pub readiness: Option<Arc<Vec<Finding>>>,
    /// When the certificate ends by which DIRAC knows the operator.
    pub certificate_ends: Option<Timestamp>,
    /// What is known of its parts, where it is managed.
    pub services: Option<Arc<Services>>,
    /// Why neither could be made.
    pub not_reached: Option<Trouble>,
    /// Why the task queues could not be read last time.
    pub demand_unknown: Option<Trouble>,
    /// When they could be read again after they could not: pilots that ask the same Matcher had to wait as long.
    pub demand_back: Timestamp,
    /// The last round that planned.
    pub round: Option<Arc<Round>>,
    /// The rows, by reference, and when they were asked for.
    pub read: Option<Arc<Rows>>,
    /// Why the rows could not be read last time.
    pub rows_unknown: Option<Trouble>,
    /// What its VOs used and spent.
    pub accounts: Arc<Accounts>,
}

impl Facts {
    /// Whether its DIRAC lets it read the task queues, as far as anybody knows: it did once, or has not been refused yet.
    pub fn reads(&self) -> bool {
        self.not_reached.is_none() && (self.round.is_some() || self.demand_unknown.is_none())
    }
}

/// Rows, as they were read last: all of them at one moment, and some again since.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Rows {
    /// When all of them were asked for.
    pub started: Timestamp,
    pub by_reference: BTreeMap<String, Arc<PilotRow>>,
    /// When those were asked for that were read again since, by reference.
    pub again: BTreeMap<String, Timestamp>,
    /// Since when pilots that had a job have none that runs, by reference: no earlier than the first reading that said so.
    #[serde(default)]
    pub idle: BTreeMap<String, Timestamp>,
    /// What the pilots run and ran, by reference; nothing where nobody says.
    #[serde(default)]
    pub jobs: BTreeMap<String, Arc<PilotJobs>>,
}

impl Rows {
    /// All rows, as asked for at `started`.
    pub fn all(started: Timestamp, rows: Vec<PilotRow>) -> Self {
        let mut all = Self { started, ..Self::default() };
        all.take(started, rows);
        all
    }

    /// The same; what was idle `before` and still is has been so since then.
    pub fn after(mut self, before: &Self) -> Self {
        self.go_on_from(&before.idle);
        self
    }

    /// These rows, with those that were asked for again at `started` in their place. One that was asked for and is absent goes.
    pub fn with(mut self, started: Timestamp, asked: &[String], rows: Vec<PilotRow>) -> Self {
        let idle = self.idle.clone();
        for reference in asked {
            self.by_reference.remove(reference);
            self.idle.remove(reference);
            self.again.insert(reference.clone(), started);
        }
        self.take(started, rows);
        self.go_on_from(&idle);
        self
    }

    /// The same, with what the pilots run and ran.
    pub fn working(self, jobs: Option<&Jobs>) -> Self {
        Self { jobs: jobs.map(Jobs::all).unwrap_or_default(), ..self }
    }

    fn go_on_from(&mut self, idle: &BTreeMap<String, Timestamp>) {
        for (reference, since) in &mut self.idle {
            *since = idle.get(reference).copied().unwrap_or(*since);
        }
    }

    fn take(&mut self, started: Timestamp, rows: Vec<PilotRow>) {
        for row in rows {
            if row.current_job > 0 && row.running == Some(0) {
                self.idle.insert(row.reference.clone(), started);
            }
            self.by_reference.insert(row.reference.clone(), Arc::new(row));
        }
    }

    /// The row of this pilot.
    pub fn row(&self, reference: &str) -> Option<&PilotRow> {
        self.by_reference.get(reference).map(Arc::as_ref)
    }

    /// When this row was asked for.
    pub fn read_at(&self, reference: &str) -> Timestamp {
        self.again.get(reference).copied().unwrap_or(self.started)
    }
}

/// One installation, shared by its round, its rows and the PilotVMs.
pub type Handle = Known<Facts>;

#[cfg(test)]
mod tests {
    use broker::pilot::rows::PilotStatus;
    use crds::Reason;

    use super::*;

    fn row(reference: &str, current_job: u64) -> PilotRow {
        PilotRow {
            reference: reference.into(),
            status: PilotStatus::Running,
            current_job,
            idle_seconds: None,
            updated: None,
            jobs: None,
            running: None,
            power: None,
        }
    }
    fn at(second: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + jiff::SignedDuration::from_secs(second)
    }

    #[test]
    fn rows_that_are_read_again_take_the_place_of_the_old_ones_and_others_stay() {
        let rows = Rows::all(at(10), vec![row("a", 0), row("b", 0)]).with(at(15), &["a".into()], vec![row("a", 7)]);
        assert_eq!((rows.by_reference["a"].current_job, rows.read_at("a")), (7, at(15)));
        assert_eq!((rows.by_reference["b"].current_job, rows.read_at("b")), (0, at(10)));
    }

    #[test]
    fn a_row_that_is_absent_when_read_again_goes_and_its_reading_is_remembered() {
        let rows = Rows::all(at(10), vec![row("a", 0)]).with(at(15), &["a".into()], vec![]);
        assert!(rows.by_reference.is_empty());
        assert_eq!(rows.read_at("a"), at(15));
    }

    #[test]
    fn an_installation_that_was_refused_before_it_ever_read_does_not_read() {
        let trouble = || Some(Trouble::new(Reason::Unauthorized, "the group is not known"));
        let round = || Some(Arc::new(Round::default()));
        assert!(Facts::default().reads(), "nobody knows yet");
        assert!(!Facts { demand_unknown: trouble(), ..Facts::default() }.reads());
        assert!(
            Facts { demand_unknown: trouble(), round: round(), ..Facts::default() }.reads(),
            "it is away for a while"
        );
        assert!(!Facts { not_reached: trouble(), round: round(), ..Facts::default() }.reads());
    }

    #[test]
    fn a_pilot_is_idle_since_the_first_reading_that_shows_no_job_of_its_own_and_not_where_nobody_says() {
        let row = |job: u64, running: Option<u64>| vec![PilotRow { running, ..row("a", job) }];
        let since = |rows: &Rows| rows.idle.get("a").copied();
        let mut rows = Rows::all(at(10), row(7, Some(0)));
        assert_eq!(since(&rows), Some(at(10)));
        rows = Rows::all(at(30), row(7, Some(0))).after(&rows).with(at(35), &["a".into()], row(7, Some(0)));
        assert_eq!(since(&rows), Some(at(10)));
        assert_eq!(since(&Rows::all(at(40), row(8, Some(1))).after(&rows)), None, "it has a job again");
        assert_eq!(since(&Rows::all(at(40), row(7, None)).after(&rows)), None, "nobody says");
        assert_eq!(since(&rows.with(at(40), &["a".into()], vec![])), None, "an absent row says nothing");
        assert_eq!(
            since(&Rows::all(at(10), row(0, Some(0)))),
            None,
            "it never had one: its first request is what counts"
        );
    }

    #[test]
    fn rows_are_json_both_ways() {
        let rows = Rows::all(at(10), vec![row("a", 1)]).with(at(15), &["b".into()], vec![row("b", 2)]);
        let text = serde_json::to_string(&rows).unwrap();
        assert_eq!(serde_json::from_str::<Rows>(&text).unwrap(), rows);
    }
}
