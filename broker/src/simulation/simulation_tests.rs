//! A simulated DIRAC and cloud together.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use futures::{FutureExt, StreamExt};
use jiff::Timestamp;

use super::{world::MOST_WAITING, *};
use crate::{
    cloud::{Attempt, Choice, Cloud, CloudError, Coming, End, Order, Owner, Purchase, Scope, Shape, VmState, Wanted},
    demand::DemandSource,
    pilot::{
        Pilot,
        rows::{NewPilot, PilotRows, PilotStatus},
    },
    plan::Limits,
};

struct Fixture {
    time: Arc<AtomicI64>,
    dirac: SimulatedDirac,
    cloud: SimulatedCloud,
}

fn fixture(jobs: u64, faults: Faults) -> Fixture {
    of(jobs, CloudConfig { faults, ..config() })
}

fn config() -> CloudConfig {
    CloudConfig {
        seed: 3,
        flavors: vec![
            SimulatedFlavor { name: "c8".into(), cores: 8, ram_mib: 16_384, ..SimulatedFlavor::default() }.into(),
        ],
        quota: Limits { vms: Some(2), ..Limits::default() },
        boot_seconds: 40,
        ..CloudConfig::default()
    }
}

fn of(jobs: u64, config: CloudConfig) -> Fixture {
    let time = Arc::new(AtomicI64::new(1_000_000));
    let clock: Clock = {
        let time = time.clone();
        Clock::driven(move || Timestamp::from_second(time.load(Ordering::SeqCst)).unwrap())
    };
    let arrival = Arrival {
        group: "biomed_user".into(),
        jobs_per_hour: 3_600,
        cpu_time: 3_600,
        run_time: 60,
        processors: 1,
        jobs: Some(jobs),
        ..Arrival::default()
    };
    let dirac = SimulatedDirac::new(7, vec![arrival], clock.clone());
    Fixture { time, cloud: SimulatedCloud::new(config, Some(dirac.clone()), clock), dirac }
}

impl Fixture {
    fn pass(&self, seconds: i64) {
        self.time.fetch_add(seconds, Ordering::SeqCst);
    }
    async fn order(&self, uid: &str) -> Result<crate::cloud::Vm, CloudError> {
        self.cloud.create(&self.prepared(uid, false).await).await
    }
    async fn repeated(&self, uid: &str) -> Result<crate::cloud::Vm, CloudError> {
        self.cloud.create(&self.prepared(uid, true).await).await
    }
    async fn prepared(&self, uid: &str, repeated: bool) -> Order {
        let reference = format!("cloud://{uid}");
        let row = NewPilot {
            reference: reference.clone(),
            stamp: uid.into(),
            vo: "biomed".into(),
            site: "S".into(),
            ce: "C".into(),
            queue: "Q".into(),
        };
        self.dirac.register(&row).await.unwrap();
        let pilot = Pilot {
            reference,
            owner_groups: vec!["biomed_user".into()],
            site: "S".into(),
            cores: 8,
            ram_mib: 16_384,
            cpu_time: 86_400,
            idle_timeout: 120,
            ..Pilot::default()
        };
        let since = Timestamp::from_second(self.time.load(Ordering::SeqCst)).unwrap();
        Order {
            owner: Owner { cluster: "k".into(), uid: uid.into() },
            attempt: Attempt { n: 1, since, repeated, look_only: false },
            name: uid.into(),
            choices: vec![Choice { flavor: "c8".into(), ..Choice::default() }],
            image_id: "any".into(),
            user_data: String::new().into(),
            pilot,
            metadata: Default::default(),
        }
    }
    async fn state(&self) -> Option<VmState> {
        self.cloud.list("k").await.unwrap().first().map(|vm| vm.state.clone())
    }
}

