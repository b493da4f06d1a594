//! What two clouds that misbehave cost a third, of another namespace, in the time of a clock that only tests have: launches and deletions
//! pass the same permits and steps as in the reconciler. The whole operator is timed by `cargo xtask bench --clouds`.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use broker::{
    clock::Clock,
    cloud::{Cloud, CloudError, Disposition, Headroom, Image, Limits, Offers, Order, Owner, Vm, Wanted},
};
use crds::PilotVM;
use tokio::{task::JoinSet, time::Instant};

use super::{
    done::{Again, Effect},
    error::Error,
    next::{Step, next},
    observed::Observed,
    outcome_tests::{at, pilot_vm, server},
    step,
};
use crate::{
    api::{Stores, watch::Objects},
    context::State,
    errands::Errands,
    names::Key,
};

/// PilotVMs of each cloud that misbehaves, and those of the third.
const WAITING: usize = 200;
const TIMED: usize = 100;

/// How a cloud answers.
#[derive(Clone, Copy)]
enum Mood {
    /// After a second.
    Works,
    Hangs,
    /// With 429, and an hour to wait.
    Throttles,
}

impl Mood {
    async fn answer<T>(self, answer: T) -> Result<T, CloudError> {
        match self {
            Mood::Works => tokio::time::sleep(Duration::from_secs(1)).await,
            Mood::Hangs => std::future::pending().await,
            Mood::Throttles => {
                let retry_after = Some(Duration::from_secs(3_600));
                return Err(CloudError::Throttled { message: "429".into(), retry_after });
            }
        }
        Ok(answer)
    }
}

#[async_trait]
impl Cloud for Mood {
    async fn offers(&self, _: &Wanted) -> Result<Offers, CloudError> {
        self.answer(Offers::default()).await
    }
    async fn headroom(&self) -> Result<Headroom, CloudError> {
        self.answer(Headroom::default()).await
    }
    async fn create(&self, order: &Order) -> Result<Vm, CloudError> {
        self.answer(server(&order.owner.uid)).await
    }
    async fn list(&self, _: &str) -> Result<Vec<Vm>, CloudError> {
        self.answer(Vec::new()).await
    }
    async fn get(&self, _: &str) -> Result<Option<Vm>, CloudError> {
        self.answer(None).await
    }
    async fn find(&self, _: &Owner) -> Result<Vec<Vm>, CloudError> {
        self.answer(Vec::new()).await
    }
    fn settle(&self) -> Duration {
        Duration::ZERO
    }
    async fn delete(&self, _: &str) -> Result<(), CloudError> {
        self.answer(()).await
    }
    async fn console(&self, _: &str, _: usize) -> Result<String, CloudError> {
        self.answer(String::new()).await
    }
    fn limits(&self) -> Limits {
        Limits::NOVA
    }
}

const CLOUDS: [(&str, &str, Mood); 3] =
    [("third", "works", Mood::Works), ("others", "hangs", Mood::Hangs), ("others", "throttles", Mood::Throttles)];

fn state() -> Arc<State> {
    let pools = ["third", "others"].map(|namespace| {
        let mut pool = crds::PilotPool::new(&pilot_vm("a", "c").spec.pool_ref.name, Default::default());
        pool.metadata.namespace = Some(namespace.into());
        pool
    });
    let state = State { stores: Stores { pools: Objects::of(pools), ..Stores::default() }, ..State::default() };
    for (namespace, name, mood) in CLOUDS {
        let mut offers = Offers::default();
        offers.images.insert("default".into(), Image { id: "image".into(), ..Image::default() });
        state.clouds.get(&Key { namespace: namespace.into(), name: name.into() }).update(|facts| {
            facts.driver = Some(Arc::new(mood));
            facts.offers = Some(Arc::new(offers));
        });
    }
    Arc::new(state)
}

/// Takes one step, as the reconciler does, until the cloud was asked and did it; whoever is sent away or refused comes again.
async fn done(
    state: &State,
    vm: &mut PilotVM,
    what: impl Fn(&Observed<'_>) -> Step,
    is_done: impl Fn(&[Effect]) -> bool,
) {
    let mut permit = None;
    loop {
        let seen = Observed::of(state, vm, at(5), Instant::now());
        let done = step::ask(state, &Clock::default(), &Errands::default(), &seen, what(&seen), permit.take()).await;
        permit = done.permit;
        let uid = vm.metadata.uid.clone().unwrap();
        state.memory.note(&uid, |m| done.learnt.clone().keep(m, at(5), Instant::now()));
        if is_done(&done.effects) || done.learnt.delete_asked {
            return;
        }
        let refused = done.failed.map(|error| match error {
            Error::Cloud { source, .. } => match source.disposition() {
                Disposition::RetryAfter(pause) => pause,
                _ => Duration::from_secs(60),
            },
            _ => Duration::from_secs(1),
        });
        match (refused, done.record, done.again) {
            (Some(pause), ..) => tokio::time::sleep(pause).await,
            (None, Some(status), _) => vm.status = Some(status),
            // In its place a freed permit rings.
            (None, None, Again::After(_)) => tokio::time::sleep(Duration::from_millis(100)).await,
            (None, None, _) => {}
        }
    }
}

/// A PilotVM that is launched, and one of which the VM is deleted.
async fn live(state: Arc<State>, namespace: &str, name: String, cloud: &str) -> [Duration; 2] {
    let mut vm = pilot_vm(&name, cloud);
    vm.metadata.namespace = Some(namespace.into());
    state.memory.note(&name, |m| m.is_registered = true);
    let began = Instant::now();
    done(&state, &mut vm, next, |effects| effects.contains(&Effect::Launched)).await;
    let launched = began.elapsed();
    let began = Instant::now();
    done(&state, &mut vm, |_| Step::TakeAway(format!("id-{name}")), |_| false).await;
    [launched, began.elapsed()]
}

/// Launches and deletions of the third cloud: of 99 of 100 no longer than this.
async fn timed(state: &Arc<State>, name: &str) -> [f64; 2] {
    let mut tasks = JoinSet::new();
    for n in 0..TIMED {
        tasks.spawn(live(state.clone(), "third", format!("{name}-{n}"), "works"));
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    let all = tasks.join_all().await;
    [0, 1].map(|what| {
        let mut times: Vec<f64> = all.iter().map(|times| times[what].as_secs_f64()).collect();
        times.sort_by(f64::total_cmp);
        times[TIMED * 99 / 100 - 1]
    })
}

#[tokio::test(start_paused = true)]
async fn beside_a_cloud_that_hangs_and_one_that_throttles_a_third_is_no_slower_than_alone() {
    let state = state();
    let alone = timed(&state, "alone").await;
    let mut others = JoinSet::new();
    for (namespace, cloud, _) in CLOUDS.iter().skip(1) {
        for n in 0..WAITING {
            others.spawn(live(state.clone(), namespace, format!("{cloud}-{n}"), cloud));
        }
    }
    tokio::time::sleep(Duration::from_secs(5)).await;
    let beside = timed(&state, "beside").await;
    assert_eq!(others.len(), 2 * WAITING, "none of theirs was made");
    for (alone, beside) in alone.into_iter().zip(beside) {
        assert!(alone > 0.9 && beside / alone < 1.5, "alone {alone} s, beside {beside} s");
    }
}
