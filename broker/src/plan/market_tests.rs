//! What is bought first, as an administrator sees it who compares offers.

use std::sync::Arc;

use super::super::{tests::*, *};
use crate::cloud::Purchase;

/// A world in which all that is on offer may be bought, in this order: flavor, cores, price of an hour in hundredths, power.
fn shop(offers: &[(&str, u64, Option<u64>, Option<u64>)]) -> Snapshot {
    let mut w = world(vec![queue(1, "biomed_user", 8, &[])]);
    w.pools[0].flavors = offers.iter().map(|offer| offer.0.to_owned()).collect();
    let offering = |&(flavor, cores, price, power): &(&str, u64, Option<u64>, Option<u64>)| {
        let price_micros = price.map(|price| price * 10_000);
        Arc::new(Offering { price_micros, power, ..(*offering(flavor, cores, 0)).clone() })
    };
    w.clouds[0].offerings = offers.iter().map(offering).collect();
    w
}
fn bought(world: &Snapshot) -> Vec<String> {
    plan(world).launches.iter().map(|launch| launch.offering.flavor.clone()).collect()
}

#[test]
fn a_core_counts_by_what_it_does_in_an_hour() {
    let fast = |price| shop(&[("plain", 8, Some(8), Some(1_000)), ("fast", 8, Some(price), Some(2_000))]);
    assert_eq!((bought(&fast(15)), bought(&fast(17))), (vec!["fast".to_owned()], vec!["plain".to_owned()]));
}

#[test]
fn a_core_of_which_nobody_knows_the_power_counts_as_the_mean_of_the_others() {
    let unknown = |price| {
        bought(&shop(&[
            ("slow", 8, Some(10), Some(1_000)),
            ("fast", 8, Some(20), Some(2_000)),
            ("unknown", 8, Some(price), None),
        ]))
    };
    assert_eq!((unknown(14), unknown(16)), (vec!["unknown".to_owned()], vec!["slow".to_owned()]));
}

#[test]
fn where_costs_are_alike_the_order_of_the_manifest_decides() {
    let offers = |price| shop(&[("first", 8, Some(100), None), ("second", 8, Some(price), None)]);
    assert_eq!((bought(&offers(100)), bought(&offers(90))), (vec!["first".to_owned()], vec!["second".to_owned()]));
}

#[test]
fn where_pools_cost_alike_the_one_that_asks_for_most_tags_comes_first_wherever_it_buys() {
    let mut w = shop(&[("first", 8, Some(100), None), ("second", 8, Some(100), None), ("third", 8, Some(90), None)]);
    let like = w.pools[0].clone();
    let asks = vec!["SGX".to_owned()];
    let pool = |name: &str, flavor: &str| Pool {
        name: name.into(),
        flavors: vec![flavor.into()],
        tags: asks.clone(),
        ..like.clone()
    };
    w.pools = vec![pool("plain", "first"), Pool { required_tags: asks.clone(), ..pool("tagged", "second") }];
    w.queues[0].tags = asks.clone();
    assert_eq!(bought(&w), ["second"]);
    w.pools.push(pool("cheap", "third"));
    assert_eq!(bought(&w), ["third"]);
}

#[test]
fn where_nothing_has_a_price_cores_and_gpus_count() {
    let mut w = shop(&[("gpu", 8, None, None), ("plain", 16, None, None)]);
    Arc::make_mut(&mut w.clouds[0].offerings[0]).gpus = 1;
    w.queues[0].jobs = 16;
    assert_eq!(bought(&w), ["plain"], "sixteen cores for sixteen jobs, not eight and a GPU for eight");
}

#[test]
fn what_has_no_price_comes_last_first_or_not_at_all_as_the_rules_say() {
    let with = |unpriced| {
        let mut w = shop(&[("free", 8, None, None), ("paid", 8, Some(8), None)]);
        w.rules.unpriced = unpriced;
        w
    };
    assert_eq!(bought(&with(Unpriced::Last)), ["paid"]);
    assert_eq!(bought(&with(Unpriced::Free)), ["free"]);
    let mut refused = with(Unpriced::Refused);
    assert_eq!(bought(&refused), ["paid"]);
    refused.clouds[0].offerings.truncate(1);
    assert_eq!(plan(&refused).unmet[0].reason, Reason::NoOffering);
}

#[test]
fn a_cloud_that_is_nearly_full_counts_as_dearer() {
    let used = |vms| {
        let mut w = world(vec![queue(1, "biomed_user", 8, &[])]);
        w.pools[0].clouds.push("there".into());
        w.clouds.push(cloud("there", vec![offering("c8", 8, 0)]));
        w.clouds[0].ceiling.vms = Some(100);
        w.clouds[0].others.vms = vms;
        plan(&w).launches[0].cloud.to_string()
    };
    assert_eq!((used(80), used(90)), ("here".to_owned(), "there".to_owned()));
}

