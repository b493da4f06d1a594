use proptest::prelude::*;

use super::{
    super::{
        lot::tests::lot,
        moment::{after, seconds},
    },
    *,
};

#[path = "market_tests.rs"]
mod market;

fn at(second: u64) -> Timestamp {
    after(Timestamp::UNIX_EPOCH, 1_700_000_000 + second)
}
fn c8() -> Lot {
    lot("c8", "el9")
}
fn class() -> Arc<str> {
    "project".into()
}
fn most(budgets: &Budgets, lot: &Lot, flight: &Flight, second: u64) -> u64 {
    budgets.allowance(lot, Some(&class()), flight, at(second)).most
}
fn may(budgets: &mut Budgets, lot: &Lot, second: u64) -> bool {
    budgets.may_order(lot, Some(&class()), at(second))
}
fn refuse(budgets: &mut Budgets, lot: &Lot, scope: Scope, ordered: u64, second: u64) {
    budgets.refused((lot, Some(&class())), scope, None, at(ordered), at(second));
}
/// Refused once, at 0.
fn refused(scope: Scope) -> Budgets {
    let mut budgets = Budgets::default();
    assert!(may(&mut budgets, &c8(), 0));
    refuse(&mut budgets, &c8(), scope, 0, 0);
    budgets
}
fn grant(budgets: &mut Budgets, lot: &Lot, ordered: u64, second: u64) {
    budgets.granted(lot, Some(&class()), at(ordered), at(second));
}
fn flight(vms: &[(Phase, u64)]) -> Flight {
    let mut flight = Flight::default();
    for (phase, n) in vms {
        (0..*n).for_each(|_| flight.add(&c8(), Some(&class()), *phase));
    }
    flight
}

#[test]
fn an_offer_begins_with_one_order_and_each_that_is_taken_doubles_that() {
    let mut budgets = Budgets::default();
    assert_eq!(most(&budgets, &c8(), &Flight::default(), 0), 1);
    assert_eq!(most(&budgets, &c8(), &flight(&[(Phase::Unanswered, 1)]), 0), 0);
    assert!(may(&mut budgets, &c8(), 0));
    budgets.accepted(&c8(), Some(&class()), at(1));
    assert_eq!(most(&budgets, &c8(), &flight(&[(Phase::Making, 1)]), 1), 2);
    budgets.accepted(&c8(), Some(&class()), at(2));
    assert_eq!(most(&budgets, &c8(), &flight(&[(Phase::Making, 2)]), 2), 4);
}

#[test]
fn a_handful_boots_until_the_first_pilot_asks_for_work() {
    let mut budgets = Budgets::default();
    assert!(may(&mut budgets, &c8(), 0));
    (0..10).for_each(|_| grant(&mut budgets, &c8(), 0, 1));
    let held = budgets.allowance(&c8(), None, &flight(&[(Phase::Booting, 8)]), at(2));
    assert_eq!((held.most, &held.why), (0, &Held::Unproven { most: 8, has_asked: false }));
    assert!(held.why.message(&c8()).contains("at most 8 VMs of flavor c8 with image el9 boot at once, until"));
    assert_eq!(most(&budgets, &lot("c8", "el8"), &flight(&[(Phase::Booting, 8)]), 2), 8, "another image has its own");
    budgets.asked(&c8(), at(3));
    assert_eq!(most(&budgets, &c8(), &flight(&[(Phase::Booting, 7)]), 3), 9);
}

#[test]
fn a_lone_refusal_of_an_offer_that_works_halves_what_is_under_way_and_stops_nothing() {
    let mut budgets = Budgets::default();
    assert!(may(&mut budgets, &c8(), 0));
    (0..3).for_each(|_| grant(&mut budgets, &c8(), 0, 1));
    budgets.asked(&c8(), at(1));
    assert_eq!(most(&budgets, &c8(), &Flight::default(), 1), 8);
    refuse(&mut budgets, &c8(), Scope::Offer, 1, 2);
    assert_eq!(most(&budgets, &c8(), &Flight::default(), 2), 4);
    assert!(may(&mut budgets, &c8(), 2));
    refuse(&mut budgets, &c8(), Scope::Offer, 1, 2);
    assert!(!may(&mut budgets, &c8(), 3), "two in a row are no accident");
}

