use crds::{Cloud, PilotVM};
use serde_json::{Value, json};

use super::*;
use crate::{
    api::{Stores, fake::Fake, watch::Objects},
    context::State,
    known::cloud::Needed,
    names::CLOUD_FINALIZER,
};

const GONE: &str = "2026-11-24T10:00:00Z";

fn key(name: &str) -> Key {
    Key { namespace: "demo".into(), name: name.into() }
}

fn with(mut object: Value, metadata: Value) -> Value {
    for (name, value) in metadata.as_object().unwrap() {
        object["metadata"][name] = value.clone();
    }
    object
}

fn secret(metadata: Value) -> Value {
    let marked = json!({"name": "s", "namespace": "demo", "uid": "s", "resourceVersion": "3",
        "labels": {"diracgrid.org/credential": "true"}});
    with(json!({"apiVersion": "v1", "kind": "Secret", "metadata": marked}), metadata)
}

fn held() -> Value {
    json!({"finalizers": [SECRET_FINALIZER]})
}

fn held_and_deleted() -> Value {
    json!({"finalizers": [SECRET_FINALIZER], "deletionTimestamp": GONE})
}

fn cloud(metadata: Value) -> Cloud {
    let openstack =
        json!({"authUrl": "https://k", "region": "r", "auth": {"applicationCredential": {"secretRef": {"name": "s"}}}});
    let object = json!({"metadata": {"name": "c", "namespace": "demo", "uid": "c", "finalizers": [CLOUD_FINALIZER]},
        "spec": {"siteRef": {"name": "here"}, "openstack": openstack, "images": {}}, "status": {"secrets": ["s"]}});
    serde_json::from_value(with(object, metadata)).unwrap()
}

fn installation(metadata: Value) -> DiracInstallation {
    let external = json!({"matcher": "dips://d:1/m", "pilotManager": "dips://d:1/p",
        "credentials": {"certificateSecretRef": {"name": "s"}, "group": "g"}});
    let object = json!({"metadata": {"name": "i", "namespace": "demo", "uid": "i"}, "spec": {"external": external},
        "status": {"secrets": ["s"]}});
    serde_json::from_value(with(object, metadata)).unwrap()
}

/// An operator that has just started, and an API server that has these.
fn world(secret: Option<Value>, stores: Stores) -> (Fake, Context) {
    let fake = Fake::default();
    secret.iter().for_each(|secret| fake.put("secrets", secret));
    stores.installations.all().iter().for_each(|i| fake.put("diracinstallations", i.as_ref()));
    let ctx = Context::of(fake.client(), State { stores, ..State::default() });
    (fake, ctx)
}

fn of_cloud(cloud: Cloud) -> Stores {
    Stores { clouds: Objects::of([cloud]), ..Stores::default() }
}

fn needed(ctx: &Context, is_needed: bool) {
    let needed = if is_needed { Needed::Orphans(1) } else { Needed::No };
    ctx.state.clouds.get(&key("c")).update(|f| f.needed = Some(needed));
}

#[test]
fn pilotvms_are_looked_at_only_for_an_installation_that_goes_or_whose_secret_does() {
    let looks = |installation: DiracInstallation, is_deleted: bool| {
        let vms = (0..9).map(|n| {
            let mut vm = PilotVM::new(&format!("cpu-{n}"), crds::vm::PilotVMSpec::default());
            vm.metadata.namespace = Some("demo".into());
            vm
        });
        let stores = Stores { installations: Objects::of([installation]), vms: Objects::of(vms), ..Stores::default() };
        let state = State { stores, ..State::default() };
        state.secrets.saw(&key("s"), Some(Seen { at: Instant::now(), is_held: true, is_deleted }));
        let needed = holders(&state)[0].is_needed;
        (needed, state.stores.vms.looks.load(std::sync::atomic::Ordering::Relaxed))
    };
    assert_eq!(looks(installation(json!({})), false), (None, 0), "nobody asks");
    assert_eq!(looks(installation(json!({})), true), (Some(false), 9));
    assert_eq!(looks(installation(json!({"deletionTimestamp": GONE})), false), (Some(false), 9));
}

