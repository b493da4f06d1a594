//! Which jobs fit which VMs: DIRAC's matching rules (`demand::matching`), prepared for many classes and many pools at once.
//!
//! What pilots say is numbered. For each list of a class the set of those that agree with it is made once; what fits is in all of these
//! sets. So ten thousand classes and five hundred pools cost ten thousand times a few words, and not five million comparisons.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use super::{bits::Bits, class::Class, life::Free, need::is_of_size, snapshot::Says};
#[cfg(test)]
use crate::demand::matching::Prepared;
use crate::demand::matching::{Resource, key, says_any};

/// Numbers what pilots say, before the index is made.
#[derive(Default)]
pub struct Numbers {
    all: Vec<Arc<Says>>,
    by_words: HashMap<Arc<Says>, usize>,
}

impl Numbers {
    /// The number of these words.
    pub fn of(&mut self, says: &Arc<Says>) -> usize {
        let next = self.all.len();
        *self.by_words.entry(says.clone()).or_insert_with(|| {
            self.all.push(says.clone());
            next
        })
    }
}

/// The sets of those who agree with each name of a list, and those to whom it does not matter.
struct Names {
    by_name: HashMap<String, Bits>,
    open: Bits,
}

impl Names {
    fn of<'a>(all: &'a [Arc<Says>], value: impl Fn(&'a Says) -> Option<&'a String>) -> Self {
        let mut names = Self { by_name: HashMap::new(), open: Bits::none(all.len()) };
        for (n, says) in all.iter().enumerate() {
            match value(says).filter(|v| !says_any([*v])) {
                Some(value) => names.by_name.entry(key(value)).or_insert_with(|| Bits::none(all.len())).add(n),
                None => names.open.add(n),
            }
        }
        names
    }

    fn of_list(&self, listed: &[String]) -> Bits {
        let mut bits = self.open.clone();
        for bit in listed.iter().filter_map(|name| self.by_name.get(&key(name))) {
            bits.or(bit);
        }
        bits
    }
}

/// What is offered and required, and who says so.
struct Tags {
    /// In the form in which equal tags are equal.
    offered: BTreeSet<String>,
    any: bool,
    required: BTreeSet<String>,
    who: Bits,
}

/// Which jobs fit which VMs.
pub struct Index<'a> {
    all: Vec<Arc<Says>>,
    everybody: Bits,
    sites: Names,
    ces: Names,
    platforms: Names,
    tags: Vec<Tags>,
    /// By the list of the class.
    known: [HashMap<&'a [String], Bits>; 5],
    /// By the number of the class.
    bits: Vec<Bits>,
}

impl<'a> Index<'a> {
    pub fn new(numbers: Numbers, classes: &'a [Class<'_>]) -> Self {
        let all = numbers.all;
        let mut everybody = Bits::none(all.len());
        (0..all.len()).for_each(|n| everybody.add(n));
        let mut tags: Vec<Tags> = Vec::new();
        let mut places: HashMap<(&[String], &[String]), usize> = HashMap::new();
        for (n, says) in all.iter().enumerate() {
            let place = *places.entry((&says.tags, &says.required_tags)).or_insert_with(|| {
                tags.push(Tags::of(says, all.len()));
                tags.len() - 1
            });
            tags[place].who.add(n);
        }
        let mut index = Self {
            sites: Names::of(&all, |says| Some(&says.site)),
            ces: Names::of(&all, |says| Some(&says.ce)),
            platforms: Names::of(&all, |says| says.platform.as_ref()),
            everybody,
            tags,
            known: Default::default(),
            bits: Vec::with_capacity(classes.len()),
            all,
        };
        for class in classes {
            let bits = index.suited(class);
            index.bits.push(bits);
        }
        index
    }

    /// Whether jobs of the class with number `n` run on VMs that say this and have this size and CPU time.
    pub fn fits(&self, n: usize, class: &Class<'_>, says: usize, full: Free, cpu_time: u64) -> bool {
        class.queue.cpu_time <= cpu_time && self.may_fit(n, says) && class.need.slots(full, full) > 0
    }

    /// The set of those on whose VMs jobs of the class with number `n` run, sizes aside.
    pub fn set_of(&self, n: usize) -> &Bits {
        &self.bits[n]
    }

    /// Whether sizes aside they may fit.
    pub fn may_fit(&self, n: usize, says: usize) -> bool {
        self.bits[n].has(says)
    }

    /// The numbers of what pilots say, as a set.
    pub fn set(&self, says: impl Iterator<Item = usize>) -> Bits {
        let mut bits = Bits::none(self.all.len());
        says.for_each(|n| bits.add(n));
        bits
    }

    /// With how many of these the class agrees, sizes aside.
    pub fn count(&self, n: usize, says: &Bits) -> u32 {
        self.bits[n].common(says)
    }

    fn suited(&mut self, class: &'a Class<'_>) -> Bits {
        let lists = &class.key;
        let mut bits = self.everybody.clone();
        let each: [&'a [String]; 5] =
            [&lists.sites, &lists.banned_sites, &lists.grid_ces, &lists.platforms, &lists.tags];
        for (i, list) in each.into_iter().enumerate() {
            // An empty list is no constraint; required tags bind also where the class has none.
            if list.is_empty() && i < 4 {
                continue;
            }
            if let Some(found) = self.known[i].get(list) {
                bits.and(found);
            } else {
                let made = self.agree(i, list);
                bits.and(&made);
                self.known[i].insert(list, made);
            }
        }
        bits
    }

    fn agree(&self, which: usize, list: &[String]) -> Bits {
        match which {
            0 => self.sites.of_list(list),
            1 => {
                let mut bits = self.everybody.clone();
                list.iter().filter_map(|n| self.sites.by_name.get(&key(n))).for_each(|banned| bits.without(banned));
                bits
            }
            2 => self.ces.of_list(list),
            3 => self.platforms.of_list(list),
            _ => {
                let wanted: Vec<String> = list.iter().map(|tag| key(tag)).collect();
                let mut bits = Bits::none(self.all.len());
                self.tags.iter().filter(|tags| tags.agree(list, &wanted)).for_each(|tags| bits.or(&tags.who));
                bits
            }
        }
    }
}

