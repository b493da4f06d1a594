//! Guests that hang: one whose pilot asked for work once, and one that took a job. Both never stop by themselves.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};
use testbeds::{
    host::until::until,
    real::{Kind, NAMESPACE, Real},
};

use super::{pool::Pool, scene::Scene};

/// Its jobs ask for a pilot that never asks for them.
const SILENT: Kind =
    Kind { name: "for a silent pilot", group: "biomed_user", jobs: 1, asks: "CPUTime = 300; Tags = \"Silent\";" };
const STUCK: Kind =
    Kind { name: "for a guest that hangs", group: "biomed_user", jobs: 1, asks: "CPUTime = 300; Tags = \"Stuck\";" };
/// What a guest is given beyond all that it may do (`operator/src/life.rs`).
const GRACE: Duration = Duration::from_secs(300);
/// The pools' idleTimeout; maxLifetime and maxCpuTime of the second.
const IDLE: Duration = Duration::from_secs(30);
const LIFETIME: Duration = Duration::from_secs(600);
const LONGEST: Duration = Duration::from_secs(360);
/// What it takes on a busy machine until an end is seen: the operator looks each few seconds.
const SEEN: Duration = Duration::from_secs(90);

pub async fn guests_that_hang_are_ended_and_replaced(scene: &mut Scene) {
    let scaling = json!({"max": 1, "bootDeadline": "5m", "idleTimeout": "30s"});
    let silent = Pool { name: "silent", tag: "Silent", longest: "6m", scaling };
    let scaling = json!({"max": 1, "bootDeadline": "5m", "idleTimeout": "30s", "maxLifetime": "10m"});
    let stuck = Pool { name: "stuck", tag: "Stuck", longest: "6m", scaling };
    let asks_for_another = format!(
        "sed -i -E 's/^(DIRAC_(REQUIRED_)?TAGS)=.*/\\1=Other/' /etc/dirac-operator/pilot.env; {}",
        Real::pilot()
    );
    scene.kubectl.apply(&silent.manifest(&format!("{asks_for_another} || true\nsleep 7200"))).unwrap();
    let takes_one = format!(
        "({}) >/tmp/pilot.log 2>&1 &\nuntil grep -q 'Received JobID=' /tmp/pilot.log; do sleep 0.2; done\nkill -STOP -1\nsleep 7200",
        Real::pilot()
    );
    scene.kubectl.apply(&stuck.manifest(&takes_one)).unwrap();
    scene.real.submit(&SILENT, 1, 5).unwrap();
    let job = scene.real.submit(&STUCK, 1, 5).unwrap()[0];
    let of_silent = runs(scene, "silent").await;
    let of_stuck = runs(scene, "stuck").await;
    until("the job is taken and its guest hangs", Duration::from_secs(120), async || {
        let status = scene.real.dirac.sql(&format!("select Status from JobDB.Jobs where JobID = {job}")).unwrap();
        if ["Matched", "Running"].contains(&status.trim()) { Ok(()) } else { Err(status) }
    })
    .await
    .unwrap();
    // What takes the place of the first works.
    scene.kubectl.apply(&silent.manifest(&Real::pilot())).unwrap();
    let asks_since = since(&of_silent["status"]["runningSince"]);
    ends(scene, &of_silent, "PilotSilent", asks_since, IDLE + GRACE).await;
    until("its job is Done by the one in its place", Duration::from_secs(180), async || {
        scene.all_is_well();
        match scene.real.jobs("Waiting").unwrap() + scene.alive_of("silent").len() {
            0 => Ok(()),
            n => Err(format!("{n} wait or live")),
        }
    })
    .await
    .unwrap();
    let made = since(&of_stuck["metadata"]["creationTimestamp"]);
    ends(scene, &of_stuck, "HardLimit", made, LIFETIME + LONGEST + GRACE).await;
    scene.is_given_up(job);
    scene.jobs_end_and_nothing_is_left().await;
    scene.kubectl.run(&["delete", "pilotpools", "silent", "stuck", "--namespace", NAMESPACE, "--timeout=60s"]).unwrap();
}

fn since(at: &Value) -> Timestamp {
    at.as_str().unwrap().parse().unwrap()
}

/// The PilotVM of this pool, once its pilot has asked for work.
async fn runs(scene: &Scene, pool: &str) -> Value {
    let mut found = Value::Null;
    until(&format!("the pilot of pool {pool} has asked"), Duration::from_secs(240), async || {
        found = scene.pilotvms_of(pool).into_iter().next().unwrap_or_default();
        if found["status"]["runningSince"].is_string() { Ok(()) } else { Err(found["status"]["phase"].to_string()) }
    })
    .await
    .unwrap();
    found
}

/// Waits until the VM is deleted at Nova: not before it had all of its time, soon after, with the reason in an event.
async fn ends(scene: &Scene, vm: &Value, why: &str, since: Timestamp, limit: Duration) {
    let id = vm["status"]["providerId"].as_str().unwrap();
    let due = since + limit;
    let left = Duration::try_from(due.duration_since(Timestamp::now())).unwrap_or_default();
    until(&format!("{why}: the guest is ended after {} s", limit.as_secs()), left + SEEN, async || {
        scene.all_is_well();
        match scene.history().iter().find(|life| life.id == id).unwrap().ended {
            Some(_) => Ok(()),
            None => Err("it lives".to_owned()),
        }
    })
    .await
    .unwrap();
    assert!(Timestamp::now() >= due, "{why}: it was ended before its time");
    let told = scene.told("PilotVM", vm["metadata"]["name"].as_str().unwrap());
    assert!(told.iter().any(|(reason, note)| reason == "Ended" && note.starts_with(why)), "{told:?}");
}
