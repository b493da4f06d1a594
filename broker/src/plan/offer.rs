//! One thing that can be bought on one cloud, and a launch of it that is thought of.

use std::sync::Arc;

use super::{
    job_class::JobClass,
    snapshot::{Offering, Requirements},
};

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
    /// Whether an offering lies within these bounds. A model that is not known is none of those that are named.
    pub fn accept(&self, offering: &Offering) -> bool {
        let within =
            |(min, max): (Option<u64>, Option<u64>), n: u64| min.is_none_or(|m| n >= m) && max.is_none_or(|m| n <= m);
        let model = self.gpu_models.is_empty()
            || offering.gpu_model.as_ref().is_some_and(|m| self.gpu_models.iter().any(|n| n.eq_ignore_ascii_case(m)));
        // GiB for a core, rounded down: a flavor with 15.9 GiB and 8 cores has less than 2, which counts as 1.
        let ram = offering.ram_mib / 1024 / offering.cores.max(1);
        within(self.cores, offering.cores)
            && within(self.gpus, offering.gpus)
            && model
            && within(self.ram_gib_per_core, ram)
    }
}
