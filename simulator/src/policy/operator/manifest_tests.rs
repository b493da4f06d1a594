//! What manifests say counts in a run: one scenario for each word.

use std::path::Path;

use super::Operator;
use crate::{
    report::{Figures, Sample},
    run::run,
    scenario::{load, parse, small},
    time::SECOND,
};

fn runs(text: &str) -> Figures {
    let loaded = parse("test", text).unwrap();
    let figures = run(&loaded, 1, &mut Operator::new(&loaded));
    assert_eq!(figures.passed, [], "{text}");
    figures
}

/// A scenario of four hours whose only pool scales so.
fn scaled(arrivals: &str, scaling: &str) -> Figures {
    runs(&small(arrivals, "").replace("scaling: {max: 50}", &format!("scaling: {{{scaling}}}")))
}

/// The same with this budget. The first VM is expected to live for twelve hours and a half, and later ones as long as it did.
fn paid(arrivals: &str, budget: &str) -> Figures {
    let pilot = "pilot: {group: biomed_pilot}";
    let text = small(arrivals, "").replace(pilot, &format!("{pilot}, budget: {{{budget}}}"));
    runs(&text.replace("maxCpuTime: 10d", "maxCpuTime: 12h"))
}

/// The fewest and the most VMs after the first quarter of an hour.
fn vms(figures: &Figures) -> (u64, u64) {
    let later = || figures.samples.iter().filter(|sample| sample.at > 15 * 60_000).map(|sample| sample.vms);
    (later().min().unwrap(), later().max().unwrap())
}

#[test]
fn nothing_is_bought_when_a_budget_of_money_is_spent() {
    let free = scaled("perHour: 100", "max: 50");
    let paid = paid("perHour: 100", "amount: \"5\", currency: EUR, period: 1d");
    assert!(free.cost > 8.0, "{}", free.cost);
    assert!((3.0..=5.0).contains(&paid.cost), "{}", paid.cost);
}

#[test]
fn nothing_is_bought_when_a_budget_of_core_hours_is_spent() {
    let paid = paid("perHour: 100", "coreHours: 100, period: 1d");
    assert!((60.0..=100.0).contains(&paid.core_hours_bought), "{}", paid.core_hours_bought);
}

#[test]
fn a_budget_in_another_currency_than_the_prices_buys_nothing() {
    let text = small("jobs: 8", "")
        .replace(
            "pilot: {group: biomed_pilot}",
            "pilot: {group: biomed_pilot}, budget: {amount: \"4\", currency: CHF, period: 1d}",
        )
        .replace("images: {default: {name: any}}", "images: {default: {name: any}}, currency: EUR");
    assert_eq!(runs(&text).vms_made, 0);
}

#[test]
fn the_budget_of_the_ready_scenario_is_never_passed() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/scenarios/budget-end.yaml");
    let loaded = load(&file).unwrap();
    for seed in 1..=3 {
        let figures = run(&loaded, seed, &mut Operator::new(&loaded));
        assert_eq!(figures.passed, [], "seed {seed}");
        assert!((54.0..=60.0).contains(&figures.cost), "what may be spent is spent: {}", figures.cost);
    }
}

#[test]
fn jobs_that_never_match_cost_few_vms_and_no_vm_of_jobs_that_do() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/scenarios/never-matching.yaml");
    let loaded = load(&file).unwrap();
    let figures = run(&loaded, 1, &mut Operator::new(&loaded));
    let of = |name: &str| figures.pools.iter().find(|of| of.pool == name).unwrap();
    assert!((5..=24).contains(&of("banned").made), "{:?}", figures.pools);
    let cpu = of("cpu");
    assert!(cpu.made <= 30 && cpu.idle <= 3, "jobs that no pilot gets wait for none of these: {:?}", figures.pools);
    assert!(figures.classes[0].wait_95 < 180, "{} s", figures.classes[0].wait_95);
}

