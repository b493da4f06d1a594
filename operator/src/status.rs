//! Writes the statuses of all objects but PilotVMs: computed together from what is known, written only when they changed.

use std::{sync::Arc, time::Duration};

use crds::condition;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use serde::Serialize;

use crate::{
    cloud,
    context::Context,
    downtime, installation,
    names::Key,
    organization, pool, site,
    watch::Kind,
    write::{self, clip},
};

/// Changes that come together are written together.
const GATHER: Duration = Duration::from_secs(2);
/// Everything is looked at again after this time.
const AT_LEAST: Duration = Duration::from_secs(30);

/// Writes until dropped.
pub async fn run(ctx: Arc<Context>) {
    loop {
        for object in ctx.stores.installations.all() {
            put(&ctx, object.as_ref(), object.status.as_ref(), installation::status::status(&ctx, &object)).await;
        }
        for object in ctx.stores.clouds.all() {
            put(&ctx, object.as_ref(), object.status.as_ref(), cloud::status::status(&ctx, &object)).await;
        }
        for object in ctx.stores.pools.all() {
            put(&ctx, object.as_ref(), object.status.as_ref(), pool::status::status(&ctx, &object)).await;
        }
        for object in ctx.stores.sites.all() {
            put(&ctx, object.as_ref(), object.status.as_ref(), site::status(&ctx, &object)).await;
        }
        for object in ctx.stores.vos.all() {
            put(&ctx, object.as_ref(), object.status.as_ref(), organization::status(&ctx, &object)).await;
        }
        for object in ctx.stores.downtimes.all() {
            put(&ctx, object.as_ref(), object.status.as_ref(), downtime::status(&object)).await;
        }
        tokio::select! {
            () = ctx.dirty.notified() => {}
            () = tokio::time::sleep(AT_LEAST) => {}
        }
        tokio::time::sleep(GATHER).await;
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
    match write::apply_status(ctx, object, &new).await {
        Ok(_) => {
            for news in flips(old.map_or(&[], S::conditions), new.conditions()) {
                match news.status.as_str() {
                    "False" => ctx.events.warn(object, &news.reason, news.message.clone()).await,
                    _ => ctx.events.note(object, &news.reason, news.message.clone()).await,
                }
            }
        }
        Err(error) if write::is_gone(&error) || write::is_conflict(&error) => {}
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

/// Conditions in the making, on from those of the last status.
pub struct Conditions {
    all: Vec<Condition>,
    generation: Option<i64>,
    now: Timestamp,
}

impl Conditions {
    /// Goes on from `old`.
    pub fn of(old: Option<&Vec<Condition>>, generation: Option<i64>) -> Self {
        Self { all: write::go_on(old), generation, now: Timestamp::now() }
    }

    /// Sets one: `None` is Unknown.
    pub fn set(&mut self, type_: &str, status: Option<bool>, reason: &str, message: &str) {
        let condition = condition::new(type_, status, reason, clip(message), self.generation);
        condition::set(&mut self.all, condition, self.now);
    }

    /// Says what this version does not act on; nothing unsupported is said too.
    pub fn supported(&mut self, not: &[&str]) {
        if not.is_empty() {
            self.set(
                condition::SUPPORTED,
                Some(true),
                "Supported",
                "this version acts on everything the object asks for",
            );
        } else {
            let text = format!("this version accepts and does not act on: {}", not.join("; "));
            self.set(condition::SUPPORTED, Some(false), "NotActedOn", &text);
        }
    }

    /// Says whether all references resolve.
    pub fn resolved(&mut self, missing: &[String]) {
        if missing.is_empty() {
            self.set(condition::RESOLVED, Some(true), "Resolved", "every object that is named exists and fits");
        } else {
            self.set(condition::RESOLVED, Some(false), "ReferenceMissing", &missing.join("; "));
        }
    }

    /// Ready when the named conditions are all true; else the first that is not says why.
    pub fn ready(&mut self, needs: &[&str], message: &str) {
        let lacking = needs.iter().filter_map(|t| condition::get(&self.all, t)).find(|c| c.status != "True").cloned();
        match lacking {
            None => self.set(condition::READY, Some(true), "Ready", message),
            Some(c) => {
                self.set(condition::READY, if c.status == "False" { Some(false) } else { None }, &c.reason, &c.message)
            }
        }
    }

    /// The conditions.
    pub fn finish(self) -> Vec<Condition> {
        self.all
    }
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
