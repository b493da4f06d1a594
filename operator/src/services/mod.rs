//! Managed installations: a whole DIRAC in pods, from one object.
//!
//! Flow for each, while it is managed and not deleted: 1. keys and a host certificate are made where there are none, and kept; 2.
//! [`render`] says what objects there are, in stages, pure; 3. they are applied stage after stage, each when the one before is ready; 4.
//! what the API server says of them is kept for the status, and the way to the Matcher is told to the installation's source. What is
//! deleted by hand is made again. Garbage collection takes all of it when the object is deleted, apart from volumes and keys, which have
//! no owner.

mod authority;
mod build;
mod catalogue;
mod configuration;
mod encode;
mod keep;
mod keys;
mod names;
mod observe;
mod render;
mod trust;
mod work;

pub use keep::keep;

/// DIRAC's user of the database server.
const DATABASE_USER: &str = "Dirac";
