//! What comes of each step, from the answer that it got; and steps on clouds that hang, from a state without any client.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use broker::{
    clock::Clock,
    cloud::{Cloud, CloudError, Coming, Headroom, Image, Limits, Offers, Order, Owner, Scope, Vm, VmState, Wanted},
    demand::Fault,
    pilot::{
        lost::GivenBack,
        rows::{PilotStatus, RowsError},
    },
};
use crds::{ConditionType, PilotVM, Reason, vm::PilotVMSpec};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use tokio::time::Instant;

use super::{
    done::{Again, Done, Effect},
    next::{Step, next},
    observed::Observed,
    outcome,
    record::{MadeFrom, Record},
    step,
};
use crate::{
    api::{Stores, watch::Objects},
    context::State,
    ending::Ending,
    errands::Errands,
    known::{
        cloud::Announced,
        memory::{Call, Drain, Found, Tried},
    },
    names::{Key, VM_FINALIZER},
};

pub(super) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_000_000 + seconds).unwrap()
}

pub(super) fn pilot_vm(name: &str, cloud: &str) -> PilotVM {
    let spec = PilotVMSpec {
        boot_deadline: crds::Duration::from_secs(600),
        image: "default".into(),
        ..PilotVMSpec::default()
    };
    let mut vm = PilotVM::new(name, spec);
    (vm.spec.cloud_ref.name, vm.spec.installation_ref.name) = (cloud.into(), "i".into());
    vm.metadata.uid = Some(name.into());
    vm.metadata.namespace = Some("demo".into());
    vm.metadata.creation_timestamp = Some(Time(at(0)));
    vm.metadata.finalizers = Some(vec![VM_FINALIZER.into()]);
    vm
}

pub(super) fn server(uid: &str) -> Vm {
    Vm {
        id: format!("id-{uid}"),
        owner: Owner { cluster: String::new(), uid: uid.into() },
        name: String::new(),
        state: VmState::Building,
        provider_status: "BUILD".into(),
        created: at(1),
        bought: None,
        released: false,
    }
}

