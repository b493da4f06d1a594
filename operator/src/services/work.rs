//! One look at one managed installation: what all that is done in it is given.

use crds::{DiracInstallation, managed::Managed};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::Resource;

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
    pub fn owner(&self) -> OwnerReference {
        // An object that was read has a name and a UID.
        self.installation.controller_owner_ref(&()).unwrap_or_default()
    }

    /// The labels by which its objects are found.
    pub fn labels(&self) -> String {
        format!("{INSTALLATION_LABEL}={}", self.key.name)
    }
}
