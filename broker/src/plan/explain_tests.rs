//! Why jobs get no VM, as an administrator reads it.

use std::sync::Arc;

use super::super::{tests::*, *};
use crate::demand::TaskQueue;

/// What is said of a job with these requirements in a world with one pool, which offers a day and the tag GPU.
fn said(change: impl FnOnce(&mut TaskQueue, &mut Pool)) -> String {
    let mut w = world(vec![queue(1, "biomed_user", 1, &[])]);
    w.pools[0].tags = vec!["GPU".into()];
    change(&mut w.queues[0], &mut w.pools[0]);
    let plan = plan(&w);
    assert_eq!(plan.launches, []);
    let unmet = &plan.unmet[0];
    assert_eq!((unmet.reason, &unmet.pool, &unmet.change), (Reason::NoMatch, &None, &None));
    unmet.message.clone()
}

#[test]
fn of_jobs_that_no_pool_takes_the_first_obstacle_is_named() {
    let long = said(|queue, _| queue.cpu_time = 86_401);
    assert_eq!(
        long,
        "no pool takes them: they ask for 86401 s of CPU time, and pool cpu offers 86400 s (spec.matching.maxCpuTime)"
    );
    let tags = said(|queue, _| {
        queue.cpu_time = 86_400;
        queue.tags = vec!["GPU".into(), "SGX".into(), "2Processors".into()];
    });
    assert!(tags.contains("they ask for the tags SGX, and pool cpu does not"), "{tags}");
    let required = said(|_, pool| pool.required_tags = vec!["GPU".into()]);
    assert!(required.contains("pool cpu takes only jobs with the tags GPU (spec.matching.requiredTags)"), "{required}");
    let sites = said(|queue, _| queue.sites = vec!["CLOUD.Lyon.fr".into()]);
    assert!(sites.contains("they may run only at CLOUD.Lyon.fr, and pool cpu is at CLOUD.Test.org"), "{sites}");
    let banned = said(|queue, _| queue.banned_sites = vec!["CLOUD.Test.org".into()]);
    assert!(banned.contains("they ban the site CLOUD.Test.org of pool cpu"), "{banned}");
}

#[test]
fn what_a_pool_offers_is_not_named_as_an_obstacle() {
    let large = said(|queue, pool| {
        pool.required_tags = vec!["GPU".into()];
        queue.tags = vec!["GPU".into(), "16Processors".into(), "MultiProcessor".into()];
        queue.sites = vec!["CLOUD.Test.org".into()];
        queue.min_ram_mb = 1_024;
    });
    assert_eq!(
        large,
        "no pool takes them: no flavor of pool cpu has the cores (16Processors) and memory (1024 MB) that they ask for, or they ask for \
         another platform or CE"
    );
}

#[test]
fn of_several_places_the_one_is_named_where_fewest_things_bind() {
    let mut w = world(vec![queue(1, "biomed_user", 8, &[])]);
    w.pools[0].max = 0;
    w.pools[0].clouds = vec!["here".into(), "there".into()];
    w.clouds[0].ceiling.vms = Some(0);
    w.clouds.push(cloud("there", vec![offering("c8", 8, 0)]));
    let unmet = plan(&w).unmet.remove(0);
    assert_eq!(unmet.limits.iter().map(|b| b.reason).collect::<Vec<_>>(), [Reason::PoolMax]);
    assert_eq!(unmet.change.unwrap().starts, "one c8 on there");
    w.pools[0].max = 100;
    w.clouds[1].ceiling.vms = Some(0);
    let unmet = plan(&w).unmet.remove(0);
    assert!(
        unmet.message.contains("cloud here (spec.ceiling)"),
        "the first of those that are alike: {}",
        unmet.message
    );
}

#[test]
fn of_places_where_as_much_binds_the_first_is_named_and_otherwise_the_nearest() {
    let mut w = world(vec![queue(1, "biomed_user", 8, &[])]);
    w.pools[0].max = 0;
    w.pools[0].clouds = vec!["here".into(), "there".into()];
    w.clouds.push(cloud("there", vec![offering("c8", 8, 0)]));
    w.clouds.iter_mut().for_each(|cloud| cloud.ceiling.vms = Some(0));
    let named = |w: &Snapshot| plan(w).unmet[0].limits.last().unwrap().message.clone();
    assert!(named(&w).contains("cloud here (spec.ceiling)"), "{}", named(&w));
    w.clouds[0].offerings = vec![Arc::new(Offering { quota: Some(1), ..(*offering("c8", 8, 0)).clone() })];
    w.quotas.push(Quota { left: w.clouds[0].ceiling, ..Quota::default() });
    assert!(named(&w).contains("cloud there (spec.ceiling)"), "{}", named(&w));
}

#[test]
fn of_pools_that_are_alike_the_first_that_has_not_its_maximum_is_named() {
    let mut w = world(vec![queue(1, "biomed_user", 8, &[])]);
    w.pools = ["a", "b", "c", "d"].iter().map(|name| pool(name, &["biomed"], &["c8"], 100)).collect();
    w.pools[0].max = 0;
    w.pools[1].max = 0;
    w.clouds[0].ceiling.vms = Some(0);
    let unmet = plan(&w).unmet.remove(0);
    assert_eq!(unmet.pool.as_deref(), Some("c"));
    assert_eq!(unmet.limits.iter().map(|bound| bound.reason).collect::<Vec<_>>(), [Reason::CloudCeiling]);
}

#[test]
fn what_a_person_cannot_change_is_said_without_a_change() {
    let mut w = world(vec![queue(1, "biomed_user", 80, &[])]);
    w.rules.most_launches = Some(2);
    let unmet = plan(&w).unmet.remove(0);
    assert_eq!((unmet.reason, unmet.change), (Reason::Pace, None));
    assert_eq!(unmet.message, "one round makes 2 VMs at most: the next one goes on");
    w.rules.most_launches = None;
    for reason in
        [Reason::NoCapacity, Reason::VmsFail, Reason::Ramp, Reason::NeverMatched, Reason::JobsDie, Reason::Paused]
    {
        w.holds = vec![hold("c8", 1, reason)];
        let unmet = plan(&w).unmet.remove(0);
        assert_eq!((unmet.reason, unmet.message.as_str(), unmet.change), (reason, "held for a while", None));
    }
}

#[test]
fn jobs_that_merely_wait_for_what_vms_will_show_are_nearest_to_one() {
    let mut w = world(vec![queue(1, "biomed_user", 2, &[])]);
    w.pools[0].flavors = vec!["c8".into(), "c2".into()];
    w.holds = vec![hold("c8", 0, Reason::NoCapacity), Hold { waits: true, ..hold("c2", 0, Reason::Ramp) }];
    assert_eq!(plan(&w).unmet[0].reason, Reason::Ramp);
    w.holds.iter_mut().for_each(|hold| hold.reason = Reason::NoCapacity);
    w.holds[0].reason = Reason::Ramp;
    assert_eq!(plan(&w).unmet[0].reason, Reason::Ramp);
}
