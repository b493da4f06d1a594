//! What circuits of one class, or of one VO in a pool, learn from each other.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::super::{Breakers, Circuit, FIRST, Outcome, PROVEN_FOR};
use crate::experience::{lot::tests::lot, moment::after};

fn at(second: u64) -> Timestamp {
    after(Timestamp::UNIX_EPOCH, 1_700_000_000 + second)
}
/// The same jobs in a pool of this number.
fn pool(n: usize) -> Circuit {
    Circuit { pool: format!("p{n}").into(), lot: lot("c8", "el9"), vo: "biomed".into(), profile: "a".into() }
}
fn opened(pools: usize) -> Breakers {
    let mut breakers = Breakers::default();
    for n in 0..pools {
        (0..3).for_each(|_| breakers.failed(&pool(n), Outcome::NeverMatched, at(0), at(0)));
    }
    breakers
}
/// What pools may make, where this many VMs of each are not judged yet.
fn most(breakers: &Breakers, unjudged: [u64; 3], second: u64) -> [Option<u64>; 3] {
    let unjudged: BTreeMap<Circuit, u64> = (0..3).map(pool).zip(unjudged).collect();
    let bounds = breakers.bounds(&unjudged, |_| true, at(second)).circuits;
    std::array::from_fn(|n| bounds.iter().find(|(circuit, _)| *circuit == pool(n)).unwrap().1.most)
}

#[test]
fn of_two_open_circuits_of_one_class_one_vm_tries_at_a_time() {
    let mut breakers = opened(1);
    (0..3).for_each(|_| breakers.failed(&pool(1), Outcome::NeverMatched, at(0), at(10)));
    let open = |unjudged, second| most(&breakers, unjudged, second)[..2].to_vec();
    assert_eq!(open([0; 3], FIRST + 9), [Some(0), Some(0)], "the last came to nothing less than a pause ago");
    assert_eq!(open([0; 3], FIRST + 10), [Some(1), Some(0)], "the one whose pause ended first");
    assert_eq!(open([1, 0, 0], FIRST + 10), [Some(0), Some(0)], "that one is on its way");
}

#[test]
fn the_more_circuits_of_a_class_are_open_the_less_and_the_later_is_tried_elsewhere() {
    for (pools, pause, new) in [(1, 0, 4), (2, 600, 2), (3, 1_200, 1), (4, 2_400, 1), (6, 7_200, 1), (9, 7_200, 1)] {
        let breakers = opened(pools);
        let of_class = |second| breakers.bounds(&BTreeMap::new(), |_| true, at(second)).classes.remove(0).most;
        if pause > 0 {
            assert_eq!(of_class(pause - 1), 0, "{pools}");
        }
        assert_eq!(of_class(pause), new, "{pools}");
    }
    assert_eq!(most(&opened(1), [0, 0, 0], 1)[2], Some(4));
    assert_eq!(most(&opened(1), [0, 0, 3], 1)[2], Some(1));
    assert_eq!(most(&opened(1), [0, 1, 5], 1)[2], Some(0));
}

#[test]
fn what_works_in_one_pool_is_tried_with_a_handful_in_another_for_an_hour() {
    let mut breakers = opened(1);
    breakers.matched(&pool(1), at(100));
    assert!(breakers.bounds(&BTreeMap::new(), |_| true, at(100)).classes.is_empty());
    assert_eq!(most(&breakers, [0; 3], 100 + PROVEN_FOR - 1)[1..], [None, Some(8)]);
    assert_eq!(most(&breakers, [0; 3], 100 + PROVEN_FOR)[1..], [Some(4), Some(4)], "it may have changed meanwhile");
    let mut breakers = opened(2);
    breakers.matched(&pool(0), at(100));
    assert_eq!(most(&breakers, [0; 3], FIRST)[2], Some(2), "what is open has not shown that it works");
}

#[test]
fn what_has_another_image_now_counts_for_nothing() {
    let bounds = opened(2).bounds(&BTreeMap::new(), |circuit| *circuit == pool(1), at(0));
    assert_eq!(bounds.circuits.iter().map(|(circuit, _)| circuit).collect::<Vec<_>>(), [&pool(1)]);
    assert_eq!((bounds.classes[0].most, &bounds.classes[0].circuit), (4, &pool(1)));
}

#[test]
fn pauses_of_a_circuit_double_from_ten_minutes_to_two_hours() {
    let mut breakers = opened(1);
    let mut now = 0;
    for pause in [600, 1_200, 2_400, 4_800, 7_200, 7_200] {
        let may = |second| breakers.permitted(&pool(0), 0, at(second)).most;
        assert_eq!((may(now + pause - 1), may(now + pause)), (Some(0), Some(1)), "{pause}");
        now += pause;
        breakers.failed(&pool(0), Outcome::NeverMatched, at(now), at(now));
    }
    assert_eq!((breakers.closed("p0").count(), breakers.closed("p1").count()), (1, 0));
    breakers.retain(|circuit| *circuit != pool(0));
    assert_eq!(breakers.opened().count(), 0);
}
