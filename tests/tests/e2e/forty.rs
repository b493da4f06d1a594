//! The forty jobs on an OpenStack and an EC2. What the OpenStack has no GPU for goes to EC2; the standard pools buy Spot there as far as its
//! quota goes; and a third of the Spot VMs is taken back while they run jobs.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use testbeds::real::{FORTY, LYON, Life, NAMESPACE, PARIS, peak};

use super::scene::{POOLS, Scene};

/// Most VMs that may be made for the forty jobs, beside those that replace what was taken back or refused, or run its jobs: the nine of the
/// pools, and half as many again for a pilot that ended between two jobs.
const ENOUGH: usize = 13;
/// How long each job runs: longer than [`NOTICE`], so that jobs are lost.
const JOB: u32 = 25;
/// How long before its end a Spot VM is announced to be taken back.
const NOTICE: Duration = Duration::from_secs(5);

/// What a storm has taken.
struct Storm {
    /// The VMs.
    taken: Vec<Life>,
    /// The jobs that were lost.
    lost: BTreeSet<u64>,
    /// From the end of the VMs until their jobs waited again, and until they were Done.
    given_back: Duration,
    done: Duration,
}

pub async fn on_both_clouds_with_a_storm(scene: &mut Scene) {
    for kind in &FORTY {
        scene.real.submit(kind, kind.jobs, JOB).unwrap();
    }
    let begun = Instant::now();
    let storm = a_third_of_spot_is_taken_back(scene).await;
    scene.all_done(40, 900).await;
    let served = begun.elapsed().as_secs();
    for (pool, most, _) in POOLS {
        let highest = peak(scene.history.iter().filter(|life| life.pool == pool));
        assert_eq!(highest, most, "there was work for as many VMs as pool {pool} may have");
    }
    scene.nothing_left().await;
    let at = |cloud, pool| scene.history.iter().filter(|life| life.cloud == cloud && life.pool == pool).count();
    let [lyon, paris] = [LYON, PARIS].map(|cloud| POOLS.map(|(pool, ..)| at(cloud, pool)));
    assert!(
        lyon[1] > 0 && paris[1] > 0,
        "GPUs were bought of the OpenStack first, and then of EC2: {lyon:?}, {paris:?}"
    );
    assert!(paris[0] + paris[2] > 0, "Spot is cheaper: {paris:?}");
    let (spot, made) = (scene.history.iter().filter(|life| life.spot).count(), scene.made());
    let refused = scene.operator.metric(&["endings_total", "reason=\"NoCapacity\""]).await.unwrap_or(0.0);
    let wasted = scene.operator.metric(&["vms_never_ran_job_total"]).await.unwrap();
    let calls = scene.operator.metric(&["cloud_calls_total"]).await.unwrap_or(0.0);
    let orders = scene.operator.metric(&["demand_to_order_seconds_count"]).await.unwrap();
    let order = scene.operator.metric(&["demand_to_order_seconds_sum"]).await.unwrap() / orders;
    let late = orders - scene.operator.metric(&["demand_to_order_seconds_bucket", "le=\"2.0\""]).await.unwrap();
    eprintln!(
        "40 jobs Done after {served} s: {made} VMs made (cpu, gpu, long: {lyon:?} at lyon, {paris:?} at paris, {spot} of them Spot), {wasted} \
         never ran a job, {refused} refused, {:.1} cloud calls per VM life; {order:.2} s from demand to order in the mean, {late} of {orders} \
         later than 2 s",
        calls / made as f64
    );
    eprintln!(
        "the storm took {} Spot VMs, and {} jobs were lost: given back after {} s, Done after {} s",
        storm.taken.len(),
        storm.lost.len(),
        storm.given_back.as_secs(),
        storm.done.as_secs()
    );
    // DIRAC holds a job that was given back for a minute or two. By then VMs have found no work and ended, so each may cost a VM of its own.
    let anew = storm.taken.len().max(storm.lost.len());
    assert!(made <= ENOUGH + anew + refused as usize, "{made} VMs were made for forty jobs");
}

async fn a_third_of_spot_is_taken_back(scene: &mut Scene) -> Storm {
    let busy = |s: &Scene| s.real.spot_at_work(&s.history).unwrap();
    scene
        .until("jobs run on Spot VMs", 300, |s| match busy(s) {
            (all, busy) if all >= 3 && busy.len() >= all.div_ceil(3) => Ok(()),
            (all, busy) => Err(format!("{all} Spot VMs, of which {} run jobs", busy.len())),
        })
        .await;
    let taken = scene.real.storm(&busy(scene).1, NOTICE).await.unwrap();
    let gone = Instant::now() + NOTICE;
    let pilots: BTreeSet<&str> = taken.iter().map(|life| life.reference().unwrap()).collect();
    scene
        .until("they are gone", 30, |s| {
            let alive =
                taken.iter().filter(|one| s.history.iter().any(|life| life.id == one.id && life.ended.is_none()));
            match alive.count() {
                0 => Ok(()),
                n => Err(format!("{n} live")),
            }
        })
        .await;
    scene.lost = scene.real.ever_at(&pilots).unwrap();
    let lost = scene.lost.clone();
    scene
        .until("DIRAC has no job on them", 120, |s| match s.real.unended_at(&pilots).unwrap().len() {
            0 => Ok(()),
            n => Err(format!("{n} jobs")),
        })
        .await;
    let given_back = gone.elapsed();
    let lost: BTreeSet<u64> = scene.real.given_back().unwrap().intersection(&lost).copied().collect();
    assert!(!lost.is_empty(), "the VMs that were taken back ran jobs");
    scene
        .until("their jobs are Done", 400, |s| match lost.len() - s.real.done(&lost).unwrap() {
            0 => Ok(()),
            n => Err(format!("{n} are not")),
        })
        .await;
    Storm { taken, lost, given_back, done: gone.elapsed() }
}

/// The pools buy of the OpenStack alone from now on, and the other Cloud goes: nothing keeps it.
pub async fn one_cloud_is_taken_away(scene: &mut Scene) {
    let alone = serde_json::json!({"spec": {"clouds": [{"name": LYON}]}}).to_string();
    for (pool, ..) in POOLS {
        let patch = ["patch", "pilotpool", pool, "--namespace", NAMESPACE, "--type=merge", "--patch", &alone];
        scene.kubectl.run(&patch).unwrap();
    }
    scene.kubectl.run(&["delete", "cloud", PARIS, "--namespace", NAMESPACE, "--timeout=60s"]).unwrap();
}
