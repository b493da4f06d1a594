//! The state of a simulated DIRAC and the pilots that ask it for work, and how it moves in time.

mod jobs;

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, BinaryHeap, HashSet, VecDeque},
    sync::{Arc, Weak},
};

use jiff::Timestamp;

#[cfg(test)]
pub use jobs::MOST_WAITING;
use jobs::{Moment, News, Running};

use crate::{
    demand::{
        TaskQueue,
        matching::{Prepared, Resource},
    },
    pilot::{
        Pilot,
        jobs::JobStatus,
        rows::{NewPilot, PilotRow, PilotStatus},
    },
    simulation::arrivals::{Arrival, Pacer},
};

/// What happened since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Statistics {
    /// Jobs that arrived since the start.
    pub arrived: u64,
    /// Jobs that wait now.
    pub waiting: u64,
    /// Jobs that run now.
    pub running: u64,
    /// Jobs that ended.
    pub served: u64,
    /// Times a job lost its VM and went back to waiting.
    pub requeued: u64,
    /// Seconds that the oldest waiting job has waited.
    pub oldest_wait: u64,
}

/// The world; all times are seconds since its start.
#[derive(Debug)]
pub struct World {
    seed: u64,
    start: Timestamp,
    now: f64,
    streams: Vec<Stream>,
    pilots: BTreeMap<Arc<str>, Worker>,
    rows: BTreeMap<Arc<str>, Row>,
    /// What pilots offer to the Matcher: many offer the same.
    offers: Vec<Weak<Offer>>,
    /// When which job of which pilot ends. One whose pilot is gone ends nothing.
    ends: BinaryHeap<Reverse<(Moment, u64, Arc<str>)>>,
    /// Pilots with free cores.
    free: BTreeSet<Arc<str>>,
    next_job: u64,
    /// Numbers of the jobs that run.
    running: HashSet<u64>,
    /// Numbers of jobs that lost their VM. They wait again, and have another number when they are given to a pilot.
    lost: HashSet<u64>,
    counts: Statistics,
}

#[derive(Debug)]
struct Stream {
    arrival: Arrival,
    queue: TaskQueue,
    pacer: Pacer,
    /// Taken out of the list: it brings no more jobs, and goes on when it is put back.
    ended: bool,
    /// When each waiting job arrived.
    waiting: VecDeque<f64>,
}

#[derive(Debug)]
struct Row {
    status: PilotStatus,
    /// The jobs that its pilot got so far.
    jobs: Vec<u64>,
    touched: f64,
}

/// A pilot that asks for work: its VM is up.
#[derive(Debug)]
struct Worker {
    cores: u64,
    /// GPUs, each of which has one job at a time.
    gpus: u64,
    /// Cores of each GPU; 0: the tag GPU is a tag like others.
    gpu_cores: u64,
    offer: Arc<Offer>,
    jobs: Vec<Running>,
    idle_since: f64,
}

/// What a pilot offers to the Matcher.
#[derive(Debug)]
struct Offer {
    /// DIRAC groups whose jobs it may take.
    owner_groups: Vec<String>,
    said: Resource,
    /// The same, ready to be compared with queues.
    resource: Prepared,
}

impl World {
    /// A world that begins at `start`, with these streams of jobs.
    pub fn new(seed: u64, arrivals: Vec<Arrival>, start: Timestamp) -> Self {
        let mut world = Self {
            seed,
            start,
            now: 0.0,
            streams: Vec::new(),
            pilots: BTreeMap::new(),
            rows: BTreeMap::new(),
            offers: Vec::new(),
            ends: BinaryHeap::new(),
            free: BTreeSet::new(),
            next_job: 0,
            running: HashSet::new(),
            lost: HashSet::new(),
            counts: Statistics::default(),
        };
        world.set_arrivals(arrivals);
        world
    }

