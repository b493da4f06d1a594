use broker::{
    demand::TaskQueue,
    experience::Waiting,
    plan::{Free, Measured, Soon, plan},
};
use serde_json::{Value, json};

use super::*;
use crate::round::{
    learn::restrain,
    snapshot::{
        snapshot,
        tests::{queue, world},
    },
};

/// A world with these VMs: ordered at 11:40, with this status, and what DIRAC says of their pilots: power and jobs.
fn with(vms: usize, status: Value, power: f64, jobs: Value) -> World {
    world(|w| {
        let one = w["vms"][0].clone();
        let all = (0..vms).map(|n| {
            let mut vm = one.clone();
            (vm["metadata"]["name"], vm["metadata"]["uid"]) = (json!(format!("cpu-{n}")), json!(format!("u{n}")));
            vm["metadata"]["creationTimestamp"] = json!("2026-11-24T11:40:00Z");
            vm["spec"]["forJobs"] = json!([{"jobs": 8, "cpuTime": 3600}]);
            vm["status"] = status.clone();
            vm
        });
        w["vms"] = all.collect();
        for n in 0..vms {
            let reference = stamp::reference(&format!("u{n}"));
            w["rows"]["by_reference"][&reference] = json!({"reference": reference, "status": "Running", "current_job": 1,
                "idle_seconds": null, "updated": null, "jobs": null, "running": null, "power": (power * 100.0) as u64});
            w["rows"]["jobs"][&reference] = jobs.clone();
        }
    })
}
fn running_since(at: &str) -> Value {
    json!({"launchedAt": "2026-11-24T11:41:00Z", "runningSince": format!("2026-11-24T{at}Z")})
}
/// Jobs of a pilot that took eight within 70 seconds: all run, or all ended after a minute.
fn eight(end: bool) -> Value {
    let running: Vec<Value> =
        (1..=8).map(|job| json!({"job": job, "since": "2026-11-24T11:59:30Z", "status": "Running"})).collect();
    match end {
        true => {
            json!({"took": 8, "ended": 8, "measured": 8, "lately": [60, 60, 60, 60, 60, 60, 60, 60], "changed": "2026-11-24T11:59:00Z"})
        }
        false => json!({"took": 8, "running": running, "changed": "2026-11-24T11:46:10Z"}),
    }
}

fn tell_all(taken: &mut Snapshot, measures: &mut Measures, world: &World) {
    let waiting = Waiting::of(&taken.vos, &taken.queues);
    restrain(taken, &mut Default::default(), world, &[], &waiting);
    measure(taken, measures, world, &[], &waiting.classes);
}

/// What a round makes of these worlds, one after the other: the last snapshot, for so many jobs that wait.
fn after(worlds: &[&World], jobs: u64) -> Snapshot {
    let mut measures = Measures::default();
    let mut last = Snapshot::default();
    for world in worlds {
        last = snapshot(world, vec![queue(jobs)]);
        tell_all(&mut last, &mut measures, world);
    }
    last
}

#[test]
fn three_vms_show_how_long_one_boots_how_fast_it_is_and_how_quickly_it_fills() {
    let shown = |vms: usize| {
        let taken = after(&[&with(vms, running_since("11:45:00"), 17.0, eight(false))], 3);
        let offering = &taken.clouds[0].offerings[0];
        (offering.measured, offering.power)
    };
    assert_eq!(shown(2), (Measured::default(), None), "two are too few");
    let known =
        Measured { boot: Some(300), late: Some(300), success: Some(97), fetch: Some(10), ..Measured::default() };
    assert_eq!(shown(3), (known, Some(1_700)));
}

