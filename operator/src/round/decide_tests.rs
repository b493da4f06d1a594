use serde_json::{Value, json};

use broker::plan::Life;

use super::*;
use crate::round::{
    snapshot::{
        snapshot,
        tests::{queue, world},
    },
    unmade,
};

fn planned(world: &World, jobs: u64) -> Plan {
    respect_pauses(world, broker::plan::plan(&snapshot(world, vec![queue(jobs)])))
}
fn paused() -> Value {
    json!({"annotations": {"diracgrid.org/paused": "true"}})
}
fn merged(kind: &str, what: Value) -> World {
    world(|w| {
        let object = if kind == "clouds" { &mut w[kind][0]["object"] } else { &mut w[kind][0] };
        for (name, value) in what.as_object().unwrap() {
            object["metadata"][name] = value.clone();
        }
    })
}

#[test]
fn a_world_with_jobs_and_nothing_in_the_way_gets_vms() {
    let plan = planned(&world(|_| ()), 10);
    assert_eq!((plan.launches.len(), plan.unmet.len()), (1, 0), "{plan:?}");
}

#[test]
fn nothing_is_made_where_a_person_asked_for_a_pause_and_the_jobs_say_so() {
    for (kind, name) in
        [("installations", "DiracInstallation demo/i"), ("clouds", "Cloud demo/c"), ("pools", "PilotPool demo/cpu")]
    {
        let plan = planned(&merged(kind, paused()), 30);
        assert!(plan.launches.is_empty(), "{kind}");
        assert_eq!(plan.unmet[0].reason, Reason::Paused, "{kind}: {:?}", plan.unmet);
        assert!(plan.unmet[0].message.starts_with(name), "{}", plan.unmet[0].message);
    }
}

#[test]
fn vms_of_what_is_paused_still_serve_jobs() {
    for kind in ["installations", "clouds", "pools"] {
        let plan = planned(&merged(kind, paused()), 2);
        assert!(plan.unmet.is_empty(), "{kind}: the VM that boots has room: {:?}", plan.unmet);
        assert_eq!(plan.assigned.get("cpu").map(|a| a.all()), Some(2), "{kind}");
    }
}

#[test]
fn vms_of_what_is_paused_are_not_given_back() {
    let lowered = |w: &mut Value| w["pools"][0]["spec"]["scaling"]["max"] = json!(0);
    assert_eq!(planned(&world(lowered), 0).surplus.len(), 1);
    for kind in ["installations", "clouds", "pools"] {
        let mut both = serde_json::to_value(merged(kind, paused())).unwrap();
        lowered(&mut both);
        let both: World = serde_json::from_value(both).unwrap();
        assert!(planned(&both, 0).surplus.is_empty(), "{kind}");
    }
}

#[test]
fn the_younger_of_two_installations_that_read_one_dirac_buys_nothing() {
    let younger = world(|w| w["firstReader"] = json!({"namespace": "other", "name": "first"}));
    let Hands::Bound(why) = hands(&younger) else { panic!("it would buy for jobs that the older one buys for") };
    assert!(why.contains("DiracInstallation other/first is older"), "{why}");
}

#[test]
fn a_round_acts_only_when_the_rows_are_known() {
    assert_eq!(hands(&world(|_| ())), Hands::Free);
    let unread = world(|w| w["rows"] = Value::Null);
    assert!(matches!(hands(&unread), Hands::Bound(why) if why.contains("first time")));
    let failed = world(|w| w["rowsUnknown"] = json!({"reason": "Timeout", "message": "no answer"}));
    assert!(matches!(hands(&failed), Hands::Bound(why) if why.contains("no answer")));
}

#[test]
fn jobs_whose_vms_nobody_makes_now_are_unmet() {
    let failed = world(|w| w["rowsUnknown"] = json!({"reason": "Timeout", "message": "no answer"}));
    let Hands::Bound(why) = hands(&failed) else { panic!("it would act") };
    let mut plan = planned(&failed, 30);
    let before = plan.assigned["cpu"];
    assert!(before.new > 0 && plan.unmet.is_empty());
    let unmade = unmade::all(&plan, &why);
    unmade::give_none(&mut plan, &unmade);
    let unmet = &plan.unmet[0];
    assert_eq!((unmet.jobs, unmet.reason, unmet.pool.as_deref()), (before.new, Reason::Held, Some("cpu")));
    assert!(unmet.message.contains("rows are unknown: no answer") && plan.assigned["cpu"].new == 0, "{plan:?}");
}

#[test]
fn a_pilotvm_that_cannot_be_read_counts_against_every_limit_as_the_largest_flavor_and_serves_nobody() {
    let unread = |cloud: &str, max: u64| {
        world(|w| {
            w["unread"] = json!([{"name": "cpu-9", "pool": "cpu", "cloud": cloud, "vo": "biomed"}]);
            w["pools"][0]["spec"]["scaling"]["max"] = json!(max);
        })
    };
    let taken = snapshot(&unread("c", 10), vec![queue(3)]);
    let vm = taken.vms.iter().find(|vm| vm.name == "cpu-9").unwrap();
    assert_eq!((vm.offering.cores, &vm.life, vm.pool.as_str(), vm.cloud.as_str()), (8, &Life::Ending, "cpu", "c"));
    // One VM boots: with the other the pool has its two.
    assert_eq!(planned(&unread("c", 3), 30).launches.len(), 1);
    assert_eq!(planned(&unread("c", 2), 30).launches.len(), 0);
}

#[test]
fn nothing_is_made_while_nobody_knows_against_which_limits_a_pilotvm_counts() {
    let bare = world(|w| w["unread"] = json!([{"name": "cpu-9", "pool": "cpu", "cloud": null, "vo": null}]));
    assert!(matches!(hands(&bare), Hands::Bound(why) if why.contains("cannot read PilotVM cpu-9")));
}
