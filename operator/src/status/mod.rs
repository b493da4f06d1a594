//! Writes the statuses of all objects but PilotVMs: computed together from what is known, written only when they changed.

mod budget;
mod cloud;
mod demand;
mod downtime;
mod installation;
mod organization;
mod pace;
mod pass;
mod pool;
mod services;
mod site;
mod unread;
#[cfg(test)]
mod worlds_tests;
mod writer;

use std::{sync::Arc, time::Duration};

use crds::{ConditionType, Reason, condition};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use serde::Serialize;
use tokio::time::Instant;

use crate::context::Context;
use pass::Pass;
use writer::Writer;

/// Changes that come together are written together.
const GATHER: Duration = Duration::from_secs(2);
/// A pass over 20,000 VMs takes its time: the statuses rest for as many times that, so that they cost a fiftieth of a core at most,
const SHARE: u32 = 50;
/// and no longer than this.
const LONGEST_GATHER: Duration = Duration::from_secs(10);
/// Everything is looked at again after this time.
const AT_LEAST: Duration = Duration::from_secs(30);

/// One status is written within this time.
const TURN: Duration = Duration::from_secs(120);

/// Writes until dropped.
pub async fn run(ctx: Arc<Context>) {
    let pulse = ctx.progress.begins("statuses", TURN);
    let mut writer = Writer::default();
    loop {
        pulse.beat();
        let began = Instant::now();
        writer.begin();
        write_all(&ctx, &mut writer);
        let gather = gather(began.elapsed());
        unread::tell(&ctx).await;
        let rest = async {
            tokio::select! {
                () = ctx.bells.to_tell_statuses() => {}
                () = tokio::time::sleep(AT_LEAST) => {}
            }
            tokio::time::sleep(gather).await;
        };
        pulse.rests(rest).await;
    }
}

/// How long changes are gathered after a pass that took this time.
fn gather(took: Duration) -> Duration {
    (took * SHARE).clamp(GATHER, LONGEST_GATHER)
}

/// One pass. No write is waited for here.
fn write_all(ctx: &Arc<Context>, writer: &mut Writer) {
    let (pass, stores) = (Pass::of(&ctx.state, ctx.clock.now()), &ctx.state.stores);
    for object in stores.installations.all() {
        let new = installation::status(&pass, &object);
        writer.put(ctx, &object, object.status.as_ref(), new);
    }
    for object in stores.clouds.all() {
        let new = cloud::status(&pass, &object);
        writer.put(ctx, &object, object.status.as_ref(), new);
    }
    for object in stores.pools.all() {
        let new = pool::status(&pass, &object);
        writer.put(ctx, &object, object.status.as_ref(), new);
    }
    for object in stores.sites.all() {
        let new = site::status(&pass, &object);
        writer.put(ctx, &object, object.status.as_ref(), new);
    }
    for object in stores.vos.all() {
        let new = organization::status(&pass, &object);
        writer.put(ctx, &object, object.status.as_ref(), new);
    }
    for object in stores.downtimes.all() {
        let new = downtime::status(&pass, &object);
        writer.put(ctx, &object, object.status.as_ref(), new);
    }
    writer.end();
}

/// A status with conditions.
trait Status: Serialize + Clone + PartialEq + Send + Sync + 'static {
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

/// Whether a change is trouble. What goes as somebody wished is none.
fn is_trouble(news: &Condition) -> bool {
    let wished = matches!(condition::reason(news), Some(Reason::Deleting | Reason::Draining | Reason::Paused));
    news.status == "False" && !wished || condition::reason(news) == Some(Reason::VMsLeft)
}

/// What an administrator is told of a change: that an object is not ready any more or again, that demand of a pool is not met, that a
/// provider's list lacks VMs or has them again, that DIRAC lacks something that pilots need or has it again, and that a downtime drains,
/// begins, and has VMs left. What is not known yet is no news, nor that all is well from the first.
fn flips<'a>(old: &[Condition], new: &'a [Condition]) -> Vec<&'a Condition> {
    let is_news = |c: &&Condition| {
        let Ok(type_) = c.type_.parse::<ConditionType>() else { return false };
        let before = type_.among(old);
        match (type_, c.status.as_str()) {
            (
                ConditionType::Ready | ConditionType::DemandMet | ConditionType::Listed | ConditionType::DiracReady,
                "False",
            ) => before.is_none_or(|before| before.status != "False" || before.reason != c.reason),
            (ConditionType::Ready | ConditionType::Listed | ConditionType::DiracReady, "True") => {
                before.is_some_and(|b| b.status == "False")
            }
            (ConditionType::Draining | ConditionType::Active, "True") => {
                before.is_none_or(|before| before.status != "True" || before.reason != c.reason)
            }
            _ => false,
        }
    };
    new.iter().filter(is_news).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conditions(list: &[(&str, Option<bool>, &str)]) -> Vec<Condition> {
        list.iter()
            .map(|(type_, status, reason)| {
                let (type_, reason) = (type_.parse::<ConditionType>().unwrap(), reason.parse().unwrap());
                type_.says(*status, reason, "a sentence", Some(1))
            })
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
        let lacks = [("DiracReady", Some(false), "NotConfigured")];
        assert_eq!(told(&[("DiracReady", None, "NotRead")], &lacks), ["NotConfigured"]);
        assert_eq!(told(&lacks, &[("DiracReady", Some(true), "Configured")]), ["Configured"]);
        assert_eq!(told(&lacks, &[("DiracReady", None, "Unreachable")]), [""; 0], "what is not known is no news");
        let lacks = [("Listed", Some(false), "MissingFromLists")];
        assert_eq!((told(&[], &lacks), told(&lacks, &lacks).len()), (vec!["MissingFromLists".to_owned()], 0));
        assert_eq!(told(&lacks, &[("Listed", Some(true), "Listed")]), ["Listed"]);
    }

    #[test]
    fn a_pass_that_takes_long_is_made_more_rarely() {
        let after = |millis| gather(Duration::from_millis(millis)).as_millis();
        assert_eq!((after(1), after(100), after(1_000)), (2_000, 5_000, 10_000));
    }

    #[test]
    fn what_goes_as_somebody_wished_is_no_warning() {
        let ready = |reason: Reason| ConditionType::Ready.says(Some(false), reason, "a sentence", None);
        assert!(!is_trouble(&ready(Reason::Deleting)) && !is_trouble(&ready(Reason::Draining)));
        assert!(is_trouble(&ready(Reason::Unauthorized)));
    }
}
