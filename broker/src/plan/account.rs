//! The limits, which hold all at once: the pool's maximum, the VO's limits, the cloud's ceiling and the provider's quota.

use super::{Limits, Offering, Reason};

/// The limits of one pool, VO or cloud, and how much of them is used.
#[derive(Clone, Debug, Default)]
pub struct Account {
    limits: Limits,
    /// VMs, cores, memory in MiB, GPUs.
    used: [u64; 4],
}

/// What an account counts, with its unit, in the order of [`Account::used`].
const WHAT: [&str; 4] = ["VMs", "cores", "MiB of memory", "GPUs"];

fn wants(offering: &Offering) -> [u64; 4] {
    [1, offering.cores, offering.ram_mib, offering.gpus]
}

impl Account {
    /// An account of which nothing is used.
    pub fn new(limits: Limits) -> Self {
        Self { limits, used: [0; 4] }
    }

    /// Takes one VM of `offering`, also beyond a limit: a VM that exists counts.
    pub fn take(&mut self, offering: &Offering) {
        for (used, want) in self.used.iter_mut().zip(wants(offering)) {
            *used += want;
        }
    }

    /// What keeps one more VM from being made: what is short, its limit, and by how much the VM would pass it. `None`: there is room.
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

/// The limit that keeps a VM from being made. Its sentence is made only when it is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Binding {
    whose: Whose,
    what: &'static str,
    limit: u64,
    lacking: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Whose {
    Pool,
    Vo,
    Ceiling,
    Quota,
}

impl Binding {
    /// Which limit it is, as a reason.
    pub fn reason(&self) -> Reason {
        match self.whose {
            Whose::Pool => Reason::PoolMax,
            Whose::Vo => Reason::VoLimit,
            Whose::Ceiling => Reason::CloudCeiling,
            Whose::Quota => Reason::CloudQuota,
        }
    }

    /// The sentence: the limit, and how much more of it is needed for one more VM. Takes the names of pool, VO and cloud.
    pub fn message(&self, [pool, vo, cloud]: [&str; 3], offering: &Offering) -> String {
        let whose = match self.whose {
            Whose::Pool => format!("pool {pool} (spec.scaling.max)"),
            Whose::Vo => format!("VO {vo} (spec.limits)"),
            Whose::Ceiling => format!("cloud {cloud} (spec.ceiling)"),
            Whose::Quota => format!("the provider's quota of cloud {cloud}"),
        };
        let Self { what, limit, lacking, .. } = self;
        let flavor = &offering.flavor;
        format!(
            "{whose} leaves no room: it allows {limit} {what}; {lacking} more would start one more {flavor} on {cloud}"
        )
    }
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
    /// The providers' quotas, by index of the cloud and of the class.
    pub quotas: Vec<Vec<Account>>,
}

impl Accounts {
    /// The first limit that has no room for this VM, in the order pool, VO, ceiling, quota; `None`: all have room.
    pub fn binding(&self, [pool, vo, cloud]: [usize; 3], offering: &Offering) -> Option<Binding> {
        let all =
            [(&self.pools[pool], Whose::Pool), (&self.vos[vo], Whose::Vo), (&self.ceilings[cloud], Whose::Ceiling)];
        let quota = self.quotas[cloud].get(offering.quota_class).map(|quota| (quota, Whose::Quota));
        all.into_iter().chain(quota).find_map(|(account, whose)| {
            let (what, limit, lacking) = account.lacks(offering)?;
            Some(Binding { whose, what, limit, lacking })
        })
    }

    /// Takes one new VM from the accounts of its pool, VO and cloud.
    pub fn take(&mut self, [pool, vo, cloud]: [usize; 3], offering: &Offering) {
        self.pools[pool].take(offering);
        self.vos[vo].take(offering);
        self.ceilings[cloud].take(offering);
        self.take_quota(cloud, offering);
    }

    /// Takes one VM from the class of quota that it counts against.
    pub fn take_quota(&mut self, cloud: usize, offering: &Offering) {
        if let Some(quota) = self.quotas[cloud].get_mut(offering.quota_class) {
            quota.take(offering);
        }
    }
}
