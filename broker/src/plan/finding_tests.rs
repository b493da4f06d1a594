//! What the plan did wrong once: each is a small world in which it cost money, jobs or an answer.

use std::sync::Arc;

use proptest::prelude::*;

use super::{index::fits_alone, tests::*, *};
use crate::{demand::TaskQueue, experience::money::Unit};

fn gpu_pool(name: &str, vos: &[&str], flavors: &[&str], max: u64) -> Pool {
    Pool { tags: vec!["GPU".into()], ..pool(name, vos, flavors, max) }
}

/// 400 plain jobs of two cores and 80 GPU jobs of one, with a GPU pool that takes plain jobs too.
fn plain_and_scarce() -> Snapshot {
    let mut w = world(vec![
        queue(1, "biomed_user", 400, &["2Processors", "MultiProcessor"]),
        queue(2, "biomed_user", 80, &["GPU"]),
    ]);
    w.pools.push(gpu_pool("gpu", &["biomed"], &["g8"], 1_000));
    w.clouds[0].offerings.push(offering("g8", 8, 8));
    w.pools[0].max = 1_000;
    w
}

#[test]
fn a_scarce_class_keeps_the_vms_that_were_bought_for_it() {
    let mut w = plain_and_scarce();
    let first = plan(&w);
    let count = |plan: &Plan, pool: &str| plan.launches.iter().filter(|l| &*l.pool == pool).count();
    assert_eq!((count(&first, "cpu"), count(&first, "gpu")), (100, 10));
    for _ in 0..3 {
        w = carried_out(&w, &plan(&w));
        w.vms.reverse();
        assert_eq!(plan(&w).launches, []);
    }
}

#[test]
fn what_gpu_vms_have_free_goes_to_gpu_jobs_before_plain_ones() {
    let mut w = plain_and_scarce();
    w.queues[0].jobs = 4;
    w.queues[1].jobs = 8;
    let gpu = LiveVm {
        pool: "gpu".into(),
        offering: offering("g8", 8, 8),
        says: Arc::new(says(&w.pools[1])),
        ..vm("g", Life::Booting { ready_in: 0 })
    };
    w.vms = vec![gpu];
    let made: Vec<_> = plan(&w).launches.iter().map(|l| l.offering.flavor.clone()).collect();
    assert_eq!(made, ["c8"]);
}

#[test]
fn one_job_of_one_core_does_not_buy_the_largest_flavor() {
    let mut w = world(vec![queue(1, "biomed_user", 1, &[])]);
    w.pools[0].flavors.clear();
    w.pools[0].requirements.gpus = (None, Some(0));
    for price in [None, Some(0), Some(1_000_000)] {
        w.clouds[0].offerings = [("a128", 128), ("m4", 4), ("s2", 2)]
            .map(|(name, cores)| Arc::new(Offering { price_micros: price, ..(*offering(name, cores, 0)).clone() }))
            .to_vec();
        let plan = plan(&w);
        let flavors: Vec<_> = plan.launches.iter().map(|l| l.offering.flavor.as_str()).collect();
        if price == Some(0) {
            assert_eq!(flavors.len(), 1, "what costs nothing is alike");
        } else if price.is_none() {
            assert_eq!(flavors, ["s2"]);
        }
    }
}

#[test]
fn pools_that_say_the_same_do_not_lend_their_words_to_the_next() {
    let mut w = world(vec![queue(1, "biomed_user", 1, &["GPU"])]);
    w.pools.push(pool("cpu-too", &["biomed"], &["c8"], 100));
    w.pools.push(gpu_pool("gpu", &["biomed"], &["g1"], 100));
    let made = plan(&w);
    assert_eq!(made.launches.iter().map(|l| &*l.pool).collect::<Vec<_>>(), ["gpu"], "{:?}", made.unmet);
}

#[test]
fn the_cheaper_pool_is_bought_from_whatever_it_is_called() {
    let mut w = world(vec![queue(1, "biomed_user", 80, &[])]);
    w.pools[0].name = "cpu".into();
    w.pools.insert(0, gpu_pool("a-gpu", &["biomed"], &["g8"], 100));
    let dear = Offering { price_micros: Some(4_000_000), ..(*offering("g8", 8, 1)).clone() };
    w.clouds[0].offerings.push(Arc::new(dear));
    let plan = plan(&w);
    assert!(plan.launches.iter().all(|l| &*l.pool == "cpu"), "{:?}", plan.launches);
    assert_eq!(plan.launches.len(), 10);
}

