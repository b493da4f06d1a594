//! The choice: the pool and the offer that cost least for the cores that jobs of a class use.

use super::{
    aisles::Choice,
    fill::Fill,
    market::Verdict,
    near::Concerns,
    need::Need,
    offer::Thought,
    shelf::{Cost, step},
    snapshot::Strategy,
};

impl<'c, 'a> Fill<'c, 'a> {
    /// The pool and the offer that cost least for the cores that so many jobs use; of several the first pool.
    pub fn choose(&mut self, n: usize, jobs: u64) -> Option<Choice> {
        let classes = self.classes;
        let (vo, step) = (classes[n].vo, step(jobs));
        if self.books.is_done() || self.books.is_closed_for(vo, self.aisles.least[vo]?) {
            return None;
        }
        if let Some((for_step, choice)) = self.last[n]
            && for_step == step
            && self.books.obstacle(self.thought(choice.pool, vo, Some(n), choice.offer)).is_none()
        {
            return Some(choice);
        }
        // What is bought comes before what is waited for, where they cost alike.
        let mut best: Option<((Cost, bool, usize), Choice)> = None;
        let need = self.need_of(Some(n));
        for &(bound, a) in self.aisles.ranked(vo, need, step, &mut self.market).iter() {
            if best.is_some_and(|((cost, ..), _)| cost < bound) {
                break;
            }
            let catalogue = self.aisles.aisle(vo, a).catalogue;
            let Some(least) = self.market.least_cost(catalogue, need, step) else { continue };
            for s in 0..self.aisles.aisle(vo, a).shops.len() {
                let than = best.map(|(than, _)| than);
                let wanted = |place: usize| than.is_none_or(|than| (least, false, place) < than);
                let Some((place, pool)) = self.open_pool(n, [vo, a, s], wanted) else { continue };
                let better = |cost: Cost| than.is_none_or(|than| (cost, false, place) < than);
                if let Some((cost, waits, offer)) = self.best_of(pool, vo, Some(n), step, better)
                    && than.is_none_or(|than| (cost, waits, place) < than)
                {
                    best = Some(((cost, waits, place), Choice { pool, offer }));
                }
            }
        }
        let best = best.filter(|((_, waits, _), _)| !waits).map(|(_, choice)| choice);
        self.last[n] = best.map(|choice| (step, choice));
        best
    }

    /// The first pool of a shop that has not its maximum and takes the class, unless no pool of the shop is `wanted`; with its place.
    fn open_pool(
        &mut self,
        n: usize,
        [vo, a, s]: [usize; 3],
        wanted: impl Fn(usize) -> bool,
    ) -> Option<(usize, usize)> {
        if !self.aisles.aisle(vo, a).shops[s].first().is_some_and(|(place, _)| wanted(*place)) {
            return None;
        }
        self.aisles.leave_out_full(vo, a, s, &self.books);
        let shop = &self.aisles.aisle(vo, a).shops[s];
        let mut wanted = shop.iter().take_while(|(place, _)| wanted(*place));
        wanted.find(|(_, pool)| self.may_run(n, *pool) && !self.books.is_full(*pool)).copied()
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

    /// The number of a class's need, and the need; of no class that of a job of one core.
    pub fn need_of(&self, class: Option<usize>) -> (usize, &'c Need) {
        const ONE: Need = Need::cores(1);
        let classes = self.classes;
        class.map_or((self.needs[classes.len()], &ONE), |n| (self.needs[n], &classes[n].need))
    }

    /// The best offer of a pool that has room: its cost, `false`, its number; or, where jobs wait for one that costs less, that one and
    /// `true`. It is not looked for where no cost that it may have is `better`.
    pub fn best_of(
        &mut self,
        pool: usize,
        vo: usize,
        class: Option<usize>,
        step: usize,
        better: impl Fn(Cost) -> bool,
    ) -> Option<(Cost, bool, u32)> {
        let (catalogue, need) = (self.market.catalogue_of(pool), self.need_of(class));
        let least = self.market.least(catalogue, need)?;
        let in_order = self.snapshot.pools[pool].strategy == Strategy::InOrder;
        let classes = self.classes;
        let class = class.map(|n| &*classes[n].key);
        let Self { books, market, .. } = self;
        let mut looked = false;
        let mut waits: Option<(Cost, bool, u32)> = None;
        let found = market.find(catalogue, need, step, |rank, number, offer| {
            if waits.is_some_and(|(cost, ..)| in_order || cost < rank.cost) || !better(rank.first) {
                return Verdict::Stop;
            }
            match books.obstacle(Thought { pool, vo, class, offer, number }) {
                None => Verdict::Take,
                Some(Concerns::Plan) => Verdict::Stop,
                Some(Concerns::Offer) => Verdict::Close,
                Some(Concerns::OfferWaits) => {
                    waits.get_or_insert((rank.cost, true, number));
                    Verdict::Wait
                }
                Some(Concerns::SomeWait) => {
                    waits.get_or_insert((rank.cost, true, number));
                    Verdict::Pass
                }
                // Where nothing has room for the VO, not all is looked at.
                Some(Concerns::Some) if !looked && books.is_closed(pool, vo, books.amount(pool, vo, least)) => {
                    Verdict::Stop
                }
                Some(Concerns::Some) => {
                    looked = true;
                    Verdict::Pass
                }
            }
        });
        found.map(|(cost, offer)| (cost, false, offer)).or(waits)
    }
}
