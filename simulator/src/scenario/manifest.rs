//! From manifests to the model: the objects of `diracgrid.org`, read by their own types, and their references resolved.

use std::collections::BTreeMap;

use anyhow::{Context, Result, anyhow, bail, ensure};
use crds::{
    Cloud, DiracInstallation, Downtime, PilotPool, Site, VirtualOrganization,
    pool::{Borrow, Pin, Purchase, Strategy},
    quantity::Ceiling,
};
use kube::ResourceExt;

use super::{
    CloudWords, Scenario, Size,
    accounts::{currency, limits, vo},
    clouds::FlavorWords,
    model::{self, Closed, Limits, Model, Project},
    strict::strict,
};
use crate::time::{Ms, SECOND, ms};

#[derive(Default)]
struct Objects {
    vos: Vec<VirtualOrganization>,
    sites: Vec<Site>,
    clouds: Vec<Cloud>,
    pools: Vec<PilotPool>,
    downtimes: Vec<Downtime>,
    limits: Limits,
}

pub(super) fn model(words: &Scenario) -> Result<Model> {
    let mut objects = Objects::default();
    for (i, manifest) in words.manifests.iter().enumerate() {
        let kind = manifest["kind"].as_str().unwrap_or_default();
        let name = manifest["metadata"]["name"].as_str().unwrap_or_default();
        let place = || format!("manifests[{i}], {kind} {name}");
        match kind {
            "VirtualOrganization" => objects.vos.push(strict(manifest).with_context(place)?),
            "Site" => objects.sites.push(strict(manifest).with_context(place)?),
            "Cloud" => objects.clouds.push(strict(manifest).with_context(place)?),
            "PilotPool" => objects.pools.push(strict(manifest).with_context(place)?),
            "Downtime" => objects.downtimes.push(strict(manifest).with_context(place)?),
            "DiracInstallation" => {
                let installation: DiracInstallation = strict(manifest).with_context(place)?;
                objects.limits = limits(installation.spec.limits.as_ref());
            }
            "Namespace" => {}
            other => bail!(
                "manifests[{i}]: kind {other:?} is none of VirtualOrganization, Site, Cloud, PilotPool, Downtime, DiracInstallation, \
                 Namespace"
            ),
        }
    }
    // As the operator sees them: pools by name.
    objects.pools.sort_by_key(|pool| pool.name_any());
    let mut model = Model { vos: objects.vos.iter().map(vo).collect(), limits: objects.limits, ..Model::default() };
    for cloud in &objects.clouds {
        let at = || format!("Cloud {}", cloud.name_any());
        let found = cloud_of(cloud, &objects.vos, words, &mut model.projects).with_context(at)?;
        model.clouds.push(found);
    }
    if let Some(name) = words.clouds.keys().find(|name| !model.clouds.iter().any(|c| c.name == **name)) {
        bail!("clouds.{name}: there is no Cloud {name:?} among the manifests");
    }
    for pool in &objects.pools {
        let found = pool_of(pool, &objects, &model).with_context(|| format!("PilotPool {}", pool.name_any()))?;
        model.pools.push(found);
    }
    for downtime in &objects.downtimes {
        let found =
            closed(downtime, &objects, words, &model).with_context(|| format!("Downtime {}", downtime.name_any()))?;
        model.closed.extend(found);
    }
    Ok(model)
}

