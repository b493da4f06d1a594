//! Of watches and what they keep.

use k8s_openapi::api::core::v1::ConfigMap;
use serde_json::json;

use super::*;

fn guard(data: serde_json::Value) -> DeserializeGuard<ConfigMap> {
    serde_json::from_value(json!({"metadata": {"name": "a", "namespace": "b"}, "data": data})).unwrap()
}
fn good() -> Arc<ConfigMap> {
    Arc::new(guard(json!({"k": "v"})).0.unwrap())
}

#[test]
fn a_store_that_was_not_filled_is_named_by_kind_and_namespace() {
    let names = |namespaces: &[&str]| {
        let filled = namespaces.iter().map(|ns| {
            Arc::new(Filled { namespace: (!ns.is_empty()).then(|| (*ns).to_owned()), once: AtomicBool::new(false) })
        });
        let objects = Objects::<ConfigMap>::over(Vec::new(), filled.collect());
        objects.filled[0].once.store(true, Ordering::Relaxed);
        objects.unfilled()
    };
    assert_eq!(names(&["a", "b"]), ["ConfigMap in namespace b"]);
    assert_eq!(names(&["a", ""]), ["ConfigMap in all namespaces"]);
}

#[test]
fn a_malformed_object_is_replaced_by_its_last_good_version() {
    let event = sift(watcher::Event::Apply(guard(json!("not a map"))), |_| Some(good()));
    assert!(matches!(event, Some(watcher::Event::Apply(o)) if o == *good()));
}

#[test]
fn a_malformed_object_that_never_was_good_is_not_seen() {
    assert!(sift(watcher::Event::Apply(guard(json!("not a map"))), |_| None).is_none());
}

#[test]
fn the_deletion_of_a_malformed_object_is_seen() {
    let event = sift(watcher::Event::Delete(guard(json!("not a map"))), |_| Some(good()));
    assert!(matches!(event, Some(watcher::Event::Delete(_))));
}

#[test]
fn what_nobody_reads_is_taken_off_before_an_object_is_kept() {
    let meta = json!({"name": "a", "namespace": "b", "managedFields": [{"manager": "kubectl"}],
        "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{}", "diracgrid.org/let-go": "true"}});
    let guard: DeserializeGuard<ConfigMap> = serde_json::from_value(json!({ "metadata": meta })).unwrap();
    let Some(watcher::Event::InitApply(kept)) = sift(watcher::Event::InitApply(guard), |_| None) else { panic!() };
    assert_eq!((kept.metadata.managed_fields, kept.metadata.annotations.unwrap().len()), (None, 1));
}