#[test]
fn memory_is_packed_as_the_pilot_sets_it_aside() {
    let mut w = world(vec![queue(1, "biomed_user", 8, &[])]);
    w.queues[0].min_ram_mb = 16_384;
    assert_eq!(plan(&w).launches.len(), 8);
}

#[test]
fn a_gpu_serves_one_gpu_job() {
    let mut w = world(vec![queue(1, "biomed_user", 16, &["GPU"])]);
    w.pools = vec![gpu_pool("gpu", &["biomed"], &["g1"], 100)];
    assert_eq!(plan(&w).launches.len(), 16);
}

#[test]
fn a_vm_matches_what_it_offers_and_not_what_its_pool_says_today() {
    let mut w = world(vec![queue(1, "biomed_user", 8, &[])]);
    w.queues[0].cpu_time = 259_200;
    w.pools[0].cpu_time = 259_200;
    w.vms = vec![vm("old", Life::Booting { ready_in: 0 })];
    assert_eq!(plan(&w).launches.len(), 1, "the old VM offers a day");
    w.queues[0].cpu_time = 3_600;
    assert_eq!(plan(&w).launches, []);
}

#[test]
fn a_vm_with_two_hours_left_is_no_supply_for_twelve_hours() {
    let mut w = world(vec![queue(1, "biomed_user", 8, &[])]);
    w.queues[0].cpu_time = 43_200;
    w.vms = vec![LiveVm { cpu_time: 7_200, ..vm("old", runs(8)) }];
    assert_eq!(plan(&w).launches.len(), 1);
}

#[test]
fn every_vo_gets_its_share_of_a_ceiling() {
    let mut w = world(vec![queue(1, "biomed_user", 10_000, &[]), queue(2, "enmr_user", 10_000, &[])]);
    w.clouds[0].ceiling.cores = Some(800);
    w.vos[1].share = 3;
    let plan = plan(&w);
    let of = |vo: &str| plan.launches.iter().filter(|l| &*l.vo == vo).count();
    assert_eq!(of("biomed") + of("enmr"), 100);
    assert!(of("biomed").abs_diff(25) <= 1, "a quarter, up to one turn: {}", of("biomed"));
}

#[test]
fn who_held_much_in_the_last_hours_comes_later() {
    let mut w = world(vec![queue(1, "biomed_user", 10_000, &[]), queue(2, "enmr_user", 10_000, &[])]);
    w.clouds[0].ceiling.cores = Some(80);
    w.vos[0].used = Resources { vms: 10, cores: 80, ram_mib: 163_840, gpus: 0 };
    let plan = plan(&w);
    assert!(plan.launches.iter().all(|l| &*l.vo == "enmr"), "{:?}", plan.launches);
}

#[test]
fn every_class_of_a_vo_is_served_in_the_end() {
    let mut w = world(vec![
        queue(1, "biomed_user", 5_000, &[]),
        queue(2, "biomed_user", 5_000, &["4Processors", "MultiProcessor"]),
    ]);
    w.pools[0].pin = true;
    w.clouds[0].ceiling.vms = Some(1);
    let mut served = std::collections::BTreeSet::new();
    for _ in 0..40 {
        let made = plan(&w);
        for launch in &made.launches {
            served.insert(launch.lease[0].class.tags.clone());
        }
        w = carried_out(&w, &made);
        w.clouds[0].ceiling.vms = w.clouds[0].ceiling.vms.map(|n| n + 1);
    }
    assert_eq!(served.len(), 2);
}

#[test]
fn a_vm_for_multi_core_jobs_asks_for_them_alone_where_the_pool_says_so() {
    let mut w = world(vec![queue(1, "biomed_user", 1, &["8Processors", "MultiProcessor"])]);
    assert_eq!(plan(&w).launches[0].pin, None);
    w.pools[0].pin = true;
    let made = plan(&w);
    assert_eq!(made.launches[0].pin.as_deref(), Some("8Processors"));
    let mut after = carried_out(&w, &made);
    assert_eq!(plan(&after).launches, [], "it is supply for the job that it was made for");
    after.queues = vec![queue(2, "biomed_user", 1, &[])];
    assert_eq!(plan(&after).launches.len(), 1, "and for no other");
}

