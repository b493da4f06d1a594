//! Whole runs: the rules of DIRAC together, conservation, and that a seed is a run.

use std::collections::BTreeMap;

use super::*;
use crate::{
    cloud::Answer,
    policy::{Listed, Operator, SiteDirector},
    scenario::{Offer, parse, small},
    time::SECOND,
    world::{Order, PilotManners, RowStatus},
};

/// Makes this many VMs at once, and deletes what stopped.
struct Fixed {
    vms: u64,
    manners: PilotManners,
    cpu_time: u64,
}

impl Fixed {
    fn of(vms: u64) -> Self {
        Self { vms, manners: PilotManners { cooldown: 0, obeys_idle_timeout: false }, cpu_time: 10_000_000 }
    }
}

impl Policy for Fixed {
    fn name(&self) -> &'static str {
        "fixed"
    }
    fn period(&self) -> Ms {
        10 * SECOND
    }
    fn manners(&self) -> PilotManners {
        self.manners
    }
    fn decide(&mut self, seen: &Seen<'_>, hands: &mut Hands) {
        let offer = Offer { cloud: 0, flavor: 0, zone: 0, spot: true };
        for _ in 0..std::mem::take(&mut self.vms) {
            hands.order(Order { pool: 0, vo: 0, offer, cpu_time: self.cpu_time, alone: None });
        }
        hands.deletions.extend(seen.vms().filter(|vm| vm.listed == Some(Listed::Stopped)).map(|vm| vm.id));
    }
    fn told(&mut self, _: Ms, _: VmId, _: &Order, _: Answer) {}
}

fn loaded(arrivals: &str, more: &str) -> Loaded {
    parse("test", &small(arrivals, more)).unwrap()
}

/// Runs to `end` and gives the world.
fn world<'a>(loaded: &'a Loaded, policy: &mut dyn Policy, end: Ms) -> World<'a> {
    let mut world = World::new(loaded, 1, policy.manners());
    world.heap.set(0, Event::Poll);
    while let Some(event) = world.heap.next(end) {
        match event {
            Event::Poll => {
                poll(&mut world, policy);
                conserved(&world).unwrap();
            }
            Event::Create(vm) => create(&mut world, policy, vm),
            other => step(&mut world, other),
        }
    }
    world
}

fn fixed<'a>(loaded: &'a Loaded, vms: u64, minutes: u64) -> World<'a> {
    world(loaded, &mut Fixed::of(vms), minutes * 60 * SECOND)
}

#[test]
fn a_vm_of_eight_cores_is_full_after_eight_cycles_as_dirac_ships_them() {
    let loaded = loaded("jobs: 8", "");
    let world = fixed(&loaded, 1, 20);
    let mut began: Vec<Ms> = world.jobs.iter().map(|job| job.began).collect();
    began.sort_unstable();
    assert_eq!(began.windows(2).map(|w| w[1] - w[0]).collect::<Vec<_>>(), [20 * SECOND; 7]);
    assert!(began[0] > 60 * SECOND + 20 * SECOND, "boot, and the time to the first request: {}", began[0]);
}

#[test]
fn a_row_says_running_only_when_the_pilot_got_a_job_as_in_select_job() {
    let none = loaded("jobs: 1, at: 3h", "");
    assert_eq!(fixed(&none, 1, 10).vms[0].row.status, RowStatus::Submitted);
    let some = loaded("jobs: 1", "");
    assert_eq!(fixed(&some, 1, 10).vms[0].row.status, RowStatus::Running);
}

#[test]
fn an_idle_vm_stops_after_the_agent_s_back_off_or_when_it_obeys_its_idle_timeout() {
    let loaded = loaded("jobs: 1, at: 3h", "");
    assert!(fixed(&loaded, 1, 44).vms[0].exists());
    assert!(!fixed(&loaded, 1, 47).vms[0].exists(), "43 minutes of back-off, and the boot");
    let mut obedient = Fixed::of(1);
    obedient.manners.obeys_idle_timeout = true;
    assert!(!world(&loaded, &mut obedient, 8 * 60 * SECOND).vms[0].exists(), "five minutes");
}

