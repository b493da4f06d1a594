//! Secrets do not go before the VMs that can be deleted only with them: a namespace that is deleted would take its Secrets first, and an
//! operator that starts again in that moment could delete nothing.
//!
//! Flow of a look: 1. who names which Secrets, and who still needs them, pure; 2. each Secret that is not known to be as it should be is
//! read, and gets the finalizer, or loses it; 3. an installation that is done with goes, and Clouds are told that they may.
//!
//! No Secret is ever listed. So that none is forgotten with the finalizer on, an object's status names its Secrets before they get it, and
//! the object stays until they have lost it. Only a Secret that says that it may be used gets it: who may write a Cloud must not be able to
//! hold any Secret of the namespace. `diracgrid.org/let-go` on the Secret takes it off at once.

mod holder;

use std::{collections::HashSet, sync::Arc, time::Duration};

use crds::{DiracInstallation, Reason, annotation::LET_GO};
use k8s_openapi::api::core::v1::Secret;
use tokio::time::Instant;

use holder::{Holder, Kind, done, holders, wanted};

use crate::{
    api::{self, secret::is_marked},
    context::Context,
    known::secrets::Seen,
    names::{INSTALLATION_FINALIZER, Key, SECRET_FINALIZER, deleting, holds, let_go},
};

/// Secrets are looked through at least this often.
const AT_LEAST: Duration = Duration::from_secs(10);
/// Changes that come together are looked at together.
const GATHER: Duration = Duration::from_millis(500);
/// They are looked through within this time.
const TURN: Duration = Duration::from_secs(600);

/// Looks after the Secrets until dropped.
pub async fn run(ctx: Arc<Context>) {
    let pulse = ctx.progress.begins("secrets", TURN);
    loop {
        look(&ctx).await;
        let rest = async {
            // Who is not rung looks all the same.
            let _ = tokio::time::timeout(AT_LEAST, ctx.bells.to_look_at_secrets()).await;
            tokio::time::sleep(GATHER).await;
        };
        pulse.rests(rest).await;
    }
}

async fn look(ctx: &Context) {
    let secrets = &ctx.state.secrets;
    let holders = holders(&ctx.state);
    let before = wanted(&holders, secrets);
    secrets.retain(|secret| before.contains_key(secret));
    for (secret, is_wanted) in &before {
        let was = secrets.of(secret);
        if was.is_some_and(|seen| !seen.is_due(*is_wanted, Instant::now())) {
            continue;
        }
        let seen = settle(ctx, secret, *is_wanted).await;
        secrets.saw(secret, seen);
        if was.is_some_and(|was| was.is_deleted) != seen.is_some_and(|seen| seen.is_deleted) {
            ring(ctx, &holders, secret);
        }
    }
    // What was found of a Secret may say that it is not to be kept.
    let after = wanted(&holders, secrets);
    let clouds = done(Kind::Cloud, &holders, &after, secrets);
    clouds.iter().for_each(|cloud| ctx.bells.poll(cloud));
    secrets.let_go(clouds);
    let installations = done(Kind::Installation, &holders, &after, secrets);
    for installation in ctx.state.stores.installations.all() {
        hold(ctx, &installation, &installations).await;
    }
    if before != after {
        ctx.bells.secrets_changed();
    }
}

/// Those who name a Secret that was deleted buy nothing with it.
fn ring(ctx: &Context, holders: &[Holder], secret: &Key) {
    let named = holders.iter().filter(|h| h.key.namespace == secret.namespace && h.named.contains(&secret.name));
    for holder in named {
        match holder.kind {
            Kind::Cloud => ctx.bells.poll(&holder.key),
            Kind::Installation => ctx.bells.remake(&holder.key),
        }
    }
}

/// Reads a Secret, and puts the finalizer on it or takes it off; gives what is then known of it.
async fn settle(ctx: &Context, key: &Key, is_wanted: bool) -> Option<Seen> {
    let seen = |is_held, is_deleted| Some(Seen { at: Instant::now(), is_held, is_deleted });
    let secret = match ctx.api.read::<Secret>(key).await {
        Ok(Some(secret)) => secret,
        Ok(None) => return seen(false, false),
        // What may not be read was not given a finalizer by this operator either.
        Err(error) if api::is_forbidden(&error) => return seen(false, false),
        Err(error) => {
            tracing::warn!(secret = %key, %error, "a Secret could not be looked at: it is left as it is");
            return None;
        }
    };
    let (is_held, is_deleted) = (holds(&secret, SECRET_FINALIZER), deleting(&secret));
    let is_let_go = is_deleted && let_go(&secret);
    match (is_wanted && !is_let_go, is_held) {
        (true, true) => {
            if is_deleted {
                let text = format!(
                    "deleted, and kept until the VMs that can be deleted only with it are gone; to let it go at once, annotate it with \
                     {LET_GO}=true"
                );
                ctx.events.warn(&secret, Reason::SecretDeleted, text).await;
            }
            return seen(true, is_deleted);
        }
        // A Secret that goes takes no finalizer.
        (true, false) if is_deleted || !is_marked(&secret) => return seen(false, is_deleted),
        (false, false) => return seen(false, is_deleted),
        (false, true) if is_wanted => {
            let text = "let go by annotation: VMs that can be deleted only with it may be left";
            tracing::warn!(secret = %key, text, "a Secret is let go");
            ctx.events.warn(&secret, Reason::LetGo, text).await;
        }
        (true, false) | (false, true) => {}
    }
    match ctx.api.hold(&secret, SECRET_FINALIZER, !is_held).await {
        Ok(_) => seen(!is_held, is_deleted),
        Err(error) if api::is_gone(&error) => seen(false, false),
        Err(error) if api::is_conflict(&error) => None,
        Err(error) => {
            tracing::warn!(secret = %key, %error, "the finalizer of a Secret could not be written: see the operator's rights");
            seen(is_held, is_deleted)
        }
    }
}

/// Puts the finalizer on an installation that is a client of a DIRAC, and takes it off one that is `done`.
async fn hold(ctx: &Context, installation: &DiracInstallation, done: &HashSet<Key>) {
    let is_held = holds(installation, INSTALLATION_FINALIZER);
    let is_wanted = match deleting(installation) {
        true => is_held && !done.contains(&Key::of(installation)),
        false => installation.spec.simulated.is_none(),
    };
    if is_held != is_wanted {
        ctx.api.try_hold(installation, INSTALLATION_FINALIZER, is_wanted).await;
    }
}

#[cfg(test)]
#[path = "secrets_tests.rs"]
mod tests;
