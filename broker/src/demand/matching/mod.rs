//! DIRAC's rules for matching a resource with a task queue, as one pure function.
//!
//! The rules are those of `getMatchingTaskQueues` of DIRAC 9.1.22: `WorkloadManagementSystem/Client/Matcher.py`
//! (`_processResourceDescription`) turns the processors into tags, and `WorkloadManagementSystem/DB/TaskQueueDB.py`
//! (`__generateTQMatchSQL`) writes the SQL. `tests/tests/dirac.rs` compares this function with the real Matcher.

mod collation;
#[cfg(test)]
#[path = "matching_tests.rs"]
mod tests;

use std::collections::BTreeSet;

pub use collation::{key, same};

use super::TaskQueue;

/// What a resource says of itself when it asks for task queues. An empty list means that the field is absent.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Resource {
    /// DIRAC names of its sites, for example `CLOUD.CPPM.fr`; a pilot has one.
    pub site: Vec<String>,
    /// DIRAC names of its computing elements (CEs).
    pub grid_ce: Vec<String>,
    /// DIRAC platforms that it has.
    pub platform: Vec<String>,
    /// Types of jobs that it takes.
    pub job_type: Vec<String>,
    /// CPU time offered, in normalised seconds.
    pub cpu_time: u64,
    /// Tags that it offers. `None` and an empty list differ: at `None` DIRAC ignores `required_tag`.
    pub tag: Option<Vec<String>>,
    /// Tags that a job must have. The resource must offer each of them too.
    pub required_tag: Vec<String>,
    /// Cores; 0: not said.
    pub number_of_processors: u32,
    /// Whether a job may have the whole resource.
    pub whole_node: bool,
    /// Memory in MB; `None`: not said.
    pub max_ram_mb: Option<u64>,
    /// DIRAC groups whose jobs are wanted.
    pub owner_group: Vec<String>,
    /// The one user whose jobs are wanted. DIRAC ignores it for groups that have the property JobSharing: leave it out for them. Pilots
    /// of DIRAC 9 name none.
    pub owner: Option<String>,
}

/// Whether jobs of `queue` may run on `resource`.
pub fn matches(queue: &TaskQueue, resource: &Resource) -> bool {
    Prepared::new(resource.clone()).matches(queue)
}

/// A resource, prepared to be compared with many queues.
#[derive(Clone, Debug)]
pub struct Prepared {
    resource: Resource,
    tags: BTreeSet<String>,
    any_tag: bool,
    required: BTreeSet<String>,
}

impl Prepared {
    /// Derives the tags of `resource`. A list with "any" in it is no constraint, and is emptied here.
    pub fn new(mut resource: Resource) -> Self {
        let tags = offered_tags(&resource);
        let r = &mut resource;
        let required = if r.tag.is_some() { std::mem::take(&mut r.required_tag) } else { Vec::new() };
        for list in [&mut r.site, &mut r.grid_ce, &mut r.platform, &mut r.job_type] {
            if says_any(list.iter()) {
                list.clear();
            }
        }
        let required = if says_any(&required) { BTreeSet::new() } else { required.into_iter().collect() };
        Self { any_tag: says_any(&tags), resource, tags, required }
    }

    /// Whether jobs of `queue` may run here.
    pub fn matches(&self, queue: &TaskQueue) -> bool {
        let resource = &self.resource;
        let owner = resource.owner.as_deref().is_none_or(|owner| same(owner, &queue.owner));
        match resource.owner_group.split_last() {
            None => owner && self.serves(queue),
            // DIRAC joins the pairs of owner and group with OR, and all other conditions with AND, without brackets: so the other
            // conditions count for the last pair only.
            Some((last, others)) if resource.owner.is_some() => {
                owner && (has(others, &queue.owner_group) || same(last, &queue.owner_group) && self.serves(queue))
            }
            Some(_) => has(&resource.owner_group, &queue.owner_group) && self.serves(queue),
        }
    }

