//! What an OpenStack driver is told: where Keystone is, how the project is entered, what its VMs are attached to.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use secrecy::SecretString;

use super::oidc::Identity;
use crate::{
    address::Policy,
    cloud::{Gpu, Purchase},
};

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
    /// Security groups of every VM's ports, by name or id. None: `default`.
    pub security_groups: Vec<String>,
    /// Availability zones that may be asked for; only looked up here, the order says which.
    pub zones: Vec<String>,
    /// Images by the name that pools use. Each names an image at Glance.
    pub images: BTreeMap<String, NameOrId>,
    /// Whether VMs get their user-data on a config drive, too. True is right nearly everywhere: where no metadata agent serves their
    /// network they get it no other way, and would miss their boot deadline one and all.
    pub config_drive: bool,
    /// Size in GiB of the volume that every VM boots from, made from its image and deleted with it. None: VMs boot from their flavor's
    /// disk, and flavors without one are not sold.
    pub root_volume_gib: Option<u64>,
    /// What holds of a flavor's GPUs in place of what its extra specs say; `None` in it: it has none. By the flavor's name.
    pub gpus: BTreeMap<String, Option<Gpu>>,
    /// Flavors whose VMs the site takes back when it needs the room: they are sold as Spot. Nova has no word for them.
    pub spot: BTreeSet<String>,
}

impl Config {
    /// How a flavor is sold.
    pub(super) fn purchase(&self, flavor: &str) -> Purchase {
        if self.spot.contains(flavor) { Purchase::Spot } else { Purchase::OnDemand }
    }
}

/// How a project is entered.
#[derive(Clone, Debug)]
pub enum Credential {
    /// A user of a domain, in a project that must be named.
    Password {
        /// User by name.
        username: String,
        /// The domain in which the user's name is unique.
        user_domain: NameOrId,
        /// The user's password.
        password: SecretString,
        /// The project that is entered.
        project: Project,
    },
    /// An application credential, which belongs to one project.
    Application {
        /// The application credential's id, not its name.
        id: String,
        /// The application credential's secret, which Keystone showed once.
        secret: SecretString,
    },
    /// An identity of another provider, which Keystone lets in.
    Federated {
        /// Keystone's name of the identity provider.
        provider: String,
        /// Keystone's name of the protocol.
        protocol: String,
        /// The project that is entered.
        project: Project,
        /// The identity. Clouds of one Secret share it.
        identity: Arc<Identity>,
    },
}

/// Which project a user with a password, or a federated identity, enters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Project {
    /// By its id, which is enough alone.
    Id(String),
    /// By its name, which is unique in its domain.
    Named {
        /// The project's name.
        name: String,
        /// The domain in which that name is unique.
        domain: NameOrId,
    },
}

/// A thing known by name or by id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NameOrId {
    /// By its name, which must be unique where it is looked up.
    Name(String),
    /// By its id at the provider.
    Id(String),
}
