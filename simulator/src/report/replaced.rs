//! What became of VMs whose image was replaced.

use serde::Serialize;

use super::text::time;
use crate::{
    time::{Ms, ms},
    world::World,
};

/// A moment when a name came to mean a new image, and the VMs that were there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Replaced {
    /// The image, and where.
    pub image: String,
    /// Seconds from the beginning of the scenario.
    pub at: u64,
    /// VMs that had the old one.
    pub vms: u64,
    /// How many of these were there at the end.
    pub left: u64,
    /// Seconds from then until the last of the others was gone.
    pub took: u64,
}

impl Replaced {
    /// All such moments of a run.
    pub fn of(world: &World<'_>) -> Vec<Self> {
        let model = &world.loaded.model;
        let clouds = model.clouds.iter().enumerate();
        let moments = clouds.flat_map(|(cloud, of)| of.behaviour.new_images.iter().map(move |new| (cloud, of, new)));
        moments
            .map(|(cloud, of, new)| {
                let at = ms(new.at);
                let its = world.vms.iter().filter(|vm| {
                    let order = vm.order;
                    order.offer.cloud == cloud && model.pools[order.pool].image == new.image
                });
                let there =
                    its.filter(|vm| vm.born.is_some_and(|born| born < at) && vm.gone.is_none_or(|gone| gone > at));
                let gone: Vec<Option<Ms>> = there.map(|vm| vm.gone).collect();
                let count = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
                Self {
                    image: format!("{} of cloud {}", new.image, of.name),
                    at: at / 1_000,
                    vms: count(gone.len()),
                    left: count(gone.iter().filter(|gone| gone.is_none()).count()),
                    took: gone.iter().flatten().max().map_or(0, |last| (last - at) / 1_000),
                }
            })
            .collect()
    }

    /// The sentence.
    pub fn sentence(&self) -> String {
        let Self { image, at, vms, left, took } = self;
        let all = if *left == 0 {
            "the last was".to_owned()
        } else {
            format!("{left} were left at the end, the last other one was")
        };
        format!(
            "image {image} was replaced after {}: of the {vms} VMs with the old one {all} gone {} later",
            time(*at),
            time(*took)
        )
    }
}