    /// Whether the queue's jobs may run here, owner and group left aside.
    fn serves(&self, queue: &TaskQueue) -> bool {
        self.is_large_enough(queue) && self.suits(queue)
    }

    /// Whether CPU time and memory are enough for the queue's jobs.
    pub fn is_large_enough(&self, queue: &TaskQueue) -> bool {
        queue.cpu_time <= self.resource.cpu_time && self.resource.max_ram_mb.is_none_or(|ram| ram >= queue.min_ram_mb)
    }

    /// Whether the lists of the queue and the resource agree: tags, sites, CEs, platforms and job types.
    pub fn suits(&self, queue: &TaskQueue) -> bool {
        let resource = &self.resource;
        self.offers(&queue.tags)
            && self.gets_what_it_requires(&queue.tags)
            && allowed(&queue.sites, &resource.site)
            && !banned(&queue.banned_sites, &resource.site)
            && allowed(&queue.grid_ces, &resource.grid_ce)
            && allowed(&queue.platforms, &resource.platform)
            && allowed(&queue.job_types, &resource.job_type)
    }

    /// Every tag of the queue must be offered. An empty tag counts only against a resource that offers some.
    fn offers(&self, wanted: &[String]) -> bool {
        if self.tags.is_empty() {
            wanted.iter().all(|t| same(t, ""))
        } else {
            // Mostly the tags are spelt alike, which is quickly seen; `has` also compares other spellings.
            self.any_tag || wanted.iter().all(|t| self.tags.contains(t) || has(&self.tags, t))
        }
    }

    /// Every tag that the resource requires must be one of the queue's, and must be offered in the same spelling.
    fn gets_what_it_requires(&self, wanted: &[String]) -> bool {
        // DIRAC counts the tags of the queue that are among the required ones. Of two spellings of one tag a queue has only one, so a
        // resource that requires both gets nothing.
        self.required.is_empty()
            || (self.required.is_subset(&self.tags)
                && wanted.iter().filter(|t| has(&self.required, t)).count() == self.required.len())
    }
}

/// The tags that a resource offers, with those DIRAC derives: `1Processors` to `nProcessors`, `MultiProcessor`, `WholeNode`.
pub fn offered_tags(resource: &Resource) -> BTreeSet<String> {
    /// For more processors than this, DIRAC makes no tags of their number.
    const MOST_PROCESSORS: u32 = 1024;
    let mut tags: BTreeSet<String> = resource.tag.iter().flatten().cloned().collect();
    let n = resource.number_of_processors;
    if n <= MOST_PROCESSORS {
        tags.extend((1..=n).map(|i| format!("{i}Processors")));
    }
    if n > 1 {
        tags.insert("MultiProcessor".to_owned());
    }
    if resource.whole_node {
        tags.insert("WholeNode".to_owned());
    }
    tags
}

/// Whether a list has the word "any" in it, in any case and with any punctuation: then it is no constraint
/// (`_lowerAndRemovePunctuation`).
pub fn says_any<'a>(values: impl IntoIterator<Item = &'a String>) -> bool {
    values
        .into_iter()
        .any(|v| v.chars().filter(|c| !c.is_ascii_punctuation()).flat_map(char::to_lowercase).eq("any".chars()))
}

fn has<'a>(values: impl IntoIterator<Item = &'a String>, wanted: &str) -> bool {
    values.into_iter().any(|v| same(v, wanted))
}

/// Whether the queue's list allows one of the resource's values. An empty list, of either of the two, allows everything.
fn allowed(listed: &[String], values: &[String]) -> bool {
    values.is_empty() || listed.is_empty() || values.iter().any(|v| has(listed, v))
}

/// Whether the queue bans the resource. A resource of several sites is banned only if all of them are.
fn banned(listed: &[String], sites: &[String]) -> bool {
    !sites.is_empty() && sites.iter().all(|site| has(listed, site))
}
