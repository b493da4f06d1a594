//! What is bought, kept and drained before, in and after a time when a cloud is closed.

use std::sync::Arc;

use super::{tests::*, *};
use crate::demand::TaskQueue;

const HOUR: u64 = 3_600;

fn keep(cores: u64) -> Limits {
    Limits { cores: Some(cores), ..Limits::default() }
}
const NOTHING: Limits = Limits { vms: Some(0), cores: Some(0), ram_mib: Some(0), gpus: Some(0) };

fn closing(drains_in: u64, starts_in: u64, keep: Limits) -> Closing {
    let message = "Downtime power closes cloud here".to_owned();
    let (name, clouds) = ("power".into(), vec!["here".into()]);
    Closing { name, is_credential: false, clouds, drains_in, starts_in, keep, message }
}
fn jobs(jobs: u64, hours: u64) -> TaskQueue {
    TaskQueue { cpu_time: hours * HOUR, ..queue(hours, "biomed_user", jobs, &[]) }
}
/// A world whose pool offers ten days of CPU time.
fn closed(queues: Vec<TaskQueue>, closings: Vec<Closing>) -> Snapshot {
    let mut w = world(queues);
    w.pools[0].cpu_time = 240 * HOUR;
    w.closings = closings;
    for offering in &mut w.clouds[0].offerings {
        Arc::make_mut(offering).power = Some(100);
    }
    w
}
fn cuts(world: &Snapshot) -> Vec<Option<(u64, u64)>> {
    plan(world).launches.iter().map(|l| l.cut.map(|cut| (cut.cpu_time / 60, cut.until.unwrap() / HOUR))).collect()
}
/// A VM that may go on for ten days.
fn long(name: &str) -> LiveVm {
    LiveVm { cpu_time: 240 * HOUR, ..vm(name, runs(0)) }
}
fn drains(world: &Snapshot) -> Vec<String> {
    plan(world).drains.into_iter().map(|drain| drain.vm).collect()
}

#[test]
fn far_from_a_closing_all_is_as_before() {
    let w = closed(vec![jobs(8, 12)], vec![closing(300 * HOUR, 300 * HOUR, NOTHING)]);
    assert_eq!(cuts(&w), [None], "a VM of ten days is gone before");
}

#[test]
fn before_the_draining_jobs_are_served_by_vms_whose_pilots_take_none_that_would_run_beyond_the_start() {
    let w = closed(vec![jobs(8, 1)], vec![closing(6 * HOUR, 8 * HOUR, NOTHING)]);
    assert_eq!(cuts(&w), [Some((8 * 60 - 5, 8))], "less the time to boot");
    let w = closed(vec![jobs(8, 12)], vec![closing(6 * HOUR, 8 * HOUR, NOTHING)]);
    assert_eq!(cuts(&w), [Some((18 * 60 + 5, 8))], "none of twelve hours after the draining has begun");
}

#[test]
fn before_the_draining_what_may_stay_is_bought_as_ever() {
    let w = closed(vec![jobs(24, 12)], vec![closing(6 * HOUR, 8 * HOUR, keep(16))]);
    let mut found = cuts(&w);
    found.sort();
    assert_eq!(found, [None, None, Some((18 * 60 + 5, 8))]);
    let mut w = closed(vec![jobs(8, 12)], vec![closing(6 * HOUR, 8 * HOUR, keep(16))]);
    w.vms = vec![long("a"), long("b")];
    assert_eq!(cuts(&w), [Some((18 * 60 + 5, 8))], "those that are there stay");
    w.vms[0].until = Some(8 * HOUR);
    assert_eq!(cuts(&w), [None], "one that was bought to be gone does not");
}

#[test]
fn while_a_cloud_drains_only_jobs_that_end_in_time_are_bought_for_beyond_what_may_stay() {
    let w = closed(vec![jobs(8, 1), jobs(8, 12)], vec![closing(0, 2 * HOUR, NOTHING)]);
    let said = plan(&w);
    assert_eq!(said.launches.len(), 1);
    assert_eq!(said.launches[0].cut.map(|cut| cut.cpu_time), Some(2 * HOUR - 300));
    assert_eq!((said.unmet[0].reason, said.unmet[0].jobs), (Reason::Downtime, 8));
    assert!(said.unmet[0].message.contains("power"), "{}", said.unmet[0].message);
    let w = closed(vec![jobs(8, 2)], vec![closing(0, 2 * HOUR, NOTHING)]);
    assert_eq!(plan(&w).launches, [], "a VM has to boot");
    let w = closed(vec![jobs(24, 12)], vec![closing(0, 2 * HOUR, keep(16))]);
    let said = plan(&w);
    assert_eq!(said.launches.iter().map(|l| l.cut).collect::<Vec<_>>(), [None, None]);
    let change = said.unmet[0].change.clone().unwrap();
    assert_eq!((change.what.as_str(), change.by), ("cores", 8));
}

