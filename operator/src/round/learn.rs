//! What is learnt from what a round sees. Of clouds: VMs that were made, and after a restart VMs that work. Of pools, images, VOs and classes
//! of jobs: what their VMs come to. What clouds refuse and what boots is told when it happens (`vm/write_down.rs`). Pure.

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
};

use broker::{
    experience::{Circuit, End, Lessons, Lot, Sight, UNPROVEN, Waiting, Wishes, breaker::A_LIFE},
    pilot::stamp,
    plan::Snapshot,
};
use crds::PilotVM;
use jiff::Timestamp;
use kube::ResourceExt;

use super::{
    elsewhere::is_ours,
    lease::job_class,
    lots::Lots,
    world::{CloudView, World},
};
use crate::{
    amounts::seconds_between,
    ending::{Ending, Why},
    known::{cloud::Handle, jobs::PilotJobs, lots::boots, restraints::opened},
    life::{is_ended, launched, ordered, ran, served},
    names::deleting,
};

/// Tells each cloud what is seen of it, and takes over what is known of it then.
pub fn learn(world: &mut World, cloud: impl Fn(&str) -> Arc<Handle>) {
    let (mut learnt, mut lots) = (Vec::new(), Lots::of(world));
    for view in &world.clouds {
        let (name, handle) = (view.object.name_any(), cloud(&view.object.name_any()));
        let here: Vec<&Arc<PilotVM>> = world.vms.iter().filter(|vm| vm.spec.cloud_ref.name == name).collect();
        let uids = uids(here.iter().map(|vm| vm.as_ref()));
        handle.retain_made(|uid| uids.contains(uid));
        for vm in here.iter().filter(|vm| was_made(vm, view)) {
            handle.granted(&vm.uid().unwrap_or_default(), &lots.lot(vm, Some(view)), ordered(vm), world.now);
        }
        let mut works: BTreeMap<Lot, u64> = BTreeMap::new();
        for vm in here.iter().filter(|vm| ran(vm) && !deleting(vm.as_ref()) && !is_ended(vm)) {
            *works.entry(lots.lot(vm, Some(view))).or_default() += 1;
        }
        works.into_iter().for_each(|(lot, vms)| handle.works(&lot, vms, world.now));
        learnt.push(handle.learnt());
    }
    world.clouds.iter_mut().zip(learnt).for_each(|(view, learnt)| view.bought = learnt);
}

/// Whether the provider's list shows for the first time that the VM is up.
fn was_made(vm: &PilotVM, view: &CloudView) -> bool {
    let uid = vm.metadata.uid.as_deref().unwrap_or_default();
    launched(vm).is_some() && !ran(vm) && view.up.contains(uid) && !view.bought.made.contains(uid)
}

pub fn uids<'a>(vms: impl Iterator<Item = &'a PilotVM>) -> HashSet<&'a str> {
    vms.filter_map(|vm| vm.metadata.uid.as_deref()).collect()
}

/// What the pools' statuses say that was learnt before the operator started.
pub fn learnt_before(world: &World) -> Lessons {
    let mut lessons = Lessons::default();
    for pool in &world.pools {
        let breakers = pool.status.as_ref().map_or(&[][..], |status| &status.breakers);
        lessons.remember(opened(&pool.name_any(), breakers), world.now);
    }
    lessons
}

/// Tells the lessons what VMs have come to, those that `ended` and may be gone included, and the snapshot what follows.
pub fn restrain(taken: &mut Snapshot, lessons: &mut Lessons, world: &World, ended: &[PilotVM], waiting: &Waiting) {
    lessons.retain(|circuit| world.pool(&circuit.pool).is_some());
    lessons.look(&sights(world, ended), &waiting.jobs, world.asking, world.now);
    let wishes = Wishes { classes: &waiting.classes, is_present: &|circuit| is_present(world, circuit) };
    taken.holds.extend(lessons.holds(&wishes, world.now));
    taken.rules.untried = Some(UNPROVEN);
}

