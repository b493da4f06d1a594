//! What must hold at any time, by the records of Nova and DIRAC: no job is lost, no limit is passed, no pilot is there twice.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};

use super::{Life, Real, peak};

/// What the JobAgent says on its guest's console when it has got a job.
const GOT_A_JOB: &str = "Received JobID=";
/// What holds of a row of PilotAgentsDB that nobody has closed, for a `where`.
pub const ROW_IS_OPEN: &str = "Status not in ('Done', 'Aborted', 'Failed', 'Deleted')";
const ROWS_TWICE: &str = "select count(*) from (select PilotJobReference from PilotAgentsDB.PilotAgents \
                          group by PilotJobReference having count(*) > 1) as t";
const SERVED_TWICE: &str = "select count(*) from (select JobID from JobLoggingDB.LoggingInfo where Status = 'Matched' \
                            group by JobID having count(*) > 1) as t";

impl Real {
    /// An error says what does not hold. `limits`: pools that share a limit, and how many servers they may have at one time.
    pub fn all_is_well(&self, limits: &[(&[&str], usize)]) -> Result<()> {
        ensure!(self.jobs("Failed")? == 0, "jobs failed");
        let again = self.count("select count(*) from JobDB.Jobs where RescheduleCounter > 0")?;
        ensure!(again == 0, "{again} jobs were lost and given out again");
        ensure!(self.count(SERVED_TWICE)? == 0, "a job was served twice");
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

    /// How many rows of PilotAgentsDB nobody has closed.
    pub fn open_rows(&self) -> Result<usize> {
        self.count(&format!("select count(*) from PilotAgentsDB.PilotAgents where {ROW_IS_OPEN}"))
    }

    /// Whether the pilot on this server ever got a job, by its guest's console.
    pub fn got_a_job(&self, server: &str) -> bool {
        self.openstack.old_console(server).contains(GOT_A_JOB)
    }
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
