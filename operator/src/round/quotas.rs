//! What is left at the providers: clouds that open one project share it. Pure.

use std::collections::HashMap;

use broker::{
    cloud::{Purchase, QuotaClass},
    plan::{Limits, Quota},
};
use crds::{Cloud, PilotVM};
use kube::ResourceExt;

use super::world::World;
use crate::life::launched;

/// Whether the quota of its cloud, as it was read, counts the VM already.
pub fn is_counted(world: &World, vm: &PilotVM) -> bool {
    let cloud = world.cloud(&vm.spec.cloud_ref.name);
    let read = cloud.and_then(|view| view.headroom.as_ref()).map(|(at, _)| *at);
    matches!((read, launched(vm)), (Some(read), Some(launched)) if read > launched)
}

/// What is on offer: cloud, flavor, zone and way of buying.
pub type Place<'a> = (&'a str, &'a str, Option<&'a str>, Purchase);

/// What is left at the providers. Clouds that open the same project share it.
pub struct Quotas<'a> {
    pub all: Vec<Quota>,
    /// By what is on offer: the index, where a bound is known.
    of: HashMap<Place<'a>, Option<usize>>,
    /// By cloud: the first of its classes.
    first: HashMap<&'a str, usize>,
}

impl<'a> Quotas<'a> {
    pub fn of(world: &'a World) -> Self {
        let mut quotas = Self { all: Vec::new(), of: HashMap::new(), first: HashMap::new() };
        let mut shared: HashMap<(String, &'a str), usize> = HashMap::new();
        for view in &world.clouds {
            let (Some(offers), Some((_, headroom))) = (&view.offers, &view.headroom) else { continue };
            let cloud = view.object.metadata.name.as_deref().unwrap_or_default();
            let project = project(&view.object);
            for class in &headroom.classes {
                let index = *shared.entry((project.clone(), &class.name)).or_insert_with(|| {
                    quotas.all.push(Quota { name: format!("cloud {cloud}"), left: left(class) });
                    quotas.all.len() - 1
                });
                quotas.first.entry(cloud).or_insert(index);
            }
            for offer in &offers.offers {
                let place = quotas.of.entry((cloud, &offer.flavor, offer.zone.as_deref(), offer.purchase)).or_default();
                // Of a class of which the provider says nothing no bound is known.
                let index = shared.get(&(project.clone(), &offer.quota_class));
                *place = index.copied().or(*place);
            }
        }
        quotas
    }

    /// The class of an offer.
    pub fn of_offer(&self, place: Place<'a>) -> Option<usize> {
        self.of.get(&place).copied().flatten()
    }

    /// The class of a VM; one of a flavor that is not on offer any more counts against the first.
    pub fn of_vm(&self, place: Place<'a>) -> Option<usize> {
        match self.of.get(&place) {
            Some(index) => *index,
            None => self.first.get(place.0).copied(),
        }
    }
}

/// The project that a cloud opens, by what tells projects apart; a cloud whose project is not known yet is alone.
fn project(cloud: &Cloud) -> String {
    let project = cloud.status.as_ref().and_then(|status| status.project.as_ref());
    match (&cloud.spec.openstack, project) {
        (Some(openstack), Some(project)) => format!("{} {} {project}", openstack.auth_url, openstack.region),
        _ => format!("cloud {}", cloud.name_any()),
    }
}

fn left(class: &QuotaClass) -> Limits {
    Limits { vms: class.vms_left(), cores: class.cores.left(), ram_mib: class.ram_mib.left(), gpus: class.gpus.left() }
}
