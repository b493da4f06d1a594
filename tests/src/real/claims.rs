//! What must hold at any time, by the records of Nova and DIRAC: no job is lost, no limit is passed, no pilot is there twice.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, ensure};

use super::{Life, Real, peak};

/// What the JobAgent says on its guest's console when it has got a job.
const GOT_A_JOB: &str = "Received JobID=";
/// What holds of a row of PilotAgentsDB that nobody has closed, for a `where`.
pub const ROW_IS_OPEN: &str = "Status not in ('Done', 'Aborted', 'Failed', 'Deleted')";
const ROWS_TWICE: &str = "select count(*) from (select PilotJobReference from PilotAgentsDB.PilotAgents \
                          group by PilotJobReference having count(*) > 1) as t";
const SERVED_TWICE: &str =
    "select JobID from JobLoggingDB.LoggingInfo where Status = 'Matched' group by JobID having count(*) > 1";
const AGAIN: &str = "select JobID from JobDB.Jobs where RescheduleCounter > 0";
const AT_WORK: &str = "select p.PilotJobReference, j.JobID from PilotAgentsDB.PilotAgents p \
                       join PilotAgentsDB.JobToPilotMapping m on m.PilotID = p.PilotID \
                       join JobDB.Jobs j on j.JobID = m.JobID where j.Status = 'Running'";

impl Real {
    /// An error says what does not hold. `limits`: pools that share a limit, and how many servers they may have at one time.
    pub fn all_is_well(&self, limits: &[(&[&str], usize)]) -> Result<()> {
        self.all_is_well_but(&BTreeSet::new(), limits)
    }

    /// The same, where these jobs lost their VM and may have been served again.
    pub fn all_is_well_but(&self, lost: &BTreeSet<u64>, limits: &[(&[&str], usize)]) -> Result<()> {
        ensure!(self.jobs("Failed")? == 0, "jobs failed");
        for (query, what) in [(AGAIN, "were given out again"), (SERVED_TWICE, "were served twice")] {
            let jobs: Vec<u64> = self.numbers(query)?.difference(lost).copied().collect();
            ensure!(jobs.is_empty(), "jobs {jobs:?} {what}");
        }
        ensure!(self.count(ROWS_TWICE)? == 0, "a pilot has two rows");
        let history = self.history()?;
        for (pools, most) in limits {
            let of_pools: Vec<&Life> = history.iter().filter(|life| pools.contains(&life.pool.as_str())).collect();
            let highest = peak(of_pools.iter().copied());
            let times: Vec<_> = of_pools.iter().map(|life| (life.began, life.ended)).collect();
            ensure!(highest <= *most, "{highest} servers of {pools:?} at one time, where {most} may be: {times:?}");
        }
        for (pilot, servers) in twins(&history)? {
            let at_work = servers.iter().filter(|life| self.got_a_job(&life.id)).count();
            let ids: Vec<&str> = servers.iter().map(|life| life.id.as_str()).collect();
            ensure!(at_work <= 1, "{at_work} servers of the pilot {pilot} got jobs: {ids:?}");
        }
        Ok(())
    }

    /// The jobs that were lost and given out again.
    pub fn given_back(&self) -> Result<BTreeSet<u64>> {
        self.numbers(AGAIN)
    }

    /// The jobs that run, with the references of their pilots.
    pub fn at_work(&self) -> Result<BTreeMap<u64, String>> {
        let rows = self.dirac.sql(AT_WORK)?;
        let rows = rows.lines().filter_map(|row| row.split_once('\t'));
        rows.map(|(pilot, job)| Ok((job.parse().context("a job has a number")?, pilot.to_owned()))).collect()
    }

    /// The jobs that were ever given to one of these pilots.
    pub fn ever_at(&self, pilots: &BTreeSet<&str>) -> Result<BTreeSet<u64>> {
        self.numbers(&at(pilots))
    }

    /// How many of these jobs are Done.
    pub fn done(&self, jobs: &BTreeSet<u64>) -> Result<usize> {
        let done = self.numbers("select JobID from JobDB.Jobs where Status = 'Done'")?;
        Ok(done.intersection(jobs).count())
    }

    /// The jobs that DIRAC has on one of these pilots, and nobody has given back.
    pub fn unended_at(&self, pilots: &BTreeSet<&str>) -> Result<BTreeSet<u64>> {
        self.numbers(&format!("{} and j.Status <> 'Done' and j.RescheduleCounter = 0", at(pilots)))
    }

    /// The jobs of a query.
    fn numbers(&self, query: &str) -> Result<BTreeSet<u64>> {
        self.dirac
            .sql(query)?
            .lines()
            .map(|line| line.parse().with_context(|| format!("{query} gave no number")))
            .collect()
    }

    /// How many rows of PilotAgentsDB nobody has closed.
    pub fn open_rows(&self) -> Result<usize> {
        self.count(&format!("select count(*) from PilotAgentsDB.PilotAgents where {ROW_IS_OPEN}"))
    }

    /// Whether the pilot on this server ever got a job, by its guest's console.
    pub fn got_a_job(&self, server: &str) -> bool {
        self.openstack.old_console(server).contains(GOT_A_JOB)
    }
}

/// A query for the jobs of these pilots.
fn at(pilots: &BTreeSet<&str>) -> String {
    let pilots = pilots.iter().map(|pilot| format!("'{pilot}'")).collect::<Vec<_>>().join(", ");
    format!(
        "select distinct j.JobID from PilotAgentsDB.PilotAgents p join PilotAgentsDB.JobToPilotMapping m on m.PilotID = p.PilotID \
         join JobDB.Jobs j on j.JobID = m.JobID where p.PilotJobReference in ({pilots})"
    )
}

/// The pilots of which there was more than one server, with those.
pub fn twins(history: &[Life]) -> Result<BTreeMap<&str, Vec<&Life>>> {
    let mut of_pilot: BTreeMap<&str, Vec<&Life>> = BTreeMap::new();
    for life in history {
        of_pilot.entry(life.reference()?).or_default().push(life);
    }
    of_pilot.retain(|_, servers| servers.len() > 1);
    Ok(of_pilot)
}
