//! Writes the statuses of all objects but PilotVMs: computed together from what is known, written only when they changed.

mod cloud;
mod downtime;
mod installation;
mod organization;
mod pool;
mod site;

use std::{sync::Arc, time::Duration};

use crds::condition;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use serde::Serialize;

use crate::{
    api::{self, watch::Kind},
    context::Context,
    names::Key,
};

/// Changes that come together are written together.
const GATHER: Duration = Duration::from_secs(2);
/// Everything is looked at again after this time.
const AT_LEAST: Duration = Duration::from_secs(30);

/// One status is written within this time.
const TURN: Duration = Duration::from_secs(120);

/// Writes until dropped.
pub async fn run(ctx: Arc<Context>) {
    let pulse = ctx.progress.begins("statuses", TURN);
    loop {
        let (state, now) = (&ctx.state, ctx.clock.now());
        for object in state.stores.installations.all() {
            pulse.beat();
            put(&ctx, object.as_ref(), object.status.as_ref(), installation::status(state, &object, now)).await;
        }
        for object in state.stores.clouds.all() {
            pulse.beat();
            put(&ctx, object.as_ref(), object.status.as_ref(), cloud::status(state, &object, now)).await;
        }
        for object in state.stores.pools.all() {
            pulse.beat();
            put(&ctx, object.as_ref(), object.status.as_ref(), pool::status(state, &object, now)).await;
        }
        for object in state.stores.sites.all() {
            pulse.beat();
            put(&ctx, object.as_ref(), object.status.as_ref(), site::status(state, &object, now)).await;
        }
        for object in state.stores.vos.all() {
            pulse.beat();
            put(&ctx, object.as_ref(), object.status.as_ref(), organization::status(state, &object, now)).await;
        }
        for object in state.stores.downtimes.all() {
            pulse.beat();
            put(&ctx, object.as_ref(), object.status.as_ref(), downtime::status(&object, now)).await;
        }
        let rest = async {
            tokio::select! {
                () = ctx.bells.to_tell_statuses() => {}
                () = tokio::time::sleep(AT_LEAST) => {}
            }
            tokio::time::sleep(GATHER).await;
        };
        pulse.rests(rest).await;
    }
}

/// A status with conditions.
trait Status: Serialize + PartialEq {
    fn conditions(&self) -> &[Condition];
}

macro_rules! statuses {
    ($($status:ty)*) => {$(
        impl Status for $status {
            fn conditions(&self) -> &[Condition] {
                &self.conditions
            }
        }
    )*};
}

statuses! {
    crds::installation::DiracInstallationStatus crds::cloud::CloudStatus crds::pool::PilotPoolStatus crds::site::SiteStatus
    crds::organization::VirtualOrganizationStatus crds::downtime::DowntimeStatus
}

/// Applies a status that is not the one the object has. A failure stops no other object.
async fn put<K: Kind, S: Status>(ctx: &Context, object: &K, old: Option<&S>, new: S) {
    if old == Some(&new) {
        return;
    }
    match ctx.api.apply_status(object, &new).await {
        Ok(_) => {
            for news in flips(old.map_or(&[], S::conditions), new.conditions()) {
                match news.status.as_str() {
                    "False" => ctx.events.warn(object, &news.reason, news.message.clone()).await,
                    _ => ctx.events.note(object, &news.reason, news.message.clone()).await,
                }
            }
        }
        Err(error) if api::is_gone(&error) || api::is_conflict(&error) => {}
        Err(error) => {
            tracing::warn!(kind = %K::kind(&()), object = %Key::of(object), %error, "the status could not be written")
        }
    }
}

/// What an administrator is told of a change: that an object is not ready any more or again, and that demand of a pool is not met.
/// What is not known yet is no news, nor that all is well from the first.
fn flips<'a>(old: &[Condition], new: &'a [Condition]) -> Vec<&'a Condition> {
    let was = |type_: &str, status: &str| condition::get(old, type_).is_some_and(|c| c.status == status);
    let is_news = |c: &&Condition| match (c.type_.as_str(), c.status.as_str()) {
        (condition::READY | condition::DEMAND_MET, "False") => {
            condition::get(old, &c.type_).is_none_or(|before| before.status != "False" || before.reason != c.reason)
        }
        (condition::READY, "True") => was(&c.type_, "False"),
        _ => false,
    };
    new.iter().filter(is_news).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conditions(list: &[(&str, Option<bool>, &str)]) -> Vec<Condition> {
        list.iter()
            .map(|(type_, status, reason)| condition::new(type_, *status, reason, "a sentence", Some(1)))
            .collect()
    }

    #[test]
    fn what_flips_is_told_and_what_stays_is_not() {
        let told = |old: &[(&str, Option<bool>, &str)], new: &[(&str, Option<bool>, &str)]| -> Vec<String> {
            flips(&conditions(old), &conditions(new)).iter().map(|c| c.reason.clone()).collect()
        };
        let (ready, refused) = ([("Ready", Some(true), "Ready")], [("Ready", Some(false), "Unauthorized")]);
        assert_eq!(told(&ready, &refused), ["Unauthorized"]);
        assert_eq!(told(&refused, &refused), [""; 0]);
        assert_eq!(told(&refused, &[("Ready", Some(false), "Transient")]), ["Transient"], "another reason is news");
        assert_eq!(told(&refused, &ready), ["Ready"]);
        assert_eq!(told(&[], &ready), [""; 0]);
        assert_eq!(told(&[("Ready", None, "NotAsked")], &ready), [""; 0]);
        assert_eq!(told(&[], &[("DemandMet", Some(false), "PoolMax")]), ["PoolMax"]);
    }
}