#[test]
fn all_that_binds_is_said_and_the_change_is_the_one_that_helps() {
    let mut w = world(vec![queue(1, "biomed_user", 8, &[])]);
    w.pools[0].max = 0;
    let one = plan(&w).unmet.remove(0);
    assert_eq!(one.limits.len(), 1);
    let change = one.change.unwrap();
    assert_eq!((change.reason, change.by, change.what.as_str()), (Reason::PoolMax, 1, "VMs"));
    w.quotas[0].left.cores = Some(4);
    let two = plan(&w).unmet.remove(0);
    assert_eq!(two.limits.iter().map(|b| b.reason).collect::<Vec<_>>(), [Reason::PoolMax, Reason::CloudQuota]);
    assert_eq!(two.change, None, "one change alone would start nothing");
}

#[test]
fn jobs_that_vms_will_have_begun_before_a_new_one_could_are_not_bought_for() {
    let mut w = world(vec![queue(1, "biomed_user", 40, &[])]);
    let measured = Measured { boot: Some(60), late: Some(70), success: None, fetch: Some(1), ..Measured::default() };
    for offering in &mut w.clouds[0].offerings {
        Arc::make_mut(offering).measured = measured;
    }
    w.vms = vec![vm("runs", runs(8))];
    assert_eq!(plan(&w).launches.len(), 4, "as long as nobody knows how long they run");
    let class = JobClass::of(&w.queues[0]);
    w.run_times = vec![RunTime { vo: "biomed".into(), class, seconds: 5 }];
    assert_eq!(plan(&w).launches, []);
    w.run_times[0].seconds = 3_600;
    assert_eq!(plan(&w).launches.len(), 4);
    w.pools[0].max_wait = Some(4 * 3_600);
    assert_eq!(plan(&w).launches, [], "the pool rather waits than pays");
}

#[test]
fn of_vms_that_boot_as_many_count_as_mostly_come_to_work() {
    let mut w = world(vec![queue(1, "biomed_user", 80, &[])]);
    let half =
        Offering { measured: Measured { success: Some(50), ..Measured::default() }, ..(*offering("c8", 8, 0)).clone() };
    w.vms = (0..10)
        .map(|i| LiveVm { offering: Arc::new(half.clone()), ..vm(&format!("v{i}"), Life::Booting { ready_in: 0 }) })
        .collect();
    assert_eq!(plan(&w).launches.len(), 5);
}

/// What biomed may still spend, with prices in euros.
fn with_budget(unit: Unit, left: u64) -> Snapshot {
    let mut w = world(vec![queue(1, "biomed_user", 80, &[])]);
    w.pools[0].life_seconds = 2 * 3_600;
    w.clouds[0].currency = Some("EUR".into());
    w.vos[0].budget = Some(Budget { unit, left, period: 30 * 86_400, unpriced_is_free: false });
    w
}

#[test]
fn a_budget_reserves_what_a_vm_may_cost() {
    let mut w = with_budget(Unit::Money("EUR".into()), 500_000);
    let made = plan(&w);
    assert_eq!(made.launches.len(), 3, "each costs 0.08 an hour for two hours");
    assert_eq!(made.unmet[0].reason, Reason::Budget);
    assert!(made.unmet[0].message.contains("0.50 EUR are left"), "{}", made.unmet[0].message);
    assert_eq!(made.unmet[0].change.as_ref().unwrap().what, "millionths of EUR");
    w.vos[0].budget.as_mut().unwrap().period = 3_600;
    assert_eq!(plan(&w).launches.len(), 6, "of a longer life only what falls into a period");
}

#[test]
fn a_budget_in_core_hours_asks_for_no_price() {
    let mut w = with_budget(Unit::CoreHours, 40 * 3_600);
    w.clouds[0].offerings.iter_mut().for_each(|o| Arc::make_mut(o).price_micros = None);
    let made = plan(&w);
    assert_eq!(made.launches.len(), 2, "each takes 16 core-hours");
    assert!(made.unmet[0].message.contains("40.0 core-hours are left"), "{}", made.unmet[0].message);
}