/// Whether VMs that are made now are of this circuit.
fn is_present(world: &World, circuit: &Circuit) -> bool {
    let (Some(pool), Some(view)) = (world.pool(&circuit.pool), world.cloud(&circuit.lot.cloud)) else { return false };
    let mut images = pool.spec.machine.images();
    images.any(|image| boots(image, Some(pool), view.offers.as_deref()) == circuit.lot.image)
}

/// What is seen of the VMs of the installation that were made for jobs.
fn sights(world: &World, ended: &[PilotVM]) -> Vec<Sight> {
    let (there, mut lots) = (uids(world.vms.iter().map(Arc::as_ref)), Lots::of(world));
    ours(world, ended, &there).filter_map(|vm| sight(world, &mut lots, vm)).collect()
}

/// The VMs of the installation: those that are `there`, and those that `ended` and are gone.
pub fn ours<'a>(world: &'a World, ended: &'a [PilotVM], there: &HashSet<&str>) -> impl Iterator<Item = &'a PilotVM> {
    let is_gone = |vm: &&PilotVM| vm.metadata.uid.as_deref().is_none_or(|uid| !there.contains(uid));
    let all = world.vms.iter().map(Arc::as_ref).chain(ended.iter().filter(is_gone));
    all.filter(|vm| is_ours(world, vm))
}

fn sight<'a>(world: &World, lots: &mut Lots<'a>, vm: &'a PilotVM) -> Option<Sight> {
    let class = job_class(vm.spec.for_jobs.first()?);
    let pool = lots.pool(vm)?;
    let uid = vm.uid()?;
    let reference = stamp::reference(&uid);
    let jobs = world.rows.as_deref().and_then(|rows| rows.jobs.get(&reference)).map(Arc::as_ref);
    let row = world.rows.as_deref().and_then(|rows| rows.row(&reference));
    let has_had = served(vm) || row.is_some_and(|row| row.current_job > 0);
    Some(Sight {
        vm: uid.into(),
        circuit: Circuit {
            pool: pool.name_any().into(),
            lot: lots.lot(vm, world.cloud(&vm.spec.cloud_ref.name)),
            vo: vm.spec.vo.as_str().into(),
            profile: class.words().into(),
        },
        ordered: ordered(vm),
        made: launched(vm),
        took: jobs.map_or(0, |jobs| jobs.took).max(u64::from(has_had)),
        lived: match jobs {
            Some(jobs) => lived(jobs, world.now),
            // Nobody says what its jobs came to.
            None => has_had && runs_since(vm).is_some_and(|at| is_a_life(at, world.now)),
        },
        died: jobs.map_or(0, |jobs| jobs.failed_soon),
        idle_timeout: vm.spec.idle_timeout.as_secs(),
        end: end(vm),
    })
}

fn runs_since(vm: &PilotVM) -> Option<Timestamp> {
    Some(vm.status.as_ref()?.running_since.as_ref()?.0)
}

/// Whether a job ended otherwise than by dying soon, or has been running for long enough.
fn lived(jobs: &PilotJobs, now: Timestamp) -> bool {
    jobs.ended > jobs.failed_soon || jobs.running.iter().any(|job| is_a_life(job.since, now))
}

/// Whether a job that runs since then lives.
fn is_a_life(since: Timestamp, now: Timestamp) -> bool {
    seconds_between(since, now) >= A_LIFE
}

fn end(vm: &PilotVM) -> Option<End> {
    match Ending::recorded(vm).map(|ending| ending.why) {
        Some(Why::NeverRan) => Some(End::Stopped),
        Some(Why::Idle) => Some(End::Idle),
        Some(Why::PilotSilent) => Some(End::Silent),
        Some(Why::BootDeadlineMissed) => Some(End::Late),
        Some(_) => Some(End::Other),
        None => deleting(vm).then_some(End::Other),
    }
}

#[cfg(test)]
mod tests {
    use broker::{
        cloud::Scope,
        plan::{self, plan},
    };
    use serde_json::{Value, json};

