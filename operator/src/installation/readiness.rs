//! Looks now and then whether DIRAC knows what pilots need. What is found is said in a condition, and nothing else goes by it.

use std::{sync::Arc, time::Duration};

use broker::readiness::{Inspect, Wanted, check};
use tokio::time::Instant;

use crate::{
    context::Context,
    names::Key,
    readiness::{Objects, is_met, wanted},
};

/// Manifests are looked at this often: what they need may be another.
const LOOK: Duration = Duration::from_secs(15);
/// While all is well, DIRAC is read this often: its configuration may be some megabytes.
const EACH: Duration = Duration::from_secs(600);
/// While something lacks or is unknown, somebody may be mending it.
const AGAIN: Duration = Duration::from_secs(30);
/// DIRAC is looked at within this time: some calls of 30 s each.
const TURN: Duration = Duration::from_secs(300);

/// The last look.
struct Last {
    /// By what DIRAC was looked at: another one has other credentials or addresses.
    by: Arc<dyn Inspect>,
    wanted: Wanted,
    /// When to look again.
    due: Instant,
}

/// Looks until dropped.
pub async fn watch_readiness(ctx: Arc<Context>, key: Key) {
    let pulse = ctx.progress.begins(format!("readiness of {key}"), TURN);
    let mut last = None;
    loop {
        last = look(&ctx, &key, last).await;
        pulse.rests(tokio::time::sleep(LOOK)).await;
    }
}

/// Looks if it is time to, or the manifests need something else than they did, or say something else of the way to DIRAC.
async fn look(ctx: &Context, key: &Key, last: Option<Last>) -> Option<Last> {
    let installation = ctx.state.stores.installations.get(key)?;
    let handle = ctx.state.installations.get(key);
    let by = handle.facts().inspect?;
    let wanted = wanted(&installation, &objects(ctx, key));
    let holds = |last: &Last| Arc::ptr_eq(&last.by, &by) && last.wanted == wanted && Instant::now() < last.due;
    if last.as_ref().is_some_and(holds) {
        return last;
    }
    let said = by.inspect().await;
    let findings = check(&said, &wanted);
    let due = Instant::now() + if is_met(&findings) { EACH } else { AGAIN };
    let is_news = handle.facts().readiness.is_none_or(|before| *before != findings);
    if is_news {
        tracing::info!(installation = %key, met = is_met(&findings), "looked whether DIRAC knows what pilots need");
        handle.update(|f| f.readiness = Some(Arc::new(findings)));
        ctx.bells.tell_statuses();
    }
    Some(Last { by, wanted, due })
}

fn objects(ctx: &Context, key: &Key) -> Objects {
    let stores = &ctx.state.stores;
    Objects {
        installations: stores.installations.within(&key.namespace),
        vos: stores.vos.within(&key.namespace),
        sites: stores.sites.within(&key.namespace),
        clouds: stores.clouds.within(&key.namespace),
        pools: stores.pools.within(&key.namespace),
    }
}

#[cfg(test)]
#[path = "readiness_tests.rs"]
mod tests;
