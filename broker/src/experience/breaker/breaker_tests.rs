use proptest::prelude::*;

use super::{super::lot::tests::lot, *};

fn at(second: u64) -> Timestamp {
    after(Timestamp::UNIX_EPOCH, 1_700_000_000 + second)
}
fn circuit(profile: &str) -> Circuit {
    Circuit { pool: "cpu".into(), lot: lot("c8", "el9"), vo: "biomed".into(), profile: profile.into() }
}
/// Opened by three VMs that were ordered at 0 and came to nothing at `second`.
fn opened(outcome: Outcome, second: u64) -> Breakers {
    let mut breakers = Breakers::default();
    (0..3).for_each(|_| breakers.failed(&circuit("a"), outcome, at(0), at(second)));
    breakers
}

#[test]
fn before_its_first_job_a_circuit_has_a_handful_of_vms_and_then_any_number() {
    let mut breakers = Breakers::default();
    assert_eq!(breakers.permitted(&circuit("a"), 3, at(0)).most, Some(5));
    breakers.matched(&circuit("a"), at(10));
    assert_eq!(breakers.permitted(&circuit("a"), 3, at(10)).most, None);
    assert_eq!(breakers.permitted(&circuit("b"), 9, at(10)).most, Some(0), "of other jobs nothing is known");
    assert_eq!(
        breakers.permitted(&circuit("a"), 0, at(10 + PROVEN_FOR)).most,
        Some(8),
        "it may have changed meanwhile"
    );
}

#[test]
fn three_in_a_row_open_it_and_it_says_what_opened_it_and_since_when() {
    let breakers = opened(Outcome::NeverMatched, 1_000);
    let (_, said) = breakers.opened().next().unwrap();
    assert_eq!((said.by, said.since, said.until), (Outcome::NeverMatched, at(1_000), at(1_000 + FIRST)));
    let message = said.message(&circuit("a"));
    assert!(message.contains("the last 3 VMs of pool cpu") && message.contains("site mask"), "{message}");
    assert_eq!(breakers.permitted(&circuit("a"), 0, at(1_000)).most, Some(0));
}

#[test]
fn two_bad_vms_with_a_good_one_between_open_nothing() {
    let mut breakers = Breakers::default();
    for n in 0..20 {
        breakers.failed(&circuit("a"), Outcome::JobsDied, at(n), at(n));
        breakers.failed(&circuit("a"), Outcome::JobsDied, at(n), at(n));
        breakers.lived(&circuit("a"), at(n));
    }
    assert_eq!(breakers.opened().count(), 0);
}

#[test]
fn after_the_pause_one_vm_tries_and_the_next_pause_is_twice_as_long() {
    let mut breakers = opened(Outcome::NeverAsked, 1_000);
    let next = 1_000 + FIRST;
    assert_eq!(breakers.permitted(&circuit("a"), 0, at(next)).most, Some(1));
    assert_eq!(breakers.permitted(&circuit("a"), 1, at(next)).most, Some(0), "it is on its way");
    breakers.failed(&circuit("a"), Outcome::NeverMatched, at(next), at(next + 900));
    let (_, said) = breakers.opened().next().unwrap();
    assert_eq!((said.by, said.since, said.in_a_row), (Outcome::NeverMatched, at(1_000), 4));
    assert_eq!(said.until, at(next + 900 + 2 * FIRST));
}

#[test]
fn vms_that_were_ordered_before_it_opened_do_not_make_the_pause_longer() {
    let mut breakers = opened(Outcome::NeverMatched, 1_000);
    (0..50).for_each(|_| breakers.failed(&circuit("a"), Outcome::NeverMatched, at(999), at(1_010)));
    assert_eq!(breakers.opened().next().unwrap().1.until, at(1_000 + FIRST));
}

#[test]
fn a_match_closes_nothing_and_the_first_job_that_lives_closes_it() {
    let mut breakers = opened(Outcome::JobsDied, 1_000);
    breakers.matched(&circuit("a"), at(2_000));
    assert_eq!(breakers.opened().count(), 1);
    breakers.lived(&circuit("a"), at(2_120));
    assert_eq!(breakers.opened().count(), 0);
    assert_eq!(breakers.permitted(&circuit("a"), 70, at(2_120)).most, None);
}

