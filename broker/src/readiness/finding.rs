//! One thing that DIRAC must know: where it stands, what stands there, what is needed, and the very lines to add.

use crate::{
    configuration::cfg::{self, Cfg},
    demand::Fault,
};

/// Whether DIRAC knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// It does.
    Met,
    /// It does not.
    Missing,
    /// Nobody could say.
    Unknown,
}

/// One thing that DIRAC must know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Where it stands: a path in DIRAC's configuration, or the name of a service.
    pub place: String,
    /// Whether DIRAC knows it.
    pub state: State,
    /// What must be there.
    pub needed: String,
    /// What is there; nothing where that is what is needed.
    pub found: String,
    /// Options to give these values, by their paths.
    pub options: Vec<(String, String)>,
    /// What is to be done beside that: a command or a sentence.
    pub steps: Vec<String>,
    /// Why nobody could say.
    pub fault: Option<Fault>,
}

impl Finding {
    /// Something that DIRAC knows.
    pub(super) fn met(place: impl Into<String>, needed: impl Into<String>) -> Self {
        Self {
            place: place.into(),
            state: State::Met,
            needed: needed.into(),
            found: String::new(),
            options: Vec::new(),
            steps: Vec::new(),
            fault: None,
        }
    }

    /// Something that DIRAC lacks, with what is there instead.
    pub(super) fn missing(place: impl Into<String>, needed: impl Into<String>, found: impl Into<String>) -> Self {
        Self { state: State::Missing, found: found.into(), ..Self::met(place, needed) }
    }

    /// Something of which nobody could say whether DIRAC knows it, with the reason.
    pub(super) fn unknown(
        place: impl Into<String>,
        needed: impl Into<String>,
        why: impl Into<String>,
        fault: Option<Fault>,
    ) -> Self {
        Self { state: State::Unknown, found: why.into(), fault, ..Self::met(place, needed) }
    }

    /// The same, cured by giving an option this value.
    pub(super) fn set(mut self, path: impl Into<String>, value: impl Into<String>) -> Self {
        self.options.push((path.into(), value.into()));
        self
    }

    /// The same, with something to be done.
    pub(super) fn step(mut self, what: impl Into<String>) -> Self {
        self.steps.push(what.into());
        self
    }
}

/// Whether DIRAC knows all of it; `None`: nobody could say of everything, and nothing is known to lack.
pub fn holds(findings: &[Finding]) -> Option<bool> {
    let has = |state| findings.iter().any(|finding| finding.state == state);
    if has(State::Missing) { Some(false) } else { (!has(State::Unknown)).then_some(true) }
}

/// The lines that cure all of these, as one piece of DIRAC's configuration; `None` where no line does.
pub fn lines<'a>(findings: impl IntoIterator<Item = &'a Finding>) -> Option<Cfg> {
    let mut all = Cfg::default();
    for (path, value) in findings.into_iter().flat_map(|finding| &finding.options) {
        // Two findings may each add to one list.
        let value = match all.option(path) {
            Some(before) if before != value => joined(before, value),
            _ => value.clone(),
        };
        all.set(path, &value);
    }
    (!all.is_empty()).then_some(all)
}

/// The values of two lists, each once.
fn joined(one: &str, two: &str) -> String {
    let mut all: Vec<&str> = Vec::new();
    for value in cfg::list(one).into_iter().chain(cfg::list(two)) {
        if !all.contains(&value) {
            all.push(value);
        }
    }
    all.join(", ")
}
