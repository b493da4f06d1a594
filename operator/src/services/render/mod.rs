//! What an installation is made of: pure, from its manifest and what is known, to objects in stages.
//!
//! | stage | what | waits for |
//! |---|---|---|
//! | front | the one Service, whose address all pods need | |
//! | settings | configuration files, network policies | the address, keys, a certificate |
//! | stores | MariaDB, OpenSearch, S3, Redis | |
//! | schemas | the user and the databases, by a Job | MariaDB |
//! | configuration | the Configuration server, and DiracX's own databases | schemas, OpenSearch |
//! | preparation | tables that DIRAC's classes make, rows of the sandboxes' storage element, by a Job | the Configuration server |
//! | services | DIRAC's services, DiracX | preparation |
//! | work | executors and agents, DiracX's tasks | services |

mod dirac;
mod diracx;
mod jobs;
mod pod;
mod stores;
mod workload;

use crds::managed::Managed;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{
    catalogue::{self, Chosen, Kind, Wrong},
    configuration::{Address, Basis, Stores},
    encode::hex,
    names::Names,
};
use crate::images::Images;

/// Images are named by versions, which do not change.
const PULL: &str = "IfNotPresent";

/// What objects are made from.
pub struct Installation<'a> {
    pub names: Names,
    pub spec: &'a Managed,
    pub images: &'a Images,
    /// The owner's reference in each object.
    pub owner: Value,
    pub chosen: Vec<Chosen>,
    /// The address of the one Service, once it has one.
    pub address: Option<String>,
    /// The Secret with the host certificate.
    pub certificate: &'a str,
    /// Whose certificate that is, as DIRAC writes names.
    pub host_dn: &'a str,
    /// Who signed it, in PEM form.
    pub authority: &'a str,
    /// Says that the certificate or the keys changed.
    pub version_of_secrets: &'a str,
}

/// Objects that are applied together once those before are ready.
#[derive(Debug)]
pub struct Stage {
    pub name: &'static str,
    pub objects: Vec<Value>,
}

impl Installation<'_> {
    /// Where the stores are.
    fn stores(&self) -> Stores {
        let own = |part: &str, port: u16| Address { host: self.names.of(part), port };
        let database = match self.spec.external_database() {
            Some(external) => Address {
                host: external.host.clone(),
                port: external.port.and_then(|port| u16::try_from(port).ok()).unwrap_or(stores::MARIADB_PORT),
            },
            None => own(stores::MARIADB, stores::MARIADB_PORT),
        };
        Stores { database, search: own(stores::OPENSEARCH, stores::OPENSEARCH_PORT) }
    }

    fn basis<'b>(&'b self, stores: &'b Stores) -> Basis<'b> {
        Basis {
            host: &self.spec.host,
            host_dn: self.host_dn,
            version: &self.spec.dirac_version,
            chosen: &self.chosen,
            more: &self.spec.configuration,
            stores,
        }
    }
}

/// The one Service. It comes before all else: its address stands in every pod.
pub fn front(installation: &Installation<'_>) -> Value {
    let mut ports: Vec<(u16, u16)> = catalogue::all().filter_map(|c| c.port()).map(|port| (port, port)).collect();
    ports.push((443, diracx::PORT));
    workload::front(installation, &ports)
}

/// Everything else, stage after stage.
pub fn stages(installation: &Installation<'_>) -> Result<Vec<Stage>, Wrong> {
    let stores = installation.stores();
    let basis = installation.basis(&stores);
    let settings = dirac::settings(installation, &basis)?;
    let made_from = fingerprint(&json!([settings["data"]["pods.cfg"], installation.version_of_secrets]));
    let services = installation.chosen.iter().filter(|c| matches!(c.component.kind, Kind::Service(_)));
    let (configuration, services): (Vec<_>, Vec<_>) = services.partition(|c| c.component == catalogue::CONFIGURATION);
    let others = installation.chosen.iter().filter(|c| !matches!(c.component.kind, Kind::Service(_)));
    let stage = |name, objects| Stage { name, objects };
    let each = |chosen: Vec<&Chosen>| {
        chosen.into_iter().flat_map(|c| dirac::component(installation, c, &made_from)).collect::<Vec<_>>()
    };
    let mut configuration: Vec<Value> =
        configuration.into_iter().flat_map(|c| dirac::configuration(installation, c)).collect();
    configuration.push(diracx::databases(installation));
    let mut answering = each(services);
    answering.extend(diracx::api(installation, &made_from));
    let mut working = each(others.collect());
    working.extend(diracx::tasks(installation, &made_from));
    Ok(vec![
        stage("settings", vec![settings, dirac::client(installation, &basis)]),
        stage("stores", stores::objects(installation)),
        stage("schemas", vec![jobs::schemas(installation)]),
        stage("configuration", configuration),
        stage("preparation", vec![jobs::preparation(installation)]),
        stage("services", answering),
        stage("work", working),
    ])
}

/// Says whether something changed: 64 digits.
pub fn fingerprint(value: &Value) -> String {
    hex(&Sha256::digest(value.to_string()))
}

#[cfg(test)]
#[path = "render_tests.rs"]
mod tests;
