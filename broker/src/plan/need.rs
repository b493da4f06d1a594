//! What one job takes of a VM: cores, memory and GPUs.
//!
//! A job with a GPU takes a whole GPU, and the part of the VM that goes with it: DIRAC's pilots know nothing of GPUs, so a VM runs one for
//! each of its GPUs, which takes one job at a time (`images/pilot/start-pilot`).

use std::fmt;

use super::{job_class::JobClass, life::Free, snapshot::Offering};
use crate::demand::matching::same;

/// What one job takes. Jobs of equal need pack alike.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Need {
    /// Cores; of a job that needs the whole VM 1.
    pub cores: u64,
    /// Whether it needs a whole VM.
    pub whole: bool,
    /// Memory in MiB; 0: none said. DIRAC's PoolComputingElement sets it aside (`Resources/Computing/PoolComputingElement.py`,
    /// `_getMemoryForJobs`).
    pub ram_mib: u64,
    /// GPUs: one where the job has the tag GPU. DIRAC has no other word for them.
    pub gpus: u64,
    /// Whether a tag names a number of processors, which DIRAC knows up to 1024.
    numbered: bool,
    /// Whether the tag MultiProcessor is there, which a VM of one core does not offer.
    multi: bool,
}

/// A tag of the size that a pilot asks for, so that it takes such jobs alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Pin {
    /// Jobs that need the whole VM.
    WholeNode,
    /// Jobs of this many cores.
    Processors(u64),
}

impl fmt::Display for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WholeNode => f.write_str("WholeNode"),
            Self::Processors(cores) => write!(f, "{cores}Processors"),
        }
    }
}

/// For more processors than this DIRAC makes no tags of their number (`Client/Matcher.py`, `_processResourceDescription`).
const MOST_PROCESSORS: u64 = 1024;

/// Processors in a tag: 8 in `8Processors` (`Executor/JobScheduling.py`, `_getTagsFromManifest`). DIRAC writes the number without zeros
/// before it, and begins with 1.
pub fn processors(tag: &str) -> Option<u64> {
    let digits = tag.len() - tag.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, word) = tag.split_at(digits);
    (same(word, "Processors") && !number.starts_with('0')).then(|| number.parse().ok()).flatten()
}

/// Whether DIRAC makes this tag of the size of the resource.
pub fn is_of_size(tag: &str) -> bool {
    processors(tag).is_some() || same(tag, "MultiProcessor") || same(tag, "WholeNode")
}

impl Need {
    /// A job that says nothing but its cores.
    pub const fn cores(cores: u64) -> Self {
        Self { cores, whole: false, ram_mib: 0, gpus: 0, numbered: false, multi: false }
    }

    /// The tag that a pilot asks for which is to take such jobs alone; `None`: jobs of one core are taken by all.
    pub fn pin(&self) -> Option<Pin> {
        match (self.whole, self.numbered) {
            (true, _) => Some(Pin::WholeNode),
            (false, true) if self.cores > 1 => Some(Pin::Processors(self.cores)),
            _ => None,
        }
    }

    pub fn of(class: &JobClass) -> Self {
        let has = |word: &str| class.tags.iter().any(|tag| same(tag, word));
        let most = class.tags.iter().filter_map(|tag| processors(tag)).max();
        let whole = has("WholeNode");
        Self {
            cores: most.unwrap_or(1).max(1),
            whole,
            ram_mib: class.min_ram_mb,
            gpus: u64::from(has("GPU")),
            numbered: most.is_some(),
            multi: has("MultiProcessor"),
        }
    }

    /// Whether one such job may have room where nobody has more than this free.
    pub fn may_fit(&self, largest: Free) -> bool {
        largest.cores >= self.cores && largest.ram_mib >= self.ram_mib
    }

    /// How many such jobs run at once in what is free of a VM of `full` size. A VM of which no GPU is known does not run short of GPUs:
    /// the tags decide then.
    pub fn slots(&self, full: Free, free: Free) -> u64 {
        let part = full.of_a_gpu();
        match (self.gpus > 0, full.gpus) {
            (_, 0) => self.beside(full, free),
            // A pilot that has a part of a VM has no whole node to offer.
            (has, gpus) if self.whole && (full.gpu_cores > 0 || has && gpus > 1) => 0,
            (true, _) if self.whole => self.beside(full, free),
            (true, _) => self.beside(part, part).min(1).saturating_mul(free.times_of(part)),
            (false, _) if full.gpu_cores == 0 => self.beside(full, free),
            (false, gpus) => self.beside(full.less(part.often(gpus)), free.less(part.often(free.gpus))),
        }
    }

