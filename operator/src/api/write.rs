//! Writes to the API server: server-side apply, one field manager per controller, counted.

use std::collections::{BTreeMap, HashSet};

use crds::PilotVM;
use futures::future::join_all;
use k8s_openapi::{
    ByteString,
    api::core::v1::{ConfigMap, Secret},
};
use kube::{
    ResourceExt,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams, Preconditions},
    core::PartialObjectMeta,
};
use serde::Serialize;
use serde_json::json;

use super::{
    Api, in_time,
    watch::{Kind, slim},
};
use crate::names::{CONSOLE_LABEL, Key, OPERATOR, POOL_LABEL};

/// Whether the API server says that the object is not there.
pub fn is_gone(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 404)
}

/// Whether the API server says that the operator may not.
pub fn is_forbidden(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 403)
}

/// Whether the API server says that somebody was faster.
pub fn is_conflict(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 409)
}

/// What is answered, as the watch would show it: whoever goes on from it may have to wait, and there may be thousands.
fn slimmed<K: Kind>(answer: Result<K, kube::Error>) -> Result<K, kube::Error> {
    answer.map(|mut object| {
        slim(object.meta_mut());
        object
    })
}

impl Api {
    fn of<K: Kind>(&self, namespace: &str) -> kube::Api<K> {
        kube::Api::namespaced(self.client.clone(), namespace)
    }

    pub async fn create(&self, vm: &PilotVM) -> Result<PilotVM, kube::Error> {
        let params = PostParams { field_manager: Some(format!("{OPERATOR}/round")), ..PostParams::default() };
        self.metrics.api_write("PilotVM", "create");
        // It takes no slot: the round, which makes few at once, would stand in line with all that its VMs have to write.
        slimmed(in_time(self.of::<PilotVM>(&Key::of(vm).namespace).create(&params, vm)).await)
    }

    /// Applies a whole status; fields of ours that are absent in it go away. The UID keeps it off another object of that name.
    pub async fn apply_status<K: Kind>(&self, object: &K, status: &impl Serialize) -> Result<K, kube::Error> {
        self.patch_status(object, status, None).await
    }

    /// The same, provided that nobody wrote the object since it was read.
    pub async fn apply_status_unchanged<K: Kind>(&self, object: &K, status: &impl Serialize) -> Result<K, kube::Error> {
        self.patch_status(object, status, object.resource_version()).await
    }

    async fn patch_status<K: Kind>(
        &self,
        object: &K,
        status: &impl Serialize,
        version: Option<String>,
    ) -> Result<K, kube::Error> {
        let key = Key::of(object);
        let kind = K::kind(&());
        let mut metadata = json!({"name": key.name, "namespace": key.namespace, "uid": object.uid()});
        if let Some(version) = version {
            metadata["resourceVersion"] = version.into();
        }
        let patch = json!({
            "apiVersion": K::api_version(&()),
            "kind": kind,
            "metadata": metadata,
            "status": status,
        });
        let manager = format!("{OPERATOR}/{}", kind.to_lowercase());
        self.metrics.api_write(&kind, "status");
        let api = self.of::<K>(&key.namespace);
        let params = PatchParams::apply(&manager).force();
        slimmed(self.call(api.patch_status(&key.name, &params, &Patch::Apply(&patch))).await)
    }

    /// Adds a finalizer, or takes it off, provided that nobody wrote the object since it was read: an edit in between is no loss.
    pub async fn hold<K: Kind>(&self, object: &K, finalizer: &str, held: bool) -> Result<K, kube::Error> {
        let others = object.finalizers().iter().filter(|f| *f != finalizer).cloned();
        let finalizers: Vec<String> = others.chain(held.then(|| finalizer.to_owned())).collect();
        let metadata =
            json!({"uid": object.uid(), "resourceVersion": object.resource_version(), "finalizers": finalizers});
        let patch = json!({ "metadata": metadata });
        self.metrics.api_write(&K::kind(&()), "finalizer");
        let key = Key::of(object);
        let api = self.of::<K>(&key.namespace);
        slimmed(self.call(api.patch(&key.name, &PatchParams::default(), &Patch::Merge(&patch))).await)
    }

