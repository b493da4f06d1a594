use super::{super::lot::tests::lot, *};

fn at(second: u64) -> Timestamp {
    after(Timestamp::UNIX_EPOCH, 1_700_000_000 + second)
}
fn circuit(pool: &str, profile: &str) -> Circuit {
    Circuit { pool: pool.into(), lot: lot("c8", "el9"), vo: "biomed".into(), profile: profile.into() }
}
fn sight(vm: u64, ordered: u64) -> Sight {
    Sight {
        vm: vm.to_string().into(),
        circuit: circuit("cpu", "a"),
        ordered: at(ordered),
        made: Some(at(ordered)),
        took: 0,
        lived: false,
        died: 0,
        idle_timeout: 300,
        end: None,
    }
}
fn waiting(jobs: u64) -> BTreeMap<JobClass, u64> {
    [(class_of(&circuit("cpu", "a")), jobs)].into()
}
/// Looks at these VMs each ten seconds from `from` to `to`, while this many jobs wait.
fn look(lessons: &mut Lessons, sights: &[Sight], jobs: impl Fn(u64) -> u64, from: u64, to: u64) {
    for second in (from..=to).step_by(10) {
        lessons.look(sights, &waiting(jobs(second)), Timestamp::UNIX_EPOCH, at(second));
    }
}
/// What opened breakers after three VMs that were made at 0 ended so at 600.
fn opened(change: impl Fn(&mut Sight), jobs: impl Fn(u64) -> u64) -> Vec<Outcome> {
    let mut lessons = Lessons::default();
    let mut sights: Vec<Sight> = (0..3).map(|n| sight(n, 0)).collect();
    look(&mut lessons, &sights, &jobs, 0, 590);
    sights.iter_mut().for_each(change);
    look(&mut lessons, &sights, &jobs, 600, 620);
    lessons.opened().map(|(_, opened)| opened.by).collect()
}

#[test]
fn a_pilot_that_was_idle_while_its_jobs_waited_never_matched() {
    let stopped = |sight: &mut Sight| sight.end = Some(End::Stopped);
    assert_eq!(opened(stopped, |_| 100), [Outcome::NeverMatched]);
    assert_eq!(opened(|sight| sight.end = Some(End::Silent), |_| 100), [Outcome::NeverMatched]);
    assert_eq!(opened(stopped, |second| if second == 400 { 0 } else { 100 }), [], "others had taken the last ones");
}

#[test]
fn each_end_says_what_it_says_and_no_more() {
    let ends = |end, made| move |sight: &mut Sight| (sight.end, sight.made) = (Some(end), made);
    assert_eq!(opened(ends(End::Late, Some(at(0))), |_| 100), [Outcome::NeverAsked]);
    assert_eq!(opened(ends(End::Stopped, Some(at(500))), |_| 100), [Outcome::NeverAsked], "it did not wait for work");
    let asked = |made, gap: u64| opened(ends(End::Idle, Some(at(made))), |second| if second == gap { 0 } else { 100 });
    assert_eq!(asked(500, 0), [Outcome::NeverMatched], "it asked, and jobs waited for as long as it was there");
    assert_eq!(asked(500, 550), [], "others had taken the last ones before it asked");
    assert_eq!((asked(0, 0), asked(0, 400)), (vec![Outcome::NeverMatched], vec![]));
    assert_eq!(opened(ends(End::Other, Some(at(0))), |_| 100), []);
    assert_eq!(opened(ends(End::Silent, None), |_| 100), []);
}

#[test]
fn while_no_pilot_can_ask_none_is_blamed_for_having_no_job() {
    let mut lessons = Lessons::default();
    let mut sights = [sight(0, 0), sight(1, 0), sight(2, 0)];
    look(&mut lessons, &sights, |_| 100, 0, 590);
    sights.iter_mut().for_each(|sight| sight.end = Some(End::Stopped));
    lessons.look(&sights, &waiting(100), at(500), at(600));
    assert_eq!(lessons.opened().count(), 0);
}

#[test]
fn jobs_that_die_open_the_breaker_whether_their_vm_ends_or_takes_the_next_ones() {
    let died = |end| move |sight: &mut Sight| (sight.took, sight.died, sight.end) = (3, 3, end);
    assert_eq!(opened(died(None), |second| 100 - second / 100), [Outcome::JobsDied]);
    assert_eq!(opened(died(Some(End::Other)), |second| 100 - second / 100), [Outcome::JobsDied]);
    let one_lives = |sight: &mut Sight| (sight.took, sight.died, sight.lived) = (9, 8, true);
    assert_eq!(opened(one_lives, |second| 100 - second / 100), []);
}

