//! How jobs arrive, are given to pilots and end: from one event to the next, and only those are asked for whom there is news.

use std::{cmp::Reverse, collections::BTreeSet, ops::Bound, sync::Arc};

use super::World;
use crate::demand::matching::same;

/// Jobs that may wait at once: whoever may make a simulated DIRAC could fill the memory with them.
pub const MOST_WAITING: usize = 100_000;

/// A job that runs.
#[derive(Debug)]
pub(super) struct Running {
    pub number: u64,
    pub stream: usize,
    pub cores: u64,
    /// Whether it has the tag GPU.
    pub gpu: bool,
    pub arrived: f64,
}

/// Seconds since the start, which are never negative: their bits stand in their order.
pub(super) type Moment = u64;

/// Who may get a job that could get none before. As long as nobody else could, none of the jobs that wait fits any of the free cores.
#[derive(Default)]
pub(super) struct News {
    /// Jobs of a stream of which none waited.
    pub has_jobs: bool,
    /// Pilots with more free cores.
    pub pilots: BTreeSet<Arc<str>>,
}

impl World {
    /// Brings the jobs that have arrived by now. Where too many wait, the streams pause up to `until`, the moment to which the world moves.
    pub(super) fn bring_jobs(&mut self, until: f64, news: &mut News) {
        let waiting: usize = self.streams.iter().map(|stream| stream.waiting.len()).sum();
        if waiting >= MOST_WAITING {
            self.streams.iter_mut().for_each(|stream| stream.pacer.pause(until));
            return;
        }
        for stream in &mut self.streams {
            while stream.pacer.next <= self.now {
                news.has_jobs |= stream.waiting.is_empty();
                stream.waiting.push_back(stream.pacer.next);
                stream.pacer.arrived();
                self.counts.arrived += 1;
            }
        }
    }

    /// Ends the jobs that end by now.
    pub(super) fn end_jobs(&mut self, news: &mut News) {
        while let Some(Reverse((at, ..))) = self.ends.peek()
            && f64::from_bits(*at) <= self.now
        {
            let Some(Reverse((_, number, reference))) = self.ends.pop() else { break };
            let Some(worker) = self.pilots.get_mut(&reference) else { continue };
            let Some(ended) = worker.jobs.iter().position(|job| job.number == number) else { continue };
            worker.jobs.remove(ended);
            self.running.remove(&number);
            self.counts.served += 1;
            self.counts.running -= 1;
            if worker.jobs.is_empty() {
                worker.idle_since = self.now;
            }
            self.free.insert(reference.clone());
            news.pilots.insert(reference);
        }
    }

    /// Every pilot with free cores asks for work, as often as it gets some. Jobs that need most cores are offered first. Who could get
    /// nothing before and for whom there is no news is not asked.
    pub(super) fn match_jobs(&mut self, news: News) {
        if !news.has_jobs && news.pilots.is_empty() {
            return;
        }
        let mut order: Vec<usize> = (0..self.streams.len()).collect();
        order.sort_by_key(|i| Reverse(self.streams[*i].arrival.processors));
        if !news.has_jobs {
            news.pilots.iter().for_each(|reference| self.give_jobs(reference, &order));
            return;
        }
        let mut next = self.free.first().cloned();
        while let Some(reference) = next
            && self.streams.iter().any(|stream| !stream.waiting.is_empty())
        {
            self.give_jobs(&reference, &order);
            next = self.free.range((Bound::Excluded(reference), Bound::Unbounded)).next().cloned();
        }
    }

    /// Gives a pilot as many jobs as it can take, of the streams in this order.
    fn give_jobs(&mut self, reference: &Arc<str>, order: &[usize]) {
        let Some(worker) = self.pilots.get_mut(reference) else { return };
        for &i in order {
            let stream = &mut self.streams[i];
            let cores = stream.arrival.processors.max(1);
            let gpu = stream.queue.tags.iter().any(|tag| same(tag, "GPU"));
            let fits = !stream.waiting.is_empty()
                && worker.offer.owner_groups.contains(&stream.arrival.group)
                && worker.offer.resource.matches(&stream.queue);
            while fits && worker.free(gpu) >= cores {
                let Some(arrived) = stream.waiting.pop_front() else { break };
                let ends = self.now + stream.arrival.run_time.max(1) as f64;
                self.next_job += 1;
                let number = self.next_job;
                self.running.insert(number);
                worker.jobs.push(Running { number, stream: i, cores, gpu, arrived });
                self.ends.push(Reverse((ends.to_bits(), number, reference.clone())));
                self.counts.running += 1;
                if let Some(row) = self.rows.get_mut(reference) {
                    row.jobs.push(number);
                    row.touched = self.now;
                }
            }
        }
        if worker.is_full() {
            self.free.remove(reference);
        }
    }
}
