//! DIRAC's components: what each is, its port, how many of it may run at once, and which databases there are.
//!
//! Ports are those of DIRAC's own `ConfigTemplate.cfg` of each system. How many of each may run was tried by hand with DIRAC 9.1.22; what
//! keeps something in its memory, and every agent, runs once.

use crds::managed::Components;

/// One component of DIRAC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Component {
    /// System and component, for example `WorkloadManagement/Matcher`.
    pub name: &'static str,
    pub kind: Kind,
    /// Whether several of it may run at once.
    pub is_shared: bool,
    profile: Profile,
}

/// What a component is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Answers calls at this port.
    Service(u16),
    /// Does its work in turns.
    Agent,
    /// Takes tasks from OptimizationMind.
    Executor,
}

/// From which profile on a component runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Profile {
    Workload,
    Full,
    /// Only where the manifest names it.
    Named,
}

/// A database of DIRAC's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Database {
    /// The system that has it, for example `WorkloadManagement`.
    pub system: &'static str,
    /// Its name, for example `JobDB`.
    pub name: &'static str,
}

const fn service(name: &'static str, port: u16, is_shared: bool, profile: Profile) -> Component {
    Component { name, kind: Kind::Service(port), is_shared, profile }
}

const fn agent(name: &'static str, profile: Profile) -> Component {
    Component { name, kind: Kind::Agent, is_shared: false, profile }
}

/// The Configuration server. It is the master: there is one, in all profiles.
pub const CONFIGURATION: Component = service("Configuration/Server", 9135, false, Profile::Workload);

use Profile::{Full, Named, Workload};

/// All others.
pub const COMPONENTS: [Component; 28] = [
    service("ResourceStatus/ResourceStatus", 9160, false, Workload),
    service("Framework/ProxyManager", 9152, true, Workload),
    service("WorkloadManagement/JobManager", 9132, true, Workload),
    service("WorkloadManagement/JobMonitoring", 9130, true, Workload),
    service("WorkloadManagement/JobStateUpdate", 9136, true, Workload),
    service("WorkloadManagement/SandboxStore", 9196, true, Workload),
    // It keeps the dispatch of jobs in its memory.
    service("WorkloadManagement/OptimizationMind", 9175, false, Workload),
    service("WorkloadManagement/Matcher", 9170, true, Workload),
    service("WorkloadManagement/PilotManager", 9171, true, Workload),
    // Without these two a job's status that could not be reported is lost, and no accounting is kept. What the first one keeps is sent by
    // RequestExecutingAgent.
    service("RequestManagement/ReqManager", 9140, false, Workload),
    service("Accounting/DataStore", 9133, false, Workload),
    Component { name: "WorkloadManagement/Optimizers", kind: Kind::Executor, is_shared: true, profile: Workload },
    agent("WorkloadManagement/StalledJobAgent", Workload),
    agent("WorkloadManagement/TaskQueuesAgent", Workload),
    agent("WorkloadManagement/JobCleaningAgent", Workload),
    agent("WorkloadManagement/PilotStatusAgent", Workload),
    service("WorkloadManagement/WMSAdministrator", 9145, false, Full),
    service("Framework/TokenManager", 9181, false, Full),
    service("Framework/Notification", 9154, false, Full),
    service("Framework/ComponentMonitoring", 9190, false, Full),
    service("ResourceStatus/ResourceManagement", 9172, false, Full),
    service("Monitoring/WebApp", 9199, false, Full),
    service("Accounting/ReportGenerator", 9134, false, Named),
    service("DataManagement/FileCatalog", 9197, false, Named),
    service("Transformation/TransformationManager", 9131, false, Named),
    service("Production/ProductionManager", 9180, false, Named),
    agent("RequestManagement/RequestExecutingAgent", Named),
    agent("WorkloadManagement/SiteDirector", Named),
];

/// All components that this version knows.
pub fn all() -> impl Iterator<Item = Component> {
    std::iter::once(CONFIGURATION).chain(COMPONENTS)
}

const fn database(system: &'static str, name: &'static str) -> Database {
    Database { system, name }
}

/// The databases, in the order in which they are made. All are made in each profile: an empty one costs nothing, and a component that is
/// named later finds its own.
pub const DATABASES: [Database; 14] = [
    database("WorkloadManagement", "JobDB"),
    database("WorkloadManagement", "JobLoggingDB"),
    database("WorkloadManagement", "PilotAgentsDB"),
    database("WorkloadManagement", "TaskQueueDB"),
    database("WorkloadManagement", "SandboxMetadataDB"),
    database("Framework", "ProxyDB"),
    database("Framework", "TokenDB"),
    database("Framework", "InstalledComponentsDB"),
    database("ResourceStatus", "ResourceStatusDB"),
    database("ResourceStatus", "ResourceManagementDB"),
    database("Accounting", "AccountingDB"),
    database("RequestManagement", "ReqDB"),
    database("Transformation", "TransformationDB"),
    database("Production", "ProductionDB"),
];

