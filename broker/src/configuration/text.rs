//! The text of DIRAC's configuration (`diraccfg/cfg.py`): sections in curly brackets, options with `=`, `+=` which puts one
//! more value at the end of a list, and comments, which belong to the entry that follows them.
//!
//! A text that a Configuration server served is written back byte by byte. Any other text is written as that server would write it after
//! a commit: indented by two spaces, a `+=` for each further value of a list, a `#` before each comment and none in it, and without what
//! stands behind the last entry.
//!
//! The text comes from a service, so that its length, its depth and the number of its entries have bounds, and no text makes it panic.

use std::fmt;

use super::cfg::{Cfg, Entry, Item, list};

/// The longest text that is read, in bytes. That of a large installation has some five million.
pub const LONGEST: usize = 16 << 20;
/// The most sections and options.
pub const MOST: usize = 200_000;
/// Sections within each other.
pub const DEEPEST: usize = 32;

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
        let mut open: Vec<(Box<str>, String, Self)> = Vec::new();
        let (mut here, mut name, mut comment, mut entries) = (Self::default(), String::new(), String::new(), 0_usize);
        for (line, content) in (1..).zip(text.lines().map(str::trim)) {
            if content.starts_with('#') {
                remark(&mut comment, content);
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
                        if here.0.contains_key(of) {
                            return Err(CfgError::Twice(line));
                        }
                        if open.len() >= DEEPEST {
                            return Err(CfgError::TooDeep(line));
                        }
                        open.push((of.into(), std::mem::take(&mut comment), std::mem::take(&mut here)));
                    }
                    '}' => {
                        let (of, comment, outer) = open.pop().ok_or(CfgError::TooManyClosed(line))?;
                        let inner = std::mem::replace(&mut here, outer);
                        here.0.insert(of, Entry { comment, item: Item::Section(inner) });
                    }
                    '=' => {
                        let comment = std::mem::take(&mut comment);
                        here.option_from(content, at, comment).map_err(|wrong| wrong(line))?;
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
    fn option_from(&mut self, line: &str, at: usize, comment: String) -> Result<(), fn(usize) -> CfgError> {
        let (before, after) = line.split_at(at);
        let value = after.strip_prefix('=').unwrap_or(after).trim();
        if let Some(name) = before.strip_suffix('+') {
            let Some(Entry { item: Item::Option(option), .. }) = self.0.get_mut(name.trim()) else {
                return Err(CfgError::NothingToAddTo);
            };
            option.push_str(", ");
            option.push_str(value);
            return Ok(());
        }
        let name = before.trim();
        if matches!(self.0.get(name), Some(Entry { item: Item::Section(_), .. })) {
            return Err(CfgError::Twice);
        }
        // Of an option that stands twice DIRAC takes the last one, at the place of the first.
        self.0.insert(name.into(), Entry { comment, item: Item::Option(value.to_owned()) });
        Ok(())
    }

    fn write(&self, f: &mut fmt::Formatter<'_>, depth: usize) -> fmt::Result {
        let indent = "  ".repeat(depth);
        for (name, entry) in &self.0 {
            for line in entry.comment.lines() {
                writeln!(f, "{indent}#{line}")?;
            }
            match &entry.item {
                Item::Option(value) => {
                    let values = list(value);
                    writeln!(f, "{indent}{name} = {}", values.first().unwrap_or(&""))?;
                    for value in values.iter().skip(1) {
                        writeln!(f, "{indent}{name} += {value}")?;
                    }
                }
                Item::Section(section) => {
                    writeln!(f, "{indent}{name}\n{indent}{{")?;
                    section.write(f, depth + 1)?;
                    writeln!(f, "{indent}}}")?;
                }
            }
        }
        Ok(())
    }
}

/// The text that [`Cfg::parse`] and DIRAC read, as DIRAC writes it (`CFG.serialize`).
impl fmt::Display for Cfg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, 0)
    }
}

/// Takes one more line into a comment. DIRAC keeps no `#` in it, and no empty line.
fn remark(comment: &mut String, line: &str) {
    let line = line.replace('#', "");
    let line = line.trim();
    if !line.is_empty() {
        comment.push_str(line);
        comment.push('\n');
    }
}

#[cfg(test)]
#[path = "text_tests.rs"]
mod tests;
