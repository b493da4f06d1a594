//! What VOs have of limits that they share, what is lent beyond that, and that it comes back.

use std::{collections::BTreeMap, sync::Arc};

use proptest::prelude::{prop, prop_assert, prop_assert_eq, prop_compose, proptest};

use super::{super::tests::*, divide};
use crate::plan::*;

/// So many jobs of one core of each VO wait, and `cores` may be had on the cloud.
fn shared(biomed: u64, enmr: u64, cores: u64) -> Snapshot {
    let mut w = world(vec![queue(1, "biomed_user", biomed, &[]), queue(2, "enmr_user", enmr, &[])]);
    w.clouds[0].ceiling.cores = Some(cores);
    w
}

/// Of each VO: VMs that are made as its pool says, and VMs that are lent.
fn made(plan: &Plan) -> BTreeMap<&str, (usize, usize)> {
    let mut all: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for launch in &plan.launches {
        let of = all.entry(&launch.vo).or_default();
        *if launch.cut.is_some() { &mut of.1 } else { &mut of.0 } += 1;
    }
    all
}

fn of_biomed(w: &Snapshot) -> (usize, usize) {
    made(&plan(w)).get("biomed").copied().unwrap_or_default()
}

/// The world in which these launches run, and have no room for more jobs.
fn running(w: &Snapshot, plan: &Plan) -> Snapshot {
    let mut after = carried_out(w, plan);
    for (i, vm) in after.vms.iter_mut().enumerate() {
        vm.name = format!("vm{i}");
        vm.life = runs(0);
        vm.counted = false;
    }
    after
}

#[test]
fn what_is_beyond_the_part_of_a_vo_is_lent_and_comes_back_to_the_one_that_waits() {
    let mut w = shared(1_000, 0, 80);
    let first = plan(&w);
    assert_eq!(made(&first), BTreeMap::from([("biomed", (5, 5))]));
    let (own, lent) = (&first.launches[0], &first.launches[9]);
    assert!(!own.reason.contains("lent"), "{}", own.reason);
    let told = "; it is lent: biomed has its part of what cloud here (spec.ceiling) allows, so this VM takes jobs for a while only";
    assert!(lent.reason.ends_with(told), "{}", lent.reason);
    w = running(&w, &first);
    w.queues[1].jobs = 1_000;
    assert_eq!(plan(&w).launches, [], "nothing is killed");
    w.vms.retain(|vm| vm.cpu_time == 86_400);
    assert_eq!(made(&plan(&w)), BTreeMap::from([("enmr", (5, 0))]));
}

#[test]
fn nobody_is_cut_within_its_part() {
    assert_eq!(made(&plan(&shared(40, 40, 80))), BTreeMap::from([("biomed", (5, 0)), ("enmr", (5, 0))]));
    assert_eq!(made(&plan(&shared(400, 400, 80))), BTreeMap::from([("biomed", (5, 0)), ("enmr", (5, 0))]));
    let mut w = shared(400, 400, 80);
    w.vos[0].share = 3;
    assert_eq!(made(&plan(&w)), BTreeMap::from([("biomed", (7, 0)), ("enmr", (2, 1))]), "60 and 20 cores are theirs");
}

#[test]
fn each_limit_that_is_shared_has_parts_and_no_other() {
    type Change = fn(&mut Snapshot);
    let cases: [(&str, Change); 6] = [
        ("quota", |w| w.quotas[0].left.cores = Some(80)),
        ("ceiling", |w| w.clouds[0].ceiling.ram_mib = Some(10 * 16_384)),
        ("site", |w| w.pools[0].site_limits.vms = Some(10)),
        ("installation", |w| w.limits.cores = Some(80)),
        ("pool", |w| w.pools[0].max = 10),
        ("VO", |w| w.vos[0].limits.vms = Some(10)),
    ];
    for (limit, change) in cases {
        let mut w = world(vec![queue(1, "biomed_user", 1_000, &[])]);
        w.pools[0].max = 1_000;
        w.clouds[0].ceiling.vms = Some(100);
        change(&mut w);
        let lent = if limit == "VO" { 0 } else { 5 };
        assert_eq!(of_biomed(&w), (10 - lent, lent), "{limit}");
        w.pools[0].vos.truncate(1);
        assert_eq!(of_biomed(&w), (10, 0), "{limit}: nobody else can use it");
    }
}

#[test]
fn one_who_has_pools_at_another_cloud_alone_has_no_part_here() {
    let mut w = shared(1_000, 0, 80);
    w.pools[0].vos.truncate(1);
    w.pools.push(Pool { clouds: vec!["there".into()], ..pool("there", &["enmr"], &["c8"], 100) });
    w.clouds.push(cloud("there", vec![Arc::new(Offering { quota: None, ..(*offering("c8", 8, 0)).clone() })]));
    w.quotas[0].left.cores = Some(80);
    assert_eq!(of_biomed(&w), (10, 0));
    w.pools[1].clouds.push("here".into());
    assert_eq!(of_biomed(&w), (5, 5));
    w.pools[1].flavors = vec!["x8".into()];
    assert_eq!(of_biomed(&w), (10, 0), "it takes nothing that is on offer here");
}

