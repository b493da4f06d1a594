//! Log lines: for people or for machines, chosen with RUST_LOG.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use crate::args::LogFormat;

/// What is logged when RUST_LOG says nothing. Libraries that print requests are kept quiet at every level.
const DEFAULT: &str = "info,kube_runtime=warn,kube_lease_manager=warn";

/// Starts logging to standard error.
pub fn start(format: LogFormat) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(DEFAULT));
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    match format {
        LogFormat::Json => lines.json().init(),
        LogFormat::Human => lines.with_target(false).init(),
    }
}
