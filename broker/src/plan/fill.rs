//! Filling: turn by turn a VO and one of its classes get VMs, from the offering that costs least for the cores that its jobs use, until
//! nothing waits or nothing has room. What a new VM has left serves the classes that come later.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, HashMap, HashSet},
};

use super::{
    books::{Books, Concerns, Thought},
    class::Class,
    index::Index,
    lane::{Lane, Pace},
    life::Free,
    market::{Market, Rank, step},
    need::Need,
    share::Turns,
    snapshot::{Snapshot, Strategy},
};

/// A VM that is to be made.
#[derive(Clone, Debug)]
pub struct Draft {
    /// Index of the pool.
    pub pool: usize,
    /// Index of the VO.
    pub vo: usize,
    /// The number of the offer.
    pub offer: u32,
    /// The jobs it is made for: the number of the class, and how many.
    pub lease: Vec<(usize, u64)>,
    /// The tag that it asks for, so that it takes such jobs alone.
    pub pin: Option<String>,
    /// What it is made for, where it is made for no jobs.
    pub keeps: Option<Keeps>,
}

/// Why a VM is made that no job needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Keeps {
    /// The pool keeps a number of VMs.
    Min,
    /// The pool keeps a number of VMs without work.
    Spare,
}

/// As many leases are written into one VM: what it serves beyond that it serves without a claim.
const MOST_LEASES: usize = 8;
/// As many new VMs with something left are looked at for one class.
const LOOKED_AT: usize = 64;

/// The filling of one plan.
pub struct Fill<'c, 'a> {
    /// What is planned for.
    pub snapshot: &'a Snapshot,
    /// The classes of jobs.
    pub classes: &'c [Class<'a>],
    /// How time counts for each.
    pub paces: Vec<Pace>,
    /// What fits what.
    pub index: Index<'c>,
    /// The limits.
    pub books: Books<'a>,
    /// What can be bought.
    pub market: Market<'a>,
    /// By index of the VO: the pools that serve it, in the order in which they are tried where cost does not decide.
    pub pools_of: Vec<Vec<usize>>,
    /// By index of the pool: what its pilots say.
    pub says_of: Vec<usize>,
    /// The VMs that are to be made.
    pub drafts: Vec<Draft>,
    /// By index of the pool: jobs given to new VMs.
    pub placed: Vec<u64>,
    /// VMs made for each class.
    made: Vec<u64>,
    /// Jobs of each class that the VM took which was made for it last.
    most: Vec<u64>,
    /// By index of the VO: what new VMs have left, by its cores and the number of the draft.
    rests: Vec<BTreeMap<(u64, usize), Lane>>,
    closed_pools: Vec<bool>,
    /// Pool, VO, need and step of jobs for which nothing is found any more.
    dead: HashSet<[u32; 4]>,
    /// The number of each class's need; the last is that of a VM that is made for no jobs.
    needs: Vec<usize>,
    /// What each class chose last, and for which step of jobs. Nothing gets better while the plan is made, so it is the best as long as it
    /// has room.
    last: Vec<Option<(usize, Choice)>>,
    full: bool,
}

/// What is bought for a class.
#[derive(Clone, Copy)]
struct Choice {
    pool: usize,
    offer: u32,
}

