//! Filling: turn by turn a VO and one of its classes get VMs, from the offering that costs least for the cores that its jobs use, until
//! nothing waits or nothing has room. What a new VM has left serves the classes that come later.

use std::{
    cmp::Reverse,
    collections::{HashMap, HashSet},
};

use super::{
    account::Number,
    aisles::{Aisles, Choice, numbered},
    beside::Beside,
    bits::Bits,
    books::Books,
    class::Class,
    closing::Cut,
    index::Index,
    lane::{Lane, Pace},
    lent::{Taken, stays, take},
    life::Free,
    market::Market,
    need::Pin,
    offer::Thought,
    ours::Ours,
    part::Parts,
    rests::{Rest, Rests, Run},
    share::Turns,
    snapshot::{Lease, Pool, Snapshot},
};

/// A VM that is to be made.
#[derive(Clone, Debug)]
pub struct Draft {
    pub pool: usize,
    pub vo: usize,
    pub offer: u32,
    /// The jobs that it is made for, by class.
    pub lease: Vec<Lease>,
    /// The tag that it asks for, so that it takes such jobs alone.
    pub pin: Option<Pin>,
    /// How it is cut to the time that it has.
    pub cut: Option<Cut>,
    /// The account of which its VO has its part, where it is lent.
    pub lent: Option<Number>,
    pub why: Why,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Why {
    /// For jobs of the class with this number, and perhaps others.
    Class(usize),
    /// The pool keeps a number of VMs.
    Min,
    /// The pool keeps a number of VMs without work.
    Spare,
}

/// What a class got in a turn.
#[derive(Clone, Copy, Default)]
struct Bought {
    /// The jobs for which VMs are made.
    jobs: u64,
    /// Whether there is so much room that nobody need wait for a turn: what is left of a VM is better known when all of a class have theirs.
    goes_on: bool,
}

/// Turns and purchases of one plan, and what they have come to so far.
pub struct Fill<'c, 'a> {
    pub snapshot: &'a Snapshot,
    pub classes: &'c [Class<'a>],
    /// How time counts for each.
    pub paces: Vec<Pace>,
    /// Which class fits which VMs and pools.
    pub index: Index<'c>,
    /// The limits, and what is used of them.
    pub books: Books<'a>,
    pub market: Market<'a>,
    /// What each VO has of the limits that it shares.
    pub parts: Parts,
    /// By index of the VO: the pools that serve it, in the order in which they are tried where cost does not decide.
    pub pools_of: Vec<Vec<usize>>,
    /// The same pools in aisles.
    pub aisles: Aisles,
    /// By index of the pool: what its pilots say.
    pub says_of: Vec<usize>,
    /// By index of the VO: what the pilots of its pools say.
    pub all_say: Vec<Bits>,
    /// The VMs that are to be made, in the order in which they were decided.
    pub drafts: Vec<Draft>,
    /// By index of the pool: jobs given to new VMs.
    pub placed: Vec<u64>,
    /// VMs made for each class.
    made: Vec<u64>,
    /// Jobs of each class that the VM took which was made for it last.
    most: Vec<u64>,
    /// By index of the VO: what new VMs have left.
    rests: Vec<Rests>,
    /// What else waits.
    beside: Beside,
    /// The number of each class's need; the last is that of a VM that is made for no jobs.
    pub needs: Vec<usize>,
    /// What each class chose last, and for which step of jobs. Nothing gets better while the plan is made, so it is the best as long as it
    /// has room.
    pub last: Vec<Option<(usize, Choice)>>,
}

