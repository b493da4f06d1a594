//! Which accounts a launch touches.

use std::collections::HashMap;

use super::{
    Reason,
    account::{Account, Amount, Lack, Number, amount},
    job_class::JobClass,
    market::Offer,
    restraint::Restraint,
    snapshot::{Limits, LiveVm, Snapshot, Vo, places},
};
use crate::experience::money::Unit;

/// A launch that is thought of.
#[derive(Clone, Copy)]
pub struct Thought<'a> {
    /// Index of the pool.
    pub pool: usize,
    /// Index of the VO.
    pub vo: usize,
    /// The class of the jobs; `None`: it is made for none.
    pub class: Option<&'a JobClass>,
    /// What is bought.
    pub offer: Offer<'a>,
    /// The number of the offer.
    pub number: u32,
}

/// Whom an account concerns: what is full for all is not looked at again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Concerns {
    /// Every launch of the plan.
    Plan,
    /// Every launch of this pool.
    Pool,
    /// Every launch of this offer with the same image.
    Offer,
    /// Only some.
    Some,
    /// Only some, whose jobs wait for it and get nothing dearer.
    Waits,
}

/// All accounts.
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
    /// By number of the offer: indices of the holds that may concern it.
    holds_of: Vec<Vec<usize>>,
    /// Holds that name no offer.
    holds_of_all: Vec<usize>,
    restraint: Restraint,
    /// What binds where restraint does.
    restrained: Number,
}

