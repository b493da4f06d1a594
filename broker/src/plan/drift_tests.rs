//! VMs that are not as their pool says any more, as sentences.

use super::{tests::*, *};

fn drifted(name: &str, life: Life) -> LiveVm {
    LiveVm { drift: Some(Drift { what: "the image has changed".into(), drains: false }), ..vm(name, life) }
}
fn drains_by_drift(name: &str) -> LiveVm {
    let drift = Drift { what: "the image has changed".into(), drains: true };
    LiveVm { drift: Some(drift), ..vm(name, Life::Draining) }
}
fn with(vms: Vec<LiveVm>, most: Most) -> Snapshot {
    let mut w = world(vec![]);
    w.vms = vms;
    w.pools[0].disruption.most = most;
    w
}
fn many(n: usize) -> Vec<LiveVm> {
    (0..n).map(|i| drifted(&format!("vm-{i:02}"), runs(0))).collect()
}
fn drains(w: &Snapshot) -> Vec<String> {
    let plan = plan(w);
    assert!(plan.drains.iter().all(|drain| drain.why == Reason::Drifted), "{:?}", plan.drains);
    plan.drains.into_iter().map(|drain| drain.vm).collect()
}

#[test]
fn a_part_of_a_pool_is_rounded_down_and_at_least_one_vm() {
    for (most, vms, is) in [
        (Most::Percent(10), 100, 10),
        (Most::Percent(10), 99, 9),
        (Most::Percent(10), 9, 1),
        (Most::Percent(10), 0, 1),
        (Most::Percent(100), 7, 7),
        (Most::Percent(500), 7, 7),
        (Most::Vms(0), 7, 0),
        (Most::Vms(3), 7, 3),
    ] {
        assert_eq!(most.of(vms), is, "{most:?} of {vms}");
    }
    assert!(Most::Percent(100).of(u64::MAX) > 0);
    assert_eq!(Most::default(), Most::Percent(10));
}

#[test]
fn a_pool_drains_no_more_by_drift_than_it_says_and_what_is_as_it_says_works_on() {
    assert_eq!(drains(&with(many(20), Most::Percent(10))).len(), 2);
    assert_eq!(drains(&with(many(20), Most::Vms(5))).len(), 5);
    assert_eq!(drains(&with(many(20), Most::Vms(0))).len(), 0);
    assert_eq!(drains(&with(vec![vm("new", runs(0)), drifted("old", runs(0))], Most::Percent(100))), ["old"]);
}

#[test]
fn what_frees_soonest_drains_first() {
    let soon = |in_seconds| Life::Running {
        free: Free::default(),
        soon: vec![Soon { in_seconds, free: Free { cores: 8, ram_mib: 16_384, gpus: 0, ..Free::default() } }],
    };
    let vms = vec![drifted("a-late", soon(900)), drifted("b-soon", soon(60)), drifted("c-idle", runs(8))];
    assert_eq!(drains(&with(vms.clone(), Most::Vms(1))), ["c-idle"]);
    assert_eq!(drains(&with(vms, Most::Vms(2))), ["c-idle", "b-soon"]);
}

#[test]
fn those_that_drain_already_go_on_and_take_up_the_room() {
    let mut vms = many(8);
    vms.extend([drains_by_drift("x"), drains_by_drift("y")]);
    assert_eq!(drains(&with(vms.clone(), Most::Vms(2))), ["x", "y"]);
    assert_eq!(drains(&with(vms.clone(), Most::Vms(3))), ["x", "y", "vm-00"]);
    assert_eq!(drains(&with(vms, Most::Vms(1))), ["x", "y"], "what has begun goes on");
}

#[test]
fn outside_its_time_no_drain_begins_and_what_has_begun_goes_on() {
    let mut w = with(many(8), Most::Percent(100));
    w.vms.push(drains_by_drift("x"));
    w.pools[0].disruption.is_open = false;
    assert_eq!(drains(&w), ["x"]);
    w.pools[0].disruption.is_open = true;
    assert_eq!(drains(&w).len(), 9);
}

#[test]
fn a_vm_that_is_again_as_its_pool_says_works_on() {
    let mut w = with(vec![drains_by_drift("x")], Most::Percent(100));
    w.vms[0].drift = None;
    assert_eq!(drains(&w), [""; 0]);
}

#[test]
fn a_vm_that_boots_or_ends_is_left_alone() {
    let vms = vec![drifted("boots", boots()), drifted("ends", Life::Ending)];
    let mut w = with(vms, Most::Percent(100));
    w.queues = vec![queue(1, "biomed_user", 1, &[])];
    let plan = plan(&w);
    assert_eq!((plan.drains, plan.surplus), (vec![], vec![]));
}

#[test]
fn limits_are_not_bounded_and_what_goes_for_them_takes_up_no_room() {
    let mut w = with(many(10), Most::Vms(1));
    w.pools[0].max = 6;
    let by = |why: Reason| plan(&w).drains.into_iter().filter(|drain| drain.why == why).count();
    assert_eq!((by(Reason::PoolMax), by(Reason::Drifted)), (4, 1));
}

#[test]
fn each_pool_has_its_own_room() {
    let mut w = with(many(3), Most::Vms(1));
    w.pools.push(Pool { name: "other".into(), ..w.pools[0].clone() });
    w.vms.push(LiveVm { pool: "other".into(), ..drifted("z", runs(0)) });
    w.vms.push(LiveVm { pool: "gone".into(), ..drifted("nobodys", runs(0)) });
    assert_eq!(drains(&w), ["vm-00", "z"]);
}

#[test]
fn nothing_begins_on_a_cloud_that_cannot_be_used() {
    let mut w = with(many(2), Most::Percent(100));
    w.vms.push(drains_by_drift("x"));
    w.clouds.clear();
    assert_eq!(drains(&w), ["x"]);
}

#[test]
fn while_what_would_take_their_place_never_asks_for_work_the_old_ones_work() {
    let mut w = with(many(3), Most::Percent(100));
    w.pools[0].image = "el9".into();
    let fails = |image: &str, cloud: &str, reason: Reason| Hold {
        cloud: Some(cloud.into()),
        image: Some(image.into()),
        ..Hold::new(1, reason, "the last three never asked for work")
    };
    w.holds = vec![fails("el9", "here", Reason::VmsFail)];
    assert_eq!(drains(&w), [""; 0]);
    let others = [
        fails("el8", "here", Reason::VmsFail),
        fails("el9", "there", Reason::VmsFail),
        fails("el9", "here", Reason::Ramp),
        hold("c8", 0, Reason::VmsFail),
    ];
    for other in others {
        w.holds = vec![other];
        assert_eq!(drains(&w).len(), 3, "{:?}", w.holds);
    }
}

#[test]
fn a_vm_that_drains_by_drift_is_replaced_where_jobs_wait() {
    let mut w = with(vec![drains_by_drift("x")], Most::Percent(100));
    w.queues = vec![queue(1, "biomed_user", 8, &[])];
    assert_eq!(plan(&w).launches.len(), 1);
}
