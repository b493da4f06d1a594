//! What the operator counts over time, each metric with its labels. What is true at one moment is made again for each
//! reader: `serve/gauges.rs`. docs/metrics.md lists all of them.

use std::{
    collections::HashSet,
    hash::Hash,
    sync::{Mutex, PoisonError, atomic::AtomicU64},
    time::Duration,
};

use broker::cloud::CloudMetrics;
use prometheus_client::{
    encoding::{
        EncodeLabelSet,
        text::{encode_eof, encode_registry},
    },
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};

use crate::names::Key;

/// Before the name of every metric of ours.
pub const PREFIX: &str = "dirac_operator";

macro_rules! labels {
    ($($name:ident: $object:ident $($more:ident)*;)*) => {$(
        #[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
        struct $name {
            namespace: String,
            $object: String,
            $($more: String,)*
        }

        impl Labels for $name {
            fn is_of(&self, object: &Key) -> bool {
                self.namespace == object.namespace && self.$object == object.name
            }
        }
    )*};
}

/// Labels of a series that belongs to an object.
trait Labels {
    fn is_of(&self, object: &Key) -> bool;
}

labels! {
    OfPool: pool;
    OfPoolByReason: pool reason;
    OfPoolInCurrency: pool currency;
    OfInstallation: installation;
    OfCloud: cloud;
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Write {
    kind: String,
    verb: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Error {
    kind: String,
    reason: String,
}

/// Counters of objects: the series of one that is gone go with it.
struct Series<L, M> {
    family: Family<L, M>,
    known: Mutex<HashSet<L>>,
}

impl<L: Clone + Eq + Hash, M: Default> Default for Series<L, M> {
    fn default() -> Self {
        Self { family: Family::default(), known: Mutex::default() }
    }
}

impl<L: Clone + Eq + Hash + Labels, M: Default + Clone> Series<L, M> {
    fn of(&self, labels: L) -> M {
        let counter = self.family.get_or_create_owned(&labels);
        self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(labels);
        counter
    }

    fn retain(&self, keep: impl Fn(&L) -> bool) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).retain(|labels| {
            let kept = keep(labels);
            if !kept {
                self.family.remove(labels);
            }
            kept
        });
    }
}

/// What is counted.
pub struct Metrics {
    registry: Registry,
    launches: Series<OfPool, Counter>,
    endings: Series<OfPoolByReason, Counter>,
    never_ran_job: Series<OfPool, Counter>,
    jobs_given_back: Series<OfPool, Counter>,
    spent: Series<OfPoolInCurrency, Counter<f64, AtomicU64>>,
    demand_failures: Series<OfInstallation, Counter>,
    orphans: Series<OfCloud, Counter>,
    plan_seconds: Histogram,
    order_seconds: Histogram,
    api_writes: Family<Write, Counter>,
    reconcile_errors: Family<Error, Counter>,
    leader: Gauge,
    pub clouds: CloudMetrics,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut r = Registry::with_prefix(PREFIX);
        let m = Self {
            launches: Series::default(),
            endings: Series::default(),
            never_ran_job: Series::default(),
            jobs_given_back: Series::default(),
            spent: Series::default(),
            demand_failures: Series::default(),
            orphans: Series::default(),
            plan_seconds: Histogram::new([0.0001, 0.001, 0.01, 0.1, 1.0, 10.0]),
            order_seconds: Histogram::new([0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 60.0]),
            api_writes: Family::default(),
            reconcile_errors: Family::default(),
            leader: Gauge::default(),
            clouds: CloudMetrics::new(&mut r),
            registry: Registry::default(),
        };
        r.register("launches", "VMs made", m.launches.family.clone());
        r.register("endings", "Ends of VMs by reason", m.endings.family.clone());
        r.register("vms_never_ran_job", "VMs made whose pilot never had a job", m.never_ran_job.family.clone());
        let help = "Jobs of lost VMs that were given back to DIRAC's queue";
        r.register("jobs_given_back", help, m.jobs_given_back.family.clone());
        r.register("spent", "Price of VMs whose life ended, by currency", m.spent.family.clone());
        r.register("demand_failures", "Readings of the task queues that failed", m.demand_failures.family.clone());
        r.register("orphans_deleted", "VMs without a PilotVM that were deleted", m.orphans.family.clone());
        r.register("plan_seconds", "Time of one plan", m.plan_seconds.clone());
        let help = "Time from the read of the demand to the order of a VM that it led to";
        r.register("demand_to_order_seconds", help, m.order_seconds.clone());
        r.register("api_writes", "Writes to the API server by kind and verb", m.api_writes.clone());
        r.register("reconcile_errors", "Steps that failed and are tried again", m.reconcile_errors.clone());
        r.register("leader", "1 while this replica leads", m.leader.clone());
        Self { registry: r, ..m }
    }
}

