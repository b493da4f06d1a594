//! Limits that hold at once: the pool's, the VO's, the cloud's ceiling and the provider's quota.

use crate::plan::{Limits, Offering};

/// One limit and what is taken of it.
#[derive(Clone, Debug, Default)]
pub struct Account {
    limits: Limits,
    used: [u64; 4],
}

/// Names and units of what an account counts.
const WHAT: [&str; 4] = ["VMs", "cores", "MiB of memory", "GPUs"];

fn wants(offering: &Offering) -> [u64; 4] {
    [1, offering.cores, offering.ram_mib, offering.gpus]
}

impl Account {
    /// Nothing taken yet.
    pub fn new(limits: Limits) -> Self {
        Self { limits, used: [0; 4] }
    }

    /// Takes one VM, whatever the limit: it exists.
    pub fn take(&mut self, offering: &Offering) {
        for (used, want) in self.used.iter_mut().zip(wants(offering)) {
            *used += want;
        }
    }

    /// What keeps one more VM out: the thing, its limit, and what is lacking.
    fn lacks(&self, offering: &Offering) -> Option<(&'static str, u64, u64)> {
        let limits = [self.limits.vms, self.limits.cores, self.limits.ram_mib, self.limits.gpus];
        let all = limits.into_iter().zip(self.used).zip(wants(offering)).zip(WHAT);
        all.filter(|(((_, _), want), _)| *want > 0).find_map(|(((limit, used), want), what)| {
            let limit = limit?;
            let after = used + want;
            (after > limit).then(|| (what, limit, after - limit))
        })
    }
}

/// The limit that keeps a VM from being made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    /// Machine-readable reason.
    pub reason: &'static str,
    /// The sentence: the limit, and what more of it would bring.
    pub message: String,
}

/// The accounts of all pools, VOs and clouds.
#[derive(Clone, Debug, Default)]
pub struct Accounts {
    /// By index of the pool.
    pub pools: Vec<Account>,
    /// By index of the VO.
    pub vos: Vec<Account>,
    /// The administrator's ceilings, by index of the cloud.
    pub ceilings: Vec<Account>,
    /// The providers' quotas, by index of the cloud.
    pub quotas: Vec<Account>,
}

impl Accounts {
    /// The limit that keeps this VM out, the pool's own first; `None`: there is room in all of them.
    pub fn binding(&self, names: [&str; 3], [pool, vo, cloud]: [usize; 3], offering: &Offering) -> Option<Binding> {
        let [pool_name, vo_name, cloud_name] = names;
        let all = [
            (&self.pools[pool], "PoolMax", format!("pool {pool_name} (spec.scaling.max)")),
            (&self.vos[vo], "VoLimit", format!("VO {vo_name} (spec.limits)")),
            (&self.ceilings[cloud], "CloudCeiling", format!("cloud {cloud_name} (spec.ceiling)")),
            (&self.quotas[cloud], "CloudQuota", format!("the provider's quota of cloud {cloud_name}")),
        ];
        all.into_iter().find_map(|(account, reason, whose)| {
            let (what, limit, lacking) = account.lacks(offering)?;
            let message = format!(
                "{whose} leaves no room: {limit} {what} allowed; {lacking} more would start one more {} on {cloud_name}",
                offering.flavor
            );
            Some(Binding { reason, message })
        })
    }

    /// Takes one new VM from all of them.
    pub fn take(&mut self, [pool, vo, cloud]: [usize; 3], offering: &Offering) {
        self.pools[pool].take(offering);
        self.vos[vo].take(offering);
        self.ceilings[cloud].take(offering);
        self.quotas[cloud].take(offering);
    }
}
