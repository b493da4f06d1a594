//! The plan has an answer for every snapshot, however senseless: limits that contradict each other, shares of zero, budgets that are spent,
//! names that nothing has, numbers at the end of their range.

use std::{collections::BTreeSet, sync::Arc};

use proptest::prelude::{
    BoxedStrategy, Just, Strategy, any, prop, prop_assert, prop_assert_eq, prop_compose, prop_oneof, proptest,
};

use super::{
    Budget, CloudState, Disruption, Drift, Free, Hold, JobClass, Lease, Life, Limits, LiveVm, Measured, Most, Offering,
    Pool, Quota, Reason, Requirements, Resources, Rules, RunTime, Says, Snapshot, Soon, Strategy as Choice, Unpriced,
    Vo,
    books::MOST_LAUNCHES,
    plan,
    tests::{queue, world},
};
use crate::{cloud::Purchase, demand::TaskQueue, experience::money::Unit};

/// Any number, mostly one that means something.
fn number() -> BoxedStrategy<u64> {
    prop_oneof![4 => 0_u64..20, 2 => 20_u64..100_000, 1 => Just(0), 1 => Just(u64::MAX), 1 => Just(u64::MAX - 1), 1 => any::<u64>()].boxed()
}

fn maybe() -> impl Strategy<Value = Option<u64>> {
    prop::option::weighted(0.4, number())
}

fn name(kind: &'static str) -> impl Strategy<Value = String> {
    // The last is the name of nothing.
    (0..4).prop_map(move |i| format!("{kind}{i}"))
}

fn names(kind: &'static str) -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec(name(kind), 0..4)
}

fn words(all: &'static [&'static str]) -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec(prop::sample::select(all), 0..3).prop_map(|all| all.into_iter().map(str::to_owned).collect())
}

const TAGS: &[&str] = &[
    "GPU",
    "WholeNode",
    "MultiProcessor",
    "2Processors",
    "0Processors",
    "18446744073709551615Processors",
    "99999999999999999999999Processors",
    "any",
    "",
    "\u{130}",
];

prop_compose! {
    fn limits()(vms in maybe(), cores in maybe(), ram_mib in maybe(), gpus in maybe()) -> Limits {
        Limits { vms, cores, ram_mib, gpus }
    }
}

prop_compose! {
    fn resources()(vms in number(), cores in number(), ram_mib in number(), gpus in number()) -> Resources {
        Resources { vms, cores, ram_mib, gpus }
    }
}

prop_compose! {
    fn free()(cores in number(), ram_mib in number(), gpus in number(), gpu_cores in number()) -> Free {
        Free { cores, ram_mib, gpus, gpu_cores }
    }
}

prop_compose! {
    fn any_offering()(flavor in name("flavor"), zone in prop::option::of(name("zone")), size in free(), price_micros in maybe(),
        quota in prop::option::of(0_usize..4), power in maybe(), boot in maybe(), late in maybe(), success in maybe(), fetch in maybe(), reclaims in maybe(), spot: bool) -> Arc<Offering> {
        let Free { cores, ram_mib, gpus, gpu_cores } = size;
        let measured = Measured { boot, late, success, fetch, reclaims };
        Arc::new(Offering { flavor, zone, cores, ram_mib, gpus, gpu_cores, price_micros, quota, power, measured, purchase: way(spot), ..Offering::default() })
    }
}

fn way(spot: bool) -> Purchase {
    if spot { Purchase::Spot } else { Purchase::OnDemand }
}

fn currency() -> impl Strategy<Value = Arc<str>> {
    prop_oneof![Just(Arc::from("EUR")), Just(Arc::from("CHF"))]
}

prop_compose! {
    fn any_budget()(unit in prop_oneof![Just(Unit::CoreHours), currency().prop_map(Unit::Money)], left in number(), period in number(),
        unpriced_is_free: bool) -> Budget {
        Budget { unit, left, period, unpriced_is_free }
    }
}

prop_compose! {
    fn any_vo()(share in number(), limits in limits(), used in resources(), budget in prop::option::of(any_budget())) -> Vo {
        Vo { share, limits, used, budget, ..Vo::default() }
    }
}

prop_compose! {
    fn any_pool()(vos in names("vo"), clouds in names("cloud"), flavors in names("flavor"), cores in (maybe(), maybe()), tags in words(TAGS),
        required_tags in words(TAGS), numbers in [number(), number(), number(), number(), number(), number(), number()], max_wait in maybe(), site_limits in limits(),
        pin: bool, borrows: bool, in_order: bool, ways in prop::collection::vec(any::<bool>(), 0..3)) -> Pool {
        let [cpu_time, max, min, spare, life_seconds, most, gpu_cores] = numbers;
        let disruption = Disruption { most: if pin { Most::Vms(most) } else { Most::Percent(most) }, is_open: !in_order };
        let strategy = if in_order { Choice::InOrder } else { Choice::Cheapest };
        let purchase = ways.into_iter().map(way).collect();
        let requirements = Requirements { cores, ..Requirements::default() };
        Pool { vos, clouds, flavors, requirements, purchase, strategy, tags, required_tags, cpu_time, max, min, spare, life_seconds, max_wait, site_limits, pin, borrows, disruption, gpu_cores, ..Pool::default() }
    }
}

prop_compose! {
    fn any_queue()(id in number(), vo in 0..4, jobs in number(), cpu_time in number(), min_ram_mb in number(), tags in words(TAGS)) -> TaskQueue {
        TaskQueue { id, owner_group: format!("group{vo}"), jobs, cpu_time, min_ram_mb, tags, ..TaskQueue::default() }
    }
}

