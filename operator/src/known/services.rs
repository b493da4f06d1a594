//! What is known of a managed installation: its parts, and the way to it.

use std::net::IpAddr;

use crds::{installation::External, managed::Part};

use crate::trouble::Trouble;

/// What is said while nothing was seen.
pub const NOT_LOOKED_AT: &str = "the parts of the installation have not been looked at yet";

/// What was seen the last time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Services {
    pub parts: Vec<Part>,
    /// What is not as it should be; `None`: every part runs.
    pub lacks: Option<Trouble>,
    /// The address to show.
    pub address: Option<String>,
    /// How its services are called, once they can be.
    pub way: Option<Way>,
}

/// How a managed installation is called: as an external one would be, at this address whatever its host's name stands for elsewhere.
#[derive(Clone, Debug, PartialEq)]
pub struct Way {
    pub external: External,
    pub at: IpAddr,
}
