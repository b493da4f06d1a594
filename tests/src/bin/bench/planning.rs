//! How long the largest snapshot that is planned for takes to plan.

use std::{sync::Arc, time::Instant};

use broker::{
    demand::TaskQueue,
    plan::{CloudState, Free, Life, LiveVm, Offering, Pool, Snapshot, Vo, plan, says},
};

/// What is planned.
pub const WHAT: &str = "plan: 1,000,000 jobs in 10,000 task queues, 500 pools, 50 clouds, 400 flavors, 20,000 VMs";

/// The best of five plans of the largest snapshot that is planned for.
pub fn time() -> String {
    let snapshot = large();
    let best = (0..5)
        .map(|_| {
            let begun = Instant::now();
            std::hint::black_box(plan(std::hint::black_box(&snapshot)));
            begun.elapsed()
        })
        .min()
        .unwrap_or_default();
    format!("{:.0} ms", best.as_secs_f64() * 1e3)
}

fn large() -> Snapshot {
    const VOS: usize = 40;
    let name = |kind: &str, i: usize| format!("{kind}{i}");
    let offering = |i: usize| {
        let cores = [1, 2, 4, 8, 16, 32][i % 6];
        Arc::new(Offering {
            flavor: name("flavor", i),
            cores,
            ram_mib: cores * 2_048,
            price_micros: Some(1_000 * (i as u64 + 1)),
            ..Offering::default()
        })
    };
    let tags = |i: usize| -> Vec<String> {
        [&[][..], &["GPU"], &["4Processors", "MultiProcessor"], &["SGX"]][i % 4]
            .iter()
            .map(|t| (*t).to_owned())
            .collect()
    };
    let pools: Vec<Pool> = (0..500)
        .map(|i| Pool {
            name: name("pool", i),
            site: "CLOUD.A.org".into(),
            ce: name("ce", i),
            vos: vec![name("vo", i % VOS)],
            clouds: vec![name("cloud", i % 50), name("cloud", (i + 1) % 50)],
            flavors: (0..8).map(|f| name("flavor", (i * 8 + f) % 400)).collect(),
            cpu_time: 86_400,
            tags: tags(i % 3),
            max: 1_000,
            ..Pool::default()
        })
        .collect();
    let said: Vec<_> = pools.iter().map(|pool| Arc::new(says(pool))).collect();
    Snapshot {
        queues: (0..10_000)
            .map(|i| TaskQueue {
                id: i as u64,
                owner_group: name("group", i % VOS),
                cpu_time: 3_600 * (1 + i as u64 % 24),
                jobs: 100,
                tags: tags(i / VOS),
                min_ram_mb: (i as u64 / 160) % 64 * 100,
                ..TaskQueue::default()
            })
            .collect(),
        vos: (0..VOS)
            .map(|i| Vo { name: name("vo", i), groups: [name("group", i)].into(), share: 1, ..Vo::default() })
            .collect(),
        pools,
        clouds: (0..50)
            .map(|i| CloudState {
                name: name("cloud", i),
                offerings: (0..400).map(offering).collect(),
                ..CloudState::default()
            })
            .collect(),
        vms: (0..20_000)
            .map(|i| LiveVm {
                name: name("vm", i),
                pool: name("pool", i % 500),
                cloud: name("cloud", i % 50),
                vo: name("vo", (i % 500) % VOS),
                offering: offering((i % 500) * 8 % 400),
                says: said[i % 500].clone(),
                cpu_time: 86_400,
                life: match i % 10 {
                    0 => Life::Booting { ready_in: 0 },
                    _ => Life::Running { free: Free::default(), soon: vec![] },
                },
                counted: true,
                ..LiveVm::default()
            })
            .collect(),
        ..Snapshot::default()
    }
}