#[tokio::test]
async fn jobs_wait_until_a_vm_has_booted_run_on_it_and_end_and_the_idle_vm_halts() {
    let f = fixture(20, Faults::default());
    f.pass(120);
    assert_eq!(f.dirac.task_queues().await.unwrap().queues[0].jobs, 20);
    f.order("a").await.unwrap();
    assert_eq!(f.state().await, Some(VmState::Building));
    f.pass(41);
    assert_eq!(f.state().await, Some(VmState::Active));
    let row = f.dirac.rows(&["cloud://a".into()]).await.unwrap().remove(0);
    assert_eq!(row.status, PilotStatus::Running, "the row turns Running at the first request");
    assert!(row.current_job > 0);
    assert_eq!(f.dirac.statistics().running, 8, "eight cores, eight jobs");
    f.pass(200);
    assert_eq!((f.dirac.statistics().served, f.dirac.statistics().waiting), (20, 0));
    f.pass(120);
    assert_eq!(f.state().await, Some(VmState::Ended(End::PoweredOff)));
}

#[tokio::test]
async fn a_gpu_has_one_job_at_a_time_and_the_cores_that_are_not_kept_for_it_others() {
    let mut f = fixture(0, Faults::default());
    let waits = |tags: &[&str]| Arrival {
        group: "biomed_user".into(),
        jobs_per_hour: 3_600,
        cpu_time: 3_600,
        run_time: 6_000,
        processors: 1,
        tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
        jobs: Some(20),
    };
    let clock: Clock = {
        let time = f.time.clone();
        Clock::driven(move || Timestamp::from_second(time.load(Ordering::SeqCst)).unwrap())
    };
    f.dirac = SimulatedDirac::new(7, vec![waits(&["GPU"]), waits(&[])], clock.clone());
    f.cloud = SimulatedCloud::new(config(), Some(f.dirac.clone()), clock);
    f.pass(120);
    let mut order = f.prepared("a", false).await;
    order.pilot = Pilot { gpus: 2, gpu_cores: 3, tags: vec!["GPU".into()], ..order.pilot };
    f.cloud.create(&order).await.unwrap();
    f.pass(41);
    f.state().await;
    let left: Vec<u64> = f.dirac.task_queues().await.unwrap().queues.iter().map(|queue| queue.jobs).collect();
    assert_eq!(left, [18, 18], "two jobs on two GPUs with three cores each, and two on the two other cores");
}

#[tokio::test]
async fn a_job_whose_vm_is_taken_away_waits_again() {
    let f = fixture(4, Faults::default());
    f.pass(60);
    let vm = f.order("a").await.unwrap();
    f.pass(45);
    f.state().await;
    assert_eq!(f.dirac.statistics().running, 4);
    f.cloud.delete(&vm.id).await.unwrap();
    let after = f.dirac.statistics();
    assert_eq!((after.running, after.waiting, after.requeued), (0, 4, 4));
}

#[tokio::test]
async fn an_order_is_made_once_a_quota_is_kept_and_a_lost_reply_leaves_one_vm() {
    let f = fixture(0, Faults { lost_reply: 1.0, ..Faults::default() });
    assert!(matches!(f.order("a").await, Err(CloudError::Unclear { .. })));
    assert!(f.repeated("a").await.is_ok(), "the repeated order adopts");
    f.order("b").await.ok();
    assert!(matches!(f.order("c").await, Err(CloudError::Quota { scope: Scope::Cloud, .. })));
    assert_eq!(f.cloud.list("k").await.unwrap().len(), 2);
    assert_eq!(f.cloud.list("another cluster").await.unwrap().len(), 0);
}

#[tokio::test]
async fn a_vm_that_fails_to_boot_is_active_and_its_pilot_never_asks() {
    let f = fixture(5, Faults { boot_failure: 1.0, ..Faults::default() });
    f.order("a").await.unwrap();
    f.pass(600);
    assert_eq!(f.state().await, Some(VmState::Active));
    assert_eq!(f.dirac.rows(&["cloud://a".into()]).await.unwrap()[0].status, PilotStatus::Submitted);
}

#[tokio::test]
async fn a_list_that_lags_misses_a_new_vm_and_finding_it_does_not() {
    let f = fixture(0, Faults { list_lag: 10, ..Faults::default() });
    f.order("a").await.unwrap();
    assert_eq!(f.state().await, None);
    assert_eq!(f.cloud.find(&Owner { cluster: "k".into(), uid: "a".into() }).await.unwrap().len(), 1);
    f.pass(10);
    assert_eq!(f.state().await, Some(VmState::Building));
}