    /// How many such jobs run beside each other in what is free of what one pilot has, GPUs aside.
    fn beside(&self, full: Free, free: Free) -> u64 {
        if free.cores < self.cores.max(1)
            || free.ram_mib < self.ram_mib
            || (self.multi && full.cores < 2)
            || (self.numbered && full.cores > MOST_PROCESSORS)
        {
            return 0;
        }
        if self.whole {
            return u64::from(free == full);
        }
        let by_ram = free.ram_mib.checked_div(self.ram_mib).unwrap_or(u64::MAX);
        (free.cores / self.cores).min(by_ram)
    }

    /// What `jobs` such jobs take of what is free of a VM.
    pub fn times(&self, full: Free, jobs: u64) -> Free {
        if self.whole {
            return if jobs > 0 { full } else { Free::default() };
        }
        if self.gpus > 0 && full.gpus > 0 {
            return full.of_a_gpu().often(jobs);
        }
        Free { cores: self.cores.saturating_mul(jobs), ram_mib: self.ram_mib.saturating_mul(jobs), ..Free::default() }
    }
}

impl JobClass {
    /// What this many jobs take of a VM of `full` size.
    pub fn takes(&self, full: Free, jobs: u64) -> Free {
        Need::of(self).times(full, jobs)
    }
}

impl Free {
    /// What a VM of this offering has while no job runs on it.
    pub fn all(offering: &Offering) -> Self {
        let Offering { cores, ram_mib, gpus, gpu_cores, .. } = *offering;
        Self { cores, ram_mib, gpus, gpu_cores }
    }

    /// What goes with one GPU of a VM of this size: what the pilot has that takes jobs for it.
    pub fn of_a_gpu(self) -> Self {
        let even = self.cores.checked_div(self.gpus).unwrap_or(0);
        let cores = if self.gpu_cores == 0 { even } else { self.gpu_cores.min(even) }.max(1);
        let ram_mib = match self.gpu_cores {
            0 => self.ram_mib.checked_div(self.gpus).unwrap_or(0),
            // As much memory for each core as the VM has.
            _ => self.ram_mib.checked_div(self.cores).unwrap_or(0).saturating_mul(cores),
        };
        Self { cores, ram_mib, gpus: self.gpus.min(1), gpu_cores: 0 }
    }

    /// This many times as much.
    fn often(self, times: u64) -> Self {
        Self {
            cores: self.cores.saturating_mul(times),
            ram_mib: self.ram_mib.saturating_mul(times),
            gpus: self.gpus.saturating_mul(times),
            gpu_cores: 0,
        }
    }

    /// How often all of `part` is in it.
    fn times_of(self, part: Self) -> u64 {
        let each = [(self.cores, part.cores), (self.ram_mib, part.ram_mib), (self.gpus, part.gpus)];
        each.into_iter().filter_map(|(all, part)| all.checked_div(part)).min().unwrap_or(0)
    }

    /// What is left without `other`.
    pub fn less(self, other: Self) -> Self {
        Self {
            cores: self.cores.saturating_sub(other.cores),
            ram_mib: self.ram_mib.saturating_sub(other.ram_mib),
            gpus: self.gpus.saturating_sub(other.gpus),
            ..self
        }
    }

    /// Both together.
    pub fn and(self, other: Self) -> Self {
        Self {
            cores: self.cores.saturating_add(other.cores),
            ram_mib: self.ram_mib.saturating_add(other.ram_mib),
            gpus: self.gpus.saturating_add(other.gpus),
            ..self
        }
    }

    /// The more of each.
    pub fn or(self, other: Self) -> Self {
        Self {
            cores: self.cores.max(other.cores),
            ram_mib: self.ram_mib.max(other.ram_mib),
            gpus: self.gpus.max(other.gpus),
            ..self
        }
    }

    /// No more of each than `most`, of whose VM it is.
    pub fn up_to(self, most: Self) -> Self {
        Self {
            cores: self.cores.min(most.cores),
            ram_mib: self.ram_mib.min(most.ram_mib),
            gpus: self.gpus.min(most.gpus),
            ..most
        }
    }
}

#[cfg(test)]
#[path = "need_tests.rs"]
mod tests;
