use serde_json::{Value, json};

use super::*;

fn vm(status: Value) -> PilotVM {
    let value = json!({"apiVersion": "diracgrid.org/v1alpha1", "kind": "PilotVM",
        "metadata": {"name": "cpu-1", "namespace": "demo", "uid": "u", "creationTimestamp": "2026-11-24T10:00:00Z"},
        "spec": serde_json::to_value(crds::vm::PilotVMSpec {
            boot_deadline: crds::Duration::from_secs(1_800),
            max_lifetime: crds::Duration::from_secs(86_400),
            ..crds::vm::PilotVMSpec::default()
        }).unwrap(), "status": status});
    let mut vm: PilotVM = serde_json::from_value(value).unwrap();
    vm.spec.offering.cores = 8;
    vm
}
fn minute(n: i64) -> Timestamp {
    "2026-11-24T10:00:00Z".parse::<Timestamp>().unwrap() + SignedDuration::from_mins(n)
}
fn rows(read: i64, status: &str, job: u64) -> Rows {
    let reference = stamp::reference("u");
    serde_json::from_value(json!({"started": minute(read).to_string(), "again": {}, "by_reference": {&reference: {
        "reference": reference, "status": status, "current_job": job, "idle_seconds": null, "updated": null, "jobs": null}}}))
    .unwrap()
}
fn phase(vm: &PilotVM, rows: Option<&Rows>, now: i64) -> Life {
    live(vm, false, rows, Since::default(), minute(now))
}
fn boots() -> Life {
    Life::Booting { ready_in: 0 }
}
fn runs(cores: u64) -> Life {
    Life::Running { free: Free { cores, ..Free::default() }, soon: vec![] }
}
fn launched_at(n: i64) -> Value {
    json!({"launchedAt": minute(n).to_string()})
}

#[test]
fn a_vm_that_the_provider_announced_to_take_back_is_no_supply() {
    let says = |status: &str| {
        let mut vm = vm(launched_at(1));
        let status = json!({"type": "Leaving", "status": status, "reason": "ReclaimAnnounced", "message": "soon",
            "lastTransitionTime": minute(2).to_string()});
        vm.status.as_mut().unwrap().conditions = vec![serde_json::from_value(status).unwrap()];
        phase(&vm, Some(&rows(2, "Running", 0)), 2)
    };
    assert_eq!(says("True"), Life::Ending);
    assert_eq!(says("False"), runs(8));
}

#[test]
fn a_vm_that_drains_by_its_condition_drains_for_the_plan_until_its_pilot_ends() {
    let says = |status: &str| {
        let mut vm = vm(launched_at(1));
        let status = json!({"type": "Draining", "status": status, "reason": "PoolMax", "message": "too many",
            "lastTransitionTime": minute(2).to_string()});
        vm.status.as_mut().unwrap().conditions = vec![serde_json::from_value(status).unwrap()];
        vm
    };
    assert_eq!(phase(&says("True"), Some(&rows(2, "Running", 7)), 2), Life::Draining);
    assert_eq!(phase(&says("True"), Some(&rows(2, "Done", 7)), 2), Life::Ending);
    assert_eq!(phase(&says("False"), Some(&rows(2, "Running", 0)), 2), runs(8));
}

#[test]
fn a_vm_that_was_just_made_boots() {
    assert_eq!(phase(&vm(Value::Null), None, 1), boots());
    assert_eq!(phase(&vm(launched_at(1)), Some(&rows(2, "Waiting", 0)), 2), boots());
}

#[test]
fn a_vm_whose_object_is_being_deleted_or_says_that_it_ended_is_no_supply() {
    let mut deleted = vm(launched_at(1));
    deleted.metadata.deletion_timestamp = serde_json::from_value(json!(minute(2).to_string())).unwrap();
    assert_eq!(phase(&deleted, Some(&rows(3, "Running", 0)), 3), Life::Ending);
    let mut ended = vm(launched_at(1));
    let status = json!({"type": "Ended", "status": "True", "reason": "Idle", "message": "it stopped by itself",
        "lastTransitionTime": minute(2).to_string()});
    ended.status.as_mut().unwrap().conditions = vec![serde_json::from_value(status).unwrap()];
    assert_eq!(phase(&ended, Some(&rows(3, "Running", 0)), 3), Life::Ending);
}

#[test]
fn a_vm_that_no_cloud_made_in_time_is_no_supply() {
    assert_eq!(phase(&vm(Value::Null), None, 30), boots(), "its time is not over yet");
    assert_eq!(phase(&vm(Value::Null), None, 31), Life::Ending);
}

#[test]
fn a_pilot_is_late_only_when_its_own_row_was_read_after_the_deadline() {
    let old = rows(20, "Waiting", 0);
    assert_eq!(phase(&vm(launched_at(1)), Some(&old), 40), boots());
    assert_eq!(phase(&vm(launched_at(1)), Some(&rows(35, "Waiting", 0)), 40), Life::Ending);
    let reference = stamp::reference("u");
    let again = old.clone().with(
        minute(35),
        std::slice::from_ref(&reference),
        old.by_reference.values().map(|row| row.as_ref().clone()).collect(),
    );
    assert_eq!(phase(&vm(launched_at(1)), Some(&again), 40), Life::Ending);
}