#[test]
fn a_vm_that_boots_is_expected_when_others_had_their_first_job() {
    let ran = with(3, running_since("11:45:00"), 17.0, json!({}));
    let mut boots = with(4, json!({"launchedAt": "2026-11-24T11:58:20Z"}), 0.0, json!({}));
    boots.rows = None;
    for vm in &mut boots.vms {
        let vm = Arc::make_mut(vm);
        let ordered = "2026-11-24T11:58:00Z".parse::<jiff::Timestamp>().unwrap();
        vm.metadata.creation_timestamp = Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(ordered));
    }
    let taken = after(&[&ran, &boots], 3);
    assert_eq!(taken.vms[0].life, Life::Booting { ready_in: 180 }, "300 s, of which 120 have passed");
}

#[test]
fn cpu_time_passes_as_fast_as_the_cores_are() {
    let left = |power: f64| after(&[&with(1, running_since("11:50:00"), power, json!({}))], 3).vms[0].cpu_time;
    assert_eq!(left(0.0), 86_400, "nobody says: the allowance is not passed");
    // 600 s and the margin of 300 s, less the allowance.
    assert_eq!(left(100.0), 86_400 + 18_000 - 90_000);
}

#[test]
fn short_jobs_follow_each_other_and_no_vm_is_bought_for_them() {
    let ended = with(3, running_since("11:45:00"), 17.0, eight(true));
    let runs = with(3, running_since("11:45:00"), 17.0, eight(false));
    let taken = after(&[&ended, &runs], 24);
    assert_eq!(taken.run_times.iter().map(|r| (r.vo.as_str(), r.seconds)).collect::<Vec<_>>(), [("biomed", 60)]);
    let all = Free { cores: 8, ..Free::default() };
    assert!(
        taken.vms.iter().all(|vm| matches!(&vm.life, Life::Running { soon, .. }
        if matches!(&soon[..], [Soon { in_seconds: 30, free }] if free.cores == all.cores))),
        "{:?}",
        taken.vms[0].life
    );
    assert_eq!(plan(&taken).launches, [], "24 jobs begin in half a minute where a VM would take five");
    let unknown = after(&[&runs], 24);
    assert!(unknown.run_times.is_empty() && !plan(&unknown).launches.is_empty());
}

#[test]
fn where_jobs_of_two_classes_run_on_a_vm_nobody_knows_how_long_either_runs() {
    let ended = with(3, running_since("11:45:00"), 17.0, eight(true));
    let mut measures = Measures::default();
    let long = TaskQueue { id: 2, cpu_time: 80_000, ..queue(1) };
    let mut taken = snapshot(&ended, vec![queue(8), long]);
    tell_all(&mut taken, &mut measures, &ended);
    assert_eq!(taken.run_times, []);
    // The others may still run when none of them waits any more.
    let later = after_with(&mut measures, &ended);
    assert_eq!(later.run_times, []);
}
fn after_with(measures: &mut Measures, world: &World) -> Snapshot {
    let mut taken = snapshot(world, vec![queue(8)]);
    tell_all(&mut taken, measures, world);
    taken
}

#[test]
fn a_vm_that_waited_for_its_first_job_says_nothing_of_boots() {
    let mut waited = with(3, running_since("11:59:00"), 17.0, json!({}));
    waited.unneeded = (0..3).map(|n| (format!("cpu-{n}"), waited.now)).collect();
    assert_eq!(after(&[&waited], 3).clouds[0].offerings[0].measured.boot, None);
    let mut spare = with(3, running_since("11:59:00"), 17.0, json!({}));
    for vm in &mut spare.vms {
        Arc::make_mut(vm).spec.for_jobs.clear();
    }
    assert_eq!(after(&[&spare], 3).clouds[0].offerings[0].measured.boot, None);
}

#[test]
fn of_vms_that_never_came_the_next_ones_are_expected_to_fail_as_often() {
    let ended = json!({"launchedAt": "2026-11-24T11:41:00Z", "conditions": [{"type": "Ended", "status": "True",
        "reason": "BootDeadlineMissed", "message": "", "lastTransitionTime": "2026-11-24T12:00:00Z"}]});
    let mut failed = with(3, ended, 0.0, json!({}));
    failed.rows = None;
    assert_eq!(after(&[&failed], 3).clouds[0].offerings[0].measured.success, Some(60));
}
