//! Real jobs under leaders that are killed in the middle of launches, and under two operators that both lead.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use rand::{RngExt, SeedableRng, rngs::StdRng};
use testbeds::{
    host::{
        choice::{is_chosen, is_full},
        process::check_interrupted,
        until::until,
    },
    real::{Kind, Life, ROW_IS_OPEN, peak, twins},
    systems::operator::Operator,
};

use super::{
    one::PATIENCE,
    provider::Provider,
    world::{Track, World},
};

pub const TRACK: Track =
    Track { name: "leaders", vo: "enmr", provider: Provider::Nova("RegionOne"), most: 14, works: true };
const JOB: Kind = Kind { name: "a job", group: "enmr_user", jobs: 1, asks: "CPUTime = 3600;" };
const SEED: u64 = 20_261_125;
/// The Lease of a killed leader holds for 15 s; the rest is for a slow machine.
const TAKES_OVER: Duration = Duration::from_secs(60);
/// Seconds of a job that is submitted before each kill, and of a turn of one kill in the mean, at least.
const SHORT: u32 = 15;
const TURN: u32 = 25;
/// Where two lead: jobs of a turn, and how many VMs they may have at one time. Fewer than the jobs, and more than half of them: two
/// that each buy what is missing would pass it.
const JOBS: usize = 5;
const MOST: usize = 3;

pub async fn jobs_survive_leaders_that_are_killed_and_two_that_lead_at_once(world: &World) {
    let jobs = Jobs { world };
    if is_chosen("leaders", false) {
        jobs.leaders_are_killed(if is_full() { 20 } else { 5 }).await;
    }
    if is_chosen("both", false) {
        jobs.two_lead_at_once(if is_full() { 5 } else { 2 }).await;
    }
}

struct Jobs<'a> {
    world: &'a World,
}