#[test]
fn the_first_refusal_of_a_new_offer_pauses_it_for_ten_seconds() {
    let mut budgets = refused(Scope::Offer);
    assert!(!may(&mut budgets, &c8(), 9));
    let held = budgets.allowance(&c8(), Some(&class()), &Flight::default(), at(9));
    assert_eq!(held.most, 0);
    assert!(
        held.why
            .message(&c8())
            .starts_with("cloud cppm has refused flavor c8 since 2023-11-14T22:13:20Z: one VM tries at")
    );
    assert_eq!(most(&budgets, &c8(), &Flight::default(), 11), 1);
    assert!(may(&mut budgets, &c8(), 11));
    assert!(!may(&mut budgets, &c8(), 12), "one tries, and the others wait for what comes of it");
    grant(&mut budgets, &c8(), 11, 15);
    assert_eq!(most(&budgets, &c8(), &Flight::default(), 15), 2);
}

#[test]
fn each_scope_spares_what_it_does_not_reach() {
    let zone = |zone: &str| Lot { zone: Some(zone.into()), ..c8() };
    let gpu: Arc<str> = "gpu".into();
    let open = |scope, lot: &Lot, class: &Arc<str>| refused(scope).may_order(lot, Some(class), at(1));
    assert!(open(Scope::Offer, &lot("c16", "el9"), &class()) && open(Scope::Offer, &zone("a"), &class()));
    assert!(!open(Scope::Offer, &lot("c8", "el8"), &class()), "another image needs the same room");
    assert!(!open(Scope::Zone, &lot("c16", "el9"), &gpu) && open(Scope::Zone, &zone("a"), &class()));
    assert!(!open(Scope::Class, &zone("a"), &class()) && open(Scope::Class, &lot("g1", "el9"), &gpu));
    assert!(!open(Scope::Cloud, &zone("a"), &gpu));
}

#[test]
fn a_refusal_of_the_whole_cloud_is_one_and_not_one_for_each_flavor_and_one_vm_tries_for_all() {
    let mut budgets = refused(Scope::Cloud);
    for flavor in ["c1", "c2", "c4"] {
        refuse(&mut budgets, &lot(flavor, "el9"), Scope::Cloud, 0, 1);
    }
    assert!(may(&mut budgets, &lot("c1", "el9"), 11));
    assert!(!may(&mut budgets, &lot("c2", "el9"), 12));
}

#[test]
fn a_vm_that_was_ordered_before_the_refusal_and_is_granted_after_it_opens_nothing() {
    let mut budgets = refused(Scope::Offer);
    grant(&mut budgets, &c8(), 0, 11);
    assert!(may(&mut budgets, &c8(), 12));
    assert!(!may(&mut budgets, &c8(), 13));
}

#[test]
fn after_a_refusal_an_order_that_was_merely_taken_opens_nothing() {
    let mut budgets = refused(Scope::Offer);
    assert!(may(&mut budgets, &c8(), 11));
    budgets.accepted(&c8(), Some(&class()), at(12));
    assert_eq!(most(&budgets, &c8(), &flight(&[(Phase::Making, 1)]), 12), 0);
    grant(&mut budgets, &c8(), 11, 40);
    assert_eq!(most(&budgets, &c8(), &flight(&[(Phase::Making, 2)]), 40), 0, "VMs that are not made count now");
}

#[test]
fn a_try_of_which_nothing_is_heard_does_not_close_an_offer_for_ever() {
    let mut budgets = refused(Scope::Offer);
    assert!(may(&mut budgets, &c8(), 11));
    assert!(!may(&mut budgets, &c8(), 100) && may(&mut budgets, &c8(), 140));
}

