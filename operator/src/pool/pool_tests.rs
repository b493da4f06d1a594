use broker::pilot::rows::{NewPilot, PilotRow, PilotStatus, RowsError};
use kube::core::ObjectMeta;
use serde_json::{Value, json};

use super::*;
use crate::{
    api::{Stores, fake::Fake, watch::Objects},
    context::State,
    known::installation::Facts,
    life::launched,
};

fn pool(meta: Value) -> PilotPool {
    let mut pool = PilotPool::new("cpu", crds::pool::PilotPoolSpec::default());
    let mut all =
        json!({"name": "cpu", "namespace": "demo", "uid": "p", "resourceVersion": "5", "finalizers": [POOL_FINALIZER]});
    for (name, value) in meta.as_object().unwrap() {
        all[name] = value.clone();
    }
    pool.metadata = serde_json::from_value::<ObjectMeta>(all).unwrap();
    pool
}
fn deleted(annotations: Value) -> PilotPool {
    pool(json!({"deletionTimestamp": "2026-11-24T10:00:00Z", "annotations": annotations}))
}
fn vm(name: &str) -> PilotVM {
    let mut vm = PilotVM::new(name, crds::vm::PilotVMSpec::default());
    vm.spec.pool_ref.name = "cpu".into();
    vm.spec.cloud_ref.name = "c".into();
    vm.spec.installation_ref.name = "i".into();
    vm.metadata.namespace = Some("demo".into());
    vm.metadata.uid = Some(format!("uid-{name}"));
    vm.metadata.resource_version = Some("7".into());
    vm.status = serde_json::from_value(json!({"launchedAt": "2026-11-24T10:00:00Z"})).unwrap();
    assert!(launched(&vm).is_some());
    vm
}
fn all(vms: &[PilotVM]) -> Vec<Arc<PilotVM>> {
    vms.iter().cloned().map(Arc::new).collect()
}

/// A pool and VMs on an API server and in the stores, with rows for each VM, of which `with_job` has a job.
async fn look_once(pools: &[PilotPool], vms: &[PilotVM], with_job: &[&str]) -> Fake {
    let fake = Fake::default();
    pools.iter().for_each(|pool| fake.put("pilotpools", pool));
    vms.iter().for_each(|vm| fake.put("pilotvms", vm));
    let stores = Stores { pools: Objects::of(pools.to_vec()), vms: Objects::of(vms.to_vec()), ..Stores::default() };
    let ctx = Context::of(fake.client(), State { stores, ..State::default() });
    let installation = Key { namespace: "demo".into(), name: "i".into() };
    let rows = Rows(
        vms.iter()
            .map(|vm| (broker::pilot::stamp::reference(&vm.uid().unwrap()), with_job.contains(&vm.name_any().as_str())))
            .collect(),
    );
    ctx.state.installations.get(&installation).update(|f: &mut Facts| f.rows = Some(Arc::new(rows)));
    look(&ctx).await;
    fake
}

/// Rows: references, and whether the pilot has a job.
struct Rows(Vec<(String, bool)>);

#[async_trait::async_trait]
impl PilotRows for Rows {
    async fn register(&self, _: &NewPilot) -> Result<(), RowsError> {
        Ok(())
    }
    async fn set_status(&self, _: &NewPilot, _: PilotStatus, _: &str) -> Result<(), RowsError> {
        Ok(())
    }
    async fn rows(&self, asked: &[String]) -> Result<Vec<PilotRow>, RowsError> {
        let row = |(reference, has_job): &(String, bool)| PilotRow {
            reference: reference.clone(),
            status: PilotStatus::Running,
            current_job: u64::from(*has_job),
            idle_seconds: None,
            updated: None,
            jobs: None,
            running: None,
            power: None,
        };
        Ok(self.0.iter().filter(|(reference, _)| asked.contains(reference)).map(row).collect())
    }
}

#[test]
fn a_living_pool_gets_its_finalizer_and_then_rests() {
    assert!(matches!(next(&pool(json!({"finalizers": []})), &[], false), Step::Hold));
    assert!(matches!(next(&pool(json!({})), &all(&[vm("cpu-1")]), false), Step::Rest));
}

#[test]
fn a_deleted_pool_goes_when_no_vm_is_left_nor_on_its_way() {
    assert!(matches!(next(&deleted(json!({})), &[], false), Step::Release));
    assert!(matches!(next(&deleted(json!({})), &[], true), Step::Drain(vms) if vms.is_empty()));
    assert!(matches!(next(&deleted(json!({})), &all(&[vm("cpu-1")]), false), Step::Drain(vms) if vms.len() == 1));
}

#[test]
fn vms_that_go_already_are_left_alone() {
    let (mut going, mut ended) = (vm("cpu-1"), vm("cpu-2"));
    going.metadata.deletion_timestamp = deleted(json!({})).metadata.deletion_timestamp;
    let condition = json!({"type": "Ended", "status": "True", "reason": "Idle", "message": "", "lastTransitionTime": "2026-11-24T10:00:00Z"});
    ended.status = serde_json::from_value(json!({"conditions": [condition]})).unwrap();
    assert!(matches!(next(&deleted(json!({})), &all(&[going, ended]), false), Step::Drain(vms) if vms.is_empty()));
}