fn of_pool(key: &Key) -> OfPool {
    OfPool { namespace: key.namespace.clone(), pool: key.name.clone() }
}

impl Metrics {
    /// A VM is ordered from its cloud for the first time, this long after the demand for it was read.
    pub fn ordered(&self, after: jiff::SignedDuration) {
        self.order_seconds.observe(after.as_secs_f64());
    }

    pub fn launched(&self, pool: &Key) {
        self.launches.of(of_pool(pool)).inc();
    }

    /// A VM's life ended; `wasted`: it was made and never had a job.
    pub fn ended(&self, pool: &Key, reason: &str, wasted: bool) {
        let OfPool { namespace, pool: name } = of_pool(pool);
        self.endings.of(OfPoolByReason { namespace, pool: name, reason: reason.to_owned() }).inc();
        if wasted {
            self.never_ran_job.of(of_pool(pool)).inc();
        }
    }

    /// So many jobs of a lost VM were given back to DIRAC's queue.
    pub fn jobs_given_back(&self, pool: &Key, jobs: u64) {
        self.jobs_given_back.of(of_pool(pool)).inc_by(jobs);
    }

    /// A VM of this price an hour, in millionths of `currency`, was kept for this many seconds. The currency is empty where no manifest
    /// says it.
    pub fn spent(&self, pool: &Key, currency: &str, price_micros: u64, seconds: f64) {
        let sum = price_micros as f64 / 1e6 * seconds.max(0.0) / 3600.0;
        let OfPool { namespace, pool } = of_pool(pool);
        self.spent.of(OfPoolInCurrency { namespace, pool, currency: currency.to_owned() }).inc_by(sum);
    }

    /// A plan was made in this time.
    pub fn planned(&self, took: Duration) {
        self.plan_seconds.observe(took.as_secs_f64());
    }

    /// Demand could not be read.
    pub fn demand_failed(&self, key: &Key) {
        let labels = OfInstallation { namespace: key.namespace.clone(), installation: key.name.clone() };
        self.demand_failures.of(labels).inc();
    }

    pub fn orphan(&self, key: &Key) {
        self.orphans.of(OfCloud { namespace: key.namespace.clone(), cloud: key.name.clone() }).inc();
    }

    /// Something was written to the API server.
    pub fn api_write(&self, kind: &str, verb: &str) {
        self.api_writes.get_or_create(&Write { kind: kind.to_owned(), verb: verb.to_owned() }).inc();
    }

    pub fn step_failed(&self, kind: &str, reason: &str) {
        self.reconcile_errors.get_or_create(&Error { kind: kind.to_owned(), reason: reason.to_owned() }).inc();
    }

    /// This replica leads now, or does not.
    pub fn leads(&self, leads: bool) {
        self.leader.set(leads.into());
    }

    /// Takes away the series of objects that are not among these.
    pub fn retain(&self, pools: &[Key], installations: &[Key], clouds: &[Key]) {
        let is_among = |all: &[Key], labels: &dyn Labels| all.iter().any(|key| labels.is_of(key));
        self.launches.retain(|l| is_among(pools, l));
        self.endings.retain(|l| is_among(pools, l));
        self.never_ran_job.retain(|l| is_among(pools, l));
        self.jobs_given_back.retain(|l| is_among(pools, l));
        self.spent.retain(|l| is_among(pools, l));
        self.demand_failures.retain(|l| is_among(installations, l));
        self.orphans.retain(|l| is_among(clouds, l));
        self.clouds.retain(|namespace, name| clouds.iter().any(|k| k.namespace == namespace && k.name == name));
    }

    /// The metrics as text, with those of `more` registries.
    pub fn exposition(&self, more: &[Registry]) -> String {
        let mut text = String::new();
        let all = std::iter::once(&self.registry).chain(more);
        let written = all.map(|registry| encode_registry(&mut text, registry)).collect::<Result<Vec<()>, _>>();
        match written.and_then(|_| encode_eof(&mut text)) {
            Ok(()) => text,
            Err(_) => "# EOF\n".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_series_of_what_is_gone_go_with_it() {
        let metrics = Metrics::default();
        let key = |name: &str| Key { namespace: "demo".into(), name: name.into() };
        for pool in ["cpu", "gpu"] {
            metrics.launched(&key(pool));
            metrics.ended(&key(pool), "Idle", true);
            metrics.spent(&key(pool), "EUR", 1_000_000, 3_600.0);
        }
        metrics.orphan(&key("lyon"));
        assert!(metrics.exposition(&[]).contains("spent_total{namespace=\"demo\",pool=\"cpu\",currency=\"EUR\"} 1.0"));
        metrics.retain(&[key("gpu")], &[], &[]);
        let text = metrics.exposition(&[]);
        assert!(text.contains("pool=\"gpu\"") && !text.contains("pool=\"cpu\"") && !text.contains("lyon"), "{text}");
    }
}
