//! Of which statuses are written, and when.

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
