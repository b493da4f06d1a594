//! A VM is given back in the moment in which its pilot takes a job: the job lives.

use std::time::Duration;

use serde_json::json;
use testbeds::{
    host::until::until,
    real::{Kind, NAMESPACE, Real},
};

use super::{pool::Pool, scene::Scene};

const JOB: Kind =
    Kind { name: "just taken", group: "biomed_user", jobs: 1, asks: "CPUTime = 300; Tags = \"JustTaken\";" };
/// How long a VM with a job must live on although it is to be given back: rounds are each five seconds.
const LIVES: Duration = Duration::from_secs(25);
/// Rows are read so rarely that the operator never learns by itself that a pilot has asked.
const SELDOM: [&str; 2] = ["--rows-interval=3600", "--busy-interval=3600"];

pub async fn a_give_back_that_meets_a_pilot_with_a_job_lets_it_live(scene: &mut Scene) {
    let scaling = json!({"max": 1, "bootDeadline": "10m", "idleTimeout": "1m"});
    let pool = Pool { name: "taken", tag: "JustTaken", longest: "24h", scaling };
    scene.kubectl.apply(&pool.manifest(&Real::pilot())).unwrap();
    scene.stop();
    scene.revive_with(&SELDOM).await;
    for gone in
        [&["scale", "pilotpool", "taken", "--replicas=0"][..], &["delete", "pilotpool", "taken", "--wait=false"]]
    {
        let what = gone[0];
        // The job of the first time keeps the one VM of the pool busy: each has its own.
        scene.run_jobs(&[(&JOB, 1)], 60).await;
        let vms = scene.pilotvms_of("taken");
        let [vm] = &vms[..] else { panic!("{vms:?}") };
        assert!(vm["status"]["runningSince"].is_null(), "the operator knows already that the pilot asked: {vm}");
        scene.kubectl.run(&[gone, &["--namespace", NAMESPACE]].concat()).unwrap();
        let begun = std::time::Instant::now();
        until(&format!("{what}: the VM whose pilot has just taken a job lives"), LIVES * 2, async || {
            scene.all_is_well();
            assert_eq!(scene.alive_of("taken").len(), 1, "{what}: the VM was given back with its job");
            if begun.elapsed() >= LIVES { Ok(()) } else { Err(format!("{} s", begun.elapsed().as_secs())) }
        })
        .await
        .unwrap();
        scene.stop();
        scene.revive().await;
        scene.jobs_end_and_nothing_is_left().await;
        if what == "scale" {
            scene.kubectl.run(&["scale", "pilotpool", "taken", "--replicas=1", "--namespace", NAMESPACE]).unwrap();
            scene.stop();
            scene.revive_with(&SELDOM).await;
        }
    }
}
