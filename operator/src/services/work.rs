//! One look at one managed installation: what all that is done in it is given.

use crds::{DiracInstallation, managed::Managed};
use kube::{Resource, ResourceExt};
use serde_json::{Value, json};

use crate::{
    context::Context,
    names::{INSTALLATION_LABEL, Key},
};

/// One look at one installation.
pub struct Work<'a> {
    pub ctx: &'a Context,
    pub key: &'a Key,
    pub installation: &'a DiracInstallation,
    pub spec: &'a Managed,
}

impl Work<'_> {
    /// The reference to the installation's object, for what goes with it.
    pub fn owner(&self) -> Value {
        json!({
            "apiVersion": DiracInstallation::api_version(&()),
            "kind": DiracInstallation::kind(&()),
            "name": self.key.name,
            "uid": self.installation.uid(),
            "controller": true,
        })
    }

    /// The labels by which its objects are found.
    pub fn labels(&self) -> String {
        format!("{INSTALLATION_LABEL}={}", self.key.name)
    }
}