    use super::*;
    use crate::round::snapshot::{
        snapshot,
        tests::{queue, world},
    };

    fn told(taken: &mut Snapshot, lessons: &mut Lessons, world: &World, ended: &[PilotVM]) {
        let waiting = Waiting::of(&taken.vos, &taken.queues);
        restrain(taken, lessons, world, ended, &waiting);
    }

    /// A world whose VM was ordered a minute ago, after a refusal; what is allowed after a round.
    fn after(change: impl FnOnce(&mut serde_json::Value)) -> (Arc<Handle>, World) {
        let handle = Arc::new(Handle::default());
        let mut world = world(change);
        let now = world.now;
        let lot = Lots::of(&world).lot(&world.vms[0], Some(&world.clouds[0]));
        assert!(handle.may_order(&lot, ordered(&world.vms[0])));
        handle.refused(&lot, Scope::Offer, ordered(&world.vms[0]) - jiff::SignedDuration::from_secs(9), now);
        learn(&mut world, |_| handle.clone());
        (handle, world)
    }

    #[test]
    fn a_vm_that_the_list_shows_to_be_up_is_granted_once() {
        let launched = json!({"launchedAt": "2026-11-24T11:59:10Z"});
        let made = |up: &[&str]| {
            let (handle, mut world) = after(|w| {
                w["vms"][0]["status"] = launched.clone();
                w["clouds"][0]["up"] = json!(up);
            });
            let first = handle.learnt();
            learn(&mut world, |_| handle.clone());
            assert_eq!(handle.learnt(), first, "the second round learns nothing");
            assert_eq!(world.clouds[0].bought, first);
            first.made.len()
        };
        assert_eq!((made(&[]), made(&["u"]), made(&["another"])), (0, 1, 0));
    }

    #[test]
    fn after_a_restart_vms_that_work_show_that_their_image_does() {
        let (handle, mut world) = after(|w| {
            w["vms"][0]["status"] =
                json!({"launchedAt": "2026-11-24T11:59:10Z", "runningSince": "2026-11-24T11:59:30Z"});
        });
        let flight = broker::experience::Flight::default();
        let lot = Lots::of(&world).lot(&world.vms[0], Some(&world.clouds[0]));
        let may_boot = |handle: &Handle| handle.learnt().budgets.proof(&lot, &flight, world.now).most;
        assert_eq!((may_boot(&Handle::default()), may_boot(&handle)), (8, 16));
        learn(&mut world, |_| handle.clone());
        assert_eq!(handle.learnt().budgets.proof(&lot, &flight, world.now).most, 16, "it is told once");
    }

