//! The metrics, each with its labels, and the text in which they are asked for.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, atomic::AtomicU64},
    time::Duration,
};

use broker::{cloud::CloudMetrics, simulation::Statistics};
use crds::PilotVM;
use jiff::Timestamp;
use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};

use crate::{life::phase, names::Key};

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PoolPhase {
    namespace: String,
    pool: String,
    phase: String,
}
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Pool {
    namespace: String,
    pool: String,
}
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PoolReason {
    namespace: String,
    pool: String,
    reason: String,
}
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct InstallationVo {
    namespace: String,
    installation: String,
    vo: String,
}
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Object {
    namespace: String,
    name: String,
}
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Write {
    kind: String,
    verb: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SimulatedJobs {
    namespace: String,
    installation: String,
    state: &'static str,
}

/// Every metric of the operator.
pub struct Metrics {
    registry: Mutex<Registry>,
    vms: Family<PoolPhase, Gauge>,
    launches: Family<Pool, Counter>,
    endings: Family<PoolReason, Counter>,
    never_ran_job: Family<Pool, Counter>,
    plan_seconds: Histogram,
    order_seconds: Histogram,
    demand_jobs: Family<InstallationVo, Gauge>,
    demand_read: Family<Object, Gauge>,
    demand_failures: Family<Object, Counter>,
    orphans: Family<Object, Counter>,
    api_writes: Family<Write, Counter>,
    credential_expiry: Family<Object, Gauge>,
    spent: Family<Pool, Counter<f64, AtomicU64>>,
    simulated_jobs: Family<SimulatedJobs, Gauge>,
    resident: Gauge<u64, AtomicU64>,
    /// Calls to clouds.
    pub clouds: CloudMetrics,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("dirac_operator");
        let plan_seconds = Histogram::new([0.0001, 0.001, 0.01, 0.1, 1.0, 10.0]);
        let order_seconds = Histogram::new([0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 60.0]);
        let metrics = Self {
            vms: Family::default(),
            launches: Family::default(),
            endings: Family::default(),
            never_ran_job: Family::default(),
            plan_seconds,
            order_seconds,
            demand_jobs: Family::default(),
            demand_read: Family::default(),
            demand_failures: Family::default(),
            orphans: Family::default(),
            api_writes: Family::default(),
            credential_expiry: Family::default(),
            spent: Family::default(),
            simulated_jobs: Family::default(),
            resident: Gauge::default(),
            clouds: CloudMetrics::new(&mut registry),
            registry: Mutex::new(Registry::default()),
        };
        registry.register("vms", "PilotVMs by pool and phase", metrics.vms.clone());
        registry.register("launches", "VMs made", metrics.launches.clone());
        registry.register("endings", "Ends of VMs by reason", metrics.endings.clone());
        registry.register("vms_never_ran_job", "VMs made whose pilot never had a job", metrics.never_ran_job.clone());
        registry.register(
            "demand_to_order_seconds",
            "Time from the read of the demand to the order of a VM that it led to",
            metrics.order_seconds.clone(),
        );
        registry.register("plan_seconds", "Time of one plan", metrics.plan_seconds.clone());
        registry.register("demand_jobs", "Waiting jobs by VO, as last read", metrics.demand_jobs.clone());
        registry.register(
            "demand_read_timestamp_seconds",
            "When the task queues were last read",
            metrics.demand_read.clone(),
        );
        registry.register(
            "demand_failures",
            "Readings of the task queues that failed",
            metrics.demand_failures.clone(),
        );
        registry.register("orphans_deleted", "VMs without a PilotVM that were deleted", metrics.orphans.clone());
        registry.register("api_writes", "Writes to the API server by kind and verb", metrics.api_writes.clone());
        registry.register(
            "credential_expiry_timestamp_seconds",
            "When a cloud's credential ends",
            metrics.credential_expiry.clone(),
        );
        registry.register("spent", "Price of VMs whose life ended, in units of the currency", metrics.spent.clone());
        registry.register("simulated_jobs", "Jobs of simulated installations by state", metrics.simulated_jobs.clone());
        registry.register("resident_memory_bytes", "Resident memory of the operator", metrics.resident.clone());
        Self { registry: Mutex::new(registry), ..metrics }
    }
}

fn object(key: &Key) -> Object {
    Object { namespace: key.namespace.clone(), name: key.name.clone() }
}

fn pool_labels(key: &Key) -> Pool {
    Pool { namespace: key.namespace.clone(), pool: key.name.clone() }
}