#[test]
fn what_a_vo_can_never_use_is_not_kept_for_it() {
    let mut w = shared(1_000, 0, 80);
    w.vos[1].limits.cores = Some(16);
    assert_eq!(of_biomed(&w), (8, 2));
    let mut w = shared(1_000, 0, 80);
    w.pools[0].vos.truncate(1);
    w.pools.push(pool("small", &["enmr"], &["c8"], 3));
    assert_eq!(of_biomed(&w), (7, 3));
    w.pools[1].borrows = true;
    assert_eq!(of_biomed(&w), (5, 5), "a pool that borrows may have more");
}

#[test]
fn what_others_hold_in_the_project_is_nobody_s_part_and_what_the_provider_has_counted_is() {
    let mut w = shared(1_000, 0, 80);
    w.clouds[0].others.cores = 40;
    assert_eq!(of_biomed(&w), (2, 3));
    let mut w = world(vec![queue(1, "biomed_user", 1_000, &[])]);
    w.quotas[0].left.cores = Some(40);
    w.vms = ["a", "b", "c", "d", "e"].map(|name| vm(name, runs(0))).to_vec();
    assert_eq!(of_biomed(&w), (0, 5), "of 80 cores it has 40");
    w.vms.iter_mut().for_each(|vm| vm.counted = false);
    assert_eq!(of_biomed(&w), (0, 0), "nothing is left");
    w.vms.truncate(2);
    assert_eq!(of_biomed(&w), (0, 3), "of 40 cores it has 16");
    w.vms.truncate(1);
    assert_eq!(of_biomed(&w), (1, 3));
}

#[test]
fn a_vm_that_ends_as_soon_as_a_lent_one_does_not_count_against_the_part() {
    let mut w = shared(1_000, 0, 80);
    w.vms = vec![vm("old", runs(0)), LiveVm { cpu_time: 12_000, ..vm("ends", runs(0)) }];
    w.vms.push(LiveVm { life: Life::Ending, ..vm("ending", runs(0)) });
    assert_eq!(of_biomed(&w), (4, 3));
}

#[test]
fn a_lent_vm_takes_jobs_for_forty_minutes_or_as_long_as_its_boot_and_its_jobs_are_worth() {
    let cpu_time = |change: &dyn Fn(&mut Snapshot)| {
        let mut w = shared(1_000, 0, 80);
        w.pools[0].cpu_time = 10_000_000;
        change(&mut w);
        plan(&w).launches.iter().filter_map(|launch| launch.cut).map(|cut| (cut.cpu_time, cut.until)).next().unwrap()
    };
    let offering = |w: &mut Snapshot, change: &dyn Fn(&mut Offering)| {
        change(Arc::make_mut(&mut w.clouds[0].offerings[0]));
    };
    // Less what a pilot may use before its first job, and StopMargin; a pilot with less than 5,000 s left ends.
    let lasts = |seconds: u64, power: u64, left: u64| (left + (seconds + 300) * power - 18_000, None);
    assert_eq!(cpu_time(&|_| {}), lasts(2_400, 10, 5_000));
    assert_eq!(cpu_time(&|w| w.queues[0].cpu_time = 86_400), lasts(2_400, 10, 86_400), "such jobs fit to the end");
    assert_eq!(cpu_time(&|w| offering(w, &|o| o.power = Some(2_500))), lasts(2_400, 25, 5_000));
    assert_eq!(cpu_time(&|w| offering(w, &|o| o.measured.boot = Some(600))), lasts(6_000, 10, 5_000));
    let runs = |w: &mut Snapshot| {
        w.run_times = vec![RunTime { vo: "biomed".into(), class: JobClass::of(&w.queues[0]), seconds: 7_200 }];
    };
    assert_eq!(cpu_time(&runs), lasts(28_800, 10, 5_000));
}

#[test]
fn a_pool_whose_vms_end_as_soon_anyway_lends_them_as_they_are() {
    let mut w = shared(1_000, 0, 80);
    w.pools[0].cpu_time = 14_000;
    assert_eq!(of_biomed(&w), (10, 0));
    w.pools[0].cpu_time = 14_001;
    assert_eq!(of_biomed(&w), (5, 5));
}

#[test]
fn what_a_pool_borrows_is_lent() {
    let mut w = world(vec![queue(1, "biomed_user", 1_000, &[])]);
    w.vos.truncate(1);
    w.pools = vec![pool("cpu", &["biomed"], &["c8"], 4), pool("other", &["biomed"], &["c2"], 4)];
    w.pools[1].flavors = vec!["none".into()];
    w.clouds[0].ceiling.cores = Some(80);
    w.pools[0].borrows = true;
    assert_eq!(of_biomed(&w), (4, 6));
}

