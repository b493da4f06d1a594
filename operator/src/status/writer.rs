//! The hand that writes statuses: some at once, so that one slow answer keeps nobody waiting, and none of an object twice at once.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use kube::ResourceExt;
use tokio::{sync::Semaphore, task::JoinSet, time::Instant};

use super::{
    Status, flips, is_trouble,
    pace::{Budget, Change, change},
};
use crate::{api, api::watch::Kind, context::Context, names::Key};

/// As many statuses are written at once.
const AT_ONCE: usize = 8;
/// An own write that the watch has not shown after this time is not waited for.
const WATCH_IS_LATE: Duration = Duration::from_secs(10);

/// Writes statuses.
pub struct Writer {
    writing: JoinSet<Outcome>,
    slots: Arc<Semaphore>,
    /// UIDs of the objects that are being written.
    busy: HashSet<String>,
    written: HashMap<String, Written>,
    budget: Budget,
    began: Instant,
    /// Drifts of this pass, the one that waits longest first.
    seen: HashSet<String>,
}

/// The last write of an object.
#[derive(Clone, Debug)]
struct Written {
    at: Instant,
    version: Option<String>,
}

/// UID, and the version that was written where it was.
type Outcome = (String, Option<String>);

impl Default for Writer {
    fn default() -> Self {
        Self {
            writing: JoinSet::new(),
            slots: Arc::new(Semaphore::new(AT_ONCE)),
            busy: HashSet::new(),
            written: HashMap::new(),
            budget: Budget::default(),
            began: Instant::now(),
            seen: HashSet::new(),
        }
    }
}

impl Writer {
    /// Begins a pass: takes note of what was written since the last one, and forgets objects that are gone.
    pub fn begin(&mut self) {
        while let Some(outcome) = self.writing.try_join_next() {
            let Ok((uid, version)) = outcome else { continue };
            self.busy.remove(&uid);
            self.written.insert(uid, Written { at: Instant::now(), version });
        }
        let seen = std::mem::take(&mut self.seen);
        self.written.retain(|uid, _| seen.contains(uid));
        if self.writing.is_empty() {
            self.busy.clear();
        }
    }

    /// Has a status applied that is not the one the object has, when it is due. A failure stops no other object.
    pub fn put<K: Kind, S: Status>(&mut self, ctx: &Arc<Context>, object: &Arc<K>, old: Option<&S>, new: S) {
        let uid = object.uid().unwrap_or_default();
        self.seen.insert(uid.clone());
        if old == Some(&new) || self.busy.contains(&uid) || !self.is_due(&uid, object.as_ref(), old, &new) {
            return;
        }
        self.busy.insert(uid.clone());
        let (ctx, object, old, slots) = (ctx.clone(), object.clone(), old.cloned(), self.slots.clone());
        self.writing.spawn(async move {
            // The semaphore is never closed.
            let _slot = slots.acquire().await;
            (uid, write(&ctx, object.as_ref(), old.as_ref(), &new).await)
        });
    }

    fn is_due<K: Kind, S: Status>(&mut self, uid: &str, object: &K, old: Option<&S>, new: &S) -> bool {
        let written = self.written.get(uid);
        // What the watch shows is older than what was written: the difference may be no difference.
        if let Some(Written { at, version: Some(version) }) = written
            && at.elapsed() < WATCH_IS_LATE
            && is_older(object.resource_version().as_deref(), version)
        {
            return false;
        }
        let last = written.map(|w| w.at.duration_since(self.began));
        let value = |status: &S| serde_json::to_value(status).unwrap_or_default();
        match old.map_or(Change::News, |old| change(&value(old), &value(new))) {
            Change::News => true,
            Change::Drift => self.budget.grants(last, self.began.elapsed()),
            // Equal as JSON: nothing to say.
            Change::Nothing => false,
        }
    }
}

fn is_older(shown: Option<&str>, written: &str) -> bool {
    let number = |version: &str| version.parse::<u64>().ok();
    matches!((shown.and_then(number), number(written)), (Some(shown), Some(written)) if shown < written)
}

async fn write<K: Kind, S: Status>(ctx: &Context, object: &K, old: Option<&S>, new: &S) -> Option<String> {
    match ctx.api.apply_status(object, new).await {
        Ok(made) => {
            for news in flips(old.map_or(&[], S::conditions), new.conditions()) {
                if is_trouble(news) {
                    ctx.events.warn(object, &news.reason, news.message.clone()).await;
                } else {
                    ctx.events.note(object, &news.reason, news.message.clone()).await;
                }
            }
            made.resource_version()
        }
        // It went meanwhile.
        Err(error) if api::is_gone(&error) || api::is_conflict(&error) => None,
        Err(error) => {
            ctx.metrics.step_failed(&K::kind(&()), crds::Reason::ApiServer.as_str());
            tracing::warn!(kind = %K::kind(&()), object = %Key::of(object), %error, "the status could not be written");
            None
        }
    }
}
