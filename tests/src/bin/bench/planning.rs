//! How long the largest snapshots that are planned for take to plan, and how that grows when they are twice as large.

use std::{sync::Arc, time::Instant};

use broker::{
    demand::TaskQueue,
    plan::{
        CloudState, Free, Life, Limits, LiveVm, Offering, Plan, Pool, Quota, Requirements, Says, Snapshot, Vo, plan,
        says,
    },
};

/// What is planned.
pub const WHAT: &str = "plan: 1,000,000 jobs in 10,000 task queues, 500 pools, 50 clouds, 400 flavors, 20,000 VMs";

const VOS: usize = 40;

/// The best of three plans of the largest snapshot that is planned for.
pub fn time() -> String {
    format!("{:.0} ms", best(&World::default().snapshot()).0)
}

/// Tells for each world its name, its time, and that of the world twice the size.
pub fn all(tell: impl Fn(&str, &str)) {
    let worlds: [(&str, World); 10] = [
        ("as it is", World::default()),
        ("saturated", World { room: Some(0), ..World::default() }),
        ("nearly saturated: 1,000 cores are left", World { room: Some(1_000), ..World::default() }),
        ("saturated, every pool serves all 40 VOs", World { room: Some(0), all_vos: true, ..World::default() }),
        ("the same, on all 50 clouds", World { room: Some(0), all_vos: true, all_clouds: true, ..World::default() }),
        (
            "the same with 1,000 cores left",
            World { room: Some(1_000), all_vos: true, all_clouds: true, ..World::default() },
        ),
        (
            "pools with requirements, all VOs, all clouds, one queue",
            World { queues: 1, all_vos: true, all_clouds: true, requirements: true, ..World::default() },
        ),
        (
            "the same, 10,000 queues, saturated",
            World { room: Some(0), all_vos: true, all_clouds: true, requirements: true, ..World::default() },
        ),
        (
            "10,000 different lists of sites, all VOs, saturated",
            World { room: Some(0), all_vos: true, lists: true, ..World::default() },
        ),
        (
            "20,000 VMs with one free core, queues of two cores",
            World { room: Some(0), free: 1, two: true, ..World::default() },
        ),
    ];
    let row = |(name, world): (&str, World)| {
        let (once, launches) = best(&world.snapshot());
        let (twice, _) = best(&World { size: 2, ..world }.snapshot());
        tell(&format!("plan: {name}"), &format!("{once:.0} ms, {launches} launches; {twice:.0} ms at twice the size"));
    };
    worlds.into_iter().for_each(row);
}

fn best(snapshot: &Snapshot) -> (f64, usize) {
    let once = || -> (f64, Plan) {
        let begun = Instant::now();
        let made = plan(std::hint::black_box(snapshot));
        (begun.elapsed().as_secs_f64() * 1e3, made)
    };
    let mut all: Vec<(f64, usize)> = (0..3).map(|_| once()).map(|(ms, made)| (ms, made.launches.len())).collect();
    all.sort_by(|a, b| a.0.total_cmp(&b.0));
    all[0]
}

/// A world to plan.
#[derive(Clone, Copy)]
struct World {
    queues: usize,
    /// Cores left of each cloud's quota; `None`: no bound.
    room: Option<u64>,
    all_vos: bool,
    all_clouds: bool,
    requirements: bool,
    /// Whether each queue names other sites.
    lists: bool,
    /// Free cores of each VM that runs.
    free: u64,
    /// Whether all jobs need two cores.
    two: bool,
    /// Queues, flavors and VMs are so many times as many.
    size: usize,
}

impl Default for World {
    fn default() -> Self {
        Self {
            queues: 10_000,
            room: None,
            all_vos: false,
            all_clouds: false,
            requirements: false,
            lists: false,
            free: 0,
            two: false,
            size: 1,
        }
    }
}

fn name(kind: &str, i: usize) -> String {
    format!("{kind}{i}")
}

