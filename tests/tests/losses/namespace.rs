//! A namespace that is deleted with everything in it while VMs run, its Secrets first.

use std::time::Duration;

use testbeds::{
    host::until::until,
    real::{FORTY, NAMESPACE},
};

use super::scene::Scene;

pub async fn a_namespace_that_goes_with_its_secrets_first_leaves_nothing(scene: &mut Scene) {
    scene.run_jobs(&[(&FORTY[1], 2)], 600).await;
    assert!(scene.alive().len() >= 2);
    scene.kubectl.run(&["delete", "secrets", "--all", "--wait=false", "--namespace", NAMESPACE]).unwrap();
    tokio::time::sleep(Duration::from_secs(2)).await;
    scene.kubectl.run(&["delete", "namespace", NAMESPACE, "--wait=false"]).unwrap();
    tokio::time::sleep(Duration::from_secs(3)).await;
    scene.kill();
    scene.revive().await;
    until("the namespace and all its VMs are gone", Duration::from_secs(240), async || {
        let there = scene.kubectl.run(&["get", "namespace", NAMESPACE, "--ignore-not-found", "--output=name"]).unwrap();
        let servers = scene.alive().len();
        if there.trim().is_empty() && servers == 0 { Ok(()) } else { Err(format!("{servers} servers; {there}")) }
    })
    .await
    .unwrap();
    scene.nothing_is_left().await.unwrap();
}
