//! Listens to what a provider announces about VMs of ours. A notice is a hint: it is kept for the PilotVM, which is rung.

use std::time::Duration;

use broker::cloud::Notice;
use futures::StreamExt;
use tokio::sync::watch;

use crate::{context::Context, known::cloud::Handle, names::Key};

/// What was announced is taken note of within this time.
const NOTE: Duration = Duration::from_secs(60);

/// Listens until dropped, to each driver in its turn. `driven` tells that there is a new one.
pub async fn listen(ctx: &Context, key: &Key, handle: &Handle, mut driven: watch::Receiver<()>) {
    let pulse = ctx.progress.begins(format!("notices of {key}"), NOTE);
    loop {
        let mut notices = match handle.facts().driver {
            Some(driver) => driver.notices(),
            None => futures::stream::empty().boxed(),
        };
        let heard = async {
            while let Some(notice) = pulse.rests(notices.next()).await {
                hear(ctx, key, handle, &notice);
            }
            // A provider that announces nothing, or nothing more.
            pulse.rests(std::future::pending::<()>()).await;
        };
        tokio::select! {
            () = heard => {}
            changed = driven.changed() => if changed.is_err() { return },
        }
    }
}

fn hear(ctx: &Context, key: &Key, handle: &Handle, notice: &Notice) {
    tracing::info!(cloud = %key, id = notice.id, what = ?notice.what, at = %notice.at, "the provider announced something");
    handle.announced(notice, ctx.clock.now());
    let is_it = |id: Option<&String>| id == Some(&notice.id);
    let vms = ctx.state.stores.vms_of_cloud(key);
    for vm in vms.iter().filter(|vm| is_it(vm.status.as_ref().and_then(|s| s.provider_id.as_ref()))) {
        ctx.bells.look_at(Key::of(vm.as_ref()));
    }
}

#[cfg(test)]
#[path = "notices_tests.rs"]
mod tests;
