//! DIRAC's configuration as a tree of sections and options, in the order in which they stand, with their comments.

use indexmap::IndexMap;

/// A section: its options and the sections in it, in their order. The configuration is one. Two are equal whatever their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cfg(pub(super) IndexMap<Box<str>, Entry>);

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// Lines, without their `#`.
    pub(super) comment: String,
    pub(super) item: Item,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Item {
    Option(String),
    Section(Cfg),
}

/// What stands at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At<'a> {
    /// An option with this value.
    Option(&'a str),
    /// A section.
    Section(&'a Cfg),
}

impl Cfg {
    /// What stands at this path, for example `/Registry/Groups`; `None`: nothing does. The configuration itself has no path.
    pub fn at(&self, path: &str) -> Option<At<'_>> {
        self.entry(path).map(|entry| match &entry.item {
            Item::Option(value) => At::Option(value),
            Item::Section(section) => At::Section(section),
        })
    }

    /// The section at this path; the configuration itself for `/`.
    pub fn section(&self, path: &str) -> Option<&Self> {
        parts(path).try_fold(self, |section, name| match &section.0.get(name)?.item {
            Item::Section(section) => Some(section),
            Item::Option(_) => None,
        })
    }

    fn entry(&self, path: &str) -> Option<&Entry> {
        let (sections, name) = split(path);
        self.section(sections)?.0.get(name)
    }

    /// The value at this path.
    pub fn option(&self, path: &str) -> Option<&str> {
        match self.at(path) {
            Some(At::Option(value)) => Some(value),
            _ => None,
        }
    }

    /// The values at this path, of which DIRAC writes several with commas between them.
    pub fn list(&self, path: &str) -> Vec<&str> {
        list(self.option(path).unwrap_or_default())
    }

    /// The options in this section, with their names and values.
    pub fn options(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().filter_map(|(name, entry)| match &entry.item {
            Item::Option(value) => Some((name.as_ref(), value.as_str())),
            Item::Section(_) => None,
        })
    }

    /// The sections in this one, with their names.
    pub fn sections(&self) -> impl Iterator<Item = (&str, &Self)> {
        self.0.iter().filter_map(|(name, entry)| match &entry.item {
            Item::Section(section) => Some((name.as_ref(), section)),
            Item::Option(_) => None,
        })
    }

    /// The section at this path, which is made with those on the way to it; `None` where an option stands in the way.
    pub fn make_section(&mut self, path: &str) -> Option<&mut Self> {
        parts(path).try_fold(self, |section, name| {
            let new = || Entry { comment: String::new(), item: Item::Section(Self::default()) };
            match &mut section.0.entry(name.into()).or_insert_with(new).item {
                Item::Section(section) => Some(section),
                Item::Option(_) => None,
            }
        })
    }

    /// Gives the option at this path this value. The sections on the way are made, and its comment stays. Nothing is done where an option
    /// stands for a section, or a section for an option.
    pub fn set(&mut self, path: &str, value: &str) {
        let (sections, name) = split(path);
        let Some(section) = self.make_section(sections) else { return };
        let new = || Entry { comment: String::new(), item: Item::Option(String::new()) };
        if let Item::Option(option) = &mut section.0.entry(name.into()).or_insert_with(new).item {
            value.clone_into(option);
        }
    }

    /// Takes the option or section at this path out.
    pub fn take_out(&mut self, path: &str) {
        let (sections, name) = split(path);
        let section = parts(sections).try_fold(self, |section, name| match &mut section.0.get_mut(name)?.item {
            Item::Section(section) => Some(section),
            Item::Option(_) => None,
        });
        if let Some(section) = section {
            section.0.shift_remove(name);
        }
    }

    /// The comment of the entry at this path, in lines.
    pub fn comment(&self, path: &str) -> impl Iterator<Item = &str> {
        self.entry(path).into_iter().flat_map(|entry| entry.comment.lines())
    }

    /// Signs the entry at this path with a line of its comment, in place of the lines that begin with `mark`.
    pub(super) fn sign(&mut self, path: &str, mark: &str, line: &str) {
        let (sections, name) = split(path);
        if let Some(entry) = self.make_section(sections).and_then(|section| section.0.get_mut(name)) {
            let others = entry.comment.lines().filter(|line| !line.starts_with(mark));
            entry.comment = others.chain([line]).flat_map(|line| [line, "\n"]).collect();
        }
    }

    /// Whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The values of an option, of which several have commas between them.
pub fn list(value: &str) -> Vec<&str> {
    value.split(',').map(str::trim).filter(|one| !one.is_empty()).collect()
}

/// An option with these values, and with those of `more` that are not among them.
pub fn with<'a>(has: &[&'a str], more: impl IntoIterator<Item = &'a str>) -> String {
    let more = more.into_iter().filter(|one| !has.contains(one));
    has.iter().copied().chain(more).collect::<Vec<_>>().join(", ")
}

fn parts(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter(|name| !name.is_empty())
}

/// The path of the section around it, and the name of the last part.
fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}
