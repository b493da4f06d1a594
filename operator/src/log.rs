//! Log lines: for people or for machines, chosen with RUST_LOG.

use std::io::IsTerminal;

use tracing_subscriber::{
    EnvFilter,
    filter::{LevelFilter, Targets},
    layer::SubscriberExt,
    util::SubscriberInitExt,
};

use crate::args::LogFormat;

/// What is logged when RUST_LOG says nothing.
const DEFAULT: &str = "info";
/// Libraries that chatter, or whose lower levels print requests and answers: these hold whatever RUST_LOG says, of their modules too.
/// kube's client prints at `warn` the whole text of an answer that it cannot read, and that may be a Secret.
/// The verifier of certificates names no cloud; the error of the call does, and says the same.
/// AWS's SDK prints whole requests with their signature and session token, and answers: all of its crates begin so.
const AT_MOST: [(&str, LevelFilter); 10] = [
    ("kube_client", LevelFilter::ERROR),
    ("kube_runtime", LevelFilter::WARN),
    ("openstack_sdk_core", LevelFilter::INFO),
    ("openstack_sdk_auth_core", LevelFilter::INFO),
    ("aws_", LevelFilter::INFO),
    ("reqwest", LevelFilter::INFO),
    ("hyper", LevelFilter::INFO),
    ("hyper_util", LevelFilter::INFO),
    ("h2", LevelFilter::INFO),
    ("rustls_platform_verifier", LevelFilter::OFF),
];

/// Starts logging to standard error.
pub fn start(format: LogFormat) {
    let wanted = std::env::var(EnvFilter::DEFAULT_ENV).ok();
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter(wanted.as_deref()))
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    match format {
        LogFormat::Json => lines.json().finish().with(at_most()).init(),
        LogFormat::Human => lines.with_target(false).finish().with(at_most()).init(),
    }
}

/// The filter for what RUST_LOG says; nonsense is as good as nothing.
fn filter(wanted: Option<&str>) -> EnvFilter {
    let filter = wanted.filter(|w| !w.is_empty()).and_then(|w| EnvFilter::try_new(w).ok());
    filter.unwrap_or_else(|| EnvFilter::new(DEFAULT))
}

/// A second filter, through which everything must pass too.
fn at_most() -> Targets {
    Targets::new().with_default(LevelFilter::TRACE).with_targets(AT_MOST)
}

#[cfg(test)]
mod tests {
    use std::{
        io::{self, Write},
        sync::{Arc, Mutex},
    };

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// What is logged where RUST_LOG says `wanted`.
    fn logged(wanted: &str) -> String {
        let lines = Lines::default();
        let writer = lines.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_env_filter(filter(Some(wanted)))
            .with_writer(move || writer.clone())
            .finish();
        tracing::subscriber::with_default(subscriber.with(at_most()), || {
            tracing::warn!(target: "kube_client::client", "{{\"data\": \"c2VjcmV0\"}}, missing field");
            tracing::debug!(target: "openstack_sdk_core::api", "the body");
            tracing::trace!(target: "aws_smithy_runtime::client::orchestrator", "x-amz-security-token");
            tracing::error!(target: "rustls_platform_verifier::verification", "failed to verify TLS certificate");
            tracing::info!(target: "dirac_operator", "planned");
        });
        let bytes = lines.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn an_answer_that_cannot_be_read_is_printed_at_no_level() {
        let particular =
            "info,kube_client::client=trace,openstack_sdk_core::api=trace,aws_smithy_runtime::client=trace";
        for wanted in ["info", "trace", "kube_client=trace", particular] {
            let log = logged(wanted);
            assert!(
                !["c2VjcmV0", "the body", "security-token", "failed to verify"].iter().any(|text| log.contains(text)),
                "{wanted}: {log}"
            );
        }
        assert!(logged("info").contains("planned"));
        assert!(logged("=,=").contains("planned"), "nonsense is as good as nothing");
        assert!(!logged("error").contains("planned"));
    }
}
