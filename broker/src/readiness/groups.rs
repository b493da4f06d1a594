//! The VOs: each group is DIRAC's and of the VO, and the pilots' group may take jobs of the whole VO, and of no other.

use std::collections::BTreeSet;

use super::{Finding, identity::said, wanted::Vo};
use crate::configuration::cfg::{self, Cfg};

/// The property by which a pilot may take jobs of others of its VO.
const PILOT: &str = "GenericPilot";
/// Where this is set, DIRAC takes every group for one of every VO (`Registry.getGroupsForVO`).
const ONE_VO: &str = "/DIRAC/VirtualOrganization";
/// What a group of pilots has beside the property: with it a pilot gets the job owners' proxies.
const DELEGATION: &str = "LimitedDelegation";

/// Whether each group is as the VOs say.
pub(super) fn check(cfg: &Cfg, vos: &[Vo]) -> Vec<Finding> {
    vos.iter().flat_map(|vo| of_vo(cfg, vo)).chain(separation(cfg)).collect()
}

fn of_vo(cfg: &Cfg, vo: &Vo) -> Vec<Finding> {
    let mut findings = Vec::new();
    for group in &vo.groups {
        let path = format!("/Registry/Groups/{}", group.name);
        let is_of_pilots = group.name == vo.pilot_group;
        let mut wants: Vec<&str> = group.properties.iter().map(String::as_str).collect();
        if is_of_pilots && !wants.contains(&PILOT) {
            wants.push(PILOT);
        }
        if cfg.section(&path).is_none() {
            let mut none = Finding::missing(&path, format!("a group of the VO {}", vo.name), "no such group")
                .set(format!("{path}/VO"), &vo.name);
            if is_of_pilots && !wants.contains(&DELEGATION) {
                wants.push(DELEGATION);
            }
            if !wants.is_empty() {
                none = none.set(format!("{path}/Properties"), wants.join(", "));
            }
            findings.push(none.step(format!("put the group's members into {path}/Users")));
            continue;
        }
        findings.push(vo_of(cfg, &path, &vo.name));
        findings.push(properties(cfg, &path, &wants));
        if is_of_pilots {
            findings.push(members(cfg, &path));
        }
    }
    findings
}

fn vo_of(cfg: &Cfg, path: &str, vo: &str) -> Finding {
    let place = format!("{path}/VO");
    let found = cfg.list(&place);
    if found == [vo] { Finding::met(place, vo) } else { Finding::missing(&place, vo, said(&found)).set(&place, vo) }
}

fn properties(cfg: &Cfg, path: &str, wants: &[&str]) -> Finding {
    let place = format!("{path}/Properties");
    let has = cfg.list(&place);
    let lacks: Vec<&str> = wants.iter().copied().filter(|want| !has.contains(want)).collect();
    let needed = if wants.is_empty() { "any".to_owned() } else { wants.join(", ") };
    if lacks.is_empty() {
        return Finding::met(place, needed);
    }
    Finding::missing(&place, needed, said(&has)).set(&place, cfg::with(&has, lacks))
}

/// A group without members has nobody as whom a pilot could act.
fn members(cfg: &Cfg, path: &str) -> Finding {
    let (place, needed) = (format!("{path}/Users"), "a user as whom the pilots act");
    if cfg.list(&place).is_empty() {
        Finding::missing(&place, needed, "nobody")
            .step(format!("put the user whose credential the pilots have into {place}"))
    } else {
        Finding::met(place, needed)
    }
}

/// Whether a pilot gets jobs of its own VO alone.
fn separation(cfg: &Cfg) -> Option<Finding> {
    let of_all: BTreeSet<&str> = cfg
        .section("/Registry/Groups")
        .into_iter()
        .flat_map(Cfg::sections)
        .filter_map(|(_, group)| group.option("/VO"))
        .filter(|vo| !vo.is_empty())
        .collect();
    let set = cfg.option(ONE_VO).filter(|vo| !vo.is_empty());
    let needed = "nothing, where there are several VOs";
    match set {
        Some(vo) if of_all.len() > 1 => Some(
            Finding::missing(ONE_VO, needed, format!("{vo}: DIRAC gives a pilot the jobs of all VOs"))
                .step(format!("take the option {ONE_VO} out of what the Configuration server serves")),
        ),
        _ if of_all.len() > 1 => Some(Finding::met(ONE_VO, needed)),
        _ => None,
    }
}