#[test]
fn a_vo_that_comes_late_has_its_share_after_an_hour_of_shortage() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/scenarios/late-vo.yaml");
    let loaded = load(&file).unwrap();
    for seed in 1..=3 {
        let figures = run(&loaded, seed, &mut Operator::new(&loaded));
        let minutes = |from: u64, to: u64| {
            let within = move |sample: &&Sample| (from * 60 * SECOND..to * 60 * SECOND).contains(&sample.at);
            figures.samples.iter().filter(within).map(|sample| sample.vos[1]).collect::<Vec<_>>()
        };
        assert!(minutes(0, 90).iter().all(|cores| *cores == 0));
        let later = minutes(90 + 60, 360);
        let mean = later.iter().sum::<u64>() / later.len() as u64;
        assert!(mean >= 36 && later[0] >= 32, "seed {seed}: half of 80 cores are its share, and it has {later:?}");
        assert!(figures.passed.is_empty() && figures.jobs[4] == 0, "{:?}", figures.passed);
        assert!(figures.core_hours_used > 0.85 * figures.core_hours_bought, "{}", figures.core_hours_used);
    }
}

#[test]
fn a_pool_keeps_its_minimum_whatever_waits() {
    assert_eq!(vms(&scaled("jobs: 1, at: 3h", "max: 50")).0, 0);
    let kept = scaled("jobs: 1, at: 3h", "max: 50, min: 2, idleTimeout: 10m");
    assert!(vms(&kept).0 >= 1, "one may be between two VMs: {:?}", vms(&kept));
    assert!(kept.vm_hours > 7.0, "{}", kept.vm_hours);
}

#[test]
fn the_first_jobs_of_a_burst_begin_at_once_on_spare_vms() {
    let without = scaled("jobs: 16, at: 2h", "max: 50");
    let with = scaled("jobs: 16, at: 2h", "max: 50, spare: 2, idleTimeout: 15m");
    assert!(without.wait_median > 90, "{}", without.wait_median);
    assert!(with.wait_median < without.wait_median / 2 + 60 && with.vms_made > 2, "{}", with.wait_median);
}

#[test]
fn a_pool_that_borrows_takes_what_is_free_beyond_its_maximum() {
    assert_eq!(vms(&scaled("jobs: 160", "max: 4")).1, 4);
    assert_eq!(vms(&scaled("jobs: 160", "max: 4, borrow: WhatIsFree")).1, 20);
}

#[test]
fn jobs_wait_for_vms_that_are_there_as_long_as_they_may() {
    let at_once = scaled("perHour: 200", "max: 50");
    let later = scaled("perHour: 200", "max: 50, maxWait: 1h");
    assert!(later.vms_made < at_once.vms_made, "{} of {}", later.vms_made, at_once.vms_made);
    assert!(later.core_hours_bought < at_once.core_hours_bought);
    assert!(later.wait_median >= at_once.wait_median && later.wait_95 < 3_600, "{} s", later.wait_95);
}

#[test]
fn the_limits_of_a_site_and_of_the_installation_hold() {
    let site =
        small("jobs: 160", "").replace("diracName: CLOUD.Test.fr,", "diracName: CLOUD.Test.fr, limits: {cores: 40},");
    assert_eq!(vms(&runs(&site)).1, 5);
    let installation = "  - {apiVersion: diracgrid.org/v1alpha1, kind: DiracInstallation, metadata: {name: d}, spec: {limits: {vms: 3}}}\narrivals:";
    assert_eq!(vms(&runs(&small("jobs: 160", "").replace("arrivals:", installation))).1, 3);
}

#[test]
fn jobs_of_eight_cores_are_served_among_jobs_of_one() {
    let text = small("jobs: 2000", "").replace(
        "arrivals:\n",
        "arrivals:\n  - {group: biomed_user, owner: other, jobs: 20, cores: 8, runTime: 30m, cpuTime: 6h}\n",
    );
    let pinned = runs(&text.replace("scaling: {max: 50}", "scaling: {max: 20}"));
    let large = |figures: &Figures| figures.classes.iter().find(|class| class.asks == "8 cores").unwrap().done;
    assert_eq!(large(&pinned), 20);
    let never = text.replace("maxCpuTime: 10d", "maxCpuTime: 10d, pin: Never");
    assert!(
        large(&runs(&never.replace("scaling: {max: 50}", "scaling: {max: 20}"))) < 20,
        "the word makes the difference"
    );
}
