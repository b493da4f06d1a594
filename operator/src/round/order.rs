//! The PilotVM object of a launch. Pure.

use broker::plan::Launch;
use crds::{
    Duration, LocalRef, PilotVM, Price,
    vm::{Offering, OtherZone, PilotVMSpec},
};
use jiff::SignedDuration;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;

use super::{lease::jobs_of_class, world::World};
use crate::{
    amounts::whole,
    known::lots::bought,
    names::{Key, VM_FINALIZER, default_ce, labels},
};

/// The PilotVM of a launch; nothing when its VO or site went meanwhile.
pub fn pilot_vm(world: &World, launch: &Launch, name: impl FnOnce(&Key) -> String) -> Option<PilotVM> {
    let pool = world.pool(&launch.pool)?;
    let vo = world.vos.iter().find(|v| v.name_any() == *launch.vo)?;
    let site = world.sites.iter().find(|s| s.name_any() == pool.spec.site_ref.name)?;
    let key = Key::of(pool.as_ref());
    let (matching, scaling) = (&pool.spec.matching, &pool.spec.scaling);
    let until = launch.cut.and_then(|cut| cut.until);
    let spec = PilotVMSpec {
        installation_ref: LocalRef { name: world.installation.name.clone() },
        pool_ref: LocalRef { name: key.name.clone() },
        cloud_ref: LocalRef { name: launch.cloud.to_string() },
        vo: launch.vo.to_string(),
        dirac_vo: vo.spec.dirac_name.clone(),
        group: vo.spec.pilot.group.clone(),
        site: site.spec.dirac_name.clone(),
        ce: matching.ce.clone().unwrap_or_else(|| default_ce(&key)),
        queue: matching.queue.clone().unwrap_or_else(|| launch.offering.flavor.clone()),
        offering: Offering {
            flavor: launch.offering.flavor.clone(),
            zone: launch.offering.zone.clone(),
            purchase: bought(launch.offering.purchase),
            cores: whole(launch.offering.cores),
            ram_mib: whole(launch.offering.ram_mib),
            gpus: whole(launch.offering.gpus),
            gpu_model: launch.offering.gpu_model.clone(),
            cores_per_gpu: matching.cores_per_gpu.filter(|_| launch.offering.gpus > 0),
            per_hour: launch.offering.price_micros.map(Price::from_micros),
            other_zones: launch.others.iter().filter_map(|other| other_zone(other)).collect(),
        },
        image: pool.spec.machine.image_for(whole(launch.offering.gpus)).to_owned(),
        max_cpu_time: launch.cut.map_or(matching.max_cpu_time, |cut| Duration::from_secs(cut.cpu_time)),
        tags: matching.tags.clone(),
        required_tags: matching.requires().into_iter().chain(launch.pin.as_deref().map(str::to_owned)).collect(),
        platform: matching.platform.clone(),
        boot_deadline: scaling.boot_deadline,
        idle_timeout: scaling.idle_timeout,
        max_lifetime: until.map_or(scaling.max_lifetime, |most| scaling.max_lifetime.min(Duration::from_secs(most))),
        until: until
            .and_then(|seconds| world.now.checked_add(SignedDuration::from_secs(whole(seconds))).ok())
            .map(Time),
        for_jobs: launch.lease.iter().filter_map(jobs_of_class).collect(),
        reason: launch.reason.to_string(),
    };
    let mut vm = PilotVM::new(&name(&key), spec);
    vm.metadata.labels = Some(labels(&vm.spec));
    vm.metadata.namespace = Some(key.namespace.clone());
    // The finalizer is on the object from its first moment: no VM can be made for one that may go unnoticed.
    vm.metadata.finalizers = Some(vec![VM_FINALIZER.to_owned()]);
    // No owner: garbage collection would delete the VMs of a deleted pool with their jobs. The pool drains instead.
    Some(vm)
}