#[test]
fn a_core_that_no_job_uses_is_paid_all_the_same() {
    let flavors = |jobs| {
        let mut w = shop(&[("small", 2, Some(3), None), ("large", 8, Some(8), None)]);
        w.queues[0].jobs = jobs;
        bought(&w)
    };
    assert_eq!((flavors(8), flavors(2)), (vec!["large".to_owned()], vec!["small".to_owned()]));
}

/// c8 on demand and as Spot, and c16 as both, at these prices of a core, in this order.
fn both(on_demand: u64, spot: u64) -> Snapshot {
    let mut w = shop(&[
        ("c8", 8, Some(8 * on_demand), None),
        ("c8", 8, Some(8 * spot), None),
        ("c4", 4, Some(4 * on_demand), None),
        ("c4", 4, Some(4 * spot), None),
    ]);
    w.pools[0].flavors = vec!["c8".into(), "c4".into()];
    for place in [1, 3] {
        Arc::make_mut(&mut w.clouds[0].offerings[place]).purchase = Purchase::Spot;
    }
    w
}
fn first(world: &Snapshot) -> (String, Purchase) {
    let offering = &plan(world).launches[0].offering;
    (offering.flavor.clone(), offering.purchase)
}

#[test]
fn a_pool_buys_only_as_it_says_and_on_demand_where_it_says_nothing() {
    let mut w = both(10, 3);
    assert_eq!(first(&w), ("c8".into(), Purchase::OnDemand));
    w.pools[0].purchase = vec![Purchase::Spot];
    assert_eq!(first(&w), ("c8".into(), Purchase::Spot));
    w.clouds[0].offerings.retain(|offering| offering.purchase == Purchase::OnDemand);
    assert_eq!(plan(&w).unmet[0].reason, Reason::NoOffering);
}

#[test]
fn the_cheaper_way_of_buying_comes_first_and_where_both_cost_alike_the_order_of_the_pool_decides_before_that_of_flavors()
 {
    use Purchase::{OnDemand, Spot};
    let bought = |on_demand, spot, order: &[Purchase]| {
        let mut w = both(on_demand, spot);
        w.pools[0].purchase = order.to_vec();
        // The first flavor is sold on demand alone.
        w.clouds[0].offerings.remove(1);
        first(&w)
    };
    assert_eq!(bought(100, 40, &[OnDemand, Spot]), ("c4".into(), Spot));
    assert_eq!(bought(40, 100, &[Spot, OnDemand]), ("c8".into(), OnDemand));
    assert_eq!(bought(100, 100, &[Spot, OnDemand]), ("c4".into(), Spot));
    assert_eq!(bought(100, 100, &[OnDemand, Spot]), ("c8".into(), OnDemand));
}

#[test]
fn where_the_manifest_decides_alone_the_ways_of_buying_come_flavor_by_flavor() {
    let mut w = both(100, 300);
    w.pools[0].strategy = Strategy::InOrder;
    w.pools[0].purchase = vec![Purchase::Spot, Purchase::OnDemand];
    assert_eq!(first(&w), ("c8".into(), Purchase::Spot));
    w.clouds[0].offerings.remove(1);
    assert_eq!(first(&w), ("c8".into(), Purchase::OnDemand), "before another flavor as Spot");
}

#[test]
fn what_is_taken_back_often_counts_as_dearer_by_the_work_that_is_lost() {
    let reclaimed = |thousandths: u64, runs: Option<u64>| {
        let mut w = both(100, 40);
        w.pools[0].purchase = vec![Purchase::Spot, Purchase::OnDemand];
        for place in [1, 3] {
            Arc::make_mut(&mut w.clouds[0].offerings[place]).measured.reclaims = Some(thousandths);
        }
        let class = JobClass::of(&w.queues[0]);
        w.run_times =
            runs.into_iter().map(|seconds| RunTime { vo: "biomed".into(), class: class.clone(), seconds }).collect();
        first(&w).1
    };
    // 0.40 of the price: as dear where a job is begun two and a half times, which is ln 2.5 = 0.916 of the VMs in the time of a job.
    assert_eq!((reclaimed(850, None), reclaimed(990, None)), (Purchase::Spot, Purchase::OnDemand), "an hour");
    assert_eq!(
        (reclaimed(210, Some(4 * 3_600)), reclaimed(250, Some(4 * 3_600))),
        (Purchase::Spot, Purchase::OnDemand)
    );
    assert_eq!(reclaimed(5_000, Some(60)), Purchase::Spot, "short jobs lose little");
}