#[test]
fn what_has_no_price_in_the_currency_of_the_budget_is_not_bought_unless_the_budget_says_that_it_is_free() {
    let mut w = with_budget(Unit::Money("EUR".into()), 500_000);
    for currency in [None, Some("CHF".into())] {
        w.clouds[0].currency = currency;
        let made = plan(&w);
        assert_eq!((made.launches.len(), made.unmet[0].reason), (0, Reason::NoPrice));
        assert!(made.unmet[0].message.contains("counts in EUR"), "{}", made.unmet[0].message);
    }
    w.queues[0].owner_group = "enmr_user".into();
    assert_eq!(plan(&w).launches.len(), 10, "a VO without a budget may");
    w.queues[0].owner_group = "biomed_user".into();
    w.clouds[0].currency = Some("EUR".into());
    w.clouds[0].offerings.iter_mut().for_each(|o| Arc::make_mut(o).price_micros = None);
    assert_eq!(plan(&w).unmet[0].reason, Reason::NoPrice);
    w.vos[0].budget.as_mut().unwrap().unpriced_is_free = true;
    assert_eq!(plan(&w).launches.len(), 10);
}

#[test]
fn a_pool_that_borrows_uses_what_others_leave() {
    let mut w = world(vec![queue(1, "biomed_user", 80, &[])]);
    w.pools[0].max = 2;
    assert_eq!(plan(&w).launches.len(), 2);
    w.pools[0].borrows = true;
    w.clouds[0].ceiling.vms = Some(6);
    assert_eq!(plan(&w).launches.len(), 6);
    w.queues.push(queue(2, "enmr_user", 16, &[]));
    w.pools[0].vos = vec!["biomed".into()];
    w.pools.push(pool("own", &["enmr"], &["c8"], 2));
    let of = |plan: &Plan, pool: &str| plan.launches.iter().filter(|l| &*l.pool == pool).count();
    let plan = plan(&w);
    assert_eq!((of(&plan, "own"), of(&plan, "cpu")), (2, 4), "what is one's own comes first");
}

#[test]
fn a_pool_that_buys_in_order_takes_the_dear_one_first_and_no_jobs_from_a_cheaper_pool() {
    let mut w = world(vec![queue(1, "biomed_user", 24, &[])]);
    w.pools[0].flavors = vec!["dear".into(), "c8".into()];
    let dear = Offering { price_micros: Some(4_000_000), ..(*offering("dear", 8, 0)).clone() };
    w.clouds[0].offerings.push(Arc::new(dear));
    let flavors = |w: &Snapshot| plan(w).launches.iter().map(|l| l.offering.flavor.clone()).collect::<Vec<_>>();
    assert_eq!(flavors(&w), ["c8"; 3]);
    w.pools[0].strategy = super::Strategy::InOrder;
    assert_eq!(flavors(&w), ["dear"; 3]);
    w.holds = vec![hold("dear", 1, Reason::NoCapacity)];
    assert_eq!(flavors(&w), ["dear", "c8", "c8"], "what has no room sends the demand on");
    w.holds.clear();
    w.pools.push(pool("cheap", &["biomed"], &["c8"], 100));
    assert!(plan(&w).launches.iter().all(|l| &*l.pool == "cheap"), "between pools the cost decides");
}

#[test]
fn the_limits_of_a_site_and_of_the_installation_hold_over_all_pools() {
    let mut w = world(vec![queue(1, "biomed_user", 800, &[])]);
    w.pools.push(pool("too", &["biomed"], &["c8"], 100));
    let limit = |vms| Limits { vms: Some(vms), ..Limits::default() };
    w.limits = limit(12);
    assert_eq!((plan(&w).launches.len(), plan(&w).unmet[0].reason), (12, Reason::InstallationLimit));
    w.pools.iter_mut().for_each(|p| p.site_limits = limit(9));
    assert_eq!((plan(&w).launches.len(), plan(&w).unmet[0].reason), (9, Reason::SiteLimit));
    w.vms = vec![LiveVm { pool: "of which the manifest is gone".into(), ..vm("a", runs(0)) }];
    assert_eq!(plan(&w).launches.len(), 8, "a VM whose pool is gone is at its site all the same");
    w.queues.clear();
    w.vms = (0..14).map(|i| vm(&format!("v{i:02}"), boots())).collect();
    assert_eq!(plan(&w).surplus.len(), 5);
    w.pools.iter_mut().for_each(|p| p.site_limits = Limits::default());
    assert_eq!(plan(&w).surplus.len(), 2);
}

