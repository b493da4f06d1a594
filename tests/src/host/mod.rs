//! What a testbed takes from this machine: packages, the cache, ports, processes, time to wait, and what the person at it asked for.

pub mod apt;
pub mod cache;
pub mod choice;
pub mod forwarder;
pub mod port;
pub mod process;
pub mod say;
pub mod until;

use std::path::{Path, PathBuf};

/// The folder of the repository.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map(Path::to_owned).unwrap_or_default()
}
