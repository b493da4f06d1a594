//! What is true at this moment, made again for each reader: of an object that is gone nothing stays.

use std::sync::atomic::AtomicU64;

use broker::{
    cloud::Allowance,
    experience::{Circuit, Opened},
};
use crds::{ConditionType, Reason};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use prometheus_client::{
    metrics::{counter::ConstCounter, family::Family, gauge::Gauge, info::Info},
    registry::Registry,
};

use crate::{
    amounts::whole,
    api::{
        PHASES, Tally,
        watch::{Kind, Objects},
    },
    context::State,
    known::frozen::What,
    metrics::PREFIX,
    names::Key,
};

type Labels = Vec<(&'static str, String)>;
type Numbers = Family<Labels, Gauge>;
type Sums = Family<Labels, Gauge<f64, AtomicU64>>;

fn labels(object: &'static str, key: &Key, more: &[(&'static str, &str)]) -> Labels {
    let own = [("namespace", key.namespace.clone()), (object, key.name.clone())];
    own.into_iter().chain(more.iter().map(|(name, value)| (*name, (*value).to_owned()))).collect()
}

pub fn of_objects(state: &State, tally: &Tally) -> Registry {
    let mut r = Registry::with_prefix(PREFIX);
    let mut family = |name: &str, help: &str| {
        let family = Numbers::default();
        r.register(name, help, family.clone());
        family
    };
    let vms = family("vms", "PilotVMs by pool and phase");
    let most = family("pool_max", "The most VMs that a pool may have");
    let drifted = family("vms_drifted", "VMs that run and are not as their pool says any more");
    let frozen_pools = family("pool_frozen", "1 while VMs of a pool do not drain before a person says so, by reason");
    let ready = family("ready", "Readiness of an object: 1 it is, 0 it is not, -1 unknown");
    let waiting = family("demand_jobs", "Waiting jobs by VO, as last read");
    let unmet = family("unmet_jobs", "Waiting jobs that get no VM, by VO and reason");
    let breakers = family(
        "breakers_open",
        "Breakers that are open by pool, VO, cloud, flavor and reason: VMs came to nothing, and one at a time is made",
    );
    let read = family("demand_read_timestamp_seconds", "When the task queues were last read");
    let unreadable = family("task_queues_unreadable", "Task queues that could not be read at the last reading");
    let rows = family("rows_read_timestamp_seconds", "When the pilots' rows were last read");
    let simulated = family("simulated_jobs", "Jobs of simulated installations by state");
    let listed = family("cloud_list_timestamp_seconds", "When a cloud's VMs were last listed");
    let missing = family("cloud_vms_missing", "VMs of ours that a cloud's last list lacks and that count as alive");
    let orphans = family("cloud_orphans", "VMs with our tag that have no PilotVM and are not deleted yet");
    let frozen =
        family("cloud_frozen", "1 while nothing is believed or deleted there before a person says so, by reason");
    let unread = family("malformed_objects", "Objects that this version cannot read");
    let expires = family("credential_expiry_timestamp_seconds", "When a cloud's credential ends");
    let certificate =
        family("certificate_expiry_timestamp_seconds", "When the operator's certificate for a DIRAC ends");
    let limit = family("quota_limit", "The provider's quota by resource, memory in MiB; absent: unlimited or unknown");
    let used = family("quota_used", "What is used of the quota, by everybody in the project");
    let mut sum = |name: &str, help: &str| {
        let family = Sums::default();
        r.register(name, help, family.clone());
        family
    };
    let spent = sum("budget_spent", "What a VO spent within its period, by VMs that are there too");
    let reserved = sum("budget_reserved", "What is reserved for what the VMs of a VO have yet to cost");
    let left = sum("budget_left", "What is left of the budget of a VO for new VMs");
    let put = |family: &Numbers, labels: Labels, value: i64| {
        family.get_or_create(&labels).set(value);
    };
    let is_ready = |kind: &str, key: &Key, conditions: Option<&Vec<Condition>>| {
        let said = conditions.and_then(|all| ConditionType::Ready.among(all)).map_or("Unknown", |c| c.status.as_str());
        let value = match said {
            "True" => 1,
            "False" => 0,
            _ => -1,
        };
        put(&ready, labels("name", key, &[("kind", kind)]), value);
    };
    let stores = &state.stores;
    put_unread(&unread, &stores.installations);
    put_unread(&unread, &stores.vos);
    put_unread(&unread, &stores.sites);
    put_unread(&unread, &stores.clouds);
    put_unread(&unread, &stores.pools);
    put_unread(&unread, &stores.vms);
    put_unread(&unread, &stores.downtimes);
    let pools = stores.pools.all();
    let existing = pools.iter().map(|pool| Key::of(pool.as_ref()));
    for key in existing.chain(tally.pools().cloned()) {
        for (phase, count) in PHASES.iter().zip(tally.pool(&key).phases) {
            put(&vms, labels("pool", &key, &[("phase", phase)]), count);
        }
    }
    for pool in &pools {
        let key = Key::of(pool.as_ref());
        put(&most, labels("pool", &key, &[]), pool.spec.scaling.max);
        is_ready("PilotPool", &key, pool.status.as_ref().map(|s| &s.conditions));
    }
    for object in stores.sites.all() {
        is_ready("Site", &Key::of(object.as_ref()), object.status.as_ref().map(|s| &s.conditions));
    }
    for object in stores.vos.all() {
        let key = Key::of(object.as_ref());
        is_ready("VirtualOrganization", &key, object.status.as_ref().map(|s| &s.conditions));
        let accounts = state.installations.get(&key.beside(&object.spec.installation_ref.name)).facts().accounts;
        if let Some(told) = accounts.told(&key.name) {
            let standing = &told.standing;
            for (family, sum) in [(&spent, standing.so_far()), (&reserved, standing.ahead()), (&left, standing.left)] {
                let (unit, sum) = told.written.unit.number(sum);
                family.get_or_create(&labels("vo", &key, &[("unit", unit)])).set(sum);
            }
        }
    }
    for object in stores.installations.all() {
        let key = Key::of(object.as_ref());
        is_ready("DiracInstallation", &key, object.status.as_ref().map(|s| &s.conditions));
        let facts = state.installations.get(&key).facts();
        let own = |more: &[(&'static str, &str)]| labels("installation", &key, more);
        if let Some(rows_read) = &facts.read {
            put(&rows, own(&[]), rows_read.started.as_second());
        }
        if let Some(at) = facts.certificate_ends {
            put(&certificate, own(&[]), at.as_second());
        }
        if let Some(round) = &facts.round {
            put(&read, own(&[]), round.at.as_second());
            put(&unreadable, own(&[]), round.unreadable.as_ref().map_or(0, |u| whole(u.queues)));
            for (pool, vms) in &round.drifted {
                put(&drifted, labels("pool", &key.beside(pool), &[]), whole(*vms));
            }
            for pool in round.drifted.keys().chain(round.frozen.keys()) {
                let reason = [("reason", Reason::MassChange.as_str())];
                put(&frozen_pools, labels("pool", &key.beside(pool), &reason), round.frozen.contains_key(pool).into());
            }
            for (vo, jobs) in &round.plan.waiting {
                put(&waiting, own(&[("vo", vo)]), whole(*jobs));
            }
            for lacking in &round.plan.unmet {
                let reason = lacking.reason.to_string();
                unmet.get_or_create(&own(&[("vo", &lacking.vo), ("reason", &reason)])).inc_by(whole(lacking.jobs));
            }
        }
        let open: Vec<Labels> = state.lessons.with(|all| {
            let opened = all.get(&key).into_iter().flat_map(|lessons| lessons.opened());
            let label = |(circuit, opened): (&Circuit, &Opened)| {
                let (cloud, flavor, by) = (&circuit.lot.cloud, &circuit.lot.flavor, opened.by.as_str());
                own(&[
                    ("pool", &circuit.pool),
                    ("vo", &circuit.vo),
                    ("cloud", cloud),
                    ("flavor", flavor),
                    ("reason", by),
                ])
            };
            opened.map(label).collect()
        });
        for labels in open {
            breakers.get_or_create(&labels).inc();
        }
        if let Some(dirac) = &facts.simulated {
            let s = dirac.statistics();
            let states = [
                ("arrived", s.arrived),
                ("waiting", s.waiting),
                ("running", s.running),
                ("served", s.served),
                ("requeued", s.requeued),
            ];
            for (state, jobs) in states {
                put(&simulated, own(&[("state", state)]), whole(jobs));
            }
        }
    }
    for object in stores.clouds.all() {
        let key = Key::of(object.as_ref());
        is_ready("Cloud", &key, object.status.as_ref().map(|s| &s.conditions));
        let facts = state.clouds.get(&key).facts();
        if let Some(list) = &facts.listing {
            put(&listed, labels("cloud", &key, &[]), list.started.as_second());
            put(&missing, labels("cloud", &key, &[]), whole(facts.missing.len()));
            put(&orphans, labels("cloud", &key, &[]), whole(facts.orphans));
            for what in [What::Losses, What::Orphans] {
                let holds = facts.frozen.iter().any(|f| f.what == what);
                put(&frozen, labels("cloud", &key, &[("reason", what.reason().as_str())]), holds.into());
            }
        }
        if let Some(at) = facts.offers.as_ref().and_then(|offers| offers.credential_expires) {
            put(&expires, labels("cloud", &key, &[]), at.as_second());
        }
        for class in facts.headroom.iter().flat_map(|(_, headroom)| &headroom.classes) {
            let allowances: [(&str, &Allowance); 4] =
                [("vms", &class.vms), ("cores", &class.cores), ("ram_mib", &class.ram_mib), ("gpus", &class.gpus)];
            for (resource, allowance) in allowances {
                let own = || labels("cloud", &key, &[("class", &class.name), ("resource", resource)]);
                put(&used, own(), whole(allowance.used));
                if let Some(bound) = allowance.limit {
                    put(&limit, own(), whole(bound));
                }
            }
        }
    }
    r
}

fn put_unread<K: Kind>(family: &Numbers, objects: &Objects<K>) {
    let kind = vec![("kind", K::kind(&()).into_owned())];
    family.get_or_create(&kind).set(whole(objects.unread().len()));
}

/// The program and its process, as other programs tell it too.
pub fn of_process() -> Registry {
    let mut r = Registry::default();
    let version = vec![("version", env!("CARGO_PKG_VERSION"))];
    r.register(format!("{PREFIX}_build"), "The version of the operator", Info::new(version));
    if let Some(bytes) = resident_bytes() {
        let resident = Gauge::<u64, AtomicU64>::default();
        resident.set(bytes);
        r.register("process_resident_memory_bytes", "Resident memory", resident);
    }
    if let Some(seconds) = cpu_seconds() {
        r.register("process_cpu_seconds", "Processor time, of user and system", ConstCounter::new(seconds));
    }
    if let Ok(open) = std::fs::read_dir("/proc/self/fd") {
        let fds = Gauge::<i64>::default();
        fds.set(whole(open.count()));
        r.register("process_open_fds", "Open file descriptors", fds);
    }
    r
}

/// Resident memory as Linux tells it.
fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|l| l.starts_with("VmRSS:"))?;
    line.split_whitespace().nth(1)?.parse::<u64>().ok().map(|kib| kib * 1024)
}

/// Processor time as Linux tells it: proc(5), fields 14 and 15 of `stat`, in hundredths of a second.
fn cpu_seconds() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = |n: usize| fields.get(n).and_then(|field| field.parse::<f64>().ok());
    Some((ticks(11)? + ticks(12)?) / 100.0)
}

#[cfg(test)]
#[path = "gauges_tests.rs"]
mod tests;
