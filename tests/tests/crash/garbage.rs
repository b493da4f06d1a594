//! Servers without a PilotVM: those of this cluster go, those of others and of nobody stay.

use std::time::{Duration, Instant};

use serde_json::json;
use testbeds::{host::until::until, systems::openstack::PROJECT};

use super::{
    one::{One, Seen},
    world::World,
};

/// Age from which an orphan is deleted, as the operators are told.
const AGE: Duration = Duration::from_secs(20);
/// A UID that no object has.
const NOBODY: &str = "dirac-pvm-00000000-0000-4000-8000-000000000000";

/// Makes servers that no operator may touch; their ids. They are there from the beginning.
pub async fn strangers(world: &World, cluster: &str) -> Vec<String> {
    let kinds: [&[&str]; 4] = [
        // It is called as our first VM will be.
        &["dirac"],
        &["dirac-operator"],
        &["dirac-operator", cluster],
        &["dirac-operator", "dirac-cluster-elsewhere", NOBODY],
    ];
    let mut ids = Vec::new();
    for tags in kinds {
        let openstack = &world.real.openstack;
        ids.push(openstack.make_server(PROJECT, "dirac-points-1", tags, &json!({})).await.unwrap());
    }
    ids
}

/// One PilotVM is taken away by hand without its VM, and a server carries the tag of a PilotVM that never was.
pub async fn orphans_go_and_all_others_stay(one: &mut One<'_>) {
    let Seen { mut pilotvms, mut machines, .. } = one.look().await;
    let (vm, server) = (pilotvms.remove(0), machines.remove(0));
    one.at_most(0);
    let track = one.track;
    let word = |words: &[&str]| one.world.kubectl.run(&[words, &["--namespace", track.name][..]].concat()).unwrap();
    word(&["patch", "pilotvm", &vm.name, "--type=merge", "--patch", r#"{"metadata": {"finalizers": null}}"#]);
    word(&["delete", "pilotvm", &vm.name]);
    let (openstack, cluster) = (&one.world.real.openstack, format!("dirac-cluster-{}", track.cluster()));
    let tags = ["dirac-operator", &cluster, NOBODY];
    let made_up = openstack.make_server(PROJECT, "dirac-orders-7", &tags, &json!({})).await.unwrap();
    let orphans = [server.id, made_up];

    let mut operator = one.operator(None);
    let begun = Instant::now();
    operator.ready().await.unwrap();
    until("the orphans are deleted", Duration::from_secs(180), async || {
        let listed = openstack.servers(PROJECT).await.unwrap();
        let left = listed.iter().filter(|s| orphans.contains(&s.id)).count();
        assert!(
            left == orphans.len() || begun.elapsed() > AGE,
            "an orphan that may be a mere delay is left alone at first"
        );
        if left == 0 { Ok(()) } else { Err(format!("{left} are left")) }
    })
    .await
    .unwrap();
    let events = one.world.kubectl.objects(track.name, "events").unwrap();
    let said = events.iter().filter(|e| e["reason"] == "OrphanDeleted").count();
    assert!(said >= 1, "it is said: {events:?}");
    one.world.secrets_are_kept(&[&operator]).await;
}
