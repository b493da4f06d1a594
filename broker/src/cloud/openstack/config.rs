//! What an OpenStack driver is told: where Keystone is, how the project is entered, what its VMs are attached to.

use std::collections::BTreeMap;

use secrecy::SecretString;

use crate::address::Policy;

/// One project in one region.
#[derive(Clone, Debug)]
pub struct Config {
    /// Keystone's v3 address, with `/v3` at its end.
    pub auth_url: String,
    /// Region of Keystone's catalogue.
    pub region: String,
    /// Which endpoints of the catalogue are used: `public`, `internal` or `admin`.
    pub interface: String,
    /// How the project is entered.
    pub credential: Credential,
    /// PEM certificates trusted beside the public authorities.
    pub ca_pem: Option<String>,
    /// Which addresses may be asked: of Keystone, and of whatever its catalogue leads to.
    pub addresses: Policy,
    /// Networks of every VM, one port each, in this order. None: Nova takes the project's only one.
    pub networks: Vec<NameOrId>,
    /// Names of the security groups of every VM's ports. None: `default`.
    pub security_groups: Vec<String>,
    /// Availability zones that may be asked for; only looked up here, the order says which.
    pub zones: Vec<String>,
    /// Images, by the pools' name for them.
    pub images: BTreeMap<String, NameOrId>,
}

/// How a project is entered.
#[derive(Clone, Debug)]
pub enum Credential {
    /// A user of a domain, in a project that must be named.
    Password {
        /// User by name.
        username: String,
        /// The user's domain by name.
        user_domain: String,
        /// The password.
        password: SecretString,
        /// Project by name.
        project: String,
        /// The project's domain by name.
        project_domain: String,
    },
    /// An application credential, which belongs to one project.
    Application {
        /// Its id.
        id: String,
        /// Its secret.
        secret: SecretString,
    },
}

/// A thing known by name or by id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NameOrId {
    /// By its name, which must be unique where it is looked up.
    Name(String),
    /// By its id.
    Id(String),
}
