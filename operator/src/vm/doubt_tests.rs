//! What becomes of an attempt that an operator left behind which died: with a row its order may be sent again, without one it may not.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use broker::{
    clock::Clock,
    cloud::{CloudError, Image, Limits, Offers, Order, Vm},
    demand::Fault,
    pilot::rows::{NewPilot, PilotRow, PilotRows, PilotStatus, RowsError},
};
use tokio::time::Instant;

use super::{
    done::Effect,
    next::Step,
    observed::Observed,
    orders_tests::{OrdersOnly, Takes},
    outcome_tests::{at, pilot_vm, server},
    step,
};
use crate::{context::State, errands::Errands, names::Key};

/// A cloud that makes what may be sent, and remembers of each order whether it was only to be looked for.
#[derive(Default)]
struct Keen(Mutex<Vec<bool>>);

impl Takes for Keen {
    const LIMITS: Limits = Limits::NOVA;

    fn take(&self, order: &Order) -> Result<Vm, CloudError> {
        self.0.lock().unwrap().push(order.attempt.look_only);
        if order.attempt.look_only {
            return Err(CloudError::Unclear { message: "there is none yet".into(), until: at(180) });
        }
        Ok(server(&order.owner.uid))
    }
}

/// DIRAC's answer about rows.
struct Says(Result<Vec<PilotRow>, RowsError>);

#[async_trait]
impl PilotRows for Says {
    async fn register(&self, _: &NewPilot) -> Result<(), RowsError> {
        Ok(())
    }
    async fn set_status(&self, _: &NewPilot, _: PilotStatus, _: &str) -> Result<(), RowsError> {
        Ok(())
    }
    async fn rows(&self, _: &[String]) -> Result<Vec<PilotRow>, RowsError> {
        self.0.clone()
    }
}

fn row() -> PilotRow {
    PilotRow {
        reference: "cloud://a".into(),
        status: PilotStatus::Submitted,
        current_job: 0,
        idle_seconds: None,
        updated: None,
        jobs: None,
        running: None,
        power: None,
    }
}

/// Repeats an attempt in a process that knows nothing of it, with these rows; whether it was only looked for, a VM came of it, and the row
/// is known afterwards.
async fn repeated(rows: Option<Says>) -> (bool, bool, bool) {
    let (state, vm, keen) = (State::default(), pilot_vm("a", "c"), Arc::new(OrdersOnly(Keen::default())));
    let mut offers = Offers::default();
    offers.images.insert("default".into(), Image { id: "image".into(), ..Image::default() });
    state.clouds.get(&Key::of(&vm).beside("c")).update(|facts| {
        facts.driver = Some(keen.clone());
        facts.offers = Some(Arc::new(offers));
    });
    state.installations.get(&Key::of(&vm).beside("i")).update(|facts| {
        facts.rows = rows.map(|rows| Arc::new(rows) as Arc<dyn PilotRows>);
    });
    let seen = Observed::of(&state, &vm, at(6), Instant::now());
    let create = Step::Create { n: 1, since: at(5), repeated: true };
    let done = step::ask(&state, &Clock::default(), &Errands::default(), &seen, create, None).await;
    let [looked] = keen.0.0.lock().unwrap()[..] else { panic!("the cloud is asked once") };
    (looked, done.effects.contains(&Effect::Launched), done.learnt.is_registered)
}

#[tokio::test]
async fn an_attempt_whose_pilot_has_a_row_may_be_sent_again() {
    assert_eq!(repeated(Some(Says(Ok(vec![row()])))).await, (false, true, true));
}

#[tokio::test]
async fn an_attempt_whose_pilot_has_no_row_or_nobody_knows_is_only_looked_for() {
    let only_looked_for = (true, false, false);
    assert_eq!(repeated(Some(Says(Ok(Vec::new())))).await, only_looked_for);
    let error = RowsError { fault: Fault::Unreachable, message: "DIRAC is away".into() };
    assert_eq!(repeated(Some(Says(Err(error)))).await, only_looked_for);
    assert_eq!(repeated(None).await, only_looked_for);
}
