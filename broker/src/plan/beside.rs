//! What else waits beside the jobs of a class that the same VMs could run: a large VM is cheap for few jobs where others of the VO use what is
//! left of it.

use std::collections::HashMap;

use super::{
    bits::Bits,
    class::Class,
    index::Index,
    need::{Need, Pin},
};

/// With more groups than this in one VO nothing beside a class counts.
const MOST_GROUPS: usize = 64;

/// What makes classes of a VO alike here: where their jobs run, the CPU time that they ask for, and with whom they share VMs.
type Words<'i> = (usize, &'i Bits, u64, Company);

/// With whom jobs share VMs.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Company {
    /// With all that are as plain.
    Plain,
    /// With jobs of this size alone.
    Alone(Pin),
    /// With none that is counted: jobs with GPUs and those that need a whole VM.
    Other,
}

/// Jobs that could share VMs.
#[derive(Default)]
pub struct Beside {
    /// By number of the class: its group.
    group: Vec<usize>,
    /// By group: the groups, itself among them, whose jobs run on all VMs on which its jobs do.
    wider: Vec<Vec<usize>>,
    /// By group: cores that jobs ask for which still wait.
    cores: Vec<u64>,
    /// Of all groups together.
    all: u64,
}

impl Beside {
    /// The groups of these classes. `pins`: VMs for multi-core jobs take such jobs alone.
    pub fn new(classes: &[Class<'_>], index: &Index<'_>, pins: bool) -> Self {
        let company = |need: &Need| match need.pin().filter(|_| pins) {
            _ if need.whole || need.gpus > 0 => Company::Other,
            Some(pin) => Company::Alone(pin),
            None => Company::Plain,
        };
        let mut places: HashMap<Words<'_>, usize> = HashMap::new();
        let (mut groups, mut of_vo): (Vec<Words<'_>>, HashMap<usize, Vec<usize>>) = Default::default();
        let mut group = Vec::with_capacity(classes.len());
        for (n, class) in classes.iter().enumerate() {
            let words = (class.vo, index.set_of(n), class.queue.cpu_time, company(&class.need));
            group.push(*places.entry(words).or_insert_with(|| {
                of_vo.entry(class.vo).or_default().push(groups.len());
                groups.push(words);
                groups.len() - 1
            }));
        }
        let wider = groups.iter().enumerate().map(|(g, (vo, set, cpu_time, company))| {
            let all = of_vo.get(vo).filter(|all| all.len() <= MOST_GROUPS && *company != Company::Other);
            let runs = |other: &usize| {
                let (_, others, asks, with) = &groups[*other];
                with == company && asks <= cpu_time && set.common(others) == set.common(set)
            };
            all.map_or(vec![g], |all| all.iter().copied().filter(runs).collect())
        });
        Self { group, wider: wider.collect(), cores: vec![0; groups.len()], all: 0 }
    }

    /// So many jobs of each class wait.
    pub fn begin(&mut self, classes: &[Class<'_>], left: &[u64]) {
        self.cores.fill(0);
        self.all = 0;
        for (n, (class, left)) in classes.iter().zip(left).enumerate() {
            let (cores, more) = (&mut self.cores[self.group[n]], left.saturating_mul(class.need.cores));
            *cores = cores.saturating_add(more);
            self.all = self.all.saturating_add(more);
        }
    }

    /// So many jobs of the class with number `n` wait no more.
    pub fn served(&mut self, n: usize, need: &Need, jobs: u64) {
        let (cores, less) = (&mut self.cores[self.group[n]], jobs.saturating_mul(need.cores));
        *cores = cores.saturating_sub(less);
        self.all = self.all.saturating_sub(less);
    }

    /// The jobs of the class with number `n`, of which `left` wait, and all that could share their VMs, as if all were of this class.
    pub fn jobs(&self, n: usize, need: &Need, left: u64) -> u64 {
        let all = self.wider[self.group[n]].iter().fold(0, |sum: u64, g| sum.saturating_add(self.cores[*g]));
        (all / need.cores.max(1)).max(left)
    }

    /// The cores of all jobs that wait.
    pub fn all(&self) -> u64 {
        self.all
    }
}
