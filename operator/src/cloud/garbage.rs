//! Which listed VMs are garbage: orphans, which carry our tag and have no PilotVM, and twins of the VM of a PilotVM. Pure.
//!
//! An orphan may run jobs: it is left alone until it has been one for a while by steady time, few are deleted at a time, and one that
//! cannot be deleted is left alone for longer each time. A twin is deleted at once while it is young, before its pilot can have a job.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use broker::cloud::{Vm, VmState};
use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

/// A pilot cannot have a job before its VM is this old.
const YOUNG: SignedDuration = SignedDuration::from_mins(2);
/// The first pause after a deletion that did not work; each further one is twice as long.
const AGAIN: Duration = Duration::from_secs(30);
const LONGEST: Duration = Duration::from_secs(1800);

/// Whether it holds something that nobody takes away yet. What is unknown is left alone.
pub fn may_be_taken(vm: &Vm) -> bool {
    vm.is_held() && !matches!(vm.state, VmState::Deleting | VmState::Unknown)
}

/// The twins among the VMs of one PilotVM, whose status names the id `recorded`. None where that one is not at work: then the PilotVM is
/// about to end, or its launch is about to choose, and a second choice here could take the other one away.
pub fn twins<'a>(listed: &'a [Vm], recorded: Option<&str>) -> Vec<&'a Vm> {
    let is_kept = |vm: &&Vm| Some(vm.id.as_str()) == recorded;
    let is_kept_at_work =
        listed.iter().find(is_kept).is_some_and(|vm| matches!(vm.state, VmState::Building | VmState::Active));
    if !is_kept_at_work {
        return Vec::new();
    }
    listed.iter().filter(|vm| !is_kept(vm) && may_be_taken(vm)).collect()
}

/// Whether a VM is too young to have a job.
pub fn is_young(vm: &Vm, now: Timestamp) -> bool {
    now.duration_since(vm.created) < YOUNG
}

/// Orphans as they were seen, by the provider's id.
#[derive(Debug, Default)]
pub struct Suspects {
    since: BTreeMap<String, Instant>,
    failed: BTreeMap<String, (u32, Instant)>,
}

impl Suspects {
    /// Takes in the suspects of a list.
    pub fn see(&mut self, ids: &BTreeSet<String>, now: Instant) {
        self.since.retain(|id, _| ids.contains(id));
        self.failed.retain(|id, _| ids.contains(id));
        for id in ids {
            self.since.entry(id.clone()).or_insert(now);
        }
    }

    /// Whether this one has been a suspect for long enough, and its last deletion did not fail a moment ago.
    pub fn is_due(&self, id: &str, guard: Duration, now: Instant) -> bool {
        let is_aged = self.since.get(id).is_some_and(|since| now.duration_since(*since) >= guard);
        is_aged && self.failed.get(id).is_none_or(|(_, again)| *again <= now)
    }

    /// Its deletion did not work.
    pub fn failed(&mut self, id: &str, now: Instant) {
        let times = self.failed.get(id).map_or(0, |(times, _)| times.saturating_add(1));
        let pause = AGAIN.saturating_mul(1_u32.checked_shl(times).unwrap_or(u32::MAX)).min(LONGEST);
        self.failed.insert(id.to_owned(), (times, now + pause));
    }
}

/// The orphans of a list, in the order of their ids; `exists` says whether a PilotVM does.
pub fn orphans<'a>(listed: impl IntoIterator<Item = &'a Vec<Vm>>, exists: impl Fn(&str) -> bool) -> Vec<&'a Vm> {
    let all = listed.into_iter().flatten();
    let mut found: Vec<_> = all.filter(|vm| vm.is_held() && !exists(&vm.owner.uid)).collect();
    found.sort_by(|a, b| a.id.cmp(&b.id));
    found
}

#[cfg(test)]
mod tests {
    use broker::cloud::{End, Owner};

    use super::*;

    fn wall() -> Timestamp {
        Timestamp::UNIX_EPOCH + SignedDuration::from_hours(1)
    }
    fn vm(id: &str, uid: &str, age: i64) -> Vm {
        Vm {
            id: id.into(),
            owner: Owner { cluster: "c".into(), uid: uid.into() },
            name: String::new(),
            state: VmState::Active,
            provider_status: String::new(),
            created: wall() - SignedDuration::from_secs(age),
            bought: None,
            released: false,
        }
    }
    fn seconds(n: u64) -> Duration {
        Duration::from_secs(n)
    }
    fn ids<'a>(vms: impl IntoIterator<Item = &'a Vm>) -> Vec<&'a str> {
        vms.into_iter().map(|vm| vm.id.as_str()).collect()
    }

    #[test]
    fn a_vm_without_a_pilotvm_is_an_orphan_and_one_that_holds_nothing_is_not() {
        let listed = [
            vec![vm("1", "a", 500), vm("0", "a", 400)],
            vec![vm("2", "b", 500)],
            vec![Vm { state: VmState::Ended(End::Deleted), ..vm("3", "c", 500) }],
        ];
        assert_eq!(ids(orphans(&listed, |uid| uid == "b")), ["0", "1"]);
    }

    #[test]
    fn of_twins_the_one_that_the_status_names_stays() {
        let both = [vm("1", "a", 300), vm("2", "a", 10)];
        assert_eq!(ids(twins(&both, Some("1"))), ["2"]);
        assert_eq!(ids(twins(&both, Some("2"))), ["1"]);
    }

    #[test]
    fn while_no_id_is_written_down_or_that_vm_does_not_work_no_twin_is_chosen() {
        let both = [vm("1", "a", 300), vm("2", "a", 10)];
        assert!(twins(&both, None).is_empty() && twins(&both, Some("3")).is_empty());
        let off = [vm("2", "a", 10), Vm { state: VmState::Ended(End::PoweredOff), ..vm("1", "a", 300) }];
        assert!(twins(&off, Some("1")).is_empty(), "never both");
        let going = [vm("1", "a", 300), Vm { state: VmState::Deleting, ..vm("2", "a", 10) }];
        assert!(twins(&going, Some("1")).is_empty());
    }

    #[test]
    fn a_twin_is_young_for_two_minutes() {
        assert!(is_young(&vm("1", "a", 119), wall()) && !is_young(&vm("1", "a", 120), wall()));
    }

    #[test]
    fn an_orphan_is_left_alone_until_it_has_been_one_for_a_while() {
        let (mut suspects, now, one) = (Suspects::default(), Instant::now(), BTreeSet::from(["1".to_owned()]));
        suspects.see(&one, now);
        assert!(!suspects.is_due("1", seconds(120), now + seconds(119)));
        assert!(suspects.is_due("1", seconds(120), now + seconds(120)));
        suspects.see(&BTreeSet::new(), now + seconds(121));
        suspects.see(&one, now + seconds(122));
        assert!(!suspects.is_due("1", seconds(120), now + seconds(200)), "its PilotVM was there in between");
    }

    #[test]
    fn an_orphan_that_cannot_be_deleted_is_tried_ever_more_rarely() {
        let (mut suspects, now) = (Suspects::default(), Instant::now());
        suspects.see(&BTreeSet::from(["1".to_owned()]), now);
        suspects.failed("1", now);
        assert!(!suspects.is_due("1", Duration::ZERO, now + seconds(29)));
        assert!(suspects.is_due("1", Duration::ZERO, now + seconds(30)));
        for _ in 0..50 {
            suspects.failed("1", now);
        }
        assert!(!suspects.is_due("1", Duration::ZERO, now + seconds(1799)));
        assert!(suspects.is_due("1", Duration::ZERO, now + seconds(1800)));
    }
}
