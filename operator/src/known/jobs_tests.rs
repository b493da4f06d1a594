use broker::pilot::jobs::JobStatus::{Done, Failed, Killed, Matched, Running, Stalled, Unknown, Waiting};

use super::*;

fn at(second: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_secs(second)
}

fn row(reference: &str, jobs: Option<&[u64]>) -> PilotRow {
    PilotRow {
        reference: reference.into(),
        status: PilotStatus::Running,
        current_job: 0,
        idle_seconds: None,
        updated: None,
        jobs: jobs.map(<[u64]>::to_vec),
        running: None,
        power: None,
    }
}

/// A book, and a reading of one pilot's row and of the states of its jobs.
#[derive(Default)]
struct Bench(Book);

impl Bench {
    /// What is asked.
    fn reads(&mut self, second: i64, pilot: &str, jobs: &[u64], states: &[(u64, JobStatus)]) -> Vec<u64> {
        let asked = self.0.take(&[row(pilot, Some(jobs))], at(second));
        self.0.answer([pilot], &states.iter().copied().collect(), at(second));
        asked.into_iter().collect()
    }
    fn of(&self, pilot: &str) -> &PilotJobs {
        self.0.of(pilot).unwrap()
    }
    fn running(&self, pilot: &str) -> Option<u64> {
        self.of(pilot).count()
    }
}

#[test]
fn jobs_that_ended_are_not_asked_for_again() {
    let mut b = Bench::default();
    assert!(b.reads(0, "a", &[], &[]).is_empty());
    assert_eq!(b.reads(20, "a", &[1, 2], &[(1, Running), (2, Matched)]), [1, 2]);
    assert_eq!(b.running("a"), Some(2));
    assert_eq!(b.reads(40, "a", &[1, 2], &[(1, Done), (2, Running)]), [1, 2]);
    assert_eq!(b.reads(60, "a", &[1, 2, 3], &[(2, Running), (3, Running)]), [2, 3]);
    let known = b.of("a");
    assert_eq!((known.took, known.ended, known.left), (3, 1, 0));
    let since: Vec<_> = known.running.iter().map(|j| (j.job, j.since, j.status)).collect();
    assert_eq!(since, [(2, at(20), Running), (3, at(60), Running)]);
    b.reads(80, "a", &[1, 2, 3], &[(2, Killed), (3, Failed)]);
    assert_eq!((b.running("a"), b.of("a").ended, b.of("a").changed), (Some(0), 3, Some(at(80))));
    assert!(b.reads(100, "a", &[1, 2, 3], &[]).is_empty());
    assert_eq!(b.of("a").changed, Some(at(80)), "nothing happened since");
}

#[test]
fn a_job_of_which_nobody_says_anything_has_not_ended() {
    let mut b = Bench::default();
    b.reads(0, "a", &[1, 2], &[(1, Running)]);
    assert_eq!((b.running("a"), b.of("a").running.len()), (None, 1));
    assert_eq!(b.reads(20, "a", &[1, 2], &[(1, Done), (2, Unknown)]), [1, 2]);
    assert_eq!(b.running("a"), None, "a word that is new to us");
    assert_eq!(b.reads(40, "a", &[1, 2], &[(2, Stalled)]), [2]);
    assert_eq!(b.running("a"), Some(1), "its VM may be cut off, and it may go on");
    b.reads(60, "a", &[1, 2], &[]);
    assert_eq!(b.running("a"), None, "DIRAC does not know it any more");
}

#[test]
fn where_states_cannot_be_read_jobs_that_ran_are_taken_to_run_on_and_new_ones_are_unknown() {
    let mut b = Bench::default();
    b.reads(0, "a", &[1], &[(1, Running)]);
    b.0.take(&[row("a", Some(&[1]))], at(20));
    assert_eq!(b.running("a"), Some(1));
    b.0.take(&[row("a", Some(&[1, 2]))], at(40));
    assert_eq!(b.running("a"), None);
}

#[test]
fn how_long_jobs_ran_is_measured_where_both_ends_were_seen() {
    let mut b = Bench::default();
    b.reads(0, "a", &[9], &[(9, Running)]);
    b.reads(20, "a", &[9, 1, 2], &[(9, Running), (1, Running), (2, Failed)]);
    b.reads(140, "a", &[9, 1, 2], &[(9, Done), (1, Failed)]);
    b.reads(160, "a", &[9, 1, 2, 3], &[(3, Running)]);
    b.reads(240, "a", &[9, 1, 2, 3], &[(3, Running)]);
    b.reads(281, "a", &[9, 1, 2, 3], &[(3, Failed)]);
    let known = b.of("a");
    assert_eq!((known.ended, known.measured), (4, 3), "when job 9 began nobody saw");
    assert_eq!((&known.lately[..], known.seconds), (&[0, 120, 121][..], 241));
    assert_eq!((known.soon, known.failed_soon), (2, 2));
}

#[test]
fn a_job_that_ended_while_states_could_not_be_read_is_not_measured() {
    let mut b = Bench::default();
    b.reads(0, "a", &[], &[]);
    b.reads(20, "a", &[1], &[(1, Running)]);
    b.0.take(&[row("a", Some(&[1]))], at(80));
    b.reads(141, "a", &[1], &[(1, Done)]);
    assert_eq!((b.of("a").ended, b.of("a").measured), (1, 0));
}

