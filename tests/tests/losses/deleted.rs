//! Pools and clouds that somebody deletes while jobs run, and a PilotVM that is let go.

use std::time::Duration;

use serde_json::{Value, json};
use testbeds::{
    host::until::until,
    real::{Kind, NAMESPACE, Real},
    systems::openstack::lossy::Loss,
};

use super::{pool::Pool, scene::Scene};

const JOB: Kind =
    Kind { name: "of a deleted pool", group: "biomed_user", jobs: 1, asks: "CPUTime = 300; Tags = \"Deleted\";" };
const POOL: &str = "deleted";
/// A user who may edit the namespace, and nothing else.
const EDITOR: &str = "--as=editor";
/// What goes at once goes within this time on a busy machine.
const AT_ONCE: Duration = Duration::from_secs(90);

pub async fn what_is_deleted_goes_without_its_jobs_unless_a_person_says_so(scene: &mut Scene) {
    a_pool_drains_and_a_cloud_beside_another_goes(scene).await;
    a_pool_goes_at_once_where_that_is_said(scene).await;
    a_namespaces_editor_lets_a_pilotvm_go(scene).await;
}

fn pool() -> String {
    let scaling = json!({"max": 2, "bootDeadline": "5m", "idleTimeout": "1m"});
    Pool { name: POOL, tag: "Deleted", longest: "24h", scaling }.manifest(&Real::pilot())
}

fn delete(scene: &Scene, object: &str) {
    scene.kubectl.run(&["delete", object, "--namespace", NAMESPACE, "--wait=false"]).unwrap();
}

fn is_there(scene: &Scene, object: &str) -> bool {
    let words = ["get", object, "--namespace", NAMESPACE, "--ignore-not-found", "--output=name"];
    !scene.kubectl.run(&words).unwrap().trim().is_empty()
}

async fn goes(scene: &Scene, object: &str, patience: Duration) {
    until(&format!("{object} is gone"), patience, async || match is_there(scene, object) {
        false => Ok(()),
        true => Err(format!("{:?}", scene.kubectl.conditions(NAMESPACE, object))),
    })
    .await
    .unwrap();
}

/// Another Cloud of the same project, as it is while one name replaces another.
fn twin(scene: &Scene) -> String {
    let spec = scene.kubectl.object(NAMESPACE, "cloud/lyon").unwrap()["spec"].take();
    json!({"apiVersion": "diracgrid.org/v1alpha1", "kind": "Cloud", "metadata": {"name": "twin", "namespace": NAMESPACE}, "spec": spec})
        .to_string()
}

