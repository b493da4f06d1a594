//! What one order names beside the place that the plan chose.

use std::sync::Arc;

use super::{tests::*, *};

/// Flavor c8 in these zones, at these prices.
fn zones(prices: &[(&str, u64)]) -> Snapshot {
    let in_zone = |(zone, price): &(&str, u64)| {
        let offering =
            Offering { zone: Some((*zone).into()), price_micros: Some(*price), ..(*offering("c8", 8, 0)).clone() };
        Arc::new(offering)
    };
    let mut world = world(vec![queue(1, "biomed_user", 8, &[])]);
    world.clouds[0].offerings = prices.iter().map(in_zone).collect();
    world.clouds[0].asks_for_all = true;
    world
}

/// The place of each launch, and what is named beside it.
fn named(world: &Snapshot) -> Vec<(String, Vec<String>)> {
    let zone = |offering: &Arc<Offering>| offering.zone.clone().unwrap_or_default();
    plan(world).launches.iter().map(|l| (zone(&l.offering), l.others.iter().map(zone).collect())).collect()
}

fn launch(first: &str, others: &[&str]) -> (String, Vec<String>) {
    (first.into(), others.iter().map(|zone| (*zone).into()).collect())
}

/// A hold on flavor c8 in this zone.
fn in_zone(zone: &str, most: u64) -> Hold {
    Hold { zone: Some(Some(zone.into())), ..hold("c8", most, Reason::Ramp) }
}

#[test]
fn an_order_names_the_other_zones_where_it_costs_alike_the_cheapest_first() {
    let prices = [("a", 100_000), ("b", 104_000), ("c", 106_000), ("d", 101_000)];
    let mut world = zones(&prices);
    assert_eq!(named(&world), [launch("a", &["d", "b"])]);
    world.clouds[0].asks_for_all = false;
    assert_eq!(named(&world), [launch("a", &[])], "the provider takes one zone");
}

#[test]
fn what_is_taken_back_more_often_counts_as_dearer_there_too() {
    let mut world = zones(&[("a", 100_000), ("b", 100_000), ("c", 100_000)]);
    let often = |of: &Arc<Offering>, reclaims| {
        Arc::new(Offering { measured: Measured { reclaims: Some(reclaims), ..Measured::default() }, ..(**of).clone() })
    };
    let [b, c] = [1, 2].map(|n| world.clouds[0].offerings[n].clone());
    (world.clouds[0].offerings[1], world.clouds[0].offerings[2]) = (often(&b, 500), often(&c, 10));
    assert_eq!(named(&world), [launch("a", &["c"])]);
}

#[test]
fn without_a_price_all_zones_are_alike_and_one_with_a_price_is_not() {
    let mut world = zones(&[("a", 0), ("b", 0), ("c", 0)]);
    let free = |of: &Arc<Offering>| Arc::new(Offering { price_micros: None, ..(**of).clone() });
    for n in [0, 2] {
        world.clouds[0].offerings[n] = free(&world.clouds[0].offerings[n]);
    }
    world.clouds[0].offerings[1] =
        Arc::new(Offering { price_micros: Some(1_000_000), ..(*world.clouds[0].offerings[1]).clone() });
    world.rules.unpriced = Unpriced::Free;
    assert_eq!(named(&world), [launch("a", &["c"])]);
}

#[test]
fn what_is_held_back_is_not_named_and_what_is_named_counts_there() {
    let mut world = zones(&[("a", 100_000), ("b", 100_000), ("c", 100_000)]);
    world.queues[0].jobs = 16;
    world.holds = vec![in_zone("b", 0), in_zone("c", 1)];
    assert_eq!(named(&world), [launch("a", &["c"]), launch("a", &[])]);
    // What holds for all zones counts each VM once.
    world.holds = vec![hold("c8", 2, Reason::Ramp)];
    assert_eq!(named(&world), [launch("a", &["b", "c"]), launch("a", &["b", "c"])]);
}

#[test]
fn what_jobs_of_the_class_came_to_in_a_zone_counts() {
    let mut world = zones(&[("a", 100_000), ("b", 100_000), ("c", 100_000)]);
    let class = JobClass::of(&world.queues[0]);
    let broken = Hold { pool: Some("cpu".into()), vo: Some("biomed".into()), class: Some(class), ..in_zone("b", 0) };
    world.holds = vec![broken.clone()];
    assert_eq!(named(&world), [launch("a", &["c"])]);
    world.holds = vec![Hold { class: Some(JobClass::default()), ..broken }];
    assert_eq!(named(&world), [launch("a", &["b", "c"])], "it is another class");
}

#[test]
fn a_zone_of_which_nothing_is_known_is_named_by_few_orders() {
    let mut world = zones(&[("a", 100_000), ("b", 100_000)]);
    world.queues[0].jobs = 24;
    world.holds = vec![in_zone("a", 10)];
    world.rules.fresh = Some(1);
    assert_eq!(named(&world), [launch("a", &["b"]), launch("a", &[]), launch("a", &[])]);
}

#[test]
fn what_is_reserved_of_a_budget_is_enough_in_each_zone_that_is_named() {
    let mut world = zones(&[("a", 100_000), ("b", 104_000), ("c", 100_000)]);
    world.clouds[0].currency = Some("EUR".into());
    world.pools[0].life_seconds = 3_600;
    let unit = crate::experience::Unit::Money("EUR".into());
    world.vos[0].budget = Some(Budget { unit, left: 10_000_000, period: 86_400, unpriced_is_free: false });
    assert_eq!(named(&world), [launch("a", &["c"])]);
    world.vos[0].budget =
        Some(Budget { unit: crate::experience::Unit::CoreHours, ..world.vos[0].budget.clone().unwrap() });
    assert_eq!(named(&world), [launch("a", &["c", "b"])]);
}

#[test]
fn only_the_same_is_named() {
    let mut world = zones(&[("a", 100_000), ("b", 100_000), ("c", 100_000), ("d", 100_000)]);
    let change = |world: &mut Snapshot, n: usize, change: fn(&mut Offering)| {
        let mut other = (*world.clouds[0].offerings[n]).clone();
        change(&mut other);
        world.clouds[0].offerings[n] = Arc::new(other);
    };
    change(&mut world, 1, |o| o.purchase = crate::cloud::Purchase::Spot);
    change(&mut world, 2, |o| o.quota = None);
    change(&mut world, 3, |o| o.zone = None);
    assert_eq!(named(&world), [launch("a", &[])]);
}
