//! Writes to the API server: server-side apply, one field manager per controller, counted.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, Patch, PatchParams, Preconditions},
};
use serde::Serialize;
use serde_json::json;

use crate::{
    context::Context,
    names::{Key, OPERATOR},
    watch::Kind,
};

/// Whether the API server says that the object is not there.
pub fn is_gone(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 404)
}

/// Whether the API server says that somebody was faster.
pub fn is_conflict(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 409)
}

fn api<K: Kind>(ctx: &Context, key: &Key) -> Api<K> {
    Api::namespaced(ctx.client.clone(), &key.namespace)
}

/// Applies a whole status; fields of ours that are absent in it go away. The UID keeps it off another object of that name.
pub async fn apply_status<K: Kind>(ctx: &Context, object: &K, status: &impl Serialize) -> Result<K, kube::Error> {
    let key = Key::of(object);
    let kind = K::kind(&());
    let patch = json!({
        "apiVersion": K::api_version(&()),
        "kind": kind,
        "metadata": {"name": key.name, "namespace": key.namespace, "uid": object.uid()},
        "status": status,
    });
    let manager = format!("{OPERATOR}/{}", kind.to_lowercase());
    ctx.metrics.api_write(&kind, "status");
    api::<K>(ctx, &key).patch_status(&key.name, &PatchParams::apply(&manager).force(), &Patch::Apply(&patch)).await
}

/// Writes the finalizers, provided that nobody wrote the object since it was read: an edit in between is no loss.
pub async fn set_finalizers<K: Kind>(ctx: &Context, object: &K, finalizers: &[String]) -> Result<K, kube::Error> {
    let key = Key::of(object);
    let patch = json!({"metadata": {"uid": object.uid(), "resourceVersion": object.resource_version(), "finalizers": finalizers}});
    ctx.metrics.api_write(&K::kind(&()), "finalizer");
    api::<K>(ctx, &key).patch(&key.name, &PatchParams::default(), &Patch::Merge(&patch)).await
}

/// Adds a finalizer, or takes it off.
pub async fn hold<K: Kind>(ctx: &Context, object: &K, finalizer: &str, held: bool) -> Result<K, kube::Error> {
    let others = object.finalizers().iter().filter(|f| *f != finalizer).cloned();
    let finalizers: Vec<String> = others.chain(held.then(|| finalizer.to_owned())).collect();
    set_finalizers(ctx, object, &finalizers).await
}

/// Deletes this very object, not another of its name.
pub async fn delete<K: Kind>(ctx: &Context, object: &K) -> Result<(), kube::Error> {
    let key = Key::of(object);
    let params = DeleteParams {
        preconditions: Some(Preconditions { uid: object.uid(), resource_version: None }),
        ..DeleteParams::background()
    };
    ctx.metrics.api_write(&K::kind(&()), "delete");
    api::<K>(ctx, &key).delete(&key.name, &params).await.map(drop)
}

/// The object as the API server has it now.
pub async fn read<K: Kind>(ctx: &Context, key: &Key) -> Result<Option<K>, kube::Error> {
    api::<K>(ctx, key).get_opt(&key.name).await
}

/// Sentences of the API server are kept short in conditions.
pub fn clip(text: &str) -> String {
    const LONGEST: usize = 1024;
    if text.len() <= LONGEST { text.to_owned() } else { text.chars().take(LONGEST).chain(['…']).collect() }
}

/// The conditions of an object's last status, to go on from.
pub fn go_on(conditions: Option<&Vec<Condition>>) -> Vec<Condition> {
    conditions.cloned().unwrap_or_default()
}
