//! DIRAC's rules for matching a resource with a task queue, as one pure function.
//!
//! They are those of `getMatchingTaskQueues` of DIRAC 9.1.22: `WorkloadManagementSystem/Client/Matcher.py`
//! (`_processResourceDescription`) makes tags of the processors, and `WorkloadManagementSystem/DB/TaskQueueDB.py`
//! (`__generateTQMatchSQL`) writes the SQL. `tests/tests/dirac.rs` holds this function against the real Matcher.

mod collation;
#[cfg(test)]
#[path = "matching_tests.rs"]
mod tests;

use std::collections::BTreeSet;

pub use collation::same;

use super::TaskQueue;

/// What a resource says of itself when it asks for task queues. Empty lists are absent fields.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Resource {
    /// DIRAC site.
    pub site: Vec<String>,
    /// Computing element.
    pub grid_ce: Vec<String>,
    /// Platforms.
    pub platform: Vec<String>,
    /// Job types.
    pub job_type: Vec<String>,
    /// CPU time offered, in normalised seconds.
    pub cpu_time: u64,
    /// Tags offered; `None` is not the same as an empty list: without it, required tags are ignored.
    pub tag: Option<Vec<String>>,
    /// Tags a job must have; each must be offered too.
    pub required_tag: Vec<String>,
    /// Cores; 0: not said.
    pub number_of_processors: u32,
    /// Whether the resource gives itself whole.
    pub whole_node: bool,
    /// Memory in MB, where said.
    pub max_ram_mb: Option<u64>,
    /// DIRAC groups whose jobs are wanted.
    pub owner_group: Vec<String>,
    /// The one user whose jobs are wanted. Together with groups that have the property JobSharing DIRAC ignores it: leave it out
    /// for those. Pilots of DIRAC 9 name none.
    pub owner: Option<String>,
}

/// Whether jobs of `queue` may run on `resource`.
pub fn matches(queue: &TaskQueue, resource: &Resource) -> bool {
    Prepared::new(resource.clone()).matches(queue)
}

/// A resource with what follows from it, for comparing it with many queues.
#[derive(Clone, Debug)]
pub struct Prepared {
    resource: Resource,
    tags: BTreeSet<String>,
    any_tag: bool,
    required: BTreeSet<String>,
}

impl Prepared {
    /// Derives the tags of `resource`. Lists with "any" in them are no constraint, and are dropped here.
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
            // DIRAC joins pairs of owner and group with OR, and the rest to them with AND, without brackets: the rest binds the
            // last pair alone.
            Some((last, others)) if resource.owner.is_some() => {
                owner && (has(others, &queue.owner_group) || same(last, &queue.owner_group) && self.serves(queue))
            }
            Some(_) => has(&resource.owner_group, &queue.owner_group) && self.serves(queue),
        }
    }

    /// Whether the queue's jobs may run here, whoever owns them.
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
            // Letter by letter first: tags that are spelt alike need no folding.
            self.any_tag || wanted.iter().all(|t| self.tags.contains(t) || has(&self.tags, t))
        }
    }

    /// Every tag that the resource requires must be one of the queue's. What is required must be offered, letter by letter.
    fn gets_what_it_requires(&self, wanted: &[String]) -> bool {
        // DIRAC counts the queue's tags among the required ones, so two spellings of one tag can never both be there.
        self.required.is_empty()
            || (self.required.is_subset(&self.tags)
                && wanted.iter().filter(|t| has(&self.required, t)).count() == self.required.len())
    }
}

/// The tags that a resource offers, with those DIRAC derives: `1Processors` to `nProcessors`, `MultiProcessor`, `WholeNode`.
pub fn offered_tags(resource: &Resource) -> BTreeSet<String> {
    /// Beyond this, DIRAC writes no tag a core.
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

/// A list with the word "any" in it, however it is written, is no constraint (`_lowerAndRemovePunctuation`).
fn says_any<'a>(values: impl IntoIterator<Item = &'a String>) -> bool {
    values
        .into_iter()
        .any(|v| v.chars().filter(|c| !c.is_ascii_punctuation()).flat_map(char::to_lowercase).eq("any".chars()))
}

fn has<'a>(values: impl IntoIterator<Item = &'a String>, wanted: &str) -> bool {
    values.into_iter().any(|v| same(v, wanted))
}

/// A queue without a list allows everything; one with a list wants one of the resource's values in it.
fn allowed(listed: &[String], values: &[String]) -> bool {
    values.is_empty() || listed.is_empty() || values.iter().any(|v| has(listed, v))
}

/// A resource of several sites is banned only where all of them are.
fn banned(listed: &[String], sites: &[String]) -> bool {
    !sites.is_empty() && sites.iter().all(|site| has(listed, site))
}
