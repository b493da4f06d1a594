//! A real DIRAC is looked at: its configuration, the site mask, and whether the services that we call answer us.

use std::collections::BTreeMap;

use async_trait::async_trait;

use super::{
    Addresses, Client, Configuration, DisetError, JobManager, JobMonitoring, Matcher, PilotManager, ResourceStatus,
};
use crate::{
    configuration::Cfg,
    demand::{DemandError, DemandSource, Fault},
    pilot::{
        jobs::JobStates,
        rows::{PilotRows, RowsError},
        stamp,
    },
    readiness::{Answer, Inspect, Said, Unread},
};

/// Where the configuration names the service that has the site mask.
const MASK: &str = "/Systems/ResourceStatus/URLs/ResourceStatus";
/// No pilot has this name: who may ask for its row may ask for others.
const NOBODY: &str = "none";

/// Looks at a DIRAC. Only reads.
#[derive(Clone)]
pub struct Inspector {
    /// A client with our credentials.
    pub client: Client,
    /// Of whom our certificate is, as DIRAC writes names.
    pub dn: Option<String>,
    /// Addresses of the Configuration server, as they are written. Where they cannot be read, that is said, and the rest goes on.
    pub configuration: String,
    /// The Matcher.
    pub matcher: Matcher,
    /// The PilotManager.
    pub pilots: PilotManager,
    /// The JobMonitoring, where its address is known.
    pub jobs: Option<JobMonitoring>,
    /// The JobManager, where jobs of lost VMs are given back.
    pub manager: Option<JobManager>,
}

impl Inspector {
    async fn configuration(&self) -> Result<Cfg, Unread> {
        let urls: Addresses = self.configuration.parse()?;
        Ok(Configuration::new(self.client.beside(urls)).read().await?)
    }

    /// The site mask, at the address that the configuration gives.
    async fn site_status(&self, cfg: &Cfg) -> Result<BTreeMap<String, String>, Unread> {
        let Some(urls) = cfg.option(MASK).filter(|urls| !urls.is_empty()) else {
            let message =
                format!("DIRAC's configuration has no address in {MASK}: nobody could be asked for the site mask");
            return Err(Unread { fault: Fault::BadUrl, message });
        };
        let urls: Addresses = urls.parse()?;
        Ok(ResourceStatus::new(self.client.beside(urls)).sites().await?)
    }
}

#[async_trait]
impl Inspect for Inspector {
    async fn inspect(&self) -> Said {
        let configuration = self.configuration().await;
        let site_status = match &configuration {
            Ok(cfg) => self.site_status(cfg).await,
            Err(unread) => Err(unread.clone()),
        };
        let matcher = answer(self.matcher.task_queues().await);
        let pilots = answer(self.pilots.rows(&[stamp::reference(NOBODY)]).await);
        let mut services = BTreeMap::from([("Matcher", matcher), ("PilotManager", pilots)]);
        if let Some(jobs) = &self.jobs {
            services.insert("JobMonitoring", answer(jobs.states(&[0]).await));
        }
        if let Some(manager) = &self.manager {
            services.insert("JobManager", answer(manager.ping().await));
        }
        Said { dn: self.dn.clone(), configuration, site_status, services }
    }
}

fn answer<T, E: Into<Unread>>(said: Result<T, E>) -> Answer {
    match said {
        Ok(_) => Answer::Yes,
        Err(error) => Answer::No(error.into()),
    }
}

impl From<DisetError> for Unread {
    fn from(error: DisetError) -> Self {
        Self { fault: error.fault(), message: error.to_string() }
    }
}

impl From<DemandError> for Unread {
    fn from(error: DemandError) -> Self {
        Self { fault: error.fault, message: error.message }
    }
}

impl From<RowsError> for Unread {
    fn from(error: RowsError) -> Self {
        Self { fault: error.fault, message: error.message }
    }
}
