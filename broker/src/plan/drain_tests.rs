//! What is given back and what drains, as sentences.

use std::sync::Arc;

use super::{tests::*, *};

fn drains(world: &Snapshot) -> Vec<(String, Reason)> {
    plan(world).drains.into_iter().map(|drain| (drain.vm, drain.why)).collect()
}
fn surplus(world: &Snapshot) -> Vec<String> {
    plan(world).surplus.into_iter().map(|surplus| surplus.vm).collect()
}
/// Seconds for which a VM idles.
const IDLE: u64 = 300;

fn two_that_run() -> Snapshot {
    let mut w = world(vec![]);
    w.vms = vec![vm("busy", runs(0)), vm("idle", runs(8))];
    w
}
const ONE: Limits = Limits { vms: Some(1), cores: None, ram_mib: None, gpus: None };

#[test]
fn what_is_over_a_limit_that_was_lowered_drains_and_what_frees_soonest_goes_first() {
    type Change = fn(&mut Snapshot);
    let cases: [(Reason, Change); 5] = [
        (Reason::PoolMax, |w| w.pools[0].max = 1),
        (Reason::VoLimit, |w| w.vos[0].limits = ONE),
        (Reason::SiteLimit, |w| w.pools[0].site_limits = ONE),
        (Reason::CloudCeiling, |w| w.clouds[0].ceiling = ONE),
        (Reason::InstallationLimit, |w| w.limits = ONE),
    ];
    for (reason, change) in cases {
        let mut w = two_that_run();
        assert_eq!(drains(&w), []);
        change(&mut w);
        assert_eq!(drains(&w), [("idle".to_owned(), reason)]);
        assert_eq!(surplus(&w), [""; 0], "a VM that may have jobs is not given back");
    }
}

#[test]
fn a_vm_that_boots_is_given_back_before_one_that_runs_drains() {
    let mut w = two_that_run();
    w.vms.push(vm("boots", boots()));
    w.limits = Limits { vms: Some(1), ..Limits::default() };
    assert_eq!((surplus(&w), drains(&w).len()), (vec!["boots".to_owned()], 1));
}

#[test]
fn a_vm_that_drains_goes_on_with_it_and_works_again_when_the_reason_is_gone() {
    let mut w = two_that_run();
    w.vms[0].life = Life::Draining;
    w.pools[0].max = 1;
    assert_eq!(drains(&w), [("busy".to_owned(), Reason::PoolMax)], "although another is free sooner");
    w.pools[0].max = 2;
    assert_eq!(drains(&w), []);
}

#[test]
fn a_vm_that_drains_is_no_supply_and_counts_against_every_limit() {
    let mut w = world(vec![queue(1, "biomed_user", 8, &[])]);
    w.vms = vec![vm("drains", Life::Draining)];
    assert_eq!(plan(&w).launches.len(), 1);
    w.pools[0].max = 1;
    let said = plan(&w);
    assert_eq!((said.launches.len(), said.unmet[0].reason), (0, Reason::PoolMax));
}

#[test]
fn what_goes_for_one_limit_counts_for_the_others() {
    let mut w = two_that_run();
    w.pools[0].max = 1;
    w.vos[0].limits = ONE;
    w.clouds[0].ceiling = ONE;
    assert_eq!(drains(&w).len(), 1);
}

#[test]
fn a_pool_that_borrows_may_have_more_than_its_maximum() {
    let mut w = two_that_run();
    (w.pools[0].max, w.pools[0].borrows) = (1, true);
    assert_eq!(drains(&w), []);
}

#[test]
fn of_vms_that_run_the_one_whose_jobs_end_soonest_drains_first() {
    let soon = |in_seconds| Life::Running {
        free: Free::default(),
        soon: vec![Soon { in_seconds, free: Free { cores: 8, ram_mib: 16_384, gpus: 0, ..Free::default() } }],
    };
    let mut w = world(vec![]);
    w.vms = vec![vm("unknown", runs(4)), vm("late", soon(900)), vm("soon", soon(60))];
    w.pools[0].max = 2;
    assert_eq!(drains(&w), [("soon".to_owned(), Reason::PoolMax)]);
    w.pools[0].max = 1;
    assert_eq!(drains(&w).len(), 2);
    assert!(drains(&w).iter().all(|(vm, _)| vm != "unknown"));
}

#[test]
fn a_vm_that_boots_for_jobs_that_are_gone_is_given_back_when_it_would_have_idled_so_long() {
    let unneeded = |jobs: u64, seconds: u64| {
        let mut w = world(vec![queue(1, "biomed_user", jobs, &[])]);
        w.pools[0].idle_seconds = IDLE;
        w.vms = vec![LiveVm { unneeded_seconds: seconds, ..vm("a", boots()) }];
        w
    };
    assert_eq!(plan(&unneeded(0, 0)).unneeded, ["a"]);
    assert_eq!(plan(&unneeded(1, 0)).unneeded, [""; 0]);
    assert_eq!(surplus(&unneeded(0, IDLE)), [""; 0]);
    assert_eq!(surplus(&unneeded(0, IDLE + 1)), ["a"]);
    assert_eq!(surplus(&unneeded(1, IDLE + 1)), [""; 0], "a job waits for it again");
}

#[test]
fn what_a_pool_keeps_is_not_given_back_although_nobody_needs_it() {
    let mut w = world(vec![]);
    w.pools[0].idle_seconds = IDLE;
    w.vms = ["a", "b", "c"].map(|name| LiveVm { unneeded_seconds: IDLE + 1, ..vm(name, boots()) }).to_vec();
    assert_eq!(surplus(&w).len(), 3);
    w.pools[0].min = 2;
    assert_eq!(surplus(&w).len(), 1);
    w.pools[0].min = 0;
    w.pools[0].spare = 1;
    assert_eq!(surplus(&w).len(), 2);
    w.vms.push(LiveVm { offering: Arc::clone(&w.vms[0].offering), ..vm("idle", runs(8)) });
    assert_eq!(surplus(&w).len(), 3, "the idle one is the spare one");
}
