//! Where the core-hours went that were bought.

use serde::Serialize;

use crate::{
    time::{Ms, hours},
    world::Vm,
};

/// Core-hours that were bought, by what became of them. What jobs held that were lost is in none of these, and stands beside them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Spans {
    /// Of VMs that never ran a job: their whole life.
    pub never: f64,
    /// From the creation of a VM to its first job: its boot, and the wait for one.
    pub before: f64,
    /// Free beside jobs: while a VM fills, and while the last jobs on it run.
    pub beside: f64,
    /// From the end of the last job of a VM to its deletion.
    pub after: f64,
    /// Held by jobs, those that were lost included.
    pub held: f64,
}

impl Spans {
    /// Counts a VM of which jobs that still run hold this many core-milliseconds at `end`.
    pub fn count(&mut self, vm: &Vm, end: Ms, running: u64) {
        let Some(born) = vm.born else { return };
        let (gone, cores) = (vm.gone.unwrap_or(end), vm.cores);
        let Some(first) = vm.row.running_since else {
            self.never += hours(gone.saturating_sub(born) * cores);
            return;
        };
        let last = if running > 0 { gone } else { vm.last.unwrap_or(first) };
        let held = vm.held + running;
        self.before += hours(first.saturating_sub(born) * cores);
        self.beside += hours((last.saturating_sub(first) * cores).saturating_sub(held));
        self.after += hours(gone.saturating_sub(last) * cores);
        self.held += hours(held);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        policy::{Operator, SiteDirector},
        run::run,
        scenario::{parse, small},
    };

    #[test]
    fn every_core_hour_that_was_bought_is_in_one_place() {
        let more = "faults: {hungPilots: 0.2, hangAfter: 10m}";
        for at in ["3h30m", "5m"] {
            let loaded = parse("test", &small(&format!("jobs: 90, at: {at}, diesEarly: 0.1"), more)).unwrap();
            for f in [run(&loaded, 1, &mut Operator::new(&loaded)), run(&loaded, 1, &mut SiteDirector::new(&loaded))] {
                let Spans { never, before, beside, after, held } = f.spans;
                assert!((never + before + beside + after + held - f.core_hours_bought).abs() < 0.01, "{:?}", f.spans);
                assert!((held - f.core_hours_used - f.core_hours_lost).abs() < 0.01, "{:?}", f.spans);
                assert!(before > 0.1 && beside > 0.1 && held > 1.0, "{:?}", f.spans);
            }
        }
    }
}