#[tokio::test]
async fn a_slow_boot_takes_five_times_as_long() {
    let f = fixture(0, Faults { slow_boot: 1.0, ..Faults::default() });
    f.order("a").await.unwrap();
    f.pass(199);
    assert_eq!(f.state().await, Some(VmState::Building));
    f.pass(1);
    assert_eq!(f.state().await, Some(VmState::Active));
}

#[tokio::test]
async fn an_image_that_is_not_in_the_catalogue_is_refused() {
    let f = of(0, CloudConfig { images: vec!["default".into()], ..config() });
    let images = f.cloud.offers(&Wanted::default()).await.unwrap().images;
    assert_eq!(
        images.iter().map(|(name, image)| (name.as_str(), image.id.as_str())).collect::<Vec<_>>(),
        [("default", "default")]
    );
    assert_eq!(f.order("a").await, Err(CloudError::Invalid("there is no image any".into())));
    f.cloud.configure(CloudConfig { images: vec!["default".into(), "any".into()], ..config() });
    assert!(f.order("a").await.is_ok());
}

#[tokio::test]
async fn of_a_flavor_as_many_vms_fit_as_it_says_and_one_more_once_one_is_gone() {
    let quota = Limits::default();
    let f = of(0, CloudConfig { capacity: BTreeMap::from([("c8".into(), 2), ("c1".into(), 0)]), quota, ..config() });
    let first = f.order("a").await.unwrap();
    f.order("b").await.unwrap();
    let refused = f.order("c").await;
    let message = "2 VMs of c8 fit, and 2 are there".into();
    assert_eq!(refused, Err(CloudError::NoCapacity { message, scope: Scope::Offer }));
    assert_eq!(f.order("a").await, Ok(first.clone()), "a full cloud still adopts");
    f.cloud.delete(&first.id).await.unwrap();
    assert!(f.order("c").await.is_ok());
}

#[tokio::test]
async fn that_a_vm_is_taken_away_is_announced_once_two_minutes_before() {
    let f = fixture(8, Faults { spot_reclaim: 1.0, ..Faults::default() });
    let vm = f.order("a").await.unwrap();
    let jobs = Arrival { group: "biomed_user".into(), jobs_per_hour: 3_600, run_time: 86_400, ..Arrival::default() };
    f.dirac.set_arrivals(vec![Arrival { processors: 1, jobs: Some(8), ..jobs }]);
    let mut notices = f.cloud.notices();
    let mut heard = Vec::new();
    for second in 0..3_700 {
        f.state().await;
        while let Some(Some(notice)) = notices.next().now_or_never() {
            heard.push((second, notice));
        }
        f.pass(1);
    }
    let [(second, notice)] = heard.as_slice() else { panic!("{heard:?}") };
    assert_eq!((&notice.id, notice.what), (&vm.id, Coming::Reclaim));
    let told = Timestamp::from_second(1_000_000 + second).unwrap();
    assert!(notice.at.duration_since(told).as_secs() <= 120, "{notice:?}, told at {told}");
    assert!(notice.at > told, "{notice:?}, told at {told}");
}

#[tokio::test]
async fn a_vm_that_the_provider_takes_away_is_gone_within_the_hour_and_its_jobs_wait_again() {
    let f = fixture(8, Faults { spot_reclaim: 1.0, ..Faults::default() });
    f.order("a").await.unwrap();
    let jobs = Arrival { group: "biomed_user".into(), jobs_per_hour: 3_600, run_time: 86_400, ..Arrival::default() };
    f.dirac.set_arrivals(vec![Arrival { processors: 1, jobs: Some(8), ..jobs }]);
    f.pass(40);
    assert_eq!(f.state().await, Some(VmState::Active), "it runs before it is taken away");
    let mut seconds = 0;
    while f.state().await == Some(VmState::Active) {
        f.pass(10);
        seconds += 10;
        assert!(seconds <= 3_600);
    }
    let after = f.dirac.statistics();
    assert_eq!((after.running, after.waiting), (0, 8), "{after:?}");
    assert!(after.requeued > 0);
    assert_eq!(f.cloud.find(&Owner { cluster: "k".into(), uid: "a".into() }).await, Ok(vec![]));
    assert_eq!(f.state().await, Some(VmState::Ended(End::Reclaimed)));
    assert_eq!(f.cloud.headroom().await.unwrap().classes[0].vms.used, 0);
    f.pass(3_600);
    assert_eq!(f.state().await, None, "after an hour lists show it no more");
}

