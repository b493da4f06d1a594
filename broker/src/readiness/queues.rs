//! The computing elements and queues of which pilots say they are. DIRAC's pilot ends at once where its queue is not in the configuration,
//! and takes cores, memory and CPU time from there, not from the machine.

use std::collections::BTreeSet;

use super::{
    Finding,
    identity::said,
    wanted::{Queue, Size},
};
use crate::configuration::cfg::{Cfg, list, with};

/// The tag with which a pilot takes all cores and all memory of its machine.
const WHOLE_NODE: &str = "WholeNode";
/// Seconds of a unit of `maxCPUTime`.
const MINUTE: u64 = 60;

/// Whether each queue, with its computing element, is as the pools say.
pub(super) fn check(cfg: &Cfg, queues: &[Queue]) -> Vec<Finding> {
    let mut ces = BTreeSet::new();
    let mut findings = Vec::new();
    for queue in queues {
        if ces.insert(queue.ce_path()) {
            findings.push(ce(cfg, &queue.ce_path()));
        }
        findings.extend(of_queue(cfg, queue));
    }
    findings
}

fn ce(cfg: &Cfg, path: &str) -> Finding {
    let needed = "the computing element of the pilots";
    if cfg.section(path).is_some() {
        return Finding::met(path, needed);
    }
    Finding::missing(path, needed, "no such computing element").set(format!("{path}/CEType"), "Cloud")
}

/// What the configuration says of a queue: its own options before those of its computing element, and the tags of both together
/// (`Resources.getQueue`).
struct There<'a> {
    cfg: &'a Cfg,
    queue: String,
    ce: String,
}

impl There<'_> {
    fn option(&self, name: &str) -> Option<&str> {
        let at = |path: &str| self.cfg.option(&format!("{path}/{name}"));
        at(&self.queue).or_else(|| at(&self.ce))
    }

    fn number(&self, name: &str) -> Option<u64> {
        self.option(name)?.parse().ok()
    }

    fn both(&self, name: &str) -> BTreeSet<String> {
        let of = |path: &str| {
            list(self.cfg.option(&format!("{path}/{name}")).unwrap_or_default()).into_iter().map(str::to_owned)
        };
        of(&self.ce).chain(of(&self.queue)).collect()
    }

    /// What stands in the queue, with these that it lacks.
    fn with(&self, name: &str, more: &[&str]) -> String {
        with(&self.cfg.list(&format!("{}/{name}", self.queue)), more.iter().copied())
    }
}

fn of_queue(cfg: &Cfg, queue: &Queue) -> Vec<Finding> {
    let there = There { cfg, queue: queue.path(), ce: queue.ce_path() };
    let path = &there.queue;
    let options =
        [size(&there, &queue.sizes), vec![cpu_time(&there, queue), tags(&there, queue), required(&there, queue)]]
            .concat();
    if cfg.section(path).is_some() {
        return options;
    }
    // One finding with all that the section needs.
    let mut none = Finding::missing(path, "the queue of the pilots", "no such queue");
    for option in options {
        none.options.extend(option.options);
        none.steps.extend(option.steps);
    }
    vec![none]
}

/// Cores and memory.
fn size(there: &There<'_>, sizes: &[Size]) -> Vec<Finding> {
    let (cores, ram) = (format!("{}/NumberOfProcessors", there.queue), format!("{}/MaxRAM", there.queue));
    if there.both("Tag").contains(WHOLE_NODE) {
        return vec![Finding::met(format!("{}/Tag", there.queue), "cores and memory of the machine, by WholeNode")];
    }
    match sizes {
        [] => Vec::new(),
        [size] => vec![
            number(there, &cores, "NumberOfProcessors", size.cores..=size.cores, size.cores),
            number(there, &ram, "MaxRAM", size.ram_mib..=in_megabytes(size.ram_mib), size.ram_mib),
        ],
        several => {
            let place = format!("{}/Tag", there.queue);
            let named: Vec<String> = several.iter().map(|size| format!("{} cores", size.cores)).collect();
            let needed = format!("{WHOLE_NODE}, since the queue has VMs of several sizes ({})", named.join(", "));
            vec![
                Finding::missing(&place, needed, said(&there.cfg.list(&place)))
                    .set(&place, there.with("Tag", &[WHOLE_NODE]))
                    .step("or leave spec.matching.queue out of the PilotPool: then each flavor has a queue of its own"),
            ]
        }
    }
}

/// As many millions of bytes as this many MiB, rounded up: people write either.
fn in_megabytes(mib: u64) -> u64 {
    mib.saturating_mul(1 << 20).div_ceil(1_000_000)
}

/// A number that must lie within these bounds; `value` is what the lines say.
fn number(there: &There<'_>, place: &str, name: &str, bounds: std::ops::RangeInclusive<u64>, value: u64) -> Finding {
    let (least, most) = (bounds.start(), bounds.end());
    let needed = if least == most { least.to_string() } else { format!("{least} to {most}") };
    match there.number(name) {
        Some(found) if bounds.contains(&found) => Finding::met(place, needed),
        _ => {
            let found = there.option(name).unwrap_or("nothing").to_owned();
            Finding::missing(place, needed, found).set(place, value.to_string())
        }
    }
}

fn cpu_time(there: &There<'_>, queue: &Queue) -> Finding {
    let place = format!("{}/maxCPUTime", there.queue);
    let least = queue.cpu_seconds.div_ceil(MINUTE);
    let most = (queue.end_seconds / MINUTE).max(least);
    let found = number(there, &place, "maxCPUTime", least..=most, least);
    Finding { needed: format!("{} (minutes)", found.needed), ..found }
}

fn tags(there: &There<'_>, queue: &Queue) -> Finding {
    let place = format!("{}/Tag", there.queue);
    let has = there.both("Tag");
    let lacks: Vec<&str> = queue.tags.iter().map(String::as_str).filter(|tag| !has.contains(*tag)).collect();
    let needed = if queue.tags.is_empty() { "any".to_owned() } else { queue.tags.join(", ") };
    if lacks.is_empty() {
        return Finding::met(place, needed);
    }
    let all = there.with("Tag", &lacks);
    Finding::missing(&place, needed, in_words(&has)).set(&place, all)
}

/// Tags that jobs must have: all that the pool says, and no other, for which it would buy VMs that take none of its jobs.
fn required(there: &There<'_>, queue: &Queue) -> Finding {
    let place = format!("{}/RequiredTag", there.queue);
    let has = there.both("RequiredTag");
    let wants: BTreeSet<String> = queue.required_tags.iter().cloned().collect();
    let needed = if wants.is_empty() { "nothing".to_owned() } else { queue.required_tags.join(", ") };
    if has == wants {
        return Finding::met(place, needed);
    }
    let lacks: Vec<&str> = wants.difference(&has).map(String::as_str).collect();
    let beyond: Vec<&str> = has.difference(&wants).map(String::as_str).collect();
    let mut finding = Finding::missing(&place, needed, in_words(&has));
    if !lacks.is_empty() {
        let all = there.with("RequiredTag", &lacks);
        finding = finding.set(&place, all);
    }
    if !beyond.is_empty() {
        finding = finding.step(format!(
            "take {} out of RequiredTag of the queue or its CE, or add it to spec.matching of the PilotPool",
            beyond.join(", ")
        ));
    }
    finding
}

fn in_words(values: &BTreeSet<String>) -> String {
    said(&values.iter().map(String::as_str).collect::<Vec<_>>())
}
