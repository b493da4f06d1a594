//! DIRAC's configuration as a tree, and its text (`diraccfg/cfg.py`): sections in curly brackets, options with `=`, and `+=` which puts
//! one more value at the end of a list.
//!
//! The text comes from a service, so that its length, its depth and the number of its entries have bounds, and no text makes it panic.

use std::{collections::BTreeMap, fmt};

/// The longest text that is read, in bytes. That of a large installation has some five million.
pub const LONGEST: usize = 16 << 20;
/// The most sections and options.
pub const MOST: usize = 200_000;
/// Sections within each other.
pub const DEEPEST: usize = 32;

/// A section: its options and the sections in it. The configuration is one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cfg {
    options: BTreeMap<Box<str>, String>,
    sections: BTreeMap<Box<str>, Cfg>,
}

/// Why a text is no configuration. The line is counted from 1; no value of the text is repeated.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CfgError {
    /// It is longer than is read.
    #[error("it has {0} bytes, more than the {LONGEST} that are read")]
    TooLong(usize),
    /// It has more entries than are read.
    #[error("it has more than {MOST} sections and options")]
    TooMany,
    /// Sections lie deeper within each other than is read.
    #[error("line {0}: sections lie more than {DEEPEST} deep within each other")]
    TooDeep(usize),
    /// A bracket opens a section that has no name.
    #[error("line {0}: a section has no name")]
    NoName(usize),
    /// A section or option stands twice in one section.
    #[error("line {0}: a name stands twice in its section")]
    Twice(usize),
    /// `+=` without an option before it.
    #[error("line {0}: a value is added to an option that does not stand before it")]
    NothingToAddTo(usize),
    /// More sections are closed than opened.
    #[error("line {0}: more sections are closed than opened")]
    TooManyClosed(usize),
    /// Sections are open at the end.
    #[error("{0} sections are not closed")]
    NotClosed(usize),
}

impl Cfg {
    /// The configuration that `text` is, by DIRAC's own rules: what stands before a bracket is the name of its section, over line ends
    /// too, and an option takes the rest of its line.
    pub fn parse(text: &str) -> Result<Self, CfgError> {
        if text.len() > LONGEST {
            return Err(CfgError::TooLong(text.len()));
        }
        let mut open: Vec<(Box<str>, Self)> = Vec::new();
        let (mut here, mut name, mut entries) = (Self::default(), String::new(), 0_usize);
        for (line, content) in (1..).zip(text.lines().map(str::trim)) {
            if content.starts_with('#') {
                continue;
            }
            for (at, c) in content.char_indices() {
                let is_entry = matches!(c, '{' | '=');
                entries += usize::from(is_entry);
                if entries > MOST {
                    return Err(CfgError::TooMany);
                }
                match c {
                    '{' => {
                        let of = std::mem::take(&mut name);
                        let of = of.trim();
                        if of.is_empty() {
                            return Err(CfgError::NoName(line));
                        }
                        if here.has(of) {
                            return Err(CfgError::Twice(line));
                        }
                        if open.len() >= DEEPEST {
                            return Err(CfgError::TooDeep(line));
                        }
                        open.push((of.into(), std::mem::take(&mut here)));
                    }
                    '}' => {
                        let (of, outer) = open.pop().ok_or(CfgError::TooManyClosed(line))?;
                        let inner = std::mem::replace(&mut here, outer);
                        here.sections.insert(of, inner);
                    }
                    '=' => {
                        here.option_from(content, at).map_err(|wrong| wrong(line))?;
                        name.clear();
                        break;
                    }
                    c => name.push(c),
                }
            }
        }
        if open.is_empty() { Ok(here) } else { Err(CfgError::NotClosed(open.len())) }
    }

    /// Takes in the option of this line, whose first `=` stands at `at`.
    fn option_from(&mut self, line: &str, at: usize) -> Result<(), fn(usize) -> CfgError> {
        let (before, after) = line.split_at(at);
        let value = after.strip_prefix('=').unwrap_or(after).trim();
        if let Some(name) = before.strip_suffix('+') {
            let option = self.options.get_mut(name.trim()).ok_or(CfgError::NothingToAddTo as fn(usize) -> CfgError)?;
            option.push_str(", ");
            option.push_str(value);
            return Ok(());
        }
        let name = before.trim();
        if self.sections.contains_key(name) {
            return Err(CfgError::Twice);
        }
        // Of an option that stands twice DIRAC takes the last one.
        self.options.insert(name.into(), value.to_owned());
        Ok(())
    }

    fn has(&self, name: &str) -> bool {
        self.sections.contains_key(name) || self.options.contains_key(name)
    }

    /// The section at this path, for example `/Registry/Groups`; the configuration itself for `/`.
    pub fn section(&self, path: &str) -> Option<&Self> {
        parts(path).try_fold(self, |section, name| section.sections.get(name))
    }

    /// The value at this path.
    pub fn option(&self, path: &str) -> Option<&str> {
        let (section, name) = path.rsplit_once('/')?;
        self.section(section)?.options.get(name).map(String::as_str)
    }

    /// The values at this path, of which DIRAC writes several with commas between them.
    pub fn list(&self, path: &str) -> Vec<&str> {
        list(self.option(path).unwrap_or_default())
    }

    /// The sections in this one, with their names.
    pub fn sections(&self) -> impl Iterator<Item = (&str, &Self)> {
        self.sections.iter().map(|(name, section)| (name.as_ref(), section))
    }

    /// Gives the option at this path this value. The sections on the way are made.
    pub fn set(&mut self, path: &str, value: &str) {
        let (sections, name) = path.rsplit_once('/').unwrap_or(("", path));
        let section = parts(sections).fold(self, |section, name| section.sections.entry(name.into()).or_default());
        section.options.insert(name.into(), value.to_owned());
    }

    /// Takes the option or section at this path out.
    #[cfg(test)]
    pub(super) fn take_out(&mut self, path: &str) {
        let (sections, name) = path.rsplit_once('/').unwrap_or(("", path));
        if let Some(section) = parts(sections).try_fold(self, |section, name| section.sections.get_mut(name)) {
            section.options.remove(name);
            section.sections.remove(name);
        }
    }

    /// Whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.options.is_empty() && self.sections.is_empty()
    }

    fn write(&self, f: &mut fmt::Formatter<'_>, depth: usize) -> fmt::Result {
        let indent = "  ".repeat(depth);
        for (name, value) in &self.options {
            writeln!(f, "{indent}{name} = {value}")?;
        }
        for (name, section) in &self.sections {
            writeln!(f, "{indent}{name}\n{indent}{{")?;
            section.write(f, depth + 1)?;
            writeln!(f, "{indent}}}")?;
        }
        Ok(())
    }
}

/// The text that [`Cfg::parse`] and DIRAC read.
impl fmt::Display for Cfg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, 0)
    }
}

/// The values of an option, of which several have commas between them.
pub fn list(value: &str) -> Vec<&str> {
    value.split(',').map(str::trim).filter(|one| !one.is_empty()).collect()
}

/// An option with these values, and with those of `more` that are not among them.
pub(super) fn with<'a>(has: &[&'a str], more: impl IntoIterator<Item = &'a str>) -> String {
    let more = more.into_iter().filter(|one| !has.contains(one));
    has.iter().copied().chain(more).collect::<Vec<_>>().join(", ")
}

fn parts(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter(|name| !name.is_empty())
}

#[cfg(test)]
#[path = "cfg_tests.rs"]
mod tests;
