//! Which jobs a VM of a pool may run: DIRAC's matching rules, for what the pilot on the VM will say of itself.

use super::{Offering, Pool, class::Class};
use crate::demand::{
    TaskQueue,
    matching::{Prepared, Resource},
};

/// What fits what, remembered for one plan: the resource of each shape in each pool, and whether its lists agree with those of the
/// jobs. A pool has few shapes, so a search through all of them is faster than a hash table.
#[derive(Default)]
pub struct Fit {
    by_pool: Vec<Vec<Shape>>,
}

/// What pilots on VMs of one size in one pool say of themselves.
struct Shape {
    /// Cores, and memory in MiB.
    size: (u64, u64),
    resource: Prepared,
    /// Whether the lists agree, by the profile of the class ([`Class::profile`]); `None`: not compared yet.
    suits: Vec<Option<bool>>,
}

impl Fit {
    /// The number of the shape that VMs of `offering` have in `pool`, whose index is `i`.
    pub fn shape(&mut self, i: usize, pool: &Pool, offering: &Offering) -> usize {
        if self.by_pool.len() <= i {
            self.by_pool.resize_with(i + 1, Vec::new);
        }
        let (shapes, size) = (&mut self.by_pool[i], (offering.cores, offering.ram_mib));
        shapes.iter().position(|s| s.size == size).unwrap_or_else(|| {
            shapes.push(Shape { size, resource: Prepared::new(resource(pool, offering)), suits: Vec::new() });
            shapes.len() - 1
        })
    }

    /// Whether jobs of `class` may run on a VM of this shape in the pool with index `i`. Our resources name neither an owner nor groups,
    /// so only size and lists decide.
    pub fn fits(&mut self, class: &Class<'_>, i: usize, shape: usize) -> bool {
        let Shape { resource, suits, .. } = &mut self.by_pool[i][shape];
        if !resource.is_large_enough(class.queue) {
            return false;
        }
        if suits.len() <= class.profile {
            suits.resize(class.profile + 1, None);
        }
        *suits[class.profile].get_or_insert_with(|| resource.suits(class.queue))
    }
}

/// What the pilot on a VM of `offering` in `pool` says of itself. The VO's groups are left out: a VM serves one VO, and the plan gives
/// it no jobs of other VOs.
pub fn resource(pool: &Pool, offering: &Offering) -> Resource {
    Resource {
        site: vec![pool.site.clone()],
        grid_ce: vec![pool.ce.clone()],
        platform: pool.platform.iter().cloned().collect(),
        cpu_time: pool.cpu_time,
        tag: Some(pool.tags.clone()),
        required_tag: pool.required_tags.clone(),
        number_of_processors: u32::try_from(offering.cores).unwrap_or(u32::MAX),
        whole_node: true,
        max_ram_mb: Some(offering.ram_mib),
        ..Resource::default()
    }
}

/// Whether an offering lies within the bounds of a pool that names bounds instead of flavors.
pub fn accepts(pool: &Pool, offering: &Offering) -> bool {
    let within =
        |(min, max): (Option<u64>, Option<u64>), n: u64| min.is_none_or(|m| n >= m) && max.is_none_or(|m| n <= m);
    let r = &pool.requirements;
    let model = r.gpu_models.is_empty()
        || offering.gpu_model.as_ref().is_some_and(|m| r.gpu_models.iter().any(|n| n.eq_ignore_ascii_case(m)));
    // GiB for a core, rounded down: a flavor with 15.9 GiB and 8 cores has less than 2, which counts as 1.
    let ram = offering.ram_mib / 1024 / offering.cores.max(1);
    within(r.cores, offering.cores) && within(r.gpus, offering.gpus) && model && within(r.ram_gib_per_core, ram)
}

/// Why jobs of `queue` do not fit `pool`, as a part of a sentence that has named the jobs: the first obstacle that is found.
pub fn obstacle(queue: &TaskQueue, pool: &Pool) -> String {
    let mut missing: Vec<&str> = queue.tags.iter().filter(|t| !pool.tags.contains(t)).map(String::as_str).collect();
    missing.retain(|t| !t.ends_with("Processors") && *t != "MultiProcessor" && *t != "WholeNode");
    if queue.cpu_time > pool.cpu_time {
        format!(
            "they ask for {} s of CPU time, and pool {} offers {} s (spec.matching.maxCpuTime)",
            queue.cpu_time, pool.name, pool.cpu_time
        )
    } else if !missing.is_empty() {
        format!(
            "they ask for the tags {}, and pool {} does not offer them (spec.matching.tags)",
            missing.join(", "),
            pool.name
        )
    } else if pool.required_tags.iter().any(|t| !queue.tags.contains(t)) {
        format!(
            "pool {} takes only jobs with the tags {} (spec.matching.requiredTags)",
            pool.name,
            pool.required_tags.join(", ")
        )
    } else if !queue.sites.is_empty() && !queue.sites.contains(&pool.site) {
        format!("they may run only at {}, and pool {} is at {}", queue.sites.join(", "), pool.name, pool.site)
    } else if queue.banned_sites.contains(&pool.site) {
        format!("they ban the site {} of pool {}", pool.site, pool.name)
    } else {
        format!(
            "no flavor of pool {} has the cores ({}) and memory ({} MB) that they ask for, or they ask for another platform or CE",
            pool.name,
            queue.tags.iter().find(|t| t.ends_with("Processors")).map_or("1", String::as_str),
            queue.min_ram_mb
        )
    }
}
