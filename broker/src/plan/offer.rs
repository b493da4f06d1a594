//! One thing that can be bought on one cloud, and a launch of it that is thought of.

use std::sync::Arc;

use super::{job_class::JobClass, snapshot::Offering};

/// One thing that can be bought on one cloud.
#[derive(Clone, Copy, Debug)]
pub struct Offer<'a> {
    /// Index of the cloud.
    pub cloud: usize,
    /// What it is.
    pub offering: &'a Arc<Offering>,
}

/// A launch that is thought of.
#[derive(Clone, Copy)]
pub struct Thought<'a> {
    /// Index of the pool.
    pub pool: usize,
    /// Index of the VO.
    pub vo: usize,
    /// The class of the jobs; `None`: it is made for none.
    pub class: Option<&'a JobClass>,
    /// What is bought.
    pub offer: Offer<'a>,
    /// The number of the offer.
    pub number: u32,
}
