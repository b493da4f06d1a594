//! What DIRAC must know before pilots on our VMs get jobs, held against what it knows: who we are, the VOs' groups, the sites, their
//! computing elements and queues. Pure, apart from the trait by which a DIRAC is looked at. It reads and never writes.
//!
//! What could not be read is unknown, which is never the same as missing.

mod finding;
mod groups;
mod identity;
mod queues;
mod services;
mod sites;
mod wanted;

#[cfg(test)]
mod readiness_tests;

use std::collections::BTreeMap;

use async_trait::async_trait;

use crate::{configuration::Cfg, demand::Fault};

pub use finding::{Finding, State, holds, lines};
pub use identity::rights;
pub use wanted::{Group, Operator, Queue, Site, Size, Vo, Wanted};

/// What a DIRAC says of itself when it is looked at.
#[async_trait]
pub trait Inspect: Send + Sync {
    /// Looks at it.
    async fn inspect(&self) -> Said;
}

/// Why something could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unread {
    /// What went wrong.
    pub fault: Fault,
    /// A sentence that names the address and what to do. Holds no secret.
    pub message: String,
}

/// What a DIRAC said of itself.
#[derive(Clone, Debug)]
pub struct Said {
    /// The name in our certificate, as DIRAC writes it, for example `/C=ch/O=TestGrid/CN=opuser`; `None` where it could not be read.
    pub dn: Option<String>,
    /// The configuration that the Configuration server serves.
    pub configuration: Result<Cfg, Unread>,
    /// The status of each site for all VOs, in which the site mask is: jobs go only to a site that is Active or Degraded.
    pub site_status: Result<BTreeMap<String, String>, Unread>,
    /// Whether each service answers us, by its name in DIRAC, for example `Matcher`.
    pub services: BTreeMap<&'static str, Answer>,
}

/// Whether a service answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It does what we asked for.
    Yes,
    /// It did not do what we asked for.
    No(Unread),
}

/// What of it stands in the configuration by the manifests alone: whoever the operator is, and whatever the services and the site mask say.
pub fn configured(cfg: &Cfg, wanted: &Wanted) -> Vec<Finding> {
    let mut findings = groups::check(cfg, &wanted.vos);
    findings.extend(wanted.sites.iter().map(|site| sites::section(cfg, &site.name)));
    findings.extend(queues::check(cfg, &wanted.queues));
    findings
}

/// Everything that DIRAC must know, each with what was found and what is lacking.
pub fn check(said: &Said, wanted: &Wanted) -> Vec<Finding> {
    let mut findings = services::check(&said.services);
    match &said.configuration {
        Err(unread) => {
            let needed = "DIRAC's configuration, in which the rest stands";
            findings.push(Finding::unknown("/", needed, &unread.message, Some(unread.fault)));
            if unread.fault == Fault::Unauthorized {
                findings.extend(said.dn.as_deref().map(|dn| identity::refused(dn, &wanted.operator)));
            }
        }
        Ok(cfg) => {
            findings.extend(identity::check(cfg, said.dn.as_deref(), &wanted.operator));
            findings.extend(groups::check(cfg, &wanted.vos));
            findings.extend(sites::check(cfg, &said.site_status, &wanted.sites));
            findings.extend(queues::check(cfg, &wanted.queues));
        }
    }
    findings.extend(
        wanted.unknown.iter().map(|(path, why)| Finding::unknown(path, "a queue for each size of VM", why, None)),
    );
    findings
}
