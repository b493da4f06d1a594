//! What a PilotVM's object says of its life: questions that several rooms ask of it. Pure.

use broker::{cloud::Coming, plan::BEFORE_THE_FIRST_JOB};
use crds::{
    Cloud, ConditionType, DiracInstallation, PilotPool, PilotVM, Price, Reason, condition,
    installation::LostJobs,
    pool::Purchase,
    vm::{Offering, PilotVMSpec, PilotVMStatus},
};
use jiff::{SignedDuration, Timestamp};
use kube::Resource;

use crate::{
    amounts::seconds,
    names::{Key, deleting, is_paused},
};

/// A pilot that could not ask, because the Matcher was away, does so within this time.
const ASKS_AGAIN_WITHIN: SignedDuration = SignedDuration::from_mins(5);

/// A guest that does not stop by itself is given this time more than it should need.
const GRACE: SignedDuration = SignedDuration::from_mins(5);

/// When the VM was made, where that is written down.
pub fn launched(vm: &PilotVM) -> Option<Timestamp> {
    vm.status.as_ref().and_then(|s| s.launched_at.as_ref()).map(|t| t.0)
}

/// The zone of the VM and the price of its hour: as it was bought, or until then as it was wished.
pub fn place(vm: &PilotVM) -> (Option<&str>, Option<Price>) {
    let bought = vm.status.as_ref().and_then(|s| s.bought.as_ref()).and_then(|bought| bought.zone.as_deref());
    place_in(&vm.spec.offering, bought)
}

/// The same where it is bought in this zone: of a zone that was not wished nothing is known.
pub fn place_in<'a>(wish: &'a Offering, zone: Option<&str>) -> (Option<&'a str>, Option<Price>) {
    let other = wish.other_zones.iter().find(|other| Some(other.zone.as_str()) == zone);
    other.map_or((wish.zone.as_deref(), wish.per_hour), |other| (Some(&other.zone), other.per_hour))
}

/// The zones beside the first that the VM's order names, or will name as far as that is known.
pub fn other_zones(vm: &PilotVM) -> Vec<&str> {
    match vm.status.as_ref().and_then(|s| s.attempt.as_ref()) {
        Some(attempt) => attempt.other_zones.iter().map(String::as_str).collect(),
        None => vm.spec.offering.other_zones.iter().map(|other| other.zone.as_str()).collect(),
    }
}

/// Whether the VM is bought so that the provider may take it back.
pub fn is_spot(vm: &PilotVM) -> bool {
    vm.spec.offering.purchase == Purchase::Spot
}

/// Whether the pilot ever asked for work.
pub fn ran(vm: &PilotVM) -> bool {
    vm.status.as_ref().is_some_and(|s| ConditionType::Running.holds(&s.conditions) || s.running_since.is_some())
}

/// Whether an end of the VM's life is written down.
pub fn is_ended(vm: &PilotVM) -> bool {
    vm.status.as_ref().is_some_and(|s| ConditionType::Ended.holds(&s.conditions))
}

/// Whether the VM runs and nothing is expected of it soon.
pub fn is_settled(vm: &PilotVM) -> bool {
    launched(vm).is_some() && ran(vm) && !deleting(vm) && !is_ended(vm)
}

/// The reason for which the provider takes a VM away soon, or stops it, where it announced that.
pub fn leaves(vm: &PilotVM) -> Option<Reason> {
    let said = ConditionType::Leaving.among(&vm.status.as_ref()?.conditions).filter(|c| c.status == "True")?;
    condition::reason(said)
}

/// Why the VM is to take no more jobs, where that is written down: the reason and the sentence.
pub fn drains(vm: &PilotVM) -> Option<(&str, &str)> {
    let said = ConditionType::Draining.among(&vm.status.as_ref()?.conditions).filter(|c| c.status == "True")?;
    Some((&said.reason, &said.message))
}

/// The reason in which an announcement is written down.
pub fn announced(what: Coming) -> Reason {
    match what {
        Coming::Reclaim => Reason::ReclaimAnnounced,
        Coming::Rebalance => Reason::RebalanceAnnounced,
        Coming::Maintenance => Reason::MaintenanceAnnounced,
    }
}

/// When the PilotVM was made.
pub fn created(vm: &PilotVM) -> Timestamp {
    vm.meta().creation_timestamp.as_ref().map_or(Timestamp::UNIX_EPOCH, |t| t.0)
}

/// When the VM was ordered, or else when it was wished.
pub fn ordered(vm: &PilotVM) -> Timestamp {
    let attempt = vm.status.as_ref().and_then(|status| status.attempt.as_ref());
    attempt.map_or_else(|| created(vm), |attempt| attempt.since.0)
}

/// When its pilot must have asked for work.
pub fn deadline(vm: &PilotVM) -> Timestamp {
    launched(vm).unwrap_or_else(|| created(vm)) + seconds(vm.spec.boot_deadline)
}

