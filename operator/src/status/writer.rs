//! The hand that writes statuses: some at once, so that one slow answer keeps nobody waiting, and none of an object twice at once.
//!
//! A pass is begun, is given every object's status, and ends: only then is it known which of the objects that wait was written longest
//! ago, and that one goes first.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use crds::condition;
use futures::future::BoxFuture;
use kube::ResourceExt;
use tokio::{sync::Semaphore, task::JoinSet, time::Instant};

use super::{
    Status, flips, is_trouble,
    pace::{Budget, Change, Rate, change},
};
use crate::{api, api::watch::Kind, context::Context, names::Key};

/// The most statuses that are written at one time.
const AT_ONCE: usize = 8;
/// An own write that the watch has not shown after this time is not waited for.
const WATCH_IS_LATE: Duration = Duration::from_secs(10);

pub struct Writer {
    writing: JoinSet<Outcome>,
    slots: Arc<Semaphore>,
    /// UIDs of the objects that are being written.
    busy: HashSet<String>,
    written: HashMap<String, Written>,
    drifts: Budget,
    leaps: Budget,
    words: Budget,
    began: Instant,
    /// UIDs of the objects of this pass.
    seen: HashSet<String>,
    /// What changed in this pass.
    wanted: Vec<Wanted>,
}

/// A status that is another than the one that the object has.
struct Wanted {
    uid: String,
    change: Change,
    /// When the object was written last, since the writer began.
    last: Option<Duration>,
    write: BoxFuture<'static, Option<String>>,
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
            drifts: Budget::of(Rate::DRIFTS),
            leaps: Budget::of(Rate::LEAPS),
            words: Budget::of(Rate::WORDS),
            began: Instant::now(),
            seen: HashSet::new(),
            wanted: Vec::new(),
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

    /// Takes in an object's status of this pass.
    pub fn put<K: Kind, S: Status>(&mut self, ctx: &Arc<Context>, object: &Arc<K>, old: Option<&S>, new: S) {
        let uid = object.uid().unwrap_or_default();
        self.seen.insert(uid.clone());
        if old == Some(&new) || self.busy.contains(&uid) || self.is_late(&uid, object.as_ref()) {
            return;
        }
        let value = |status: &S| serde_json::to_value(status).unwrap_or_default();
        let change = old.map_or(Change::Words, |old| change(&value(old), &value(&new)));
        // Equal as JSON: nothing to say.
        if change == Change::Nothing {
            return;
        }
        let last = self.written.get(&uid).map(|written| written.at.duration_since(self.began));
        let (ctx, object, old) = (ctx.clone(), object.clone(), old.cloned());
        let write = Box::pin(async move { write(&ctx, object.as_ref(), old.as_ref(), &new).await });
        self.wanted.push(Wanted { uid, change, last, write });
    }

    /// Ends a pass: has those statuses written whose turn it is. A failure stops no other object.
    pub fn end(&mut self) {
        let mut wanted = std::mem::take(&mut self.wanted);
        wanted.sort_by_key(|wanted| wanted.last);
        let now = self.began.elapsed();
        for Wanted { uid, change, last, write } in wanted {
            let budget = match change {
                Change::Words => &mut self.words,
                Change::Leap => &mut self.leaps,
                Change::Drift | Change::Nothing => &mut self.drifts,
            };
            if !budget.grants(last, now) {
                continue;
            }
            self.busy.insert(uid.clone());
            let slots = self.slots.clone();
            self.writing.spawn(async move {
                // The semaphore is never closed.
                let _slot = slots.acquire().await;
                (uid, write.await)
            });
        }
    }

    /// Whether the watch shows an older object than was written: a difference may be none.
    fn is_late<K: Kind>(&self, uid: &str, object: &K) -> bool {
        match self.written.get(uid) {
            Some(Written { at, version: Some(version) }) => {
                at.elapsed() < WATCH_IS_LATE && is_older(object.resource_version().as_deref(), version)
            }
            _ => false,
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
                // Every word in a status of ours is a reason of ours.
                let Some(reason) = condition::reason(news) else { continue };
                if is_trouble(news) {
                    ctx.events.warn(object, reason, news.message.clone()).await;
                } else {
                    ctx.events.note(object, reason, news.message.clone()).await;
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

#[cfg(test)]
#[path = "writer_tests.rs"]
mod tests;
