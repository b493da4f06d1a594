//! Objects of any kind, as JSON: those of which managed installations are made.

use k8s_openapi::api::core::v1::{ConfigMap, Pod, Secret};
use kube::{
    api::{DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams, Preconditions},
    core::{ApiResource, GroupVersionKind},
};
use serde_json::Value;

use super::{Api, is_conflict, is_gone};
use crate::names::{Key, OPERATOR};

/// The field manager of managed installations.
fn manager() -> String {
    format!("{OPERATOR}/services")
}

/// Where the API server has objects of this kind.
fn resource(api_version: &str, kind: &str) -> ApiResource {
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind))
}

fn word<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

impl Api {
    fn any(&self, namespace: &str, api_version: &str, kind: &str) -> kube::Api<DynamicObject> {
        kube::Api::namespaced_with(self.client.clone(), namespace, &resource(api_version, kind))
    }

    /// Applies a whole object, which has its kind, namespace and name in it; gives it as the API server has it then. Fields that others
    /// set and that are ours too become ours.
    pub async fn apply_any(&self, object: &Value) -> Result<Value, kube::Error> {
        let (kind, name) = (word(object, "/kind"), word(object, "/metadata/name"));
        let api = self.any(word(object, "/metadata/namespace"), word(object, "/apiVersion"), kind);
        self.metrics.api_write(kind, "apply");
        let params = PatchParams::apply(&manager()).force();
        let applied = self.call(api.patch(name, &params, &Patch::Apply(object))).await?;
        serde_json::to_value(applied).map_err(kube::Error::SerdeError)
    }

    /// Deletes this very object, not another of its name.
    pub async fn delete_any(&self, object: &Value) -> Result<(), kube::Error> {
        let (kind, name) = (word(object, "/kind"), word(object, "/metadata/name"));
        let api = self.any(word(object, "/metadata/namespace"), word(object, "/apiVersion"), kind);
        let uid = object.pointer("/metadata/uid").and_then(Value::as_str).map(str::to_owned);
        let preconditions = Some(Preconditions { uid, resource_version: None });
        self.metrics.api_write(kind, "delete");
        let params = DeleteParams { preconditions, ..DeleteParams::background() };
        match self.call(api.delete(name, &params)).await {
            Err(error) if is_gone(&error) || is_conflict(&error) => Ok(()),
            outcome => outcome.map(drop),
        }
    }

    /// All objects of this kind with these labels.
    pub async fn list_any(
        &self,
        namespace: &str,
        api_version: &str,
        kind: &str,
        labels: &str,
    ) -> Result<Vec<Value>, kube::Error> {
        let params = ListParams::default().labels(labels);
        let list = self.call(self.any(namespace, api_version, kind).list(&params)).await?;
        list.items.into_iter().map(serde_json::to_value).collect::<Result<_, _>>().map_err(kube::Error::SerdeError)
    }

    /// The metadata of the object of this kind, namespace and name, where there is one. It is listed, which needs no other right.
    pub async fn find_any(&self, object: &Value) -> Result<Option<Value>, kube::Error> {
        let api = self.any(word(object, "/metadata/namespace"), word(object, "/apiVersion"), word(object, "/kind"));
        let params = ListParams::default().fields(&format!("metadata.name={}", word(object, "/metadata/name")));
        let found = self.call(api.list_metadata(&params)).await?.items.pop();
        found.map(serde_json::to_value).transpose().map_err(kube::Error::SerdeError)
    }

    /// Whether there is a ConfigMap of this name. It is listed, which needs no right that old console logs do not need.
    pub async fn has_config_map(&self, key: &Key) -> Result<bool, kube::Error> {
        let api = kube::Api::<ConfigMap>::namespaced(self.client.clone(), &key.namespace);
        let params = ListParams::default().fields(&format!("metadata.name={}", key.name));
        Ok(!self.call(api.list_metadata(&params)).await?.items.is_empty())
    }

    /// The pods with these labels.
    pub async fn pods(&self, namespace: &str, labels: &str) -> Result<Vec<Pod>, kube::Error> {
        let api = kube::Api::<Pod>::namespaced(self.client.clone(), namespace);
        Ok(self.call(api.list(&ListParams::default().labels(labels))).await?.items)
    }

    /// The Secret, whoever made it.
    pub async fn secret(&self, key: &Key) -> Result<Option<Secret>, kube::Error> {
        let api = kube::Api::<Secret>::namespaced(self.client.clone(), &key.namespace);
        self.call(api.get_opt(&key.name)).await
    }

    /// Makes a Secret that is not there, and never changes one that is. Whether it was made by this call.
    pub async fn make_secret(&self, secret: &Secret) -> Result<bool, kube::Error> {
        let api = kube::Api::<Secret>::namespaced(self.client.clone(), &Key::of(secret).namespace);
        let params = PostParams { field_manager: Some(manager()), ..PostParams::default() };
        self.metrics.api_write("Secret", "create");
        match self.call(api.create(&params, secret)).await {
            Ok(_) => Ok(true),
            Err(error) if is_conflict(&error) => Ok(false),
            Err(error) => Err(error),
        }
    }
}