impl<'c, 'a> Fill<'c, 'a> {
    /// Nothing is made yet.
    pub fn new(
        snapshot: &'a Snapshot,
        classes: &'c [Class<'a>],
        index: Index<'c>,
        books: Books<'a>,
        says_of: Vec<usize>,
    ) -> Self {
        let (vos, pools) = (snapshot.vos.len(), snapshot.pools.len());
        let market =
            Market::new(&snapshot.clouds, &snapshot.pools, snapshot.rules.unpriced, |cloud| books.fullness(cloud));
        let pools_of = snapshot.vos.iter().map(|vo| {
            let mut serving: Vec<usize> = (0..pools).filter(|i| snapshot.pools[*i].vos.contains(&vo.name)).collect();
            serving.sort_by_key(|i| Reverse(snapshot.pools[*i].required_tags.len()));
            serving
        });
        Self {
            classes,
            paces: Vec::new(),
            index,
            books,
            market,
            pools_of: pools_of.collect(),
            says_of,
            drafts: Vec::new(),
            placed: vec![0; pools],
            made: vec![0; classes.len()],
            most: vec![0; classes.len()],
            rests: vec![BTreeMap::new(); vos],
            closed_pools: vec![false; pools],
            dead: HashSet::new(),
            needs: numbered(classes),
            last: vec![None; classes.len()],
            full: false,
            snapshot,
        }
    }

    /// Makes VMs for the jobs that are `left` of each class; afterwards `left` is what got none.
    pub fn fill(&mut self, turns: &mut Turns, left: &mut [u64]) {
        while let Some(n) = turns.next() {
            let classes = self.classes;
            let class = &classes[n];
            if self.made[n] == 0 || left[n] < self.most[n] {
                left[n] -= self.serve_rests(n, left[n]);
            }
            let alone = turns.is_alone();
            let got = if left[n] == 0 { 0 } else { self.buy(n, left[n], alone, turns) };
            left[n] -= got;
            turns.done(class.vo, n, got > 0 && left[n] > 0);
        }
    }

    /// Pools that borrow may pass their maximum now. Whether there are any.
    pub fn lend(&mut self) -> bool {
        let borrowers: Vec<usize> =
            (0..self.snapshot.pools.len()).filter(|p| self.snapshot.pools[*p].borrows).collect();
        for pool in &borrowers {
            self.books.lend(*pool);
            self.closed_pools[*pool] = false;
        }
        self.dead.clear();
        self.last.fill(None);
        !borrowers.is_empty()
    }

    /// Gives jobs to what new VMs have left.
    fn serve_rests(&mut self, n: usize, jobs: u64) -> u64 {
        let classes = self.classes;
        let class = &classes[n];
        let mut left = jobs;
        let near: Vec<(u64, usize)> =
            self.rests[class.vo].range((class.need.cores, 0)..).map(|(key, _)| *key).take(LOOKED_AT).collect();
        for key in near {
            if left == 0 {
                break;
            }
            let Some(lane) = self.rests[class.vo].get(&key).copied() else { continue };
            let draft = &self.drafts[key.1];
            let pool = &self.snapshot.pools[draft.pool];
            let full = Free::all(self.market.offer(draft.offer).offering);
            let pinned = draft.pin.as_ref().is_none_or(|pin| class.need.pin().as_ref() == Some(pin));
            let fits = pinned && self.index.fits(n, class, self.says_of[draft.pool], full, pool.cpu_time);
            let room = if fits { lane.starts(&class.need, full, self.paces[n]).min(left) } else { 0 };
            // One row of the lease for each class; a VM that has enough of them is left as it is.
            if room == 0 || draft.lease.len() >= MOST_LEASES {
                continue;
            }
            left -= room;
            self.placed[draft.pool] += room;
            self.drafts[key.1].lease.push((n, room));
            self.rests[class.vo].remove(&key);
            self.keep_rest(class.vo, key.1, &lane.after(&class.need, full, self.paces[n], room));
        }
        jobs - left
    }

    /// Of what is left the largest lane is kept.
    fn keep_rest(&mut self, vo: usize, draft: usize, lanes: &[Lane]) {
        if let Some(lane) = lanes.iter().max_by_key(|lane| (lane.free.cores, Reverse(lane.at))) {
            self.rests[vo].insert((lane.free.cores, draft), *lane);
        }
    }

    /// Makes VMs for a class: as many as its turn allows. How many jobs they are for.
    fn buy(&mut self, n: usize, left: u64, alone: bool, turns: &mut Turns) -> u64 {
        let Some(Choice { pool, offer: number }) = self.choose(n, left) else { return 0 };
        let classes = self.classes;
        let class = &classes[n];
        let offer = self.market.offer(number);
        let full = Free::all(offer.offering);
        let pace = self.paces[n];
        let lane = Lane::new(full, offer.offering.measured.boot.unwrap_or(0), true);
        let each = lane.starts(&class.need, full, pace).max(1);
        let thought = self.thought(pool, class.vo, Some(n), number);
        // A turn is small beside what the class has, or beside the room for all, so that all get theirs. The last of its jobs may need
        // another size.
        let wanted = (left / each).max(1);
        let room = self.books.room(thought);
        let turn = if alone { wanted } else { wanted.min(1 + (self.made[n] / 16).max(room / 64)) };
        let vms = turn.min(room);
        self.most[n] = each;
        self.made[n] += vms;
        self.books.take(thought, vms);
        turns.give(class.vo, Some(n), offer.offering, vms);
        let pin = if self.snapshot.pools[pool].pin { class.need.pin() } else { None };
        let mut given = 0;
        for _ in 0..vms {
            let jobs = each.min(left - given);
            given += jobs;
            let draft = self.drafts.len();
            let (vo, pin) = (class.vo, pin.clone());
            self.drafts.push(Draft { pool, vo, offer: number, lease: vec![(n, jobs)], pin, keeps: None });
            let rest = lane.after(&class.need, full, pace, jobs);
            if !rest.is_empty() {
                self.keep_rest(vo, draft, &rest);
            }
        }
        self.placed[pool] += given;
        given
    }

    /// A VM that no job needs, for the VO whose turn it is.
    pub fn keep(&mut self, pool: usize, vo: usize, keeps: Keeps, turns: &mut Turns) -> bool {
        let Some((rank, false)) = self.best_of(pool, vo, None, 0) else { return false };
        let offer = self.market.offer(rank.offer);
        let thought = self.thought(pool, vo, None, rank.offer);
        self.books.take(thought, 1);
        turns.give(vo, None, offer.offering, 1);
        let draft = Draft { pool, vo, offer: rank.offer, lease: Vec::new(), pin: None, keeps: Some(keeps) };
        self.drafts.push(draft);
        true
    }

    /// The pool and the offer that cost least for the cores that `left` jobs use.
    fn choose(&mut self, n: usize, left: u64) -> Option<Choice> {
        let classes = self.classes;
        let (class, step) = (&classes[n], step(left));
        if let Some((for_step, choice)) = self.last[n]
            && for_step == step
            && !self.closed_pools[choice.pool]
            && self.books.obstacle(self.thought(choice.pool, class.vo, Some(n), choice.offer)).is_none()
        {
            return Some(choice);
        }
        // What is bought comes before what is waited for, where they cost alike.
        let mut best: Option<((u8, i64, bool), Choice)> = None;
        for i in 0..self.pools_of[class.vo].len() {
            let pool = self.pools_of[class.vo][i];
            if self.full {
                return None;
            }
            if self.closed_pools[pool] || !self.may_run(n, pool) {
                continue;
            }
            if let Some((rank, waits)) = self.best_of(pool, class.vo, Some(n), step) {
                let (tier, cost) = rank.cost;
                if best.as_ref().is_none_or(|(place, _)| (tier, cost, waits) < *place) {
                    best = Some(((tier, cost, waits), Choice { pool, offer: rank.offer }));
                }
            }
        }
        let best = best.filter(|((_, _, waits), _)| !waits);
        self.last[n] = best.map(|(_, choice)| (step, choice));
        best.map(|(_, choice)| choice)
    }

    /// Whether jobs of the class with number `n` may run on VMs of this pool that are large enough.
    pub fn may_run(&self, n: usize, pool: usize) -> bool {
        self.classes[n].queue.cpu_time <= self.snapshot.pools[pool].cpu_time
            && self.index.may_fit(n, self.says_of[pool])
    }

    /// A launch that is thought of.
    pub fn thought(&self, pool: usize, vo: usize, class: Option<usize>, number: u32) -> Thought<'c>
    where
        'a: 'c,
    {
        let classes = self.classes;
        Thought { pool, vo, class: class.map(|n| &*classes[n].key), offer: self.market.offer(number), number }
    }

    /// The best offer of a pool that has room; or, where jobs wait for one that costs less, that one and `true`.
    fn best_of(&mut self, pool: usize, vo: usize, class: Option<usize>, step: usize) -> Option<(Rank, bool)> {
        let number = class.map_or(self.needs[self.classes.len()], |n| self.needs[n]);
        let one = Need::cores(1);
        let classes = self.classes;
        let need = (number, class.map_or(&one, |n| &classes[n].need));
        let place = [pool, vo, number, step].map(|n| u32::try_from(n).unwrap_or(u32::MAX));
        if self.closed_pools[pool] || self.dead.contains(&place) {
            return None;
        }
        let mut aside: Vec<Reverse<Rank>> = Vec::new();
        let mut particular = false;
        let mut waits: Option<Rank> = None;
        let in_order = self.snapshot.pools[pool].strategy == Strategy::InOrder;
        let found = loop {
            let Some(Reverse(rank)) = self.market.queue(pool, need, step).peek().copied() else { break None };
            if waits.is_some_and(|first| in_order || first.cost < rank.cost) {
                break None;
            }
            match self.books.obstacle(self.thought(pool, vo, class, rank.offer)) {
                None => break Some(rank),
                Some(Concerns::Plan) => {
                    self.full = true;
                    break None;
                }
                Some(Concerns::Pool) => {
                    self.closed_pools[pool] = true;
                    break None;
                }
                Some(Concerns::Offer) => drop(self.market.queue(pool, need, step).pop()),
                Some(Concerns::Waits) => {
                    waits.get_or_insert(rank);
                    aside.extend(self.market.queue(pool, need, step).pop());
                }
                Some(Concerns::Some) => {
                    particular |= self.books.names_a_class(rank.offer);
                    aside.extend(self.market.queue(pool, need, step).pop());
                }
            }
        };
        if found.is_none() && waits.is_none() && !particular {
            self.dead.insert(place);
        }
        if !aside.is_empty() {
            self.market.queue(pool, need, step).extend(aside);
        }
        found.map(|rank| (rank, false)).or(waits.map(|rank| (rank, true)))
    }
}

/// Numbers the needs of classes; the last is that of a job of one core.
fn numbered(classes: &[Class<'_>]) -> Vec<usize> {
    let mut all: HashMap<Need, usize> = HashMap::new();
    let one = Need::cores(1);
    let needs = classes.iter().map(|class| &class.need).chain([&one]);
    needs
        .map(|need| {
            let next = all.len();
            *all.entry(*need).or_insert(next)
        })
        .collect()
}
