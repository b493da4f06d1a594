//! Reads the rows of the pilots of one installation, in one request: often those that are about to change, and all of them now and
//! then. With 20,000 pilots all of them are twenty requests.

use std::{sync::Arc, time::Duration};

use broker::pilot::stamp;
use crds::PilotVM;
use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;
use tokio::time::Instant;

use crate::{
    context::Context,
    known::{
        installation::{Handle, Rows},
        jobs::Jobs,
    },
    life::{is_ended, launched, ran},
    names::Key,
    trouble::Trouble,
};

/// Asked for while no pilot lives: an installation whose pilots cannot be registered is known before the first VM is planned.
const NOBODY: &str = "none";
/// A pilot that began to ask this short a time ago is about to get its first job.
const NEWS_WITHIN: SignedDuration = SignedDuration::from_mins(1);

/// They are read within this time: twenty requests for 20,000 pilots, of 30 s each.
const TURN: Duration = Duration::from_secs(900);

/// Reads until dropped.
pub async fn read_rows(ctx: Arc<Context>, key: Key) {
    let pulse = ctx.progress.begins(format!("rows of {key}"), TURN);
    let handle = ctx.state.installations.get(&key);
    let shortest = ctx.args.busy_interval.min(ctx.args.rows_interval);
    let mut all_due = Instant::now();
    loop {
        if handle.facts().rows.is_none() {
            // Whoever makes the way to DIRAC rings. Nothing can be planned before the first reading.
            pulse.rests(ctx.bells.to_read_rows(&key)).await;
            continue;
        }
        let mut live = ctx.state.stores.vms_of_installation(&key);
        live.retain(|vm| launched(vm).is_some());
        let is_all_due = Instant::now() >= all_due || handle.facts().rows_unknown.is_some();
        if is_all_due {
            all_due = Instant::now() + ctx.args.rows_interval;
        }
        let now = ctx.clock.now();
        let asked: Vec<_> = live.into_iter().filter(|vm| is_all_due || is_about_to_change(vm, now)).collect();
        if is_all_due || !asked.is_empty() {
            read(&ctx, &key, &handle, &asked, is_all_due).await;
        }
        pulse.rests(tokio::time::sleep(shortest)).await;
        let has_news = |vm: &Arc<PilotVM>| launched(vm).is_some() && is_about_to_change(vm, ctx.clock.now());
        if !ctx.state.stores.vms_of_installation(&key).iter().any(has_news)
            && pulse.rests(tokio::time::timeout_at(all_due, ctx.bells.to_read_rows(&key))).await.is_ok()
        {
            all_due = Instant::now();
        }
    }
}

/// Whether the row of this VM's pilot is read often: the pilot has not asked for work yet, or has just begun to. That of a VM that has ended
/// is read with all others only: as long as its PilotVM is there, it says whether jobs are left to be given back.
fn is_about_to_change(vm: &PilotVM, now: Timestamp) -> bool {
    if is_ended(vm) {
        return false;
    }
    let since = vm.status.as_ref().and_then(|s| s.running_since.as_ref()).map(|t| t.0);
    !ran(vm) || since.is_some_and(|since| now.duration_since(since) < NEWS_WITHIN)
}

/// What a reading leaves to be known, where `before` was known.
fn merged(
    before: Option<&Rows>,
    started: Timestamp,
    asked: &[String],
    rows: Vec<broker::pilot::rows::PilotRow>,
    all: bool,
) -> Rows {
    match before {
        Some(before) if !all => before.clone().with(started, asked, rows),
        Some(before) => Rows::all(started, rows).after(before),
        None => Rows::all(started, rows),
    }
}

