//! Leader election by Lease. It is comfort, not safety: names and orders derived from UIDs keep two that believe to lead from harm.

use kube::Client;
use kube_lease_manager::{LeaseManager, LeaseManagerBuilder};
use tokio::{sync::watch, task::JoinHandle};

/// Name of the Lease, in the operator's namespace.
const LEASE: &str = "dirac-operator";
/// Seconds for which a lease holds without renewal, and seconds before its end at which it is renewed.
const HOLDS: u64 = 15;
const RENEWED_BEFORE: u64 = 10;

/// Whether this replica leads, kept up to date.
pub struct Leadership {
    /// `true` while it leads.
    pub leads: watch::Receiver<bool>,
    keeper: Option<JoinHandle<kube_lease_manager::Result<LeaseManager>>>,
    alone: Option<watch::Sender<bool>>,
}

impl Leadership {
    /// Leads at once: there is one replica.
    pub fn alone() -> Self {
        let (sender, leads) = watch::channel(true);
        Self { leads, keeper: None, alone: Some(sender) }
    }

    /// Seeks the Lease in this namespace.
    pub async fn seek(client: Client, namespace: &str) -> anyhow::Result<Self> {
        let manager = LeaseManagerBuilder::new(client, LEASE)
            .with_namespace(namespace)
            .with_duration(HOLDS)
            .with_grace(RENEWED_BEFORE)
            .build()
            .await?;
        let (leads, keeper) = manager.watch().await;
        Ok(Self { leads, keeper: Some(keeper), alone: None })
    }

    /// Gives the Lease back, so that another replica need not wait for its end.
    pub async fn resign(self) {
        let Self { leads, keeper, alone } = self;
        drop(leads);
        drop(alone);
        let Some(keeper) = keeper else { return };
        match tokio::time::timeout(std::time::Duration::from_secs(5), keeper).await {
            Ok(Ok(Ok(manager))) => {
                if let Err(error) = manager.release().await {
                    tracing::warn!(%error, "the lease could not be given back");
                }
            }
            Ok(Ok(Err(error))) => tracing::warn!(%error, "the lease was not kept"),
            Ok(Err(_)) | Err(_) => tracing::warn!("the lease was not given back in time"),
        }
    }
}
