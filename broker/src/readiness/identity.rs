//! Who we are: our certificate is in DIRAC's registry, and may do what the operator does.

use super::{Finding, wanted::Operator};
use crate::{
    configuration::cfg::{self, Cfg, list},
    demand::Fault,
};

/// DIRAC's name for the group of all hosts.
const HOSTS: &str = "hosts";
/// What a user is called in the lines that register one.
const NEW_USER: &str = "dirac-operator";
/// What the operator calls, and the property without which DIRAC does not allow it unless its configuration says so (`ConfigTemplate.cfg`).
const CALLS: [(&str, &str, &str); 2] =
    [("Matcher", "getActiveTaskQueues", "JobAdministrator"), ("PilotManager", "addPilotReferences", "Operator")];
/// The property without which DIRAC reschedules no job of others. No option of its configuration changes that (`JobPolicy`).
const RESCHEDULES: &str = "JobAdministrator";
/// All of them.
const PROPERTIES: &str = "JobAdministrator, Operator";
/// Words of DIRAC's that let in everybody, or everybody whom the registry has (`AuthManager.authQuery`).
const EVERYBODY: [&str; 3] = ["any", "all", "authenticated"];

/// Whether our certificate is registered, its group is there, and has the properties.
pub(super) fn check(cfg: &Cfg, dn: Option<&str>, operator: &Operator) -> Vec<Finding> {
    let Some(dn) = dn else {
        let why = "the name in the client certificate cannot be read";
        return vec![Finding::unknown("/Registry", "the operator's certificate", why, Some(Fault::BadCredentials))];
    };
    if operator.group == HOSTS { host(cfg, dn, operator) } else { user(cfg, dn, operator) }
}

/// DIRAC lets nobody in with our certificate: it has a place for it to stand in, and more is not known. What stands there already would be
/// lost if whole lists were given.
pub(super) fn refused(dn: &str, operator: &Operator) -> Finding {
    let group = &operator.group;
    let found = "nobody whom DIRAC lets in with it";
    if *group == HOSTS {
        let path = format!("/Registry/Hosts/{}", common_name(dn));
        return Finding::missing("/Registry/Hosts", format!("a host with the DN {dn}"), found)
            .set(format!("{path}/DN"), dn)
            .step(format!("put {PROPERTIES} into {path}/Properties"));
    }
    Finding::missing("/Registry/Users", format!("a user with the DN {dn}, in the group {group}"), found)
        .set(format!("/Registry/Users/{NEW_USER}/DN"), dn)
        .step(format!("put {NEW_USER} into /Registry/Groups/{group}/Users, and {PROPERTIES} into its Properties"))
}

/// The section of `/Registry/Users` or `/Registry/Hosts` that has this DN.
fn named<'a>(cfg: &'a Cfg, of: &str, dn: &str) -> Option<&'a str> {
    let all = cfg.section(of)?.sections();
    all.into_iter()
        .find(|(_, one)| one.option("/DN").is_some_and(|said| said == dn || list(said).contains(&dn)))
        .map(|(name, _)| name)
}

/// The option with the properties of who has this DN in this group, or among the hosts.
pub fn rights(cfg: &Cfg, dn: Option<&str>, group: &str) -> String {
    if group != HOSTS {
        return format!("/Registry/Groups/{group}/Properties");
    }
    let name = dn.map(|dn| named(cfg, "/Registry/Hosts", dn).unwrap_or_else(|| common_name(dn)));
    format!("/Registry/Hosts/{}/Properties", name.unwrap_or(NEW_USER))
}

fn host(cfg: &Cfg, dn: &str, operator: &Operator) -> Vec<Finding> {
    const OF: &str = "/Registry/Hosts";
    let needed = format!("a host with the DN {dn}");
    let Some(name) = named(cfg, OF, dn) else {
        let path = format!("{OF}/{}", common_name(dn));
        return vec![
            Finding::missing(&path, needed, "no host with it")
                .set(format!("{path}/DN"), with(cfg, &format!("{path}/DN"), dn))
                .set(format!("{path}/Properties"), with(cfg, &format!("{path}/Properties"), PROPERTIES)),
        ];
    };
    let path = format!("{OF}/{name}");
    vec![Finding::met(&path, needed), properties(cfg, &path, operator)]
}