    /// Replaces the streams. Those that stay the same go on, those that are gone bring no more jobs, and one that is put
    /// back begins again. Equal entries are as many streams.
    pub fn set_arrivals(&mut self, mut arrivals: Vec<Arrival>) {
        for stream in self.streams.iter_mut().filter(|s| !s.ended) {
            match arrivals.iter().position(|arrival| *arrival == stream.arrival) {
                Some(same) => drop(arrivals.remove(same)),
                None => stream.end(),
            }
        }
        for arrival in arrivals {
            // Equal jobs wait in one task queue, as in DIRAC, and a list that goes to and fro makes no new streams for ever.
            if let Some(stream) = self.streams.iter_mut().find(|s| s.ended && s.arrival == arrival) {
                stream.begin_again(self.now);
                continue;
            }
            let number = self.streams.len();
            let pacer = Pacer::new(self.seed, number, &arrival, self.now);
            let queue = TaskQueue { id: number as u64 + 1, ..arrival.task_queue() };
            self.streams.push(Stream { arrival, queue, pacer, ended: false, waiting: VecDeque::new() });
        }
    }

    /// Moves the world to `now`, from one event to the next.
    pub fn advance(&mut self, now: Timestamp) {
        let until = now.duration_since(self.start).as_secs_f64().max(self.now);
        loop {
            let arrival = self.streams.iter().map(|s| s.pacer.next).fold(f64::INFINITY, f64::min);
            let end = self.ends.peek().map_or(f64::INFINITY, |Reverse((at, ..))| f64::from_bits(*at));
            let next = arrival.min(end);
            if next > until {
                break;
            }
            self.now = next;
            let mut news = News::default();
            self.end_jobs(&mut news);
            self.bring_jobs(until, &mut news);
            self.match_jobs(news);
        }
        self.now = until;
    }

    /// A pilot asks for work the first time: its row turns Running, as the Matcher does it.
    pub fn pilot_asks(&mut self, pilot: &Pilot) {
        if let Some(row) = self.rows.get_mut(pilot.reference.as_str()).filter(|r| !r.status.is_final()) {
            row.status = PilotStatus::Running;
            row.touched = self.now;
        }
        let said = Resource {
            site: vec![pilot.site.clone()],
            grid_ce: vec![pilot.ce.clone()],
            platform: pilot.platform.iter().cloned().collect(),
            cpu_time: pilot.cpu_time,
            tag: Some(pilot.tags.clone()),
            required_tag: pilot.required_tags.clone(),
            number_of_processors: u32::try_from(pilot.cores).unwrap_or(u32::MAX),
            whole_node: true,
            max_ram_mb: Some(pilot.ram_mib),
            ..Resource::default()
        };
        let offer = self.offer(said, &pilot.owner_groups);
        let gpus = if pilot.gpu_cores > 0 { pilot.gpus } else { 0 };
        let worker = Worker {
            cores: pilot.cores,
            gpus,
            gpu_cores: pilot.gpu_cores,
            offer,
            jobs: Vec::new(),
            idle_since: self.now,
        };
        let registered = self.rows.get_key_value(pilot.reference.as_str()).map(|(reference, _)| reference.clone());
        let reference = registered.unwrap_or_else(|| pilot.reference.as_str().into());
        if let Some(before) = self.pilots.insert(reference.clone(), worker) {
            self.counts.running -= before.jobs.len() as u64;
            for job in &before.jobs {
                self.running.remove(&job.number);
            }
        }
        self.free.insert(reference.clone());
        self.match_jobs(News { pilots: [reference].into(), ..News::default() });
    }

    /// The offer that says this, shared by all pilots that make it.
    fn offer(&mut self, said: Resource, owner_groups: &[String]) -> Arc<Offer> {
        let same = |offer: &Arc<Offer>| offer.said == said && offer.owner_groups == owner_groups;
        if let Some(offer) = self.offers.iter().filter_map(Weak::upgrade).find(same) {
            return offer;
        }
        let resource = Prepared::new(said.clone());
        let offer = Arc::new(Offer { owner_groups: owner_groups.to_vec(), said, resource });
        self.offers.retain(|offer| offer.strong_count() > 0);
        self.offers.push(Arc::downgrade(&offer));
        offer
    }