async fn read(ctx: &Context, key: &Key, handle: &Handle, asked: &[Arc<PilotVM>], all: bool) {
    let facts = handle.facts();
    let Some(source) = facts.rows else { return };
    let trouble = || facts.jobs.as_deref().and_then(Jobs::trouble).map(|trouble| trouble.reason);
    let trouble_before = trouble();
    let references: Vec<String> = asked.iter().map(|vm| stamp::reference(&vm.uid().unwrap_or_default())).collect();
    let started = ctx.clock.now();
    let nobody = [stamp::reference(NOBODY)];
    let rows = match source.rows(if references.is_empty() { &nobody } else { &references }).await {
        Ok(rows) => rows,
        Err(error) => {
            tracing::warn!(installation = %key, reason = %error.fault, %error, "the pilots' rows could not be read");
            let trouble = Trouble::from(error);
            let news = facts.rows_unknown.is_none_or(|t| t.reason != trouble.reason);
            handle.update(|f| f.rows_unknown = Some(trouble));
            if news {
                ctx.bells.tell_statuses();
            }
            return;
        }
    };
    let is_first = facts.read.is_none();
    let jobs = facts.jobs.as_deref();
    if let Some(jobs) = jobs.filter(|_| all) {
        jobs.with(|book| book.keep(&references));
    }
    let rows = merged(facts.read.as_deref(), started, &references, rows, all);
    let rows = Arc::new(rows.working(jobs));
    handle.update(|f| {
        f.read = Some(rows.clone());
        f.rows_unknown = None;
    });
    if facts.rows_unknown.is_some() || is_first {
        ctx.bells.tell_statuses();
        ctx.bells.plan(key);
    } else if trouble() != trouble_before {
        ctx.bells.tell_statuses();
    }
    let before = facts.read.unwrap_or_default();
    for (vm, reference) in asked.iter().zip(&references) {
        if wakes(vm, reference, &before, &rows) {
            ctx.bells.look_at(Key::of(vm.as_ref()));
        }
    }
}

/// Whether the PilotVM is to be looked at after a reading: its row says something else, or its pilot has not asked for work and may be
/// late.
fn wakes(vm: &PilotVM, reference: &str, before: &Rows, now: &Rows) -> bool {
    let said = |rows: &Rows| {
        let row = rows.row(reference)?;
        Some((row.status, row.current_job > 0, row.running.map(|jobs| jobs > 0)))
    };
    !ran(vm) || said(now) != said(before)
}

#[cfg(test)]
mod tests {
    use broker::pilot::rows::{NewPilot, PilotRow, PilotRows, PilotStatus};
    use serde_json::json;

    use super::*;
    use crate::{
        api::{fake::Fake, watch::Objects},
        context::State,
    };

