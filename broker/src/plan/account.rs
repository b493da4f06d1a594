//! The limits, which hold all at once. Everything that binds is an account: a pool, a VO, a site, a cloud's ceiling, a provider's quota,
//! the installation, a budget, a hold. A launch is taken from every account that it touches.

use super::{
    Reason,
    snapshot::{Budget, Limits, Offering, Resources},
};
use crate::experience::money::Unit;

/// What an account counts; the last is what a budget counts.
const WHAT: [&str; 4] = ["VMs", "cores", "MiB of memory", "GPUs"];

/// VMs, cores, memory in MiB, GPUs, and the smallest parts of the unit of the VO's budget.
pub type Amount = [u64; 5];

/// What a VM takes; `money`: what is reserved for it in the VO's budget.
pub fn amount(offering: &Offering, money: u64) -> Amount {
    [1, offering.cores, offering.ram_mib, offering.gpus, money]
}

/// What limits, how much, and how much of it is used.
#[derive(Clone, Debug)]
pub struct Account {
    /// The reason that is given where it binds.
    pub reason: Reason,
    /// Whose it is, as the beginning of a sentence, for example "pool cpu (spec.scaling.max)". A hold has its whole sentence here.
    pub whose: String,
    /// In what it counts, where it is a budget.
    pub unit: Option<Unit>,
    limits: [Option<u64>; 5],
    used: Amount,
}

/// The place of an account in [`super::books::Books`].
pub type Number = usize;

impl Account {
    pub fn new(reason: Reason, whose: String, limits: Limits) -> Self {
        let Limits { vms, cores, ram_mib, gpus } = limits;
        Self { reason, whose, unit: None, limits: [vms, cores, ram_mib, gpus, None], used: [0; 5] }
    }

    pub fn of_budget(whose: String, budget: &Budget) -> Self {
        let unit = Some(budget.unit.clone());
        let limits = [None, None, None, None, Some(budget.left)];
        Self { reason: Reason::Budget, whose, unit, limits, used: [0; 5] }
    }

    /// An account from which nothing may be bought: what is bought has no price in the unit of the budget.
    pub fn of_no_price(whose: String, budget: &Budget) -> Self {
        let none = Limits { vms: Some(0), ..Limits::default() };
        Self { unit: Some(budget.unit.clone()), ..Self::new(Reason::NoPrice, whose, none) }
    }

    /// What it counts, in a word: what a [`Lack`] names.
    pub fn word(&self, what: usize) -> String {
        let of_budget = || self.unit.as_ref().map_or_else(String::new, Unit::smallest);
        WHAT.get(what).map_or_else(of_budget, |word| (*word).to_owned())
    }

    /// Takes this from it, also beyond a limit: what exists counts.
    pub fn take(&mut self, amount: Amount) {
        self.used.iter_mut().zip(amount).for_each(|(used, more)| *used = used.saturating_add(more));
    }

    /// Takes what VMs of other installations hold.
    pub fn take_others(&mut self, others: Resources) {
        let Resources { vms, cores, ram_mib, gpus } = others;
        self.take([vms, cores, ram_mib, gpus, 0]);
    }

    /// Gives this back.
    pub fn give(&mut self, amount: Amount) {
        self.used.iter_mut().zip(amount).for_each(|(used, less)| *used = used.saturating_sub(less));
    }

    /// How much of each resource there is for us, where our VMs hold so much of it.
    pub fn whole(&self, held: [u64; 4]) -> [Option<u64>; 4] {
        let whole = |i: usize| Some(self.limits[i]?.saturating_add(held[i]).saturating_sub(self.used[i]));
        std::array::from_fn(whole)
    }

    /// Whether more is used than may be.
    pub fn is_over(&self) -> bool {
        self.limits.iter().zip(self.used).any(|(limit, used)| limit.is_some_and(|limit| used > limit))
    }

    /// How often `each` still has room.
    pub fn room(&self, each: Amount) -> u64 {
        let all = self.limits.iter().zip(self.used).zip(each);
        let rooms = all.filter_map(|((limit, used), each)| limit.as_ref()?.saturating_sub(used).checked_div(each));
        rooms.min().unwrap_or(u64::MAX)
    }

    /// What keeps one more from being made: what is short, its limit, and by how much it would be passed. `None`: there is room.
    pub fn lacks(&self, each: Amount) -> Option<Lack> {
        let all = self.limits.iter().zip(self.used).zip(each).enumerate();
        all.filter(|(_, (_, each))| *each > 0).find_map(|(what, ((limit, used), each))| {
            let (limit, after) = ((*limit)?, used.saturating_add(each));
            (after > limit).then(|| Lack { what, limit, by: after - limit })
        })
    }

    /// Has no limit on VMs any more.
    pub fn lift(&mut self) {
        self.limits[0] = None;
    }

    /// The part of it that is used of what it bounds most tightly, in hundredths: 100 and more is full.
    pub fn percent(&self) -> u64 {
        let parts = self.limits.iter().zip(self.used);
        let percents = parts.filter_map(|(limit, used)| used.saturating_mul(100).checked_div((*limit)?));
        percents.max().unwrap_or(0)
    }
}

/// What is short in an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lack {
    /// What is short: see [`Account::word`].
    pub what: usize,
    /// The limit that one more VM would pass.
    pub limit: u64,
    /// By how much one more VM would pass it.
    pub by: u64,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn account(cores: u64, used: Amount) -> Account {
        let limits = Limits { cores: Some(cores), ..Limits::default() };
        let mut account = Account::new(Reason::VoLimit, "VO biomed (spec.limits)".into(), limits);
        account.take(used);
        account
    }

    #[test]
    fn what_a_vm_does_not_take_is_no_obstacle_though_its_limit_is_passed() {
        let mut account = account(8, [0, 16, 0, 0, 0]);
        assert!(account.is_over());
        assert_eq!((account.lacks([1, 0, 2_048, 1, 7]), account.room([1, 0, 2_048, 1, 7])), (None, u64::MAX));
        assert_eq!(account.lacks([1, 1, 0, 0, 0]), Some(Lack { what: 1, limit: 8, by: 9 }));
        account.give([0, 8, 0, 0, 0]);
        assert!(!account.is_over(), "all of it may be used");
    }

    #[test]
    fn what_is_counted_is_named_and_money_by_its_smallest_part() {
        let words: Vec<_> = (0..4).map(|what| account(8, [0; 5]).word(what)).collect();
        assert_eq!(words, ["VMs", "cores", "MiB of memory", "GPUs"]);
        let budget = Budget { unit: Unit::Money("EUR".into()), left: 5, period: 1, unpriced_is_free: false };
        assert_eq!(Account::of_budget("the budget".into(), &budget).word(4), "millionths of EUR");
    }

    proptest! {
        #[test]
        fn a_limit_lacks_just_what_would_make_room_for_one_more(limit in 0_u64..100, used in 0_u64..150, each in 1_u64..20) {
            let takes = [1, each, 0, 0, 0];
            let before = account(limit, [0, used, 0, 0, 0]);
            prop_assert_eq!(before.room(takes), limit.saturating_sub(used) / each);
            let Some(lack) = before.lacks(takes) else { return Ok(()) };
            prop_assert_eq!(before.room(takes), 0);
            let after = |by| account(limit + by, [0, used, 0, 0, 0]).room(takes);
            prop_assert_eq!((after(lack.by), after(lack.by - 1)), (1, 0));
        }
    }
}