#[test]
fn at_a_banned_site_no_job_but_test_is_matched_as_in_check_mask() {
    let ban = "faults: {bannedSites: [{site: CLOUD.Test.fr, until: 30m}]}";
    let begun = |arrivals: &str, minutes| {
        let loaded = loaded(arrivals, ban);
        let world = fixed(&loaded, 1, minutes);
        world.jobs.iter().filter(|job| job.began > 0).count()
    };
    assert_eq!(begun("jobs: 3", 29), 0);
    assert_eq!(begun("jobs: 3, jobType: Test", 29), 3);
    assert!(begun("jobs: 3", 50) > 0, "and afterwards they run");
}

#[test]
fn a_pilot_whose_time_is_over_takes_no_more_jobs() {
    // Jobs of 30 minutes that ask for 21,600 normalised seconds; power 10; 5,000 s more than the margin: two rounds and no third.
    let loaded = loaded("jobs: 40", "");
    let mut policy = Fixed::of(1);
    policy.cpu_time = 21_600 + 3_000 + 20_000;
    let world = world(&loaded, &mut policy, 4 * 3_600 * SECOND);
    assert_eq!(world.jobs.iter().filter(|job| job.state == JobState::Done).count(), 16);
    assert!(!world.vms[0].exists(), "what is left is not enough, and it ends by itself");
}

#[test]
fn a_pilot_that_hangs_finishes_its_jobs_and_stays() {
    let loaded = loaded("jobs: 20", "faults: {hungPilots: 1.0, hangAfter: 90s}");
    let world = fixed(&loaded, 1, 239);
    let done = world.jobs.iter().filter(|job| job.state == JobState::Done).count();
    assert_eq!(done, 5, "one each 20 s for 90 s");
    assert!(world.vms[0].exists());
    assert_eq!(world.vms[0].row.status, RowStatus::Running);
}

#[test]
fn jobs_that_die_early_fail_and_the_pilot_goes_on() {
    let loaded = loaded("jobs: 20, diesEarly: 1.0", "");
    let world = fixed(&loaded, 1, 60);
    assert!(world.jobs.iter().all(|job| job.state == JobState::Failed));
}

#[test]
fn jobs_are_lost_with_their_vm_and_come_back_only_where_dirac_is_told_so() {
    let storm = "clouds: {c: {spotStorms: [{at: 20m, part: 1.0}]}}";
    let lost = loaded("jobs: 4", storm);
    assert_eq!(conserved(&fixed(&lost, 1, 239)).unwrap(), [0, 0, 0, 0, 4]);
    let back = loaded("jobs: 4", &format!("{storm}\ndirac: {{rescheduleLost: true}}"));
    assert_eq!(conserved(&fixed(&back, 1, 239)).unwrap(), [4, 0, 0, 0, 0]);
    let early = conserved(&fixed(&back, 1, 100)).unwrap();
    assert_eq!(early, [0, 0, 0, 0, 4], "StalledJobAgent finds them only after hours");
}

#[test]
fn whole_node_jobs_that_a_busy_pool_refuses_are_rescheduled_and_fail_in_the_end() {
    // A pilot says WholeNode also when it is busy, so the Matcher gives it such a job, and PoolComputingElement has no room for it.
    let text = small("jobs: 1", "").replace(
        "arrivals:\n",
        "arrivals:\n  - {group: biomed_user, owner: other, jobs: 2, at: 3m, wholeNode: true, runTime: 10m, cpuTime: 6h}\n",
    );
    let loaded = parse("test", &text).unwrap();
    let world = fixed(&loaded, 1, 239);
    let refused: Vec<_> = world.jobs.iter().filter(|job| job.attempt > 0).collect();
    assert!(!refused.is_empty());
    assert!(world.vms[0].gone.is_some(), "an agent stops for more than StopAfterHostFailures such jobs");
}

#[test]
fn what_is_above_a_limit_is_noted_by_the_books() {
    let loaded = loaded("jobs: 1", "");
    let world = fixed(&loaded, 53, 10);
    let passed: Vec<_> = world.books.passed.iter().map(|(name, p)| (name.as_str(), p.vms)).collect();
    assert_eq!(passed, [("scaling.max of pool cpu (VMs)", 3)]);
}

