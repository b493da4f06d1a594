//! A new image comes into use, as fast as the pool lets it, and costs nobody a job.

use std::path::Path;

use super::*;
use crate::{
    report::Figures,
    run::run,
    scenario::{load, parse},
};

/// An operator of which it is noted, at each look, how many VMs drain by drift, and of how many.
struct Watched(Operator, Vec<(usize, usize)>);

impl Policy for Watched {
    fn name(&self) -> &'static str {
        "watched"
    }
    fn period(&self) -> Ms {
        self.0.period()
    }
    fn manners(&self) -> PilotManners {
        self.0.manners()
    }
    fn decide(&mut self, seen: &Seen<'_>, hands: &mut Hands) {
        self.0.decide(seen, hands);
        self.1.push((self.0.drifting.len(), seen.vms().count()));
    }
    fn told(&mut self, now: Ms, vm: VmId, order: &Order, answer: Answer) {
        self.0.told(now, vm, order, answer);
    }
}

fn watched(loaded: &Loaded) -> (Figures, Vec<(usize, usize)>) {
    let mut watched = Watched(Operator::new(loaded), Vec::new());
    (run(loaded, 1, &mut watched), watched.1)
}

#[test]
fn a_new_image_is_everywhere_in_the_end_no_job_is_lost_and_waiting_hardly_grows() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/scenarios/drift.yaml");
    let text = std::fs::read_to_string(&file).unwrap();
    let without = parse("drift", &text.replace(", newImages: [{image: default, at: 4h}]", "")).unwrap();
    let (with, drains) = watched(&load(&file).unwrap());
    let (before, none) = watched(&without);
    let replaced = &with.replaced[0];
    assert!(replaced.vms >= 10 && replaced.left == 0, "{replaced:?}");
    assert_eq!((with.jobs[3], with.jobs[4]), (0, 0), "no job failed or was lost");
    assert!(with.wait_median <= before.wait_median + 10, "{} s, and {} s", with.wait_median, before.wait_median);
    assert!(drains.iter().all(|(drain, vms)| *drain <= (vms / 4).max(1)), "a quarter at once");
    assert!(drains.iter().any(|(drain, _)| *drain > 1) && none.iter().all(|(drain, _)| *drain == 0));
}
