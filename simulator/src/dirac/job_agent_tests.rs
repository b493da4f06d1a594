//! The JobAgent against `WorkloadManagementSystem/Agent/JobAgent.py`, and against runs of the real one.

use super::*;

fn shipped() -> Settings {
    Settings {
        polling_time: 20 * SECOND,
        submission_delay: 10 * SECOND,
        stop_after_failed_matches: 10,
        minimum_time_left: 5_000.0,
        stop_margin: 300 * SECOND,
        stop_after_host_failures: 3,
        max_cycles: 5_000,
        match_time: 0,
        passes_memory: false,
    }
}

fn agent(processors: u32, cpu_time_left: u64, set: &Settings) -> JobAgent {
    JobAgent::new(0, processors, PoolCe::new(processors, 0), 10.0, cpu_time_left, set)
}

/// When an agent that finds nothing stops, in seconds.
fn idle_exit(processors: u32, set: &Settings) -> u64 {
    let mut agent = agent(processors, 10_000_000, set);
    let mut now = 0;
    loop {
        assert!(matches!(agent.begin(now, set), Step::Ask(_)));
        match agent.not_matched(set) {
            Step::Next(at) => now = at,
            _ => return now / SECOND,
        }
    }
}

#[test]
fn an_idle_agent_backs_off_and_stops_as_in_execute() {
    // Sleeps of 80, 120, ... 440 s, each a second before the next cycle: 43 minutes with ten cores or fewer, and 6.2 hours with 32.
    assert_eq!(idle_exit(4, &shipped()), (2..=11).map(|k| 40 * k + 1).sum::<u64>());
    assert_eq!(idle_exit(4, &shipped()) / 60, 43);
    assert_eq!(idle_exit(32, &shipped()) / 360, 62, "the pilot raises StopAfterFailedMatches to the processors");
}

#[test]
fn the_idle_exit_is_as_long_as_it_was_with_a_real_agent() {
    // Measured: StopAfterFailedMatches 2 and PollingTime 5: the third refusal 52 s after the first.
    let set = Settings { polling_time: 5 * SECOND, stop_after_failed_matches: 2, ..shipped() };
    assert_eq!(idle_exit(1, &set), 52);
    // Measured: StopAfterFailedMatches 3 and PollingTime 5: 98 s after the last job, a request and its answer included.
    let set = Settings { stop_after_failed_matches: 3, ..set };
    assert_eq!(idle_exit(1, &set), 93);
}

#[test]
fn one_job_is_taken_each_cycle() {
    let (set, one) = (shipped(), Need { processors: 1, ..Need::default() });
    let next = |set: &Settings| {
        let mut agent = agent(8, 1_000_000, set);
        agent.begin(0, set);
        agent.matched(one, set).1
    };
    assert_eq!(next(&set), Step::Next(20 * SECOND), "PollingTime is longer than SubmissionDelay");
    let short = Settings { polling_time: 5 * SECOND, ..set };
    assert_eq!(
        next(&short),
        Step::Next(11 * SECOND),
        "a second after the end of a cycle that takes longer than PollingTime"
    );
    let quick = Settings { submission_delay: 0, ..short };
    assert_eq!(next(&quick), Step::Next(5 * SECOND));
}

#[test]
fn a_match_begins_the_count_of_failures_anew() {
    let set = shipped();
    let mut agent = agent(2, 10_000_000, &set);
    agent.begin(0, &set);
    assert_eq!(agent.not_matched(&set), Step::Next(81 * SECOND));
    agent.begin(81 * SECOND, &set);
    agent.matched(Need { processors: 1, ..Need::default() }, &set);
    agent.begin(101 * SECOND, &set);
    assert_eq!(agent.not_matched(&set), Step::Next(182 * SECOND));
}

#[test]
fn time_left_is_wall_time_times_power_less_the_margin_as_in_compute_cpu_work_left() {
    let set = shipped();
    let mut agent = agent(1, 86_400, &set);
    let Step::Ask(ask) = agent.begin(60 * SECOND, &set) else { panic!() };
    assert_eq!(ask.cpu_time, 86_400 - 3_000 - 600);
    let late = 8_000 * SECOND;
    assert!(
        matches!(agent.begin(late, &set), Step::Ask(_)),
        "before its first job an agent asks however little is left"
    );
    agent.matched(Need { processors: 1, ..Need::default() }, &set);
    agent.pool.finish(Task { processors: 1, ram: 0 });
    assert_eq!(
        agent.begin(late, &set),
        Step::Stop("No more time left"),
        "3,400 are left, and MinimumTimeLeft is 5,000"
    );
}

#[test]
fn a_full_agent_wakes_at_its_next_cycle_after_a_job_ended() {
    let set = shipped();
    let mut agent = agent(1, 1_000_000, &set);
    agent.begin(0, &set);
    agent.matched(Need { processors: 1, ..Need::default() }, &set);
    assert_eq!(agent.begin(20 * SECOND, &set), Step::Full);
    agent.pool.finish(Task { processors: 1, ram: 0 });
    assert_eq!(agent.wake(65 * SECOND, &set), 80 * SECOND);
}

#[test]
fn cycles_are_counted_also_the_empty_ones() {
    let set = Settings { max_cycles: 10, ..shipped() };
    let mut agent = agent(1, 100_000_000, &set);
    agent.begin(0, &set);
    agent.wake(400 * SECOND, &set);
    assert_eq!(agent.begin(420 * SECOND, &set), Step::Stop("MaxCycles"));
}

#[test]
fn an_agent_whose_pool_refuses_jobs_stops_after_host_failures() {
    let set = shipped();
    let mut agent = agent(2, 1_000_000, &set);
    let whole = Need { processors: 1, multi: true, whole_node: true, ram: 0 };
    agent.pool.submit(Need { processors: 1, ..Need::default() });
    for _ in 0..3 {
        assert!(matches!(agent.matched(whole, &set), (None, Step::Next(_))));
    }
    assert!(matches!(agent.matched(whole, &set), (None, Step::Stop(_))));
}

#[test]
fn finalize_sleeps_once_when_there_were_jobs() {
    let set = shipped();
    let mut agent = agent(2, 1_000_000, &set);
    assert_eq!(agent.finalize_time(&set), 0);
    agent.matched(Need { processors: 1, ..Need::default() }, &set);
    assert_eq!(agent.finalize_time(&set), 20 * SECOND);
}
