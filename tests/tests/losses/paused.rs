//! `diracgrid.org/paused: "true"` on an installation, a cloud or a pool: nothing is made or taken away there, and all is still shown.

use std::{collections::BTreeSet, time::Duration};

use testbeds::{
    host::until::until,
    real::{FORTY, NAMESPACE},
    systems::openstack::PROJECT,
};

use super::scene::Scene;

const ANNOTATION: &str = "diracgrid.org/paused";
/// How long nothing may happen; a plan is made each five seconds.
const STILL: Duration = Duration::from_secs(20);

pub async fn where_a_person_asks_for_a_pause_nothing_is_made_or_taken_away(scene: &mut Scene) {
    for object in ["diracinstallation/dirac", "cloud/lyon", "pilotpool/cpu"] {
        scene.run_jobs(&[(&FORTY[0], 1)], 15).await;
        annotate(scene, object, &format!("{ANNOTATION}=true"));
        until(&format!("{object} says that it is paused"), Duration::from_secs(30), async || {
            match scene.condition(object, "Paused") {
                Some(c) if c.status == "True" => Ok(()),
                other => Err(format!("{other:?}")),
            }
        })
        .await
        .unwrap();
        until("the job is Done and its guest has stopped", Duration::from_secs(120), async || {
            scene.all_is_well();
            let servers = scene.real.openstack.servers(PROJECT).await.unwrap();
            let states: Vec<&str> = servers.iter().map(|s| s.status.as_str()).collect();
            if states == ["SHUTOFF"] { Ok(()) } else { Err(format!("{states:?}")) }
        })
        .await
        .unwrap();
        let (servers, objects) = (scene.history().len(), uids(scene));
        scene.real.submit(&FORTY[0], 1, 5).unwrap();
        let begun = std::time::Instant::now();
        until(&format!("{object} is paused and nothing happens"), STILL * 3, async || {
            let history = scene.history();
            assert_eq!(history.len(), servers, "{object} is paused, and a VM was bought");
            assert_eq!(history.iter().filter(|life| life.ended.is_none()).count(), 1, "{object}: a VM was deleted");
            assert_eq!(uids(scene), objects, "{object}: a PilotVM was made or taken away");
            if begun.elapsed() < STILL {
                return Err(format!("{} s", begun.elapsed().as_secs()));
            }
            let vm = scene.pilotvms_of("cpu")[0]["metadata"]["name"].as_str().unwrap().to_owned();
            is_shown(scene, object, &vm)
        })
        .await
        .unwrap();
        annotate(scene, object, &format!("{ANNOTATION}-"));
        scene.jobs_end_and_nothing_is_left().await;
    }
}

/// The job that waits is shown with the reason, and what happens to the VM that stopped.
fn is_shown(scene: &Scene, object: &str, vm: &str) -> Result<(), String> {
    let installation = scene.kubectl.object(NAMESPACE, "diracinstallation/dirac").unwrap();
    if installation["status"]["waitingJobs"] != 1 {
        return Err(format!("{object}: the installation shows {}", installation["status"]));
    }
    match scene.condition("pilotpool/cpu", "DemandMet") {
        Some(met) if met.status == "False" && met.reason == "Paused" => {}
        other => return Err(format!("{object}: the pool says {other:?}")),
    }
    match scene.condition(&format!("pilotvm/{vm}"), "Paused") {
        Some(paused) if paused.status == "True" => Ok(()),
        other => Err(format!("{object}: the PilotVM says {other:?}")),
    }
}

fn uids(scene: &Scene) -> BTreeSet<String> {
    let all = scene.kubectl.objects(NAMESPACE, "pilotvms").unwrap();
    all.iter().map(|vm| vm["metadata"]["uid"].as_str().unwrap().to_owned()).collect()
}

fn annotate(scene: &Scene, object: &str, annotation: &str) {
    scene.kubectl.run(&["annotate", object, "--namespace", NAMESPACE, annotation]).unwrap();
}
