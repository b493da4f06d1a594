//! Decides and buys: demand sources, the plan (pure), cloud drivers, and what a pilot needs to exist.
//!
//! Nothing here knows Kubernetes. `demand`, `cloud` and `pilot` have the edges that talk to the world, each behind a trait;
//! `plan`, `experience` and the check of `readiness` are pure: no async, no client, no clock of their own.

#![cfg_attr(
    test,
    allow(clippy::disallowed_methods, reason = "a test may ask the machine's clock, and its runtime ends its tasks")
)]

pub mod address;
pub mod clock;
pub mod cloud;
pub mod configuration;
pub mod demand;
pub mod experience;
pub mod pilot;
pub mod plan;
pub mod readiness;
pub mod simulation;
