//! What a testbed takes from this machine: packages, the cache, ports, processes, time to wait, and what the person at it asked for.

pub mod apt;
pub mod cache;
pub mod choice;
pub mod forwarder;
pub mod port;
pub mod process;
pub mod say;
pub mod until;
