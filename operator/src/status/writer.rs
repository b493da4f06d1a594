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
mod tests {
    use std::collections::BTreeMap;

    use crds::{ConditionType, PilotPool, Reason, pool::PilotPoolStatus};
    use serde_json::json;

    use super::*;
    use crate::{api::fake::Fake, context::State};

    /// More than can have a write in their rest.
    const POOLS: usize = 60;
    /// How long they are watched.
    const LONG: Duration = Duration::from_secs(1_200);
    /// A pass every three seconds.
    const PASS: Duration = Duration::from_secs(3);

    /// Pools on an API server, and their writer.
    struct Scene {
        server: Fake,
        ctx: Arc<Context>,
        writer: Writer,
        pools: Vec<PilotPool>,
    }

    impl Scene {
        fn new(pools: usize) -> Self {
            let server = Fake::default();
            let spec = json!({"siteRef": {"name": "s"}, "vos": [], "clouds": [], "machine": {}, "matching": {"maxCpuTime": "24h"},
                "scaling": {"max": 3}});
            let pool = |n: usize| -> PilotPool {
                serde_json::from_value(json!({"apiVersion": "diracgrid.org/v1alpha1", "kind": "PilotPool", "spec": spec,
                    "metadata": {"name": format!("pool-{n}"), "namespace": "n", "uid": format!("u-{n}"), "resourceVersion": "1"}}))
                .unwrap()
            };
            let pools: Vec<PilotPool> = (0..pools).map(pool).collect();
            for pool in &pools {
                server.put("pilotpools", pool);
            }
            let ctx = Arc::new(Context::of(server.client(), State::default()));
            Self { server, ctx, writer: Writer::default(), pools }
        }

        /// Passes for this time, in each of which every pool has another status, as `status` says of pass and pool.
        async fn passes(&mut self, time: Duration, status: impl Fn(u64, usize) -> PilotPoolStatus) {
            for pass in 0..time.as_secs() / PASS.as_secs() {
                self.writer.begin();
                for (n, pool) in self.pools.iter_mut().enumerate() {
                    // What the watch shows is what was written last.
                    pool.metadata.resource_version = Some(u64::MAX.to_string());
                    let old = status(pass, n);
                    self.writer.put(&self.ctx, &Arc::new(pool.clone()), Some(&old), status(pass + 1, n));
                }
                self.writer.end();
                tokio::time::sleep(PASS).await;
            }
        }

        /// Writes of each pool.
        fn written(&self) -> BTreeMap<String, usize> {
            let mut found = BTreeMap::new();
            for asked in self.server.asked("PATCH ") {
                *found.entry(asked).or_default() += 1;
            }
            found
        }

        fn writes(&self) -> usize {
            self.written().values().sum()
        }
    }

    fn jobs(waiting: u64) -> PilotPoolStatus {
        PilotPoolStatus { waiting_jobs: i64::try_from(waiting).unwrap(), ..PilotPoolStatus::default() }
    }
    fn drifts(pass: u64, _: usize) -> PilotPoolStatus {
        jobs(1_000_000 + pass)
    }
    fn leaps(pass: u64, _: usize) -> PilotPoolStatus {
        jobs(if pass.is_multiple_of(2) { 10 } else { 100 })
    }
    fn flaps(pass: u64, n: usize) -> PilotPoolStatus {
        let ready = ConditionType::Ready.says(Some(pass.is_multiple_of(2)), Reason::Ready, "a sentence", None);
        PilotPoolStatus { conditions: vec![ready], ..drifts(pass, n) }
    }

    #[tokio::test(start_paused = true)]
    async fn many_pools_that_drift_write_less_than_once_in_two_seconds_and_each_has_its_turn() {
        let mut scene = Scene::new(POOLS);
        scene.passes(LONG, drifts).await;
        let written = scene.written();
        assert_eq!(written.len(), POOLS, "none is left out");
        assert!(scene.writes() < 600, "{} writes in 20 minutes", scene.writes());
        let (least, most) = (written.values().min().unwrap(), written.values().max().unwrap());
        assert!(most - least <= 1, "between {least} and {most} writes of a pool");
    }

    #[tokio::test(start_paused = true)]
    async fn many_pools_whose_numbers_leap_write_less_than_once_in_two_seconds_and_each_has_its_turn() {
        let mut scene = Scene::new(POOLS);
        scene.passes(LONG, leaps).await;
        assert_eq!(scene.written().len(), POOLS);
        assert!(scene.writes() < 600, "{} writes in 20 minutes", scene.writes());
    }

    #[tokio::test(start_paused = true)]
    async fn drifts_and_leaps_of_others_keep_no_words_waiting() {
        let mut scene = Scene::new(POOLS);
        let last = LONG.as_secs() / PASS.as_secs();
        let outage = |pass: u64, n: usize| match (n, pass) {
            (59, pass) if pass == last => flaps(1, n),
            (59, _) => jobs(7),
            (n, pass) if n.is_multiple_of(2) => leaps(pass, n),
            (n, pass) => drifts(pass, n),
        };
        scene.passes(LONG, outage).await;
        assert_eq!(scene.written().get("PATCH pilotpools/pool-59/status"), Some(&1));
    }

    #[tokio::test(start_paused = true)]
    async fn an_outage_of_everything_is_told_at_once_and_what_flaps_for_ever_is_told_slowly() {
        let mut scene = Scene::new(500);
        scene.passes(PASS, flaps).await;
        assert_eq!(scene.writes(), 500);
        scene.passes(PASS * 10, flaps).await;
        assert!(scene.writes() < 1_300, "{} writes in half a minute", scene.writes());
    }
}
