//! Objects of any kind, as JSON: those of which managed installations are made.

use k8s_openapi::api::core::v1::{Pod, Secret};
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
    /// Where objects of this one's kind and namespace are.
    fn like(&self, object: &Value) -> kube::Api<DynamicObject> {
        self.any(word(object, "/metadata/namespace"), word(object, "/apiVersion"), word(object, "/kind"))
    }

    fn any(&self, namespace: &str, api_version: &str, kind: &str) -> kube::Api<DynamicObject> {
        kube::Api::namespaced_with(self.client.clone(), namespace, &resource(api_version, kind))
    }

    /// Applies a whole object, which has its kind, namespace and name in it; gives it as the API server has it then. Fields that others
    /// set and that are ours too become ours.
    pub async fn apply_any(&self, object: &Value) -> Result<Value, kube::Error> {
        self.metrics.api_write(word(object, "/kind"), "apply");
        let (api, params) = (self.like(object), PatchParams::apply(&manager()).force());
        let applied = self.call(api.patch(word(object, "/metadata/name"), &params, &Patch::Apply(object))).await?;
        serde_json::to_value(applied).map_err(kube::Error::SerdeError)
    }

    /// Deletes this very object, not another of its name.
    pub async fn delete_any(&self, object: &Value) -> Result<(), kube::Error> {
        let uid = object.pointer("/metadata/uid").and_then(Value::as_str).map(str::to_owned);
        let preconditions = Some(Preconditions { uid, resource_version: None });
        self.metrics.api_write(word(object, "/kind"), "delete");
        let (api, params) = (self.like(object), DeleteParams { preconditions, ..DeleteParams::background() });
        match self.call(api.delete(word(object, "/metadata/name"), &params)).await {
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
        let api = self.like(object);
        let params = ListParams::default().fields(&format!("metadata.name={}", word(object, "/metadata/name")));
        let found = self.call(api.list_metadata(&params)).await?.items.pop();
        found.map(serde_json::to_value).transpose().map_err(kube::Error::SerdeError)
    }

    /// The pods with these labels.
    pub async fn pods(&self, namespace: &str, labels: &str) -> Result<Vec<Pod>, kube::Error> {
        let api = kube::Api::<Pod>::namespaced(self.client.clone(), namespace);
        Ok(self.call(api.list(&ListParams::default().labels(labels))).await?.items)
    }

    /// Makes a Secret that is not there, and never changes one that is.
    pub async fn make_secret(&self, secret: &Secret) -> Result<(), kube::Error> {
        let api = kube::Api::<Secret>::namespaced(self.client.clone(), &Key::of(secret).namespace);
        let params = PostParams { field_manager: Some(manager()), ..PostParams::default() };
        self.metrics.api_write("Secret", "create");
        match self.call(api.create(&params, secret)).await {
            Err(error) if is_conflict(&error) => Ok(()),
            outcome => outcome.map(drop),
        }
    }
}
