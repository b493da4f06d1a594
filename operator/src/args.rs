//! The command line.

use std::{net::SocketAddr, time::Duration};

use broker::address::Policy;
use clap::{ArgAction, Parser, Subcommand, ValueEnum};

use crate::images::Choice;

/// Makes and unmakes VMs that run the pilots of DIRAC, as its task queues ask for.
#[derive(Debug, Parser)]
#[command(name = "dirac-operator", version)]
pub struct Args {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Runs the operator until it is told to stop.
    Run(Run),
    /// Says whether DIRAC knows what pilots need, and prints the lines to add to its configuration. Only reads. Exit code 0: it knows
    /// everything; 1: something lacks; 2: it could not be known.
    Check(Check),
    /// Says whether the operator can do its work in this cluster: its rights, the kinds, and whether one leads. Only reads. Exit code 0: it
    /// can; 1: it cannot, or it could not be known.
    Verify(Verify),
}

/// Which operator it is: its Lease, what it looks after, and its id.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Release {
    /// Namespace of the leader's Lease.
    #[arg(long, env = "DIRAC_OPERATOR_NAMESPACE", default_value = "default")]
    pub namespace: String,
    /// Name of the leader's Lease. Two releases in one namespace need two. Only operators that share a Lease know of each other: no two
    /// releases may look after the same namespace.
    #[arg(long, env = "DIRAC_OPERATOR_LEASE_NAME", default_value = "dirac-operator")]
    pub lease_name: String,
    /// Namespace whose objects are looked after; may be repeated. None: all namespaces.
    #[arg(long = "watch-namespace", env = "DIRAC_OPERATOR_WATCH_NAMESPACES", value_delimiter = ',')]
    pub watch_namespaces: Vec<String>,
    /// What every VM is tagged with, so that nobody else's is ever touched. Nothing: the UID of the namespace kube-system, which the
    /// operator must then be able to read. A copy of a cluster keeps that UID, and each of the two would delete the other's VMs: give one of
    /// them another id.
    #[arg(long, env = "DIRAC_OPERATOR_CLUSTER_ID", value_parser = cluster_id)]
    pub cluster_id: Option<String>,
}

/// What is verified.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Verify {
    /// The operator that is to work.
    #[command(flatten)]
    pub release: Release,
    /// Name of a Secret that it must be able to have; may be repeated. None: every Secret.
    #[arg(long = "secret-name")]
    pub secret_names: Vec<String>,
}

/// What is checked.
#[derive(Clone, Debug, clap::Args)]
pub struct Check {
    /// Namespace of the DiracInstallation. Nothing: that of the kubeconfig.
    #[arg(long, short)]
    pub namespace: Option<String>,
    /// Name of the DiracInstallation. Nothing: all of the namespace.
    #[arg(long)]
    pub installation: Option<String>,
}

