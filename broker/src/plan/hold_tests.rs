//! Which rule of restraint a hold takes the place of: only that of what it names, neither more nor less.

use super::{
    super::{Snapshot, plan, tests::*},
    *,
};
use crate::demand::TaskQueue;

fn named() -> Hold {
    Hold {
        cloud: Some("here".into()),
        flavor: Some("c8".into()),
        zone: Some(None),
        ..Hold::new(1, Reason::Ramp, "a few at first")
    }
}
fn of_a_circuit() -> Hold {
    Hold { pool: Some("cpu".into()), vo: Some("biomed".into()), class: Some(JobClass::default()), ..named() }
}
type Change = fn(&mut Hold);
const LESS: [Change; 3] = [|h| h.cloud = None, |h| h.flavor = None, |h| h.zone = None];
const OF_JOBS: [Change; 2] = [|h| h.vo = None, |h| h.class = None];
const OF_OTHERS: [Change; 2] = [|h| h.quota = Some(0), |h| h.image = Some("el9".into())];

fn changed(mut hold: Hold, change: Change) -> Hold {
    change(&mut hold);
    hold
}

#[test]
fn what_is_known_of_an_offering_is_in_a_hold_that_names_it_and_nothing_else() {
    assert!(named().is_of_an_offering());
    for change in LESS.into_iter().chain(OF_OTHERS) {
        let hold = changed(named(), change);
        assert!(!hold.is_of_an_offering(), "{hold:?}");
    }
    let more: [Change; 3] =
        [|h| h.pool = Some("cpu".into()), |h| h.vo = Some("biomed".into()), |h| h.class = Some(JobClass::default())];
    for change in more {
        let hold = changed(named(), change);
        assert!(!hold.is_of_an_offering(), "{hold:?}");
    }
}

#[test]
fn what_is_known_of_a_class_in_a_pool_is_in_a_hold_that_names_both_and_the_offering() {
    assert!(of_a_circuit().is_of_a_circuit() && of_a_circuit().is_of_jobs());
    let pool: [Change; 1] = [|h| h.pool = None];
    for change in LESS.into_iter().chain(pool).chain(OF_JOBS).chain(OF_OTHERS) {
        let hold = changed(of_a_circuit(), change);
        assert!(!hold.is_of_a_circuit(), "{hold:?}");
    }
    for change in OF_JOBS {
        let hold = changed(of_a_circuit(), change);
        assert!(!hold.is_of_jobs(), "{hold:?}");
    }
}

/// What a hold may name: once as the launch of `one_vm` has it, and once otherwise.
const NAMES: [[Change; 2]; 9] = [
    [|h| h.cloud = Some("here".into()), |h| h.cloud = Some("there".into())],
    [|h| h.flavor = Some("c8".into()), |h| h.flavor = Some("c2".into())],
    [|h| h.zone = Some(None), |h| h.zone = Some(Some("b".into()))],
    [|h| h.purchase = Some(Purchase::OnDemand), |h| h.purchase = Some(Purchase::Spot)],
    [|h| h.quota = Some(0), |h| h.quota = Some(1)],
    [|h| h.image = Some("el9".into()), |h| h.image = Some("el8".into())],
    [|h| h.pool = Some("cpu".into()), |h| h.pool = Some("another".into())],
    [|h| h.vo = Some("biomed".into()), |h| h.vo = Some("enmr".into())],
    [
        |h| h.class = Some(JobClass::of(&queue(1, "biomed_user", 8, &[]))),
        |h| h.class = Some(JobClass::of(&queue(1, "biomed_user", 8, &["GPU"]))),
    ],
];

fn one_vm(hold: Hold) -> Snapshot {
    let mut w = world(vec![queue(1, "biomed_user", 8, &[])]);
    w.pools[0].image = "el9".into();
    w.holds = vec![hold];
    w
}

#[test]
fn a_hold_binds_the_launches_that_agree_with_all_that_it_names_and_no_others() {
    let all = || Hold::new(0, Reason::NoCapacity, "held for a while");
    for (i, [own, other]) in NAMES.into_iter().enumerate() {
        assert_eq!(plan(&one_vm(changed(all(), own))).launches, [], "name {i}");
        assert_eq!(plan(&one_vm(changed(all(), other))).launches.len(), 1, "name {i}");
        for (j, [own, _]) in NAMES.into_iter().enumerate().filter(|(j, _)| *j != i) {
            let hold = changed(changed(all(), own), other);
            assert_eq!(plan(&one_vm(hold)).launches.len(), 1, "names {i} and {j}");
        }
    }
}

#[test]
fn what_is_held_for_one_vo_or_class_is_bought_for_another() {
    let long = TaskQueue { cpu_time: 7_200, ..queue(2, "biomed_user", 8, &[]) };
    for other in [queue(2, "enmr_user", 8, &[]), long] {
        for held in 0..2 {
            let mut w = world(vec![queue(1, "biomed_user", 8, &[]), other.clone()]);
            let of = &w.queues[held];
            w.holds = vec![match other.owner_group.as_str() {
                "enmr_user" => Hold { vo: Some(of.owner_group.replace("_user", "")), ..hold("c8", 0, Reason::VmsFail) },
                _ => Hold { class: Some(JobClass::of(of)), ..hold("c8", 0, Reason::VmsFail) },
            }];
            let made = plan(&w).launches;
            assert_eq!(made.len(), 1, "{:?}", w.holds);
            let bought = &w.queues[1 - held];
            assert_eq!(made[0].lease[0].class.cpu_time, bought.cpu_time);
            assert!(bought.owner_group.starts_with(&*made[0].vo));
        }
    }
}

#[test]
fn a_hold_on_offerings_without_a_zone_is_no_other_after_it_was_written_and_read() {
    for zone in [None, Some(None), Some(Some("nova".to_owned()))] {
        let hold = Hold { zone, ..of_a_circuit() };
        let written = serde_json::to_string(&hold).unwrap();
        assert_eq!(serde_json::from_str::<Hold>(&written).unwrap(), hold, "{written}");
    }
}
