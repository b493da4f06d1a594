//! The worked example of docs/plan.md: what it says that the plan decides is what the plan decides.

use std::{collections::BTreeMap, fmt::Write as _, sync::Arc};

use super::{tests::*, *};
use crate::experience::money::Unit;

/// The world that the page tells.
fn example() -> Snapshot {
    let flavor = |name: &str, cores: u64, gpus: u64, cents: u64| {
        let price_micros = Some(cents * 10_000);
        Arc::new(Offering { price_micros, ..(*offering(name, cores, gpus)).clone() })
    };
    let (xlarge, large, gpu) =
        (flavor("m1.xlarge", 8, 0, 32), flavor("m1.large", 4, 0, 18), flavor("g1.a100", 8, 1, 160));
    let mut snapshot = world(vec![
        queue(1, "biomed_user", 60, &[]),
        queue(2, "biomed_user", 2, &["8Processors", "MultiProcessor"]),
        queue(3, "biomed_user", 3, &["GPU"]),
        queue(4, "enmr_user", 60, &[]),
    ]);
    snapshot.clouds = vec![cloud("lyon", vec![xlarge.clone(), large, gpu])];
    snapshot.clouds[0].ceiling.cores = Some(120);
    snapshot.clouds[0].currency = Some("EUR".into());
    snapshot.vos[0].share = 30;
    snapshot.vos[1].share = 10;
    snapshot.vos[1].budget =
        Some(Budget { unit: Unit::Money("EUR".into()), left: 2_000_000, period: 30 * 86_400, unpriced_is_free: false });
    let mut cpu = pool("cpu", &["biomed", "enmr"], &["m1.xlarge", "m1.large"], 20);
    let mut gpu = pool("gpu", &["biomed"], &["g1.a100"], 2);
    gpu.tags = vec!["GPU".into()];
    gpu.required_tags = gpu.tags.clone();
    for pool in [&mut cpu, &mut gpu] {
        pool.clouds = vec!["lyon".into()];
        pool.life_seconds = 3 * 3_600;
        pool.pin = true;
    }
    snapshot.pools = vec![cpu, gpu];
    let here = |name: &str, life: Life| LiveVm { cloud: "lyon".into(), offering: xlarge.clone(), ..vm(name, life) };
    let lease = Lease { class: Arc::new(JobClass::of(&snapshot.queues[0])), jobs: 8 };
    snapshot.vms = vec![here("cpu-1", runs(3)), LiveVm { lease: vec![lease], ..here("cpu-2", boots()) }];
    snapshot
}

/// The decision, as the page has it.
fn told(plan: &Plan) -> String {
    let mut text = String::from("| VMs | pool | VO | flavor | jobs |\n|---|---|---|---|---|\n");
    let mut alike: BTreeMap<(&str, &str, &str), (u64, u64)> = BTreeMap::new();
    for launch in &plan.launches {
        let (vms, jobs) = alike.entry((&launch.pool, &launch.vo, &launch.offering.flavor)).or_default();
        (*vms, *jobs) = (*vms + 1, *jobs + launch.jobs);
    }
    for ((pool, vo, flavor), (vms, jobs)) in alike {
        writeln!(text, "| {vms} | {pool} | {vo} | {flavor} | {jobs} |").unwrap();
    }
    text.push_str("\n| jobs | VO | pool | why they wait |\n|---|---|---|---|\n");
    for unmet in &plan.unmet {
        let pool = unmet.pool.as_deref().unwrap_or("none");
        writeln!(text, "| {} | {} | {pool} | `{}`: {} |", unmet.jobs, unmet.vo, unmet.reason, unmet.message).unwrap();
    }
    text
}

#[test]
fn the_worked_example_is_what_the_plan_decides() {
    let plan = plan(&example());
    let told = told(&plan);
    let page = include_str!("../../../docs/plan.md");
    assert!(page.contains(&told), "docs/plan.md must have this:\n{told}");
    let lent = plan.launches.iter().filter(|launch| launch.cut.is_some()).map(|launch| &*launch.vo).collect::<Vec<_>>();
    assert_eq!(lent, ["biomed"; 2]);
    let cpu = plan.assigned["cpu"];
    let sentence = format!("{} of the waiting jobs go to VMs that run, {} to one that boots", cpu.running, cpu.booting);
    assert!(page.contains(&sentence), "docs/plan.md must have this:\n{sentence}");
}