#[test]
fn a_provider_that_says_when_to_come_back_is_left_alone_until_then() {
    let mut budgets = Budgets::default();
    assert!(may(&mut budgets, &c8(), 0));
    budgets.refused((&c8(), None), Scope::Cloud, Some(Duration::from_secs(300)), at(0), at(0));
    assert!(!may(&mut budgets, &c8(), 299) && may(&mut budgets, &c8(), 300));
}

#[test]
fn where_there_may_be_room_again_the_next_vm_tries_half_a_minute_after_the_last() {
    let mut budgets = refused(Scope::Cloud);
    for second in [11, 60] {
        assert!(may(&mut budgets, &c8(), second));
        refuse(&mut budgets, &c8(), Scope::Cloud, second, second);
    }
    budgets.may_have_room("another", at(70));
    assert!(!may(&mut budgets, &c8(), 95));
    budgets.may_have_room("cppm", at(70));
    assert!(!may(&mut budgets, &c8(), 89) && may(&mut budgets, &c8(), 90));
}

#[test]
fn five_vms_in_a_row_that_never_ask_leave_one_that_tries() {
    let mut budgets = Budgets::default();
    (0..5).for_each(|_| budgets.never_asked(&c8(), at(0), at(900)));
    let held = budgets.allowance(&c8(), None, &Flight::default(), at(900));
    assert_eq!((held.most, &held.why), (0, &Held::NeverAsked { in_a_row: 5, until: at(1_200) }));
    (0..3).for_each(|_| budgets.never_asked(&c8(), at(0), at(901)));
    assert_eq!(most(&budgets, &c8(), &Flight::default(), 1_200), 1);
    assert!(may(&mut budgets, &c8(), 1_200) && !may(&mut budgets, &c8(), 1_201));
    budgets.never_asked(&c8(), at(1_200), at(2_100));
    assert!(!may(&mut budgets, &c8(), 2_100 + 1_199) && may(&mut budgets, &c8(), 2_100 + 1_200));
    budgets.asked(&c8(), at(3_500));
    assert!(budgets.proofs.get(&c8()).unwrap().may_order(at(3_500)));
}

#[test]
fn what_was_changed_or_was_the_fault_of_others_is_tried_again_at_once() {
    let shut = || {
        let mut budgets = Budgets::default();
        (0..5).for_each(|_| budgets.never_asked(&c8(), at(0), at(900)));
        budgets
    };
    let mut forgiven = shut();
    forgiven.forgive(at(901));
    assert_eq!(most(&forgiven, &c8(), &Flight::default(), 901), 1);
    let mut forgotten = shut();
    forgotten.forget(|lot| *lot == c8());
    assert_eq!(forgotten.allowance(&c8(), None, &Flight::default(), at(901)).why, Held::OnTheirWay { most: 1 });
}

#[test]
fn what_worked_long_ago_buys_no_thousands() {
    let mut budgets = Budgets::default();
    (0..20).for_each(|_| budgets.asked(&c8(), at(0)));
    let proof = |second| budgets.proofs.get(&c8()).unwrap().left(0, at(second)).0;
    assert_eq!((proof(60), proof(7 * 3_600)), (1 << 20, 64));
}