    fn at(second: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + SignedDuration::from_secs(second)
    }
    fn vm(running_since: Option<i64>) -> PilotVM {
        let mut vm = PilotVM::new("cpu-1", crds::vm::PilotVMSpec::default());
        let since = running_since.map(|s| at(s).to_string());
        vm.status = serde_json::from_value(json!({"launchedAt": at(0).to_string(), "runningSince": since})).ok();
        assert!(vm.status.is_some());
        vm
    }
    fn ended(mut vm: PilotVM) -> PilotVM {
        let condition = json!({"type": "Ended", "status": "True", "reason": "Idle", "message": "it stopped by itself",
            "lastTransitionTime": at(9).to_string()});
        vm.status.as_mut().unwrap().conditions = serde_json::from_value(json!([condition])).unwrap();
        assert!(is_ended(&vm));
        vm
    }
    fn row(reference: &str, current_job: u64) -> PilotRow {
        PilotRow {
            reference: reference.into(),
            status: PilotStatus::Running,
            current_job,
            idle_seconds: None,
            updated: None,
            jobs: None,
            running: None,
            power: None,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_reading_waits_for_the_way_to_dirac_and_not_for_an_interval() {
        let (fake, key) = (Fake::default(), Key { namespace: "demo".into(), name: "dirac".into() });
        let mut ctx = Context::of(fake.client(), State::default());
        ctx.args.busy_interval = Duration::from_secs(3_600);
        ctx.args.rows_interval = Duration::from_secs(3_600);
        let (ctx, began) = (Arc::new(ctx), Instant::now());
        let mut reader = tokio::task::JoinSet::new();
        reader.spawn(read_rows(ctx.clone(), key.clone()));
        tokio::time::sleep(Duration::from_secs(1)).await;
        let handle = ctx.state.installations.get(&key);
        let clock = broker::clock::Clock::default();
        handle.update(|f| f.rows = Some(Arc::new(broker::simulation::SimulatedDirac::new(1, Vec::new(), clock))));
        ctx.bells.read_rows(&key);
        while handle.facts().read.is_none() {
            assert!(began.elapsed() < Duration::from_secs(30), "the rows were not read");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// What a reading of all rows leaves to be known: what these pilots run, and nothing of others.
    #[test]
    fn what_pilots_run_stands_beside_their_rows_and_goes_with_them() {
        let jobs = Jobs::default();
        let has = |reference: &str, job: u64| PilotRow { jobs: Some(vec![job]), ..row(reference, job) };
        let rows = vec![has("a", 1), has("b", 2)];
        jobs.with(|book| book.take(&rows, at(1)));
        let all = merged(None, at(1), &[], rows, true).working(Some(&jobs));
        assert_eq!(all.jobs.keys().collect::<Vec<_>>(), ["a", "b"]);
        jobs.with(|book| book.keep(&["b".into()]));
        let next = merged(Some(&all), at(21), &["b".into()], vec![has("b", 2)], true).working(Some(&jobs));
        assert_eq!(next.jobs.keys().collect::<Vec<_>>(), ["b"]);
        assert!(next.working(None).jobs.is_empty(), "the address was taken out of the manifest");
    }

    #[test]
    fn rows_of_pilots_that_boot_or_have_just_begun_are_read_often_and_others_are_not() {
        assert!(is_about_to_change(&vm(None), at(5_000)));
        assert!(is_about_to_change(&vm(Some(4_970)), at(5_000)));
        assert!(!is_about_to_change(&vm(Some(4_000)), at(5_000)));
        assert!(!is_about_to_change(&ended(vm(Some(4_970))), at(5_000)));
    }

    /// Or nobody would know that its jobs have ended, and it would wait for two minutes as if they had not.
    #[tokio::test(start_paused = true)]
    async fn the_row_of_a_vm_that_has_ended_is_read_as_long_as_its_pilotvm_is_there() {
        let (fake, key) = (Fake::default(), Key { namespace: "demo".into(), name: "dirac".into() });
        let mut vm = ended(vm(Some(1)));
        (vm.metadata.namespace, vm.metadata.uid) = (Some(key.namespace.clone()), Some("u".into()));
        vm.spec.installation_ref.name = key.name.clone();
        let pilot = NewPilot {
            reference: stamp::reference("u"),
            stamp: stamp::stamp("u"),
            vo: "biomed".into(),
            site: "CLOUD.Lyon.fr".into(),
            ce: "lyon".into(),
            queue: "c8".into(),
        };
        let mut state = State::default();
        state.stores.vms = Objects::of([vm]);
        let dirac = broker::simulation::SimulatedDirac::new(1, Vec::new(), broker::clock::Clock::default());
        dirac.register(&pilot).await.unwrap();
        let handle = state.installations.get(&key);
        handle.update(|f| f.rows = Some(Arc::new(dirac)));
        let ctx = Arc::new(Context::of(fake.client(), state));
        let mut reader = tokio::task::JoinSet::new();
        reader.spawn(read_rows(ctx.clone(), key.clone()));
        while handle.facts().read.is_none() {
            ctx.bells.read_rows(&key);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        assert!(handle.facts().read.unwrap().row(&pilot.reference).is_some());
    }

    #[test]
    fn a_reading_of_some_leaves_the_rows_of_others() {
        let all = merged(None, at(1), &[], vec![row("a", 0), row("b", 0)], true);
        let some = merged(Some(&all), at(6), &["a".into()], vec![row("a", 3)], false);
        assert_eq!(some.by_reference.len(), 2);
        assert_eq!((some.read_at("a"), some.read_at("b")), (at(6), at(1)));
        let next = merged(Some(&some), at(21), &["a".into(), "b".into()], vec![row("b", 0)], true);
        assert_eq!(next.by_reference.len(), 1, "a reading of all forgets the rows of VMs that are gone");
    }

    #[test]
    fn a_pilotvm_is_looked_at_when_its_row_says_something_else_or_its_pilot_may_be_late() {
        let (before, after) = (Rows::all(at(1), vec![row("a", 0)]), Rows::all(at(6), vec![row("a", 3)]));
        assert!(wakes(&vm(Some(1)), "a", &before, &after));
        assert!(!wakes(&vm(Some(1)), "a", &after, &after));
        assert!(wakes(&vm(None), "a", &after, &after));
    }
}
