use serde_json::{Value, json};

use super::*;
use crate::round::snapshot::{
    snapshot,
    tests::{queue, world},
};

/// The pool's one VM runs, with this condition Draining; the pool may have `max`.
fn drained(max: u64, said: Option<(&str, &str)>, change: impl FnOnce(&mut Value)) -> World {
    world(|w| {
        w["pools"][0]["spec"]["scaling"]["max"] = json!(max);
        let conditions: Vec<Value> = said
            .map(|(status, text)| {
                json!({"type": "Draining", "status": status, "reason": "PoolMax", "message": text,
                    "lastTransitionTime": "2026-11-24T11:59:30Z"})
            })
            .into_iter()
            .collect();
        w["vms"][0]["status"] = json!({"launchedAt": "2026-11-24T11:59:00Z", "runningSince": "2026-11-24T11:59:30Z",
            "conditions": conditions});
        change(w);
    })
}
fn tells(world: &World) -> Vec<Drain> {
    let taken = snapshot(world, vec![queue(3)]);
    told(world, &taken, &broker::plan::plan(&taken)).into_iter().map(|(_, drain)| drain).collect()
}
const TEXT: &str = "pool cpu has more than 0 VMs (spec.scaling.max)";

#[test]
fn a_vm_beyond_the_maximum_is_told_to_drain_once() {
    assert_eq!(tells(&drained(1, None, |_| ())), []);
    assert_eq!(tells(&drained(0, None, |_| ())), [Drain::Begins(crds::Reason::PoolMax, TEXT.to_owned())]);
    assert_eq!(tells(&drained(0, Some(("True", TEXT)), |_| ())), []);
}

#[test]
fn a_vm_that_drains_works_on_when_the_maximum_is_raised_also_after_a_restart() {
    assert_eq!(tells(&drained(1, Some(("True", TEXT)), |_| ())), [Drain::Stops]);
    assert_eq!(tells(&drained(1, Some(("False", "it works on")), |_| ())), []);
}

#[test]
fn a_vm_whose_cloud_is_away_or_paused_is_told_nothing() {
    let away = |w: &mut Value| w["clouds"][0]["usable"] = json!(false);
    assert_eq!(tells(&drained(1, Some(("True", TEXT)), away)), []);
    let paused = |w: &mut Value| w["pools"][0]["metadata"]["annotations"] = json!({"diracgrid.org/paused": "true"});
    assert_eq!(tells(&drained(0, None, paused)), []);
    assert_eq!(tells(&drained(1, Some(("True", TEXT)), paused)), []);
}

#[test]
fn only_a_vm_that_drains_and_is_not_known_to_be_busy_may_go() {
    let may_go = |max: u64, status: &str, running: Value| {
        let world = drained(max, Some((status, TEXT)), |w| {
            let reference = stamp::reference("u");
            w["rows"] = json!({"started": "2026-11-24T12:00:00Z", "again": {}, "by_reference": {&reference: {
                "reference": reference, "status": "Running", "current_job": 7, "idle_seconds": null, "updated": null,
                "jobs": [7], "running": running}}});
        });
        let plan = broker::plan::plan(&snapshot(&world, vec![]));
        idle(&world, &plan).len()
    };
    assert_eq!(may_go(0, "True", json!(0)), 1);
    assert_eq!(may_go(0, "True", Value::Null), 1, "its row is read again, and decides");
    assert_eq!(may_go(0, "True", json!(1)), 0);
    assert_eq!(may_go(0, "False", json!(0)), 0, "first it is written down");
    assert_eq!(may_go(1, "True", json!(0)), 0, "it need not drain any more");
}
