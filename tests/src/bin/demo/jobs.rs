//! How many jobs there are in which state: a simulated DIRAC counts them in the operator's metrics, a real one in JobDB.

use anyhow::Result;
use testbeds::{real::Real, systems::operator::Operator};

use crate::home::SIMULATED;

/// Jobs so far.
#[derive(Clone, Copy, Debug, Default)]
pub struct Numbers {
    pub arrived: u64,
    /// Waiting for a pilot.
    pub waiting: u64,
    pub running: u64,
    /// Ended.
    pub served: u64,
    /// Lost their VM and waited again.
    pub requeued: u64,
}

/// Where the jobs are counted: in a simulated DIRAC or a real one.
pub enum Jobs<'a> {
    /// In the operator's memory.
    Simulated,
    /// In DIRAC's databases.
    Real(&'a Real),
}

impl Jobs<'_> {
    pub async fn count(&self, operator: &Operator) -> Result<Numbers> {
        match self {
            Self::Simulated => {
                let state = async |state: &str| -> Result<u64> {
                    Ok(operator
                        .metric(&[
                            "simulated_jobs{",
                            &format!("namespace=\"{SIMULATED}\""),
                            &format!("state=\"{state}\""),
                        ])
                        .await? as u64)
                };
                Ok(Numbers {
                    arrived: state("arrived").await?,
                    waiting: state("waiting").await?,
                    running: state("running").await?,
                    served: state("served").await?,
                    requeued: state("requeued").await?,
                })
            }
            Self::Real(real) => {
                let number = |what: &str| -> Result<u64> {
                    Ok(real.count(&format!("select count(*) from JobDB.Jobs where {what}"))?.try_into()?)
                };
                Ok(Numbers {
                    arrived: number("true")?,
                    waiting: number("Status not in ('Matched', 'Running', 'Completing', 'Done', 'Failed')")?,
                    running: number("Status in ('Matched', 'Running', 'Completing')")?,
                    served: number("Status = 'Done'")?,
                    requeued: number("RescheduleCounter > 0")?,
                })
            }
        }
    }
}
