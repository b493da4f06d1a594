//! `cargo xtask bench`: the figures of `docs/figures.md`, as a table, on the machine it runs on.

use std::{
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::Result;
use broker::{
    demand::TaskQueue,
    plan::{CloudState, LiveVm, Offering, Pool, Snapshot, VmPhase, Vo, plan},
};
use testbeds::{
    controlplane::ControlPlane,
    operator::{NAMESPACE, Operator},
    say::Step,
};

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<()> {
    let cores = std::thread::available_parallelism()?;
    println!("| what | figure | budget |\n|---|---|---|");
    println!(
        "| plan: 1,000,000 jobs in 10,000 task queues, 500 pools, 50 clouds, 400 flavors, 20,000 VMs | {} | 100 ms |",
        plan_time()
    );
    let step = Step::start("measuring the operator (a minute)");
    let state = tempfile::tempdir()?;
    let begun = Instant::now();
    let plane = ControlPlane::start(&state.path().join("controlplane")).await?;
    let up = begun.elapsed();
    Operator::install_chart(&plane)?;
    let kubeconfig = plane.kubeconfig_for_service_account(NAMESPACE, NAMESPACE).await?;
    let mut operator = Operator::start(&kubeconfig, &state.path().join("operator.log"), &[])?;
    operator.ready().await?;
    tokio::time::sleep(Duration::from_secs(10)).await;
    let rss = async |o: &Operator| o.metric(&["resident_memory_bytes"]).await.map(|b| format!("{:.0} MB", b / 1e6));
    println!("| control plane, start to ready | {:.1} s | |", up.as_secs_f64());
    println!("| operator: resident memory with 0 VMs | {} | 64 MB |", rss(&operator).await?);
    let kubectl = plane.kubectl();
    kubectl.apply(include_str!("bench.yaml"))?;
    let mut vms = 0.0;
    for _ in 0..120 {
        vms = operator.metric(&["dirac_operator_vms{"]).await?;
        if vms >= 200.0 {
            break;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let before = operator.metric(&["api_writes_total", "PilotVM"]).await?;
    let ticks = cpu_ticks(operator.process().pid());
    tokio::time::sleep(Duration::from_secs(30)).await;
    let used = (cpu_ticks(operator.process().pid()) - ticks) as f64 / 100.0 / 30.0;
    println!("| operator: resident memory with {vms} VMs | {} | 64 MB |", rss(&operator).await?);
    println!("| operator: CPU with {vms} VMs, over 30 s | {used:.3} core | |");
    println!("| API server: writes per VM so far | {:.1} | 12 per life |", before / vms);
    step.done();
    println!(
        "\nmeasured on {cores} cores by `cargo xtask bench`; the rest comes from `cargo xtask test --only operator`"
    );
    Ok(())
}

/// User and system time of a process, in hundredths of a second.
fn cpu_ticks(pid: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let after = stat.rsplit_once(')').map(|(_, rest)| rest).unwrap_or_default();
    after.split_whitespace().skip(11).take(2).filter_map(|n| n.parse::<u64>().ok()).sum()
}

/// The best of five plans of the largest snapshot that is planned for.
fn plan_time() -> String {
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
        Offering {
            flavor: name("flavor", i),
            cores,
            ram_mib: cores * 2_048,
            price_micros: Some(1_000 * (i as u64 + 1)),
            ..Offering::default()
        }
    };
    let tags = |i: usize| -> Vec<String> {
        [&[][..], &["GPU"], &["4Processors", "MultiProcessor"], &["SGX"]][i % 4]
            .iter()
            .map(|t| (*t).to_owned())
            .collect()
    };
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
        pools: (0..500)
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
            .collect(),
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
                phase: if i % 10 == 0 { VmPhase::Booting } else { VmPhase::Running },
                counted: true,
                ..LiveVm::default()
            })
            .collect(),
    }
}