#[test]
fn a_vm_that_is_cut_before_a_closing_and_lent_has_the_shorter_time_of_both() {
    let mut w = shared(1_000, 0, 80);
    w.pools[0].cpu_time = 10_000_000;
    Arc::make_mut(&mut w.clouds[0].offerings[0]).power = Some(1_000);
    let cuts = |starts_in: u64| {
        let mut w = w.clone();
        let clouds = vec!["here".into()];
        let none = Limits { vms: Some(0), ..Limits::default() };
        w.closings = vec![Closing { clouds, drains_in: starts_in, starts_in, keep: none, ..Closing::default() }];
        plan(&w).launches.iter().map(|launch| launch.cut.unwrap()).collect::<Vec<_>>()
    };
    let far = cuts(36_000);
    let cut = |cpu_time| Cut { cpu_time, until: Some(36_000) };
    assert_eq!((far[0], far[9]), (cut(357_000), cut(14_000 + 18_000)));
    assert_eq!(cuts(3_000)[9], Cut { cpu_time: 27_000, until: Some(3_000) });
}

#[test]
fn a_whole_is_divided_by_shares_and_what_one_cannot_use_goes_to_the_others() {
    assert_eq!(divide(100, &[(1, u64::MAX), (3, u64::MAX)]), [25, 75]);
    assert_eq!(divide(100, &[(1, 10), (1, u64::MAX), (2, u64::MAX)]), [10, 30, 60]);
    assert_eq!(divide(100, &[(1, 0), (9, 10), (1, 20)]), [0, 10, 20]);
    assert_eq!(divide(25, &[(1, 99), (1, 99)]), [12, 13]);
    assert_eq!(divide(u64::MAX, &[(u64::MAX, u64::MAX), (u64::MAX, u64::MAX)]), [u64::MAX / 2, u64::MAX / 2 + 1]);
    assert_eq!(divide(5, &[]), [0; 0]);
}

prop_compose! {
    /// VOs that share one limit of some kind, and of whom some have demand.
    fn any_shared()(vos in prop::collection::vec((1_u64..6, 0..2_u64), 2..6), room in 10_u64..120, kind in 0..5_usize, cores in 0..2_usize) -> Snapshot {
        let names: Vec<String> = (0..vos.len()).map(|i| format!("vo{i}")).collect();
        let flavor = ["c8", "c2"][cores];
        let cores = [8, 2][cores];
        let mut w = world(vos.iter().enumerate().map(|(i, (_, has))| queue(i as u64 + 1, &format!("vo{i}_user"), has * 2_000, &[])).collect());
        w.vos = names.iter().zip(&vos).map(|(name, (share, _))| Vo { share: *share, ..vo(name) }).collect();
        let all: Vec<&str> = names.iter().map(String::as_str).collect();
        w.pools = vec![pool("cpu", &all, &[flavor], 1_000)];
        match kind {
            0 => w.pools[0].max = room,
            1 => w.quotas[0].left.cores = Some(room * cores),
            2 => w.clouds[0].ceiling.vms = Some(room),
            3 => w.limits.ram_mib = Some(room * cores * 2_048),
            _ => w.pools[0].site_limits.cores = Some(room * cores),
        }
        w
    }
}

proptest! {
    #[test]
    fn who_comes_late_has_its_share_as_soon_as_what_is_lent_has_ended(w in any_shared(), late in prop::collection::vec(proptest::bool::ANY, 6)) {
        let mut w = running(&w, &plan(&w));
        let room = w.vms.len() as u64;
        for (queue, late) in w.queues.iter_mut().zip(late) {
            queue.jobs = queue.jobs.max(u64::from(late) * 2_000);
        }
        // What is lent ends, and what is bought then; and so on.
        for _ in 0..3 {
            let made = plan(&w);
            w = running(&w, &made);
            w.vms.retain(|vm| vm.cpu_time == 86_400);
        }
        w = running(&w, &plan(&w));
        let wants: Vec<&Vo> = w.vos.iter().zip(&w.queues).filter(|(_, queue)| queue.jobs > 0).map(|(vo, _)| vo).collect();
        let shares: u64 = w.vos.iter().map(|vo| vo.share).sum();
        for vo in wants {
            let has = w.vms.iter().filter(|vm| vm.vo == vo.name).count() as u64;
            // Less one VM: VMs are whole.
            prop_assert!((has + 1) * shares * 10 >= room * vo.share * 9, "{} has {has} of {room} by {} of {shares}", vo.name, vo.share);
        }
        prop_assert!(room == 0 || w.vms.len() as u64 == room, "nothing is left unused: {} of {room}", w.vms.len());
    }

    #[test]
    fn parts_are_no_more_than_the_whole_and_leave_nothing_that_anybody_can_use(whole in 0_u64..1_000, each in prop::collection::vec((1_u64..9, 0_u64..500), 1..9)) {
        let parts = divide(whole, &each);
        let sum: u64 = parts.iter().sum();
        let most: u64 = each.iter().map(|(_, most)| most).sum();
        prop_assert_eq!(sum, whole.min(most));
        prop_assert!(parts.iter().zip(&each).all(|(part, (_, most))| part <= most));
    }
}