#[test]
fn what_other_installations_hold_on_a_cloud_leaves_less_of_its_ceiling_and_is_not_ours_to_give_back() {
    let mut w = world(vec![queue(1, "biomed_user", 80, &[])]);
    w.clouds[0].ceiling.vms = Some(6);
    w.clouds[0].others = Resources { vms: 4, cores: 32, ram_mib: 65_536, gpus: 0 };
    assert_eq!((plan(&w).launches.len(), plan(&w).unmet[0].reason), (2, Reason::CloudCeiling));
    w.queues.clear();
    w.vms = (0..3).map(|i| vm(&format!("v{i}"), boots())).collect();
    assert_eq!(plan(&w).surplus.len(), 1);
}

#[test]
fn a_pool_keeps_the_vms_that_its_manifest_asks_for() {
    let mut w = world(vec![]);
    (w.pools[0].min, w.pools[0].spare) = (3, 1);
    assert_eq!(plan(&w).launches.len(), 3);
    w.queues = vec![queue(1, "biomed_user", 24, &[])];
    let made = plan(&w);
    assert_eq!(made.launches.len(), 4, "three for jobs, and one spare: {:?}", made.launches);
    let after = carried_out(&w, &made);
    assert_eq!(plan(&after).launches, []);
}

#[test]
fn the_hundredth_of_twenty_thousand_jobs_costs_no_more_than_the_round_allows() {
    let mut w = world(vec![queue(1, "biomed_user", 5_000_000, &[])]);
    w.pools[0].max = 20_000;
    w.rules.most_launches = Some(100);
    let plan = plan(&w);
    assert_eq!(plan.launches.len(), 100);
    assert_eq!((plan.unmet[0].reason, plan.unmet[0].jobs), (Reason::Pace, 5_000_000 - 800));
}

proptest! {
    #[test]
    fn the_same_plan_comes_out_when_vms_are_shuffled(world in any_world()) {
        let mut turned = world.clone();
        turned.vms.sort_by(|a, b| a.name.cmp(&b.name));
        turned.vms.dedup_by(|a, b| a.name == b.name);
        let mut other = turned.clone();
        other.vms.reverse();
        prop_assert_eq!(plan(&turned), plan(&other));
    }

    #[test]
    fn each_launch_matches_the_jobs_that_it_is_made_for(world in any_world()) {
        for launch in plan(&world).launches {
            let says = says_of(&world, &launch);
            let full = Free { cores: launch.offering.cores, ram_mib: launch.offering.ram_mib, gpus: launch.offering.gpus, ..Free::default() };
            let cpu_time = world.pools.iter().find(|p| *p.name == *launch.pool).unwrap().cpu_time;
            for lease in &launch.lease {
                let class = &*lease.class;
                let q = TaskQueue {
                    cpu_time: class.cpu_time, min_ram_mb: class.min_ram_mb, tags: class.tags.clone(), ..TaskQueue::default()
                };
                prop_assert!(fits_alone(&q, &says, full, cpu_time), "{:?}", launch);
            }
        }
    }

    #[test]
    fn a_change_that_is_said_to_help_starts_a_vm(world in any_world()) {
        let before = plan(&world);
        for unmet in before.unmet.iter().filter(|u| u.change.is_some()) {
            let change = unmet.change.as_ref().unwrap();
            let mut after = carried_out(&world, &before);
            prop_assert_eq!(plan(&after).launches, vec![]);
            let raise = |limit: &mut Option<u64>| *limit = limit.map(|n| n + change.by);
            match change.reason {
                Reason::PoolMax => {
                    let name = unmet.pool.clone().unwrap();
                    after.pools.iter_mut().filter(|p| p.name == name).for_each(|p| p.max += change.by);
                }
                Reason::VoLimit => raise(&mut after.vos.iter_mut().find(|v| v.name == unmet.vo).unwrap().limits.cores),
                Reason::CloudCeiling => raise(&mut after.clouds[0].ceiling.vms),
                Reason::CloudQuota => raise(&mut after.quotas[0].left.cores),
                _ => continue,
            }
            prop_assert!(!plan(&after).launches.is_empty(), "{:?}", unmet);
        }
    }

    #[test]
    fn launches_of_one_plan_are_no_more_than_the_jobs_that_wait(world in any_world()) {
        let waiting: u64 = world.queues.iter().map(|q| q.jobs).sum();
        prop_assert!(plan(&world).launches.len() as u64 <= waiting);
    }
}
