//! Log lines: for people or for machines, chosen with RUST_LOG.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use crate::args::LogFormat;

/// What is logged when RUST_LOG says nothing.
const DEFAULT: &str = "info";
/// Libraries that chatter, or whose lower levels print requests and answers: these hold whatever RUST_LOG says.
const ALWAYS: [&str; 8] = [
    "kube_runtime=warn",
    "kube_lease_manager=warn",
    "openstack_sdk_core=info",
    "openstack_sdk_auth_core=info",
    "reqwest=info",
    "hyper=info",
    "hyper_util=info",
    "h2=info",
];

/// Starts logging to standard error.
pub fn start(format: LogFormat) {
    let wanted = std::env::var(EnvFilter::DEFAULT_ENV).ok();
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter(wanted.as_deref()))
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    match format {
        LogFormat::Json => lines.json().init(),
        LogFormat::Human => lines.with_target(false).init(),
    }
}

/// The filter for what RUST_LOG says; nonsense is as good as nothing.
fn filter(wanted: Option<&str>) -> EnvFilter {
    let filter = wanted.filter(|w| !w.is_empty()).and_then(|w| EnvFilter::try_new(w).ok());
    let always = ALWAYS.iter().filter_map(|directive| directive.parse().ok());
    always.fold(filter.unwrap_or_else(|| EnvFilter::new(DEFAULT)), EnvFilter::add_directive)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_that_print_answers_are_quiet_at_every_level() {
        for wanted in [None, Some(""), Some("trace"), Some("debug,openstack_sdk_core=trace"), Some("=,=")] {
            let directives = filter(wanted).to_string();
            for quiet in ALWAYS {
                assert!(directives.split(',').any(|d| d == quiet), "{wanted:?}: {directives}");
            }
        }
        assert!(filter(Some("debug")).to_string().split(',').any(|d| d == "debug"));
    }
}
