//! Which accounts a launch touches.

mod passed;

use std::collections::HashMap;

use super::{
    Reason,
    account::{Account, Amount, Lack, Number, amount},
    closing::{Beyond, Cut},
    near::{Concerns, Near},
    offer::{Offer, Thought},
    ours::Ours,
    restraint::Restraint,
    snapshot::{Closing, CloudState, Limits, LiveVm, Offering, Snapshot, Vo},
};
use crate::experience::money::Unit;

pub use passed::Whose;

/// The most VMs that one plan makes, whatever the snapshot allows. To write 20,000 PilotVMs takes longer than a minute; what would be
/// decided for later than that is better decided then.
pub const MOST_LAUNCHES: u64 = 20_000;

/// All accounts of one plan, and which of them a launch touches.
pub struct Books<'a> {
    snapshot: &'a Snapshot,
    accounts: Vec<Account>,
    pools: Vec<Number>,
    vos: Vec<Number>,
    budgets: Vec<Option<Number>>,
    /// By index of the VO: what it may not buy, since it has no price.
    unpriced: Vec<Option<Number>>,
    /// By index of the pool.
    sites: Vec<Number>,
    installation: Number,
    plan: Number,
    ceilings: Vec<Number>,
    quotas: Vec<Number>,
    holds: Vec<Number>,
    /// Which holds concern which launches.
    pub near: Near<'a>,
    closings: Vec<Number>,
    /// By index of the cloud: indices of the closings that concern it.
    closings_of: Vec<Vec<usize>>,
    restraint: Restraint,
    /// What binds where restraint does.
    restrained: Number,
    /// What binds where nothing is known of a class.
    untried: Number,
}

