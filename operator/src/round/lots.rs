//! The lots of a round's VMs: what boots in a pool is put into words once, and not for each of its VMs. Pure.

use std::{collections::HashMap, sync::Arc};

use broker::experience::Lot;
use crds::{PilotPool, PilotVM};

use super::world::{CloudView, World};
use crate::known::lots::{booted, boots, lot};

/// Cloud, pool and image, by name; and what is written down of the VM's image and user-data.
type Place<'a> = (&'a str, &'a str, &'a str, Option<&'a str>, Option<&'a str>);

/// The lots of a world's VMs.
pub struct Lots<'a> {
    pools: HashMap<&'a str, &'a PilotPool>,
    images: HashMap<Place<'a>, Arc<str>>,
}

impl<'a> Lots<'a> {
    pub fn of(world: &'a World) -> Self {
        let name = |pool: &'a Arc<PilotPool>| Some((pool.metadata.name.as_deref()?, pool.as_ref()));
        Self { pools: world.pools.iter().filter_map(name).collect(), images: HashMap::new() }
    }

    /// The pool of a VM; it may be gone.
    pub fn pool(&self, vm: &PilotVM) -> Option<&'a PilotPool> {
        self.pools.get(vm.spec.pool_ref.name.as_str()).copied()
    }

    /// What boots in VMs that this pool buys from this cloud now; `None`: the cloud is gone.
    pub fn boots(&mut self, pool: &'a PilotPool, view: Option<&'a CloudView>) -> Vec<Arc<str>> {
        let cloud = view.and_then(|view| view.object.metadata.name.as_deref()).unwrap_or_default();
        let name = pool.metadata.name.as_deref().unwrap_or_default();
        let offers = view.and_then(|view| view.offers.as_deref());
        let mut boots = |image| {
            let place = (cloud, name, image, None, None);
            self.images.entry(place).or_insert_with(|| boots(image, Some(pool), offers)).clone()
        };
        pool.spec.machine.images().map(&mut boots).collect()
    }

    /// The lot of a VM; `view` is its cloud, `None`: it is gone.
    pub fn lot(&mut self, vm: &'a PilotVM, view: Option<&CloudView>) -> Lot {
        let (pool, spec) = (self.pool(vm), &vm.spec);
        let attempt = vm.status.as_ref().and_then(|status| status.attempt.as_ref());
        let place = (
            spec.cloud_ref.name.as_str(),
            spec.pool_ref.name.as_str(),
            spec.image.as_str(),
            attempt.and_then(|attempt| attempt.image_id.as_deref()),
            attempt.and_then(|attempt| attempt.user_data_hash.as_deref()),
        );
        let offers = view.and_then(|view| view.offers.as_deref());
        let image = self.images.entry(place).or_insert_with(|| booted(vm, pool, offers));
        lot(vm, image.clone())
    }
}
