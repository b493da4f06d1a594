//! Steps that write to the API server, against one in memory; and what is said while a deletion waits.

use std::{sync::Arc, time::Duration};

use broker::{
    clock::{Clock, moment},
    cloud::{CloudError, Pace, Rate, pace::Action},
    simulation::{CloudConfig, SimulatedCloud},
};
use crds::{ConditionType, PilotVM, Reason, vm::PilotVMSpec};
use futures::future::join_all;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{
    Error,
    done::{Again, Done, Effect, Learnt},
    next::Step,
    observed::Observed,
    outcome,
    step::take,
    write_down::write_down,
};
use crate::{
    api::fake::Fake,
    context::{Context, State},
    names::{CLOUD_LABEL, Key, VM_FINALIZER},
};

const OTHER: &str = "example.org/other";

/// A PilotVM with the operator's finalizer and that of somebody else, and a label of somebody else.
fn pilot_vm() -> PilotVM {
    let mut vm = PilotVM::new("cpu-1", PilotVMSpec::default());
    (vm.spec.cloud_ref.name, vm.spec.installation_ref.name) = ("c".into(), "i".into());
    (vm.metadata.namespace, vm.metadata.uid) = (Some("demo".into()), Some("u".into()));
    vm.metadata.resource_version = Some("1".into());
    vm.metadata.finalizers = Some(vec![OTHER.into(), VM_FINALIZER.into()]);
    vm.metadata.labels = Some([("theirs".to_owned(), "yes".to_owned())].into());
    vm
}

/// An API server that has this object, as it is there.
fn with(there: &PilotVM) -> Fake {
    let fake = Fake::default();
    fake.put("pilotvms", there);
    fake
}

/// Takes a step of the PilotVM as the store shows it.
async fn taken(fake: &Fake, vm: &PilotVM, step: Step) -> Result<Done, Error> {
    let ctx = Context::of(fake.client(), State::default());
    let now = Timestamp::from_second(1_000_000).unwrap();
    take(&ctx, &Observed::of(&ctx.state, vm, now, moment()), step, None).await
}

fn metadata(fake: &Fake, field: &str) -> Value {
    fake.0.lock().unwrap().objects["pilotvms/cpu-1"]["metadata"][field].clone()
}

/// Somebody wrote the object since the store saw it.
fn newer() -> PilotVM {
    let mut vm = pilot_vm();
    vm.metadata.resource_version = Some("2".into());
    vm
}

/// Another object of the same name.
fn another() -> PilotVM {
    let mut vm = pilot_vm();
    vm.metadata.uid = Some("another".into());
    vm
}

#[tokio::test]
async fn the_finalizer_is_put_beside_those_of_others_and_not_onto_what_somebody_wrote_meanwhile() {
    let mut vm = pilot_vm();
    vm.metadata.finalizers = Some(vec![OTHER.into()]);
    let fake = with(&vm);
    let done = taken(&fake, &vm, Step::AddFinalizer).await.unwrap();
    assert_eq!(metadata(&fake, "finalizers"), json!([OTHER, VM_FINALIZER]));
    assert_eq!((done.again, done.learnt), (Again::Rung, Learnt::default()), "the watch brings the write");
    let error = taken(&with(&newer()), &vm, Step::AddFinalizer).await.unwrap_err();
    assert!(matches!(error, Error::Kubernetes { what: "the finalizer", .. }), "{error}");
}

#[tokio::test]
async fn labels_are_put_back_and_remembered() {
    let fake = with(&newer());
    let done = taken(&fake, &pilot_vm(), Step::MendLabels).await.unwrap();
    assert_eq!(metadata(&fake, "labels")[CLOUD_LABEL], "c", "whoever else wrote the object");
    assert!(done.learnt.labelled);
    let error = taken(&Fake::default(), &pilot_vm(), Step::MendLabels).await.unwrap_err();
    assert!(matches!(error, Error::Kubernetes { what: "the labels", .. }), "{error}");
}

#[tokio::test]
async fn this_very_object_is_deleted_and_no_other_of_its_name() {
    let fake = with(&newer());
    taken(&fake, &pilot_vm(), Step::DeleteObject).await.unwrap();
    assert_eq!(fake.names("pilotvms"), Vec::<String>::new());
    taken(&fake, &pilot_vm(), Step::DeleteObject).await.expect("it is gone already");
    let fake = with(&another());
    let error = taken(&fake, &pilot_vm(), Step::DeleteObject).await.unwrap_err();
    assert!(matches!(error, Error::Kubernetes { what: "the deletion", .. }), "{error}");
    assert_eq!(fake.names("pilotvms"), ["cpu-1"]);
}

#[tokio::test]
async fn a_life_that_is_over_is_released_from_our_finalizer_alone() {
    let fake = with(&pilot_vm());
    let done = taken(&fake, &pilot_vm(), Step::Release).await.unwrap();
    assert_eq!(metadata(&fake, "finalizers"), json!([OTHER]));
    assert!(done.event.is_none() && done.effects.is_empty(), "its end was told before");
    taken(&Fake::default(), &pilot_vm(), Step::Release).await.expect("it is gone already");
    let fake = with(&newer());
    taken(&fake, &pilot_vm(), Step::Release).await.unwrap_err();
    assert_eq!(metadata(&fake, "finalizers"), json!([OTHER, VM_FINALIZER]), "looked at again first");
}

