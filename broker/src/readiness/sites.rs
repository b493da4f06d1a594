//! The sites: DIRAC's configuration has each, and DIRAC lets jobs go there.

use std::collections::BTreeMap;

use super::{Finding, Unread, wanted::Site};
use crate::configuration::Cfg;

/// Statuses in which a site gets jobs (`SiteStatus.getUsableSites`).
const USABLE: [&str; 2] = ["Active", "Degraded"];

/// Whether each site is in the configuration and in the site mask.
pub(super) fn check(cfg: &Cfg, status: &Result<BTreeMap<String, String>, Unread>, sites: &[Site]) -> Vec<Finding> {
    sites.iter().flat_map(|site| [section(cfg, &site.name), mask(status, &site.name)]).collect()
}

/// Whether this site is in the configuration.
pub(super) fn section(cfg: &Cfg, name: &str) -> Finding {
    let (path, needed) = (Site::path(name), "the site");
    if cfg.section(&path).is_some() {
        return Finding::met(path, needed);
    }
    let short = name.split('.').nth(1).unwrap_or(name);
    Finding::missing(&path, needed, "no such site").set(format!("{path}/Name"), short)
}

fn mask(status: &Result<BTreeMap<String, String>, Unread>, name: &str) -> Finding {
    let place = format!("site mask: {name}");
    let needed = USABLE.join(" or ");
    match status.as_ref().map(|all| all.get(name)) {
        Err(unread) => Finding::unknown(place, needed, &unread.message, Some(unread.fault)),
        Ok(Some(status)) if USABLE.contains(&status.as_str()) => Finding::met(place, needed),
        Ok(Some(status)) => Finding::missing(place, needed, status)
            .step(format!("dirac-admin-allow-site {name} \"VMs of dirac-operator\"")),
        Ok(None) => Finding::missing(place, needed, "no status")
            .step("dirac-rss-sync --init --element Site")
            .step(format!("dirac-admin-allow-site {name} \"VMs of dirac-operator\"")),
    }
}