#[test]
fn only_the_word_now_deletes_vms_with_their_jobs() {
    let one = all(&[vm("cpu-1")]);
    assert!(matches!(next(&deleted(json!({"diracgrid.org/delete-vms": "now"})), &one, false), Step::DeleteAll(_)));
    assert!(matches!(next(&deleted(json!({"diracgrid.org/delete-vms": "true"})), &one, false), Step::Drain(_)));
    assert!(matches!(
        next(&pool(json!({"annotations": {"diracgrid.org/delete-vms": "now"}})), &one, false),
        Step::Rest
    ));
}

#[test]
fn a_pool_that_is_let_go_goes_with_vms_left() {
    assert!(matches!(
        next(&deleted(json!({"diracgrid.org/let-go": "true"})), &all(&[vm("cpu-1")]), false),
        Step::Release
    ));
}

#[test]
fn a_paused_pool_takes_nothing_away() {
    let paused = json!({"diracgrid.org/paused": "true", "diracgrid.org/delete-vms": "now"});
    assert!(matches!(next(&deleted(paused), &all(&[vm("cpu-1")]), false), Step::Rest));
}

#[tokio::test]
async fn a_deleted_pool_drains_and_no_job_is_killed() {
    let fake = look_once(&[deleted(json!({}))], &[vm("cpu-1"), vm("cpu-2")], &["cpu-2"]).await;
    assert_eq!(fake.names("pilotvms"), ["cpu-2"]);
    assert_eq!(fake.names("pilotpools"), ["cpu"], "it waits for the VM with a job");
}

#[tokio::test]
async fn vms_with_jobs_go_at_once_when_a_person_says_now() {
    let now = deleted(json!({"diracgrid.org/delete-vms": "now"}));
    let fake = look_once(&[now], &[vm("cpu-1"), vm("cpu-2")], &["cpu-2"]).await;
    assert!(fake.names("pilotvms").is_empty());
}

#[tokio::test]
async fn a_pool_whose_object_is_gone_drains_too() {
    let fake = look_once(&[], &[vm("cpu-1"), vm("cpu-2")], &["cpu-2"]).await;
    assert_eq!(fake.names("pilotvms"), ["cpu-2"]);
}

#[tokio::test]
async fn a_pool_that_only_the_store_lacks_is_not_gone() {
    let fake = Fake::default();
    fake.put("pilotpools", &pool(json!({})));
    fake.put("pilotvms", &vm("cpu-1"));
    let stores = Stores { vms: Objects::of([vm("cpu-1")]), ..Stores::default() };
    let ctx = Context::of(fake.client(), State { stores, ..State::default() });
    look(&ctx).await;
    assert_eq!((fake.names("pilotvms").len(), fake.asked("DELETE").len()), (1, 0));
}

#[tokio::test]
async fn vms_of_an_earlier_release_lose_their_owner_before_garbage_collection_finds_them() {
    let mut owned = vm("cpu-1");
    owned.metadata.owner_references = pool(json!({})).controller_owner_ref(&()).map(|owner| vec![owner]);
    let fake = look_once(&[pool(json!({}))], &[owned], &["cpu-1"]).await;
    let left = fake.0.lock().unwrap().objects["pilotvms/cpu-1"]["metadata"]["ownerReferences"].clone();
    assert_eq!(left, json!([]));
}

#[tokio::test]
async fn the_finalizer_comes_and_goes() {
    let fake = look_once(&[pool(json!({"finalizers": ["other"]}))], &[], &[]).await;
    let finalizers = |fake: &Fake| fake.0.lock().unwrap().objects["pilotpools/cpu"]["metadata"]["finalizers"].clone();
    assert_eq!(finalizers(&fake), json!(["other", POOL_FINALIZER]));
    let fake = look_once(&[deleted(json!({}))], &[], &[]).await;
    assert_eq!(finalizers(&fake), json!([]));
}

#[tokio::test]
async fn a_deleted_pool_stays_for_a_pilotvm_that_this_version_cannot_read() {
    for (label, left) in [("cpu", 1), ("gpu", 0)] {
        let broken = json!({"metadata": {"name": "x-1", "namespace": "demo", "labels": {"diracgrid.org/pool": label}}, "spec": {}});
        let fake = Fake::default();
        fake.put("pilotpools", &deleted(json!({})));
        let vms = Objects::of([]).and_unread([broken]);
        let stores = Stores { pools: Objects::of([deleted(json!({}))]), vms, ..Stores::default() };
        look(&Context::of(fake.client(), State { stores, ..State::default() })).await;
        let finalizers = fake.0.lock().unwrap().objects["pilotpools/cpu"]["metadata"]["finalizers"].clone();
        assert_eq!(finalizers.as_array().unwrap().len(), left, "{label}");
    }
}