#[test]
fn a_row_that_says_running_is_believed_before_the_status_does() {
    assert_eq!(phase(&vm(launched_at(1)), Some(&rows(2, "Running", 0)), 3), runs(8));
}

#[test]
fn a_pilot_that_has_just_begun_counts_as_free_for_half_a_minute() {
    let running = vm(json!({"launchedAt": minute(1).to_string(), "runningSince": minute(3).to_string()}));
    let with_job = rows(3, "Running", 7);
    let after = |s| live(&running, false, Some(&with_job), Since::default(), minute(3) + SignedDuration::from_secs(s));
    assert_eq!([after(0), after(29)], [runs(8), runs(8)]);
    assert_eq!([after(30), after(60)], [runs(0), runs(0)]);
}

/// A VM with 8 cores whose pilot asks since minute 3, and has so many jobs, the last one since minute 10 or none since then.
fn works(running: u64, tags: &[&str]) -> (PilotVM, Rows) {
    let mut vm = vm(json!({"launchedAt": minute(1).to_string(), "runningSince": minute(3).to_string()}));
    vm.spec.idle_timeout = crds::Duration::from_secs(300);
    let tags = tags.iter().map(|tag| (*tag).to_owned()).collect();
    vm.spec.for_jobs = vec![crds::vm::JobsOfClass { jobs: 1, tags, ..crds::vm::JobsOfClass::default() }];
    let job = |job: u64| json!({"job": job, "since": minute(10).to_string(), "status": "Running"});
    let jobs =
        json!({"running": (0..running).map(job).collect::<Vec<_>>(), "took": 9, "changed": minute(10).to_string()});
    let mut rows = rows(10, "Running", 7);
    rows.jobs = serde_json::from_value(json!({stamp::reference("u"): jobs})).unwrap();
    (vm, rows)
}

#[test]
fn the_cores_that_no_job_of_a_pilot_takes_are_free_while_it_fills() {
    let (vm, rows) = works(3, &[]);
    assert_eq!(phase(&vm, Some(&rows), 11), runs(5));
    assert_eq!(phase(&vm, Some(&rows), 12), runs(0), "it took no more");
    let (vm, rows) = works(1, &["WholeNode"]);
    assert_eq!(phase(&vm, Some(&rows), 11), runs(0), "its jobs take a whole VM each");
}

#[test]
fn of_a_vm_that_was_made_for_jobs_of_several_sizes_each_job_counts_as_one_of_the_largest() {
    let free = |tags: [&str; 2]| {
        let (mut vm, rows) = works(1, &[]);
        vm.spec.for_jobs = tags
            .map(|tag| crds::vm::JobsOfClass { jobs: 1, tags: vec![tag.to_owned()], ..Default::default() })
            .to_vec();
        phase(&vm, Some(&rows), 11)
    };
    assert_eq!(free(["4Processors", "2Processors"]), runs(4));
    assert_eq!(free(["2Processors", "4Processors"]), runs(4));
    assert_eq!(free(["WholeNode", "4Processors"]), runs(0), "one may have the whole VM");
}

#[test]
fn a_vm_whose_jobs_have_ended_is_supply_again_until_its_pilot_gives_up() {
    let (vm, rows) = works(0, &[]);
    assert_eq!(phase(&vm, Some(&rows), 15), runs(8));
    assert_eq!(phase(&vm, Some(&rows), 16), runs(0));
}

#[test]
fn of_a_vm_of_which_nobody_says_what_it_runs_nothing_is_known_to_be_free() {
    let (vm, mut rows) = works(0, &[]);
    rows.jobs = serde_json::from_value(json!({stamp::reference("u"): {"mayHaveMore": true, "took": 9}})).unwrap();
    assert_eq!(phase(&vm, Some(&rows), 11), runs(0));
}

#[test]
fn a_vm_that_has_stopped_is_no_supply_although_its_pilot_could_still_ask() {
    let (vm, rows) = works(0, &[]);
    assert_eq!(live(&vm, true, Some(&rows), Since::default(), minute(11)), Life::Ending);
    assert_eq!(phase(&vm, Some(&rows), 11), runs(8));
}

#[test]
fn a_vm_beyond_its_lifetime_is_no_supply() {
    let running = vm(json!({"launchedAt": minute(1).to_string(), "runningSince": minute(3).to_string()}));
    assert_eq!(phase(&running, Some(&rows(2_000, "Running", 7)), 2_000), Life::Ending);
}

#[test]
fn a_pilot_that_says_that_it_has_ended_is_no_supply_although_its_vm_is_there() {
    assert_eq!(phase(&vm(launched_at(1)), Some(&rows(3, "Done", 0)), 3), Life::Ending);
    let running = vm(json!({"launchedAt": minute(1).to_string(), "runningSince": minute(3).to_string()}));
    assert_eq!(phase(&running, Some(&rows(9, "Failed", 7)), 9), Life::Ending);
}
