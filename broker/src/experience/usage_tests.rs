use proptest::prelude::*;

use super::*;

fn at(second: u64) -> Timestamp {
    after(Timestamp::UNIX_EPOCH, 1_700_000_000 + second)
}
fn cores(cores: u64) -> Amounts {
    Amounts { cores, ram_mib: cores * 2_048, gpus: 0 }
}
fn held(vos: &[(&str, Amounts)]) -> BTreeMap<Arc<str>, Amounts> {
    vos.iter().map(|(vo, amounts)| ((*vo).into(), *amounts)).collect()
}
/// Rounds every ten seconds from `from` to `to`.
fn rounds(usage: &mut Usage, vos: &[(&str, Amounts)], from: u64, to: u64) {
    (from..=to).step_by(10).for_each(|second| usage.round(&held(vos), at(second)));
}
fn average(usage: &Usage, vo: &str) -> u64 {
    usage.average_thousandths(vo).cores
}

#[test]
fn who_holds_eight_cores_for_long_has_held_eight_on_average() {
    let mut usage = Usage::default();
    rounds(&mut usage, &[("biomed", cores(8))], 0, 12 * HALF_LIFE);
    assert!(average(&usage, "biomed").abs_diff(8_000) <= 8, "{}", average(&usage, "biomed"));
    assert!(usage.dominant_millionths("biomed", cores(80)).abs_diff(100_000) <= 200);
}

#[test]
fn after_one_half_life_what_was_used_counts_half() {
    let mut usage = Usage::default();
    rounds(&mut usage, &[("biomed", cores(8))], 0, 12 * HALF_LIFE);
    let before = average(&usage, "biomed");
    rounds(&mut usage, &[], 12 * HALF_LIFE, 13 * HALF_LIFE);
    assert!(average(&usage, "biomed").abs_diff(before / 2) < 20, "{}", average(&usage, "biomed"));
}

#[test]
fn the_dominant_resource_is_the_one_of_which_a_vo_has_the_greatest_part() {
    let mut usage = Usage::default();
    let gpu = Amounts { cores: 8, ram_mib: 16_384, gpus: 2 };
    rounds(&mut usage, &[("gpu", gpu)], 0, 20 * HALF_LIFE);
    let total = Amounts { cores: 800, ram_mib: 1_638_400, gpus: 4 };
    assert!(usage.dominant_millionths("gpu", total).abs_diff(500_000) < 1_000);
    let without = Amounts { gpus: 0, ..total };
    assert!(usage.dominant_millionths("gpu", without).abs_diff(10_000) < 100, "there are no GPUs: no part of them");
    assert_eq!(usage.dominant_millionths("nobody", total), 0);
}

#[test]
fn a_clock_that_jumps_ahead_costs_nobody_more_than_ten_minutes() {
    let (mut usage, mut steady) = (Usage::default(), Usage::default());
    for one in [&mut usage, &mut steady] {
        rounds(one, &[("biomed", cores(8))], 0, HALF_LIFE);
    }
    usage.round(&held(&[("biomed", cores(8))]), at(HALF_LIFE + 100 * 86_400));
    rounds(&mut steady, &[("biomed", cores(8))], HALF_LIFE, HALF_LIFE + LONGEST);
    assert!(average(&usage, "biomed").abs_diff(average(&steady, "biomed")) < 10);
}

#[test]
fn a_clock_that_goes_back_takes_nothing_from_anybody_and_time_goes_on_from_there() {
    let mut usage = Usage::default();
    rounds(&mut usage, &[("biomed", cores(8))], 0, HALF_LIFE);
    let before = average(&usage, "biomed");
    usage.round(&held(&[("biomed", cores(8))]), at(0));
    assert_eq!(average(&usage, "biomed"), before);
    usage.round(&held(&[("biomed", cores(8))]), at(60));
    assert!(average(&usage, "biomed") > before, "the next minute counts");
}

#[test]
fn rounds_that_follow_within_a_second_lose_no_time() {
    let (mut often, mut seldom) = (Usage::default(), Usage::default());
    let millis = |ms: i64| Timestamp::from_millisecond(1_700_000_000_000 + ms).unwrap();
    for n in 0..=600 {
        often.round(&held(&[("biomed", cores(8))]), millis(n * 100));
    }
    for n in 0..=6 {
        seldom.round(&held(&[("biomed", cores(8))]), millis(n * 10_000));
    }
    assert!(average(&often, "biomed").abs_diff(average(&seldom, "biomed")) <= 2);
}

#[test]
fn another_half_life_does_not_make_averages_jump() {
    let mut usage = Usage::default();
    rounds(&mut usage, &[("biomed", cores(8))], 0, 2 * HALF_LIFE);
    let before = average(&usage, "biomed");
    usage.set_half_life(7 * 86_400);
    assert!(average(&usage, "biomed").abs_diff(before) <= 1);
}

#[test]
fn a_vo_that_is_gone_is_forgotten_when_its_usage_has_faded() {
    let mut usage = Usage::new(60);
    rounds(&mut usage, &[("biomed", cores(8))], 0, 600);
    rounds(&mut usage, &[], 600, 600 + 60 * 60);
    assert_eq!(usage.vos().count(), 0);
}

proptest! {
    #[test]
    fn nobody_has_held_more_on_average_than_it_ever_held(
        steps in prop::collection::vec((0_u64..2_000, 0_u64..100_000), 1..100),
    ) {
        let (mut usage, mut second) = (Usage::default(), 0);
        let most = steps.iter().map(|(_, c)| *c).max().unwrap_or_default();
        for (passed, held_cores) in steps {
            second += passed;
            usage.round(&held(&[("biomed", cores(held_cores))]), at(second));
            prop_assert!(average(&usage, "biomed") <= most * 1_000 + 100);
        }
        let text = serde_json::to_string(&usage).unwrap();
        prop_assert_eq!(serde_json::from_str::<Usage>(&text).unwrap(), usage);
    }

    #[test]
    fn how_often_rounds_are_does_not_matter(step in 1_u64..300) {
        let (mut usage, mut fine) = (Usage::default(), Usage::default());
        let end = step * 12;
        (0..=end).step_by(usize::try_from(step).unwrap()).for_each(|s| usage.round(&held(&[("a", cores(8))]), at(s)));
        (0..=end).for_each(|s| fine.round(&held(&[("a", cores(8))]), at(s)));
        prop_assert!(average(&usage, "a").abs_diff(average(&fine, "a")) <= 5);
    }
}

#[test]
fn after_a_restart_it_goes_on_from_the_average_and_what_is_known_is_not_overwritten() {
    let mut usage = Usage::default();
    let biomed: Arc<str> = "biomed".into();
    usage.resume(&biomed, cores(8));
    assert_eq!(average(&usage, "biomed"), 8_000);
    usage.resume(&biomed, cores(80));
    assert_eq!(average(&usage, "biomed"), 8_000);
}
