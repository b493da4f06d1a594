//! Whether the jobs of a task queue may run on a resource, as `WorkloadManagementSystem/Client/Matcher.py`
//! (`_processResourceDescription`) and `WorkloadManagementSystem/DB/TaskQueueDB.py` (`__generateTQMatchSQL`) of DIRAC 9.1.22 decide it.
//! The field Owner is left out: no pilot of DIRAC 9 sends it.

use std::collections::BTreeSet;

use super::{
    Definition,
    names::{folded, names, same},
};

/// What a pilot says of itself when it asks for a job. An empty list is a field that is not sent.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Description {
    /// DIRAC names of its sites.
    pub site: Vec<String>,
    /// DIRAC names of its computing elements (CEs).
    pub grid_ce: Vec<String>,
    /// DIRAC platforms that it has.
    pub platform: Vec<String>,
    /// Job types. The Matcher writes "Test" here when the site is banned.
    pub job_type: Vec<String>,
    /// Tags; `None`: not sent.
    pub tags: Option<Vec<String>>,
    /// Tags that jobs must have. They count only where tags are sent.
    pub required_tags: Vec<String>,
    /// Groups whose jobs are wanted: those of the pilot's VO (`Matcher._checkCredentials`).
    pub owner_groups: Vec<String>,
    /// Whether WholeNode is sent.
    pub whole_node: bool,
    /// Free processors; 0: not sent.
    pub processors: u32,
    /// CPU time left, in normalised seconds.
    pub cpu_time: i64,
    /// Free memory in MB; `None`: not sent.
    pub max_ram: Option<u64>,
}

/// Whether jobs of this definition match.
pub fn matches(definition: &Definition, pilot: &Description) -> bool {
    is_large_enough(definition, pilot.cpu_time, pilot.max_ram) && lists_agree(definition, pilot, pilot.processors)
}

/// CPU time and memory: `tq.CPUTime <= %s`, and `ram_req.TQId IS NULL OR %s >= ram_req.MinRAM`.
pub fn is_large_enough(definition: &Definition, cpu_time: i64, max_ram: Option<u64>) -> bool {
    let enough = i64::try_from(definition.cpu_time).is_ok_and(|needed| needed <= cpu_time);
    let has_row = definition.min_ram > 0 || definition.max_ram > 0;
    enough && (!has_row || max_ram.is_none_or(|ram| ram >= definition.min_ram))
}

/// All else: groups, tags, site, CE, platform, job type; with this many free processors.
pub fn lists_agree(definition: &Definition, pilot: &Description, processors: u32) -> bool {
    let group = pilot.owner_groups.is_empty() || names(&pilot.owner_groups, &definition.owner_group);
    group
        && tags_agree(&definition.tags, pilot, processors)
        && field_agrees(&definition.grid_ces, &pilot.grid_ce)
        && field_agrees(&definition.sites, &pilot.site)
        && !is_banned(&definition.banned_sites, &pilot.site)
        && field_agrees(&definition.platforms, &pilot.platform)
        && field_agrees(&definition.job_types, &pilot.job_type)
}

/// `NOT EXISTS (SELECT 1 FROM tq_TQTo<Field>s ...) OR EXISTS (... AND Value = %s)`, unless the field is absent or says "any".
fn field_agrees(wanted: &[String], offered: &[String]) -> bool {
    offered.is_empty() || says_any(offered) || wanted.is_empty() || offered.iter().any(|value| names(wanted, value))
}

/// The banned sites, for a site that is sent and does not say "any". Of several sites it needs one that is not banned.
fn is_banned(banned: &[String], site: &[String]) -> bool {
    !site.is_empty() && !says_any(site) && site.iter().all(|value| names(banned, value))
}

fn tags_agree(wanted: &[String], pilot: &Description, processors: u32) -> bool {
    let offered = offered_tags(pilot, processors);
    // `__generateTagSQLSubCond`: no tag of the queue is missing among those offered.
    let has_all = || {
        let offered: BTreeSet<String> = offered.iter().map(|tag| folded(tag)).collect();
        wanted.iter().all(|tag| offered.contains(&folded(tag)))
    };
    if !says_any(&offered) && !has_all() {
        return false;
    }
    // RequiredTag is read only where Tag is sent (`_processResourceDescription`).
    let required: &[String] = if pilot.tags.is_some() { &pilot.required_tags } else { &[] };
    if required.is_empty() || says_any(required) {
        return true;
    }
    let once: BTreeSet<&String> = required.iter().collect();
    // "Wrong conditions" where one of them is not offered: nothing matches. Python compares letter by letter, the database does not.
    once.iter().all(|tag| offered.contains(*tag))
        && wanted.iter().filter(|tag| once.iter().any(|r| same(r, tag))).count() == once.len()
}

/// Tags with those that the Matcher derives: 1Processors to nProcessors for at most 1024, MultiProcessor, WholeNode.
fn offered_tags(pilot: &Description, processors: u32) -> Vec<String> {
    let mut tags = pilot.tags.clone().unwrap_or_default();
    if processors <= 1_024 {
        tags.extend((1..=processors).map(|n| format!("{n}Processors")));
    }
    if processors > 1 {
        tags.push("MultiProcessor".to_owned());
    }
    if pilot.whole_node {
        tags.push("WholeNode".to_owned());
    }
    tags
}

/// `_lowerAndRemovePunctuation(value) == "any"` for one of the values.
fn says_any(values: &[String]) -> bool {
    let word = |value: &String| value.chars().filter(|c| !c.is_ascii_punctuation()).collect::<String>().to_lowercase();
    values.iter().any(|value| word(value) == "any")
}

#[cfg(test)]
#[path = "matching_tests.rs"]
mod tests;
