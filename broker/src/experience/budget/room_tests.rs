//! One reach alone: how long its pauses are, and how wide it opens.

use std::collections::BTreeSet;

use super::{super::super::lot::tests::lot, *};

fn at(second: u64) -> Timestamp {
    after(Timestamp::UNIX_EPOCH, 1_700_000_000 + second)
}
fn offer(n: u32) -> Reach {
    Reach::offer(&lot(&format!("c{n}"), "el9"))
}
fn most(room: &Room, reach: &Reach, second: u64) -> u64 {
    room.left(reach, Open::default(), at(second)).0
}
/// An offer of which many orders were granted, so that this many may be under way.
fn wide(window: u32) -> Room {
    let mut room = Room::of(&offer(0));
    while room.window < window {
        room.granted(at(0));
    }
    room
}

#[test]
fn pauses_grow_to_three_minutes_and_differ_by_up_to_a_twentieth_from_offer_to_offer() {
    let mut pauses: [BTreeSet<u64>; 4] = Default::default();
    for reach in (0..300).map(offer) {
        let mut room = Room::of(&reach);
        for (n, found) in pauses.iter_mut().enumerate() {
            let second = 1_000 * n as u64;
            room.ordered(&reach, at(second));
            room.refused(&reach, None, at(second), at(second));
            found.insert(seconds(at(second), room.closed(&reach).unwrap().until));
        }
    }
    let ends = pauses.map(|found| (*found.first().unwrap(), *found.last().unwrap(), found.len()));
    assert_eq!(ends, [(10, 10, 1), (40, 42, 3), (190, 199, 6), (190, 199, 6)]);
}

#[test]
fn for_ten_minutes_after_a_refusal_an_order_that_was_merely_taken_proves_nothing() {
    let mut room = wide(8);
    room.refused(&offer(0), None, at(0), at(0));
    assert_eq!((room.closed(&offer(0)), most(&room, &offer(0), 1)), (None, 4));
    room.accepted(at(599));
    assert_eq!(most(&room, &offer(0), 599), 4);
    let open = Open { unanswered: 1, making: 2 };
    assert_eq!(room.left(&offer(0), open, at(599)).0, 1, "what is not made yet counts");
    assert_eq!(room.left(&offer(0), open, at(600)).0, 3);
    room.accepted(at(600));
    assert_eq!(most(&room, &offer(0), 600), 8);
}

#[test]
fn a_provider_that_says_when_to_come_back_is_left_alone_from_its_first_word() {
    let mut room = wide(8);
    room.refused(&offer(0), Some(Duration::from_secs(60)), at(0), at(0));
    assert!(!room.may_order(at(59)) && room.may_order(at(60)));
    let mut room = wide(8);
    room.refused(&offer(0), Some(Duration::from_secs(86_400)), at(0), at(0));
    assert!(!room.may_order(at(3_599)) && room.may_order(at(3_600)), "no wish is kept for longer than an hour");
}

#[test]
fn what_opens_again_is_as_wide_as_before_and_no_wider_than_64() {
    let again = |window| {
        let mut room = wide(window);
        (1..=2).for_each(|second| room.refused(&offer(0), None, at(second), at(second)));
        assert!(room.closed(&offer(0)).is_some(), "two in a row");
        room.ordered(&offer(0), at(100));
        room.granted(at(100));
        most(&room, &offer(0), 100)
    };
    assert_eq!((again(4), again(64), again(4_096)), (2, 16, 64));
}

#[test]
fn at_most_twenty_try_within_an_hour_and_the_next_an_hour_after_the_first_of_them() {
    let mut room = Room::of(&offer(0));
    room.refused(&offer(0), None, at(0), at(0));
    for n in 1..20 {
        let second = n * 10;
        room.ordered(&offer(0), at(second));
        room.shut.as_mut().unwrap().pause.1 = at(second);
        assert_eq!(room.may_order(at(second)), n < 19, "{n}");
    }
    assert!(!room.may_order(at(3_599)) && room.may_order(at(3_600)));
}

#[test]
fn what_reaches_many_offers_opens_again_for_64_orders_at_once() {
    let zone = Reach::Zone("cppm".into(), None);
    let mut room = Room::of(&zone);
    room.refused(&zone, None, at(0), at(0));
    assert_eq!(most(&room, &zone, 1), 0);
    room.ordered(&zone, at(20));
    room.granted(at(20));
    assert_eq!(most(&room, &zone, 20), 64);
}

#[test]
fn an_order_for_an_offer_of_which_nothing_is_known_leaves_none() {
    use super::super::{Budgets, Flight, Phase};
    let mut flight = Flight::default();
    flight.add(&lot("c0", "el9"), None, Phase::Unanswered);
    let rooms = Budgets::default().rooms(&flight, at(0));
    assert_eq!(rooms.iter().map(|(reach, allowed)| (reach, allowed.most)).collect::<Vec<_>>(), [(&offer(0), 0)]);
}