    /// The same, by somebody who looks again: a failure is only logged, and not even that where somebody was faster or the object is gone.
    pub async fn try_hold<K: Kind>(&self, object: &K, finalizer: &str, held: bool) {
        match self.hold(object, finalizer, held).await {
            Ok(_) => {}
            Err(error) if is_gone(&error) || is_conflict(&error) => {}
            Err(error) => {
                let (kind, object) = (K::kind(&()), Key::of(object));
                tracing::warn!(%kind, %object, %error, "the object's finalizer could not be written");
            }
        }
    }

    /// Puts these labels on; others stay as they are.
    pub async fn label<K: Kind>(&self, object: &K, labels: &BTreeMap<String, String>) -> Result<K, kube::Error> {
        let patch = json!({"metadata": {"uid": object.uid(), "labels": labels}});
        self.metrics.api_write(&K::kind(&()), "labels");
        let key = Key::of(object);
        let api = self.of::<K>(&key.namespace);
        slimmed(self.call(api.patch(&key.name, &PatchParams::default(), &Patch::Merge(&patch))).await)
    }

    /// Puts these values into a Secret, provided that nobody wrote it since it was read; others stay as they are.
    pub async fn put(&self, secret: &Secret, values: &BTreeMap<&str, ByteString>) -> Result<Secret, kube::Error> {
        let metadata = json!({"uid": secret.uid(), "resourceVersion": secret.resource_version()});
        let patch = json!({"metadata": metadata, "data": values});
        self.metrics.api_write("Secret", "data");
        let key = Key::of(secret);
        let api = self.of::<Secret>(&key.namespace);
        let params = PatchParams { field_manager: Some(format!("{OPERATOR}/cloud")), ..PatchParams::default() };
        self.call(api.patch(&key.name, &params, &Patch::Merge(&patch))).await
    }

    /// Takes off the owners of this kind, provided that nobody wrote the object since it was read.
    pub async fn disown<K: Kind>(&self, object: &K, owner: &str) -> Result<(), kube::Error> {
        let left: Vec<_> = object.owner_references().iter().filter(|o| o.kind != owner).collect();
        let metadata =
            json!({"uid": object.uid(), "resourceVersion": object.resource_version(), "ownerReferences": left});
        let patch = json!({ "metadata": metadata });
        self.metrics.api_write(&K::kind(&()), "owners");
        let key = Key::of(object);
        let api = self.of::<K>(&key.namespace);
        self.call(api.patch(&key.name, &PatchParams::default(), &Patch::Merge(&patch))).await.map(drop)
    }

    /// Deletes this very object, not another of its name.
    pub async fn delete<K: Kind>(&self, object: &K) -> Result<(), kube::Error> {
        self.delete_if(object, Preconditions { uid: object.uid(), resource_version: None }).await
    }

    /// Deletes this very object, provided that nobody wrote it since it was read: a conflict says that somebody did.
    pub async fn delete_unchanged<K: Kind>(&self, object: &K) -> Result<(), kube::Error> {
        let as_read = Preconditions { uid: object.uid(), resource_version: object.resource_version() };
        self.delete_if(object, as_read).await
    }

