//! What a simulated cloud is: its flavors, zones, images and quota, and what goes wrong there.

use std::{collections::BTreeMap, sync::Arc};

use super::faults::Faults;
use crate::{
    cloud::{Flavor, Gpu, Image, Offer, Offers, Purchase, Wanted},
    plan::Limits,
};

/// The class of quota of flavors that name none.
pub const CLASS: &str = "simulated";

/// A size of VM that a simulated cloud sells.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SimulatedFlavor {
    /// The name by which orders and pools know it.
    pub name: String,
    /// Cores of a VM.
    pub cores: u32,
    /// Memory of a VM in MiB.
    pub ram_mib: u64,
    /// GPUs of a VM.
    pub gpus: u32,
    /// Model of the GPUs; `None`: no pool that asks for a model takes the flavor.
    pub gpu_model: Option<String>,
    /// Memory of one GPU in MiB, or of the part that a VM has, where known.
    pub gpu_memory_mib: Option<u64>,
    /// How many VMs divide one GPU; 0 or 1: a VM has whole ones.
    pub gpu_shares: u64,
    /// Price of an hour in millionths.
    pub price_micros: Option<u64>,
    /// The class of quota that it counts against; `None`: the one of all flavors that name none.
    pub quota_class: Option<String>,
    /// How it is sold as Spot, beside on demand; `None`: it is not.
    pub spot: Option<SimulatedSpot>,
}

/// How a flavor is sold as Spot.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct SimulatedSpot {
    /// Price of an hour in millionths.
    pub price_micros: Option<u64>,
    /// How likely the provider takes a VM back in each hour, 0 to 1.
    pub reclaim: f64,
}

impl SimulatedFlavor {
    fn gpu(&self) -> Option<Gpu> {
        let whole = Gpu::whole(self.gpus, self.gpu_model.clone())?;
        let thousandths = whole.thousandths.div_ceil(self.gpu_shares.max(1));
        Some(Gpu { thousandths, memory_mib: self.gpu_memory_mib, ..whole })
    }

    pub(super) fn class(&self) -> &str {
        self.quota_class.as_deref().unwrap_or(CLASS)
    }
}

/// All that is set of a simulated cloud.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CloudConfig {
    /// Seed of the faults. It counts when the cloud is made, not when it is changed.
    pub seed: u64,
    /// The flavors that it sells; its VMs share them.
    pub flavors: Vec<Arc<SimulatedFlavor>>,
    /// Availability zones; none: orders name none.
    pub zones: Vec<String>,
    /// How many VMs of a flavor fit at once, by the flavor's name; any number of a flavor that is not named.
    pub capacity: BTreeMap<String, u64>,
    /// Images by name, which is also their id; any name is found when this is empty.
    pub images: Vec<String>,
    /// What each class of quota allows; a bound that is absent does not exist.
    pub quota: Limits,
    /// Seconds from the order to the pilot's first request.
    pub boot_seconds: u64,
    /// What goes wrong.
    pub faults: Faults,
}

impl CloudConfig {
    /// The class of quota of the flavor with this name.
    pub(super) fn class(&self, flavor: &str) -> &str {
        self.flavors.iter().find(|f| f.name == flavor).map_or(CLASS, |f| f.class())
    }

    pub(super) fn offers(&self, wanted: &Wanted) -> Offers {
        let zones: Vec<Option<String>> = match self.zones.as_slice() {
            [] => vec![None],
            zones => zones.iter().cloned().map(Some).collect(),
        };
        let mut offers = Offers::default();
        for simulated in &self.flavors {
            let flavor = Flavor {
                name: simulated.name.clone(),
                cores: simulated.cores,
                ram_mib: simulated.ram_mib,
                gpu: simulated.gpu(),
                ..Flavor::default()
            };
            let spot = simulated.spot.map(|spot| (Purchase::Spot, spot.price_micros));
            let mut ways: Vec<_> = [(Purchase::OnDemand, simulated.price_micros)].into_iter().chain(spot).collect();
            ways.retain(|(purchase, _)| wanted.suits(&flavor, *purchase));
            if ways.is_empty() {
                continue;
            }
            offers.offers.extend(zones.iter().flat_map(|zone| ways.iter().map(move |way| (zone, *way))).map(
                |(zone, (purchase, price_micros))| Offer {
                    flavor: flavor.name.clone(),
                    zone: zone.clone(),
                    purchase,
                    price_micros,
                    quota_class: simulated.class().to_owned(),
                },
            ));
            offers.flavors.push(flavor);
        }
        let image = |name: &String| (name.clone(), Image { id: name.clone(), ..Image::default() });
        offers.images = self.images.iter().map(image).collect();
        offers
    }
}
