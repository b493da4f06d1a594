//! Leader election by Lease. Two replicas that act at once make no second PilotVM, since they choose the same names; they might make
//! a second server of one, which is deleted as a twin. So a replica acts only while it sees that the Lease is its own.

use std::time::Duration;

use crate::progress::Pulse;
use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use kube::{Api, Client};
use kube_lease_manager::{LeaseManager, LeaseManagerBuilder};
use rand::{RngExt, distr::Alphanumeric};
use tokio::{
    sync::watch,
    task::{JoinHandle, JoinSet},
    time::Instant,
};

/// Seconds for which a lease holds without renewal, and seconds before its end at which it is renewed.
const HOLDS: u64 = 15;
const RENEWED_BEFORE: u64 = 10;
/// How often the Lease is looked at.
const LOOKED_AT_EVERY: Duration = Duration::from_secs(2);
/// A replica may act for this time after a renewal: it stops three seconds before another replica may take the Lease.
const ACTS: Duration = Duration::from_secs(HOLDS - 3);

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
    guard: JoinSet<()>,
}

impl Leadership {
    /// Leads at once: there is one replica.
    pub fn alone() -> Self {
        let (sender, leads) = watch::channel(true);
        Self { leads, kept: None, alone: Some(sender) }
    }

    /// Seeks the Lease of this name in this namespace.
    ///
    /// The keeper's calls have no time-out of their own. On a connection of its own, given up after a short silence, none of them hangs.
    pub async fn seek(mut config: kube::Config, namespace: &str, lease: &str, pulse: Pulse) -> anyhow::Result<Self> {
        let silence = Some(LOOKED_AT_EVERY * 3);
        (config.connect_timeout, config.read_timeout, config.write_timeout) = (silence, silence, silence);
        let client = Client::try_from(config)?;
        let began = Instant::now();
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
        let mut guards = JoinSet::new();
        guards.spawn(guard(leases, lease.to_owned(), identity, held, sender, Hold::begun(began), pulse));
        Ok(Self { leads, kept: Some(Kept { keeper, guard: guards }), alone: None })
    }

    /// Gives the Lease back, so that another replica need not wait for its end.
    pub async fn resign(self) {
        let Self { leads, kept, alone } = self;
        drop(leads);
        drop(alone);
        let Some(Kept { keeper, guard }) = kept else { return };
        // The keeper ends when nobody listens to it.
        drop(guard);
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

/// Says that this replica leads only while the Lease is seen to be its own. A replica whose API calls hang never learns that it lost
/// the Lease, so it stops acting before another can take over.
async fn guard(
    leases: Api<Lease>,
    name: String,
    identity: String,
    mut held: watch::Receiver<bool>,
    leads: watch::Sender<bool>,
    mut hold: Hold,
    pulse: Pulse,
) {
    loop {
        pulse.beat();
        let asked = Instant::now();
        let left = hold.until.map(|until| until.saturating_duration_since(asked)).filter(|left| !left.is_zero());
        let patience = left.map_or(LOOKED_AT_EVERY * 2, |left| left.min(LOOKED_AT_EVERY * 2));
        if let Ok(Ok(Some(lease))) = tokio::time::timeout(patience, leases.get_opt(&name)).await {
            hold.saw(renewed_by(&lease, &identity), asked);
        }
        let now = *held.borrow_and_update() && hold.until.is_some_and(|until| Instant::now() < until);
        leads.send_if_modified(|before| std::mem::replace(before, now) != now);
        let due = hold.until.map_or(LOOKED_AT_EVERY, |until| until.saturating_duration_since(Instant::now()));
        tokio::select! {
            changed = held.changed() => if changed.is_err() { return },
            () = leads.closed() => return,
            () = tokio::time::sleep(due.min(LOOKED_AT_EVERY)) => {}
        }
    }
}

/// When this holder last renewed the Lease, by the holder's own date; `None`: it is another's.
fn renewed_by(lease: &Lease, identity: &str) -> Option<Timestamp> {
    let spec = lease.spec.as_ref().filter(|s| s.holder_identity.as_deref() == Some(identity))?;
    Some(spec.renew_time.as_ref()?.0)
}

/// Until when this replica may act. Dates of two machines are not compared, nor two dates of one machine, whose clock may jump: a
/// renewal that a look shows for the first time happened after the look before it began.
#[derive(Debug)]
struct Hold {
    renewed: Option<Timestamp>,
    looked: Instant,
    until: Option<Instant>,
}

impl Hold {
    /// The Lease is sought from this moment on: a renewal of ours comes later.
    fn begun(at: Instant) -> Self {
        Self { renewed: None, looked: at, until: None }
    }

    /// A look that began at `asked` showed this renewal of ours.
    fn saw(&mut self, renewed: Option<Timestamp>, asked: Instant) {
        if renewed.is_none() {
            self.until = None;
        } else if renewed != self.renewed {
            self.until = Some(self.looked + ACTS);
        }
        self.renewed = renewed;
        self.looked = asked;
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::{api::coordination::v1::LeaseSpec, apimachinery::pkg::apis::meta::v1::MicroTime};

    use super::*;

    #[test]
    fn a_lease_of_another_holder_is_not_ours() {
        let lease = |holder: &str| {
            let spec = LeaseSpec {
                holder_identity: Some(holder.to_owned()),
                renew_time: Some(MicroTime(Timestamp::UNIX_EPOCH)),
                ..LeaseSpec::default()
            };
            Lease { spec: Some(spec), ..Lease::default() }
        };
        assert_eq!(renewed_by(&lease("we"), "we"), Some(Timestamp::UNIX_EPOCH));
        assert_eq!(renewed_by(&lease("they"), "we"), None);
        assert_eq!(renewed_by(&Lease::default(), "we"), None);
    }

    #[test]
    fn a_replica_acts_for_twelve_seconds_after_the_last_look_without_the_renewal() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let date = |seconds| Some(Timestamp::from_second(seconds).unwrap());
        let mut hold = Hold::begun(start);
        hold.saw(date(100), at(1));
        assert_eq!(hold.until, Some(at(12)), "it was renewed after it was sought");
        hold.saw(date(100), at(3));
        assert_eq!(hold.until, Some(at(12)), "the same renewal gives no more time");
        hold.saw(date(5_000_000), at(6));
        assert_eq!(hold.until, Some(at(15)), "whatever date the renewal has");
        hold.saw(date(90), at(8));
        assert_eq!(hold.until, Some(at(18)));
        hold.saw(None, at(9));
        assert_eq!(hold.until, None, "another has it");
    }
}
