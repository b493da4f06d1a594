//! The custom resources of dirac-operator, group `diracgrid.org`, version `v1alpha1`: one kind a file, and the words they share.
//!
//! No client and no runtime lives here: types, their schema and their validation rules. `src/main.rs` prints the YAML.

#![allow(clippy::duplicated_attributes, reason = "each printcolumn(..) of kube's derive repeats its keys")]

pub mod annotation;
pub mod cloud;
pub mod condition;
pub mod disruption;
pub mod downtime;
pub mod duration;
pub mod ec2;
pub mod flavor;
pub mod generate;
pub mod installation;
pub mod lost;
pub mod managed;
pub mod money;
pub mod openstack;
pub mod organization;
pub mod page;
pub mod pool;
pub mod purchase;
pub mod quantity;
pub mod reason;
pub mod reference;
pub mod requirements;
pub mod restraint;
pub mod rule;
pub mod simulated;
pub mod site;
mod text;
pub mod unmet;
pub mod vm;
mod word;

pub use cloud::Cloud;
pub use condition::ConditionType;
pub use downtime::Downtime;
pub use duration::Duration;
pub use installation::DiracInstallation;
pub use money::Price;
pub use organization::VirtualOrganization;
pub use pool::PilotPool;
pub use reason::Reason;
pub use reference::{LocalRef, SecretRef};
pub use site::Site;
pub use vm::PilotVM;

/// The API group of every kind.
pub const GROUP: &str = "diracgrid.org";
/// The one served and stored version.
pub const VERSION: &str = "v1alpha1";
