//! Bells: how one loop tells another that there is news. None carries news itself: who hears one looks at what is known.
//!
//! | bell | who rings | who listens | if it is missed |
//! |---|---|---|---|
//! | `look_at(vm)` | the watch of PilotVMs, a cloud's poller, what a provider announces, the reader of rows, a round that has it drain or work on, a PilotVM whose call has ended, for those that wait for its place | the reconciler of that PilotVM | it looks when its own timer ends, or at the next list or reading |
//! | `plan(installation)` | its source, its rows, a VM that ended in trouble or that its provider announced to take, a cloud that is known for the first time or offers something else, an order or a pilot by which a launch budget grew while jobs wait for it | its round | it plans at its next interval |
//! | `read_rows(installation)` | its source, when the way to DIRAC is new | its reader of rows | it reads at its next interval |
//! | `poll(cloud)` | the supervisor, when clouds changed; a VM that was made or deleted, a refused launch; the keeper of Secrets | its poller | it polls at its next interval |
//! | `remake(installation)` | the supervisor, when installations changed; the keeper of Secrets | its source | it is remade within a minute |
//! | `clouds_changed()`, `installations_changed()` | the watches | the supervisors | they look every 30 seconds |
//! | `pools_changed()` | the watch of pools | the loop of pools | it looks every 10 seconds |
//! | `secrets_changed()` | the watches of clouds and installations, a cloud's poller when a deleted cloud needs them no more, the keeper of Secrets itself when what it found changes which are kept | the keeper of Secrets | it looks every 10 seconds |
//! | `tell_statuses()` | everybody who changes what a status shows | the writer of statuses | it looks every 30 seconds |

use std::sync::Mutex;

use tokio::sync::{
    Notify,
    mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
};

use crate::{known::Registry, names::Key};

pub struct Bells {
    /// To who looks after PilotVMs: nobody on a replica that does not lead. Who listens takes each key at once and drops what it has
    /// already, so that few wait.
    vms: Mutex<Option<UnboundedSender<Key>>>,
    rounds: Registry<Notify>,
    rows: Registry<Notify>,
    sources: Registry<Notify>,
    clouds: Registry<Notify>,
    cloud_set: Notify,
    installation_set: Notify,
    pool_set: Notify,
    secret_set: Notify,
    statuses: Notify,
}

impl Default for Bells {
    fn default() -> Self {
        Self {
            vms: Mutex::default(),
            rounds: Registry::default(),
            rows: Registry::default(),
            sources: Registry::default(),
            clouds: Registry::default(),
            cloud_set: Notify::new(),
            installation_set: Notify::new(),
            pool_set: Notify::new(),
            secret_set: Notify::new(),
            statuses: Notify::new(),
        }
    }
}

impl Bells {
    /// Has a PilotVM looked at.
    pub fn look_at(&self, vm: Key) {
        if let Ok(listener) = self.vms.lock()
            && let Some(listener) = listener.as_ref()
        {
            // Who listened is gone when this process ends.
            let _ = listener.send(vm);
        }
    }

    /// The PilotVMs to look at, from now on. Who asked before hears no more.
    pub fn vms(&self) -> UnboundedReceiver<Key> {
        let (sender, receiver) = unbounded_channel();
        if let Ok(mut listener) = self.vms.lock() {
            *listener = Some(sender);
        }
        receiver
    }

    /// Has the installation planned soon.
    pub fn plan(&self, installation: &Key) {
        self.rounds.get(installation).notify_one();
    }

    /// Waits until the installation is to be planned.
    pub async fn to_plan(&self, installation: &Key) {
        self.rounds.get(installation).notified().await;
    }

    /// Has the installation's rows read soon.
    pub fn read_rows(&self, installation: &Key) {
        self.rows.get(installation).notify_one();
    }

    /// Waits until the installation's rows are to be read.
    pub async fn to_read_rows(&self, installation: &Key) {
        self.rows.get(installation).notified().await;
    }

    /// Has the cloud polled soon.
    pub fn poll(&self, cloud: &Key) {
        self.clouds.get(cloud).notify_one();
    }

    /// Waits until the cloud is to be polled.
    pub async fn to_poll(&self, cloud: &Key) {
        self.clouds.get(cloud).notified().await;
    }

    /// Has the way to the installation made from what its object says now.
    pub fn remake(&self, installation: &Key) {
        self.sources.get(installation).notify_one();
    }

    /// Waits until the way to the installation is to be made.
    pub async fn to_remake(&self, installation: &Key) {
        self.sources.get(installation).notified().await;
    }

    /// The set of clouds or the spec of one changed.
    pub fn clouds_changed(&self) {
        self.cloud_set.notify_one();
    }

    /// Waits until clouds changed.
    pub async fn to_look_at_clouds(&self) {
        self.cloud_set.notified().await;
    }

    /// The set of installations or the spec of one changed.
    pub fn installations_changed(&self) {
        self.installation_set.notify_one();
    }

    /// Waits until installations changed.
    pub async fn to_look_at_installations(&self) {
        self.installation_set.notified().await;
    }

    /// A pool appeared, changed or went.
    pub fn pools_changed(&self) {
        self.pool_set.notify_one();
    }

    /// Waits until pools changed.
    pub async fn to_look_at_pools(&self) {
        self.pool_set.notified().await;
    }

    /// What names or needs a Secret changed.
    pub fn secrets_changed(&self) {
        self.secret_set.notify_one();
    }

    /// Waits until what names or needs a Secret changed.
    pub async fn to_look_at_secrets(&self) {
        self.secret_set.notified().await;
    }

    /// Something changed that a status might show.
    pub fn tell_statuses(&self) {
        self.statuses.notify_one();
    }

    /// Waits until a status might be another.
    pub async fn to_tell_statuses(&self) {
        self.statuses.notified().await;
    }

    /// Forgets the bells of clouds that `keep` does not name.
    pub fn retain_clouds(&self, keep: impl Fn(&Key) -> bool) {
        self.clouds.retain(keep);
    }

    /// Forgets the bells of installations that `keep` does not name.
    pub fn retain_installations(&self, keep: impl Fn(&Key) -> bool + Copy) {
        self.rounds.retain(keep);
        self.rows.retain(keep);
        self.sources.retain(keep);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> Key {
        Key { namespace: "demo".into(), name: name.into() }
    }

    #[test]
    fn a_pilotvm_that_is_rung_is_heard_by_who_listens_and_kept_for_nobody() {
        let bells = Bells::default();
        bells.look_at(key("early"));
        let mut first = bells.vms();
        bells.look_at(key("a"));
        bells.look_at(key("b"));
        assert_eq!((first.try_recv(), first.try_recv()), (Ok(key("a")), Ok(key("b"))));
        assert!(first.try_recv().is_err(), "nothing from before");
        let mut second = bells.vms();
        bells.look_at(key("c"));
        assert!(first.try_recv().is_err(), "another listens now");
        assert_eq!(second.try_recv(), Ok(key("c")));
        drop(second);
        bells.look_at(key("late"));
    }
}