impl Metrics {
    /// A VM is ordered from its cloud for the first time, so long after the demand for it was read.
    pub fn ordered(&self, after: jiff::SignedDuration) {
        self.order_seconds.observe(after.as_secs_f64());
    }

    /// A VM was made.
    pub fn launched(&self, pool: &Key) {
        self.launches.get_or_create(&pool_labels(pool)).inc();
    }

    /// A VM's life ended; `wasted`: it was made and never had a job.
    pub fn ended(&self, pool: &Key, reason: &str, wasted: bool) {
        let Pool { namespace, pool: name } = pool_labels(pool);
        self.endings.get_or_create(&PoolReason { namespace, pool: name, reason: reason.to_owned() }).inc();
        if wasted {
            self.never_ran_job.get_or_create(&pool_labels(pool)).inc();
        }
    }

    /// A VM of this price an hour, in millionths, was kept for so many seconds.
    pub fn spent(&self, pool: &Key, price_micros: u64, seconds: f64) {
        let sum = price_micros as f64 / 1e6 * seconds.max(0.0) / 3600.0;
        self.spent.get_or_create(&pool_labels(pool)).inc_by(sum);
    }

    /// Forgets what was told of single installations and clouds.
    pub fn forget_objects(&self) {
        self.simulated_jobs.clear();
        self.demand_jobs.clear();
        self.demand_read.clear();
        self.credential_expiry.clear();
    }

    /// What a simulated installation has seen.
    pub fn simulated(&self, installation: &Key, s: &Statistics) {
        let states = [
            ("arrived", s.arrived),
            ("waiting", s.waiting),
            ("running", s.running),
            ("served", s.served),
            ("requeued", s.requeued),
        ];
        for (state, jobs) in states {
            let labels = SimulatedJobs {
                namespace: installation.namespace.clone(),
                installation: installation.name.clone(),
                state,
            };
            self.simulated_jobs.get_or_create(&labels).set(i64::try_from(jobs).unwrap_or(i64::MAX));
        }
    }

    /// A plan was made in this time.
    pub fn planned(&self, took: Duration) {
        self.plan_seconds.observe(took.as_secs_f64());
    }

    /// Demand was read.
    pub fn demand(&self, installation: &Key, waiting: &BTreeMap<String, u64>, at: Timestamp) {
        for (vo, jobs) in waiting {
            let labels = InstallationVo {
                namespace: installation.namespace.clone(),
                installation: installation.name.clone(),
                vo: vo.clone(),
            };
            self.demand_jobs.get_or_create(&labels).set(i64::try_from(*jobs).unwrap_or(i64::MAX));
        }
        self.demand_read.get_or_create(&object(installation)).set(at.as_second());
    }

    /// Demand could not be read.
    pub fn demand_failed(&self, installation: &Key) {
        self.demand_failures.get_or_create(&object(installation)).inc();
    }

    /// An orphan was deleted.
    pub fn orphan(&self, cloud: &Key) {
        self.orphans.get_or_create(&object(cloud)).inc();
    }

    /// Something was written to the API server.
    pub fn api_write(&self, kind: &str, verb: &str) {
        self.api_writes.get_or_create(&Write { kind: kind.to_owned(), verb: verb.to_owned() }).inc();
    }

    /// A cloud's credential ends then.
    pub fn credential_expires(&self, cloud: &Key, at: Timestamp) {
        self.credential_expiry.get_or_create(&object(cloud)).set(at.as_second());
    }

    /// The metrics as text, with these PilotVMs counted.
    pub fn exposition(&self, vms: &[Arc<PilotVM>]) -> String {
        let mut counts: BTreeMap<(String, String, &str), i64> = BTreeMap::new();
        for vm in vms {
            let phase = vm.status.as_ref().map_or("Pending", phase);
            let namespace = vm.metadata.namespace.clone().unwrap_or_default();
            *counts.entry((namespace, vm.spec.pool_ref.name.clone(), phase)).or_default() += 1;
        }
        self.vms.clear();
        for ((namespace, pool, phase), count) in counts {
            self.vms.get_or_create(&PoolPhase { namespace, pool, phase: phase.to_owned() }).set(count);
        }
        if let Some(bytes) = resident_bytes() {
            self.resident.set(bytes);
        }
        let mut text = String::new();
        match self.registry.lock().map(|registry| encode(&mut text, &registry)) {
            Ok(Ok(())) => text,
            Ok(Err(_)) | Err(_) => "# EOF\n".to_owned(),
        }
    }
}

/// Resident memory as Linux tells it.
fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|l| l.starts_with("VmRSS:"))?;
    line.split_whitespace().nth(1)?.parse::<u64>().ok().map(|kib| kib * 1024)
}