/// Another zone that its order may name.
fn other_zone(offering: &broker::plan::Offering) -> Option<OtherZone> {
    Some(OtherZone { zone: offering.zone.clone()?, per_hour: offering.price_micros.map(Price::from_micros) })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use broker::plan::{BEFORE_THE_FIRST_JOB, Cut, Offering};

    use super::{super::snapshot::tests, *};
    use crate::life::before_the_first_job;

    #[test]
    fn a_vm_with_gpus_boots_from_the_image_for_them_and_takes_jobs_with_the_tag() {
        let spec = |gpus: u64, cores_per_gpu: Option<i64>| {
            let world = tests::world(|w| {
                w["pools"][0]["spec"]["machine"]["gpuImage"] = serde_json::json!("cuda");
                w["pools"][0]["spec"]["matching"]["tags"] = serde_json::json!(["GPU"]);
                w["pools"][0]["spec"]["matching"]["coresPerGPU"] = serde_json::json!(cores_per_gpu);
            });
            let offering = Offering { gpus, gpu_model: Some("L4".into()), ..Offering::default() };
            let launch = Launch {
                pool: "cpu".into(),
                cloud: "lyon".into(),
                vo: "biomed".into(),
                offering: Arc::new(offering),
                others: Vec::new(),
                jobs: 0,
                lease: Vec::new(),
                cut: None,
                pin: None,
                reason: "jobs wait".into(),
            };
            pilot_vm(&world, &launch, |_| "cpu-1".to_owned()).unwrap().spec
        };
        let alone = spec(1, None);
        assert_eq!((alone.image.as_str(), alone.required_tags), ("cuda", vec!["GPU".to_owned()]));
        assert_eq!((alone.offering.gpu_model.as_deref(), alone.offering.cores_per_gpu), (Some("L4"), None));
        let beside = spec(1, Some(4));
        assert_eq!((beside.required_tags, beside.offering.cores_per_gpu), (vec![], Some(4)));
        let without = spec(0, Some(4));
        assert_eq!((without.image.as_str(), without.offering.cores_per_gpu), ("default", None));
    }

    #[test]
    fn a_vm_that_is_lent_has_less_cpu_time_and_no_other_end() {
        let world = tests::world(|_| {});
        let spec = |cut| {
            let launch = Launch {
                pool: "cpu".into(),
                cloud: "lyon".into(),
                vo: "biomed".into(),
                offering: Arc::new(Offering::default()),
                others: Vec::new(),
                jobs: 0,
                lease: Vec::new(),
                cut,
                pin: None,
                reason: "jobs wait; it is lent".into(),
            };
            pilot_vm(&world, &launch, |_| "cpu-1".to_owned()).unwrap().spec
        };
        let (whole, lent) = (spec(None), spec(Some(Cut { cpu_time: 26_000, until: None })));
        assert_eq!(lent, PilotVMSpec { max_cpu_time: Duration::from_secs(26_000), ..whole });
        assert_eq!(before_the_first_job(&lent), BEFORE_THE_FIRST_JOB);
        let ends = spec(Some(Cut { cpu_time: 26_000, until: Some(3_600) }));
        assert_eq!((ends.max_lifetime.as_secs(), before_the_first_job(&ends)), (3_600, 0));
    }

    #[test]
    fn a_pilot_vm_says_in_which_other_zones_it_may_be_bought_and_what_it_costs_there() {
        let world = tests::world(|_| {});
        let of = |zone: Option<&str>, price| {
            Arc::new(Offering { zone: zone.map(str::to_owned), price_micros: price, ..Offering::default() })
        };
        let launch = Launch {
            pool: "cpu".into(),
            cloud: "lyon".into(),
            vo: "biomed".into(),
            offering: of(Some("a"), Some(100_000)),
            others: vec![of(Some("b"), Some(110_000)), of(Some("c"), None)],
            jobs: 0,
            lease: Vec::new(),
            cut: None,
            pin: None,
            reason: "jobs wait".into(),
        };
        let offering = pilot_vm(&world, &launch, |_| "cpu-1".to_owned()).unwrap().spec.offering;
        let other =
            |zone: &str, price: Option<u64>| OtherZone { zone: zone.into(), per_hour: price.map(Price::from_micros) };
        assert_eq!(
            (offering.zone.as_deref(), offering.other_zones),
            (Some("a"), vec![other("b", Some(110_000)), other("c", None)])
        );
    }
}
