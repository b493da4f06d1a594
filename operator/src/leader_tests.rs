use std::sync::{Arc, Mutex};

use http::Request;
use jiff::Timestamp;
use kube::client::Body;
use serde_json::Value;
use tokio::time::Instant;

use super::*;
use crate::{
    api::fake::{Fake, Fault},
    progress::Progress,
};

/// The way from one replica to the API server.
#[derive(Clone, Copy, Default, PartialEq)]
enum Way {
    #[default]
    Open,
    /// Every connection breaks.
    Broken,
    /// No request is ever answered.
    Silent,
}

/// One replica, with a way and a date of its own.
struct Replica {
    leadership: Leadership,
    way: Arc<Mutex<Way>>,
    /// Seconds by which its date is wrong.
    wrong: Arc<Mutex<i64>>,
    progress: Progress,
}

impl Replica {
    fn of(fake: &Fake) -> Self {
        let (way, wrong) = (Arc::<Mutex<Way>>::default(), Arc::<Mutex<i64>>::default());
        let (start, off) = (moment(), wrong.clone());
        let clock = Clock::driven(move || {
            let passed = i64::try_from(start.elapsed().as_micros()).unwrap();
            Timestamp::from_microsecond((1_764_000_000 + *off.lock().unwrap()) * 1_000_000 + passed).unwrap()
        });
        let progress = Progress::default();
        let pulse = progress.begins("the keeper of the Lease", Duration::from_secs(60));
        let leadership = Leadership::seek_by(over(fake, &way), "default", "lead", clock, pulse);
        Self { leadership, way, wrong, progress }
    }

    fn leads(&self) -> bool {
        *self.leadership.leads.borrow()
    }

    /// Waits until it leads, or leads no more.
    async fn until(&mut self, leads: bool) {
        let turned = self.leadership.leads.wait_for(|now| *now == leads);
        timeout(Duration::from_secs(600), turned).await.expect("it takes too long").unwrap();
    }

    fn way(&self, way: Way) {
        *self.way.lock().unwrap() = way;
    }
}

/// A client of the API server, by this way.
fn over(fake: &Fake, way: &Arc<Mutex<Way>>) -> Client {
    let (server, way) = (fake.client(), way.clone());
    let service = tower::service_fn(move |request: Request<Body>| {
        let (server, way) = (server.clone(), *way.lock().unwrap());
        async move {
            match way {
                Way::Open => server.send(request).await.map_err(std::io::Error::other),
                Way::Broken => Err(std::io::Error::other("the connection broke")),
                Way::Silent => std::future::pending().await,
            }
        }
    });
    Client::new(service, "default")
}

fn spec(fake: &Fake) -> Value {
    fake.0.lock().unwrap().objects["leases/lead"]["spec"].clone()
}

async fn seconds(seconds: u64) {
    sleep(Duration::from_secs(seconds)).await;
}

/// A leader, and a replica that stands by.
async fn two(fake: &Fake) -> (Replica, Replica) {
    let mut leader = Replica::of(fake);
    leader.until(true).await;
    let standby = Replica::of(fake);
    seconds(4).await;
    (leader, standby)
}

#[tokio::test(start_paused = true)]
async fn nobody_takes_a_healthy_lease_whose_clock_jumps_an_hour() {
    let fake = Fake::default();
    let (leader, standby) = two(&fake).await;
    let mut changes = leader.leadership.leads.clone();
    changes.mark_unchanged();
    for (ours, theirs) in [(3_600, 0), (-3_600, 0), (0, 3_600), (0, -3_600), (3_600, -3_600), (0, 0)] {
        (*standby.wrong.lock().unwrap(), *leader.wrong.lock().unwrap()) = (ours, theirs);
        for _ in 0..120 {
            seconds(1).await;
            assert!(leader.leads() && !standby.leads(), "{ours} {theirs}");
        }
    }
    assert!(!changes.has_changed().unwrap(), "it led without a gap");
    assert_eq!(spec(&fake)["leaseTransitions"], 0);
    assert!(leader.progress.late().is_empty() && standby.progress.late().is_empty());
}

#[tokio::test(start_paused = true)]
async fn another_leads_soon_after_a_leaders_death_whatever_the_clocks_say() {
    for (ours, theirs) in [(0, 0), (3_600, 0), (-3_600, 0), (0, 3_600), (0, -3_600)] {
        let fake = Fake::default();
        let (leader, mut standby) = two(&fake).await;
        (*standby.wrong.lock().unwrap(), *leader.wrong.lock().unwrap()) = (ours, theirs);
        seconds(20).await;
        drop(leader);
        let died = moment();
        standby.until(true).await;
        let took = died.elapsed().as_secs_f64();
        assert!((10.0..20.0).contains(&took), "{took} s ({ours}, {theirs})");
        assert_eq!(spec(&fake)["leaseTransitions"], 1);
    }
}

#[tokio::test(start_paused = true)]
async fn after_a_resignation_another_leads_at_once() {
    let fake = Fake::default();
    let (leader, mut standby) = two(&fake).await;
    leader.leadership.resign().await;
    let given_back = spec(&fake);
    assert_eq!((&given_back["holderIdentity"], &given_back["leaseDurationSeconds"]), (&"".into(), &1.into()));
    let resigned = moment();
    standby.until(true).await;
    assert!(resigned.elapsed() < Duration::from_secs(3));
}