    async fn delete_if<K: Kind>(&self, object: &K, preconditions: Preconditions) -> Result<(), kube::Error> {
        let key = Key::of(object);
        let params = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::background() };
        self.metrics.api_write(&K::kind(&()), "delete");
        self.call(self.of::<K>(&key.namespace).delete(&key.name, &params)).await.map(drop)
    }

    /// The object as the API server has it now.
    pub async fn read<K: Kind>(&self, key: &Key) -> Result<Option<K>, kube::Error> {
        self.call(self.of::<K>(&key.namespace).get_opt(&key.name)).await
    }

    /// Whether the API server has the object now, be it one that this version can read or not. It is listed by its name, which needs no
    /// right that the watch does not need.
    pub async fn is_there<K: Kind>(&self, key: &Key) -> Result<bool, kube::Error> {
        let params = ListParams::default().fields(&format!("metadata.name={}", key.name));
        Ok(!self.call(self.of::<K>(&key.namespace).list_metadata(&params)).await?.items.is_empty())
    }

    /// The metadata of the object as the API server has it now, be it one that this version can read or not.
    pub async fn metadata<K: Kind>(&self, key: &Key) -> Result<Option<PartialObjectMeta<K>>, kube::Error> {
        self.call(self.of::<K>(&key.namespace).get_metadata_opt(&key.name)).await
    }

    /// The UIDs of the PilotVMs as the API server has them now: of these namespaces (none: of all), and of this name where one is given.
    pub async fn pilot_vms(&self, namespaces: &[String], name: Option<&str>) -> Result<HashSet<String>, kube::Error> {
        const PAGE: u32 = 500;
        let apis: Vec<kube::Api<PilotVM>> = match namespaces {
            [] => vec![kube::Api::all(self.client.clone())],
            some => some.iter().map(|namespace| self.of(namespace)).collect(),
        };
        let mut uids = HashSet::new();
        for api in apis {
            let mut params = ListParams::default().limit(PAGE);
            if let Some(name) = name {
                params = params.fields(&format!("metadata.name={name}"));
            }
            loop {
                let page = self.call(api.list_metadata(&params)).await?;
                uids.extend(page.items.iter().filter_map(ResourceExt::uid));
                match page.metadata.continue_.filter(|token| !token.is_empty()) {
                    Some(token) => params = params.continue_token(&token),
                    None => break,
                }
            }
        }
        Ok(uids)
    }

    /// Keeps a console log; fails where that namespace takes no new objects.
    pub async fn keep_console(&self, map: &ConfigMap) -> Result<(), kube::Error> {
        let key = Key::of(map);
        let manager = format!("{OPERATOR}/pilotvm");
        self.metrics.api_write("ConfigMap", "apply");
        let api = self.of::<ConfigMap>(&key.namespace);
        self.call(api.patch(&key.name, &PatchParams::apply(&manager).force(), &Patch::Apply(map))).await.map(drop)
    }

    /// Deletes the console logs of a pool but the newest `kept`.
    pub async fn prune_consoles(&self, pool: &Key, kept: usize) -> Result<(), kube::Error> {
        let api = self.of::<ConfigMap>(&pool.namespace);
        let params = ListParams::default().labels(&format!("{POOL_LABEL}={},{CONSOLE_LABEL}=true", pool.name));
        let list = self.call(api.list_metadata(&params)).await?;
        let mut logs: Vec<_> = list.items.iter().map(|m| (m.creation_timestamp().map(|t| t.0), m.name_any())).collect();
        logs.sort();
        let old = logs.iter().rev().skip(kept).map(|(_, name)| async {
            self.metrics.api_write("ConfigMap", "delete");
            match self.call(api.delete(name, &DeleteParams::default())).await {
                // Another VM of the pool that ended at the same time was faster.
                Err(error) if !is_gone(&error) => Err(error),
                Ok(_) | Err(_) => Ok(()),
            }
        });
        join_all(old).await.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::api::fake::Fake;

    #[tokio::test]
    async fn of_many_console_logs_the_newest_stay_and_the_others_go_although_somebody_else_deletes_them_too() {
        let server = Fake::default();
        for n in 0..50 {
            let at = format!("2026-01-01T00:00:{n:02}Z");
            server.put("configmaps", &json!({"metadata": {"name": format!("log-{n:02}"), "creationTimestamp": at}}));
        }
        let api = Api::new(server.client(), Arc::default());
        let pool = Key { namespace: "n".into(), name: "cpu".into() };
        let (one, other) = tokio::join!(api.prune_consoles(&pool, 20), api.prune_consoles(&pool, 20));
        assert!(one.is_ok() && other.is_ok(), "{one:?} {other:?}");
        let left = server.names("configmaps");
        assert_eq!((left.len(), left.first().map(String::as_str)), (20, Some("log-30")));
    }
}
