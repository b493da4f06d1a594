//! Clouds: a poller for each, what is known of it, and what its object says.
//!
//! Flow of a poller's turn: 1. driver made anew when spec or Secret changed; 2. catalogue and quota, once a minute; 3. one list of
//! our VMs; 4. garbage collected from that list; 5. PilotVMs woken whose VM is not as it was.

mod contextualise;
mod driver;
mod exhausted;
mod facts;
mod finalizer;
mod listing;
mod openstack;
mod poll;
pub mod status;

use std::{collections::HashMap, sync::Arc, time::Duration};

use tokio::task::JoinSet;

pub use contextualise::contextualise;
pub use exhausted::Exhausted;
pub use facts::{Facts, Handle, Trouble};
pub use listing::{Listing, Machine};

use crate::{context::Context, names::Key};

/// Keeps a poller running for every cloud, also for one whose object is gone while PilotVMs need it.
pub async fn run(ctx: Arc<Context>) {
    let mut tasks = JoinSet::new();
    let mut pollers: HashMap<Key, tokio::task::AbortHandle> = HashMap::new();
    loop {
        let mut wanted: Vec<Key> = ctx.stores.clouds.all().iter().map(|c| Key::of(c.as_ref())).collect();
        wanted.extend(ctx.stores.vms.all().iter().map(|vm| Key::of(vm.as_ref()).beside(&vm.spec.cloud_ref.name)));
        wanted.sort();
        wanted.dedup();
        pollers.retain(|key, task| {
            let keep = wanted.binary_search(key).is_ok() && !task.is_finished();
            if !keep {
                task.abort();
            }
            keep
        });
        for key in &wanted {
            if !pollers.contains_key(key) {
                pollers.insert(key.clone(), tasks.spawn(poll::run(ctx.clone(), key.clone())));
            } else {
                ctx.clouds.get(key).wake.notify_one();
            }
        }
        ctx.clouds.retain(|key| wanted.binary_search(key).is_ok());
        while tasks.try_join_next().is_some() {}
        tokio::select! {
            () = ctx.reshaped_clouds.notified() => {}
            () = tokio::time::sleep(Duration::from_secs(30)) => {}
        }
    }
}
