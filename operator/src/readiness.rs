//! What the manifests of one installation need DIRAC to know, and what a condition says of it. Pure.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use broker::{
    plan::{BEFORE_THE_FIRST_JOB, Offering},
    readiness::{self, Finding, Group, Operator, Queue, Site, Size, State, Vo, Wanted},
};
use crds::{
    Cloud, DiracInstallation, PilotPool, Reason, VirtualOrganization, flavor::CloudFlavor, installation::External,
};
use kube::ResourceExt;

use crate::{
    amounts::count,
    life::gives_back,
    names::{Key, default_ce, deleting},
    resolve::{Resolved, requirements, resolve},
    trouble::of_dirac,
};

/// The objects of one namespace.
#[derive(Default)]
pub struct Objects {
    pub installations: Vec<Arc<DiracInstallation>>,
    pub vos: Vec<Arc<VirtualOrganization>>,
    pub sites: Vec<Arc<crds::Site>>,
    pub clouds: Vec<Arc<Cloud>>,
    pub pools: Vec<Arc<PilotPool>>,
}

/// Where the Configuration server of an installation is: what its object says, or else the usual port of the Matcher's host.
pub fn configuration_address(external: &External) -> String {
    external.configuration.clone().unwrap_or_else(|| beside_the_matcher(external, 9135, "Configuration/Server"))
}

/// Where its JobManager is, in the same way.
pub fn job_manager_address(external: &External) -> String {
    external.job_manager.clone().unwrap_or_else(|| beside_the_matcher(external, 9132, "WorkloadManagement/JobManager"))
}

fn beside_the_matcher(external: &External, port: u16, service: &str) -> String {
    let host = |url: &str| {
        url.trim().strip_prefix("dips://").and_then(|rest| Some(rest.split('/').next()?.rsplit_once(':')?.0.to_owned()))
    };
    let hosts = external.matcher.split(',').filter_map(host);
    hosts.map(|host| format!("dips://{host}:{port}/{service}")).collect::<Vec<_>>().join(", ")
}

/// What DIRAC must know for this installation.
pub fn wanted(installation: &DiracInstallation, objects: &Objects) -> Wanted {
    let name = installation.name_any();
    let operator = Operator {
        group: match (&installation.spec.external, &installation.spec.managed) {
            (Some(external), _) => external.credentials.group.clone(),
            (None, Some(_)) => "hosts".to_owned(),
            (None, None) => String::new(),
        },
        gives_back: gives_back(installation),
    };
    let vos = objects.vos.iter().filter(|vo| vo.spec.installation_ref.name == name && !deleting(vo.as_ref()));
    let mut wanted = Wanted { operator, vos: vos.map(|vo| of_vo(vo)).collect(), ..Wanted::default() };
    let mut sites = BTreeSet::new();
    for pool in objects.pools.iter().filter(|pool| !deleting(pool.as_ref())) {
        let resolved = resolve(pool, &objects.installations, &objects.sites, &objects.vos, &objects.clouds);
        if resolved.installation() == Some(name.as_str()) {
            sites.extend(resolved.site.iter().map(|site| site.spec.dirac_name.clone()));
            of_pool(pool, &resolved, &mut wanted);
        }
    }
    wanted.sites = sites.into_iter().map(|name| Site { name }).collect();
    wanted.vos.sort_by(|a, b| a.name.cmp(&b.name));
    wanted.queues.sort_by_key(Queue::path);
    wanted.unknown.sort();
    wanted
}

fn of_vo(vo: &VirtualOrganization) -> Vo {
    let group = |g: &crds::organization::Group| Group { name: g.name.clone(), properties: g.properties.clone() };
    Vo {
        name: vo.spec.dirac_name.clone(),
        groups: vo.spec.groups.iter().map(group).collect(),
        pilot_group: vo.spec.pilot.group.clone(),
    }
}