#[test]
fn vms_that_work_count_after_a_restart_unless_their_lot_was_heard_of() {
    let works = |before: &dyn Fn(&mut Budgets)| {
        let mut budgets = Budgets::default();
        for second in 0..12 {
            assert!(may(&mut budgets, &c8(), second));
            budgets.accepted(&c8(), Some(&class()), at(second));
        }
        before(&mut budgets);
        let first = most(&budgets, &c8(), &Flight::default(), 20);
        budgets.works(&c8(), 3, at(20));
        (first, most(&budgets, &c8(), &Flight::default(), 20))
    };
    let (fresh, seen) = works(&|_| {});
    assert_eq!(seen, fresh * 8, "each of three doubles what may boot");
    let (asked, told) = works(&|budgets| budgets.asked(&c8(), at(19)));
    assert_eq!((asked, told), (fresh * 2, fresh * 2), "a pilot has asked since the start");
    let (shut, still) = works(&|budgets| (0..5).for_each(|_| budgets.never_asked(&c8(), at(1), at(19))));
    assert_eq!((shut, still), (0, 0), "VMs that work say nothing of those that never asked since");
}

#[test]
fn clouds_that_are_gone_are_forgotten() {
    let mut budgets = refused(Scope::Cloud);
    budgets.never_asked(&c8(), at(0), at(0));
    budgets.retain_clouds(|cloud| cloud != "cppm");
    assert_eq!(budgets, Budgets::default());
}

proptest! {
    /// Whatever happens, a budget is tried again in the end, is never above what it may be, and survives a restart.
    #[test]
    fn no_offer_is_closed_for_ever(
        events in prop::collection::vec((0_u8..7, 0_u64..400, 0_u64..30, 0_usize..4), 0..120),
    ) {
        let scopes = [Scope::Offer, Scope::Zone, Scope::Class, Scope::Cloud];
        let (mut budgets, mut second) = (Budgets::default(), 1_000);
        for (event, pause, before, scope) in events {
            second += pause;
            let ordered = second - before;
            match event {
                0 => { may(&mut budgets, &c8(), second); }
                1 => budgets.accepted(&c8(), Some(&class()), at(second)),
                2 => grant(&mut budgets, &c8(), ordered, second),
                3 | 4 => refuse(&mut budgets, &c8(), scopes[scope], ordered, second),
                5 => budgets.asked(&c8(), at(second)),
                _ => budgets.never_asked(&c8(), at(ordered), at(second)),
            }
            let text = serde_json::to_string(&budgets).unwrap();
            prop_assert_eq!(&serde_json::from_str::<Budgets>(&text).unwrap(), &budgets);
            let allowed = budgets.allowance(&c8(), Some(&class()), &Flight::default(), at(second)).most;
            prop_assert_eq!(allowed > 0, budgets.clone().may_order(&c8(), Some(&class()), at(second)), "plan and launch agree");
            prop_assert!(may(&mut budgets.clone(), &c8(), second + 6 * 3_600));
        }
    }

    /// Counted in the flight, no more are planned than are allowed at first.
    #[test]
    fn the_plan_never_takes_more_than_it_was_allowed(grants in 0_usize..8, asks in 0_usize..4, flying in 0_u64..20) {
        let mut budgets = Budgets::default();
        may(&mut budgets, &c8(), 0);
        (0..grants).for_each(|_| grant(&mut budgets, &c8(), 0, 1));
        (0..asks).for_each(|_| budgets.asked(&c8(), at(1)));
        let mut in_flight = flight(&[(Phase::Unanswered, flying)]);
        let first = most(&budgets, &c8(), &in_flight, 2);
        let mut planned = 0;
        while most(&budgets, &c8(), &in_flight, 2) > 0 {
            in_flight.add(&c8(), Some(&class()), Phase::Unanswered);
            planned += 1;
        }
        prop_assert_eq!(planned, first);
    }

    #[test]
    fn a_clock_that_is_set_back_closes_nothing(back in 100_u64..1_000_000) {
        let mut budgets = refused(Scope::Cloud);
        let now = Timestamp::from_second(1_700_000_000 - i64::try_from(back).unwrap()).unwrap();
        prop_assert!(budgets.may_order(&c8(), Some(&class()), now));
        prop_assert_eq!(seconds(at(0), now), 0);
    }
}