#[test]
fn jobs_that_cannot_be_served_here_are_bought_for_elsewhere() {
    let mut w = closed(vec![jobs(8, 12)], vec![closing(0, 2 * HOUR, NOTHING)]);
    w.pools[0].clouds.push("there".into());
    w.clouds.push(cloud("there", vec![offering("c8", 8, 0)]));
    assert_eq!(plan(&w).launches.iter().map(|l| &*l.cloud).collect::<Vec<_>>(), ["there"]);
}

#[test]
fn what_is_beyond_what_may_stay_drains_and_what_ends_in_time_does_not() {
    let of = |drains_in, starts_in, keep| {
        let mut w = closed(vec![], vec![closing(drains_in, starts_in, keep)]);
        let cut = LiveVm { until: Some(starts_in), ..long("cut") };
        w.vms = vec![long("a"), long("b"), cut, LiveVm { cpu_time: HOUR, ..long("short") }];
        w
    };
    assert_eq!(drains(&of(1, 2 * HOUR, NOTHING)), [""; 0]);
    assert_eq!(drains(&of(0, 2 * HOUR, NOTHING)), ["a", "b"]);
    assert_eq!(drains(&of(0, 2 * HOUR, keep(8))).len(), 1);
    assert_eq!(drains(&of(0, 2 * HOUR, keep(16))), [""; 0]);
    assert_eq!(drains(&of(0, 0, keep(16))).len(), 2, "what is still there when it begins");
    assert_eq!(plan(&of(0, 0, NOTHING)).drains[0].reason, "Downtime power closes cloud here");
}

#[test]
fn a_vm_that_boots_where_a_cloud_drains_is_given_back_unless_it_is_to_be_gone_in_time() {
    let mut w = closed(vec![], vec![closing(0, 2 * HOUR, NOTHING)]);
    let booting = |name| LiveVm { life: boots(), ..long(name) };
    w.vms = vec![booting("a"), LiveVm { until: Some(2 * HOUR), ..booting("b") }];
    assert_eq!(plan(&w).surplus.iter().map(|s| s.vm.as_str()).collect::<Vec<_>>(), ["a"]);
}

#[test]
fn two_closings_of_one_cloud_hold_at_once() {
    let mut w = closed(vec![], vec![closing(0, HOUR, keep(16)), closing(0, 3 * HOUR, keep(8))]);
    w.vms = vec![long("a"), long("b"), long("c")];
    assert_eq!(drains(&w).len(), 2);
    w.queues = vec![jobs(8, 2)];
    assert_eq!(plan(&w).launches, [], "they would end before the second, and not before the first");
}

#[test]
fn a_vm_that_is_to_be_gone_is_supply_only_for_jobs_that_end_in_time() {
    let there = |drains_in, hours| {
        let mut w = closed(vec![jobs(8, hours)], vec![closing(drains_in, 3 * HOUR, NOTHING)]);
        w.vms = vec![LiveVm { until: Some(3 * HOUR), cpu_time: 14 * HOUR, ..vm("a", runs(8)) }];
        plan(&w).assigned.get("cpu").map_or(0, |a| a.running)
    };
    assert_eq!((there(1, 12), there(0, 12), there(0, 2)), (8, 0, 8));
}

#[test]
fn another_cloud_is_not_concerned() {
    let mut w = closed(vec![jobs(8, 12)], vec![closing(0, 2 * HOUR, NOTHING)]);
    w.closings[0].clouds = vec!["there".into()];
    w.vms = vec![long("a")];
    assert_eq!((cuts(&w), drains(&w).len()), (vec![None], 0));
}

