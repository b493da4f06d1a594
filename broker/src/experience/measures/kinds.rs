//! Of which class the jobs of a VM are, where only one can run there.

use std::{collections::HashMap, hash::Hash};

use super::Heard;
use crate::{
    experience::times,
    plan::{Free, JobClass, Says, only_class},
};

/// A class of jobs, and what the times call it.
pub struct Kind {
    /// What each of the jobs asks for.
    pub class: JobClass,
    /// What the times call it.
    pub name: times::JobClass,
}

/// What decides which jobs run on a VM.
pub struct Place<'a> {
    /// VirtualOrganization object.
    pub vo: &'a str,
    /// What its pilot says.
    pub says: Says,
    /// The whole VM.
    pub full: Free,
    /// CPU time that its pilot was made for, in normalised seconds.
    pub cpu_time: u64,
    /// The classes that it was made for.
    pub own: Vec<JobClass>,
}

/// The one class of each kind of VM. `K` is what VMs on which the same jobs run have in common: they are asked for once.
pub struct Kinds<'h, K> {
    /// The classes that were heard of, by VO.
    of_vo: HashMap<&'h str, Vec<&'h JobClass>>,
    only: HashMap<K, Option<Kind>>,
}

impl<'h, K: Eq + Hash> Kinds<'h, K> {
    /// For the classes that were heard of.
    pub fn of(heard: &'h Heard) -> Self {
        let mut of_vo: HashMap<&str, Vec<&JobClass>> = HashMap::new();
        for (vo, class) in heard.all() {
            of_vo.entry(vo).or_default().push(class);
        }
        Self { of_vo, only: HashMap::new() }
    }

    /// The one class whose jobs run in such a place; `None`: there are several, or none was heard of.
    pub fn only<'a>(&mut self, alike: K, place: impl FnOnce() -> Place<'a>) -> Option<&Kind> {
        let of_vo = &self.of_vo;
        let only = || {
            let Place { vo, says, full, cpu_time, own } = place();
            let heard = of_vo.get(vo).map_or(&[][..], Vec::as_slice);
            let class = only_class(heard.iter().copied().chain(&own), &says, full, cpu_time)?;
            Some(Kind { class: class.clone(), name: times::JobClass::of(vo, class) })
        };
        self.only.entry(alike).or_insert_with(only).as_ref()
    }
}