fn offering(i: usize, cloud: usize) -> Arc<Offering> {
    let cores = [1, 2, 4, 8, 16, 32][i % 6];
    Arc::new(Offering {
        flavor: name("flavor", i),
        cores,
        ram_mib: cores * 2_048,
        price_micros: Some(1_000 * (i as u64 + 1)),
        quota: Some(cloud),
        ..Offering::default()
    })
}

fn tags(i: usize) -> Vec<String> {
    let all = [&[][..], &["GPU"], &["4Processors", "MultiProcessor"], &["SGX"]];
    all[i % 4].iter().map(|t| (*t).to_owned()).collect()
}

impl World {
    fn snapshot(&self) -> Snapshot {
        let pools: Vec<Pool> = (0..500).map(|i| self.pool(i)).collect();
        let said: Vec<Arc<Says>> = pools.iter().map(|pool| Arc::new(says(pool))).collect();
        let flavors = 400 * self.size;
        let offerings: Vec<Vec<Arc<Offering>>> =
            (0..50).map(|c| (0..flavors).map(|i| offering(i, c)).collect()).collect();
        let left = Limits { cores: self.room, ..Limits::default() };
        Snapshot {
            queues: (0..self.queues * self.size).map(|i| self.queue(i)).collect(),
            vos: (0..VOS)
                .map(|i| Vo { name: name("vo", i), groups: [name("group", i)].into(), share: 1, ..Vo::default() })
                .collect(),
            pools,
            quotas: (0..50).map(|i| Quota { name: name("cloud", i), left }).collect(),
            vms: (0..20_000 * self.size)
                .map(|i| LiveVm {
                    name: name("vm", i),
                    pool: name("pool", i % 500),
                    cloud: name("cloud", i % 50),
                    vo: name("vo", (i % 500) % VOS),
                    offering: offerings[i % 50][(i % 500) * 8 % 400].clone(),
                    says: said[i % 500].clone(),
                    cpu_time: 86_400,
                    life: match i % 10 {
                        0 => Life::Booting { ready_in: 0 },
                        _ => Life::Running {
                            free: Free { cores: self.free, ram_mib: self.free * 2_048, gpus: 0 },
                            soon: Vec::new(),
                        },
                    },
                    counted: true,
                    ..LiveVm::default()
                })
                .collect(),
            clouds: offerings
                .into_iter()
                .enumerate()
                .map(|(i, offerings)| CloudState { name: name("cloud", i), offerings, ..CloudState::default() })
                .collect(),
            ..Snapshot::default()
        }
    }

    fn queue(&self, i: usize) -> TaskQueue {
        let two = vec!["2Processors".to_owned(), "MultiProcessor".to_owned()];
        TaskQueue {
            id: i as u64,
            owner_group: name("group", i % VOS),
            cpu_time: 3_600 * (1 + i as u64 % 24),
            jobs: 100,
            tags: if self.two { two } else { tags(i / VOS) },
            min_ram_mb: (i as u64 / 160) % 64 * 100,
            banned_sites: if self.lists { vec![format!("LCG.A{i}.org")] } else { Vec::new() },
            sites: if self.lists { vec!["CLOUD.A.org".to_owned(), format!("LCG.B{i}.org")] } else { Vec::new() },
            ..TaskQueue::default()
        }
    }

    fn pool(&self, i: usize) -> Pool {
        let vos = if self.all_vos { (0..VOS).map(|i| name("vo", i)).collect() } else { vec![name("vo", i % VOS)] };
        let clouds = match self.all_clouds {
            true => (0..50).map(|i| name("cloud", i)).collect(),
            false => vec![name("cloud", i % 50), name("cloud", (i + 1) % 50)],
        };
        Pool {
            name: name("pool", i),
            site: "CLOUD.A.org".into(),
            ce: name("ce", i),
            vos,
            clouds,
            flavors: match self.requirements {
                true => Vec::new(),
                false => (0..8).map(|f| name("flavor", (i * 8 + f) % 400)).collect(),
            },
            requirements: Requirements { cores: (Some(2), Some(16)), ..Requirements::default() },
            cpu_time: 86_400,
            tags: tags(i % 3),
            max: 1_000,
            ..Pool::default()
        }
    }
}
