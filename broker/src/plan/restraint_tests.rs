use super::super::{tests::*, *};
use crate::demand::TaskQueue;

/// Two pools, of which the second costs twice as much.
fn cheap_and_dear(jobs: u64) -> Snapshot {
    let mut w = world(vec![queue(1, "biomed_user", jobs, &[])]);
    w.pools.push(pool("dear", &["biomed"], &["d8"], 100));
    let mut dear = (*offering("d8", 8, 0)).clone();
    dear.price_micros = Some(160_000);
    w.clouds[0].offerings.push(Arc::new(dear));
    w
}

fn made(plan: &Plan) -> Vec<&str> {
    plan.launches.iter().map(|launch| launch.offering.flavor.as_str()).collect()
}

#[test]
fn jobs_wait_for_what_will_soon_be_more_and_get_nothing_dearer_meanwhile() {
    let mut w = cheap_and_dear(80);
    w.holds = vec![Hold { waits: true, ..hold("c8", 2, Reason::Ramp) }];
    let waits = plan(&w);
    assert_eq!(made(&waits), ["c8", "c8"]);
    let unmet = &waits.unmet[0];
    assert_eq!((unmet.jobs, unmet.reason, unmet.message.as_str()), (64, Reason::Ramp, "held for a while"));
    w.holds[0].waits = false;
    assert_eq!(made(&plan(&w)), ["c8", "c8", "d8", "d8", "d8", "d8", "d8", "d8", "d8", "d8"]);
}

#[test]
fn what_costs_alike_is_bought_while_another_is_waited_for() {
    let mut w = cheap_and_dear(32);
    w.clouds[0].offerings.push(offering("e8", 8, 0));
    w.pools[0].flavors.push("e8".into());
    w.holds = vec![Hold { waits: true, ..hold("c8", 1, Reason::Ramp) }];
    assert_eq!(made(&plan(&w)), ["c8", "e8", "e8", "e8"]);
}

#[test]
fn in_the_order_of_the_manifest_what_comes_later_waits_too() {
    let mut w = cheap_and_dear(32);
    w.pools[0].flavors.push("g1".into());
    w.pools.truncate(1);
    w.pools[0].strategy = Strategy::InOrder;
    w.holds = vec![Hold { waits: true, ..hold("c8", 1, Reason::Ramp) }];
    assert_eq!(made(&plan(&w)), ["c8"]);
}

#[test]
fn what_is_refused_and_waited_for_is_not_waited_for() {
    let mut w = cheap_and_dear(8);
    w.holds = vec![
        Hold { waits: true, ..hold("c8", 0, Reason::Ramp) },
        Hold { flavor: None, zone: Some(None), ..hold("c8", 0, Reason::NoCapacity) },
    ];
    w.clouds[0].offerings = w.clouds[0]
        .offerings
        .iter()
        .map(|o| Arc::new(Offering { zone: (o.flavor == "d8").then(|| "b".to_owned()), ..(**o).clone() }))
        .collect();
    assert_eq!(made(&plan(&w)), ["d8"]);
}

#[test]
fn a_hold_of_spot_leaves_what_is_on_demand_alone() {
    let mut w = world(vec![queue(1, "biomed_user", 8, &[])]);
    w.holds = vec![Hold { purchase: Some(crate::cloud::Purchase::Spot), ..hold("c8", 0, Reason::NoCapacity) }];
    assert_eq!(made(&plan(&w)), ["c8"]);
    w.holds[0].purchase = Some(crate::cloud::Purchase::OnDemand);
    assert_eq!(made(&plan(&w)), [""; 0]);
}

#[test]
fn of_an_offering_of_which_nothing_is_known_one_vm_is_made() {
    let mut w = cheap_and_dear(80);
    w.rules.fresh = Some(1);
    let first = plan(&w);
    assert_eq!(made(&first), ["c8"]);
    assert_eq!((first.unmet[0].reason, first.unmet[0].jobs), (Reason::Ramp, 72));
    assert!(first.unmet[0].message.contains("one VM of it is made first"), "{}", first.unmet[0].message);
    w.holds = vec![Hold { zone: Some(None), waits: true, ..hold("c8", 4, Reason::Ramp) }];
    assert_eq!(made(&plan(&w)), ["c8"; 4], "what is known of it is in its hold");
    w.holds[0].image = Some("el9".into());
    assert_eq!(made(&plan(&w)), ["c8"; 1], "that is known of another image");
}

#[test]
fn each_class_meets_the_same_restraint() {
    let mut w = cheap_and_dear(8);
    w.queues = (0..20).map(|n| TaskQueue { cpu_time: 1_000 + n, ..queue(n + 1, "biomed_user", 8, &[]) }).collect();
    w.rules.fresh = Some(3);
    assert_eq!(made(&plan(&w)), ["c8"; 3]);
}

/// What is known of the class of the first queue on the flavor c8 of the pool cpu.
fn of_circuit(w: &Snapshot, most: u64, reason: Reason) -> Hold {
    Hold {
        pool: Some("cpu".into()),
        zone: Some(None),
        vo: Some("biomed".into()),
        class: Some(JobClass::of(&w.queues[0])),
        waits: reason == Reason::Ramp,
        ..hold("c8", most, reason)
    }
}

#[test]
fn for_jobs_that_no_vm_has_had_yet_a_few_are_made_and_for_each_class_of_them() {
    let mut w = cheap_and_dear(800);
    w.queues.push(TaskQueue { cpu_time: 7_200, ..queue(2, "biomed_user", 8, &[]) });
    w.rules.untried = Some(2);
    let first = plan(&w);
    assert_eq!(made(&first), ["c8"; 3]);
    assert!(
        first.unmet[0].message.contains("no VM of this pool and flavor has had such a job yet: 2 VMs"),
        "{first:?}"
    );
    w.holds = vec![of_circuit(&w, u64::MAX, Reason::Ramp)];
    assert_eq!(made(&plan(&w)).len(), 101, "one of them has had one");
}

#[test]
fn jobs_that_never_match_in_a_pool_try_another_and_other_jobs_go_on_there() {
    let mut w = cheap_and_dear(16);
    w.queues.push(TaskQueue { cpu_time: 7_200, ..queue(2, "biomed_user", 8, &[]) });
    w.holds = vec![of_circuit(&w, 0, Reason::NeverMatched)];
    assert_eq!(made(&plan(&w)), ["c8", "d8", "d8"]);
    w.pools.truncate(1);
    let alone = plan(&w);
    assert_eq!(made(&alone), ["c8"]);
    assert_eq!((alone.unmet[0].reason, alone.unmet[0].jobs), (Reason::NeverMatched, 16));
}

#[test]
fn what_a_class_allows_over_all_pools_is_shared_by_them() {
    let mut w = cheap_and_dear(160);
    let class = Some(JobClass::of(&w.queues[0]));
    w.holds = vec![Hold { vo: Some("biomed".into()), class, ..Hold::new(1, Reason::NeverMatched, "never") }];
    let plan = plan(&w);
    assert_eq!(made(&plan), ["c8"]);
    assert_eq!((plan.unmet[0].reason, plan.unmet[0].message.as_str()), (Reason::NeverMatched, "never"));
}
