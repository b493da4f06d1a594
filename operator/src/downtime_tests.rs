use jiff::SignedDuration;
use serde_json::{Value, json};

use super::*;

fn downtime(spec: Value) -> Downtime {
    let mut whole = json!({"siteRef": {"name": "s"}, "start": "2026-12-07T06:00:00Z", "end": "2026-12-07T18:00:00Z"});
    for (name, value) in spec.as_object().unwrap() {
        whole[name] = value.clone();
    }
    let value = json!({"apiVersion": "diracgrid.org/v1alpha1", "kind": "Downtime",
        "metadata": {"name": "power", "namespace": "n"}, "spec": whole});
    serde_json::from_value(value).unwrap()
}
fn cloud(name: &str, site: &str) -> Arc<Cloud> {
    let value = json!({"apiVersion": "diracgrid.org/v1alpha1", "kind": "Cloud", "metadata": {"name": name},
        "spec": {"siteRef": {"name": site}, "images": {}}});
    Arc::new(serde_json::from_value(value).unwrap())
}
fn pool(cloud: &str, max_cpu_time: &str) -> Arc<PilotPool> {
    let value = json!({"apiVersion": "diracgrid.org/v1alpha1", "kind": "PilotPool", "metadata": {"name": cloud},
        "spec": {"siteRef": {"name": "s"}, "vos": [], "clouds": [{"name": cloud}], "machine": {},
            "matching": {"maxCpuTime": max_cpu_time}, "scaling": {"max": 1}}});
    Arc::new(serde_json::from_value(value).unwrap())
}
fn course(spec: Value) -> Course {
    let clouds = [cloud("a", "s"), cloud("b", "s"), cloud("c", "other")];
    Course::of(&downtime(spec), &clouds, &[pool("a", "10h"), pool("b", "2h"), pool("c", "30h")])
}
/// The hour of the seventh of December.
fn hour(n: i64) -> Timestamp {
    "2026-12-07T00:00:00Z".parse::<Timestamp>().unwrap() + SignedDuration::from_hours(n)
}

#[test]
fn a_downtime_of_a_site_closes_its_clouds_and_one_of_a_cloud_that_cloud() {
    assert_eq!(course(json!({})).clouds, ["a", "b"]);
    assert_eq!(course(json!({"cloudRef": {"name": "b"}})).clouds, ["b"]);
    assert_eq!(course(json!({"cloudRef": {"name": "gone"}})).clouds, [""; 0]);
}

#[test]
fn draining_begins_as_long_before_the_start_as_is_said_or_as_the_longest_job_takes() {
    assert_eq!(course(json!({"drainFor": "3h"})).drains, hour(3));
    assert_eq!(course(json!({"drainFor": "0s"})).drains, hour(6));
    assert_eq!(course(json!({})).drains, hour(-4));
    assert_eq!(course(json!({"cloudRef": {"name": "b"}})).drains, hour(4));
    assert_eq!(course(json!({"cloudRef": {"name": "gone"}})).drains, hour(6));
}

#[test]
fn a_downtime_is_announced_drains_is_active_and_is_over_whichever_way_the_clock_jumps() {
    let course = course(json!({"drainFor": "2h"}));
    let stage = |n| course.stage(hour(n));
    assert_eq!((stage(-1_000), stage(3)), (Stage::Announced, Stage::Announced));
    assert_eq!((stage(4), stage(5)), (Stage::Draining, Stage::Draining));
    assert_eq!((stage(6), stage(17)), (Stage::Active, Stage::Active));
    assert_eq!((stage(18), stage(100_000)), (Stage::Over, Stage::Over));
    assert_eq!(stage(4), Stage::Draining, "back again");
    assert_eq!((course.stage(Timestamp::MIN), course.stage(Timestamp::MAX)), (Stage::Announced, Stage::Over));
}

#[test]
fn one_that_ends_before_it_begins_or_begins_at_the_end_of_time_never_is() {
    let turned = json!({"start": "2026-12-07T18:00:00Z", "end": "2026-12-07T06:00:00Z"});
    assert_eq!(course(turned).stage(hour(10)), Stage::Over);
    let early = json!({"start": "-009999-01-10T00:00:00Z", "drainFor": "60d"});
    assert_eq!(course(early).drains, Timestamp::MIN);
}

#[test]
fn what_is_closed_is_told_as_seen_from_now() {
    let closing = |spec: Value, n| {
        let downtime = downtime(spec.clone());
        course(spec).closing(&downtime, hour(n))
    };
    let seen = closing(json!({"drainFor": "2h", "keep": {"cores": 80}}), 5).unwrap();
    assert_eq!((seen.drains_in, seen.starts_in), (0, 3_600));
    assert_eq!(seen.keep, Limits { cores: Some(80), ..Limits::default() }, "cores alone are bounded");
    assert_eq!(
        seen.message,
        "Downtime power closes site s from 2026-12-07T06:00:00Z to 2026-12-07T18:00:00Z, and 80 cores may stay"
    );
    let nothing = closing(json!({"drainFor": "2h"}), 3).unwrap();
    assert_eq!((nothing.drains_in, nothing.starts_in, nothing.keep.vms), (3_600, 10_800, Some(0)));
    assert!(nothing.message.ends_with("nothing may stay"));
    assert_eq!(closing(json!({}), 18), None, "an end in the past");
}

#[test]
fn a_downtime_that_was_deleted_closes_nothing() {
    let mut gone = downtime(json!({}));
    gone.metadata.deletion_timestamp = Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(hour(1)));
    assert_eq!(course(json!({})).closing(&gone, hour(7)), None);
}