fn finalizers(fake: &Fake, object: &str) -> usize {
    fake.0.lock().unwrap().objects[object]["metadata"]["finalizers"].as_array().map_or(0, Vec::len)
}

#[tokio::test]
async fn a_secret_that_says_that_it_may_be_used_gets_the_finalizer_once_and_another_does_not() {
    let (fake, ctx) = world(Some(secret(json!({}))), of_cloud(cloud(json!({}))));
    look(&ctx).await;
    look(&ctx).await;
    assert_eq!(finalizers(&fake, "secrets/s"), 1);
    assert_eq!(fake.asked("").len(), 2, "it was read and written once: {:?}", fake.asked(""));
    let (fake, ctx) = world(Some(secret(json!({"labels": {}}))), of_cloud(cloud(json!({}))));
    look(&ctx).await;
    assert_eq!(finalizers(&fake, "secrets/s"), 0);
}

#[tokio::test]
async fn a_secret_deleted_first_stays_over_a_restart_until_no_vm_is_left_and_then_goes_before_its_cloud() {
    let going = || cloud(json!({"deletionTimestamp": GONE}));
    let (fake, ctx) = world(Some(secret(held_and_deleted())), of_cloud(going()));
    look(&ctx).await;
    assert_eq!(finalizers(&fake, "secrets/s"), 1, "which VMs are left is not known yet");
    needed(&ctx, true);
    look(&ctx).await;
    assert_eq!(finalizers(&fake, "secrets/s"), 1);
    assert!(ctx.state.secrets.deleted(&key("c"), &going().spec.secrets()).is_some());
    assert!(!ctx.state.secrets.lets_go(&key("c")));
    needed(&ctx, false);
    look(&ctx).await;
    assert_eq!(finalizers(&fake, "secrets/s"), 0);
    assert!(ctx.state.secrets.lets_go(&key("c")), "now the cloud may go");
}

#[tokio::test]
async fn a_secret_that_nobody_can_find_holds_no_cloud() {
    let (_, ctx) = world(None, of_cloud(cloud(json!({"deletionTimestamp": GONE}))));
    needed(&ctx, false);
    look(&ctx).await;
    assert!(ctx.state.secrets.lets_go(&key("c")));
}

#[tokio::test]
async fn a_person_lets_go_of_a_secret_at_once() {
    let mut metadata = held_and_deleted();
    metadata["annotations"] = json!({LET_GO: "true"});
    let (fake, ctx) = world(Some(secret(metadata)), of_cloud(cloud(json!({}))));
    needed(&ctx, true);
    look(&ctx).await;
    assert_eq!(finalizers(&fake, "secrets/s"), 0);
}

#[tokio::test]
async fn an_installation_is_held_and_goes_with_its_secret_when_its_pilotvms_are_gone() {
    let stores = |metadata: Value, vms: Vec<PilotVM>| Stores {
        installations: Objects::of([installation(metadata)]),
        vms: Objects::of(vms),
        ..Stores::default()
    };
    let (fake, ctx) = world(Some(secret(json!({}))), stores(json!({}), vec![]));
    look(&ctx).await;
    assert_eq!((finalizers(&fake, "diracinstallations/i"), finalizers(&fake, "secrets/s")), (1, 0));

    let going = || json!({"deletionTimestamp": GONE, "finalizers": [INSTALLATION_FINALIZER]});
    let mut vm = PilotVM::new("cpu-1", crds::vm::PilotVMSpec::default());
    vm.metadata.namespace = Some("demo".into());
    vm.spec.installation_ref.name = "i".into();
    let (fake, ctx) = world(Some(secret(held())), stores(going(), vec![vm]));
    look(&ctx).await;
    assert_eq!((finalizers(&fake, "diracinstallations/i"), finalizers(&fake, "secrets/s")), (1, 1));

    let (fake, ctx) = world(Some(secret(held())), stores(going(), vec![]));
    look(&ctx).await;
    assert_eq!((finalizers(&fake, "diracinstallations/i"), finalizers(&fake, "secrets/s")), (0, 0));
}
