//! Sections: those that we want, those that we make around what we want, and those that we made and that are empty now.

use std::collections::BTreeSet;

use super::{Planner, Step};
use crate::configuration::{
    At, Cfg,
    owned::{Value, around},
};

impl Planner<'_> {
    pub(super) fn want_section(&mut self, path: &str) {
        let is_there = self.current.at(path).is_some();
        if is_there {
            if self.last.get(path).is_some() || self.is_signed(path) {
                self.changes.applied.put(path, Value::Section);
            }
            return;
        }
        let was_there = self.last.get(path).is_some();
        if !was_there || self.edited(path, Some("a section".to_owned()), None) {
            self.changes.steps.insert(path.to_owned(), Step::Make);
            self.changes.applied.put(path, Value::Section);
        } else {
            self.keep(path);
        }
    }

    /// What becomes of sections, once all options are known: those that are made for an option are ours, and those of ours that hold
    /// nothing any more go.
    pub(super) fn sections(&mut self) {
        let written: Vec<String> = self
            .changes
            .steps
            .iter()
            .filter(|(_, step)| **step != Step::TakeOut)
            .map(|(path, _)| path.clone())
            .collect();
        for section in written.iter().flat_map(|path| around(path)) {
            if self.current.at(section).is_none() {
                self.changes.steps.insert(section.to_owned(), Step::Make);
                self.changes.applied.put(section, Value::Section);
            }
        }
        // Of those that stand, ours are those that we know of, and those with our sign around what we own.
        let owned: Vec<String> = self.changes.applied.iter().map(|(path, _)| path.to_owned()).collect();
        let around_ours: BTreeSet<&str> = owned.iter().flat_map(|path| around(path)).collect();
        for section in &around_ours {
            if self.last.get(section).is_some() || self.is_signed(section) {
                self.changes.applied.put(section, Value::Section);
            }
        }
        let no_longer: Vec<&str> = self
            .last
            .iter()
            .filter(|(path, value)| **value == Value::Section && self.changes.applied.get(path).is_none())
            .map(|(path, _)| path)
            .collect();
        // What is within another one comes first.
        for path in no_longer.into_iter().rev() {
            let Some(At::Section(section)) = self.current.at(path) else { continue };
            if self.will_be_empty(path, section) {
                self.take_out(path);
            } else {
                self.changes.applied.put(path, Value::Section);
            }
        }
    }

    /// Whether nothing is left in this section.
    fn will_be_empty(&self, path: &str, section: &Cfg) -> bool {
        let of = |name: &str| self.changes.steps.get(&format!("{path}/{name}"));
        let names = section.options().map(|(name, _)| name).chain(section.sections().map(|(name, _)| name));
        let inside = format!("{path}/");
        let is_written = |(at, step): (&String, &Step)| at.starts_with(&inside) && *step != Step::TakeOut;
        names.into_iter().all(|name| of(name) == Some(&Step::TakeOut)) && !self.changes.steps.iter().any(is_written)
    }
}