async fn a_pool_drains_and_a_cloud_beside_another_goes(scene: &mut Scene) {
    scene.kubectl.apply(&pool()).unwrap();
    scene.kubectl.apply(&twin(scene)).unwrap();
    scene.run_jobs(&[(&JOB, 1)], 90).await;
    let at_work = scene.alive_of(POOL);
    until("the other cloud is ready", AT_ONCE, async || match scene.condition("cloud/twin", "Ready") {
        Some(c) if c.status == "True" => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await
    .unwrap();
    // One more is on its way when the pool goes.
    scene.real.submit(&JOB, 1, 5).unwrap();
    until("a second VM is ordered", AT_ONCE, async || match scene.alive_of(POOL).len() {
        2 => Ok(()),
        n => Err(format!("{n} VMs")),
    })
    .await
    .unwrap();
    delete(scene, "pilotpool/deleted");
    delete(scene, "cloud/twin");
    goes(scene, "cloud/twin", AT_ONCE).await;
    let is_at_work = |scene: &Scene| at_work.iter().all(|id| scene.alive_of(POOL).contains(id));
    assert!(is_at_work(scene), "the VM with a job went with its pool or with the other cloud");
    until("the job of the deleted pool is Done", Duration::from_secs(240), async || {
        let lives = is_at_work(scene);
        scene.all_is_well();
        match scene.real.jobs("Running").unwrap() {
            0 => Ok(()),
            _ if !lives => panic!("the VM went before its job was Done"),
            n => Err(format!("{n} run")),
        }
    })
    .await
    .unwrap();
    goes(scene, "pilotpool/deleted", Duration::from_secs(180)).await;
    // GitOps puts it back: what still waits is served.
    scene.kubectl.apply(&pool()).unwrap();
    scene.jobs_end_and_nothing_is_left().await;
}

async fn a_pool_goes_at_once_where_that_is_said(scene: &mut Scene) {
    let job = scene.real.submit(&JOB, 1, 1_200).unwrap()[0];
    runs(scene).await;
    scene
        .kubectl
        .run(&["annotate", "pilotpool", POOL, "--namespace", NAMESPACE, "diracgrid.org/delete-vms=now"])
        .unwrap();
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert_eq!(scene.alive_of(POOL).len(), 1, "the annotation alone takes nothing away");
    delete(scene, "pilotpool/deleted");
    until("the VM is deleted with its job", AT_ONCE, async || match scene.alive_of(POOL).len() {
        0 => Ok(()),
        n => Err(format!("{n} live")),
    })
    .await
    .unwrap();
    goes(scene, "pilotpool/deleted", AT_ONCE).await;
    scene.is_given_up(job);
    scene.jobs_end_and_nothing_is_left().await;
}

async fn a_namespaces_editor_lets_a_pilotvm_go(scene: &mut Scene) {
    let binding = ["create", "rolebinding", "editor", "--clusterrole=edit", "--user=editor", "--namespace", NAMESPACE];
    scene.kubectl.run(&binding).unwrap();
    scene.kubectl.apply(&pool()).unwrap();
    let job = scene.real.submit(&JOB, 1, 1_200).unwrap()[0];
    let vm = runs(scene).await;
    let name = vm["metadata"]["name"].as_str().unwrap();
    let object = format!("pilotvm/{name}");
    scene.way.always(Some(Loss::Answer(503, "{}")));
    let as_editor = |words: &[&str]| scene.kubectl.run(&[words, &["--namespace", NAMESPACE, EDITOR]].concat());
    as_editor(&["delete", &object, "--wait=false"]).unwrap();
    until("it says what it waits for, and how to let go", AT_ONCE, async || {
        let conditions = scene.kubectl.conditions(NAMESPACE, &object).unwrap();
        let waits = conditions.iter().find(|c| c.reason == "WaitsForCloud");
        match waits {
            Some(c) if c.message.contains("diracgrid.org/let-go=true") => Ok(()),
            _ => Err(format!("{conditions:?}")),
        }
    })
    .await
    .unwrap();
    as_editor(&["annotate", &object, "diracgrid.org/let-go=true"]).unwrap();
    goes(scene, &object, AT_ONCE).await;
    assert_eq!(scene.alive_of(POOL).len(), 1, "nobody has deleted the VM");
    let told = scene.told("PilotVM", name);
    assert!(told.iter().any(|(reason, _)| reason == "LetGo"), "{told:?}");
    scene.way.always(None);
    // The operator can reach the cloud again: what was let go is an orphan. Its row is left to DIRAC's own agent.
    until("the VM that was let go is deleted as an orphan", Duration::from_secs(180), async || {
        match scene.alive_of(POOL).len() {
            0 => Ok(()),
            n => Err(format!("{n} live")),
        }
    })
    .await
    .unwrap();
    // Not before: what runs it says so again and again.
    scene.is_given_up(job);
    scene.rows_are_left();
    scene.jobs_end_and_nothing_is_left().await;
    delete(scene, "pilotpool/deleted");
}

/// The PilotVM of the pool, once its job runs.
async fn runs(scene: &Scene) -> Value {
    let mut found = Vec::new();
    until("the job runs and its PilotVM says so", Duration::from_secs(240), async || {
        found = scene.pilotvms_of(POOL);
        match &found[..] {
            [vm] if vm["status"]["servedJob"] == true && scene.real.jobs("Running").unwrap() == 1 => Ok(()),
            other => Err(format!("{} PilotVMs", other.len())),
        }
    })
    .await
    .unwrap();
    found.remove(0)
}
