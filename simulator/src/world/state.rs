//! The world's state, and what happens to jobs and VMs in it.

use std::collections::BTreeMap;

use super::{Books, Event, Job, JobState, MatchMaker, PilotManners, Vm, VmId};
use crate::{
    cloud::Provider,
    dice::Dice,
    dirac::{Definition, JobId, Settings, Task, TaskQueues},
    heap::Heap,
    scenario::Loaded,
    time::{Ms, SECOND, ms},
};

/// A rescheduled job passes the optimizers before it waits again.
const OPTIMIZERS: Ms = 5 * SECOND;
/// `__deleteTQWithDelay`.
const EMPTY_QUEUE_STAYS: Ms = 300 * SECOND;
/// How long a job that dies early lives.
const EARLY_DEATH: Ms = 30 * SECOND;

/// Everything that exists in a run: jobs, queues, pilots, VMs and clouds.
pub struct World<'a> {
    /// The scenario that is run.
    pub loaded: &'a Loaded,
    /// What will happen, by its time.
    pub heap: Heap<Event>,
    /// DIRAC's task queues.
    pub queues: TaskQueues,
    /// All jobs that ever arrived, by number.
    pub jobs: Vec<Job>,
    /// All VMs that were ever ordered, by number.
    pub vms: Vec<Vm>,
    /// Those that are not gone, or not for long.
    pub live: Vec<VmId>,
    /// The providers' side: capacity, quotas and faults.
    pub provider: Provider<'a>,
    /// The counts for the report.
    pub books: Books<'a>,
    /// How pilots are set.
    pub settings: Settings,
    /// How the policy's VMs treat them.
    pub manners: PilotManners,
    pub(super) maker: MatchMaker,
    pub(super) match_dice: Dice,
    pub(super) pilot_dice: Dice,
    streams: Vec<(Dice, usize)>,
    /// When each cloud may get the next request.
    pub(super) next_call: Vec<Ms>,
    /// How many calls of each kind the clouds got.
    pub calls: BTreeMap<&'static str, u64>,
}

impl<'a> World<'a> {
    /// The world at the beginning: all that is known to come is set.
    pub fn new(loaded: &'a Loaded, seed: u64, manners: PilotManners) -> Self {
        let (words, model) = (&loaded.words, &loaded.model);
        let dirac = &words.dirac;
        let mut queues = TaskQueues::new(dirac.job_shares.clone());
        let streams: Vec<(Dice, usize)> = words
            .arrivals
            .iter()
            .enumerate()
            .map(|(i, a)| {
                let mut tags = Definition::tags_of_processors(a.cores, a.whole_node);
                tags.extend(a.tags.iter().cloned());
                let definition = Definition {
                    owner: a.owner.clone(),
                    owner_group: a.group.clone(),
                    cpu_time: a.cpu_time.as_secs(),
                    sites: a.sites.clone(),
                    banned_sites: a.banned_sites.clone(),
                    platforms: a.platforms.clone(),
                    job_types: vec![a.job_type.clone()],
                    tags,
                    min_ram: a.min_ram_mb,
                    ..Definition::default()
                };
                (Dice::new(seed, &format!("arrivals {i}")), queues.define(definition))
            })
            .collect();
        let mut world = Self {
            loaded,
            heap: Heap::default(),
            queues,
            jobs: Vec::new(),
            vms: Vec::new(),
            live: Vec::new(),
            provider: Provider::new(model, seed),
            books: Books::new(model, streams.len()),
            settings: Settings {
                // `LaunchAgent`: `-o PollingTime=min(20, pollingTime)` for a Pool.
                polling_time: ms(dirac.polling_time).min(20 * SECOND),
                submission_delay: ms(dirac.submission_delay),
                stop_after_failed_matches: dirac.stop_after_failed_matches,
                minimum_time_left: dirac.minimum_time_left as f64,
                stop_margin: ms(dirac.stop_margin),
                stop_after_host_failures: dirac.stop_after_host_failures,
                max_cycles: dirac.max_cycles,
                match_time: ms(dirac.match_time),
                passes_memory: dirac.passes_memory,
            },
            manners,
            maker: MatchMaker::default(),
            match_dice: Dice::new(seed, "matcher"),
            pilot_dice: Dice::new(seed, "pilots"),
            streams,
            next_call: vec![0; model.clouds.len()],
            calls: BTreeMap::new(),
        };
        world.set_what_is_known();
        world
    }