#[test]
fn who_mended_something_need_not_wait() {
    let mut breakers = opened(Outcome::NeverMatched, 1_000);
    breakers.try_again(|circuit| &*circuit.vo == "another", at(1_001));
    assert_eq!(breakers.permitted(&circuit("a"), 0, at(1_001)).most, Some(0));
    breakers.try_again(|circuit| &*circuit.vo == "biomed", at(1_001));
    assert_eq!(breakers.permitted(&circuit("a"), 0, at(1_001)).most, Some(1));
}

/// A hundred jobs wait that no pilot ever gets. VMs boot for `boot` seconds and stop after ten idle minutes. Returns the VMs of each day.
fn never_matching(boot: u64, days: u64) -> Vec<u64> {
    const IDLE: u64 = 600;
    let (mut breakers, mut vms, mut made) = (Breakers::default(), Vec::new(), vec![0; usize::try_from(days).unwrap()]);
    for second in (0..days * 86_400).step_by(10) {
        let now = at(second);
        vms.retain(|ordered: &u64| {
            let is_over = second >= ordered + boot + IDLE;
            if is_over {
                breakers.failed(&circuit("a"), Outcome::NeverMatched, at(*ordered), now);
            }
            !is_over
        });
        let wanted = 100_u64.saturating_sub(vms.len() as u64);
        let most = breakers.permitted(&circuit("a"), vms.len() as u64, now).most.unwrap_or(u64::MAX);
        for _ in 0..wanted.min(most) {
            vms.push(second);
            made[usize::try_from(second / 86_400).unwrap()] += 1;
        }
        // The operator is restarted every hour.
        if second % 3_600 == 0 {
            breakers = serde_json::from_str(&serde_json::to_string(&breakers).unwrap()).unwrap();
        }
    }
    made
}

#[test]
fn jobs_that_no_pilot_ever_gets_cost_at_most_24_vms_a_day() {
    for boot in [1, 30, 180, 900] {
        let made = never_matching(boot, 3);
        assert!(made.iter().all(|vms| *vms <= 24), "{made:?}");
        assert!(made.iter().all(|vms| *vms >= 5), "it is still tried: {made:?}");
    }
}

proptest! {
    #[test]
    fn an_open_breaker_never_lets_more_than_one_vm_through(
        events in prop::collection::vec((0_u8..4, 0_u64..2_000, 0_usize..3), 0..200),
        unjudged in 0_u64..5,
    ) {
        let (mut breakers, mut second) = (Breakers::default(), 0);
        for (event, pause, outcome) in events {
            second += pause;
            match event {
                0 => breakers.matched(&circuit("a"), at(second)),
                1 if outcome == 0 => breakers.lived(&circuit("a"), at(second)),
                _ => breakers.failed(&circuit("a"), Outcome::ALL[outcome], at(second.saturating_sub(pause)), at(second)),
            }
            let permitted = breakers.permitted(&circuit("a"), unjudged, at(second));
            if permitted.opened.is_some() {
                prop_assert!(permitted.most.unwrap() + unjudged <= 1.max(unjudged));
                let later = breakers.permitted(&circuit("a"), 0, at(second + LONGEST));
                prop_assert_eq!(later.most, Some(1), "it is tried again in the end");
            }
            let text = serde_json::to_string(&breakers).unwrap();
            prop_assert_eq!(&serde_json::from_str::<Breakers>(&text).unwrap(), &breakers);
        }
    }
}

#[test]
fn what_is_open_is_as_open_after_a_restart() {
    let mut before = opened(Outcome::NeverMatched, 1_000);
    before.failed(&circuit("a"), Outcome::JobsDied, at(1_600), at(2_000));
    let mut after = Breakers::default();
    after.remember(before.closed("cpu"), at(2_001));
    for second in [2_001, 2_000 + 2 * FIRST - 1, 2_000 + 2 * FIRST] {
        let permitted = |breakers: &Breakers| breakers.permitted(&circuit("a"), 0, at(second)).most;
        assert_eq!(permitted(&after), permitted(&before), "{second}");
    }
    for breakers in [&mut before, &mut after] {
        breakers.failed(&circuit("a"), Outcome::NeverMatched, at(4_000), at(5_000));
    }
    assert!(before.closed("cpu").eq(after.closed("cpu")));
    after.remember(
        [Closed {
            what: (circuit("b"), Outcome::NeverAsked),
            since: Timestamp::MAX,
            until: Timestamp::MAX,
            in_a_row: 9,
            pauses: u32::MAX,
        }],
        at(0),
    );
    assert_eq!(
        after.permitted(&circuit("b"), 0, at(LONGEST)).most,
        Some(1),
        "a hand that wrote it shuts nothing for long"
    );
}
