//! Console logs of VMs that failed: kept in ConfigMaps beside the pool, the newest few.

use std::collections::BTreeMap;

use broker::cloud::Cloud;
use crds::PilotVM;
use k8s_openapi::{api::core::v1::ConfigMap, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use kube::{Resource, ResourceExt};

use crate::{
    context::Context,
    names::{CONSOLE_LABEL, Key, POOL_LABEL, console},
};

/// The end of the console, where the reason stands.
const MOST_BYTES: usize = 64 * 1024;
/// Logs of a pool that are kept.
const KEPT: usize = 20;

/// Keeps the console log of a VM and gives the name of the ConfigMap; nothing where there is no log or it cannot be kept: a missing
/// log is no reason to let a broken VM live.
pub async fn keep(ctx: &Context, vm: &PilotVM, driver: &dyn Cloud, id: &str) -> Option<String> {
    let key = Key::of(vm);
    let text = match driver.console(id, MOST_BYTES).await {
        Ok(text) if text.trim().is_empty() => return None,
        Ok(text) => text,
        Err(error) => {
            tracing::warn!(vm = %key, %error, "the console log could not be read");
            return None;
        }
    };
    let pool_key = key.beside(&vm.spec.pool_ref.name);
    let owner = ctx.state.stores.pools.get(&pool_key).and_then(|pool| pool.owner_ref(&()));
    let name = console(&key.name, &vm.uid().unwrap_or_default());
    let labels = [(POOL_LABEL, pool_key.name.as_str()), (CONSOLE_LABEL, "true")];
    let map = ConfigMap {
        metadata: ObjectMeta {
            name: Some(name.clone()),
            namespace: Some(key.namespace.clone()),
            labels: Some(labels.into_iter().map(|(k, v)| (k.to_owned(), v.to_owned())).collect()),
            owner_references: owner.map(|o| vec![o]),
            ..ObjectMeta::default()
        },
        data: Some(BTreeMap::from([("console.log".to_owned(), printable(&text))])),
        ..ConfigMap::default()
    };
    if let Err(error) = ctx.api.keep_console(&map).await {
        tracing::warn!(vm = %key, %error, "the console log could not be kept");
        return None;
    }
    if let Err(error) = ctx.api.prune_consoles(&pool_key, KEPT).await {
        tracing::debug!(pool = %pool_key, %error, "old console logs could not be deleted");
    }
    Some(name)
}

/// Control characters would make the log unreadable in YAML.
fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control() || matches!(c, '\n' | '\t')).collect()
}