impl Component {
    /// The system, for example `WorkloadManagement`.
    pub fn system(&self) -> &'static str {
        self.name.split_once('/').map_or(self.name, |(system, _)| system)
    }

    /// The component alone, for example `Matcher`.
    pub fn short(&self) -> &'static str {
        self.name.split_once('/').map_or(self.name, |(_, short)| short)
    }

    /// What its objects are called after, for example `matcher`.
    pub fn slug(&self) -> String {
        match self.short() {
            "Server" => "configuration".to_owned(),
            short => short.to_ascii_lowercase(),
        }
    }

    /// The port, where it has one.
    pub fn port(&self) -> Option<u16> {
        match self.kind {
            Kind::Service(port) => Some(port),
            Kind::Agent | Kind::Executor => None,
        }
    }

    /// Whether users and pilots may call it. The others are called by DIRAC itself alone.
    pub fn is_public(&self) -> bool {
        self.port().is_some() && self.name != "WorkloadManagement/OptimizationMind"
    }
}

/// A component that runs.
#[derive(Clone, Debug, PartialEq)]
pub struct Chosen {
    pub component: Component,
    pub replicas: u32,
    pub resources: Option<crds::managed::Resources>,
}

/// What of the manifest cannot be done, as a sentence.
pub type Wrong = String;

/// The components that run: those of the profile, and what the manifest says of single ones.
pub fn chosen(components: Option<&Components>) -> Result<Vec<Chosen>, Wrong> {
    let of_profile = match components.and_then(|c| c.profile.as_deref()) {
        Some("full") => Full,
        _ => Workload,
    };
    let overrides = components.map(|c| c.overrides.as_slice()).unwrap_or_default();
    if let Some(unknown) = overrides.iter().find(|o| !all().any(|c| c.name == o.name)) {
        let system = unknown.name.split('/').next().unwrap_or_default();
        let near: Vec<&str> = all().map(|c| c.name).filter(|name| name.starts_with(system)).collect();
        let known = if near.is_empty() { "that system has none".to_owned() } else { near.join(", ") };
        return Err(format!(
            "components.overrides names {:?}, which this version cannot run: it knows {known}",
            unknown.name
        ));
    }
    let mut chosen = Vec::new();
    for component in all() {
        let said = overrides.iter().find(|o| o.name == component.name);
        let runs = match said {
            Some(said) => said.enabled.unwrap_or(true),
            None => component.profile <= of_profile,
        };
        if component == CONFIGURATION && !runs {
            return Err(
                "components.overrides switches Configuration/Server off, without which no component starts".to_owned()
            );
        }
        if runs {
            let asked = said.and_then(|said| said.replicas).and_then(|n| u32::try_from(n).ok());
            let replicas = if component.is_shared { asked.unwrap_or(1) } else { asked.unwrap_or(1).min(1) };
            chosen.push(Chosen { component, replicas, resources: said.and_then(|said| said.resources.clone()) });
        }
    }
    Ok(chosen)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::{Value, json};

    use super::*;

    fn of(components: Value) -> Result<Vec<Chosen>, Wrong> {
        chosen(Some(&serde_json::from_value(components).unwrap()))
    }

    fn names(chosen: &[Chosen]) -> Vec<&str> {
        chosen.iter().map(|c| c.component.name).collect()
    }

    #[test]
    fn no_two_components_share_a_name_of_objects_or_a_port() {
        let slugs: BTreeSet<String> = all().map(|c| c.slug()).collect();
        assert_eq!(slugs.len(), all().count());
        let ports: Vec<u16> = all().filter_map(|c| c.port()).collect();
        assert_eq!(ports.iter().collect::<BTreeSet<_>>().len(), ports.len());
    }

    #[test]
    fn the_small_profile_is_the_default_and_the_full_one_has_all_of_it() {
        let (small, full) = (chosen(None).unwrap(), of(json!({"profile": "full"})).unwrap());
        assert!(
            names(&small).contains(&"Accounting/DataStore") && names(&small).contains(&"RequestManagement/ReqManager")
        );
        assert!(!names(&small).contains(&"Framework/Notification"));
        assert!(small.iter().all(|one| full.contains(one)) && small.len() < full.len());
        assert_eq!(small[0].component, CONFIGURATION);
    }

    #[test]
    fn a_component_that_is_named_runs_as_often_as_it_may() {
        let said = json!({"overrides": [
            {"name": "WorkloadManagement/Matcher", "replicas": 3},
            {"name": "WorkloadManagement/OptimizationMind", "replicas": 3},
            {"name": "Production/ProductionManager"},
            {"name": "Accounting/DataStore", "enabled": false},
        ]});
        let chosen = of(said).unwrap();
        let replicas = |name: &str| chosen.iter().find(|c| c.component.name == name).map(|c| c.replicas);
        assert_eq!(replicas("WorkloadManagement/Matcher"), Some(3));
        assert_eq!(replicas("WorkloadManagement/OptimizationMind"), Some(1), "it keeps the dispatch in memory");
        assert_eq!(replicas("Production/ProductionManager"), Some(1));
        assert_eq!(replicas("Accounting/DataStore"), None);
    }

    #[test]
    fn what_cannot_run_is_said_with_what_can() {
        let wrong = of(json!({"overrides": [{"name": "WorkloadManagement/Macher"}]})).unwrap_err();
        assert!(wrong.contains("Macher") && wrong.contains("WorkloadManagement/Matcher"), "{wrong}");
        let wrong = of(json!({"overrides": [{"name": "Configuration/Server", "enabled": false}]})).unwrap_err();
        assert!(wrong.contains("no component starts"), "{wrong}");
    }
}
