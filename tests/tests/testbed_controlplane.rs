//! The control plane's testbed does what the layers count on that let it fail.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::Duration;

use futures::StreamExt;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{
    Api, Client,
    api::{DeleteParams, ObjectMeta, PostParams, WatchEvent, WatchParams},
};
use testbeds::systems::controlplane::{self, ControlPlane, proxy::Hang};

/// What is never answered is waited for this long.
const NEVER: Duration = Duration::from_millis(1_500);
/// What is answered comes by then.
const SOON: Duration = Duration::from_secs(30);

fn map(name: &str) -> ConfigMap {
    ConfigMap {
        metadata: ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() },
        data: Some([("large".to_owned(), "x".repeat(100_000))].into()),
        ..ConfigMap::default()
    }
}

fn maps(client: Client) -> Api<ConfigMap> {
    Api::namespaced(client, "default")
}

async fn exists(api: &Api<ConfigMap>, name: &str) -> bool {
    tokio::time::timeout(SOON, api.get_opt(name)).await.expect("an answer").unwrap().is_some()
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_hang_as_told_and_a_restore_forgets() {
    let folder = tempfile::tempdir().unwrap();
    let mut plane = ControlPlane::start(folder.path()).await.unwrap();
    let role =
        ["create", "clusterrolebinding", "all", "--clusterrole=cluster-admin", "--serviceaccount=default:default"];
    plane.kubectl().run(&role).unwrap();
    let direct = plane.kubeconfig_for_service_account("default", "default").await.unwrap();
    let proxy = plane.proxied().await.unwrap();
    assert!(proxy.kubeconfig(&plane.kubeconfig()).is_err(), "a client certificate does not pass");
    let through = maps(controlplane::client(&proxy.kubeconfig(&direct).unwrap()).await.unwrap());
    let beside = maps(controlplane::client(&direct).await.unwrap());

    requests_are_carried_and_taken(&proxy, &through, &beside).await;

    plane.snapshot("before").unwrap();
    beside.create(&PostParams::default(), &map("later")).await.unwrap();
    assert!(exists(&beside, "later").await && exists(&beside, "second").await);
    plane.restore("before").unwrap();
    let again = maps(controlplane::client(&direct).await.unwrap());
    assert!(!exists(&again, "later").await && exists(&again, "second").await, "what came after is forgotten");
    assert!(exists(&through, "second").await, "the way leads to the restored one too");
    again.create(&PostParams::default(), &map("later")).await.unwrap();
}

async fn requests_are_carried_and_taken(
    proxy: &controlplane::proxy::Proxy,
    through: &Api<ConfigMap>,
    beside: &Api<ConfigMap>,
) {
    through.create(&PostParams::default(), &map("first")).await.unwrap();
    assert!(exists(through, "first").await);
    let watching = through.watch(&WatchParams::default(), "0").await.unwrap();
    let mut events = Box::pin(watching.filter_map(async |event| match event {
        Ok(WatchEvent::Added(map)) => map.metadata.name,
        _ => None,
    }));
    proxy.hang("POST", "/configmaps", Hang::Before);
    let outcome = tokio::time::timeout(NEVER, through.create(&PostParams::default(), &map("never"))).await;
    assert!(outcome.is_err(), "a create is not answered: {outcome:?}");
    assert!(!exists(through, "never").await, "and was not carried out; a read is");
    proxy.mend();
    through.create(&PostParams::default(), &map("second")).await.unwrap();
    while tokio::time::timeout(SOON, events.next()).await.unwrap().unwrap() != "second" {}

    proxy.hang_one("DELETE", "/configmaps/first", Hang::After);
    let outcome = tokio::time::timeout(NEVER, through.delete("first", &DeleteParams::default())).await;
    assert!(outcome.is_err(), "a deletion is not answered: {outcome:?}");
    assert!(!exists(beside, "first").await, "but it was carried out");
    assert!(through.delete("first", &DeleteParams::default()).await.is_err(), "the next one is answered: 404");
    let taken = proxy.taken();
    assert_eq!(taken.len(), 2, "{taken:?}");
    assert!(taken[0].starts_with("POST /api/v1/namespaces/default/configmaps"), "{taken:?}");
}
