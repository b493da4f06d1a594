use async_trait::async_trait;
use broker::{
    demand::Fault,
    pilot::rows::{NewPilot, RowsError},
};
use serde_json::{Value, json};

use super::*;
use crate::{api::fake::Fake, context::State};

/// DIRAC's rows, or silence.
struct Dirac(Option<Vec<PilotRow>>);

#[async_trait]
impl PilotRows for Dirac {
    async fn register(&self, _: &NewPilot) -> Result<(), RowsError> {
        Ok(())
    }
    async fn set_status(&self, _: &NewPilot, _: PilotStatus, _: &str) -> Result<(), RowsError> {
        Ok(())
    }
    async fn rows(&self, _: &[String]) -> Result<Vec<PilotRow>, RowsError> {
        self.0.clone().ok_or(RowsError { fault: Fault::Timeout, message: "no answer".into() })
    }
}

fn vm(status: Value) -> Arc<PilotVM> {
    let mut vm = PilotVM::new("cpu-1", crds::vm::PilotVMSpec::default());
    vm.metadata.namespace = Some("demo".into());
    vm.metadata.uid = Some("u".into());
    vm.metadata.resource_version = Some("7".into());
    vm.status = serde_json::from_value(status).unwrap();
    Arc::new(vm)
}
fn booting() -> Arc<PilotVM> {
    vm(json!({"launchedAt": "2026-11-24T10:00:00Z"}))
}
fn row(status: PilotStatus, current_job: u64, jobs: Option<Vec<u64>>) -> PilotRow {
    PilotRow {
        reference: stamp::reference("u"),
        status,
        current_job,
        idle_seconds: None,
        updated: None,
        jobs,
        running: None,
        power: None,
    }
}
async fn given(fake: &Fake, dirac: &Dirac, which: Which) -> (Given, bool) {
    let ctx = Context::of(fake.client(), State::default());
    let given = give_back(&ctx, Some(dirac), vec![(booting(), "too many".into())], which).await;
    (given, fake.names("pilotvms").is_empty())
}
fn with(vm: &PilotVM) -> Fake {
    let fake = Fake::default();
    fake.put("pilotvms", vm);
    fake
}

#[tokio::test]
async fn a_vm_that_boots_is_given_back() {
    let dirac = Dirac(Some(vec![row(PilotStatus::Waiting, 0, Some(vec![]))]));
    let (given, gone) = given(&with(&booting()), &dirac, Which::Unasked).await;
    assert_eq!((given.gone, gone), (1, true), "{given:?}");
}

#[tokio::test]
async fn a_pilot_that_took_a_job_between_plan_and_apply_lives() {
    let dirac = Dirac(Some(vec![row(PilotStatus::Running, 7, Some(vec![7]))]));
    for which in [Which::Unasked, Which::Jobless] {
        let (given, gone) = given(&with(&booting()), &dirac, which).await;
        assert_eq!((given.kept, gone), (1, false));
    }
}

#[tokio::test]
async fn a_pilotvm_that_somebody_wrote_since_it_was_read_lives() {
    let mut written = (*booting()).clone();
    written.metadata.resource_version = Some("8".into());
    let fake = with(&written);
    let dirac = Dirac(Some(vec![row(PilotStatus::Waiting, 0, Some(vec![]))]));
    let (given, gone) = given(&fake, &dirac, Which::Unasked).await;
    assert_eq!((given.kept, gone), (1, false));
    assert_eq!(fake.asked("DELETE").len(), 1);
}

#[tokio::test]
async fn nothing_is_given_back_when_the_rows_cannot_be_read_again() {
    let fake = with(&booting());
    let (given, gone) = given(&fake, &Dirac(None), Which::Jobless).await;
    assert_eq!((given.kept, gone), (1, false));
    assert!(given.failed[0].1.contains("no answer"));
    assert!(fake.asked("DELETE").is_empty());
}

#[test]
fn an_absent_row_proves_nothing_of_a_vm_that_was_made() {
    assert!(!is_free(&booting(), None, Which::Jobless));
    assert!(is_free(&vm(Value::Null), None, Which::Unasked), "no pilot runs without a row, nor a VM");
}

#[test]
fn a_pilot_that_asks_and_never_had_a_job_goes_only_from_a_pool_that_drains() {
    let asks = row(PilotStatus::Running, 0, Some(vec![]));
    assert!(is_free(&booting(), Some(&asks), Which::Jobless));
    assert!(!is_free(&booting(), Some(&asks), Which::Unasked));
}

#[test]
fn a_pilot_that_ever_had_a_job_may_have_one() {
    assert!(!is_free(&booting(), Some(&row(PilotStatus::Running, 0, Some(vec![3]))), Which::Jobless));
    assert!(!is_free(&booting(), Some(&row(PilotStatus::Running, 3, None)), Which::Jobless));
}

#[test]
fn a_pilot_whose_jobs_have_all_ended_goes_from_a_vm_that_drains_and_one_of_which_nobody_says_so_stays() {
    let with = |running| PilotRow { running, ..row(PilotStatus::Running, 3, Some(vec![3])) };
    let goes = |running| is_free(&booting(), Some(&with(running)), Which::Idle);
    assert_eq!((goes(Some(0)), goes(Some(1)), goes(None)), (true, false, false));
    assert!(!is_free(&booting(), Some(&with(Some(0))), Which::Jobless));
    assert!(is_free(&booting(), Some(&row(PilotStatus::Running, 0, Some(vec![]))), Which::Idle));
    assert!(!is_free(&booting(), None, Which::Idle));
}