#[test]
fn a_pilot_that_was_seen_waiting_had_no_job_and_its_first_one_is_measured() {
    let mut b = Bench::default();
    b.0.take(&[PilotRow { status: PilotStatus::Waiting, ..row("a", None) }], at(0));
    b.0.take(&[row("b", None)], at(0));
    for pilot in ["a", "b"] {
        b.reads(20, pilot, &[1], &[(1, Running)]);
        b.reads(40, pilot, &[1], &[(1, Done)]);
    }
    assert_eq!((b.of("a").measured, b.of("b").measured), (1, 0));
}

#[test]
fn a_job_that_is_rescheduled_leaves_its_pilot_for_the_one_that_takes_it_next() {
    let mut b = Bench::default();
    b.reads(0, "a", &[1, 2], &[(1, Running), (2, Running)]);
    b.reads(20, "a", &[1, 2], &[(1, Waiting), (2, Running)]);
    assert_eq!((b.running("a"), b.of("a").left), (Some(1), 1), "it waits, and is on no pilot");
    b.reads(40, "b", &[2], &[(2, Running)]);
    assert_eq!((b.running("a"), b.of("a").left, b.running("b")), (Some(0), 2, Some(1)));
    assert!(b.reads(60, "a", &[1, 2], &[]).is_empty());
}

#[test]
fn a_job_that_comes_back_to_the_same_pilot_runs_there_again() {
    let mut b = Bench::default();
    b.reads(0, "a", &[1], &[(1, Failed)]);
    assert_eq!(b.running("a"), Some(0));
    assert_eq!(b.reads(20, "a", &[1, 1], &[(1, Running)]), [1], "it failed, was rescheduled, and came back");
    assert_eq!((b.running("a"), b.of("a").took, b.of("a").ended), (Some(1), 2, 1));
    b.reads(40, "a", &[1, 1, 1], &[(1, Running)]);
    assert_eq!((b.running("a"), b.of("a").took, b.of("a").left), (Some(1), 3, 1));
}

#[test]
fn a_job_that_two_pilots_list_at_the_first_reading_counts_for_both_until_it_ends() {
    let mut b = Book::default();
    let rows = [row("a", Some(&[1])), row("b", Some(&[1]))];
    b.take(&rows, at(0));
    b.answer(["a", "b"], &BTreeMap::from([(1, Running)]), at(0));
    assert!(["a", "b"].iter().all(|pilot| b.of(pilot).unwrap().count() == Some(1)));
    assert_eq!(b.take(&rows, at(20)).len(), 1, "it is asked for once");
    b.answer(["a", "b"], &BTreeMap::from([(1, Done)]), at(20));
    assert!(["a", "b"].iter().all(|pilot| b.of(pilot).unwrap().count() == Some(0)));
}

#[test]
fn what_was_asked_before_a_job_came_back_says_nothing_of_it() {
    let mut b = Book::default();
    b.take(&[row("a", Some(&[1]))], at(0));
    b.take(&[row("a", Some(&[1, 1]))], at(20));
    b.answer(["a"], &BTreeMap::from([(1, Waiting)]), at(10));
    assert_eq!((b.of("a").unwrap().left, b.of("a").unwrap().count()), (1, None), "it was left once, when it came back");
    b.take(&[row("a", Some(&[1]))], at(5));
    assert_eq!(b.of("a").unwrap().took, 2, "an older reading that comes late takes nothing away");
}

#[test]
fn a_pilot_that_is_gone_is_forgotten_with_its_jobs() {
    let mut b = Bench::default();
    b.reads(0, "a", &[1], &[(1, Running)]);
    b.reads(0, "b", &[2], &[(2, Running)]);
    b.0.keep(&["b".into()]);
    assert!(b.0.of("a").is_none() && b.0.takers.len() == 1);
    assert_eq!(b.running("b"), Some(1));
}

#[test]
fn a_pilot_with_more_jobs_than_are_followed_runs_nobody_knows_what_and_takes_no_room() {
    let mut b = Bench::default();
    b.reads(0, "a", &[1], &[(1, Running)]);
    let many: Vec<u64> = (1..=MOST_JOBS as u64 + 1).collect();
    assert!(b.reads(20, "a", &many, &[]).is_empty());
    assert_eq!((b.running("a"), b.of("a").took), (None, MOST_JOBS as u64 + 1));
    assert!(b.0.takers.is_empty() && b.0.pilots["a"].listed.is_empty());
}

#[test]
fn the_run_times_that_are_kept_are_the_last_ones() {
    let mut b = Bench::default();
    b.reads(0, "a", &[], &[]);
    for n in 1..=40 {
        let jobs: Vec<u64> = (1..=n).collect();
        let second = 1_000 * n as i64;
        b.reads(second, "a", &jobs, &[(n, Running)]);
        b.reads(second + n as i64, "a", &jobs, &[(n, Done)]);
    }
    let known = b.of("a");
    assert_eq!((known.lately.len(), known.lately[0], known.lately[31]), (LATELY, 9, 40));
    assert_eq!((known.measured, known.seconds), (40, 820));
}
