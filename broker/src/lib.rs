//! Decides and buys: demand sources, the plan (pure), cloud drivers, and what a pilot needs to exist.
//!
//! Nothing here knows Kubernetes. `demand`, `cloud` and `pilot` have the edges that talk to the world, each behind a trait;
//! `plan` is pure: no async, no client, no clock of its own.

pub mod address;
pub mod clock;
pub mod cloud;
pub mod demand;
pub mod pilot;
pub mod plan;
pub mod simulation;