#[test]
fn where_nobody_knows_how_fast_a_machine_is_nothing_is_cut_and_nothing_bought_while_it_drains() {
    let unknown = |drains_in, keep| {
        let mut w = closed(vec![jobs(8, 1)], vec![closing(drains_in, 8 * HOUR, keep)]);
        w.clouds[0].offerings = vec![offering("c8", 8, 0)];
        w
    };
    assert_eq!(cuts(&unknown(6 * HOUR, NOTHING)), [None]);
    assert_eq!(plan(&unknown(0, NOTHING)).unmet[0].reason, Reason::Downtime);
    assert_eq!(cuts(&unknown(0, keep(8))), [None]);
}

#[test]
fn a_fast_machine_has_more_time_before_the_start() {
    let mut w = closed(vec![jobs(8, 12)], vec![closing(0, 2 * HOUR, NOTHING)]);
    assert_eq!(plan(&w).launches, []);
    Arc::make_mut(&mut w.clouds[0].offerings[0]).power = Some(1_000);
    assert_eq!(cuts(&w), [Some((10 * (120 - 5), 2))], "twelve hours of its time pass in less than two");
}

#[test]
fn to_the_second_a_vm_that_ends_at_the_start_is_left_alone_and_one_that_ends_after_it_is_not() {
    let drained = |change: fn(&mut LiveVm)| {
        let mut w = closed(vec![], vec![closing(0, 2 * HOUR, NOTHING)]);
        w.vms = vec![long("a")];
        change(&mut w.vms[0]);
        drains(&w).len()
    };
    assert_eq!((drained(|vm| vm.cpu_time = 2 * HOUR), drained(|vm| vm.cpu_time = 2 * HOUR + 1)), (0, 1));
    assert_eq!((drained(|vm| vm.until = Some(2 * HOUR)), drained(|vm| vm.until = Some(2 * HOUR + 1))), (0, 1));
    assert_eq!(drained(|vm| vm.life = Life::Ending), 0, "it goes already");
}

#[test]
fn to_the_second_a_pilot_that_ends_before_the_start_is_bought_as_it_is() {
    let cut = |starts_in| cuts(&closed(vec![jobs(8, 1)], vec![closing(starts_in, starts_in, NOTHING)]));
    assert_eq!(cut(240 * HOUR + 300), [None], "ten days, after the five minutes in which it boots");
    assert_eq!(cut(240 * HOUR + 299), [Some((240 * 60 - 1, 240))]);
}

#[test]
fn while_a_cloud_drains_jobs_are_bought_for_as_long_as_boot_job_and_margin_have_time() {
    let made = |starts_in| plan(&closed(vec![jobs(8, 1)], vec![closing(0, starts_in, NOTHING)])).launches.len();
    assert_eq!((made(HOUR + 300 + 300), made(HOUR + 300 + 301)), (0, 1));
}

#[test]
fn just_before_the_draining_a_pilot_has_ten_minutes_to_take_its_jobs() {
    let w = closed(vec![jobs(8, 12)], vec![closing(1, 8 * HOUR, NOTHING)]);
    assert_eq!(cuts(&w), [Some((12 * 60 + 15, 8))], "and the margin of DIRAC");
}

#[test]
fn no_vm_outlives_the_credential_that_deletes_it_and_the_pool_says_why_nothing_is_bought() {
    let ends = |drains_in, starts_in| Closing { is_credential: true, ..closing(drains_in, starts_in, NOTHING) };
    let w = closed(vec![jobs(8, 1)], vec![ends(6 * HOUR, 8 * HOUR)]);
    assert_eq!(cuts(&w), [Some((8 * 60 - 5, 8))], "its life is shortened");
    let mut w = closed(vec![jobs(8, 12)], vec![ends(0, 2 * HOUR)]);
    w.vms = vec![long("a")];
    let said = plan(&w);
    assert_eq!((said.launches.len(), said.unmet[0].reason), (0, Reason::CredentialEnds));
    assert!(said.unmet[0].message.contains("renew it"), "{}", said.unmet[0].message);
    assert_eq!(said.unmet[0].change, None, "no limit is to be raised");
    assert_eq!(said.drains.iter().map(|d| (d.vm.as_str(), d.why)).collect::<Vec<_>>(), [("a", Reason::CredentialEnds)]);
    w.closings.clear();
    assert_eq!(drains(&w), [""; 0], "a renewed credential undoes it");
}
