//! What the operator has counted so far, and what that is for each VM.

use anyhow::{Result, ensure};
use testbeds::systems::operator::Operator;

/// Sums over all pools and clouds.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    /// VMs made.
    pub made: f64,
    /// VMs whose life ended.
    pub ended: f64,
    /// Of these, VMs that never ran a job.
    pub wasted: f64,
    /// Writes of PilotVMs to the API server.
    pub writes: f64,
    /// Calls to clouds, lists and catalogues included.
    pub calls: f64,
    /// VMs ordered, the seconds from the demand to the orders, and how many of the orders came within two seconds.
    pub orders: [f64; 3],
}

impl Counts {
    pub async fn read(operator: &Operator) -> Result<Self> {
        let sum = async |words: &[&str]| operator.metric(words).await;
        Ok(Self {
            made: sum(&["launches_total"]).await?,
            ended: sum(&["endings_total"]).await?,
            wasted: sum(&["vms_never_ran_job_total"]).await?,
            writes: sum(&["api_writes_total", "PilotVM"]).await?,
            calls: sum(&["cloud_calls_total"]).await?,
            orders: [
                sum(&["demand_to_order_seconds_count"]).await?,
                sum(&["demand_to_order_seconds_sum"]).await?,
                sum(&["demand_to_order_seconds_bucket", "le=\"2.0\""]).await?,
            ],
        })
    }

    /// The counts of what happened after `then` was read.
    pub fn since(&self, then: &Self) -> Self {
        let [n, seconds, soon] = self.orders;
        Self {
            made: self.made - then.made,
            ended: self.ended - then.ended,
            wasted: self.wasted - then.wasted,
            writes: self.writes - then.writes,
            calls: self.calls - then.calls,
            orders: [n - then.orders[0], seconds - then.orders[1], soon - then.orders[2]],
        }
    }

    /// Whole lives only: every VM made has ended.
    pub fn lives(&self) -> Result<f64> {
        ensure!(self.made > 0.0, "no VM was made: there is nothing to measure");
        ensure!(self.made <= self.ended, "{} VMs were made and {} ended: lives are not whole", self.made, self.ended);
        Ok(self.made)
    }

    /// The time from demand to order, in words.
    pub fn order(&self) -> Result<String> {
        let [n, seconds, soon] = self.orders;
        ensure!(n > 0.0, "no VM was ordered: there is nothing to measure");
        let text = format!("{:.2} s in the mean, {} of {n} later than 2 s", seconds / n, n - soon);
        // A VM whose launch began before its order was noted, or after a restart, has no such time.
        let unknown = self.made - n;
        Ok(if unknown > 0.0 { format!("{text}; {unknown} more VMs without a time") } else { text })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_before_does_not_count() {
        let then = Counts { made: 1.0, ended: 1.0, orders: [1.0, 9.0, 0.0], ..Counts::default() };
        let now = Counts { made: 5.0, ended: 5.0, orders: [5.0, 11.0, 3.0], ..Counts::default() };
        assert_eq!(now.since(&then).lives().unwrap(), 4.0);
        assert_eq!(now.since(&then).order().unwrap(), "0.50 s in the mean, 1 of 4 later than 2 s");
        let more = Counts { made: 7.0, ..now }.since(&then).order().unwrap();
        assert_eq!(more, "0.50 s in the mean, 1 of 4 later than 2 s; 2 more VMs without a time");
    }

    #[test]
    fn nothing_and_half_a_life_are_no_figures() {
        assert!(Counts::default().lives().is_err() && Counts::default().order().is_err());
        assert!(Counts { made: 2.0, ended: 1.0, ..Counts::default() }.lives().is_err());
    }
}