impl Jobs<'_> {
    async fn leaders_are_killed(&self, kills: u32) {
        let mut random = StdRng::seed_from_u64(SEED);
        let mut leader = self.world.operator(&TRACK, None);
        self.takes_over(&mut leader).await;
        let mut standby = self.world.operator(&TRACK, None);
        standby.ready().await.unwrap();
        let long = kills * TURN + 60;
        let job = self.world.real.submit(&JOB, 1, long).unwrap()[0];
        let running = async || self.count_is("Running", 1);
        until("a long job runs", PATIENCE, running).await.unwrap();
        let worker = self.at_work().remove(0);

        for n in 1..=kills {
            assert!(!standby.leads().await, "one leads at a time");
            self.until_one_is_launched().await;
            let after = random.random_range(0..500);
            tokio::time::sleep(Duration::from_millis(after)).await;
            leader.process().kill();
            let left = self.world.pilotvms(&TRACK);
            let open = left.iter().filter(|vm| !vm["status"]["launchedAt"].is_string()).count();
            let next = self.world.operator(&TRACK, None);
            let took;
            (leader, standby, took) = self.one_takes_over(standby, next).await;
            standby.ready().await.unwrap();
            self.world.all_is_well();
            // Asked in this order: on a slow machine the job may end in this moment.
            let lives = self.lives(&worker);
            let status =
                self.world.real.dirac.sql(&format!("select Status from JobDB.Jobs where JobID = {job}")).unwrap();
            assert!(lives || status.trim() == "Done", "the VM with a job, which is {status}, is gone after kill {n}");
            eprintln!(
                "    kill {n:>2}: row + {after:>3} ms, {} PilotVMs, {open} not launched; the other leads after {:.1} s",
                left.len(),
                took.as_secs_f64()
            );
        }
        self.all_done_and_nothing_left().await;
        let ended = self.history().into_iter().find(|life| life.id == worker).unwrap();
        assert!(ended.ended.unwrap() - ended.began >= u64::from(long), "{:?}", (ended.began, ended.ended));
        self.world.secrets_are_kept(&[&leader, &standby]).await;
        // In order: the Lease is given back (`orders.rs`), and the other leads soon.
        leader.process().terminate(Duration::from_secs(30));
        let took = self.takes_over(&mut standby).await;
        eprintln!("    after SIGTERM the other leads after {:.1} s", took.as_secs_f64());
    }

    /// Against its own advice the option may be given to two operators.
    async fn two_lead_at_once(&self, turns: usize) {
        self.world.at_most(&TRACK, MOST);
        let before: BTreeSet<String> = self.history().into_iter().map(|life| life.id).collect();
        let mut both = [(); 2].map(|()| self.world.start_with(&TRACK, &["--leader-elect=false"], None));
        for operator in &mut both {
            self.takes_over(operator).await;
        }
        for _ in 0..turns {
            self.world.real.submit(&JOB, JOBS, 10).unwrap();
            self.all_done_and_nothing_left().await;
        }
        self.world.secrets_are_kept(&[&both[0], &both[1]]).await;
        let mut new = self.history();
        new.retain(|life| !before.contains(&life.id));
        eprintln!("    of {} servers, {} PilotVMs had more than one", new.len(), twins(&new).unwrap().len());
        let times: Vec<_> = new.iter().map(|life| (life.began, life.ended)).collect();
        let highest = peak(&new);
        assert!(highest <= MOST, "{highest} servers at one time, where {MOST} may be: {times:?}");
        let jobs = turns * JOBS;
        assert!(new.len() <= jobs, "{} servers for {jobs} jobs: {times:?}", new.len());
    }

    fn history(&self) -> Vec<Life> {
        let all = self.world.real.history().unwrap();
        all.into_iter().filter(|life| life.pool == TRACK.name).collect()
    }

    /// Ids of the servers that live and got a job.
    fn at_work(&self) -> Vec<String> {
        let alive = self.history().into_iter().filter(|life| life.ended.is_none());
        alive.filter(|life| self.world.real.got_a_job(&life.id)).map(|life| life.id).collect()
    }

    fn lives(&self, server: &str) -> bool {
        self.history().iter().any(|life| life.id == server && life.ended.is_none())
    }

    fn count_is(&self, status: &str, wanted: usize) -> Result<(), String> {
        match self.world.real.jobs(status).unwrap() {
            n if n == wanted => Ok(()),
            n => Err(format!("{n} {status}, where {wanted} are wanted")),
        }
    }

    fn rows(&self) -> usize {
        self.world.real.count(&self.rows_where("true")).unwrap()
    }

    fn rows_where(&self, holds: &str) -> String {
        format!("select count(*) from PilotAgentsDB.PilotAgents where VO = '{}' and {holds}", TRACK.vo)
    }

    /// Submits jobs until a row is registered. A pilot that is about to end may take a job for which a VM would have been made, and an
    /// attempt that a killed leader left in doubt is supply for some minutes.
    async fn until_one_is_launched(&self) {
        let rows = self.rows();
        for _ in 0..20 {
            self.world.real.submit(&JOB, 2, SHORT).unwrap();
            let begun = Instant::now();
            while begun.elapsed() < Duration::from_secs(20) {
                check_interrupted().unwrap();
                if self.rows() > rows {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
        panic!("nothing is launched, and {} jobs wait", self.world.real.jobs("Waiting").unwrap());
    }

    /// Waits until one of two leads: that one, the other, and the time that it took.
    async fn one_takes_over(&self, mut one: Operator, mut other: Operator) -> (Operator, Operator, Duration) {
        let begun = Instant::now();
        loop {
            check_interrupted().unwrap();
            match (one.leads().await, other.leads().await) {
                (true, true) => panic!("both lead"),
                (true, false) => return (one, other, begun.elapsed()),
                (false, true) => return (other, one, begun.elapsed()),
                (false, false) => {}
            }
            let (said, too) = (one.process().last_words(), other.process().last_words());
            assert!(begun.elapsed() < TAKES_OVER, "neither leads: {said}\n{too}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Waits until this operator leads; the time that it took.
    async fn takes_over(&self, operator: &mut Operator) -> Duration {
        let begun = Instant::now();
        while !operator.leads().await {
            check_interrupted().unwrap();
            assert!(begun.elapsed() < TAKES_OVER, "it does not lead: {}", operator.process().last_words());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        begun.elapsed()
    }

    async fn all_done_and_nothing_left(&self) {
        let jobs = self.world.real.count("select count(*) from JobDB.Jobs").unwrap();
        let done = async || {
            self.world.all_is_well();
            self.count_is("Done", jobs)
        };
        until(&format!("{jobs} jobs are Done"), PATIENCE, done).await.unwrap();
        until("nothing is left", PATIENCE, async || {
            let alive = self.history().iter().filter(|life| life.ended.is_none()).count();
            let open = self.rows_where(ROW_IS_OPEN);
            match (self.world.pilotvms(&TRACK).len(), alive, self.world.real.count(&open).unwrap()) {
                (0, 0, 0) => Ok(()),
                (vms, servers, rows) => Err(format!("{vms} PilotVMs, {servers} servers, {rows} open rows")),
            }
        })
        .await
        .unwrap();
        self.world.all_is_well();
    }
}