    /// The pilot's VM is gone: its jobs wait again. Whether it had any.
    pub fn pilot_gone(&mut self, reference: &str) -> bool {
        let Some(worker) = self.pilots.remove(reference) else { return false };
        self.free.remove(reference);
        let mut news = News::default();
        for job in &worker.jobs {
            let waiting = &mut self.streams[job.stream].waiting;
            news.has_jobs |= waiting.is_empty();
            waiting.push_front(job.arrived);
            self.counts.requeued += 1;
            self.counts.running -= 1;
            self.running.remove(&job.number);
            self.lost.insert(job.number);
        }
        self.match_jobs(news);
        !worker.jobs.is_empty()
    }

    /// Seconds for which a pilot has had nothing to do; `None` when it works or is not known.
    pub fn idle(&self, reference: &str) -> Option<f64> {
        let worker = self.pilots.get(reference)?;
        worker.jobs.is_empty().then_some(self.now - worker.idle_since)
    }

    /// Task queues with waiting jobs.
    pub fn task_queues(&self) -> Vec<TaskQueue> {
        let queue = |s: &Stream| TaskQueue { jobs: s.waiting.len() as u64, ..s.queue.clone() };
        self.streams.iter().filter(|s| !s.waiting.is_empty()).map(queue).collect()
    }

    /// Makes a row, unless it is there.
    pub fn register(&mut self, pilot: &NewPilot) {
        let row = Row { status: PilotStatus::Submitted, jobs: Vec::new(), touched: self.now };
        self.rows.entry(pilot.reference.as_str().into()).or_insert(row);
    }

    /// Writes a row's state, unless it is closed.
    pub fn set_status(&mut self, reference: &str, status: PilotStatus) {
        if let Some(row) = self.rows.get_mut(reference).filter(|r| r.status.may_become(status)) {
            row.status = status;
            row.touched = self.now;
        }
    }

    /// A pilot's row, as DIRAC would tell it; `None`: there is none.
    pub fn row(&self, reference: &str) -> Option<PilotRow> {
        self.rows.get(reference).map(|row| PilotRow {
            reference: reference.to_owned(),
            status: row.status,
            current_job: row.jobs.last().copied().unwrap_or(0),
            idle_seconds: Some((self.now - row.touched) as u64),
            updated: None,
            jobs: Some(row.jobs.clone()),
            running: self.pilots.get(reference).map(|worker| worker.jobs.len() as u64),
            power: None,
        })
    }

    /// The state of a job, by the number that it has with its pilot; `None` where no pilot got a job of this number.
    pub fn job(&self, job: u64) -> Option<JobStatus> {
        let was_given = (1..=self.next_job).contains(&job);
        was_given.then(|| match (self.running.contains(&job), self.lost.contains(&job)) {
            (true, _) => JobStatus::Running,
            (false, true) => JobStatus::Waiting,
            (false, false) => JobStatus::Done,
        })
    }

    /// What happened so far.
    pub fn statistics(&self) -> Statistics {
        let oldest = self.streams.iter().filter_map(|s| s.waiting.front()).fold(self.now, |a, b| a.min(*b));
        Statistics {
            waiting: self.streams.iter().map(|s| s.waiting.len() as u64).sum(),
            oldest_wait: (self.now - oldest) as u64,
            ..self.counts
        }
    }
}

impl Stream {
    fn end(&mut self) {
        self.ended = true;
        self.pacer.next = f64::INFINITY;
    }

    fn begin_again(&mut self, now: f64) {
        self.ended = false;
        self.pacer.begin(self.arrival.jobs, now);
    }
}

impl Worker {
    /// Cores that are free for one job; `gpu`: it has the tag GPU.
    fn free(&self, gpu: bool) -> u64 {
        let of_a_gpu = |job: &&Running| self.gpus > 0 && job.gpu;
        let busy = self.jobs.iter().filter(of_a_gpu).count() as u64;
        if gpu && self.gpus > 0 {
            return if busy < self.gpus { self.gpu_cores } else { 0 };
        }
        let others: u64 = self.jobs.iter().filter(|job| !of_a_gpu(job)).map(|job| job.cores).sum();
        self.cores.saturating_sub(self.gpus.saturating_mul(self.gpu_cores)).saturating_sub(others)
    }

    fn is_full(&self) -> bool {
        self.free(true) == 0 && self.free(false) == 0
    }
}