#[tokio::test]
async fn what_is_let_go_is_released_counted_and_said_once_it_is_done() {
    let fake = with(&pilot_vm());
    let done = taken(&fake, &pilot_vm(), Step::LetGo).await.unwrap();
    assert_eq!(metadata(&fake, "finalizers"), json!([OTHER]));
    let event = done.event.unwrap();
    assert!(event.warns && event.reason == Reason::LetGo, "{event:?}");
    assert_eq!(done.effects, [Effect::Ended { reason: Reason::LetGo, wasted: false }]);
    taken(&with(&newer()), &pilot_vm(), Step::LetGo).await.unwrap_err();
}

#[tokio::test]
async fn a_deletion_that_is_not_finished_is_said() {
    let done = taken(&Fake::default(), &pilot_vm(), Step::SayDeleting).await.unwrap();
    let conditions = done.record.unwrap().conditions;
    let ready = ConditionType::Ready.among(&conditions).unwrap();
    assert_eq!(ready.reason, Reason::WaitsForCloud.as_str());
    assert!(ready.message.contains("accepted the deletion and has not finished it"), "{}", ready.message);
}

#[tokio::test]
async fn whoever_waits_for_a_list_says_so_only_where_none_can_come() {
    let vm = pilot_vm();
    let ctx = Context::of(Fake::default().client(), State::default());
    let mut seen = Observed::of(&ctx.state, &vm, Timestamp::UNIX_EPOCH, moment());
    seen.cloud_away = Some("it has no working driver".to_owned());
    let done = take(&ctx, &seen, Step::AwaitList, None).await.unwrap();
    let conditions = done.record.unwrap().conditions;
    assert!(ConditionType::Ready.among(&conditions).unwrap().message.contains("it has no working driver"));
    seen.cloud_away = None;
    let done = take(&ctx, &seen, Step::AwaitList, None).await.unwrap();
    assert!(done.record.is_none() && matches!(done.again, Again::After(_)), "{done:?}");
}

#[tokio::test(start_paused = true)]
async fn no_attempt_begins_at_a_cloud_that_wants_silence() {
    let vm = pilot_vm();
    let ctx = Context::of(Fake::default().client(), State::default());
    let pace = Arc::new(Pace::new(Rate::default()));
    let cloud = ctx.state.clouds.get(&Key::of(&vm).beside("c"));
    let driver = SimulatedCloud::new(CloudConfig::default(), None, Clock::system()).at_pace(pace.clone());
    cloud.update(|f| f.driver = Some(Arc::new(driver)));
    let begin = async || {
        let seen = Observed::of(&ctx.state, &vm, Timestamp::UNIX_EPOCH, moment());
        take(&ctx, &seen, Step::Begin(1), None).await.unwrap()
    };
    let done = begin().await;
    assert!(done.failed.is_none() && done.record.unwrap().attempt.is_some());
    let wanted = CloudError::Throttled { message: String::new(), retry_after: Some(Duration::from_secs(60)) };
    pace.turn("nova", Action::Create).await.unwrap().answered(Some(&wanted));
    let done = begin().await;
    let status = done.record.unwrap();
    assert!(status.attempt.is_none(), "{:?}", status.attempt);
    let launched = ConditionType::Launched.among(&status.conditions).unwrap();
    assert!(launched.message.contains("nothing is sent to it for 60 s"), "{}", launched.message);
    assert!(done.failed.is_some() && done.waits);
    tokio::time::advance(Duration::from_secs(60)).await;
    assert!(begin().await.failed.is_none());
}

#[tokio::test(start_paused = true)]
async fn of_very_many_that_wait_for_one_cloud_some_say_so_at_once_and_the_others_later() {
    let vm = |n| {
        let mut vm = pilot_vm();
        (vm.metadata.name, vm.metadata.uid) = (Some(format!("cpu-{n}")), Some(format!("u{n}")));
        vm
    };
    let vms: Vec<PilotVM> = (0..300).map(vm).collect();
    let ctx = Context::of(Fake::default().client(), State::default());
    let begun = moment();
    let said = join_all(vms.iter().map(async |vm| {
        let seen = Observed::of(&ctx.state, vm, Timestamp::UNIX_EPOCH, moment());
        let mut done = outcome::waits_for_cloud(&seen, "it does not answer");
        let usual = done.again;
        write_down(&ctx, vm, &mut done).await.unwrap();
        (done.again == usual, done.again)
    }))
    .await;
    let in_turn = said.iter().filter(|(had_turn, _)| *had_turn).count();
    assert_eq!((in_turn, begun.elapsed()), (201, Duration::from_secs(10)), "twenty a second");
    let mut later: Vec<Again> = said.into_iter().filter(|(had_turn, _)| !had_turn).map(|(_, again)| again).collect();
    assert!(
        later.iter().all(|again| matches!(again, Again::After(time) if time.as_secs() >= 10 && time.as_secs() < 60))
    );
    later.dedup();
    assert!(later.len() > 90, "not all at once: {later:?}");
}