    fn set_what_is_known(&mut self) {
        let loaded = self.loaded;
        for (i, arrivals) in loaded.words.arrivals.iter().enumerate() {
            match arrivals.per_hour {
                None => self.heap.set(ms(arrivals.at), Event::Arrive(i)),
                Some(_) => self.set_next_arrival(i, ms(arrivals.from)),
            }
        }
        for (cloud, of) in loaded.model.clouds.iter().enumerate() {
            for (i, storm) in of.behaviour.spot_storms.iter().enumerate() {
                self.heap.set(ms(storm.at), Event::Storm(cloud, i));
            }
        }
        for (i, closed) in loaded.model.closed.iter().enumerate() {
            self.heap.set(closed.from, Event::Closes(i));
        }
    }

    fn set_next_arrival(&mut self, stream: usize, from: Ms) {
        let arrivals = &self.loaded.words.arrivals[stream];
        let Some(wait) = arrivals.per_hour.and_then(|n| self.streams[stream].0.until_next(n)) else { return };
        let at = from.saturating_add(wait);
        if arrivals.until.is_none_or(|until| at < ms(until)) {
            self.heap.set(at, Event::Arrive(stream));
        }
    }

    /// The next jobs of a stream arrive.
    pub fn arrive(&mut self, stream: usize) {
        let (now, loaded) = (self.heap.now(), self.loaded);
        let arrivals = &loaded.words.arrivals[stream];
        for _ in 0..arrivals.jobs.unwrap_or(1) {
            let (dice, definition) = &mut self.streams[stream];
            let (runs, dies) = (dice.draw(&arrivals.run_time), dice.chance(arrivals.dies_early));
            let job = self.jobs.len() as JobId;
            self.jobs.push(Job {
                stream: stream as u32,
                definition: *definition as u32,
                submitted: now,
                runs: if dies { runs.min(EARLY_DEATH) } else { runs },
                ends_well: !dies,
                state: JobState::Waiting,
                attempt: 0,
                vm: 0,
                began: 0,
                task: Task::default(),
            });
            self.books.served[stream].arrived += 1;
            self.enqueue(job);
        }
        if arrivals.per_hour.is_some() {
            self.set_next_arrival(stream, now);
        }
    }

    /// A job comes into the task queues.
    pub fn enqueue(&mut self, job: JobId) {
        let of = &self.jobs[job as usize];
        let priority = self.loaded.words.arrivals[of.stream as usize].priority;
        self.queues.insert(job, of.definition as usize, priority);
    }

    /// `rescheduleJob`: back into the queues, or Failed after MaxRescheduling times.
    pub(super) fn reschedule(&mut self, job: JobId) {
        let most = self.loaded.words.dirac.max_rescheduling;
        let of = &mut self.jobs[job as usize];
        of.attempt = of.attempt.saturating_add(1);
        if u32::from(of.attempt) > most {
            of.state = JobState::Failed;
            self.books.served[of.stream as usize].failed += 1;
        } else {
            of.state = JobState::Waiting;
            self.heap.after(OPTIMIZERS, Event::Enqueue(job));
        }
    }

    /// StalledJobAgent finds a job whose VM is gone.
    pub fn lost_is_found(&mut self, job: JobId) {
        let of = &self.jobs[job as usize];
        if of.state == JobState::Lost && self.loaded.words.dirac.reschedule_lost {
            self.books.served[of.stream as usize].lost -= 1;
            self.reschedule(job);
        }
    }

    pub(super) fn queue_emptied(&mut self, queue: Option<u64>) {
        if let Some(queue) = queue {
            self.heap.after(EMPTY_QUEUE_STAYS, Event::QueueWasEmpty(queue));
        }
    }
}
