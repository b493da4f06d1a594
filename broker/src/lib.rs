//! Decides and buys: demand sources, the ledger and the plan (pure), cloud drivers, and what a pilot needs to exist.
//!
//! Nothing here knows Kubernetes. `demand`, `cloud` and `pilot` have the edges that talk to the world, each behind a trait;
//! `ledger` and `plan` are pure: no async, no client, no clock of their own.

pub mod clock;
pub mod cloud;
pub mod demand;
pub mod ledger;
pub mod pilot;
pub mod plan;
pub mod simulation;
