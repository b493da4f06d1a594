//! The real systems that tests, the demo and `cargo xtask testbed` start on this machine, each as one handle.
//!
//! Start gives a handle that says how to reach the system and keeps its logs; dropping it stops everything it started.
//! Several stand side by side on free ports. No system service is touched, and nothing is written outside the state folder
//! and the user's cache. Go's module cache (`~/go`, or where `GOMODCACHE` says) and pip's count as the user's cache: who builds with
//! them already has most of it there.

pub mod host;
pub mod pages;
pub mod real;
pub mod systems;
