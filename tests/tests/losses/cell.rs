//! Nova's lists leave out servers, with 200, while the database of their cell is out of reach.

use std::time::Duration;

use serde_json::Value;
use testbeds::{
    host::{choice::is_full, until::until},
    real::{FORTY, Life, NAMESPACE},
};

use super::scene::Scene;

/// How long the cell is away.
const AWAY: Duration = Duration::from_secs(45);
/// Between two times.
const THERE: Duration = Duration::from_secs(6);
/// How long a part of the servers is left out.
const PARTLY: Duration = Duration::from_secs(25);
/// Reasons in which a Cloud says that it does not believe its provider's list.
const DOUBTS: [&str; 2] = ["MissingFromLists", "MassLoss"];

/// What was there before the lists went wrong.
struct Before {
    /// Id and end of each server.
    servers: Vec<(String, Option<u64>)>,
    /// UID of each PilotVM, and whether its life has ended.
    objects: Vec<(String, bool)>,
}

pub async fn a_cell_that_is_away_twice_costs_no_job_and_no_vm(scene: &mut Scene) {
    // Of a GPU, long and of one core: each has a VM of its own, whatever is bought first. Four are many at once; one is not.
    scene.run_jobs(&[(&FORTY[2], 2), (&FORTY[3], 1), (&FORTY[0], 1)], 260).await;
    let (before, ids) = (Before { servers: ends(&scene.history()), objects: pilotvms(scene) }, scene.alive());
    assert!(ids.len() >= 4, "{ids:?}");
    let times = ["the first time", "the second time"];
    for time in &times[..if is_full() { 2 } else { 1 }] {
        scene.real.openstack.cut_cell().unwrap();
        assert!(scene.is_unseen(&ids).await, "Nova lists none of them");
        a_fresh_operator_looks(scene).await;
        stays_and_is_doubted(scene, &format!("the cell is away {time}"), AWAY, &before).await;
        scene.real.openstack.mend_cell().unwrap();
        stays(scene, &format!("the cell is back {time}"), THERE, &before).await;
    }
    let (some, _) = ids.split_at(1);
    scene.way.down(some);
    a_fresh_operator_looks(scene).await;
    stays_and_is_doubted(scene, "one server is left out, and Nova cannot say where it is", PARTLY, &before).await;
    scene.way.show();
    scene.way.hide(some);
    a_fresh_operator_looks(scene).await;
    stays(scene, "one server is left out, and Nova knows it when asked", THERE, &before).await;
    // The Cloud has its doubt only until Nova's answer, which may be sooner than its status is written.
    until(
        "Nova is asked for the server that its list lacks: the list is not believed",
        Duration::from_secs(60),
        async || {
            if scene.way.asked_for(&some[0]) > 0 { Ok(()) } else { Err("nobody asked".to_owned()) }
        },
    )
    .await
    .unwrap();
    scene.way.show();
    until("the cloud has no doubts", Duration::from_secs(60), async || match doubt(scene) {
        None => Ok(()),
        Some(said) => Err(said),
    })
    .await
    .unwrap();
    scene.jobs_end_and_nothing_is_left().await;
    let made: Vec<String> = scene.history().into_iter().map(|life| life.id).collect();
    assert_eq!(made.len(), before.servers.len(), "no replacement was bought");
}

/// While all is quiet the driver asks Nova what has changed, and nothing has. An operator that has just begun asks for all, and goes by
/// what it is told; so does one while any VM boots or fails.
async fn a_fresh_operator_looks(scene: &mut Scene) {
    scene.stop();
    scene.revive().await;
}

/// Id and end of each server.
fn ends(history: &[Life]) -> Vec<(String, Option<u64>)> {
    history.iter().map(|life| (life.id.clone(), life.ended)).collect()
}

/// UID of each PilotVM, and whether its life has ended or is being ended.
fn pilotvms(scene: &Scene) -> Vec<(String, bool)> {
    let all = scene.kubectl.objects(NAMESPACE, "pilotvms").unwrap();
    let ended = |vm: &Value| {
        let conditions = vm["status"]["conditions"].as_array().map(Vec::as_slice).unwrap_or_default();
        let says = conditions.iter().any(|c| c["type"] == "Ended" && c["status"] == "True");
        says || vm["metadata"]["deletionTimestamp"].is_string()
    };
    all.iter().map(|vm| (vm["metadata"]["uid"].as_str().unwrap().to_owned(), ended(vm))).collect()
}

/// Nothing changes in Nova and no job is lost.
async fn stays(scene: &Scene, what: &str, how_long: Duration, before: &Before) {
    let begun = std::time::Instant::now();
    until(&format!("{what} for {} s", how_long.as_secs()), how_long * 2, async || {
        scene.all_is_well();
        assert_eq!(ends(&scene.history()), before.servers, "{what}: a server was deleted or bought");
        // While the cell is away Nova takes no deletion, and what is bought waits: what the operator believes is in its objects.
        assert_eq!(pilotvms(scene), before.objects, "{what}: a PilotVM was ended or made");
        if begun.elapsed() >= how_long { Ok(()) } else { Err(format!("{} s", begun.elapsed().as_secs())) }
    })
    .await
    .unwrap();
}

/// The same, and by its end the Cloud says what it does not believe.
async fn stays_and_is_doubted(scene: &Scene, what: &str, how_long: Duration, before: &Before) {
    stays(scene, what, how_long, before).await;
    assert!(doubt(scene).is_some(), "{what}: the Cloud says nothing of it");
}

/// What the Cloud says of a list that it does not believe.
fn doubt(scene: &Scene) -> Option<String> {
    let conditions = scene.kubectl.conditions(NAMESPACE, "cloud/lyon").unwrap();
    conditions.into_iter().find(|c| DOUBTS.contains(&c.reason.as_str())).map(|c| c.message)
}