/// Whether the VM has reached the age at which it is given back.
pub fn is_old(vm: &PilotVM, now: Timestamp) -> bool {
    now > created(vm) + seconds(vm.spec.max_lifetime)
}

/// Whether the pilot of a VM that was made and does not run is late: its row was read after the deadline, and it could ask all the
/// time. With DIRAC down nothing is deleted or replaced by guess.
pub fn is_late(vm: &PilotVM, rows_read: Option<Timestamp>, asking: Option<Timestamp>, now: Timestamp) -> bool {
    let deadline = deadline(vm);
    let could_ask = asking.is_some_and(|since| since == Timestamp::default() || now > since + ASKS_AGAIN_WITHIN);
    now > deadline && could_ask && rows_read.is_some_and(|read| read > deadline)
}

/// Whether a job was ever seen on the VM.
pub fn served(vm: &PilotVM) -> bool {
    vm.status.as_ref().is_some_and(|s| s.served_job)
}

/// When a pilot that asks since this moment, and never had a job, should have ended its VM, with a grace. Its guest hangs, or does not
/// obey its idle timeout.
pub fn idle_limit(vm: &PilotVM, asks_since: Timestamp) -> Timestamp {
    asks_since + seconds(vm.spec.idle_timeout) + GRACE
}

/// When no job can be within its time any more: the last one may have begun at the end of the VM's lifetime.
pub fn hard_limit(vm: &PilotVM) -> Timestamp {
    created(vm) + seconds(vm.spec.max_lifetime) + seconds(vm.spec.max_cpu_time) + GRACE
}

/// What the pilot may use of its CPU time before it asks for work; one that is to be gone at a moment has none, since its last job would run on beyond it.
pub fn before_the_first_job(spec: &PilotVMSpec) -> u64 {
    if spec.until.is_some() { 0 } else { BEFORE_THE_FIRST_JOB }
}

/// Which of these objects says that nothing is made or taken away here: its kind and name. An object that is gone says nothing.
pub fn paused_by<'a>(
    installation: Option<&DiracInstallation>,
    pool: Option<&PilotPool>,
    clouds: impl IntoIterator<Item = &'a Cloud>,
) -> Option<String> {
    fn said<K: Resource<DynamicType = ()>>(object: &K) -> Option<String> {
        is_paused(object).then(|| format!("{} {}", K::kind(&()), Key::of(object)))
    }
    let clouds = || clouds.into_iter().find_map(said);
    installation.and_then(said).or_else(|| pool.and_then(said)).or_else(clouds)
}

/// Whether jobs of lost VMs are given back to the installation's queue.
pub fn gives_back(installation: &DiracInstallation) -> bool {
    installation.spec.managed.is_some()
        || installation.spec.external.as_ref().is_some_and(|external| external.lost_jobs == LostJobs::Reschedule)
}

/// The phase, derived from the conditions.
pub fn phase(status: &PilotVMStatus) -> &'static str {
    let is = |type_: ConditionType| type_.holds(&status.conditions);
    if is(ConditionType::Ended) {
        "Ending"
    } else if is(ConditionType::Draining) {
        "Draining"
    } else if is(ConditionType::Running) {
        "Running"
    } else if is(ConditionType::Launched) {
        "Booting"
    } else {
        "Pending"
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use crds::{annotation, pool::PilotPoolSpec};
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + SignedDuration::from_secs(seconds)
    }

    #[test]
    fn a_pause_names_the_object_that_asks_for_it() {
        let mut pool = PilotPool::new("cpu", PilotPoolSpec::default());
        pool.metadata.namespace = Some("demo".into());
        assert_eq!(paused_by(None, Some(&pool), None), None);
        let annotated = |value: &str| Some(BTreeMap::from([(annotation::PAUSED.to_owned(), value.to_owned())]));
        pool.metadata.annotations = annotated("false");
        assert_eq!(paused_by(None, Some(&pool), None), None);
        pool.metadata.annotations = annotated("true");
        assert_eq!(paused_by(None, Some(&pool), None).as_deref(), Some("PilotPool demo/cpu"));
    }

    #[test]
    fn limits_of_a_guest_that_hangs_leave_it_a_grace_beyond_all_that_it_may_do() {
        let spec = PilotVMSpec {
            idle_timeout: crds::Duration::from_secs(600),
            max_lifetime: crds::Duration::from_secs(7_200),
            max_cpu_time: crds::Duration::from_secs(3_600),
            ..PilotVMSpec::default()
        };
        let mut vm = PilotVM::new("cpu-1", spec);
        vm.metadata.creation_timestamp = Some(Time(at(1_000)));
        assert_eq!(idle_limit(&vm, at(2_000)), at(2_000 + 600 + 300));
        assert_eq!(hard_limit(&vm), at(1_000 + 7_200 + 3_600 + 300));
    }
}