    #[test]
    fn vms_with_an_old_image_show_nothing_of_a_new_one() {
        let runs = |image: &'static str| {
            move |w: &mut Value| {
                w["vms"][0]["status"] = json!({"launchedAt": "2026-11-24T11:59:10Z", "runningSince": "2026-11-24T11:59:30Z",
                    "attempt": {"number": 1, "since": "2026-11-24T11:59:00Z", "imageId": image}});
            }
        };
        let flight = broker::experience::Flight::default();
        let proof = |image: &'static str| {
            let new = world(|_| ());
            let (handle, world) = after(runs(image));
            let as_now = Lots::of(&new).lot(&new.vms[0], Some(&new.clouds[0]));
            handle.learnt().budgets.proof(&as_now, &flight, world.now).most
        };
        assert_eq!((proof("1"), proof("0")), (16, 8));
    }

    /// A world with three VMs that were made eleven minutes ago for jobs that wait, and have this status.
    fn with(status: Value) -> World {
        world(|w| {
            let one = w["vms"][0].clone();
            let vms = (0..3).map(|n| {
                let mut vm = one.clone();
                (vm["metadata"]["name"], vm["metadata"]["uid"]) = (json!(format!("cpu-{n}")), json!(format!("u{n}")));
                vm["metadata"]["creationTimestamp"] = json!("2026-11-24T11:40:00Z");
                vm["spec"]["forJobs"] = json!([{"jobs": 8, "cpuTime": 3600}]);
                vm["status"] = status.clone();
                vm
            });
            w["vms"] = vms.collect();
        })
    }
    fn ended(reason: &str) -> Value {
        json!({"launchedAt": "2026-11-24T11:41:00Z", "conditions": [{"type": "Ended", "status": "True", "reason": reason,
            "message": "", "lastTransitionTime": "2026-11-24T12:00:00Z"}]})
    }
    /// What a round plans for eight more jobs after these VMs ended so, and whether the objects are gone already.
    fn after_an_end(reason: &str, gone: bool) -> plan::Plan {
        let mut lessons = Lessons::default();
        let mut before = with(json!({"launchedAt": "2026-11-24T11:41:00Z"}));
        before.now -= jiff::SignedDuration::from_mins(19);
        told(&mut snapshot(&before, vec![queue(8)]), &mut lessons, &before, &[]);
        let mut now = with(ended(reason));
        let vms: Vec<PilotVM> = now.vms.iter().map(|vm| (**vm).clone()).collect();
        if gone {
            now.vms.clear();
        }
        let mut taken = snapshot(&now, vec![queue(8)]);
        told(&mut taken, &mut lessons, &now, &vms);
        plan(&taken)
    }

    #[test]
    fn jobs_that_no_pilot_gets_wait_and_say_so_also_where_their_vms_are_gone() {
        for gone in [false, true] {
            let plan = after_an_end("NeverRan", gone);
            assert_eq!(plan.launches, []);
            assert_eq!(plan.unmet[0].reason, plan::Reason::NeverMatched, "{plan:?}");
            assert!(plan.unmet[0].message.contains("jobs of VO biomed (3600 s of CPU time)"), "{plan:?}");
        }
        assert_eq!(after_an_end("BootDeadlineMissed", false).unmet[0].reason, plan::Reason::VmsFail);
        assert_eq!(after_an_end("Surplus", false).launches.len(), 1, "that says nothing of them");
    }

    #[test]
    fn after_a_restart_what_came_to_nothing_is_still_tried_with_one_vm() {
        let mut lessons = Lessons::default();
        let before = with(ended("NeverRan"));
        let mut earlier = with(json!({"launchedAt": "2026-11-24T11:41:00Z"}));
        earlier.now -= jiff::SignedDuration::from_mins(19);
        told(&mut snapshot(&earlier, vec![queue(8)]), &mut lessons, &earlier, &[]);
        told(&mut snapshot(&before, vec![queue(8)]), &mut lessons, &before, &[]);
        // The VMs are gone, and what is left is in the pool's status.
        let written = json!(crate::known::restraints::breakers(lessons.closed("cpu")));
        let now = world(|w| {
            w["vms"] = json!([]);
            w["pools"][0]["status"] =
                json!({"vms": 0, "booting": 0, "running": 0, "waitingJobs": 0, "breakers": written});
        });
        let mut taken = snapshot(&now, vec![queue(8)]);
        told(&mut taken, &mut learnt_before(&now), &now, &[]);
        let unmet = plan(&taken).unmet;
        assert!(
            unmet[0].reason == plan::Reason::NeverMatched && unmet[0].message.contains("the last 3 VMs"),
            "{unmet:?}"
        );
    }

    #[test]
    fn another_image_is_tried_at_once() {
        let mut lessons = Lessons::default();
        let before = with(ended("BootDeadlineMissed"));
        told(&mut snapshot(&before, vec![queue(8)]), &mut lessons, &before, &[]);
        assert_eq!(lessons.opened().count(), 1);
        let mut now = with(ended("BootDeadlineMissed"));
        let offers = Arc::make_mut(now.clouds[0].offers.as_mut().unwrap());
        offers.images.get_mut("default").unwrap().id = "2".into();
        let mut taken = snapshot(&now, vec![queue(8)]);
        told(&mut taken, &mut lessons, &now, &[]);
        assert!(taken.holds.iter().all(|hold| hold.class.is_none()), "{:?}", taken.holds);
    }
}
