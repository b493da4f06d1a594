//! What VOs may hold and spend, and in what prices are.

use crds::{Cloud, VirtualOrganization, organization, quantity::Ceiling};
use kube::ResourceExt;

use super::model::{self, Limits};
use crate::time::ms;

/// Limits as manifests write them.
pub fn limits(ceiling: Option<&Ceiling>) -> Limits {
    let Some(c) = ceiling else { return Limits::default() };
    let count = |n: Option<i64>| n.map(|n| u64::try_from(n).unwrap_or(0));
    Limits([count(c.vms), count(c.cores), count(c.ram_gib).map(|gib| gib.saturating_mul(1024)), count(c.gpus)])
}

/// A VO as its manifest says it.
pub fn vo(object: &VirtualOrganization) -> model::Vo {
    model::Vo {
        name: object.name_any(),
        groups: object.spec.groups.iter().map(|g| g.name.clone()).collect(),
        share: object.spec.share.and_then(|s| u64::try_from(s).ok()).unwrap_or(1),
        limits: limits(object.spec.limits.as_ref()),
        budget: object.spec.budget.as_ref().map(budget),
    }
}

fn budget(said: &organization::Budget) -> model::Budget {
    let hours = said.core_hours.and_then(|hours| u64::try_from(hours).ok()).unwrap_or(0);
    model::Budget {
        currency: said.amount.map(|_| said.currency.clone().unwrap_or_default()),
        micros: said.amount.map_or(hours.saturating_mul(1_000_000), crds::Price::micros),
        unpriced_is_free: said.without_price == organization::WithoutPrice::Free,
        period: ms(said.period),
    }
}

/// The currency of a cloud's prices: its own, or that which all budgets name.
pub fn currency(cloud: &Cloud, vos: &[VirtualOrganization]) -> Option<String> {
    if let Some(own) = &cloud.spec.currency {
        return Some(own.clone());
    }
    let mut named = vos.iter().filter_map(|vo| vo.spec.budget.as_ref()?.currency.as_ref());
    let first = named.next()?;
    named.all(|other| other == first).then(|| first.clone())
}
