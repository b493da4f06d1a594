//! A real DIRAC is looked at: its configuration, the site mask, and whether the services that we call answer us.

use std::collections::BTreeMap;

use async_trait::async_trait;

use super::{Addresses, Client, Configuration, DisetError, JobMonitoring, Matcher, PilotManager, ResourceStatus};
use crate::{
    demand::{DemandSource, Fault},
    pilot::{jobs::JobStates, rows::PilotRows, stamp},
    readiness::{Answer, Cfg, Inspect, Said, Unread},
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
}

impl Inspector {
    async fn configuration(&self) -> Result<Cfg, DisetError> {
        Configuration::new(self.client.beside(self.configuration.parse()?)).read().await
    }

    /// The site mask, at the address that the configuration gives.
    async fn site_status(&self, cfg: &Cfg) -> Result<BTreeMap<String, String>, Unread> {
        let Some(urls) = cfg.option(MASK).filter(|urls| !urls.is_empty()) else {
            let message =
                format!("DIRAC's configuration has no address in {MASK}: nobody could be asked for the site mask");
            return Err(Unread { fault: Fault::BadUrl, message });
        };
        let urls: Addresses = urls.parse().map_err(unread)?;
        ResourceStatus::new(self.client.beside(urls)).sites().await.map_err(unread)
    }
}

#[async_trait]
impl Inspect for Inspector {
    async fn inspect(&self) -> Said {
        let configuration = self.configuration().await.map_err(unread);
        let site_status = match &configuration {
            Ok(cfg) => self.site_status(cfg).await,
            Err(unread) => Err(unread.clone()),
        };
        let queues = self.matcher.task_queues().await;
        let matcher = answer(queues.map_err(|e| Unread { fault: e.fault, message: e.message }));
        let rows = self.pilots.rows(&[stamp::reference(NOBODY)]).await;
        let pilots = answer(rows.map_err(|e| Unread { fault: e.fault, message: e.message }));
        let mut services = BTreeMap::from([("Matcher", matcher), ("PilotManager", pilots)]);
        if let Some(jobs) = &self.jobs {
            let states = jobs.states(&[0]).await;
            services.insert("JobMonitoring", answer(states.map_err(|e| Unread { fault: e.fault, message: e.message })));
        }
        Said { dn: self.dn.clone(), configuration, site_status, services }
    }
}

fn answer<T>(said: Result<T, Unread>) -> Answer {
    match said {
        Ok(_) => Answer::Yes,
        Err(unread) => Answer::No(unread),
    }
}

fn unread(error: DisetError) -> Unread {
    Unread { fault: error.fault(), message: error.to_string() }
}
