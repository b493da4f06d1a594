//! DIRAC's configuration as an installation begins with it, and the files that each process reads itself.
//!
//! What services publish to everybody stands in `Local.cfg`, which the Configuration server reads once; each process reads `dirac.cfg`,
//! and beside it what only it may know (`secrets.cfg`, see `keys.rs`). DIRAC's own defaults of each component, the authorizations of its
//! methods among them, are put under it from `ConfigTemplate.cfg` of the version that runs, when the first pod starts.

use broker::configuration::Cfg;
use serde_json::Value;

use super::catalogue::{CONFIGURATION, Chosen, Component, DATABASES, Kind, Wrong};

/// The storage element in which sandboxes lie, as DIRAC and DiracX call it.
pub const SANDBOX_SE: &str = "ProductionSandboxSE";
/// The site of the services themselves. It runs no jobs.
pub const OWN_SITE: &str = "DIRAC.Services.local";
/// The optimizers that each job passes.
const OPTIMIZERS: &str = "JobPath, JobSanity, InputData, JobScheduling";
/// What the hosts of an installation may do: its services call each other, and the operator reads the task queues and registers pilots.
const HOST_PROPERTIES: &str = "TrustedHost, JobAdministrator, Operator, GenericPilot, NormalUser, CSAdministrator, ProxyManagement, \
                               FullDelegation, SiteManager, ServiceAdministrator";
/// Where a pod has its files.
const HOST_CERTIFICATE: &str = "/etc/dirac/host/tls.crt";
const HOST_KEY: &str = "/etc/dirac/host/tls.key";

/// What answers calls of the Configuration server by DISET.
const HANDLER: &str = "DIRAC/ConfigurationSystem/Service/ConfigurationHandler.py";

/// Where the stores are reached.
#[derive(Clone, Debug, Default)]
pub struct Stores {
    pub database: Address,
    pub search: Address,
}

/// Host and port.
#[derive(Clone, Debug, Default)]
pub struct Address {
    pub host: String,
    pub port: u16,
}

/// What the text is made from.
pub struct Basis<'a> {
    /// The host name under which users and pilots reach the installation.
    pub host: &'a str,
    /// Whose certificate the services have, for example `/O=DIRAC/CN=dirac.example.org`.
    pub host_dn: &'a str,
    pub version: &'a str,
    pub chosen: &'a [Chosen],
    /// Sections and options of the manifest.
    pub more: &'a std::collections::BTreeMap<String, Value>,
    pub stores: &'a Stores,
}

