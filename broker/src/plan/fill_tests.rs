//! What new VMs are made for, and what their free cores serve.

use super::super::{tests::*, *};

fn of_cores(id: u64, jobs: u64, cores: u64) -> crate::demand::TaskQueue {
    queue(id, "biomed_user", jobs, &[&format!("{cores}Processors"), "MultiProcessor"])
}
/// Jobs for which each VM is made, by class.
fn leases(plan: &Plan) -> Vec<Vec<u64>> {
    let mut all: Vec<Vec<u64>> =
        plan.launches.iter().map(|launch| launch.lease.iter().map(|lease| lease.jobs).collect()).collect();
    all.sort();
    all
}

#[test]
fn what_new_vms_have_left_serves_the_jobs_that_come_later_first_where_least_is_left() {
    let singles = |jobs| plan(&world(vec![of_cores(1, 1, 6), of_cores(2, 3, 5), queue(3, "biomed_user", jobs, &[])]));
    let made = singles(9);
    assert_eq!(leases(&made), [vec![1, 1], vec![1, 2], vec![1, 3], vec![1, 3]]);
    assert_eq!((made.assigned["cpu"].new, made.unmet.len()), (13, 0));
    assert_eq!(leases(&singles(2)), [vec![1], vec![1], vec![1], vec![1, 2]]);
    assert_eq!(leases(&singles(12)).len(), 5, "eleven have room beside the others");
}

#[test]
fn a_vm_that_takes_jobs_of_one_size_alone_has_nothing_left_for_others() {
    let mut w = world(vec![of_cores(1, 1, 6), queue(2, "biomed_user", 2, &[])]);
    w.pools[0].pin = true;
    assert_eq!(leases(&plan(&w)), [[1], [2]]);
}

#[test]
fn where_there_is_not_room_for_all_nobody_takes_all_that_it_wants() {
    let mut w = world(vec![queue(1, "biomed_user", 480, &[]), queue(2, "enmr_user", 480, &[])]);
    w.clouds[0].ceiling.vms = Some(100);
    w.pools[0].max = 1_000;
    let made = plan(&w);
    let of = |vo: &str| made.launches.iter().filter(|launch| &*launch.vo == vo).count();
    assert_eq!(of("biomed") + of("enmr"), 100);
    assert!(of("biomed").abs_diff(50) <= 2, "half, up to a turn: {}", of("biomed"));
}

#[test]
fn a_pool_that_keeps_nothing_but_spare_vms_has_them_though_nothing_waits() {
    let mut w = world(vec![]);
    w.pools[0].spare = 1;
    assert_eq!(plan(&w).launches.len(), 1);
}
