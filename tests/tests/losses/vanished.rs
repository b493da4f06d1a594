//! Many VMs deleted at once in Nova, behind the operator's back: it believes none of it until a person says so.

use std::time::Duration;

use nix::sys::signal::Signal;
use testbeds::{host::until::until, real::NAMESPACE, systems::openstack::PROJECT};

use super::{pool::Sleepers, scene::Scene};

/// The VMs. All but one are deleted: four at once are too many to be believed.
pub const VANISHING: Sleepers = Sleepers { name: "vanishing", tag: "Vanishing", vms: 5, first_job: 2_000_000 };
/// How many are deleted.
const GONE: usize = 4;
/// How long nothing may follow from it: many lists.
const DOUBTED: Duration = Duration::from_secs(30);
const SOON: Duration = Duration::from_secs(90);

pub async fn many_vms_that_go_at_once_are_not_believed_gone_until_a_person_says_so(scene: &mut Scene) {
    VANISHING.wait(scene);
    scene.kubectl.apply(&VANISHING.pool(VANISHING.vms)).unwrap();
    let ids = VANISHING.are_there(scene).await;
    until("all of them run", SOON, async || {
        VANISHING.ask(scene);
        let running = scene.pilotvms_of(VANISHING.name).iter().filter(|vm| vm["status"]["phase"] == "Running").count();
        if running == VANISHING.vms { Ok(()) } else { Err(format!("{running} run")) }
    })
    .await
    .unwrap();
    // It looks away meanwhile: of what goes two by two, the first two are believed gone.
    scene.signal(Signal::SIGSTOP);
    for id in &ids[..GONE] {
        scene.real.openstack.delete_server(PROJECT, id).await.unwrap();
    }
    until("Nova has none of them", SOON, async || match scene.alive_of(VANISHING.name).len() {
        n if n == VANISHING.vms - GONE => Ok(()),
        n => Err(format!("{n} live")),
    })
    .await
    .unwrap();
    scene.signal(Signal::SIGCONT);
    it_is_said(scene).await;
    let begun = std::time::Instant::now();
    until("none of them is replaced, and no life ends", DOUBTED * 2, async || {
        let objects = scene.pilotvms_of(VANISHING.name);
        let ended = objects.iter().filter(|vm| vm["status"]["phase"] == "Ending").count();
        assert_eq!((objects.len(), ended, made(scene)), (VANISHING.vms, 0, VANISHING.vms));
        if begun.elapsed() >= DOUBTED { Ok(()) } else { Err(format!("{} s", begun.elapsed().as_secs())) }
    })
    .await
    .unwrap();
    let acknowledges = format!("diracgrid.org/acknowledge-change={GONE}");
    scene.kubectl.run(&["annotate", "cloud", "lyon", "--namespace", NAMESPACE, &acknowledges]).unwrap();
    until("they are replaced, now that a person believes it", SOON * 2, async || {
        VANISHING.ask(scene);
        match (scene.alive_of(VANISHING.name).len(), made(scene)) {
            (alive, made) if alive == VANISHING.vms && made == VANISHING.vms + GONE => Ok(()),
            (alive, made) => Err(format!("{alive} live, {made} were made")),
        }
    })
    .await
    .unwrap();
    until("the cloud is not frozen", SOON, async || match scene.condition("cloud/lyon", "Frozen") {
        Some(c) if c.status == "True" => Err(c.message),
        _ => Ok(()),
    })
    .await
    .unwrap();
    scene
        .kubectl
        .run(&["annotate", "cloud", "lyon", "--namespace", NAMESPACE, "diracgrid.org/acknowledge-change-"])
        .unwrap();
    let pool = ["pilotpool", VANISHING.name, "--namespace", NAMESPACE];
    scene.kubectl.run(&[&["annotate"], &pool[..], &["diracgrid.org/delete-vms=now"]].concat()).unwrap();
    scene.kubectl.run(&[&["delete"], &pool[..], &["--timeout=120s"]].concat()).unwrap();
}

/// How many servers were ever made for the pool.
fn made(scene: &Scene) -> usize {
    scene.history().iter().filter(|life| life.pool == VANISHING.name).count()
}

/// By a condition that names the number and the command, by an event and by a metric.
async fn it_is_said(scene: &Scene) {
    until("the cloud is frozen", SOON, async || match scene.condition("cloud/lyon", "Frozen") {
        Some(c) if c.status == "True" && c.message.contains(&format!("acknowledge-change={GONE}")) => {
            assert_eq!(c.reason, "MassLoss", "{c:?}");
            Ok(())
        }
        other => Err(format!("{other:?}")),
    })
    .await
    .unwrap();
    let told = scene.told("Cloud", "lyon");
    assert!(told.iter().any(|(reason, _)| reason == "MassLoss"), "{told:?}");
    let frozen = scene.operator.as_ref().unwrap().metric(&["frozen", "lyon", "MassLoss"]).await.unwrap();
    assert!(frozen >= 1.0, "{frozen}");
}