impl Tags {
    fn of(says: &Says, bound: usize) -> Self {
        let required: BTreeSet<&String> =
            if says_any(&says.required_tags) { BTreeSet::new() } else { says.required_tags.iter().collect() };
        let keys: BTreeSet<String> = required.iter().map(|tag| key(tag)).collect();
        // Required tags must be offered letter by letter. A job has only one of two spellings of a tag. A tag of the size is offered where
        // a job with this tag has room.
        let offered = |tag: &&String| says.tags.contains(tag) || is_of_size(tag) && is_as_dirac_writes(tag);
        let possible = required.iter().all(offered) && keys.len() == required.len();
        Self {
            offered: says.tags.iter().map(|tag| key(tag)).collect(),
            any: says_any(&says.tags),
            required: if possible { keys } else { BTreeSet::from([IMPOSSIBLE.to_owned()]) },
            who: Bits::none(bound),
        }
    }

    /// As `Prepared::suits` says of tags; those of the size of the resource are left to `Need::slots`, also where the pilot offers them
    /// whatever its size: then the Matcher would give a job of eight cores to a VM of four.
    fn agree(&self, tags: &[String], keys: &[String]) -> bool {
        let offered = |(tag, key): (&String, &String)| self.any || self.offered.contains(key) || is_of_size(tag);
        tags.iter().zip(keys).all(offered)
            && keys.iter().filter(|key| self.required.contains(*key)).count() == self.required.len()
    }
}

/// Whether DIRAC spells a tag of the size so.
fn is_as_dirac_writes(tag: &str) -> bool {
    tag == "MultiProcessor" || tag == "WholeNode" || tag.ends_with("Processors") && !tag.ends_with(' ')
}

/// No tag has a line break.
const IMPOSSIBLE: &str = "\n";

/// What a pilot says of itself on a VM of this size. The VO's groups are left out: a VM serves one VO, and the plan gives it no jobs of
/// other VOs.
pub fn resource(says: &Says, full: Free, cpu_time: u64) -> Resource {
    Resource {
        site: vec![says.site.clone()],
        grid_ce: vec![says.ce.clone()],
        platform: says.platform.iter().cloned().collect(),
        cpu_time,
        tag: Some(says.tags.clone()),
        required_tag: says.required_tags.clone(),
        number_of_processors: u32::try_from(full.cores).unwrap_or(u32::MAX),
        whole_node: true,
        max_ram_mb: Some(full.ram_mib),
        ..Resource::default()
    }
}

/// Whether jobs of `queue` run on such a VM: one comparison, as `demand::matching` makes it.
#[cfg(test)]
pub fn fits_alone(queue: &crate::demand::TaskQueue, says: &Says, full: Free, cpu_time: u64) -> bool {
    Prepared::new(resource(says, full, cpu_time)).matches(queue)
}

#[cfg(test)]
#[path = "index_tests.rs"]
mod tests;