fn cloud_of(
    object: &Cloud,
    vos: &[VirtualOrganization],
    words: &Scenario,
    projects: &mut Vec<Project>,
) -> Result<model::Cloud> {
    let (name, spec) = (object.name_any(), &object.spec);
    let mut behaviour: CloudWords = words.clouds.get(&name).cloned().unwrap_or_default();
    let mut quota = behaviour.quota.clone();
    if let Some(simulated) = &spec.simulated {
        ensure!(
            behaviour.flavors.is_empty(),
            "the flavors of a simulated cloud stand in its manifest: remove clouds.{name}.flavors"
        );
        ensure!(
            simulated.faults.is_none(),
            "here the faults of a cloud stand in the scenario: move spec.simulated.faults to clouds.{name}"
        );
        behaviour.flavors = simulated
            .flavors
            .iter()
            .map(|f| FlavorWords {
                name: f.name.clone(),
                cores: f.cores.unsigned_abs(),
                ram_gib: f.ram_gib.unsigned_abs(),
                gpus: f.gpus.unsigned_abs(),
                gpu_model: f.gpu_model.clone(),
                gpu_memory_gib: f.gpu_memory_gib.map(i64::unsigned_abs),
                gpu_shares: f.gpu_shares.map(i64::unsigned_abs),
                per_hour: f.per_hour,
                spot_per_hour: None,
                capacity: f.capacity.map(i64::unsigned_abs),
            })
            .collect();
        quota = quota.or_else(|| simulated.quota.clone());
        if behaviour.boot.is_none() {
            let boot = simulated.boot_time.map_or(60, crds::Duration::as_secs);
            behaviour.boot = Some(crate::dice::Spread::fixed(boot));
        }
    }
    ensure!(!behaviour.flavors.is_empty(), "nothing can be bought here: say its flavors in clouds.{name}.flavors");
    let project = project_of(&name, &behaviour, quota.as_ref(), projects)?;
    let class = |flavor: &str| {
        let found = behaviour.quota_classes.iter().find(|(_, c)| c.flavors.iter().any(|f| f == flavor));
        let index = found.and_then(|(name, _)| projects[project].classes.iter().position(|c| c == name));
        index.map_or(0, |i| i + 1)
    };
    let flavors = behaviour
        .flavors
        .iter()
        .map(|f| model::Flavor {
            name: f.name.clone(),
            size: Size { vms: 1, cores: f.cores, ram_mib: f.ram_gib * 1024, gpus: f.gpus },
            gpu_model: f.gpu_model.clone(),
            gpu_memory_mib: f.gpu_memory_gib.map(|gib| gib * 1024),
            gpu_share: f.gpu_shares.is_some_and(|shares| shares > 1),
            price: spec
                .prices
                .iter()
                .find(|p| p.flavor == f.name)
                .map(|p| p.per_hour)
                .or(f.per_hour)
                .map(|p| p.micros()),
            spot_price: f.spot_per_hour.map(|p| p.micros()),
            capacity: f.capacity,
            class: class(&f.name),
        })
        .collect();
    let zones =
        if behaviour.zones.is_empty() { vec![None] } else { behaviour.zones.iter().cloned().map(Some).collect() };
    Ok(model::Cloud {
        name,
        flavors,
        zones,
        project,
        ceiling: limits(spec.ceiling.as_ref()),
        currency: currency(object, vos),
        per_second: spec.requests.as_ref().map_or(10, |r| r.per_second.unsigned_abs().max(1)),
        behaviour,
    })
}

/// The project of a cloud; two clouds that name one project share it, and must not say two things of it.
fn project_of(cloud: &str, words: &CloudWords, quota: Option<&Ceiling>, projects: &mut Vec<Project>) -> Result<usize> {
    let name = words.project.as_deref().unwrap_or(cloud);
    let mut made = Project { name: name.to_owned(), quotas: vec![limits(quota)], classes: Vec::new() };
    for (class, of) in &words.quota_classes {
        made.classes.push(class.clone());
        made.quotas.push(limits(Some(&of.quota)));
    }
    let Some(index) = projects.iter().position(|p| p.name == name) else {
        projects.push(made);
        return Ok(projects.len() - 1);
    };
    let is_said = quota.is_some() || !made.classes.is_empty();
    ensure!(
        !is_said || projects[index].quotas == made.quotas,
        "project {name:?} has another quota in an earlier Cloud: say it once, or alike"
    );
    Ok(index)
}

