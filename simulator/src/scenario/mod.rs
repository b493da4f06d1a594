//! A scenario: manifests, the jobs that arrive, how the clouds behave, and what goes wrong. `docs/simulator.md` describes the file.

mod accounts;
mod clouds;
mod manifest;
mod model;
mod offering;
mod read;
mod strict;
#[cfg(test)]
#[path = "scenario_tests.rs"]
mod tests;
mod words;

pub use clouds::{CloudWords, FullWindow};
pub use model::{Budget, Closed, Cloud, Flavor, Limits, Model, Pool, Project, Vo};
pub use offering::{Offer, Size};
pub use read::{Loaded, load, parse};
#[cfg(test)]
pub use tests::small;
pub use words::{Arrivals, DiracWords, Faults, Scenario, SiteDirectorWords};
