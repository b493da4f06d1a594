//! What a Downtime says at each stage of its course, and of what it names.

use jiff::SignedDuration;
use serde_json::{Value, json};

use super::*;
use crate::{
    api::watch::Objects,
    status::worlds_tests::{object, well},
};

const START: &str = "2026-12-07T06:00:00Z";

fn downtime(more: &Value) -> Downtime {
    let mut spec = json!({"siteRef": {"name": "s"}, "start": START, "end": "2026-12-09T18:00:00Z", "drainFor": "2d"});
    for (field, value) in more.as_object().unwrap() {
        spec[field] = value.clone();
    }
    serde_json::from_value(object("Downtime", "roof", spec)).unwrap()
}

/// A VM of the cloud with these cores, which drains or not.
fn pilot_vm(name: &str, cloud: &str, cores: u64, drains: bool) -> PilotVM {
    let mut vm = PilotVM::new(name, crds::vm::PilotVMSpec::default());
    vm.metadata.namespace = Some("n".into());
    (vm.spec.cloud_ref.name, vm.spec.offering.cores) = (cloud.into(), serde_json::from_value(json!(cores)).unwrap());
    let says = ConditionType::Draining.says(Some(drains), Reason::Downtime, "a new roof", None);
    vm.status = Some(crds::vm::PilotVMStatus { conditions: vec![says], ..Default::default() });
    vm
}

/// The status so many hours after the start, with two VMs of 4 and 8 cores on the cloud, one of which drains, and one elsewhere.
fn status_of(downtime: &Downtime, hours: i64) -> DowntimeStatus {
    let mut state = well().state();
    let vms = [("a", "c", 4, true), ("b", "c", 8, false), ("d", "elsewhere", 16, true)];
    state.stores.vms = Objects::of(vms.map(|(name, cloud, cores, drains)| pilot_vm(name, cloud, cores, drains)));
    let now = START.parse::<jiff::Timestamp>().unwrap() + SignedDuration::from_hours(hours);
    status(&Pass::of(&state, now), downtime)
}

/// Status, reason and message of a condition.
fn says(status: &DowntimeStatus, type_: ConditionType) -> (&str, &str, &str) {
    let c = type_.among(&status.conditions).unwrap();
    (&c.status, &c.reason, &c.message)
}

#[test]
fn each_stage_of_a_downtime_is_shown() {
    let (draining, active) = (ConditionType::Draining, ConditionType::Active);
    let roof = downtime(&json!({}));
    for (hours, drains, closed) in [
        (-49, ("False", "Announced"), ("False", "Announced")),
        (-48, ("True", "Downtime"), ("False", "Announced")),
        (0, ("True", "Downtime"), ("True", "VMsLeft")),
        (60, ("False", "Over"), ("False", "Over")),
    ] {
        let status = status_of(&roof, hours);
        let (d, a) = (says(&status, draining), says(&status, active));
        assert_eq!(((d.0, d.1), (a.0, a.1)), (drains, closed), "{hours} h after its start");
        assert_eq!(says(&status, ConditionType::Ready).0, "True");
    }
    let announced = status_of(&roof, -49);
    assert_eq!(says(&announced, draining).2, "the draining begins at 2026-12-05T06:00:00Z");
    assert_eq!(announced.drains_at.unwrap().0.to_string(), "2026-12-05T06:00:00Z");
}

#[test]
fn vms_of_its_clouds_are_counted_and_those_beyond_what_may_stay_are_named() {
    let status = status_of(&downtime(&json!({})), 1);
    assert_eq!((status.vms, status.draining), (2, 1), "those elsewhere are not its own");
    let (_, _, text) = says(&status, ConditionType::Active);
    assert!(text.contains("2 VMs with 12 cores are still there") && text.ends_with("(clouds: c)"), "{text}");
    for (keep, reason) in [
        (json!({"cores": 12}), "Downtime"),
        (json!({"cores": 11}), "VMsLeft"),
        (json!({"vms": 1}), "VMsLeft"),
        (json!({"gpus": 0}), "Downtime"),
    ] {
        let status = status_of(&downtime(&json!({ "keep": keep })), 1);
        assert_eq!(says(&status, ConditionType::Active).1, reason, "{keep}");
    }
}

#[test]
fn what_a_downtime_names_and_nobody_has_is_said_and_it_is_not_ready() {
    for (more, said) in [
        (json!({"siteRef": {"name": "t"}}), "Site \"t\" does not exist"),
        (json!({"cloudRef": {"name": "d"}}), "Cloud \"d\" does not exist"),
        (json!({"siteRef": {"name": "t"}, "cloudRef": {"name": "c"}}), "belongs to site \"s\", and not to \"t\""),
    ] {
        let status = status_of(&downtime(&more), 1);
        let (resolved, reason, text) = says(&status, ConditionType::Resolved);
        assert_eq!((resolved, reason), ("False", "ReferenceMissing"), "{text}");
        assert!(text.contains(said), "{text}");
        assert_eq!(says(&status, ConditionType::Ready).0, "False");
    }
    let status = status_of(&downtime(&json!({"cloudRef": {"name": "c"}})), 1);
    assert_eq!((says(&status, ConditionType::Ready).0, status.vms), ("True", 2));
}