fn life() -> impl Strategy<Value = Life> {
    let soon = (number(), free()).prop_map(|(in_seconds, free)| Soon { in_seconds, free });
    prop_oneof![
        number().prop_map(|ready_in| Life::Booting { ready_in }),
        (free(), prop::collection::vec(soon, 0..3)).prop_map(|(free, soon)| Life::Running { free, soon }),
        Just(Life::Draining),
        Just(Life::Ending),
    ]
}

prop_compose! {
    fn live()(name in 0..9, pool in name("pool"), cloud in name("cloud"), vo in name("vo"), offering in any_offering().boxed(), life in life().boxed(), cpu_time in number(),
        lease in prop::option::of((any_queue().boxed(), number())), counted: bool, age_seconds in number(), tags in words(TAGS), drains in prop::option::of(any::<bool>())) -> LiveVm {
        let drift = drains.map(|drains| Drift { what: "changed".into(), drains });
        let lease = lease.map(|(queue, jobs)| Lease { class: Arc::new(JobClass::of(&queue)), jobs });
        let says = Arc::new(Says { tags, ..Says::default() });
        LiveVm { name: format!("vm{name}"), pool, cloud, vo, offering, says, life, cpu_time, lease: lease.into_iter().collect(), counted, age_seconds, drift, ..LiveVm::default() }
    }
}

prop_compose! {
    fn any_hold()(cloud in prop::option::of(name("cloud")), flavor in prop::option::of(name("flavor")), pool in prop::option::of(name("pool")),
        vo in prop::option::of(name("vo")), class in prop::option::of(any_queue().boxed()), quota in prop::option::of(0_usize..4), most in number(), waits: bool) -> Hold {
        Hold { cloud, flavor, pool, vo, quota, waits, class: class.map(|queue| JobClass::of(&queue)), ..Hold::new(most, Reason::Ramp, "held") }
    }
}

prop_compose! {
    fn world_of_any_kind()(queues in prop::collection::vec(any_queue().boxed(), 0..6), vos in prop::collection::vec(any_vo().boxed(), 0..4),
        pools in prop::collection::vec(any_pool().boxed(), 0..4), clouds in prop::collection::vec((limits(), resources(), prop::collection::vec(any_offering().boxed(), 0..4), prop::option::of(currency())), 0..4),
        quotas in prop::collection::vec(limits(), 0..4), vms in prop::collection::vec(live().boxed(), 0..6), holds in prop::collection::vec(any_hold().boxed(), 0..3),
        limits in limits(), runs in number(), most in prop::option::weighted(0.97, 0_u64..50), unpriced in 0..3_usize, fresh in prop::option::of(0_u64..4)) -> Snapshot {
        let vos: Vec<Vo> = vos.into_iter().enumerate()
            .map(|(i, vo)| Vo { name: format!("vo{i}"), groups: [format!("group{i}")].into(), ..vo }).collect();
        let pools = pools.into_iter().enumerate().map(|(i, pool)| Pool { name: format!("pool{i}"), ..pool }).collect();
        let clouds = clouds.into_iter().enumerate()
            .map(|(i, (ceiling, others, offerings, currency))| CloudState { name: format!("cloud{i}"), ceiling, others, offerings, currency, asks_for_all: i % 2 == 0 }).collect();
        let quotas = quotas.into_iter().map(|left| Quota { name: "q".into(), left }).collect();
        let run_times = queues.iter().take(2).map(|q| RunTime { vo: "vo0".into(), class: JobClass::of(q), seconds: runs }).collect();
        let rules = Rules { most_launches: most, fresh, untried: None, unpriced: [Unpriced::Last, Unpriced::Free, Unpriced::Refused][unpriced] };
        Snapshot { queues, vos, pools, clouds, quotas, limits, holds, run_times, vms, rules, ..Snapshot::default() }
    }
}

proptest! {
    #[test]
    fn every_snapshot_has_a_plan_that_is_bounded_and_loses_no_job(world in world_of_any_kind()) {
        let made = plan(&world);
        prop_assert!(made.launches.len() as u64 <= world.rules.most_launches.unwrap_or(MOST_LAUNCHES));
        let sum = |all: &mut dyn Iterator<Item = u64>| all.fold(0, u64::saturating_add);
        let waiting = sum(&mut world.queues.iter().map(|q| q.jobs));
        let counted = [
            sum(&mut made.assigned.values().map(|a| a.all())),
            sum(&mut made.unmet.iter().map(|u| u.jobs)),
            sum(&mut made.unclaimed.values().copied()),
        ];
        prop_assert_eq!(waiting, sum(&mut counted.into_iter()));
        let known: BTreeSet<&str> = world.vms.iter().map(|vm| vm.name.as_str()).collect();
        prop_assert!(made.surplus.iter().all(|surplus| known.contains(surplus.vm.as_str())));
    }
}

#[test]
fn five_million_jobs_in_one_queue_are_planned_up_to_the_bound_of_a_plan() {
    let mut w = world(vec![queue(1, "biomed_user", 5_000_000, &[])]);
    w.pools[0].max = u64::MAX;
    let made = plan(&w);
    assert_eq!(made.launches.len() as u64, MOST_LAUNCHES);
    assert_eq!((made.unmet[0].reason, made.unmet[0].jobs), (Reason::Pace, 5_000_000 - 8 * MOST_LAUNCHES));
}
