//! Which of the VMs that are there serve which jobs.

use std::sync::Arc;

use super::super::{tests::*, *};

/// Jobs that VMs with these free cores get of so many that wait: by running VMs, by booting ones, and VMs made for the rest.
fn served(jobs: u64, free: &[u64], booting: usize) -> (u64, u64, usize) {
    let mut w = world(vec![queue(1, "biomed_user", jobs, &[])]);
    w.vms = free.iter().enumerate().map(|(n, cores)| vm(&format!("runs{n}"), runs(*cores))).collect();
    w.vms.extend((0..booting).map(|n| vm(&format!("boots{n}"), boots())));
    let plan = plan(&w);
    let given = plan.assigned.get("cpu").copied().unwrap_or_default();
    assert_eq!(given.all(), jobs);
    (given.running, given.booting, plan.launches.len())
}

#[test]
fn each_free_core_serves_one_job_and_what_is_smallest_is_used_up_first() {
    assert_eq!(served(4, &[3, 3], 0), (4, 0, 0));
    assert_eq!(served(4, &[3, 3, 2], 0), (4, 0, 0));
    assert_eq!(served(9, &[3, 3, 2], 0), (8, 0, 1));
    assert_eq!(served(10, &[3], 1), (3, 7, 0));
    assert_eq!(served(19, &[3], 2), (3, 16, 0));
    assert_eq!(served(20, &[0, 3], 2), (3, 16, 1));
}

#[test]
fn vms_of_several_pools_serve_the_jobs_of_their_vo_together() {
    let mut w = world(vec![queue(1, "biomed_user", 4, &[])]);
    w.pools.push(pool("other", &["biomed"], &["c8"], 100));
    let other = LiveVm { pool: "other".into(), says: Arc::new(says(&w.pools[1])), ..vm("b", runs(3)) };
    w.vms = vec![vm("a", runs(3)), other];
    let plan = plan(&w);
    assert_eq!(plan.assigned.values().map(|given| given.running).sum::<u64>(), 4);
    assert_eq!(plan.launches, []);
}

#[test]
fn jobs_that_need_much_memory_find_the_vm_that_has_it_among_those_with_more_cores() {
    let mut w = world(vec![queue(1, "biomed_user", 2, &[])]);
    w.queues[0].min_ram_mb = 5_000;
    let free =
        |cores, ram_mib| Life::Running { free: Free { cores, ram_mib, gpus: 0, ..Free::default() }, soon: vec![] };
    w.vms = vec![vm("a", free(5, 4_000)), vm("b", free(1, 10_000))];
    assert_eq!(plan(&w).assigned["cpu"].running, 1);
    // Those that need less have what these leave.
    w.vms = vec![vm("a", free(5, 4_000)), vm("b", free(3, 10_000))];
    w.queues.push(queue(2, "biomed_user", 6, &[]));
    assert_eq!(plan(&w).assigned["cpu"].running, 8);
}

#[test]
fn plain_jobs_leave_the_vms_with_gpus_to_those_that_need_them() {
    let mut w = world(vec![queue(1, "biomed_user", 8, &[])]);
    let gpu = LiveVm { offering: offering("g1", 8, 1), ..vm("a", boots()) };
    w.vms = vec![gpu, vm("b", boots())];
    assert_eq!(plan(&w).unneeded, ["a"]);
}

#[test]
fn what_jobs_leave_of_a_vm_serves_those_that_come_later() {
    let mut w =
        world(vec![queue(1, "biomed_user", 1, &["4Processors", "MultiProcessor"]), queue(2, "biomed_user", 5, &[])]);
    w.vms = vec![vm("a", runs(8))];
    let plan = plan(&w);
    assert_eq!((plan.assigned["cpu"].running, plan.assigned["cpu"].new, plan.launches.len()), (5, 1, 1));
}
