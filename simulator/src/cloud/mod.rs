//! The providers: what they sell, refuse, build, lose and take back.

mod provider;
#[cfg(test)]
#[path = "provider_tests.rs"]
mod tests;

pub use provider::{Answer, Fate, Provider, Scope};