#[tokio::test(start_paused = true)]
async fn a_call_takes_its_latency_and_acts_in_the_middle_of_it() {
    let latency = Duration::from_secs(2);
    let f = fixture(0, Faults { latency, ..Faults::default() });
    let begun = tokio::time::Instant::now();
    assert_eq!(f.cloud.list("k").await, Ok(vec![]));
    assert_eq!(begun.elapsed(), latency);
    for (patience, made) in [(latency / 4, 0), (latency * 3 / 4, 1)] {
        assert!(tokio::time::timeout(patience, f.order("a")).await.is_err());
        assert_eq!(f.cloud.list("k").await.unwrap().len(), made, "after {patience:?} the caller went away");
    }
    f.cloud.fail_next(CloudError::Conflict("busy".into()));
    let begun = tokio::time::Instant::now();
    assert!(f.cloud.delete("a").await.is_err());
    assert_eq!(begun.elapsed(), latency, "an error takes as long");
}

#[tokio::test]
async fn an_error_asked_for_meets_the_next_call_of_its_kind_and_no_other() {
    let f = fixture(0, Faults::default());
    let full = CloudError::NoCapacity { message: "full".into(), scope: Scope::Zone };
    f.cloud.fail_next_call(Call::Create, full.clone());
    assert_eq!(f.cloud.list("k").await, Ok(vec![]));
    assert_eq!(f.order("a").await, Err(full));
    assert_eq!(f.cloud.list("k").await, Ok(vec![]), "it did nothing");
    assert!(f.order("a").await.is_ok());
}

#[tokio::test]
async fn a_console_ends_with_its_last_bytes() {
    let f = fixture(0, Faults::default());
    let vm = f.order("é").await.unwrap();
    let whole = f.cloud.console(&vm.id, 1_000).await.unwrap();
    for max_bytes in 0..=whole.len() {
        let part = f.cloud.console(&vm.id, max_bytes).await.unwrap();
        assert!(part.len() <= max_bytes && whole.ends_with(&part), "{max_bytes}: {part:?}");
    }
    assert!(f.cloud.console(&vm.id, 20).await.unwrap().ends_with("Building\n"));
}

#[tokio::test]
async fn a_stream_that_was_removed_and_is_put_back_brings_jobs_again() {
    let f = fixture(10, Faults::default());
    let stream = Arrival { group: "biomed_user".into(), jobs_per_hour: 3_600, jobs: Some(10), ..Arrival::default() };
    f.dirac.set_arrivals(vec![stream.clone()]);
    f.pass(3_600);
    assert_eq!(f.dirac.statistics().arrived, 10);
    f.dirac.set_arrivals(vec![stream.clone()]);
    f.pass(3_600);
    assert_eq!(f.dirac.statistics().arrived, 10, "one that stays does not begin again");
    for arrived in [20, 30] {
        f.dirac.set_arrivals(vec![]);
        f.pass(3_600);
        f.dirac.set_arrivals(vec![stream.clone()]);
        f.pass(3_600);
        assert_eq!(f.dirac.statistics().arrived, arrived);
    }
    let queues = f.dirac.task_queues().await.unwrap().queues;
    assert_eq!(queues.iter().map(|q| q.jobs).collect::<Vec<_>>(), [30], "equal jobs wait in one task queue");
}

#[tokio::test]
async fn however_many_jobs_arrive_no_more_than_a_bound_wait_and_those_that_are_served_make_room() {
    let f = fixture(0, Faults::default());
    let stream = Arrival { group: "biomed_user".into(), jobs_per_hour: 10_000_000, run_time: 60, ..Arrival::default() };
    f.dirac.set_arrivals(vec![stream; 64]);
    f.pass(86_400);
    let full = f.dirac.statistics();
    assert!((MOST_WAITING as u64..MOST_WAITING as u64 + 64).contains(&full.waiting), "{full:?}");
    f.order("a").await.unwrap();
    f.pass(60);
    f.state().await;
    f.pass(600);
    let later = f.dirac.statistics();
    assert!(later.served > 0 && later.arrived > full.arrived && later.waiting + 200 >= full.waiting, "{later:?}");
}