/// How the operator runs.
#[derive(Clone, Debug, clap::Args)]
pub struct Run {
    /// Which one it is.
    #[command(flatten)]
    pub release: Release,
    /// Address of health, readiness and metrics.
    #[arg(long, env = "DIRAC_OPERATOR_HTTP", default_value = "127.0.0.1:8080")]
    pub http: SocketAddr,
    /// Form of the log lines. What is logged is chosen with RUST_LOG.
    #[arg(long, env = "DIRAC_OPERATOR_LOG_FORMAT", value_enum, default_value_t = LogFormat::Human)]
    pub log_format: LogFormat,
    /// Whether to wait for the Lease before acting. `false` is for one replica alone: two that act at once may make twin VMs.
    #[arg(long, env = "DIRAC_OPERATOR_LEADER_ELECT", action = ArgAction::Set, num_args = 0..=1, require_equals = true,
          default_value_t = true, default_missing_value = "true")]
    pub leader_elect: bool,
    /// Time between two lists of a cloud's VMs, in seconds, while nothing boots or ends.
    #[arg(long, env = "DIRAC_OPERATOR_LIST_INTERVAL", value_parser = seconds, default_value = "30")]
    pub list_interval: Duration,
    /// Time between two lists of a cloud's VMs, in seconds, while a VM boots or ends.
    #[arg(long, env = "DIRAC_OPERATOR_BUSY_INTERVAL", value_parser = seconds, default_value = "5")]
    pub busy_interval: Duration,
    /// Time between two readings of the pilots' rows, in seconds, while nothing boots.
    #[arg(long, env = "DIRAC_OPERATOR_ROWS_INTERVAL", value_parser = seconds, default_value = "20")]
    pub rows_interval: Duration,
    /// Time between two readings of a cloud's quota and Secrets, in seconds. Its flavors, zones and images are read each fifteenth time.
    #[arg(long, env = "DIRAC_OPERATOR_CATALOGUE_INTERVAL", value_parser = seconds, default_value = "60")]
    pub catalogue_interval: Duration,
    /// Age, in seconds, from which a VM that carries our tag and has no PilotVM is deleted.
    #[arg(long, env = "DIRAC_OPERATOR_ORPHAN_AGE", value_parser = seconds, default_value = "120")]
    pub orphan_age: Duration,
    /// Clouds may be asked over http, where anyone on the way reads the credential.
    #[arg(long, env = "DIRAC_OPERATOR_ALLOW_HTTP")]
    pub allow_http: bool,
    /// Clouds and DIRAC services may have private and loopback addresses. Link-local ones and metadata services are refused in any case.
    #[arg(long, env = "DIRAC_OPERATOR_ALLOW_PRIVATE_ADDRESSES")]
    pub allow_private_addresses: bool,
    /// Clouds may be entered with the rights that the operator's own pod has at AWS. Everybody who may write a Cloud may then use them.
    #[arg(long, env = "DIRAC_OPERATOR_POD_ROLE")]
    pub pod_role: bool,
    /// Installations that say `managed` are run: the operator then makes Deployments, StatefulSets, Jobs, Services and Secrets beside them.
    #[arg(long, env = "DIRAC_OPERATOR_MANAGED")]
    pub managed: bool,
    /// Image of managed installations, as NAME=REFERENCE, with NAME one of dirac, diracx, mariadb, opensearch, s3 and redis; `{version}` in the
    /// reference stands for the version that the manifest asks for. May be repeated.
    #[arg(long = "image", env = "DIRAC_OPERATOR_IMAGES", value_delimiter = ',')]
    pub images: Vec<Choice>,
}

impl Run {
    /// Which addresses may be asked.
    pub fn addresses(&self) -> Policy {
        Policy { http: self.allow_http, private: self.allow_private_addresses }
    }
}

/// Form of the log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// For people.
    Human,
}

/// A cluster's id is part of a tag at the provider: Nova takes tags of 60 characters, without comma and slash.
fn cluster_id(text: &str) -> Result<String, String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if text.is_empty() || text.len() > 40 || !text.chars().all(fits) {
        return Err(format!(
            "{text:?} cannot be a cluster's id: write 1 to 40 letters, digits, hyphens, dots and underscores"
        ));
    }
    Ok(text.to_owned())
}

fn seconds(text: &str) -> Result<Duration, String> {
    let bad = || format!("{text:?} cannot be read as seconds: write a positive number, for example 5 or 0.5");
    let seconds: f64 = text.trim_end_matches('s').parse().map_err(|_| bad())?;
    let duration = Duration::try_from_secs_f64(seconds).map_err(|_| bad())?;
    if duration.is_zero() { Err(bad()) } else { Ok(duration) }
}

#[cfg(test)]
#[path = "args_page_tests.rs"]
mod page;

#[cfg(test)]
mod tests {
    use super::*;

    fn run(args: &[&str]) -> Run {
        match Args::parse_from(["dirac-operator", "run"].iter().chain(args)).command {
            Command::Run(run) => run,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn without_options_it_watches_everything_and_elects_a_leader() {
        let run = run(&[]);
        assert!(run.release.watch_namespaces.is_empty() && run.leader_elect);
        assert_eq!(run.list_interval, Duration::from_secs(30));
    }

    #[test]
    fn leader_election_is_switched_off_with_an_equals_sign() {
        assert!(!run(&["--leader-elect=false"]).leader_elect);
        assert!(run(&["--leader-elect"]).leader_elect);
    }

    #[test]
    fn a_cluster_id_fits_into_a_tag() {
        assert_eq!(run(&["--cluster-id=lyon.1"]).release.cluster_id.as_deref(), Some("lyon.1"));
        assert!(cluster_id("").is_err() && cluster_id("a,b").is_err() && cluster_id(&"x".repeat(41)).is_err());
    }

    #[test]
    fn http_and_private_addresses_are_allowed_only_when_asked_for() {
        let strict = run(&[]);
        assert!(!strict.allow_http && !strict.allow_private_addresses);
        let open = run(&["--allow-http", "--allow-private-addresses"]);
        assert!(open.allow_http && open.allow_private_addresses);
    }

    #[test]
    fn an_interval_of_zero_is_refused() {
        assert!(seconds("0").is_err());
        assert!(seconds("-1").is_err());
        assert_eq!(seconds("0.5"), Ok(Duration::from_millis(500)));
    }
}
