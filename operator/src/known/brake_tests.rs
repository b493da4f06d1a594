use super::*;

fn ids(n: usize) -> BTreeSet<String> {
    (0..n).map(|i| format!("vm-{i}")).collect()
}

fn sight(doubtful: usize, all: usize, said: Option<&str>) -> Sight<'_> {
    Sight { doubtful: ids(doubtful), all, said }
}

/// A brake on losses that has seen this many in doubt, of this many in all.
fn losses(doubtful: usize, all: usize) -> (Brake, Instant) {
    let (mut brake, now) = (Brake::new(Limit::LOSSES), Instant::now());
    brake.see(sight(doubtful, all, None), now);
    (brake, now)
}

fn passing(brake: &mut Brake, n: usize, now: Instant) -> usize {
    ids(n).iter().filter(|id| brake.may_pass(id, now)).count()
}

#[test]
fn before_the_first_list_nothing_is_believed() {
    let mut brake = Brake::new(Limit::LOSSES);
    assert!(!brake.may_pass("vm-0", Instant::now()));
}

#[test]
fn a_few_vms_that_go_are_believed() {
    let (mut brake, now) = losses(3, 4);
    assert_eq!(passing(&mut brake, 3, now), 3);
    assert!(!brake.standing().is_frozen);
}

#[test]
fn a_tenth_of_a_large_cloud_is_believed_and_more_is_not() {
    let (mut brake, now) = losses(10, 100);
    assert_eq!(passing(&mut brake, 10, now), 10);
    let (mut brake, now) = losses(11, 100);
    assert_eq!(passing(&mut brake, 11, now), 0);
}

#[test]
fn when_all_vms_are_missing_at_once_not_one_is_believed_gone() {
    let (mut brake, now) = losses(20, 20);
    assert_eq!(passing(&mut brake, 20, now), 0);
    assert_eq!(brake.standing(), Standing { doubtful: 20, passed: 0, is_frozen: true, is_spent: false });
}

#[test]
fn vms_that_are_said_to_be_gone_between_two_lists_count_too() {
    let (mut brake, now) = losses(0, 20);
    assert_eq!(passing(&mut brake, 20, now), 3, "the rest waits");
    assert!(brake.standing().is_frozen);
}

#[test]
fn many_one_after_the_other_are_many_at_once() {
    let (mut brake, now) = losses(0, 20);
    let one = |n: usize| BTreeSet::from([format!("vm-{n}")]);
    let mut believed = 0;
    for n in 0..10 {
        let at = now + Duration::from_secs(10 * n as u64);
        brake.see(Sight { doubtful: one(n), all: 20, said: None }, at);
        believed += usize::from(brake.may_pass(&format!("vm-{n}"), at));
    }
    assert_eq!(believed, 3);
    let later = now + Duration::from_secs(100) + WINDOW;
    brake.see(Sight { doubtful: one(9), all: 20, said: None }, later);
    assert!(brake.may_pass("vm-9", later), "minutes later it is one alone");
}

#[test]
fn vms_that_are_back_release_the_brake() {
    let (mut brake, now) = losses(20, 20);
    brake.see(sight(2, 20, None), now + Duration::from_secs(5));
    assert_eq!(passing(&mut brake, 2, now + Duration::from_secs(5)), 2);
}

#[test]
fn time_alone_never_makes_a_mass_loss_believed() {
    let (mut brake, now) = losses(20, 20);
    for minute in 1..600 {
        let at = now + Duration::from_secs(60 * minute);
        brake.see(sight(20, 20, None), at);
        assert_eq!(passing(&mut brake, 20, at), 0);
    }
}

#[test]
fn the_number_that_a_person_names_lets_these_vms_pass() {
    let (mut brake, now) = losses(20, 20);
    brake.see(sight(20, 20, Some("20")), now);
    assert!(!brake.standing().is_frozen);
    assert_eq!(passing(&mut brake, 20, now), 20);
}

#[test]
fn a_number_that_is_too_small_or_no_number_lets_none_pass() {
    for said in ["19", "", "all", "-20"] {
        let (mut brake, now) = losses(20, 20);
        brake.see(sight(20, 20, Some(said)), now);
        assert_eq!(passing(&mut brake, 20, now), 0, "{said:?}");
    }
}

#[test]
fn what_was_acknowledged_are_these_vms_and_no_others() {
    let (mut brake, now) = losses(20, 40);
    brake.see(sight(20, 40, Some("20")), now);
    // The annotation stays, and twenty others go missing.
    let others: BTreeSet<String> = (20..40).map(|i| format!("vm-{i}")).collect();
    brake.see(Sight { doubtful: others.clone(), all: 40, said: Some("20") }, now);
    assert!(!others.iter().any(|id| brake.may_pass(id, now)));
    let standing = brake.standing();
    assert!(standing.is_frozen && standing.is_spent);
    // It is taken off and said again.
    brake.see(Sight { doubtful: others.clone(), all: 40, said: None }, now);
    brake.see(Sight { doubtful: others.clone(), all: 40, said: Some("20") }, now);
    assert!(others.iter().all(|id| brake.may_pass(id, now)));
}

#[test]
fn an_annotation_that_was_there_before_the_question_does_not_answer_it() {
    let (mut brake, now) = (Brake::new(Limit::LOSSES), Instant::now());
    brake.is_old(Some("20"));
    brake.see(sight(20, 20, Some("20")), now);
    assert_eq!(passing(&mut brake, 20, now), 0);
    // Also where it was written while nothing was asked.
    let mut brake = Brake::new(Limit::LOSSES);
    brake.see(sight(0, 20, Some("20")), now);
    brake.see(sight(20, 20, Some("20")), now);
    assert_eq!(passing(&mut brake, 20, now), 0);
}

#[test]
fn what_is_known_to_be_in_order_is_not_counted() {
    let (mut brake, now) = losses(0, 20);
    brake.acknowledge(ids(20));
    brake.see(sight(20, 20, None), now);
    assert_eq!(passing(&mut brake, 20, now), 20);
    brake.see(sight(0, 20, None), now + WINDOW);
    brake.see(sight(20, 20, None), now + WINDOW);
    assert_eq!(passing(&mut brake, 20, now + WINDOW), 0, "what was acknowledged is forgotten when it is back");
}

#[test]
fn ten_orphans_of_a_large_cloud_wait_for_a_person_and_three_do_not() {
    let (mut brake, now) = (Brake::new(Limit::ORPHANS), Instant::now());
    brake.see(sight(10, 1000, None), now);
    assert_eq!(passing(&mut brake, 10, now), 0);
    brake.see(sight(3, 1000, None), now);
    assert_eq!(passing(&mut brake, 3, now), 3);
}

#[test]
fn where_nothing_passes_without_a_word_one_is_too_many() {
    let (mut brake, now) = (Brake::new(Limit::NONE), Instant::now());
    brake.see(sight(1, 1000, None), now);
    assert_eq!(passing(&mut brake, 1, now), 0);
    brake.see(sight(1, 1000, Some("1")), now);
    assert_eq!(passing(&mut brake, 1, now), 1);
}
