use proptest::prelude::*;

use super::{super::lot::tests::lot, *};

const NOW: Timestamp = Timestamp::UNIX_EPOCH;

fn class() -> JobClass {
    JobClass { vo: "biomed".into(), profile: "1 core".into() }
}
fn c8() -> Lot {
    lot("c8", "el9")
}
fn with_jobs(seconds: &[u64]) -> Times {
    let mut times = Times::default();
    seconds.iter().for_each(|s| times.ran(&class(), *s, NOW));
    times
}

#[test]
fn what_was_not_measured_is_not_known_and_not_zero() {
    let mut times = with_jobs(&[60; 4]);
    assert_eq!((times.run_time(&class()), times.rest(&class(), 0)), (None, None));
    times.ran(&class(), 60, NOW);
    assert_eq!(times.run_time(&class()).map(|m| m.median), Some(60));
    assert_eq!((times.boot(&c8()), times.fill_milliseconds(&c8()), times.power(&c8())), (None, None, None));
    assert_eq!(times.success(&c8()), None);
}

#[test]
fn one_hung_job_does_not_move_the_middle() {
    let times = with_jobs(&[60, 61, 59, 60, 600_000]);
    let measured = times.run_time(&class()).unwrap();
    assert_eq!((measured.median, measured.ninetieth), (60, 600_000));
}

#[test]
fn a_job_that_outlives_the_short_ones_is_expected_to_run_as_long_as_the_long_ones() {
    let times = with_jobs(&[60, 60, 60, 60, 3_600, 3_600, 3_600]);
    assert_eq!(times.rest(&class(), 0), Some(60));
    assert_eq!(times.rest(&class(), 100), Some(3_500));
    assert_eq!(times.rest(&class(), 4_000), None, "it runs longer than any that was measured");
}

#[test]
fn boot_and_fill_are_told_by_lot() {
    let mut times = Times::default();
    for n in 0..3 {
        times.booted(&c8(), 100 + n, NOW);
        times.filled(&c8(), 7, 84, NOW);
    }
    times.filled(&c8(), 0, 60, NOW);
    assert_eq!(times.boot(&c8()).map(|m| (m.median, m.ninetieth)), Some((101, 102)));
    assert_eq!(times.fill_milliseconds(&c8()), Some(12_000));
    assert_eq!(times.boot(&lot("c16", "el9")), None);
}

#[test]
fn the_power_is_that_of_most_vms_and_zero_is_no_report() {
    let mut times = Times::default();
    [0, 10_000, 10_100, 0, 2_000].iter().for_each(|power| times.measured_power(&c8(), *power, NOW));
    assert_eq!(times.power(&c8()), Some(10_000));
}

#[test]
fn a_lot_is_what_its_vms_were_once_three_have_shown_it() {
    let mut times = Times::default();
    let mut after = |outcomes: &[bool]| {
        outcomes.iter().for_each(|worked| times.outcome(&c8(), *worked, NOW));
        times.success(&c8())
    };
    assert_eq!(after(&[true, false]), None);
    assert_eq!(after(&[true]), Some(85), "one bad VM is not the rule");
    assert!(after(&[false; 200]).is_some_and(|success| success < 10));
    assert!(after(&[true, false].repeat(100)).is_some_and(|half| (48..60).contains(&half)));
    assert_eq!(after(&[true; 300]), Some(100));
}

proptest! {
    #[test]
    fn a_success_is_a_part_of_a_hundred_and_survives_a_restart(outcomes in prop::collection::vec(any::<bool>(), 0..300)) {
        let mut times = Times::default();
        outcomes.iter().for_each(|worked| times.outcome(&c8(), *worked, NOW));
        prop_assert!(times.success(&c8()).is_none_or(|success| success <= 100));
        let text = serde_json::to_string(&times).unwrap();
        prop_assert_eq!(serde_json::from_str::<Times>(&text).unwrap(), times);
    }

    #[test]
    fn a_rest_and_what_ran_is_a_run_time_that_was_measured(runs in prop::collection::vec(1_u64..100_000, 5..32), running in 0_u64..100_000) {
        let times = with_jobs(&runs);
        if let Some(rest) = times.rest(&class(), running) {
            prop_assert!(rest > 0 && runs.contains(&(rest + running)));
        }
    }
}