#[test]
fn a_job_counts_for_the_class_of_its_vm_when_the_number_of_waiting_jobs_has_changed() {
    let allowed = |jobs: &dyn Fn(u64) -> u64| {
        let mut lessons = Lessons::default();
        let mut vm = sight(0, 0);
        look(&mut lessons, &[vm.clone()], jobs, 0, 190);
        (vm.took, vm.lived) = (1, true);
        look(&mut lessons, &[vm], jobs, 200, 400);
        lessons.holds(&wishes(&classes(&["a"])), at(400))[0].most
    };
    assert_eq!(allowed(&|second| if second < 200 { 100 } else { 99 }), u64::MAX);
    assert_eq!(allowed(&|_| 100), 7, "it had a job of others, and is one of the eight that have yet to show something");
}

#[test]
fn what_worked_before_anybody_looked_is_thought_to_work() {
    let mut lessons = Lessons::default();
    look(&mut lessons, &[Sight { took: 5, ..sight(0, 0) }], |_| 100, 1_000, 1_000);
    assert_eq!(lessons.holds(&wishes(&classes(&["a"])), at(1_000))[0].most, u64::MAX);
}

fn classes(profiles: &[&str]) -> BTreeMap<JobClass, plan::JobClass> {
    let class = |profile: &&str| (class_of(&circuit("cpu", profile)), plan::JobClass::default());
    profiles.iter().map(class).collect()
}
fn wishes(classes: &BTreeMap<JobClass, plan::JobClass>) -> Wishes<'_> {
    Wishes { classes, is_present: &|_| true }
}

/// Classes of a hundred jobs each that no pilot of these pools ever gets, over a day. VMs boot in a minute and stop after five idle ones. As
/// the plan does, each class buys where the fewest of its VMs are. How many VMs are made.
fn never_matching(pools: usize, classes: usize) -> usize {
    let profiles: Vec<String> = (0..classes).map(|n| format!("class {n}")).collect();
    let names: Vec<String> = (0..pools).map(|n| format!("pool {n}")).collect();
    let of = |profile: &String| JobClass { vo: "biomed".into(), profile: profile.as_str().into() };
    let waiting: BTreeMap<JobClass, u64> = profiles.iter().map(|p| (of(p), 100)).collect();
    let wished: BTreeMap<JobClass, plan::JobClass> = (0..)
        .zip(&profiles)
        .map(|(n, p)| (of(p), plan::JobClass { cpu_time: n, ..plan::JobClass::default() }))
        .collect();
    let (mut lessons, mut vms, mut made) = (Lessons::default(), Vec::<Sight>::new(), 0);
    for second in (0..86_400).step_by(10) {
        let now = at(second);
        for vm in &mut vms {
            vm.end = (seconds(vm.ordered, now) >= 360).then_some(End::Stopped);
        }
        lessons.look(&vms, &waiting, Timestamp::UNIX_EPOCH, now);
        vms.retain(|vm| vm.end.is_none());
        let holds = lessons.holds(&wishes(&wished), now);
        for (profile, class) in profiles.iter().zip(wished.values()) {
            let of_class = |hold: &&Hold| hold.class.as_ref() == Some(class);
            let general = holds.iter().filter(of_class).find(|hold| hold.pool.is_none()).map_or(u64::MAX, |h| h.most);
            let mut left = general.min(13);
            for pool in &names {
                let its = holds.iter().filter(of_class).find(|hold| hold.pool.as_ref() == Some(pool));
                let most = its.map_or(8, |hold| hold.most).min(left);
                left -= most;
                for _ in 0..most {
                    vms.push(Sight { circuit: circuit(pool, profile), ..sight(made, second) });
                    made += 1;
                }
                // Jobs wait for a handful, and nothing else is bought meanwhile.
                if its.is_none_or(|hold| hold.waits) {
                    break;
                }
            }
        }
    }
    usize::try_from(made).unwrap()
}

#[test]
fn jobs_that_never_match_cost_a_bounded_number_of_vms_a_day_whatever_the_number_of_pools_and_classes() {
    assert!(never_matching(1, 1) <= 24, "{}", never_matching(1, 1));
    let made = [(20, 1), (1, 20), (8, 8)].map(|(pools, classes)| never_matching(pools, classes));
    // In one pool each class costs its first handful, and all of them together as many tries as one.
    assert!(made[0] <= 60 && made[1] <= 20 * 8 + 24 && made[2] <= 8 * 48, "{made:?}");
}