#[tokio::test]
async fn two_equal_streams_bring_twice_the_jobs_and_one_of_them_can_go() {
    let f = fixture(0, Faults::default());
    let stream = Arrival { group: "biomed_user".into(), jobs_per_hour: 3_600, ..Arrival::default() };
    let hour = async |streams: usize| {
        let before = f.dirac.statistics().arrived;
        f.dirac.set_arrivals(vec![stream.clone(); streams]);
        f.pass(3_600);
        f.dirac.statistics().arrived - before
    };
    for streams in [2, 1, 2, 3, 0] {
        let (arrived, expected) = (hour(streams).await, 3_600 * streams as u64);
        assert!(arrived.abs_diff(expected) < 300 * (streams as u64).max(1), "{arrived} jobs of {streams} streams");
    }
}

#[tokio::test]
async fn the_same_seed_gives_the_same_history() {
    let history = async || {
        let faults = Faults {
            capacity: 0.3,
            boot_failure: 0.1,
            lost_reply: 0.1,
            late: 0.1,
            transient: 0.1,
            slow_boot: 0.2,
            spot_reclaim: 0.9,
            list_lag: 10,
            latency: Duration::ZERO,
        };
        let f = of(500, CloudConfig { faults, quota: Limits::default(), ..config() });
        let mut seen = Vec::new();
        for i in 0..50 {
            f.pass(30);
            seen.push((f.order(&i.to_string()).await, f.cloud.list("k").await, f.dirac.statistics()));
        }
        seen
    };
    assert_eq!(history().await, history().await);
}

#[tokio::test]
async fn an_order_that_is_carried_out_late_makes_one_vm_for_whoever_only_looks() {
    let f = fixture(0, Faults::default());
    f.cloud.lose(Loss::Late(Duration::from_secs(20)));
    assert!(matches!(f.order("a").await, Err(CloudError::Unclear { .. })));
    assert!(matches!(f.repeated("a").await, Err(CloudError::Unclear { .. })), "it only looks");
    f.pass(20);
    assert!(f.repeated("a").await.is_ok());
    assert_eq!(f.cloud.list("k").await.unwrap().len(), 1);
}

#[tokio::test]
async fn whoever_orders_again_in_doubt_gets_a_twin() {
    let f = fixture(0, Faults::default());
    f.cloud.lose(Loss::Late(Duration::from_secs(20)));
    assert!(f.order("a").await.is_err());
    f.order("a").await.unwrap();
    f.pass(20);
    assert_eq!(f.cloud.list("k").await.unwrap().len(), 2, "the simulation is honest");
}

#[tokio::test]
async fn a_doubt_ends() {
    let f = fixture(0, Faults::default());
    f.cloud.lose(Loss::Request);
    let order = f.prepared("a", false).await;
    assert!(matches!(f.cloud.create(&order).await, Err(CloudError::Unclear { .. })));
    f.pass(60);
    let again = Order { attempt: Attempt { repeated: true, ..order.attempt }, ..order };
    assert!(matches!(f.cloud.create(&again).await, Err(CloudError::Transient(_))));
}

#[tokio::test]
async fn a_hidden_vm_is_unknown_in_lists_and_there_for_whoever_asks_for_it() {
    let f = fixture(0, Faults::default());
    let vm = f.order("a").await.unwrap();
    assert_eq!(f.state().await, Some(VmState::Building));
    f.cloud.hide_all(Duration::from_secs(60));
    assert_eq!(f.state().await, Some(VmState::Unknown));
    assert!(f.cloud.get(&vm.id).await.unwrap().is_some());
    f.pass(60);
    assert_eq!(f.state().await, Some(VmState::Active));
    f.cloud.delete(&vm.id).await.unwrap();
    assert_eq!((f.state().await, f.cloud.get(&vm.id).await), (None, Ok(None)));
}

