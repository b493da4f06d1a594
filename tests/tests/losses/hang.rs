//! An API server that takes a request and never answers it.

use std::time::Duration;

use k8s_openapi::api::coordination::v1::Lease;
use kube::Api;
use testbeds::{
    host::until::until,
    real::{FORTY, NAMESPACE},
    systems::{controlplane::proxy::Hang, operator::NAMESPACE as OPERATOR},
};

use super::scene::Scene;

/// Within this time after a request that hangs the operator works again, or another replica leads.
const AGAIN: Duration = Duration::from_secs(60);
/// What it then takes on a busy machine until that is seen.
const SEEN: Duration = Duration::from_secs(20);

pub async fn a_request_that_is_never_answered_stops_nobody(scene: &mut Scene) {
    for (method, part) in [("GET", "/secrets/"), ("PATCH", "/status"), ("GET", "/clouds?&watch=true")] {
        let before = scene.proxy.taken().len();
        scene.proxy.hang_one(method, part, Hang::Before);
        let what = format!("{method} {part} hangs");
        // Each new generation is told in a status; Secrets are read each five seconds, and watches taken up again each 45 s.
        for most in ["--replicas=1", "--replicas=2"] {
            scene.kubectl.run(&["scale", "pilotpool", "long", most, "--namespace", NAMESPACE]).unwrap();
        }
        until(&what, AGAIN, async || match scene.proxy.taken().len() - before {
            0 => Err("none came".to_owned()),
            _ => Ok(()),
        })
        .await
        .unwrap();
        scene.clouds_are_looked_after(&what, AGAIN + SEEN).await;
        scene.proxy.mend();
    }
    for hang in [Hang::Before, Hang::After] {
        buys_after_a_create_that_hangs(scene, hang).await;
    }
    another_leads_where_the_lease_cannot_be_renewed(scene).await;
}

async fn buys_after_a_create_that_hangs(scene: &Scene, hang: Hang) {
    let (before, taken) = (scene.history().len(), scene.proxy.taken().len());
    scene.proxy.hang_one("POST", "/pilotvms", hang);
    scene.real.submit(&FORTY[0], 1, 5).unwrap();
    let is_taken =
        async || if scene.proxy.taken().len() > taken { Ok(()) } else { Err("no PilotVM was made".to_owned()) };
    until(&format!("a create hangs ({hang:?})"), AGAIN, is_taken).await.unwrap();
    until("a VM is bought all the same", AGAIN + SEEN, async || match scene.history().len() {
        n if n > before => Ok(()),
        _ => Err("none".to_owned()),
    })
    .await
    .unwrap();
    scene.jobs_end_and_nothing_is_left().await;
    assert_eq!(scene.history().len(), before + 1, "one job, one VM ({hang:?})");
    scene.proxy.mend();
}

async fn another_leads_where_the_lease_cannot_be_renewed(scene: &mut Scene) {
    let leases: Api<Lease> = Api::namespaced(scene.real.plane.client().await.unwrap(), OPERATOR);
    let holder = async || {
        let lease = leases.get("dirac-operator").await.unwrap();
        lease.spec.and_then(|spec| spec.holder_identity).unwrap_or_default()
    };
    let first = holder().await;
    let way = scene.real.plane.proxied().await.unwrap();
    let second = scene.replica(&way.kubeconfig(&scene.direct).unwrap()).await;
    scene.proxy.hang("*", "/leases", Hang::Before);
    until("another replica leads", AGAIN, async || match holder().await {
        now if now != first && !now.is_empty() => Ok(()),
        now => Err(format!("{now} leads")),
    })
    .await
    .unwrap();
    scene.clouds_are_looked_after("another leads", SEEN * 2).await;
    // The first one's way is the scene's, and the second's is dropped with this function.
    scene.kill();
    drop(second);
    scene.proxy.mend();
    scene.revive().await;
}
