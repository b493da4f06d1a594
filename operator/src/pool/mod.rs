//! Pools: their references, and what the object says of the last round.

mod resolve;
pub mod status;

pub use resolve::{Resolved, resolve};