#[tokio::test]
async fn an_order_with_choices_gets_the_first_that_can_be_had_else_the_widest_refusal() {
    let zones = vec!["a".to_owned(), "b".to_owned()];
    let f = of(0, CloudConfig { zones, ..config() });
    let choice = |zone: &str| Choice { flavor: "c8".into(), zone: Some(zone.into()), ..Choice::default() };
    let order = Order { choices: vec![choice("a"), choice("b")], ..f.prepared("x", false).await };
    f.cloud.refuse(Scope::Zone, choice("a"));
    assert_eq!(f.cloud.create(&order).await.unwrap().bought, Some(choice("b")));
    f.cloud.refuse(Scope::Offer, choice("b"));
    let other = Order { owner: Owner { cluster: "k".into(), uid: "y".into() }, ..order };
    let refused = f.cloud.create(&other).await;
    assert!(matches!(refused, Err(CloudError::NoCapacity { scope: Scope::Zone, .. })), "{refused:?}");
    f.cloud.relent();
    assert_eq!(f.cloud.create(&other).await.unwrap().bought, Some(choice("a")));
}

#[tokio::test(start_paused = true)]
async fn a_cloud_that_hangs_or_throttles_says_so_and_then_works_again() {
    let f = fixture(0, Faults::default());
    f.cloud.throttle(Duration::from_secs(30));
    let refused = f.cloud.list("k").await;
    let left = Some(Duration::from_secs(30));
    assert!(matches!(&refused, Err(CloudError::Throttled { retry_after, .. }) if *retry_after == left), "{refused:?}");
    tokio::time::sleep(Duration::from_secs(30)).await;
    f.cloud.hang(Duration::from_secs(90));
    assert!(matches!(f.cloud.list("k").await, Err(CloudError::Transient(_))));
    assert_eq!(f.cloud.list("k").await, Ok(vec![]), "the second waited for the rest of it");
}

#[tokio::test]
async fn a_flavor_that_is_sold_as_spot_is_offered_so_too_and_only_what_was_bought_so_is_taken_back() {
    let spot = Some(SimulatedSpot { price_micros: Some(30_000), reclaim: 1.0 });
    let flavor = SimulatedFlavor { price_micros: Some(100_000), spot, ..(*config().flavors[0]).clone() };
    let f = of(0, CloudConfig { flavors: vec![flavor.into()], ..config() });
    let offers = f.cloud.offers(&Wanted::default()).await.unwrap();
    let said: Vec<_> = offers.offers.iter().map(|offer| (offer.purchase, offer.price_micros)).collect();
    assert_eq!(said, [(Purchase::OnDemand, Some(100_000)), (Purchase::Spot, Some(30_000))]);
    let of_spot = Wanted { shapes: vec![Shape { purchase: vec![Purchase::Spot], ..Shape::default() }] };
    assert_eq!(f.cloud.offers(&of_spot).await.unwrap().offers.len(), 1);
    let patient = async |uid: &str| {
        let mut order = f.prepared(uid, false).await;
        order.pilot.idle_timeout = 100_000;
        order
    };
    let mut order = patient("spot").await;
    order.choices[0].purchase = Purchase::Spot;
    let made = f.cloud.create(&order).await.unwrap();
    assert_eq!(made.bought.map(|bought| bought.purchase), Some(Purchase::Spot));
    f.cloud.create(&patient("on demand").await).await.unwrap();
    let mut taken = std::collections::BTreeSet::new();
    for _ in 0..370 {
        f.pass(10);
        let listed = f.cloud.list("k").await.unwrap().into_iter();
        taken.extend(listed.filter(|vm| vm.state == VmState::Ended(End::Reclaimed)).map(|vm| vm.owner.uid));
    }
    assert_eq!(taken.into_iter().collect::<Vec<_>>(), ["spot"]);
    let plain = of(0, config());
    let mut order = plain.prepared("spot", false).await;
    order.choices[0].purchase = Purchase::Spot;
    assert!(matches!(plain.cloud.create(&order).await, Err(CloudError::Invalid(_))));
}
