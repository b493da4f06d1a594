//! One thing that can be bought on one cloud, and a launch of it that is thought of.

use std::sync::Arc;

use super::{job_class::JobClass, snapshot::Offering};

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
