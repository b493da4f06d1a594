//! Installations: where demand is read and rows are written, one round and one reader of rows for each, and what the object says.

mod facts;
mod rows;
mod source;
pub mod status;

use std::{collections::HashMap, sync::Arc, time::Duration};

use tokio::task::{AbortHandle, JoinSet};

pub use facts::{Handle, Round, Rows};

use crate::{context::Context, names::Key, round};

/// Keeps the tasks of every installation running, those of one whose object is gone while PilotVMs have rows there.
pub async fn run(ctx: Arc<Context>) {
    let mut tasks = JoinSet::new();
    let mut running: HashMap<Key, [AbortHandle; 3]> = HashMap::new();
    loop {
        let mut wanted: Vec<Key> = ctx.stores.installations.all().iter().map(|i| Key::of(i.as_ref())).collect();
        wanted
            .extend(ctx.stores.vms.all().iter().map(|vm| Key::of(vm.as_ref()).beside(&vm.spec.installation_ref.name)));
        wanted.sort();
        wanted.dedup();
        running.retain(|key, handles| {
            let keep = wanted.binary_search(key).is_ok() && !handles.iter().any(AbortHandle::is_finished);
            if !keep {
                handles.iter().for_each(AbortHandle::abort);
            }
            keep
        });
        for key in &wanted {
            if running.contains_key(key) {
                ctx.installations.get(key).changed.notify_one();
                continue;
            }
            let handles = [
                tasks.spawn(source::run(ctx.clone(), key.clone())),
                tasks.spawn(rows::run(ctx.clone(), key.clone())),
                tasks.spawn(round::run(ctx.clone(), key.clone())),
            ];
            running.insert(key.clone(), handles);
        }
        ctx.installations.retain(|key| wanted.binary_search(key).is_ok());
        while tasks.try_join_next().is_some() {}
        tokio::select! {
            () = ctx.reshaped_installations.notified() => {}
            () = tokio::time::sleep(Duration::from_secs(30)) => {}
        }
    }
}