impl<'a> Books<'a> {
    /// The accounts of a snapshot, with what its VMs hold.
    pub fn new(snapshot: &'a Snapshot) -> Self {
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
        let most = Limits { vms: snapshot.rules.most_launches, ..Limits::default() };
        let plan = open(Account::new(Reason::Pace, "one round".to_owned(), most));
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
        let holds =
            snapshot.holds.iter().map(|h| open(Account::new(h.reason, h.message.clone(), vms(h.most)))).collect();
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
            holds_of: Vec::new(),
            holds_of_all: Vec::new(),
            restraint: Restraint::default(),
            restrained,
        };
        books.charge_all();
        books.place_holds();
        books
    }

    fn charge_all(&mut self) {
        let snapshot = self.snapshot;
        let pools = places(snapshot.pools.iter().map(|p| &p.name));
        let vos = places(snapshot.vos.iter().map(|v| &v.name));
        let clouds = places(snapshot.clouds.iter().map(|c| &c.name));
        for (c, cloud) in snapshot.clouds.iter().enumerate() {
            self.accounts[self.ceilings[c]].take_others(cloud.others);
        }
        // A VM whose pool is gone belongs to its site all the same.
        let sites: HashMap<&str, Number> =
            snapshot.pools.iter().zip(&self.sites).map(|(p, n)| (p.site.as_str(), *n)).collect();
        for vm in &snapshot.vms {
            let each = amount(&vm.offering, 0);
            let pool = pools.get(vm.pool.as_str());
            let known = [
                pool.map(|p| self.pools[*p]),
                sites.get(vm.says.site.as_str()).copied().or(pool.map(|p| self.sites[*p])),
                vos.get(vm.vo.as_str()).map(|v| self.vos[*v]),
                clouds.get(vm.cloud.as_str()).map(|c| self.ceilings[*c]),
                Some(self.installation),
                self.quota_of(vm),
            ];
            known.into_iter().flatten().for_each(|n| self.accounts[n].take(each));
        }
    }

    fn quota_of(&self, vm: &LiveVm) -> Option<Number> {
        if vm.counted { None } else { self.quotas.get(vm.offering.quota?).copied() }
    }

    fn place_holds(&mut self) {
        let snapshot = self.snapshot;
        let names_offer = |i: &usize| {
            let hold = &snapshot.holds[*i];
            hold.cloud.is_some()
                || hold.flavor.is_some()
                || hold.zone.is_some()
                || hold.purchase.is_some()
                || hold.quota.is_some()
        };
        let (of_offers, of_all): (Vec<usize>, Vec<usize>) = (0..snapshot.holds.len()).partition(names_offer);
        self.holds_of_all = of_all;
        // By cloud, so that each offer meets few holds.
        let mut by_cloud: HashMap<Option<&str>, Vec<usize>> = HashMap::new();
        for i in of_offers {
            by_cloud.entry(snapshot.holds[i].cloud.as_deref()).or_default().push(i);
        }
        for cloud in &snapshot.clouds {
            let near = [by_cloud.get(&Some(cloud.name.as_str())), by_cloud.get(&None)];
            let mut by_flavor: HashMap<Option<&str>, Vec<usize>> = HashMap::new();
            for i in near.into_iter().flatten().flatten() {
                by_flavor.entry(snapshot.holds[*i].flavor.as_deref()).or_default().push(*i);
            }
            for offering in &cloud.offerings {
                let near = [by_flavor.get(&Some(offering.flavor.as_str())), by_flavor.get(&None)];
                let agrees = |i: &&usize| {
                    let hold = &snapshot.holds[**i];
                    hold.zone.as_ref().is_none_or(|zone| *zone == offering.zone)
                        && hold.purchase.is_none_or(|purchase| purchase == offering.purchase)
                        && hold.quota.is_none_or(|quota| Some(quota) == offering.quota)
                };
                self.holds_of.push(near.into_iter().flatten().flatten().filter(agrees).copied().collect());
            }
        }
        let is_known = |holds: &Vec<usize>| holds.iter().any(|i| snapshot.holds[*i].is_of_an_offering());
        self.restraint = Restraint::new(snapshot.rules.fresh, self.holds_of.iter().map(is_known));
    }

    /// What a launch takes; the budget reserves for the time that it is expected to live.
    pub fn each(&self, thought: Thought<'_>) -> Amount {
        let offering = thought.offer.offering;
        let Some(budget) = &self.snapshot.vos[thought.vo].budget else { return amount(offering, 0) };
        let life = self.snapshot.pools[thought.pool].life_seconds.min(budget.period);
        let per_hour = match budget.unit {
            Unit::Money(_) => offering.price_micros.unwrap_or(0),
            Unit::CoreHours => offering.cores.saturating_mul(3_600),
        };
        amount(offering, budget.unit.cost(per_hour, life))
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

    /// The accounts that a launch touches, and whom each concerns.
    fn touched<'s>(&'s self, thought: Thought<'s>) -> impl Iterator<Item = (Number, Concerns)> + 's {
        let Thought { pool, vo, offer, class, .. } = thought;
        let fixed = [
            Some((self.plan, Concerns::Plan)),
            Some((self.pools[pool], Concerns::Pool)),
            Some((self.vos[vo], Concerns::Some)),
            self.budgets[vo].map(|n| (n, Concerns::Some)),
            self.unpriced(vo, offer).map(|n| (n, Concerns::Some)),
            Some((self.sites[pool], Concerns::Some)),
            Some((self.installation, Concerns::Some)),
            Some((self.ceilings[offer.cloud], Concerns::Offer)),
            offer.offering.quota.and_then(|q| self.quotas.get(q)).map(|n| (*n, Concerns::Offer)),
        ];
        let near = self.holds_of.get(thought.number as usize).map_or(&[][..], Vec::as_slice);
        let holds = near.iter().chain(&self.holds_of_all).filter_map(move |i| {
            let concerns = self.concerned(*i, pool, vo, class)?;
            Some((self.holds[*i], concerns))
        });
        fixed.into_iter().flatten().chain(holds)
    }

    fn concerned(&self, i: usize, pool: usize, vo: usize, class: Option<&JobClass>) -> Option<Concerns> {
        let hold = &self.snapshot.holds[i];
        let of_pool = &self.snapshot.pools[pool];
        let agrees = hold.image.as_ref().is_none_or(|image| *image == of_pool.image)
            && hold.pool.as_ref().is_none_or(|name| *name == of_pool.name)
            && hold.vo.as_ref().is_none_or(|name| *name == self.snapshot.vos[vo].name)
            && hold.class.as_ref().is_none_or(|wanted| class == Some(wanted));
        let all = hold.pool.is_none() && hold.vo.is_none() && hold.class.is_none();
        let concerns = match hold.waits {
            true => Concerns::Waits,
            false if all => Concerns::Offer,
            false => Concerns::Some,
        };
        agrees.then_some(concerns)
    }

    /// The first account that has no room, and whom it concerns. Jobs wait only where nothing else binds.
    pub fn obstacle(&self, thought: Thought<'_>) -> Option<Concerns> {
        let each = self.each(thought);
        let lacking = self.touched(thought).filter(|(n, _)| self.accounts[*n].lacks(each).is_some());
        let mut waits = self.restraint.room(thought.number) == 0;
        for (_, concerns) in lacking {
            match concerns {
                Concerns::Waits => waits = true,
                other => return Some(other),
            }
        }
        waits.then_some(Concerns::Waits)
    }

    /// All accounts that have no room.
    pub fn binding(&self, thought: Thought<'_>) -> Vec<(Number, Lack)> {
        let each = self.each(thought);
        let restrained = (self.restraint.room(thought.number) == 0).then_some((self.restrained, Restraint::LACK));
        let lacking = self.touched(thought).filter_map(|(n, _)| Some((n, self.accounts[n].lacks(each)?)));
        lacking.chain(restrained).collect()
    }

    /// How many such VMs have room.
    pub fn room(&self, thought: Thought<'_>) -> u64 {
        let each = self.each(thought);
        let room = self.touched(thought).map(|(n, _)| self.accounts[n].room(each)).min().unwrap_or(0);
        room.min(self.restraint.room(thought.number))
    }

    /// Takes `vms` such VMs from all accounts that they touch.
    pub fn take(&mut self, thought: Thought<'_>, vms: u64) {
        let each = self.each(thought).map(|n| n.saturating_mul(vms));
        let touched: Vec<Number> = self.touched(thought).map(|(n, _)| n).collect();
        touched.into_iter().for_each(|n| self.accounts[n].take(each));
        self.restraint.take(thought.number, vms);
    }

    /// Whether a hold that concerns the offer names a class of jobs.
    pub fn names_a_class(&self, offer: u32) -> bool {
        let near = self.holds_of.get(offer as usize).map_or(&[][..], Vec::as_slice);
        near.iter().chain(&self.holds_of_all).any(|i| self.snapshot.holds[*i].class.is_some())
    }

    /// The account with this number.
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