/// The queues of a pool: one for each flavor that it may buy, or the one that it names.
fn of_pool(pool: &PilotPool, resolved: &Resolved, wanted: &mut Wanted) {
    let Some(site) = &resolved.site else { return };
    let (spec, key) = (&pool.spec, Key::of(pool));
    let longest = spec.matching.max_cpu_time.as_secs();
    let queue = |name: &str, sizes: BTreeSet<Size>| Queue {
        site: site.spec.dirac_name.clone(),
        ce: spec.matching.ce.clone().unwrap_or_else(|| default_ce(&key)),
        name: name.to_owned(),
        sizes: sizes.into_iter().collect(),
        cpu_seconds: longest.saturating_add(BEFORE_THE_FIRST_JOB),
        end_seconds: spec.scaling.max_lifetime.as_secs().saturating_add(longest),
        tags: spec.matching.tags.clone(),
        required_tags: spec.matching.requires(),
    };
    let called = |flavor: &str| spec.matching.queue.clone().unwrap_or_else(|| flavor.to_owned());
    let mut queues: BTreeMap<String, BTreeSet<Size>> = BTreeMap::new();
    let mut said = BTreeSet::new();
    for flavor in resolved.clouds.iter().flat_map(|cloud| flavors(cloud)).filter(|flavor| takes(pool, flavor)) {
        said.insert(flavor.name.as_str());
        let size = Size { cores: count(flavor.cores), ram_mib: count(flavor.ram_mib) };
        queues.entry(called(&flavor.name)).or_default().insert(size);
    }
    for flavor in spec.machine.flavors.iter().filter(|flavor| !said.contains(flavor.as_str())) {
        let why = format!("no Cloud of PilotPool {:?} has said yet how large flavor {flavor:?} is", key.name);
        wanted.unknown.push((queue(&called(flavor), BTreeSet::new()).path(), why));
    }
    if queues.is_empty() && spec.machine.requirements.is_some() {
        let why = format!("no Cloud of PilotPool {:?} has said yet which flavors fulfil its requirements", key.name);
        wanted.unknown.push((format!("{}/Queues", queue("", BTreeSet::new()).ce_path()), why));
    }
    for (name, sizes) in queues {
        if is_section(&name) {
            wanted.queues.push(queue(&name, sizes));
        } else {
            let why = format!(
                "DIRAC's configuration can have no section called {name:?}, as flavors of PilotPool {:?} are: give \
                 spec.matching.queue",
                key.name
            );
            wanted.unknown.push((format!("{}/Queues", queue("", BTreeSet::new()).ce_path()), why));
        }
    }
}

/// The names of a pool's queues: the one that it names, or the flavors that it may buy from its clouds, as far as they are known.
pub fn queues(pool: &PilotPool, clouds: &[Arc<Cloud>]) -> BTreeSet<String> {
    if let Some(queue) = &pool.spec.matching.queue {
        return [queue.clone()].into();
    }
    let its = clouds.iter().filter(|cloud| pool.spec.clouds.iter().any(|named| named.name == cloud.name_any()));
    let sold = its.flat_map(|cloud| flavors(cloud)).filter(|flavor| takes(pool, flavor)).map(|flavor| &flavor.name);
    sold.chain(&pool.spec.machine.flavors).cloned().collect()
}

/// Whether DIRAC's configuration can have a section of this name. Providers choose the names of flavors.
fn is_section(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_graphic() && !"/{}=#,".contains(c))
}

fn flavors(cloud: &Cloud) -> &[CloudFlavor] {
    cloud.status.as_ref().map_or(&[], |status| &status.flavors)
}

/// Whether the pool may buy this flavor.
fn takes(pool: &PilotPool, flavor: &CloudFlavor) -> bool {
    let machine = &pool.spec.machine;
    if machine.requirements.is_none() {
        return machine.flavors.contains(&flavor.name);
    }
    requirements(machine.requirements.as_ref()).accept(&Offering {
        cores: count(flavor.cores),
        ram_mib: count(flavor.ram_mib),
        gpus: count(flavor.gpus),
        gpu_model: flavor.gpu_model.clone(),
        gpu_vendor: flavor.gpu_vendor.clone(),
        gpu_memory_mib: flavor.gpu_memory_gib.map(|gib| count(gib).saturating_mul(1024)),
        gpu_share: flavor.gpu_share.is_some(),
        ..Offering::default()
    })
}

/// What the condition says: whether all is well (`None`: nobody knows), the reason and the sentence.
pub fn verdict(key: &Key, findings: &[Finding]) -> (Option<bool>, Reason, String) {
    let of = |state: State| findings.iter().filter(move |finding| finding.state == state);
    let how = format!("`dirac-operator check --namespace {} --installation {}`", key.namespace, key.name);
    let holds = readiness::holds(findings);
    match holds {
        Some(true) => (holds, Reason::Configured, format!("DIRAC knows everything that pilots need; {how} lists it")),
        Some(false) => {
            let named =
                first(of(State::Missing), |f| format!("{} needs {}, and there is {}", f.place, f.needed, f.found));
            let text = format!("{named}; {how} prints the lines to add to DIRAC's configuration");
            (holds, Reason::NotConfigured, text)
        }
        None => {
            let fault = of(State::Unknown).next().and_then(|unknown| unknown.fault);
            let named = first(of(State::Unknown), |f| format!("{}: {}", f.place, f.found));
            let text = format!("whether DIRAC knows what pilots need could not be read: {named}");
            (holds, fault.map_or(Reason::NotReady, of_dirac), text)
        }
    }
}

/// The first few of them, and how many more there are.
fn first<'a>(findings: impl Iterator<Item = &'a Finding> + Clone, said: impl Fn(&Finding) -> String) -> String {
    const NAMED: usize = 3;
    let mut text = findings.clone().take(NAMED).map(said).collect::<Vec<_>>().join("; ");
    match findings.count().saturating_sub(NAMED) {
        0 => {}
        more => text.push_str(&format!("; and {more} more")),
    }
    text
}

/// Whether DIRAC knows all of it.
pub fn is_met(findings: &[Finding]) -> bool {
    readiness::holds(findings) == Some(true)
}

#[cfg(test)]
#[path = "readiness_tests.rs"]
mod tests;