impl<'c, 'a> Fill<'c, 'a> {
    /// A plan in which nothing is made yet.
    pub fn new(
        snapshot: &'a Snapshot,
        classes: &'c [Class<'a>],
        index: Index<'c>,
        books: Books<'a>,
        says_of: Vec<usize>,
    ) -> Self {
        let market = Market::new(snapshot, &books);
        let pools_of = pools_of(snapshot);
        let aisles = Aisles::new(snapshot, &books, &market, &pools_of);
        let all_say = pools_of.iter().map(|pools| index.set(pools.iter().map(|pool| says_of[*pool]))).collect();
        let beside = Beside::new(classes, &index, snapshot.pools.iter().any(|pool| pool.pin));
        Self {
            beside,
            classes,
            paces: Vec::new(),
            index,
            books,
            market,
            parts: Parts::default(),
            pools_of,
            aisles,
            all_say,
            says_of,
            drafts: Vec::new(),
            placed: vec![0; snapshot.pools.len()],
            made: vec![0; classes.len()],
            most: vec![0; classes.len()],
            rests: vec![Rests::default(); snapshot.vos.len()],
            needs: numbered(classes.iter().map(|class| &class.need)),
            last: vec![None; classes.len()],
            snapshot,
        }
    }

    /// Divides the limits among the VOs that share them, before anything is bought.
    pub fn divide(&mut self, ours: &[Ours<'_>]) {
        let runs = |ours: &Ours<'_>| ours.claims.first().copied().flatten().map_or(0, |n| self.paces[n].runs);
        self.parts = Parts::new(self.snapshot, &self.books, &self.market, ours, |ours| stays(ours, runs(ours)));
    }

    /// Whether no VM is made for the class with number `n`.
    pub fn got_none(&self, n: usize) -> bool {
        self.made[n] == 0
    }

    fn take(&mut self, thought: Thought<'_>, class: Option<usize>, vms: u64) -> Taken {
        let times = (self.snapshot.pools[thought.pool].cpu_time, class.map_or(0, |n| self.paces[n].runs));
        take((&mut self.books, &mut self.parts), thought, times, vms)
    }

    /// Makes VMs for the jobs that are `left` of each class; afterwards `left` is what got none.
    pub fn fill(&mut self, turns: &mut Turns, left: &mut [u64]) {
        self.beside.begin(self.classes, left);
        while let Some(n) = turns.next() {
            let classes = self.classes;
            let (vo, need) = (classes[n].vo, &classes[n].need);
            let mut wants = true;
            while wants && left[n] > 0 {
                if self.made[n] == 0 || left[n] < self.most[n] {
                    let served = self.serve_rests(n, left[n]);
                    left[n] -= served;
                    self.beside.served(n, need, served);
                }
                let alone = turns.is_alone();
                let Bought { jobs, goes_on } =
                    if left[n] == 0 { Bought::default() } else { self.buy(n, left[n], alone, turns) };
                left[n] -= jobs;
                self.beside.served(n, need, jobs);
                wants = jobs > 0 && left[n] > 0;
                if !goes_on {
                    break;
                }
            }
            turns.done(vo, n, wants && left[n] > 0);
        }
    }

    /// Pools that borrow may pass their maximum now. Whether there are any.
    pub fn lend(&mut self) -> bool {
        let borrowers: Vec<usize> =
            (0..self.snapshot.pools.len()).filter(|p| self.snapshot.pools[*p].borrows).collect();
        borrowers.iter().for_each(|pool| self.books.lend(*pool));
        self.aisles = Aisles::new(self.snapshot, &self.books, &self.market, &self.pools_of);
        self.last.fill(None);
        !borrowers.is_empty()
    }

    /// Gives jobs to what new VMs have left.
    fn serve_rests(&mut self, n: usize, jobs: u64) -> u64 {
        let (class, index) = (&self.classes[n], &self.index);
        let served = self.rests[class.vo].serve(&class.need, self.paces[n], jobs, |rest| {
            index.may_fit(n, rest.says) && class.queue.cpu_time <= rest.cpu_time
        });
        let mut given = 0;
        for (Run { first, vms }, jobs) in served {
            for draft in &mut self.drafts[first..first + vms] {
                draft.lease.push(Lease { class: class.key.clone(), jobs });
                self.placed[draft.pool] = self.placed[draft.pool].saturating_add(jobs);
                given += jobs;
            }
        }
        given
    }

    /// Makes VMs for a class: as many as its turn allows.
    fn buy(&mut self, n: usize, left: u64, alone: bool, turns: &mut Turns) -> Bought {
        let classes = self.classes;
        let class = &classes[n];
        let all = self.beside.jobs(n, &class.need, left);
        let Some(Choice { pool, offer: number }) = self.choose(n, all) else { return Bought::default() };
        let offer = self.market.offer(number);
        let full = Free { gpu_cores: self.snapshot.pools[pool].gpu_cores, ..Free::all(offer.offering) };
        let pace = self.paces[n];
        let lane = Lane::new(full, offer.offering.measured.boot.unwrap_or(0), true);
        let each = lane.starts(&class.need, full, pace).max(1);
        let thought = self.thought(pool, class.vo, Some(n), number);
        // A turn is small beside what the class has, or beside the room for all, so that all get theirs. The last of its jobs may need
        // another size.
        let wanted = (left / each).max(1);
        let room = self.books.room(thought);
        let is_ample = self.is_ample(room, full.cores);
        let turn = if alone || is_ample { wanted } else { wanted.min(1 + (self.made[n] / 16).max(room / 64)) };
        let Taken { vms, cut, lent } = self.take(thought, Some(n), turn.min(room));
        self.most[n] = each;
        self.made[n] = self.made[n].saturating_add(vms);
        turns.give(class.vo, Some(n), offer.offering, vms);
        let Pool { pin, cpu_time, .. } = self.snapshot.pools[pool];
        let pin = if pin { class.need.pin() } else { None };
        let cpu_time = cut.map_or(cpu_time, |cut| cut.cpu_time);
        let jobs = each.min(left);
        let run = Run { first: self.drafts.len(), vms: usize::try_from(vms).unwrap_or(usize::MAX) };
        if let (Some(lane), _) = Lane::largest(lane.after(&class.need, full, pace, jobs)) {
            let rest = Rest { lane, full, says: self.says_of[pool], cpu_time, pin, leases: 1 };
            self.rests[class.vo].keep(run, rest);
        }
        let draft = || {
            let lease = vec![Lease { class: class.key.clone(), jobs }];
            Draft { pool, vo: class.vo, offer: number, lease, pin, cut, lent, why: Why::Class(n) }
        };
        self.drafts.extend(std::iter::repeat_with(draft).take(run.vms));
        let given = vms * jobs;
        self.placed[pool] = self.placed[pool].saturating_add(given);
        Bought { jobs: given, goes_on: is_ample }
    }

    /// Whether all that waits could have twice the VMs that it needs of this size.
    fn is_ample(&self, room: u64, cores: u64) -> bool {
        let needed = (self.beside.all() / cores.max(1)).saturating_add(self.classes.len() as u64);
        room / 2 >= needed
    }

    /// A VM that no job needs, for a VO. Whether there is room for one.
    pub fn keep(&mut self, pool: usize, vo: usize, why: Why, turns: &mut Turns) -> bool {
        let Some((_, false, number)) = self.best_of(pool, vo, None, 0, |_| true) else { return false };
        let offer = self.market.offer(number);
        let thought = self.thought(pool, vo, None, number);
        let Taken { cut, lent, .. } = self.take(thought, None, 1);
        turns.give(vo, None, offer.offering, 1);
        self.drafts.push(Draft { pool, vo, offer: number, lease: Vec::new(), pin: None, cut, lent, why });
        true
    }
}

/// By index of the VO: the pools that serve it, those that require most tags first.
fn pools_of(snapshot: &Snapshot) -> Vec<Vec<usize>> {
    let mut by_name: HashMap<&str, Vec<usize>> = HashMap::new();
    for (i, pool) in snapshot.pools.iter().enumerate() {
        for vo in pool.vos.iter().collect::<HashSet<_>>() {
            by_name.entry(vo).or_default().push(i);
        }
    }
    by_name.values_mut().for_each(|pools| pools.sort_by_key(|i| Reverse(snapshot.pools[*i].required_tags.len())));
    snapshot.vos.iter().map(|vo| by_name.get(vo.name.as_str()).cloned().unwrap_or_default()).collect()
}

#[cfg(test)]
#[path = "fill_tests.rs"]
mod tests;
