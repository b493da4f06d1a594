//! What is to be changed in DIRAC's configuration: three-way, from what stands there, what we want, and what we wrote last. Pure.
//!
//! * What we want and is absent is added, with the sections around it.
//! * What we wrote and no longer want is taken out where it still stands as we wrote it; a section that we made, once it is empty.
//! * What somebody else changed since is an [`Edit`]: it is put back or left, and named either way.
//! * What stands as we want it by others' hands is not ours: it is not written, and never taken out.
//! * All else is not looked at.
//!
//! Each entry that we write gets a line of comment by which DIRAC says who wrote it (`Modificator`: `@@-`). It is how we know as ours what
//! was written by a commit of which we never heard that it came about.

mod options;
mod sections;

use std::collections::BTreeMap;

use super::{
    Cfg,
    owned::{Owned, Value, around},
};

/// What DIRAC's own commands put before the name of who wrote an entry.
const SIGN: &str = "@@-";

/// What is done about what somebody else changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// Our value is written again.
    PutBack,
    /// Theirs stays.
    Leave,
}

/// Somebody else changed what we own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    /// Where.
    pub path: String,
    /// What we want there; `None`: nothing any more.
    pub ours: Option<String>,
    /// What stands there; `None`: nothing does.
    pub theirs: Option<String>,
    /// Whether ours is written again.
    pub is_put_back: bool,
}

/// One change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// An option gets this value.
    Set(String),
    /// A section is made.
    Make,
    /// An option or a section is taken out.
    TakeOut,
}

/// What is to be changed, what somebody else changed, and what is ours after it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    steps: BTreeMap<String, Step>,
    /// What somebody else changed.
    pub edits: Vec<Edit>,
    /// What we have written and what still stands, once the changes are made.
    pub applied: Owned,
}

impl Changes {
    /// Whether nothing is to be changed.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// Each change, by its path.
    pub fn steps(&self) -> impl Iterator<Item = (&str, &Step)> {
        self.steps.iter().map(|(path, step)| (path.as_str(), step))
    }

    /// The configuration for which they were planned, with the changes made and signed by `author`.
    pub fn made_in(&self, current: &Cfg, author: &str) -> Cfg {
        let (mut cfg, line) = (current.clone(), signature(author));
        for (path, step) in &self.steps {
            match step {
                Step::TakeOut => continue,
                Step::Set(value) => cfg.set(path, value),
                Step::Make => _ = cfg.make_section(path),
            }
            cfg.sign(path, SIGN, &line);
        }
        // What is in a section goes before the section.
        for (path, _) in self.steps.iter().rev().filter(|(_, step)| **step == Step::TakeOut) {
            cfg.take_out(path);
        }
        cfg
    }
}

/// What is to be changed in `current`. `last` is what [`Changes::applied`] of the changes that were made last said, and `author` is who
/// signs what we write.
pub fn plan(current: &Cfg, wanted: &Owned, last: &Owned, policy: Policy, author: &str) -> Changes {
    let mut planner =
        Planner { current, wanted, last, policy, signature: signature(author), changes: Changes::default() };
    for (path, value) in wanted.iter() {
        planner.want(path, value);
    }
    for (path, value) in last.iter().filter(|(path, _)| wanted.get(path).is_none()) {
        planner.no_longer(path, value);
    }
    planner.sections();
    planner.changes.edits.sort_by(|a, b| a.path.cmp(&b.path));
    planner.changes
}

/// Who wrote an entry, as a line of its comment. DIRAC keeps no `#` in comments.
fn signature(author: &str) -> String {
    let author: String = author.chars().filter(|c| !c.is_control() && *c != '#').collect();
    format!("{SIGN}{}", author.trim())
}

struct Planner<'a> {
    current: &'a Cfg,
    wanted: &'a Owned,
    last: &'a Owned,
    policy: Policy,
    signature: String,
    changes: Changes,
}

impl Planner<'_> {
    fn want(&mut self, path: &str, value: &Value) {
        if self.is_blocked(path, value) {
            return;
        }
        match value {
            Value::Is(value) => self.want_value(path, value),
            Value::Has(_) => self.want_elements(path, &value.elements()),
            Value::Section => self.want_section(path),
        }
    }

    fn no_longer(&mut self, path: &str, value: &Value) {
        if self.wanted.is_unsure(path) {
            self.changes.applied.put(path, value.clone());
            return;
        }
        match value {
            Value::Is(value) => self.no_longer_value(path, value),
            Value::Has(_) => self.want_elements(path, &Default::default()),
            // Once it is known what is in it.
            Value::Section => {}
        }
    }

    /// Whether we signed the entry at this path.
    fn is_signed(&self, path: &str) -> bool {
        self.current.comment(path).any(|line| line == self.signature)
    }

    fn set(&mut self, path: &str, value: String) {
        self.changes.steps.insert(path.to_owned(), Step::Set(value));
    }

    fn take_out(&mut self, path: &str) {
        self.changes.steps.insert(path.to_owned(), Step::TakeOut);
    }

    /// Notes what somebody else changed; whether ours is put back.
    fn edited(&mut self, path: &str, ours: Option<String>, theirs: Option<String>) -> bool {
        let is_put_back = ours.is_some() && self.policy == Policy::PutBack;
        self.changes.edits.push(Edit { path: path.to_owned(), ours, theirs, is_put_back });
        is_put_back
    }

    /// Theirs is left, and what we wrote there stays ours.
    fn keep(&mut self, path: &str) {
        if let Some(last) = self.last.get(path) {
            self.changes.applied.put(path, last.clone());
        }
        self.keep_around(path);
    }

    /// The sections around this path that somebody took out stay ours: it is known next time that they were there.
    fn keep_around(&mut self, path: &str) {
        for section in around(path) {
            if self.is_gone(section) {
                self.changes.applied.put(section, Value::Section);
            }
        }
    }

    /// Whether somebody took out a section that we made.
    fn is_gone(&self, section: &str) -> bool {
        self.last.get(section).is_some() && self.current.at(section).is_none()
    }
}

#[cfg(test)]
mod property_tests;
#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
