//! Leader election by Lease. Two that act at once make no second PilotVM, since they choose the same names; they might make a second
//! server of one, which is deleted as a twin. So a replica acts only while it sees that the Lease is its own.

use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::coordination::v1::Lease;
use kube::{Api, Client};
use kube_lease_manager::{LeaseManager, LeaseManagerBuilder};
use rand::{RngExt, distr::Alphanumeric};
use tokio::{
    sync::watch,
    task::{AbortHandle, JoinHandle},
};

/// Seconds for which a lease holds without renewal, and seconds before its end at which it is renewed.
const HOLDS: u64 = 15;
const RENEWED_BEFORE: u64 = 10;
/// How often the Lease is looked at, and how long before its end a replica that could not renew it stops to act.
const LOOKED_AT_EVERY: Duration = Duration::from_secs(2);
const STOPS_BEFORE: SignedDuration = SignedDuration::from_secs(3);

/// Whether this replica leads, kept up to date.
pub struct Leadership {
    /// `true` while it leads.
    pub leads: watch::Receiver<bool>,
    kept: Option<Kept>,
    alone: Option<watch::Sender<bool>>,
}

/// What keeps the Lease and looks after it.
struct Kept {
    keeper: JoinHandle<kube_lease_manager::Result<LeaseManager>>,
    guard: AbortHandle,
}

impl Leadership {
    /// Leads at once: there is one replica.
    pub fn alone() -> Self {
        let (sender, leads) = watch::channel(true);
        Self { leads, kept: None, alone: Some(sender) }
    }

    /// Seeks the Lease of this name in this namespace.
    pub async fn seek(client: Client, namespace: &str, lease: &str) -> anyhow::Result<Self> {
        let random: String = rand::rng().sample_iter(&Alphanumeric).take(12).map(char::from).collect();
        let identity = format!("{}_{random}", std::env::var("HOSTNAME").unwrap_or_else(|_| lease.to_owned()));
        let manager = LeaseManagerBuilder::new(client.clone(), lease)
            .with_namespace(namespace)
            .with_identity(&identity)
            .with_duration(HOLDS)
            .with_grace(RENEWED_BEFORE)
            .build()
            .await?;
        let (held, keeper) = manager.watch().await;
        let (sender, leads) = watch::channel(false);
        let leases = Api::namespaced(client, namespace);
        let guard = tokio::spawn(guard(leases, lease.to_owned(), identity, held, sender)).abort_handle();
        Ok(Self { leads, kept: Some(Kept { keeper, guard }), alone: None })
    }

    /// Gives the Lease back, so that another replica need not wait for its end.
    pub async fn resign(self) {
        let Self { leads, kept, alone } = self;
        drop(leads);
        drop(alone);
        let Some(Kept { keeper, guard }) = kept else { return };
        // The keeper ends when nobody listens to it.
        guard.abort();
        match tokio::time::timeout(Duration::from_secs(5), keeper).await {
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

/// Says that this replica leads only while the Lease is seen to be its own. Whose calls to the API server hang hears nothing of the
/// Lease being lost: it stops before another may take it.
async fn guard(
    leases: Api<Lease>,
    name: String,
    identity: String,
    mut held: watch::Receiver<bool>,
    leads: watch::Sender<bool>,
) {
    let mut until: Option<Instant> = None;
    loop {
        let left = until.map(|until| until.saturating_duration_since(Instant::now())).filter(|left| !left.is_zero());
        let patience = left.map_or(LOOKED_AT_EVERY * 2, |left| left.min(LOOKED_AT_EVERY * 2));
        if let Ok(Ok(Some(lease))) = tokio::time::timeout(patience, leases.get_opt(&name)).await {
            let left = holds_for(&lease, &identity, Timestamp::now()).and_then(|left| Duration::try_from(left).ok());
            until = left.map(|left| Instant::now() + left);
        }
        let now = *held.borrow_and_update() && until.is_some_and(|until| Instant::now() < until);
        leads.send_if_modified(|before| std::mem::replace(before, now) != now);
        let due = until.map_or(LOOKED_AT_EVERY, |until| until.saturating_duration_since(Instant::now()));
        tokio::select! {
            changed = held.changed() => if changed.is_err() { return },
            () = leads.closed() => return,
            () = tokio::time::sleep(due.min(LOOKED_AT_EVERY)) => {}
        }
    }
}

/// How long this holder may act by what the Lease says; `None`: it is another's, or over.
fn holds_for(lease: &Lease, identity: &str, now: Timestamp) -> Option<SignedDuration> {
    let spec = lease.spec.as_ref().filter(|s| s.holder_identity.as_deref() == Some(identity))?;
    let renewed = spec.renew_time.as_ref()?.0;
    let left = (renewed + SignedDuration::from_secs(HOLDS.cast_signed()) - STOPS_BEFORE).duration_since(now);
    left.is_positive().then_some(left)
}

#[cfg(test)]
mod tests {
    use k8s_openapi::{api::coordination::v1::LeaseSpec, apimachinery::pkg::apis::meta::v1::MicroTime};

    use super::*;

    #[test]
    fn a_lease_is_ours_for_twelve_seconds_after_its_renewal() {
        let now = Timestamp::UNIX_EPOCH + SignedDuration::from_hours(1);
        let left = |holder: &str, renewed: i64| {
            let spec = LeaseSpec {
                holder_identity: Some(holder.to_owned()),
                renew_time: Some(MicroTime(now - SignedDuration::from_secs(renewed))),
                ..LeaseSpec::default()
            };
            holds_for(&Lease { spec: Some(spec), ..Lease::default() }, "we", now).map(|d| d.as_secs())
        };
        assert_eq!(left("we", 5), Some(7));
        assert_eq!(left("we", 12), None);
        assert_eq!(left("they", 5), None);
    }
}
