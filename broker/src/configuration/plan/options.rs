//! Options that we own whole, and lists of which we own some values.

use std::collections::BTreeSet;

use super::Planner;
use crate::configuration::{
    At,
    cfg::list,
    owned::{Value, around, plain},
};

impl Planner<'_> {
    /// Whether the entry cannot be there: an option stands where a section would have to, or the other way round. That is never put back.
    pub(super) fn is_blocked(&mut self, path: &str, value: &Value) -> bool {
        let option = around(path).find_map(|section| match self.current.at(section) {
            Some(At::Option(value)) => Some(format!("{section} = {value}")),
            _ => None,
        });
        let theirs = match (option, self.current.at(path), value) {
            (Some(option), ..) => option,
            (None, Some(At::Section(_)), Value::Is(_) | Value::Has(_)) => "a section".to_owned(),
            (None, Some(At::Option(option)), Value::Section) => format!("the option {option:?}"),
            _ => return false,
        };
        self.edited(path, Some(in_words(value)), Some(theirs));
        if let Some(edit) = self.changes.edits.last_mut() {
            edit.is_put_back = false;
        }
        self.keep(path);
        true
    }

    fn value(&self, path: &str) -> Option<String> {
        self.current.option(path).map(plain)
    }

    /// Whether we wrote something at this path, or made a section for it which somebody took out.
    fn was_there(&self, path: &str) -> bool {
        self.last.get(path).is_some() || around(path).any(|section| self.is_gone(section))
    }

    /// Whether we wrote this value there.
    fn wrote(&self, path: &str, value: &str) -> bool {
        match self.last.get(path) {
            Some(Value::Is(last)) => last == value,
            Some(last @ Value::Has(_)) => last.elements() == list(value).into_iter().collect(),
            Some(Value::Section) | None => false,
        }
    }

    pub(super) fn want_value(&mut self, path: &str, want: &str) {
        let there = self.value(path);
        let is_ours = match &there {
            Some(there) if there == want => {
                if self.wrote(path, there) || self.is_signed(path) {
                    self.changes.applied.put(path, Value::Is(want.to_owned()));
                }
                return;
            }
            // Without a word on it from the last time, our sign says that a commit came about of which we did not hear.
            Some(there) => self.wrote(path, there) || (self.last.get(path).is_none() && self.is_signed(path)),
            None => !self.was_there(path),
        };
        if is_ours || self.edited(path, Some(want.to_owned()), there) {
            self.set(path, want.to_owned());
            self.changes.applied.put(path, Value::Is(want.to_owned()));
        } else {
            self.keep(path);
        }
    }

    pub(super) fn no_longer_value(&mut self, path: &str, wrote: &str) {
        match self.value(path) {
            Some(there) if there == wrote => self.take_out(path),
            Some(theirs) => _ = self.edited(path, None, Some(theirs)),
            None => {}
        }
    }

    /// The list at this path has these values; those that we wrote and that are not among them are taken out.
    pub(super) fn want_elements(&mut self, path: &str, want: &BTreeSet<&str>) {
        let value = self.value(path).unwrap_or_default();
        let has = list(&value);
        let there: BTreeSet<&str> = has.iter().copied().collect();
        let wrote: BTreeSet<&str> = match self.last.get(path) {
            Some(last @ Value::Has(_)) => last.elements(),
            Some(Value::Is(last)) if *last == value => list(last).into_iter().collect(),
            // A list that we signed and that has nothing else was written by a commit of which we did not hear.
            None if self.is_signed(path) && there.is_subset(want) => there.clone(),
            _ => BTreeSet::new(),
        };
        let is_gone = self.value(path).is_none() && self.was_there(path);
        let lost: BTreeSet<&str> =
            want.iter().copied().filter(|one| !there.contains(one) && (is_gone || wrote.contains(one))).collect();
        let puts_back = lost.is_empty()
            || self.edited(path, Some(join(&lost)), self.current.option(path).is_some().then(|| value.clone()));
        let added = want.iter().copied().filter(|one| !there.contains(one) && (puts_back || !lost.contains(one)));
        let added: Vec<&str> = added.collect();
        let goes = |one: &&str| wrote.contains(one) && !want.contains(one);
        let new: Vec<&str> = has.iter().copied().filter(|one| !goes(one)).chain(added.iter().copied()).collect();
        if new.is_empty() && !has.is_empty() {
            self.take_out(path);
        } else if new != has {
            self.set(path, new.join(", "));
        }
        if !puts_back {
            self.keep_around(path);
        }
        let ours: BTreeSet<String> = want.intersection(&wrote).copied().chain(added).map(str::to_owned).collect();
        if !ours.is_empty() {
            self.changes.applied.put(path, Value::Has(ours));
        }
    }
}

fn join(all: &BTreeSet<&str>) -> String {
    all.iter().copied().collect::<Vec<_>>().join(", ")
}

fn in_words(value: &Value) -> String {
    match value {
        Value::Is(value) => value.clone(),
        Value::Has(_) => join(&value.elements()),
        Value::Section => "a section".to_owned(),
    }
}