fn of<T>(vm: &PilotVM, work: impl FnOnce(&Observed<'_>) -> T) -> T {
    work(&Observed::of(&State::default(), vm, at(5), Instant::now()))
}

fn reason(done: &Done, type_: ConditionType) -> Option<Reason> {
    let status = done.record.as_ref()?;
    type_.among(&status.conditions).and_then(crds::condition::reason)
}

fn call(done: &Done) -> Option<Call> {
    done.learnt.tried.map(|tried| tried.call)
}

fn transient() -> CloudError {
    CloudError::Transient("no route".into())
}

#[test]
fn an_attempt_is_written_only_where_nobody_wrote_the_object_meanwhile() {
    let from = MadeFrom { image_id: Some("i-1".into()), user_data_hash: Some("abc".into()), ..MadeFrom::default() };
    let done = of(&pilot_vm("a", "c"), |o| outcome::begins(o, 1, from));
    assert!(done.alone);
    let attempt = done.record.and_then(|s| s.attempt).unwrap();
    assert_eq!((attempt.number, attempt.since.0), (1, at(5)));
    let from = (attempt.image_id.as_deref(), attempt.user_data_hash.as_deref());
    assert_eq!(from, (Some("i-1"), Some("abc")), "what it is made from is known however the order goes");
}

#[test]
fn a_made_vm_is_written_down_with_what_was_bought_and_counted_once() {
    let vm = pilot_vm("a", "c");
    let done = of(&vm, |o| outcome::created(o, 1, false, Ok(server("a"))));
    let status = done.record.as_ref().unwrap();
    assert_eq!(status.provider_id.as_deref(), Some("id-a"));
    assert!(status.bought.is_some() && status.launched_at.is_some());
    assert!(done.effects.contains(&Effect::Launched) && done.effects.contains(&Effect::Accepted));
    assert_eq!((call(&done), done.learnt.touched, done.again), (Some(Call::Over), true, Again::Now));
}

#[test]
fn an_unclear_order_leaves_its_attempt_in_doubt_and_ends_nothing() {
    let unclear = CloudError::Unclear { message: "the reply was lost".into(), until: at(180) };
    let done = of(&pilot_vm("a", "c"), |o| outcome::created(o, 1, false, Err(unclear)));
    assert_eq!(call(&done), Some(Call::InDoubt(Some(at(180)))));
    assert!(done.failed.is_some());
    assert!(ConditionType::Ended.among(&done.record.unwrap().conditions).is_none());
}

#[test]
fn an_order_that_nobody_received_is_over_and_a_look_that_came_to_nothing_leaves_the_doubt() {
    let done = of(&pilot_vm("a", "c"), |o| outcome::created(o, 1, false, Err(transient())));
    assert_eq!(call(&done), Some(Call::Over));
    let vm = pilot_vm("a", "c");
    let mut begun = vm.clone();
    begun.status = Some(Record::of(&vm, at(0)).begins(1, MadeFrom::default()).finish());
    let looked = |until: i64, error: CloudError| {
        let state = State::default();
        state.memory.note("a", |m| m.tried = Some(Tried { n: 1, call: Call::InDoubt(Some(at(until))) }));
        let o = Observed::of(&state, &begun, at(5), Instant::now());
        call(&outcome::created(&o, 1, true, Err(error)))
    };
    assert_eq!(looked(100, transient()), Some(Call::InDoubt(Some(at(100)))), "a VM may still come");
    let throttled = CloudError::Throttled { message: String::new(), retry_after: None };
    assert_eq!(looked(1, throttled), Some(Call::InDoubt(Some(at(1)))));
    assert_eq!(looked(1, transient()), Some(Call::Over), "none came, and none will");
}

#[test]
fn a_refused_order_ends_the_pilotvm_and_is_told_as_far_as_it_reaches() {
    let full = CloudError::NoCapacity { message: "full".into(), scope: Scope::Zone };
    let done = of(&pilot_vm("a", "c"), |o| outcome::created(o, 1, false, Err(full)));
    assert!(done.effects.contains(&Effect::Refused(Scope::Zone)));
    assert!(ConditionType::Ended.holds(&done.record.unwrap().conditions));
}

#[test]
fn what_was_refused_to_another_vm_meanwhile_is_not_told_again() {
    let done = of(&pilot_vm("a", "c"), |o| outcome::ended(o, &Ending::refused_meanwhile(), None, None));
    assert!(!done.effects.iter().any(|e| matches!(e, Effect::Refused(_) | Effect::NeverAsked)));
}

#[test]
fn a_vm_that_stops_early_blames_what_boots_and_one_that_had_time_to_be_idle_does_not() {
    let blames = |launched: i64| {
        let mut vm = pilot_vm("a", "c");
        vm.spec.idle_timeout = crds::Duration::from_secs(300);
        vm.status = Some(Record::of(&vm, at(launched)).launched(&vm, &server("a")).finish());
        of(&vm, |o| outcome::ended(o, &Ending::halted(false), None, None)).effects.contains(&Effect::NeverAsked)
    };
    assert!(blames(-294) && !blames(-295), "it is second five");
}

#[test]
fn only_an_explicit_no_such_thing_proves_that_a_vm_is_gone() {
    let vm = pilot_vm("a", "c");
    let found = |done: &Done| done.learnt.answer.as_ref().map(|a| a.found.clone());
    let gone = of(&vm, |o| outcome::asked(o, at(5), Ok(None)));
    assert_eq!((found(&gone), gone.again), (Some(Found::Nothing), Again::Now));
    let unknown = of(&vm, |o| outcome::asked(o, at(5), Err(transient())));
    assert!(matches!(found(&unknown), Some(Found::Unclear(_))));
    assert_eq!(reason(&unknown, ConditionType::Ready), Some(Reason::MissingFromLists));
    assert!(unknown.record.as_ref().unwrap().missing_since.is_some() && unknown.effects.is_empty());
    assert!(ConditionType::Ended.among(&unknown.record.unwrap().conditions).is_none());
}

#[test]
fn pauses_between_questions_grow_to_five_minutes() {
    let pause = |times: u32| {
        let answer = crate::known::memory::Answer {
            at: at(0),
            moment: Instant::now(),
            times,
            found: Found::Unclear(String::new()),
        };
        answer.again().duration_since(answer.moment).as_secs()
    };
    assert_eq!((pause(0), pause(2), pause(60)), (5, 20, 300));
}

#[test]
fn a_loss_among_too_many_is_not_believed_and_that_is_said() {
    let vm = pilot_vm("a", "c");
    let frozen = of(&vm, |o| outcome::lost(o, false));
    assert_eq!(reason(&frozen, ConditionType::Ready), Some(Reason::MassLoss));
    assert!(frozen.effects.is_empty());
    let lost = of(&vm, |o| outcome::lost(o, true));
    assert_eq!(reason(&lost, ConditionType::Ended), Some(Reason::Vanished));
}

#[test]
fn a_row_that_cannot_be_closed_is_tried_again_and_said() {
    let vm = pilot_vm("a", "c");
    let error = RowsError { fault: Fault::Timeout, message: "no answer".into() };
    let done = of(&vm, |o| outcome::row_closed(o, Err(super::Error::Row { what: "written", source: error })));
    assert!(done.failed.is_some() && done.learnt.row_not_closed && !done.learnt.row_closed);
    assert_eq!(reason(&done, ConditionType::Ready), Some(Reason::WaitsForDirac));
    assert_eq!(outcome::row_left().event.map(|e| e.reason), Some(Reason::RowLeft));
}

#[test]
fn a_pilotvm_of_a_pool_that_does_not_exist_says_what_to_do() {
    let done = of(&pilot_vm("a", "c"), outcome::no_pool);
    assert_eq!(reason(&done, ConditionType::Launched), Some(Reason::NotReady));
    assert!(done.failed.unwrap().to_string().contains("delete this one, or create the pool"));
}

#[test]
fn what_somebody_took_out_of_a_status_is_put_back_from_the_uid_and_the_times() {
    let mut vm = pilot_vm("a", "c");
    vm.status = of(&vm, |o| outcome::created(o, 1, false, Ok(server("a")))).record;
    vm.status = of(&vm, outcome::running).record;
    let whole = vm.status.clone().unwrap();
    let status = vm.status.as_mut().unwrap();
    (status.pilot_reference, status.pilot_stamp) = (Some("another's".into()), None);
    status.conditions.clear();
    let mended = of(&vm, outcome::mended).record.unwrap();
    assert_eq!((&mended.pilot_reference, &mended.pilot_stamp), (&whole.pilot_reference, &whole.pilot_stamp));
    for type_ in [ConditionType::Registered, ConditionType::Launched, ConditionType::Running] {
        assert!(type_.holds(&mended.conditions), "{type_:?}");
    }
}

#[test]
fn a_row_that_was_added_is_remembered_and_one_that_was_not_is_said() {
    let vm = pilot_vm("a", "c");
    assert!(of(&vm, |o| outcome::registered(o, Ok(()))).learnt.is_registered);
    let error = RowsError { fault: Fault::Unauthorized, message: "no".into() };
    let done = of(&vm, |o| outcome::registered(o, Err(error)));
    assert_eq!(reason(&done, ConditionType::Registered), Some(Reason::Unauthorized));
    assert!(done.failed.is_some() && !done.learnt.is_registered);
}

#[test]
fn a_vm_that_was_found_is_told_and_counted_once() {
    let mut vm = pilot_vm("a", "c");
    let first = of(&vm, |o| outcome::adopted(o, &server("a")));
    let event = first.event.as_ref().unwrap();
    assert!(!event.warns && event.reason == Reason::Launched && event.text.starts_with("VM id-a ("), "{event:?}");
    assert_eq!((&first.effects[..], first.learnt.touched), (&[Effect::Launched, Effect::Poll][..], true));
    vm.status = first.record;
    let mut other = server("a");
    other.id = "id-b".into();
    let again = of(&vm, |o| outcome::adopted(o, &other));
    assert!(again.event.is_none() && again.effects.is_empty() && !again.learnt.touched, "it was launched before");
    let (before, after) = (vm.status.unwrap(), again.record.unwrap());
    assert_eq!((after.provider_id.as_deref(), &after.launched_at), (Some("id-b"), &before.launched_at));
}

#[test]
fn a_vm_that_is_in_the_lists_again_is_missing_no_more() {
    let mut vm = pilot_vm("a", "c");
    vm.status = of(&vm, |o| outcome::missing(o, "no answer")).record;
    assert!(vm.status.as_ref().unwrap().missing_since.is_some());
    let done = of(&vm, outcome::found);
    let status = done.record.as_ref().unwrap();
    assert!(status.missing_since.is_none() && ConditionType::Ready.holds(&status.conditions));
    assert!(done.event.is_none() && done.effects.is_empty());
}

#[test]
fn a_vm_that_drains_is_told_once_and_again_when_it_works_on() {
    let begins = |text: &str| Drain::Begins(Reason::Downtime, text.to_owned());
    let mut vm = pilot_vm("a", "c");
    let first = of(&vm, |o| outcome::drains(o, &begins("a new roof")));
    let event = first.event.as_ref().unwrap();
    assert!(!event.warns && event.reason == Reason::Draining && event.text.ends_with("a new roof"), "{event:?}");
    assert_eq!(reason(&first, ConditionType::Draining), Some(Reason::Downtime));
    vm.status = first.record;
    let another = of(&vm, |o| outcome::drains(o, &begins("a newer roof")));
    assert!(another.event.is_none() && another.record.is_some(), "another sentence is written, and no other event");
    let stops = of(&vm, |o| outcome::drains(o, &Drain::Stops));
    assert_eq!(reason(&stops, ConditionType::Draining), Some(Reason::NotDraining));
    assert_eq!(stops.event.map(|e| e.reason), Some(Reason::NotDraining));
}

#[test]
fn a_pilot_that_asks_for_work_is_told_once() {
    let mut vm = pilot_vm("a", "c");
    vm.status = of(&vm, |o| outcome::created(o, 1, false, Ok(server("a")))).record;
    let first = of(&vm, outcome::running);
    assert!(ConditionType::Running.holds(&first.record.as_ref().unwrap().conditions));
    assert_eq!((first.event.map(|e| e.reason), first.effects), (Some(Reason::Running), vec![Effect::Asked]));
    vm.status = first.record;
    let again = of(&vm, outcome::running);
    assert!(again.event.is_none() && again.effects.is_empty());
}

#[test]
fn a_row_that_is_not_there_is_not_a_row_that_could_not_be_read() {
    let none = outcome::row_read(at(5), Ok(Vec::new()));
    assert_eq!(none.learnt.row, Some((at(5), None)));
    let error = RowsError { fault: Fault::Timeout, message: "no answer".into() };
    let unknown = outcome::row_read(at(5), Err(error));
    assert!(unknown.learnt.row.is_none() && unknown.failed.is_some());
}

#[test]
fn a_row_that_was_written_is_remembered_so() {
    let done = of(&pilot_vm("a", "c"), |o| outcome::row_written(o, PilotStatus::Waiting, Ok(())));
    assert!(done.learnt.row_written);
    assert_eq!(done.record.and_then(|s| s.pilot_status).as_deref(), Some("Waiting"));
}

#[test]
fn a_deletion_that_was_accepted_is_remembered_and_one_that_was_not_is_said() {
    let vm = pilot_vm("a", "c");
    let done = of(&vm, |o| outcome::taken_away(o, Ok(())));
    assert!(done.learnt.delete_asked && done.learnt.touched);
    let done = of(&vm, |o| outcome::taken_away(o, Err(transient())));
    assert_eq!(reason(&done, ConditionType::Ready), Some(Reason::WaitsForCloud));
    assert!(done.failed.is_some() && !done.learnt.delete_asked);
}

/// A cloud that makes VMs after a second, or never answers.
struct Slow {
    hangs: bool,
}

#[async_trait]
impl Cloud for Slow {
    async fn offers(&self, _: &Wanted) -> Result<Offers, CloudError> {
        Err(transient())
    }
    async fn headroom(&self) -> Result<Headroom, CloudError> {
        Err(transient())
    }
    async fn create(&self, order: &Order) -> Result<Vm, CloudError> {
        if self.hangs {
            std::future::pending::<()>().await;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
        Ok(server(&order.owner.uid))
    }
    async fn list(&self, _: &str) -> Result<Vec<Vm>, CloudError> {
        Err(transient())
    }
    async fn get(&self, _: &str) -> Result<Option<Vm>, CloudError> {
        Err(transient())
    }
    async fn find(&self, _: &Owner) -> Result<Vec<Vm>, CloudError> {
        Err(transient())
    }
    fn settle(&self) -> Duration {
        Duration::ZERO
    }
    async fn delete(&self, _: &str) -> Result<(), CloudError> {
        Ok(())
    }
    async fn console(&self, _: &str, _: usize) -> Result<String, CloudError> {
        Ok(String::new())
    }
    fn limits(&self) -> Limits {
        Limits::NOVA
    }
}

fn with_cloud(state: &State, name: &str, hangs: bool) {
    let mut offers = Offers::default();
    offers.images.insert("default".into(), Image { id: "image".into(), ..Image::default() });
    let key = Key { namespace: "demo".into(), name: name.into() };
    state.clouds.get(&key).update(|f| {
        f.driver = Some(Arc::new(Slow { hangs }));
        f.offers = Some(Arc::new(offers));
    });
}

/// Has the VM made, as the reconciler does: from what is observed, until it is; how often it was sent away.
async fn launch(state: Arc<State>, clock: Clock, mut vm: PilotVM) -> usize {
    let (mut sent_away, mut permit) = (0, None);
    loop {
        let seen = Observed::of(&state, &vm, at(5), Instant::now());
        let step = next(&seen);
        let done = step::ask(&state, &clock, &Errands::default(), &seen, step, permit.take()).await;
        permit = done.permit;
        let uid = vm.metadata.uid.clone().unwrap();
        state.memory.note(&uid, |m| done.learnt.clone().keep(m, at(5), Instant::now()));
        if done.effects.contains(&Effect::Launched) {
            return sent_away;
        }
        match (done.record, done.again) {
            (Some(status), _) => vm.status = Some(status),
            (None, Again::After(_)) => {
                sent_away += 1;
                // In its place a freed permit rings.
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            (None, again) => assert_eq!(again, Again::Now),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn two_hundred_vms_of_a_cloud_that_hangs_delay_none_of_another() {
    let mut pool = crds::PilotPool::new(&pilot_vm("a", "c").spec.pool_ref.name, Default::default());
    pool.metadata.namespace = Some("demo".into());
    let stores = Stores { pools: Objects::of([pool]), ..Stores::default() };
    let (state, clock) = (Arc::new(State { stores, ..State::default() }), Clock::default());
    with_cloud(&state, "hangs", true);
    with_cloud(&state, "works", false);
    let mut tasks = tokio::task::JoinSet::new();
    let spawn = |name: String, cloud: &str, tasks: &mut tokio::task::JoinSet<usize>| {
        state.memory.note(&name, |m| m.is_registered = true);
        tasks.spawn(launch(state.clone(), clock.clone(), pilot_vm(&name, cloud)));
    };
    for n in 0..200 {
        spawn(format!("slow-{n}"), "hangs", &mut tasks);
    }
    tokio::time::sleep(Duration::from_secs(5)).await;
    let began = Instant::now();
    for n in 0..16 {
        spawn(format!("quick-{n}"), "works", &mut tasks);
    }
    for _ in 0..16 {
        tasks.join_next().await.unwrap().unwrap();
    }
    assert!(began.elapsed() < Duration::from_secs(4), "eight at once, each a second: {:?}", began.elapsed());
    assert_eq!(tasks.len(), 200, "none of the cloud that hangs was made, and each was sent away but eight");
}

#[test]
fn a_pause_is_said_and_so_is_its_end() {
    let vm = pilot_vm("a", "c");
    let done = of(&vm, |o| outcome::paused(o, Some("cloud demo/c")));
    assert!(ConditionType::Paused.holds(&done.record.unwrap().conditions));
    let done = of(&vm, |o| outcome::paused(o, None));
    assert_eq!(reason(&done, ConditionType::Paused), Some(Reason::NotPaused));
}

#[test]
fn a_pilotvm_that_stands_in_line_writes_no_attempt_down() {
    let state = State::default();
    with_cloud(&state, "c", true);
    let vm = pilot_vm("a", "c");
    let cloud = state.clouds.get(&Key::of(&vm).beside("c"));
    let other = |n| Key { namespace: "demo".into(), name: format!("other-{n}") };
    let _held: Vec<_> = (0..8).map(|n| cloud.permits.take(crate::known::permits::Act::Create, &other(n))).collect();
    let seen = Observed::of(&state, &vm, at(5), Instant::now());
    let done = futures::executor::block_on(step::ask(
        &state,
        &Clock::default(),
        &Errands::default(),
        &seen,
        Step::Begin(1),
        None,
    ));
    assert!(done.record.is_none() && matches!(done.again, Again::After(_)));
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_is_written_down_keeps_its_permit_until_the_order_and_is_timed_when_the_cloud_is_asked() {
    let (state, clock, errands) = (State::default(), Clock::default(), Errands::default());
    with_cloud(&state, "c", false);
    let mut vm = pilot_vm("a", "c");
    let cloud = state.clouds.get(&Key::of(&vm).beside("c"));
    let other = |n| Key { namespace: "demo".into(), name: format!("other-{n}") };
    let _held: Vec<_> = (0..7).map(|n| cloud.permits.take(crate::known::permits::Act::Create, &other(n))).collect();
    let seen = Observed::of(&state, &vm, at(5), Instant::now());
    let begun = step::ask(&state, &clock, &errands, &seen, Step::Begin(1), None).await;
    assert!(begun.permit.is_some());
    let another = pilot_vm("b", "c");
    let seen = Observed::of(&state, &another, at(5), Instant::now());
    let sent_away = step::ask(&state, &clock, &errands, &seen, Step::Begin(1), None).await;
    assert!(sent_away.record.is_none() && sent_away.permit.is_none());
    vm.status = begun.record;
    let (seen, asked) = (Observed::of(&state, &vm, at(6), Instant::now()), clock.now());
    let create = Step::Create { n: 1, since: at(5), repeated: false };
    let done = step::ask(&state, &clock, &errands, &seen, create, begun.permit).await;
    assert!(done.effects.contains(&Effect::Launched));
    let ordered = done.effects.iter().find_map(|e| if let Effect::Ordered(at) = e { Some(*at) } else { None });
    assert!(
        ordered.unwrap().duration_since(asked) < jiff::SignedDuration::from_millis(500),
        "the cloud took a second to answer"
    );
}

#[test]
fn an_announcement_is_told_once_and_the_next_round_counts_on_the_vm_no_more() {
    let vm = pilot_vm("cpu-1", "c");
    let state = State::default();
    let o = Observed::of(&state, &vm, at(10), Instant::now());
    let notice = Announced { what: Coming::Reclaim, at: at(130), heard: at(9) };
    let done = outcome::leaves(&o, notice);
    let event = done.event.as_ref().unwrap();
    assert!(
        event.warns && event.reason == Reason::ReclaimAnnounced && event.text.contains("takes the VM back at"),
        "{event:?}"
    );
    assert_eq!(done.effects, [Effect::NotSupply, Effect::Plan]);
    let status = done.record.unwrap();
    assert!(ConditionType::Leaving.holds(&status.conditions) && !ConditionType::Ended.holds(&status.conditions));
}

#[test]
fn a_vm_that_was_taken_back_is_told_by_an_event_of_its_own() {
    let vm = pilot_vm("cpu-1", "c");
    let state = State::default();
    let done = outcome::ended(&Observed::of(&state, &vm, at(10), Instant::now()), &Ending::reclaimed(true), None, None);
    assert_eq!(done.event.unwrap().reason, Reason::Reclaimed);
    assert!(done.effects.contains(&Effect::Plan));
}

#[test]
fn jobs_that_were_given_back_are_told_and_counted_and_what_is_left_is_tried_again() {
    let vm = pilot_vm("a", "c");
    let back = |back: GivenBack| of(&vm, |o| outcome::jobs_given_back(o, Ok(back)));
    let all = back(GivenBack { given: (1..=40).collect(), ..GivenBack::default() });
    let event = all.event.unwrap();
    assert_eq!((event.reason, event.warns), (Reason::JobsGivenBack, false));
    assert!(event.text.contains("30 and 10 more"), "{}", event.text);
    assert!(all.effects.contains(&Effect::JobsGivenBack(40)) && all.effects.contains(&Effect::Plan));
    assert!(all.learnt.jobs_settled && all.again == Again::Now);

    let none = back(GivenBack { left: vec![7], ..GivenBack::default() });
    assert!(none.event.is_none() && none.learnt.jobs_settled, "another pilot has it");

    let often = back(GivenBack { failed: vec![3], ..GivenBack::default() });
    assert_eq!(often.event.map(|event| (event.reason, event.warns)), Some((Reason::JobsNotGivenBack, true)));

    let refused = RowsError { fault: Fault::ServiceError, message: "Some jobs can not be rescheduled".into() };
    let some = back(GivenBack { given: vec![1], undone: vec![2], why: Some(refused), ..GivenBack::default() });
    assert_eq!((some.learnt.jobs_settled, some.learnt.undone.clone()), (false, Some(vec![2])));
    assert_eq!(reason(&some, ConditionType::Ready), Some(Reason::WaitsForDirac));
    assert!(some.failed.is_some() && some.effects.contains(&Effect::JobsGivenBack(1)));
}

#[test]
fn jobs_that_are_left_to_dirac_are_named() {
    let vm = pilot_vm("a", "c");
    let state = State::default();
    let mut o = Observed::of(&state, &vm, at(5), Instant::now());
    o.remembered.undone = vec![2, 3];
    let done = outcome::jobs_left(&o);
    let event = done.event.unwrap();
    assert!(
        event.warns && event.reason == Reason::JobsNotGivenBack && event.text.contains("jobs 2, 3"),
        "{}",
        event.text
    );
    assert!(done.learnt.jobs_settled);
}

#[test]
fn a_spot_vm_that_is_gone_was_taken_back_and_how_long_it_lived_counts() {
    let mut vm = pilot_vm("a", "c");
    vm.status = Some(Record::of(&vm, at(0)).launched(&vm, &server("a")).finish());
    let why = |vm: &PilotVM| {
        let done = of(vm, |o| outcome::lost(o, true));
        let lived = done.effects.iter().find(|effect| matches!(effect, Effect::Lived { .. })).cloned();
        (reason(&done, ConditionType::Ended), lived)
    };
    assert_eq!(why(&vm), (Some(Reason::Vanished), None));
    vm.spec.offering.purchase = crds::pool::Purchase::Spot;
    assert_eq!(why(&vm), (Some(Reason::Reclaimed), Some(Effect::Lived { seconds: 5, reclaimed: true })));
    let state = State::default();
    let mut told = Observed::of(&state, &vm, at(5), Instant::now());
    let deleted = Vm { state: VmState::Ended(broker::cloud::End::Deleted), ..server("a") };
    told.machine = super::observed::Machine::Present(Box::new(deleted));
    let done = outcome::lost(&told, true);
    assert_eq!(reason(&done, ConditionType::Ended), Some(Reason::Vanished), "the provider says who did it");
    let idle = of(&vm, |o| outcome::ended(o, &Ending::halted(true), None, None));
    assert!(idle.effects.contains(&Effect::Lived { seconds: 5, reclaimed: false }));
}