impl Basis<'_> {
    /// The address of a service as everybody has it.
    pub fn url(&self, component: &Component) -> String {
        let port = component.port().unwrap_or_default();
        format!("dips://{}:{port}/{}", self.host, component.name)
    }

    /// `Local.cfg`. Wrong: what the manifest says cannot stand in it.
    pub fn published(&self) -> Result<Cfg, Wrong> {
        let mut cfg = Cfg::default();
        self.addresses(&mut cfg);
        self.diracx(&mut cfg);
        cfg.set(&format!("/Registry/Hosts/{}/DN", self.host), self.host_dn);
        cfg.set(&format!("/Registry/Hosts/{}/Properties", self.host), HOST_PROPERTIES);
        // Empty: else DiracX writes a module into each job that DIRAC does not have.
        cfg.set("/Operations/Defaults/SoftwareDistModule", "");
        let input_data = "DIRAC.WorkloadManagementSystem.Client.InputDataResolution";
        cfg.set("/Operations/Defaults/InputDataPolicy/InputDataModule", input_data);
        cfg.set("/Operations/Defaults/Pilot/Version", self.version);
        cfg.set("/Operations/Defaults/Pilot/CheckVersion", "False");
        self.sandboxes(&mut cfg);
        self.systems(&mut cfg);
        merge(&mut cfg, "", self.more)?;
        Ok(cfg)
    }

    fn addresses(&self, cfg: &mut Cfg) {
        let url = self.url(&CONFIGURATION);
        let at = |name: &str| format!("/DIRAC/Configuration/{name}");
        cfg.set(&at("Name"), "Local");
        cfg.set(&at("Servers"), &url);
        cfg.set(&at("MasterServer"), &url);
        // A change is known everywhere a minute later.
        cfg.set(&at("RefreshTime"), "60");
        cfg.set(&at("EnableAutoMerge"), "yes");
    }

    fn diracx(&self, cfg: &mut Cfg) {
        cfg.set("/DiracX/URL", &format!("https://{}", self.host));
        cfg.set("/DiracX/FutureClientEnabled/WorkloadManagement/JobStateUpdate", "True");
        // The conversion for DiracX fails where one of these is not there.
        for section in ["/DiracX/CsSync/VOs", "/Registry/Users", "/Registry/Groups", "/Registry/VO"] {
            cfg.make_section(section);
        }
    }

    fn sandboxes(&self, cfg: &mut Cfg) {
        let at = format!("/Resources/StorageElements/{SANDBOX_SE}");
        cfg.set(&format!("{at}/BackendType"), "DISET");
        let options = [
            ("Host", self.host),
            ("Port", "9196"),
            ("ProtocolName", "DIP"),
            ("Protocol", "dips"),
            ("Path", "/WorkloadManagement/SandboxStore"),
            ("Access", "remote"),
        ];
        for (name, value) in options {
            cfg.set(&format!("{at}/DIP/{name}"), value);
        }
    }

    fn systems(&self, cfg: &mut Cfg) {
        for Chosen { component, .. } in self.chosen {
            let (system, short) = (component.system(), component.short());
            if let (Kind::Service(port), false) = (component.kind, system == "Configuration") {
                cfg.set(&format!("/Systems/{system}/URLs/{short}"), &self.url(component));
                cfg.set(&format!("/Systems/{system}/Services/{short}/Port"), &port.to_string());
            }
        }
        // DIRAC's template has the handler for https.
        cfg.set("/Systems/Configuration/Services/Server/HandlerPath", HANDLER);
        for database in DATABASES {
            cfg.set(&format!("/Systems/{}/Databases/{}/DBName", database.system, database.name), database.name);
        }
        let at = "/Systems/WorkloadManagement";
        cfg.set(&format!("{at}/Executors/Optimizers/Load"), OPTIMIZERS);
        cfg.set(&format!("{at}/Services/SandboxStore/LocalSE"), SANDBOX_SE);
        cfg.set(&format!("{at}/Services/SandboxStore/UseDiracXBackend"), "True");
        // A job that comes through DiracX waits for the next scan: nobody tells OptimizationMind of it. 60 is the shortest that it takes.
        cfg.set(&format!("{at}/Services/OptimizationMind/LoadJobPeriod"), "60");
        for (agent, seconds) in [
            ("StalledJobAgent", "120"),
            ("TaskQueuesAgent", "120"),
            ("JobCleaningAgent", "3600"),
            ("PilotStatusAgent", "300"),
        ] {
            cfg.set(&format!("{at}/Agents/{agent}/PollingTime"), seconds);
        }
    }

    /// `dirac.cfg` of clients.
    pub fn of_clients(&self) -> Cfg {
        let mut cfg = Cfg::default();
        cfg.set("/DIRAC/Configuration/Servers", &self.url(&CONFIGURATION));
        cfg
    }

    /// `dirac.cfg` of all pods but that of the Configuration server.
    pub fn of_pods(&self) -> Cfg {
        let mut cfg = Cfg::default();
        cfg.set("/DIRAC/Hostname", self.host);
        cfg.set("/DIRAC/Security/UseServerCertificate", "yes");
        cfg.set("/DIRAC/Security/CertFile", HOST_CERTIFICATE);
        cfg.set("/DIRAC/Security/KeyFile", HOST_KEY);
        cfg.set("/DIRAC/Configuration/Servers", &self.url(&CONFIGURATION));
        cfg.set("/LocalSite/Site", OWN_SITE);
        let databases = "/Systems/Databases";
        cfg.set(&format!("{databases}/User"), super::DATABASE_USER);
        cfg.set(&format!("{databases}/Host"), &self.stores.database.host);
        cfg.set(&format!("{databases}/Port"), &self.stores.database.port.to_string());
        let search = "/Systems/NoSQLDatabases";
        cfg.set(&format!("{search}/Host"), &self.stores.search.host);
        cfg.set(&format!("{search}/Port"), &self.stores.search.port.to_string());
        cfg.set(&format!("{search}/SSL"), "No");
        cfg.set(&format!("{search}/User"), "dirac");
        cfg.set(&format!("{search}/Password"), "none");
        cfg
    }

    /// `dirac.cfg` of the Configuration server.
    pub fn of_configuration(&self) -> Cfg {
        let mut cfg = self.of_pods();
        let at = |name: &str| format!("/DIRAC/Configuration/{name}");
        cfg.set(&at("Name"), "Local");
        cfg.set(&at("Master"), "yes");
        cfg.set(&at("AutoPublish"), "no");
        cfg.set(&at("AutoSlaveSync"), "no");
        cfg.set(&at("MasterServer"), &self.url(&CONFIGURATION));
        let server = "/Systems/Configuration/Services/Server";
        cfg.set(&format!("{server}/HandlerPath"), HANDLER);
        cfg.set(&format!("{server}/Port"), "9135");
        cfg.set(&format!("{server}/Authorization/Default"), "authenticated");
        cfg.set(&format!("{server}/Authorization/commitNewData"), "CSAdministrator");
        cfg
    }
}

/// Puts sections and options of a manifest over what there is. A list becomes DIRAC's list, with commas.
fn merge<'a, N: AsRef<str> + 'a>(
    cfg: &mut Cfg,
    path: &str,
    more: impl IntoIterator<Item = (N, &'a Value)>,
) -> Result<(), Wrong> {
    for (name, value) in more {
        let name = name.as_ref();
        let at = format!("{path}/{name}");
        // One of these would begin something else in DIRAC's text.
        if name.is_empty() || name.contains(['/', '{', '}', '=', '#', '\n', '\r', ',']) {
            return Err(format!("configuration has {at:?}, which cannot be a name in DIRAC's configuration"));
        }
        let value = match value {
            Value::Object(section) => {
                merge(cfg, &at, section)?;
                continue;
            }
            Value::Array(list) => list.iter().map(text).collect::<Vec<_>>().join(", "),
            one => text(one),
        };
        if value.contains(['\n', '\r']) {
            return Err(format!(
                "configuration has a value of several lines at {at}: DIRAC's options have one line each"
            ));
        }
        cfg.set(&at, &value);
        if cfg.option(&at) != Some(value.as_str()) {
            return Err(format!(
                "configuration has a value at {at}, where a section stands, or a section on the way is an option"
            ));
        }
    }
    Ok(())
}

/// A value as DIRAC writes it.
fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

#[cfg(test)]
#[path = "configuration_tests.rs"]
mod tests;