fn user(cfg: &Cfg, dn: &str, operator: &Operator) -> Vec<Finding> {
    let group = operator.group.as_str();
    const OF: &str = "/Registry/Users";
    let path = format!("/Registry/Groups/{group}");
    let needed = format!("a user with the DN {dn}");
    let found = named(cfg, OF, dn);
    let name = found.unwrap_or(NEW_USER);
    let registered = match found {
        Some(name) => suspended(cfg, name, group).unwrap_or_else(|| Finding::met(format!("{OF}/{name}"), needed)),
        None => Finding::missing(format!("{OF}/{NEW_USER}"), needed, "no user with it")
            .set(format!("{OF}/{NEW_USER}/DN"), with(cfg, &format!("{OF}/{NEW_USER}/DN"), dn)),
    };
    let member = format!("the operator's user {name} in its Users");
    if cfg.section(&path).is_none() {
        let none = Finding::missing(&path, format!("the operator's group, with {member}"), "no such group")
            .set(format!("{path}/Users"), name)
            .set(format!("{path}/Properties"), PROPERTIES);
        return vec![registered, none];
    }
    let users = cfg.list(&format!("{path}/Users"));
    let place = format!("{path}/Users");
    let joined = if users.contains(&name) {
        Finding::met(place, member)
    } else {
        let all: Vec<&str> = users.iter().copied().chain([name]).collect();
        Finding::missing(&place, member, said(&users)).set(&place, all.join(", "))
    };
    vec![registered, joined, properties(cfg, &path, operator)]
}

/// A user that is suspended for the group's VO is let in nowhere.
fn suspended(cfg: &Cfg, user: &str, group: &str) -> Option<Finding> {
    let (place, vo) =
        (format!("/Registry/Users/{user}/Suspended"), cfg.option(&format!("/Registry/Groups/{group}/VO"))?);
    let suspended = cfg.list(&place);
    suspended.contains(&vo).then(|| {
        Finding::missing(&place, format!("the user {user} is not suspended for {vo}"), said(&suspended))
            .step(format!("take {vo} out of {place}, or give the operator another user"))
    })
}

/// The properties of a group or a host.
fn properties(cfg: &Cfg, of: &str, operator: &Operator) -> Finding {
    let place = format!("{of}/Properties");
    let has = cfg.list(&place);
    let mut lacks: Vec<&str> = CALLS.iter().filter_map(|call| lacking(cfg, &has, *call)).collect();
    if operator.gives_back && !has.contains(&RESCHEDULES) && !lacks.contains(&RESCHEDULES) {
        lacks.push(RESCHEDULES);
    }
    let needed = PROPERTIES;
    if lacks.is_empty() {
        return Finding::met(place, needed);
    }
    Finding::missing(&place, needed, said(&has)).set(&place, cfg::with(&has, lacks))
}

/// The property without which this call is refused to who has these; `None`: it is allowed. DIRAC asks for what the configuration says of
/// the method, or else of all of the service's methods; one of the properties is enough.
fn lacking<'a>(cfg: &'a Cfg, has: &[&str], (service, method, usual): (&str, &str, &'a str)) -> Option<&'a str> {
    let rules = format!("/Systems/WorkloadManagement/Services/{service}/Authorization");
    let of_method = cfg.list(&format!("{rules}/{method}"));
    let asked = if of_method.is_empty() { cfg.list(&format!("{rules}/Default")) } else { of_method };
    let asked = if asked.is_empty() { vec![usual] } else { asked };
    let enough = |word: &&str| EVERYBODY.contains(&word.to_lowercase().as_str()) || has.contains(word);
    if asked.iter().any(enough) {
        return None;
    }
    if asked.contains(&usual) { Some(usual) } else { asked.first().copied() }
}

/// The last common name of a DN, by which a host is called.
fn common_name(dn: &str) -> &str {
    dn.rsplit_once("/CN=").map_or(NEW_USER, |(_, name)| name.trim_start_matches("host/"))
}

/// What stands at this path, and this.
fn with(cfg: &Cfg, path: &str, more: &str) -> String {
    cfg::with(&cfg.list(path), list(more))
}

/// What is there, in words.
pub(super) fn said(values: &[&str]) -> String {
    if values.is_empty() { "nothing".to_owned() } else { values.join(", ") }
}
