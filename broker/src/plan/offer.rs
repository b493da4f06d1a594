//! One thing that can be bought on one cloud, and a launch of it that is thought of.

use std::sync::Arc;

use super::{
    job_class::JobClass,
    snapshot::{Offering, Requirements},
};
use crate::cloud::gpu::is_called;

/// One thing that can be bought on one cloud.
#[derive(Clone, Copy, Debug)]
pub struct Offer<'a> {
    pub cloud: usize,
    pub offering: &'a Arc<Offering>,
}

/// A VM that could be made, before it is decided whether it is.
#[derive(Clone, Copy)]
pub struct Thought<'a> {
    pub pool: usize,
    pub vo: usize,
    /// The class of the jobs; `None`: it is made for none.
    pub class: Option<&'a JobClass>,
    pub offer: Offer<'a>,
    pub number: u32,
}

impl Requirements {
    /// Whether an offering lies within these bounds. A model, a maker or a size of memory that is not known is none of those that are asked
    /// for.
    pub fn accept(&self, offering: &Offering) -> bool {
        let within =
            |(min, max): (Option<u64>, Option<u64>), n: u64| min.is_none_or(|m| n >= m) && max.is_none_or(|m| n <= m);
        let memory = self.gpu_memory_gib == (None, None)
            || offering.gpu_memory_mib.is_some_and(|mib| within(self.gpu_memory_gib, mib / 1024));
        let is_by = |maker: &String| offering.gpu_vendor.as_ref().is_some_and(|has| has.eq_ignore_ascii_case(maker));
        // GiB for a core, rounded down: a flavor with 15.9 GiB and 8 cores has less than 2, which counts as 1.
        let ram = offering.ram_mib / 1024 / offering.cores.max(1);
        within(self.cores, offering.cores)
            && within(self.gpus, offering.gpus)
            && within(self.ram_gib_per_core, ram)
            && (self.gpu_shares || !offering.gpu_share)
            && memory
            && self.gpu_vendor.as_ref().is_none_or(is_by)
            && (self.gpu_models.is_empty() || self.preference(offering) < self.gpu_models.len())
    }

    /// The place of the offering's model among those that are asked for: the smallest is preferred. It is none of them at their number.
    pub fn preference(&self, offering: &Offering) -> usize {
        let is_it = |model: &String| offering.gpu_model.as_ref().is_some_and(|has| is_called(has, model));
        self.gpu_models.iter().position(is_it).unwrap_or(self.gpu_models.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offering(cores: u64, ram_mib: u64) -> Offering {
        Offering { cores, ram_mib, gpus: 1, gpu_model: Some("A100".into()), ..Offering::default() }
    }

    #[test]
    fn a_flavor_is_taken_at_both_ends_of_a_bound_and_not_beyond() {
        type Bound = fn(Option<u64>, Option<u64>) -> Requirements;
        let bounds: [(u64, Bound); 3] = [
            (8, |min, max| Requirements { cores: (min, max), ..Requirements::default() }),
            (2, |min, max| Requirements { ram_gib_per_core: (min, max), ..Requirements::default() }),
            (1, |min, max| Requirements { gpus: (min, max), ..Requirements::default() }),
        ];
        for (n, bound) in bounds {
            let accepts = |min, max| bound(min, max).accept(&offering(8, 16_384));
            assert!(accepts(None, None) && accepts(Some(n), Some(n)), "{n}");
            assert!(!accepts(Some(n + 1), None) && !accepts(None, Some(n - 1)), "{n}");
        }
    }

    #[test]
    fn memory_of_a_core_is_rounded_down_to_whole_gib() {
        let two = Requirements { ram_gib_per_core: (Some(2), None), ..Requirements::default() };
        assert!(!two.accept(&offering(8, 16_383)) && two.accept(&offering(0, 2_048)));
    }

    #[test]
    fn a_model_that_is_not_known_is_none_of_those_that_are_named() {
        let of = |models: &[&str]| Requirements {
            gpu_models: models.iter().map(|model| (*model).to_owned()).collect(),
            ..Requirements::default()
        };
        assert!(of(&["V100", "a100"]).accept(&offering(8, 0)) && !of(&["V100"]).accept(&offering(8, 0)));
        let unknown = Offering { gpu_model: None, ..offering(8, 0) };
        assert!(of(&[]).accept(&unknown) && !of(&["a100"]).accept(&unknown));
    }

    #[test]
    fn memory_and_maker_of_a_gpu_are_bounds_and_what_is_not_known_of_them_fulfils_none() {
        let least = |gib| Requirements { gpu_memory_gib: (Some(gib), None), ..Requirements::default() };
        let l4 = Offering { gpu_memory_mib: Some(22_888), gpu_vendor: Some("NVIDIA".into()), ..offering(8, 0) };
        assert!(least(22).accept(&l4) && !least(23).accept(&l4), "whole GiB, rounded down");
        assert!(!least(0).accept(&offering(8, 0)), "its memory is not known");
        let by = |maker: &str| Requirements { gpu_vendor: Some(maker.into()), ..Requirements::default() };
        assert!(by("nvidia").accept(&l4) && !by("AMD").accept(&l4) && !by("NVIDIA").accept(&offering(8, 0)));
    }

    #[test]
    fn a_part_of_a_gpu_is_none_unless_the_pool_says_that_it_is_enough() {
        let share = Offering { gpu_share: true, ..offering(8, 0) };
        let any = Requirements { gpus: (Some(1), None), ..Requirements::default() };
        assert!(!any.accept(&share) && any.accept(&offering(8, 0)));
        assert!(Requirements { gpu_shares: true, ..any }.accept(&share));
    }
}
