//! Task queues against `WorkloadManagementSystem/DB/TaskQueueDB.py`.

use super::*;

fn of(owner: &str, group: &str, cores: u32) -> Definition {
    Definition {
        owner: owner.to_owned(),
        owner_group: group.to_owned(),
        cpu_time: 3_600,
        tags: Definition::tags_of_processors(cores, false),
        ..Definition::default()
    }
}

fn priorities(queues: &TaskQueues) -> Vec<f64> {
    queues.all().map(|queue| queue.priority).collect()
}

#[test]
fn jobs_of_one_definition_share_a_queue_up_to_five_thousand_as_in_insert_job() {
    let mut queues = TaskQueues::new(BTreeMap::new());
    let plain = queues.define(of("a", "g", 1));
    for job in 0..5_001 {
        queues.insert(job, plain, 1);
    }
    assert_eq!(queues.all().map(Queue::len).collect::<Vec<_>>(), [5_000, 1]);
}

#[test]
fn a_group_s_share_is_divided_among_owners_and_then_among_queues_as_in_recalculate_tq_shares() {
    let mut queues = TaskQueues::new([("rich".to_owned(), 3_000.0)].into());
    for (job, (owner, group, cores)) in (0..).zip([("a", "g", 1), ("a", "g", 2), ("b", "g", 1), ("c", "rich", 1)]) {
        let definition = queues.define(of(owner, group, cores));
        queues.insert(job, definition, 1);
    }
    assert_eq!(priorities(&queues), [250.0, 250.0, 500.0, 3_000.0]);
}

#[test]
fn queues_that_differ_only_in_sites_get_the_sum_of_their_priorities_as_in_calculate_priority() {
    let mut queues = TaskQueues::new(BTreeMap::new());
    for (job, site) in (0..).zip(["A", "B", ""]) {
        let definition = queues.define(Definition { sites: vec![site.to_owned()], ..of("a", "g", 1) });
        queues.insert(job, definition, 1);
    }
    let other = queues.define(of("a", "g", 4));
    queues.insert(9, other, 1);
    assert_eq!(priorities(&queues), [750.0, 750.0, 750.0, 250.0]);
}

#[test]
fn an_empty_queue_goes_and_its_share_with_it_as_in_delete_task_queue_if_empty() {
    let mut queues = TaskQueues::new(BTreeMap::new());
    let (one, two) = (queues.define(of("a", "g", 1)), queues.define(of("a", "g", 2)));
    queues.insert(1, one, 1);
    queues.insert(2, two, 1);
    let mut dice = Dice::new(1, "x");
    let (job, empty) = queues.choose(&mut dice, |n, _| n == one).unwrap();
    assert_eq!((job, empty), (1, Some(1)));
    assert_eq!(queues.choose(&mut dice, |n, _| n == one), None);
    queues.remove_if_empty(1);
    queues.remove_if_empty(2);
    assert_eq!(priorities(&queues), [1_000.0], "and one that is not empty stays");
}

#[test]
fn queues_are_chosen_by_rand_over_priority() {
    // Of two queues with the priorities 1000 and 3000, RAND()/1000 is the smaller one in 1/6 of all cases, and not in 1/4.
    let mut queues = TaskQueues::new([("rich".to_owned(), 3_000.0)].into());
    let (poor, rich) = (queues.define(of("a", "g", 1)), queues.define(of("b", "rich", 1)));
    for job in 0..4_000 {
        queues.insert(job, if job % 2 == 0 { poor } else { rich }, 1);
    }
    let mut dice = Dice::new(5, "x");
    let taken = (0..1_200).filter(|_| queues.choose(&mut dice, |_, _| true).unwrap().0.is_multiple_of(2)).count();
    assert!((160..240).contains(&taken), "{taken} of 1,200, expected 200");
}

#[test]
fn of_one_queue_one_of_the_fifty_oldest_jobs_is_taken() {
    let mut queues = TaskQueues::new(BTreeMap::new());
    let plain = queues.define(of("a", "g", 1));
    for job in 0..1_000 {
        queues.insert(job, plain, 1);
    }
    let mut dice = Dice::new(2, "x");
    let taken: Vec<JobId> = (0..100).map(|_| queues.choose(&mut dice, |_, _| true).unwrap().0).collect();
    assert!(taken.iter().zip(0..).all(|(job, n)| *job < 50 + n), "{taken:?}");
    assert!(taken.windows(2).any(|pair| pair[0] > pair[1]), "and not the oldest alone");
}

#[test]
fn jobs_of_a_higher_priority_mostly_come_first() {
    let mut queues = TaskQueues::new(BTreeMap::new());
    let plain = queues.define(of("a", "g", 1));
    for job in 0..100 {
        queues.insert(job, plain, if job < 50 { 10 } else { 1 });
    }
    let mut dice = Dice::new(2, "x");
    assert!((0..50).all(|_| queues.choose(&mut dice, |_, _| true).unwrap().0 < 50), "10 counts as a million");
}

#[test]
fn a_job_that_comes_back_stands_where_its_number_says() {
    let mut queues = TaskQueues::new(BTreeMap::new());
    let plain = queues.define(of("a", "g", 1));
    for job in [1, 2, 3, 0] {
        queues.insert(job, plain, 1);
    }
    let queue = queues.all().next().unwrap();
    assert_eq!(queue.jobs[&1], [0, 1, 2, 3]);
}
