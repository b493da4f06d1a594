//! What we own in DIRAC's configuration: paths, and what stands at each by our will.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::cfg::list;

/// What stands at a path by our will.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Value {
    /// An option with this value, and no other. Where it is a list, DIRAC and we compare its values one by one.
    Is(String),
    /// An option with these values in its list. Others may stand beside them, and are not ours.
    Has(BTreeSet<String>),
    /// A section, whatever is in it.
    Section,
}

impl Value {
    /// The values that it has in its list.
    pub(super) fn elements(&self) -> BTreeSet<&str> {
        match self {
            Self::Is(value) => list(value).into_iter().collect(),
            Self::Has(all) => all.iter().map(String::as_str).collect(),
            Self::Section => BTreeSet::new(),
        }
    }
}

/// Why something cannot stand in DIRAC's configuration, or cannot be ours.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// A name in the path that DIRAC would read as something else.
    #[error(
        "{0:?} cannot be a path in DIRAC's configuration: a name may have none of / {{ }} = + # , and no control character"
    )]
    Path(String),
    /// A value that DIRAC would read as something else.
    #[error("the value of {0:?} cannot stand in DIRAC's configuration: it has a control character")]
    Value(String),
    /// What the Configuration server writes itself.
    #[error("{0:?} is the Configuration server's own")]
    Servers(String),
}

/// Paths that we own, with what we want there, or with what we have written there.
///
/// As JSON it is an object: a path with a text, a list, or null for a section.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "BTreeMap<String, Value>", into = "BTreeMap<String, Value>")]
pub struct Owned {
    paths: BTreeMap<String, Value>,
    unsure: BTreeSet<String>,
}

impl Owned {
    /// Owns what is at this path. Where lists of one option are given twice, it has the values of both.
    pub fn own(&mut self, path: &str, value: Value) -> Result<(), Unfit> {
        let path = fit(path)?;
        let value = match value {
            Value::Is(value) if value.contains(char::is_control) => return Err(Unfit::Value(path)),
            Value::Is(value) => Value::Is(plain(&value)),
            Value::Has(all) if all.iter().any(|one| one.contains(char::is_control)) => return Err(Unfit::Value(path)),
            Value::Has(all) => {
                let mut all: BTreeSet<String> = all.iter().flat_map(|one| list(one)).map(str::to_owned).collect();
                if let Some(Value::Has(before)) = self.paths.get(&path) {
                    all.extend(before.iter().cloned());
                }
                if all.is_empty() {
                    return Ok(());
                }
                Value::Has(all)
            }
            Value::Section => Value::Section,
        };
        self.paths.insert(path, value);
        Ok(())
    }

    /// It is not known now what we want below this path: what we have written there stays.
    pub fn unsure(&mut self, path: &str) -> Result<(), Unfit> {
        self.unsure.insert(fit(path)?);
        Ok(())
    }

    /// Whether it is not known what we want at this path.
    pub(super) fn is_unsure(&self, path: &str) -> bool {
        self.unsure.iter().any(|unsure| path == unsure || is_below(path, unsure))
    }

    /// What is ours at this path.
    pub fn get(&self, path: &str) -> Option<&Value> {
        self.paths.get(path)
    }

    /// All that is ours.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.paths.iter().map(|(path, value)| (path.as_str(), value))
    }

    /// Whether nothing is ours.
    pub fn is_empty(&self) -> bool {
        self.paths.is_empty()
    }

    /// Takes in what comes from another one.
    pub(super) fn put(&mut self, path: &str, value: Value) {
        self.paths.insert(path.to_owned(), value);
    }
}

impl TryFrom<BTreeMap<String, Value>> for Owned {
    type Error = Unfit;

    fn try_from(paths: BTreeMap<String, Value>) -> Result<Self, Unfit> {
        let mut owned = Self::default();
        paths.into_iter().try_for_each(|(path, value)| owned.own(&path, value))?;
        Ok(owned)
    }
}

impl From<Owned> for BTreeMap<String, Value> {
    fn from(owned: Owned) -> Self {
        owned.paths
    }
}

/// A value as DIRAC keeps it: without spaces around it and around the commas of a list, and without empty places in a list.
pub(super) fn plain(value: &str) -> String {
    list(value).join(", ")
}

/// Whether a path lies below another one.
pub(super) fn is_below(path: &str, above: &str) -> bool {
    path.strip_prefix(above).is_some_and(|rest| rest.starts_with('/'))
}

/// The sections around a path, from the outermost.
pub(super) fn around(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('/').skip(1).map(|(at, _)| path.split_at(at).0)
}

/// A path, `/` before each of its names.
fn fit(path: &str) -> Result<String, Unfit> {
    const OF_THE_SERVER: [&str; 4] = ["Version", "Name", "Servers", "MasterServer"];
    let names: Vec<&str> = path.split('/').map(str::trim).skip_while(|name| name.is_empty()).collect();
    let is_name = |name: &&str| !name.is_empty() && !name.contains(|c: char| c.is_control() || "{}=+#,".contains(c));
    if names.is_empty() || !names.iter().all(is_name) {
        return Err(Unfit::Path(path.to_owned()));
    }
    if let ["DIRAC"] | ["DIRAC", "Configuration"] = names.as_slice() {
        return Err(Unfit::Servers(path.to_owned()));
    }
    if let ["DIRAC", "Configuration", name] = names.as_slice()
        && OF_THE_SERVER.contains(name)
    {
        return Err(Unfit::Servers(path.to_owned()));
    }
    Ok(format!("/{}", names.join("/")))
}

#[cfg(test)]
#[path = "owned_tests.rs"]
mod tests;
