//! How long a core computes to plan the largest snapshots that are planned for, and how that grows when they are twice as large.

use std::sync::Arc;

use broker::{
    demand::TaskQueue,
    experience::money::Unit,
    plan::{
        Budget, CloudState, Free, Hold, JobClass, Life, Limits, LiveVm, Offering, Pool, Quota, Reason, Requirements,
        Says, Snapshot, Vo, plan, says,
    },
};
use nix::{
    sys::time::TimeValLike,
    time::{ClockId, clock_gettime},
};
use peak_alloc::PeakAlloc;

/// What is planned.
pub const WHAT: &str = "plan: 1,000,000 jobs in 10,000 task queues, 500 pools, 50 clouds, 400 flavors, 20,000 VMs";

const VOS: usize = 40;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// The best of three plans of the largest snapshot that is planned for.
pub fn time() -> String {
    format!("{:.0} ms", Figure::of(&World::default().snapshot()).ms)
}

/// Tells for each world in whose name `wanted` stands its name, its time and memory, and the time of the world twice the size.
pub fn all(wanted: &str, tell: impl Fn(&str, &str)) {
    let room = World::default();
    let full = World { room: Some(0), ..room };
    let shared = World { all_vos: true, all_clouds: true, ..room };
    let worlds: [(&str, World); 16] = [
        ("as it is", room),
        ("no room left", full),
        ("1,000 cores left on each cloud", World { room: Some(1_000), ..room }),
        ("every pool serves all 40 VOs; no room", World { all_vos: true, ..full }),
        ("the same on all 50 clouds; no room", World { room: Some(0), ..shared }),
        ("the same; 1,000 cores left on each", World { room: Some(1_000), ..shared }),
        ("the same; room", shared),
        ("the same; every VO may have one core more", World { one_more: true, ..shared }),
        ("the same; every budget is spent", World { spent: true, ..shared }),
        ("the same; 2,000 holds", World { holds: 2_000, ..shared }),
        ("the same, pools with requirements; one queue", World { queues: 1, requirements: true, ..shared }),
        ("the same; 10,000 queues", World { requirements: true, ..shared }),
        ("the same; no room", World { room: Some(0), requirements: true, ..shared }),
        ("10,000 lists of sites, all VOs; no room", World { all_vos: true, lists: true, ..full }),
        ("VMs with one free core, jobs of two cores; no room", World { free: 1, two: true, ..full }),
        ("one VO, each VM with another CPU time left; no room", World { one_vo: true, free: 1, ..full }),
    ];
    let row = |(name, world): (&str, World)| {
        let once = Figure::of(&world.snapshot());
        let twice = Figure::of(&World { size: 2, ..world }.snapshot());
        let Figure { ms, mb, launches } = once;
        let figure = format!("{ms:.0} ms and {mb} MB, {launches} launches; {:.0} ms at twice the size", twice.ms);
        tell(&format!("plan: {name}"), &figure);
    };
    worlds.into_iter().filter(|(name, _)| name.contains(wanted)).for_each(row);
}

/// What a plan takes.
struct Figure {
    /// The best of three, in milliseconds of the one thread that plans.
    ms: f64,
    /// The most memory beyond that of the snapshot, in megabytes.
    mb: usize,
    launches: usize,
}

impl Figure {
    fn of(snapshot: &Snapshot) -> Self {
        MEMORY.reset_peak_usage();
        let before = MEMORY.current_usage();
        let launches = plan(std::hint::black_box(snapshot)).launches.len();
        let mb = MEMORY.peak_usage().saturating_sub(before) / 1_000_000;
        let once = |_| {
            let begun = computed();
            // Kept until the time is taken: to forget a plan is not to make one.
            let made = plan(std::hint::black_box(snapshot));
            (computed() - begun, made).0
        };
        Self { ms: (0..3).map(once).fold(f64::INFINITY, f64::min), mb, launches }
    }
}

/// Milliseconds for which this thread has computed: what waits for a core beside others' work does not count.
fn computed() -> f64 {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map_or(f64::NAN, |time| time.num_microseconds() as f64 / 1e3)
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
    /// Whether all jobs and VMs belong to one VO, and no two VMs have the same CPU time left.
    one_vo: bool,
    /// Whether each VO may have one core more than it has.
    one_more: bool,
    /// Whether each VO has spent its budget.
    spent: bool,
    /// Holds, each on one flavor of one cloud for jobs of one kind.
    holds: usize,
    /// There are this many times as many queues, flavors and VMs.
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
            one_vo: false,
            one_more: false,
            spent: false,
            holds: 0,
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
            vos: (0..VOS).map(|i| self.vo(i)).collect(),
            holds: (0..self.holds).map(|i| self.hold(i)).collect(),
            pools,
            quotas: (0..50).map(|i| Quota { name: name("cloud", i), left }).collect(),
            vms: (0..20_000 * self.size)
                .map(|i| LiveVm {
                    name: name("vm", i),
                    pool: name("pool", i % 500),
                    cloud: name("cloud", i % 50),
                    vo: name("vo", if self.one_vo { 0 } else { (i % 500) % VOS }),
                    offering: offerings[i % 50][(i % 500) * 8 % 400].clone(),
                    says: said[i % 500].clone(),
                    cpu_time: if self.one_vo { 86_400 - i as u64 } else { 86_400 },
                    life: match i % 10 {
                        0 => Life::Booting { ready_in: 0 },
                        _ => Life::Running {
                            free: Free { cores: self.free, ram_mib: self.free * 2_048, gpus: 0, ..Free::default() },
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

    fn vo(&self, i: usize) -> Vo {
        // As much as the VMs of `snapshot` hold, which are of flavors with one, four or sixteen cores.
        let held: u64 = (0..20_000 * self.size)
            .filter(|vm| (vm % 500) % VOS == i)
            .map(|vm| offering((vm % 500) * 8 % 400, 0).cores)
            .sum();
        let cores = self.one_more.then_some(held + 1);
        Vo {
            name: name("vo", i),
            groups: [name("group", i)].into(),
            share: 1,
            limits: Limits { cores, ..Limits::default() },
            budget: self.spent.then_some(Budget {
                unit: Unit::CoreHours,
                left: 0,
                period: 86_400,
                unpriced_is_free: false,
            }),
            ..Vo::default()
        }
    }

    fn hold(&self, i: usize) -> Hold {
        Hold {
            cloud: Some(name("cloud", i % 50)),
            flavor: Some(name("flavor", i / 50)),
            pool: Some(name("pool", i % 500)),
            class: Some(JobClass::of(&self.queue(i))),
            ..Hold::new(0, Reason::NeverMatched, "VMs like this never got a job of this kind")
        }
    }

    fn queue(&self, i: usize) -> TaskQueue {
        let two = vec!["2Processors".to_owned(), "MultiProcessor".to_owned()];
        TaskQueue {
            id: i as u64,
            owner_group: name("group", if self.one_vo { 0 } else { i % VOS }),
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
            life_seconds: 86_400,
            ..Pool::default()
        }
    }
}
