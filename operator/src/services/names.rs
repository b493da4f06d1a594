//! What the objects of an installation are called, and the labels by which they are found.

use std::collections::BTreeMap;

use crate::names::{INSTALLATION_LABEL, Key};

/// Label: what the object is of, for example `matcher` or `mariadb`.
pub const PART: &str = "app.kubernetes.io/component";
/// Label of pods that answer calls. The installation's one Service finds them by it.
pub const FRONT: &str = "diracgrid.org/front";
/// Annotation of pods: what they were made from. Another value has them made anew, one by one.
pub const MADE_FROM: &str = "diracgrid.org/made-from";
/// The longest name of an installation: what is put behind it must fit into 63 characters.
pub const LONGEST: usize = 37;
/// The longest host name: a certificate's common name has no more room.
pub const LONGEST_HOST: usize = 64;

/// The names of one installation.
#[derive(Clone, Debug)]
pub struct Names {
    pub key: Key,
}

impl Names {
    /// The Service at which users, pilots and components reach it: it has the name of the installation.
    pub fn service(&self) -> &str {
        &self.key.name
    }

    /// The name of an object, for example `escape-matcher`.
    pub fn of(&self, part: &str) -> String {
        format!("{}-{part}", self.key.name)
    }

    /// The name under which pods of other namespaces reach it.
    pub fn in_cluster(&self) -> String {
        format!("{}.{}.svc", self.key.name, self.key.namespace)
    }

    /// The labels of all its objects.
    pub fn labels(&self) -> BTreeMap<&'static str, String> {
        BTreeMap::from([
            ("app.kubernetes.io/managed-by", "dirac-operator".to_owned()),
            ("app.kubernetes.io/name", "dirac".to_owned()),
            (INSTALLATION_LABEL, self.key.name.clone()),
        ])
    }

    /// The labels of the objects of one part.
    pub fn labels_of(&self, part: &str) -> BTreeMap<&'static str, String> {
        let mut labels = self.labels();
        labels.insert(PART, part.to_owned());
        labels
    }

    /// By which the pods of one part are found. A Deployment's selector cannot change: no version may stand in it.
    pub fn selector(&self, part: &str) -> BTreeMap<&'static str, String> {
        BTreeMap::from([(INSTALLATION_LABEL, self.key.name.clone()), (PART, part.to_owned())])
    }
}