#[test]
fn a_downtime_switches_off_what_may_not_stay_and_refuses_more() {
    let downtime = "  - {apiVersion: diracgrid.org/v1alpha1, kind: Downtime, metadata: {name: d}, spec: {siteRef: {name: s}, start: \"2026-01-01T01:00:00Z\", end: \"2026-01-01T02:00:00Z\", keep: {vms: 1}}}\narrivals:";
    let text = small("jobs: 400", "begins: 2026-01-01T00:00:00Z").replace("arrivals:", downtime);
    let loaded = parse("test", &text).unwrap();
    assert_eq!(fixed(&loaded, 5, 59).books.vms(), 5);
    let world = fixed(&loaded, 5, 61);
    assert_eq!(world.books.vms(), 1);
    assert_eq!(world.books.passed.values().map(|p| p.vms).sum::<u64>(), 4);
}

fn without_run_time(loaded_text: &str) -> String {
    loaded_text.replace("runTime: 30m, ", "")
}

#[test]
fn the_same_seed_gives_the_same_run_and_another_seed_another() {
    let loaded = parse("test", &without_run_time(&small_rough())).unwrap();
    let operator = |seed| run(&loaded, seed, &mut Operator::new(&loaded));
    assert_eq!(operator(3), operator(3));
    assert_ne!(operator(3), operator(4));
    let director = |seed| run(&loaded, seed, &mut SiteDirector::new(&loaded));
    assert_eq!(director(3), director(3));
    let arrived = |f: &Figures| f.classes.iter().map(|c| c.arrived).sum::<u64>();
    assert_eq!(arrived(&operator(3)), arrived(&director(3)), "the same jobs arrive whoever decides");
}

fn small_rough() -> String {
    small(
        "perHour: 120, diesEarly: 0.02, runTime: {median: 20m, spread: 1.5}",
        "clouds: {c: {refused: 0.1, transient: 0.05, lostReply: 0.1, errorState: 0.05, neverBoots: 0.05, slowBoot: 0.1, listLag: 30s, quota: {cores: 160}, boot: {median: 90s, spread: 1.4}}}
faults: {hungPilots: 0.05, hangAfter: 20m}",
    )
}

#[test]
fn every_job_is_in_one_place_and_no_quota_is_passed_whatever_goes_wrong() {
    let loaded = parse("test", &without_run_time(&small_rough())).unwrap();
    for policy in [&mut Operator::new(&loaded) as &mut dyn Policy, &mut SiteDirector::new(&loaded)] {
        let world = world(&loaded, policy, 4 * 3_600 * SECOND);
        let counts = conserved(&world).unwrap();
        assert!(counts[2] > 100, "{counts:?}");
        assert!(!world.books.passed.keys().any(|name| name.starts_with("quota")), "{:?}", world.books.passed);
        let born = world.vms.iter().filter(|vm| vm.exists()).count() as u64;
        assert_eq!(born, world.books.vms(), "the books and the VMs agree");
    }
}

#[test]
fn a_burst_is_served_by_both_and_site_director_serves_the_same_jobs_again_and_again() {
    let loaded = loaded("jobs: 80", "siteDirector: {maxWaitingJobs: 50}");
    let operator = run(&loaded, 1, &mut Operator::new(&loaded));
    let director = run(&loaded, 1, &mut SiteDirector::new(&loaded));
    assert_eq!((operator.jobs[2], director.jobs[2]), (80, 80));
    assert!(operator.passed.is_empty(), "{:?}", operator.passed);
    assert_eq!(director.vms_made, 50, "one VM a job, whatever its cores, up to MaxTotalJobs");
    assert!(operator.vms_made < 20, "{}", operator.vms_made);
    assert!(operator.core_hours_bought < director.core_hours_bought);
}

/// A SiteDirector in a world where VMs boot in ten minutes, after this many minutes.
fn directed(arrivals: &str, more: &str, minutes: u64) -> (u64, BTreeMap<&'static str, u64>) {
    let more = format!("{more}\nclouds: {{c: {{boot: 10m}}}}\nsiteDirector: {{maxWaitingJobs: 50}}");
    let loaded = loaded(arrivals, &more);
    let world = world(&loaded, &mut SiteDirector::new(&loaded), minutes * 60 * SECOND);
    (world.vms.len() as u64, world.calls.clone())
}