fn pool_of(object: &PilotPool, objects: &Objects, model: &Model) -> Result<model::Pool> {
    let (name, spec) = (object.name_any(), &object.spec);
    let site = objects.sites.iter().find(|s| s.name_any() == spec.site_ref.name);
    let site = site.ok_or_else(|| anyhow!("spec.siteRef: there is no Site {:?}", spec.site_ref.name))?;
    let vos = spec.vos.iter().map(|vo| {
        let found = model.vos.iter().position(|v| v.name == *vo);
        let index = found.ok_or_else(|| anyhow!("spec.vos: there is no VirtualOrganization {vo:?}"))?;
        ensure!(site.spec.vos.contains(vo), "spec.vos: Site {:?} does not serve {vo:?}", spec.site_ref.name);
        Ok(index)
    });
    let clouds = spec.clouds.iter().map(|cloud| {
        let found = model.clouds.iter().position(|c| c.name == cloud.name);
        let index = found.ok_or_else(|| anyhow!("spec.clouds: there is no Cloud {:?}", cloud.name))?;
        ensure!(
            objects.clouds[index].spec.images.contains_key(&spec.machine.image),
            "spec.machine.image: Cloud {:?} has no image {:?}",
            cloud.name,
            spec.machine.image
        );
        Ok(index)
    });
    let has_schedule = spec.disruption.as_ref().is_some_and(|said| !said.schedule.is_empty());
    ensure!(!has_schedule, "spec.disruption.schedule is not simulated: leave it out");
    ensure!(spec.matching.cores_per_gpu.is_none(), "spec.matching.coresPerGPU is not simulated: leave it out");
    ensure!(spec.machine.gpu_image.is_none(), "spec.machine.gpuImage is not simulated: leave it out");
    let purchase =
        if spec.machine.purchase.is_empty() { vec![Purchase::OnDemand] } else { spec.machine.purchase.clone() };
    Ok(model::Pool {
        ce: spec.matching.ce.clone().unwrap_or_else(|| format!("{name}.simulated.dirac-operator")),
        name,
        site: site.spec.dirac_name.clone(),
        site_limits: limits(site.spec.limits.as_ref()),
        vos: vos.collect::<Result<_>>()?,
        clouds: clouds.collect::<Result<_>>()?,
        flavors: spec.machine.flavors.clone(),
        requirements: spec.machine.requirements.clone(),
        purchase,
        image: spec.machine.image.clone(),
        disruption: spec.disruption.clone(),
        cpu_time: spec.matching.max_cpu_time.as_secs(),
        tags: spec.matching.tags.clone(),
        required_tags: spec.matching.requires(),
        platform: spec.matching.platform.clone(),
        pin: spec.matching.pin == Pin::MultiCore,
        in_order: spec.strategy == Strategy::InOrder,
        max: u64::try_from(spec.scaling.max).unwrap_or(0),
        borrows: spec.scaling.max > 0 && spec.scaling.borrow == Borrow::WhatIsFree,
        min: u64::try_from(spec.scaling.min).unwrap_or(0),
        spare: u64::try_from(spec.scaling.spare).unwrap_or(0),
        max_wait: spec.scaling.max_wait.map(ms),
        boot_deadline: ms(spec.scaling.boot_deadline),
        idle_timeout: ms(spec.scaling.idle_timeout),
        max_lifetime: ms(spec.scaling.max_lifetime),
    })
}

fn closed(object: &Downtime, objects: &Objects, words: &Scenario, model: &Model) -> Result<Vec<Closed>> {
    let spec = &object.spec;
    let known: BTreeMap<String, &str> =
        objects.clouds.iter().map(|c| (c.name_any(), c.spec.site_ref.name.as_str())).collect();
    if let Some(cloud) = &spec.cloud_ref {
        ensure!(known.contains_key(&cloud.name), "spec.cloudRef: there is no Cloud {:?}", cloud.name);
    }
    let moment =
        |at: jiff::Timestamp| -> Ms { u64::try_from(at.duration_since(words.begins).as_millis()).unwrap_or(0) };
    let is_meant = |c: &Cloud| match &spec.cloud_ref {
        Some(cloud) => cloud.name == c.name_any(),
        None => spec.site_ref.name == c.spec.site_ref.name,
    };
    let clouds: Vec<usize> = (0..objects.clouds.len()).filter(|i| is_meant(&objects.clouds[*i])).collect();
    let buys = |pool: &&model::Pool| pool.clouds.iter().any(|cloud| clouds.contains(cloud));
    let longest = || model.pools.iter().filter(buys).map(|pool| pool.cpu_time * SECOND).max().unwrap_or(0);
    let drain_for = spec.drain_for.map_or_else(longest, ms);
    let all = clouds.iter().map(|cloud| Closed {
        name: object.name_any(),
        cloud: *cloud,
        drains: moment(spec.start).saturating_sub(drain_for),
        from: moment(spec.start),
        until: moment(spec.end),
        keep: match &spec.keep {
            Some(keep) => limits(Some(keep)),
            None => Limits([Some(0); 4]),
        },
    });
    Ok(all.collect())
}