#[tokio::test(start_paused = true)]
async fn a_replica_that_stands_by_leaves_the_lease_alone_when_it_ends() {
    let fake = Fake::default();
    let (leader, standby) = two(&fake).await;
    let before = spec(&fake)["holderIdentity"].clone();
    standby.leadership.resign().await;
    assert_eq!(spec(&fake)["holderIdentity"], before);
    assert!(leader.leads());
}

#[tokio::test(start_paused = true)]
async fn a_resignation_ends_in_time_when_the_server_does_not_answer() {
    let fake = Fake::default();
    let (leader, _standby) = two(&fake).await;
    leader.way(Way::Silent);
    let began = moment();
    leader.leadership.resign().await;
    assert!(began.elapsed() <= GIVEN_BACK);
}

#[tokio::test(start_paused = true)]
async fn a_leader_out_of_reach_stops_before_another_leads_and_does_not_come_back() {
    for way in [Way::Broken, Way::Silent] {
        // Wherever in a turn the way is cut.
        for cut in 0..12 {
            let fake = Fake::default();
            let (mut leader, mut standby) = two(&fake).await;
            sleep(Duration::from_millis(500 * cut)).await;
            leader.way(way);
            let began = moment();
            leader.until(false).await;
            let stopped = began.elapsed().as_secs_f64();
            assert!((7.0..=12.1).contains(&stopped), "{stopped} s");
            assert!(!standby.leads());
            let stopped = moment();
            standby.until(true).await;
            assert!(stopped.elapsed() >= Duration::from_secs_f64(2.9), "{:?}", stopped.elapsed());
            leader.way(Way::Open);
            seconds(60).await;
            assert!(!leader.leads() && standby.leads());
            assert!(leader.progress.late().is_empty());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_the_server_answers_again_in_time_leads_on() {
    let fake = Fake::default();
    let (leader, standby) = two(&fake).await;
    let mut changes = leader.leadership.leads.clone();
    changes.mark_unchanged();
    for _ in 0..20 {
        leader.way(Way::Broken);
        seconds(4).await;
        leader.way(Way::Open);
        seconds(7).await;
    }
    assert!(!changes.has_changed().unwrap() && !standby.leads());
}

#[tokio::test(start_paused = true)]
async fn while_nobody_reaches_the_server_nobody_leads_and_then_one_does() {
    let fake = Fake::default();
    let (leader, standby) = two(&fake).await;
    leader.way(Way::Silent);
    standby.way(Way::Silent);
    seconds(3_600).await;
    assert!(!leader.leads() && !standby.leads());
    leader.way(Way::Open);
    standby.way(Way::Open);
    seconds(30).await;
    assert!(leader.leads() != standby.leads());
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_somebody_deletes_is_made_again_by_its_holder() {
    let fake = Fake::default();
    let (leader, standby) = two(&fake).await;
    let mut changes = leader.leadership.leads.clone();
    changes.mark_unchanged();
    let holder = spec(&fake)["holderIdentity"].clone();
    for _ in 0..10 {
        fake.0.lock().unwrap().objects.remove("leases/lead");
        sleep(Duration::from_millis(3_700)).await;
        assert_eq!(spec(&fake)["holderIdentity"], holder);
    }
    assert!(!changes.has_changed().unwrap() && !standby.leads());
}

#[tokio::test(start_paused = true)]
async fn of_many_that_start_at_once_one_leads() {
    let fake = Fake::default();
    let replicas: Vec<_> = (0..8).map(|_| Replica::of(&fake)).collect();
    for _ in 0..60 {
        seconds(1).await;
        assert_eq!(replicas.iter().filter(|replica| replica.leads()).count(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_lost_reply_to_the_first_write_delays_the_leader_by_a_turn() {
    let fake = Fake::default();
    fake.0.lock().unwrap().faults = vec![Fault::ReplyLost];
    let (began, mut replica) = (moment(), Replica::of(&fake));
    replica.until(true).await;
    assert!(began.elapsed() < Duration::from_secs(3));
}

#[tokio::test(start_paused = true)]
async fn a_lease_with_a_date_that_no_calendar_here_knows_is_taken() {
    for spec in [
        json!({"holderIdentity": "they", "renewTime": "9999-12-31T23:59:59.999999Z", "leaseDurationSeconds": 15}),
        json!({"holderIdentity": "they", "acquireTime": "0000-01-01T00:00:00.000000-14:00"}),
        json!({"holderIdentity": "they"}),
        json!({}),
        Value::Null,
    ] {
        let fake = Fake::default();
        let metadata = json!({"name": "lead", "resourceVersion": "1", "uid": "u"});
        fake.put("leases", &json!({"metadata": metadata, "spec": spec}));
        let (began, mut replica): (Instant, _) = (moment(), Replica::of(&fake));
        replica.until(true).await;
        assert!(began.elapsed() < Duration::from_secs(18), "{spec}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_lease_is_read_every_two_seconds_and_written_every_four() {
    let fake = Fake::default();
    let mut replica = Replica::of(&fake);
    replica.until(true).await;
    seconds(600).await;
    let (looks, writes) = (fake.asked("GET leases/lead").len(), fake.asked("PATCH leases/lead").len());
    assert!((240..=301).contains(&looks) && (120..=151).contains(&writes), "{looks} {writes}");
    assert_eq!(fake.asked("").len(), looks + writes + 1, "get, create and patch: the chart allows no more");
}