#[test]
fn what_is_refused_or_never_asks_is_as_it_was_after_a_restart() {
    let mut before = refused(Scope::Class);
    for n in 0..5 {
        before.never_asked(&c8(), at(0), at(n));
    }
    let mut after = Budgets::default();
    after.remember(before.refusals(), before.silent(), at(5));
    for second in [5, 9, 10, 299, 304, 305] {
        let now = at(second);
        let most = |budgets: &Budgets| {
            budgets.rooms(&Flight::default(), now).iter().map(|(reach, a)| (reach.clone(), a.most)).collect::<Vec<_>>()
        };
        // What was not shut begins anew with one order.
        assert_eq!(most(&after), most(&before).into_iter().filter(|(reach, _)| reach.is_wide()).collect::<Vec<_>>());
        assert_eq!(after.proof(&c8(), &Flight::default(), now).most, before.proof(&c8(), &Flight::default(), now).most);
    }
    // The next refusal makes the pause as long as it would have been.
    for budgets in [&mut before, &mut after] {
        assert!(may(budgets, &c8(), 305));
        refuse(budgets, &c8(), Scope::Class, 305, 306);
    }
    assert_eq!(before.refusals().collect::<Vec<_>>(), after.refusals().collect::<Vec<_>>());
}

#[test]
fn what_was_written_down_by_a_wrong_clock_or_a_person_shuts_nothing_for_long_and_what_was_learnt_since_stays() {
    let reach = Reach::Cloud("cppm".into());
    let old = |since, until| Closed { what: reach.clone(), since, until, in_a_row: u32::MAX, pauses: u32::MAX };
    let mut budgets = Budgets::default();
    budgets.remember([old(Timestamp::MAX, Timestamp::MAX)], [], at(0));
    assert_eq!(most(&budgets, &c8(), &Flight::default(), 3_599), 0);
    assert_eq!(most(&budgets, &c8(), &Flight::default(), 3_600), 1);
    let mut known = refused(Scope::Cloud);
    let is: Vec<_> = known.refusals().collect();
    known.remember([old(Timestamp::MIN, Timestamp::MIN)], [], at(1));
    assert_eq!(known.refusals().collect::<Vec<_>>(), is);
    assert!(may(&mut budgets, &c8(), 3_600));
    refuse(&mut budgets, &c8(), Scope::Cloud, 3_600, 3_601);
    assert!(budgets.refusals().all(|closed| seconds(at(3_601), closed.until) < 300), "no number overflows");
}

#[test]
fn an_order_names_a_place_beside_another_one_where_nothing_is_shut() {
    let mut budgets = Budgets::default();
    let also = |budgets: &mut Budgets| budgets.may_also_order(&c8(), Some(&class()), at(1_000));
    assert!(also(&mut budgets));
    assert_eq!(most(&budgets, &c8(), &Flight::default(), 0), 1, "it is no order there yet");
    budgets.accepted(&c8(), Some(&class()), at(1));
    assert_eq!(most(&budgets, &c8(), &Flight::default(), 1), 2, "and when it is bought there that counts");
    for scope in [Scope::Offer, Scope::Zone, Scope::Class, Scope::Cloud] {
        let mut budgets = refused(scope);
        assert!(!also(&mut budgets), "{scope:?}: also when its pause is over, since the one that tries is counted");
        assert_eq!(budgets, refused(scope));
    }
    let mut budgets = Budgets::default();
    (0..5).for_each(|n| budgets.never_asked(&c8(), at(n), at(n)));
    assert!(!also(&mut budgets));
}

#[test]
fn a_vm_that_may_be_bought_in_a_place_is_on_its_way_there() {
    let mut flight = flight(&[]);
    flight.may_be(c8());
    assert_eq!(most(&Budgets::default(), &c8(), &flight, 0), 0);
    assert_eq!(
        flight.of(&Reach::Cloud("cppm".into())),
        flight::Open::default(),
        "of the cloud it is one order, which is counted"
    );
    assert_eq!(flight.of_lot(&c8()), 1);
}
