//! Of which class the jobs of a VM are, where only one can run there.

use std::{collections::HashMap, hash::Hash};

use super::Heard;
use crate::{
    experience::{Place, times},
    plan::JobClass,
};

/// A class of jobs, and what the times call it.
pub struct Kind {
    /// What each of the jobs asks for.
    pub class: JobClass,
    /// What the times call it.
    pub name: times::JobClass,
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
            let place = place();
            let (alone, heard) = (place.alone(), of_vo.get(place.vo).map_or(&[][..], Vec::as_slice));
            let mut fit = heard.iter().copied().chain(&place.own).filter(|class| alone.matches(&class.queue()));
            let class = fit.next()?;
            let kind = || Kind { class: class.clone(), name: times::JobClass::of(place.vo, class) };
            fit.all(|other| other == class).then(kind)
        };
        self.only.entry(alike).or_insert_with(only).as_ref()
    }
}