#[test]
fn site_director_orders_again_for_the_same_jobs_each_cycle_since_a_cloud_has_no_waiting_pilots() {
    // `_getNumberOfJobsNeedingPilots` takes off WaitingJobs, which `CloudComputingElement.getCEStatus` says is 0.
    assert_eq!(directed("jobs: 5", "", 1).0, 5);
    assert_eq!(directed("jobs: 5", "", 9).0, 25, "the cycles at 0, 2, 4, 6 and 8 minutes");
    assert_eq!(directed("jobs: 200", "", 9).0, 50, "MaxTotalJobs");
}

#[test]
fn site_director_leaves_a_queue_alone_for_nine_cycles_after_a_failed_submission() {
    // `failedQueues[queue] % failedQueueCycleFactor`, in `_submitPilotsPerQueue`.
    let text = small("jobs: 5", "clouds: {c: {full: [{from: 0s}]}}");
    let loaded = parse("test", &text).unwrap();
    let creates = |minutes: u64| {
        let world = world(&loaded, &mut SiteDirector::new(&loaded), minutes * 60 * SECOND);
        world.calls.get("create").copied().unwrap_or(0)
    };
    assert_eq!([creates(1), creates(19), creates(21), creates(41)], [5, 5, 10, 15]);
}

#[test]
fn site_director_deletes_stopped_vms_each_tenth_cycle_as_in_cleanup_pilots() {
    let loaded = loaded("jobs: 1, at: 1m, diesEarly: 1.0", "siteDirector: {maxWaitingJobs: 1}");
    let gone = |minutes: u64| {
        let world = world(&loaded, &mut SiteDirector::new(&loaded), minutes * 60 * SECOND);
        let stopped = world.vms.iter().filter(|vm| vm.stage == Stage::Stopped).count();
        (stopped, world.vms.iter().filter(|vm| vm.gone.is_some()).count())
    };
    // It is idle from the fifth minute, stops its pilot 43 minutes later, itself five minutes later still, and is deleted at minute 60.
    assert_eq!((gone(59), gone(61)), ((1, 0), (0, 1)));
}

#[test]
fn site_director_makes_as_many_vms_as_its_arithmetic_says() {
    // By hand: a hundred one-hour jobs, five queues that all match, a cycle of 120 s and a boot of 333 s. The cycles at 0, 120, 240 and
    // 360 s order for the same jobs, MaxWaitingJobs for each queue: 200 VMs, and half of them never run a job. With 50 instead of 10
    // MaxTotalJobs binds: 500 VMs, 400 for nothing.
    let made = |waiting: u64| {
        let cloud = |name: &str| {
            format!(
                "  - {{apiVersion: diracgrid.org/v1alpha1, kind: Cloud, metadata: {{name: {name}}}, spec: {{siteRef: {{name: s}}, images: {{default: {{name: any}}}}, simulated: {{bootTime: 5m, flavors: [{{name: c1, cores: 1, ramGiB: 2}}]}}}}}}\n"
            )
        };
        let clouds: String = ["c1", "c2", "c3", "c4", "c5"].map(cloud).concat();
        let text = small("jobs: 100", &format!("siteDirector: {{maxWaitingJobs: {waiting}}}"))
            .replace("runTime: 30m", "runTime: 1h")
            .replace("clouds: [{name: c}]", "clouds: [{name: c1}, {name: c2}, {name: c3}, {name: c4}, {name: c5}]")
            .replace("flavors: [c8]", "flavors: [c1]")
            .replace("max: 50", "max: 100")
            .replace("arrivals:", &format!("{clouds}arrivals:"));
        let loaded = parse("test", &text).unwrap();
        let figures = run(&loaded, 1, &mut SiteDirector::new(&loaded));
        (figures.vms_made, figures.vms_idle)
    };
    assert_eq!(made(10), (200, 100));
    assert_eq!(made(50), (500, 400));
}