impl<'a> Books<'a> {
    /// The accounts of a snapshot, with what its VMs hold.
    pub fn new(snapshot: &'a Snapshot, ours: &[Ours<'a>]) -> Self {
        let mut accounts: Vec<Account> = Vec::new();
        let mut open = |account: Account| {
            accounts.push(account);
            accounts.len() - 1
        };
        let vms = |n: u64| Limits { vms: Some(n), ..Limits::default() };
        let pools = snapshot
            .pools
            .iter()
            .map(|p| open(Account::new(Reason::PoolMax, format!("pool {} (spec.scaling.max)", p.name), vms(p.max))))
            .collect();
        let vos = snapshot
            .vos
            .iter()
            .map(|v| open(Account::new(Reason::VoLimit, format!("VO {} (spec.limits)", v.name), v.limits)))
            .collect();
        let whose = |v: &Vo| format!("the budget of VO {} (spec.budget)", v.name);
        let budgets =
            snapshot.vos.iter().map(|v| Some(open(Account::of_budget(whose(v), v.budget.as_ref()?)))).collect();
        let unpriced =
            snapshot.vos.iter().map(|v| Some(open(Account::of_no_price(whose(v), v.budget.as_ref()?)))).collect();
        let mut by_site: HashMap<&str, Number> = HashMap::new();
        let sites = snapshot
            .pools
            .iter()
            .map(|p| {
                *by_site.entry(&p.site).or_insert_with(|| {
                    open(Account::new(Reason::SiteLimit, format!("site {} (spec.limits)", p.site), p.site_limits))
                })
            })
            .collect();
        let whose = "the installation (spec.limits)".to_owned();
        let installation = open(Account::new(Reason::InstallationLimit, whose, snapshot.limits));
        let most = snapshot.rules.most_launches.unwrap_or(MOST_LAUNCHES).min(MOST_LAUNCHES);
        let plan = open(Account::new(Reason::Pace, "one round".to_owned(), vms(most)));
        let ceilings = snapshot
            .clouds
            .iter()
            .map(|c| open(Account::new(Reason::CloudCeiling, format!("cloud {} (spec.ceiling)", c.name), c.ceiling)))
            .collect();
        let quotas = snapshot
            .quotas
            .iter()
            .map(|q| open(Account::new(Reason::CloudQuota, format!("the provider's quota of {}", q.name), q.left)))
            .collect();
        let restrained = open(Restraint::account(snapshot.rules.fresh));
        let untried = open(Restraint::account_of_class(snapshot.rules.untried));
        let holds =
            snapshot.holds.iter().map(|h| open(Account::new(h.reason, h.message.clone(), vms(h.most)))).collect();
        let near = Near::new(snapshot);
        let closings: Vec<Number> = snapshot.closings.iter().map(|c| open(c.account())).collect();
        let closes = |cloud: &CloudState| {
            let all = snapshot.closings.iter().enumerate();
            all.filter(|(_, c)| c.clouds.contains(&cloud.name)).map(|(i, _)| i).collect()
        };
        let mut books = Self {
            snapshot,
            accounts,
            pools,
            vos,
            budgets,
            unpriced,
            sites,
            installation,
            plan,
            ceilings,
            quotas,
            holds,
            restraint: Restraint::new(&snapshot.rules, near.is_known()),
            restrained,
            untried,
            near,
            closings,
            closings_of: snapshot.clouds.iter().map(closes).collect(),
        };
        books.charge_all(ours);
        books
    }

    fn charge_all(&mut self, ours: &[Ours<'a>]) {
        for (c, cloud) in self.snapshot.clouds.iter().enumerate() {
            self.accounts[self.ceilings[c]].take_others(cloud.others);
        }
        for Ours { vm, pool, vo, cloud, site, .. } in ours {
            let each = amount(&vm.offering, 0);
            let known = [
                pool.map(|p| self.pools[p]),
                site.map(|p| self.sites[p]),
                vo.map(|v| self.vos[v]),
                cloud.map(|c| self.ceilings[c]),
                Some(self.installation),
                self.quota_of(vm),
            ];
            known.into_iter().flatten().for_each(|n| self.accounts[n].take(each));
            for (closing, n) in self.snapshot.closings.iter().zip(&self.closings) {
                if closing.counts(vm) {
                    self.accounts[*n].take(each);
                }
            }
        }
    }

    /// The limits that VOs share on which a VM counts, whether the provider's quota as it was read has it already or not.
    pub fn of_vm(&self, ours: &Ours<'_>) -> impl Iterator<Item = Number> + use<> {
        let Ours { vm, pool, cloud, site, .. } = ours;
        let quota = vm.offering.quota.and_then(|quota| self.quotas.get(quota)).copied();
        let pool = pool.map(|p| self.pools[p]);
        let all = [pool, site.map(|p| self.sites[p]), cloud.map(|c| self.ceilings[c]), Some(self.installation), quota];
        all.into_iter().flatten()
    }

    /// Those that are of a pool, its maximum first.
    pub fn of_pool(&self, pool: usize) -> impl Iterator<Item = Number> + Clone + use<> {
        [self.pools[pool], self.sites[pool], self.installation].into_iter()
    }

    /// Those that are of an offer.
    pub fn of_offer(&self, offer: Offer<'_>) -> impl Iterator<Item = Number> + Clone + use<> {
        let quota = offer.offering.quota.and_then(|quota| self.quotas.get(quota)).copied();
        [Some(self.ceilings[offer.cloud]), quota].into_iter().flatten()
    }

    /// Those that are of a launch.
    pub fn of_launch(&self, thought: Thought<'_>) -> impl Iterator<Item = Number> + Clone + use<> {
        self.of_pool(thought.pool).chain(self.of_offer(thought.offer))
    }

    fn quota_of(&self, vm: &LiveVm) -> Option<Number> {
        if vm.counted { None } else { self.quotas.get(vm.offering.quota?).copied() }
    }

    /// What a launch takes.
    pub fn each(&self, thought: Thought<'_>) -> Amount {
        let Offering { cores, ram_mib, gpus, price_micros, .. } = **thought.offer.offering;
        self.amount(thought.pool, thought.vo, [cores, ram_mib, gpus, price_micros.unwrap_or(0)])
    }

    /// The account of what the VO may not buy, where this has no price in the currency of its budget.
    fn unpriced(&self, vo: usize, offer: Offer<'_>) -> Option<Number> {
        let budget = self.snapshot.vos[vo].budget.as_ref()?;
        let Unit::Money(currency) = &budget.unit else { return None };
        let refused = match offer.offering.price_micros {
            None => !budget.unpriced_is_free,
            // Nothing converts it.
            Some(_) => self.snapshot.clouds[offer.cloud].currency.as_ref() != Some(currency),
        };
        if refused { self.unpriced[vo] } else { None }
    }

    /// What a VM of a pool takes with these cores, this memory and these GPUs, at this price; the VO's budget reserves for the time that it is
    /// expected to live.
    pub fn amount(&self, pool: usize, vo: usize, [cores, ram_mib, gpus, price]: [u64; 4]) -> Amount {
        let reserved = self.snapshot.vos[vo].budget.as_ref().map_or(0, |budget| {
            let per_hour = match budget.unit {
                Unit::Money(_) => price,
                Unit::CoreHours => cores.saturating_mul(3_600),
            };
            budget.unit.cost(per_hour, self.snapshot.pools[pool].life_seconds.min(budget.period))
        });
        [1, cores, ram_mib, gpus, reserved]
    }

    /// The accounts that a launch touches whatever is held, and whom each concerns.
    fn fixed(&self, thought: Thought<'_>) -> impl Iterator<Item = (Number, Concerns)> + use<> {
        let Thought { pool, vo, offer, .. } = thought;
        let all = [
            Some((self.plan, Concerns::Plan)),
            Some((self.pools[pool], Concerns::Some)),
            Some((self.vos[vo], Concerns::Some)),
            self.budgets[vo].map(|n| (n, Concerns::Some)),
            self.unpriced(vo, offer).map(|n| (n, Concerns::Some)),
            Some((self.sites[pool], Concerns::Some)),
            Some((self.installation, Concerns::Some)),
            Some((self.ceilings[offer.cloud], Concerns::Offer)),
            offer.offering.quota.and_then(|q| self.quotas.get(q)).map(|n| (*n, Concerns::Offer)),
        ];
        all.into_iter().flatten()
    }

    /// The accounts of the holds and closings that concern a launch.
    fn held<'s>(&'s self, thought: Thought<'s>) -> impl Iterator<Item = (Number, Concerns)> + 's {
        let Thought { offer, class, .. } = thought;
        let closings = self.closings_of[offer.cloud].iter().filter_map(move |i| {
            let binds = self.snapshot.closings[*i].binds(offer.offering, class);
            binds.then_some((self.closings[*i], Concerns::Some))
        });
        self.near.of(thought).map(|(i, concerns)| (self.holds[i], concerns)).chain(closings)
    }

    /// The closings within whose bounds a launch need not be, with their accounts.
    fn beyond<'s>(&'s self, thought: Thought<'s>) -> impl Iterator<Item = (&'s Closing, Number)> + 's {
        let Thought { offer, class, .. } = thought;
        let all = self.closings_of[offer.cloud].iter().map(|i| (&self.snapshot.closings[*i], self.closings[*i]));
        all.filter(move |(closing, _)| !closing.binds(offer.offering, class))
    }

    /// The accounts that a launch touches, and whom each concerns.
    fn touched<'s>(&'s self, thought: Thought<'s>) -> impl Iterator<Item = (Number, Concerns)> + 's {
        self.fixed(thought).chain(self.held(thought))
    }

    /// The first account that has no room, and whom it concerns. Jobs wait only where nothing else binds.
    pub fn obstacle(&self, thought: Thought<'_>) -> Option<Concerns> {
        let each = self.each(thought);
        let lacking = self.touched(thought).filter(|(n, _)| self.accounts[*n].lacks(each).is_some());
        let mut waits = (self.restraint.room(thought.number) == 0).then_some(Concerns::OfferWaits);
        if waits.is_none() && self.room_of_class(thought) == 0 {
            waits = Some(Concerns::SomeWait);
        }
        for (_, concerns) in lacking {
            match concerns {
                Concerns::OfferWaits => waits = Some(concerns),
                Concerns::SomeWait => waits = waits.or(Some(concerns)),
                other => return Some(other),
            }
        }
        waits
    }

    /// All accounts that have no room.
    pub fn binding<'s>(&'s self, thought: Thought<'s>) -> impl Iterator<Item = (Number, Lack)> + 's {
        let each = self.each(thought);
        let restrained = (self.restraint.room(thought.number) == 0).then_some((self.restrained, Restraint::LACK));
        let lacking = self.touched(thought).filter_map(move |(n, _)| Some((n, self.accounts[n].lacks(each)?)));
        let untried = (self.room_of_class(thought) == 0).then_some((self.untried, Restraint::LACK));
        lacking.chain(restrained).chain(untried)
    }

    /// How many such VMs have room.
    pub fn room(&self, thought: Thought<'_>) -> u64 {
        let each = self.each(thought);
        // While some may stay beyond a closing, these come first; the others are cut.
        let stay = self.beyond(thought).map(|(_, n)| self.accounts[n].room(each)).filter(|room| *room > 0);
        let room = self.touched(thought).map(|(n, _)| self.accounts[n].room(each)).chain(stay).min().unwrap_or(0);
        room.min(self.restraint.room(thought.number)).min(self.room_of_class(thought))
    }

    /// How many VMs may be made for a class of which nothing is known.
    fn room_of_class(&self, thought: Thought<'_>) -> u64 {
        match thought.class.filter(|_| self.restraint.bounds_classes() && !self.near.knows(thought)) {
            Some(class) => self.restraint.room_of_class((thought.pool, thought.number, thought.vo), class),
            None => u64::MAX,
        }
    }

    /// Takes `vms` such VMs from all accounts that they touch. How each is cut.
    pub fn take(&mut self, thought: Thought<'_>, vms: u64) -> Option<Cut> {
        let one = self.each(thought);
        let each = one.map(|n| n.saturating_mul(vms));
        let mut touched: Vec<Number> = self.touched(thought).map(|(n, _)| n).collect();
        let cpu_time = self.snapshot.pools[thought.pool].cpu_time;
        let mut cuts: Vec<Cut> = Vec::new();
        for (closing, n) in self.beyond(thought) {
            match closing.beyond(thought.offer.offering, thought.class, cpu_time) {
                Beyond::Ends => {}
                Beyond::Cut(cut) if self.accounts[n].room(one) < vms => cuts.push(cut),
                Beyond::Cut(_) | Beyond::Stays => touched.push(n),
            }
        }
        touched.into_iter().for_each(|n| self.accounts[n].take(each));
        self.restrain(thought, vms);
        cuts.into_iter().min_by_key(|cut| (cut.until, cut.cpu_time))
    }

    /// Counts VMs where nothing is known yet.
    fn restrain(&mut self, thought: Thought<'_>, vms: u64) {
        self.restraint.take(thought.number, vms);
        if let Some(class) = thought.class.filter(|_| self.restraint.bounds_classes()) {
            self.restraint.take_for((thought.pool, thought.number, thought.vo), class, vms);
        }
    }

    /// Whether the VM of the launch `first` may as well be bought as `other`, which is the same in another place: what is held there and
    /// not at the first place has room for it. If so, it takes that room.
    pub fn also(&mut self, first: Thought<'_>, other: Thought<'_>) -> bool {
        let at_first: Vec<usize> = self.near.of(first).map(|(hold, _)| hold).collect();
        let there = self.near.of(other).map(|(hold, _)| hold).filter(|hold| !at_first.contains(hold));
        let there: Vec<Number> = there.map(|hold| self.holds[hold]).collect();
        let each = self.each(other);
        let has_room = self.restraint.room(other.number) > 0
            && self.room_of_class(other) > 0
            && there.iter().all(|n| self.accounts[*n].lacks(each).is_none());
        if has_room {
            there.into_iter().for_each(|n| self.accounts[n].take(each));
            self.restrain(other, 1);
        }
        has_room
    }

    /// Whether the pool has its maximum.
    pub fn is_full(&self, pool: usize) -> bool {
        self.accounts[self.pools[pool]].lacks([1, 0, 0, 0, 0]).is_some()
    }

    /// Whether the plan makes no more VMs.
    pub fn is_done(&self) -> bool {
        self.accounts[self.plan].lacks([1, 0, 0, 0, 0]).is_some()
    }

    /// Whether a VO, its budget or the installation has no room for this.
    pub fn is_closed_for(&self, vo: usize, least: Amount) -> bool {
        let of_all = [Some(self.vos[vo]), self.budgets[vo], Some(self.installation)];
        of_all.into_iter().flatten().any(|n| self.accounts[n].lacks(least).is_some())
    }

    /// Whether a VO, its budget, the site of a pool or the installation has no room for this.
    pub fn is_closed(&self, pool: usize, vo: usize, least: Amount) -> bool {
        self.accounts[self.sites[pool]].lacks(least).is_some() || self.is_closed_for(vo, least)
    }

    /// The number of the account of a pool's site.
    pub fn site(&self, pool: usize) -> Number {
        self.sites[pool]
    }

    /// How many accounts there are.
    pub fn count(&self) -> usize {
        self.accounts.len()
    }

    pub fn account(&self, number: Number) -> &Account {
        &self.accounts[number]
    }

    /// A pool that borrows has no maximum of its own any more.
    pub fn lend(&mut self, pool: usize) {
        self.accounts[self.pools[pool]].lift();
    }

    /// How far the ceiling of the cloud with this index is used, in hundredths.
    pub fn fullness(&self, cloud: usize) -> u64 {
        self.accounts[self.ceilings[cloud]].percent()
    }
}
