//! Budgets and prices of manifests, and what statuses say of them, in the words of the broker and back. Pure.

use std::sync::Arc;

use broker::experience::{NoRate, Price, Terms, Unit, Written};
use crds::{
    Cloud, PilotVM, VirtualOrganization,
    organization::{self, Ledger},
};
use jiff::Timestamp;

use crate::{
    amounts::{count, whole},
    life::place,
    resolve::currency,
};

/// Money where the budget has an `amount`, else core-hours.
pub fn unit(budget: &organization::Budget) -> Unit {
    let currency = budget.currency.as_deref().unwrap_or_default();
    if budget.amount.is_some() { Unit::Money(currency.into()) } else { Unit::CoreHours }
}

/// Seconds that a VM lives at the longest before it finds no work, as far as its manifest says: it boots, runs one job, and waits.
pub fn expected(boot_deadline: crds::Duration, max_cpu_time: crds::Duration, idle_timeout: crds::Duration) -> u64 {
    let all = [boot_deadline, max_cpu_time, idle_timeout];
    all.into_iter().fold(0, |sum, one| sum.saturating_add(one.as_secs()))
}

/// What the manifest allows.
pub fn terms(vo: &VirtualOrganization) -> Option<Terms> {
    let budget = vo.spec.budget.as_ref()?;
    let hours = budget.core_hours.map_or(0, count).saturating_mul(3_600);
    Some(Terms {
        unit: unit(budget),
        sum: budget.amount.map_or(hours, crds::Price::micros),
        period: budget.period.as_secs().max(1),
    })
}

/// What an hour of the VM costs.
pub fn rate(vm: &PilotVM, unit: &Unit, clouds: &[Arc<Cloud>], vos: &[Arc<VirtualOrganization>]) -> Result<u64, NoRate> {
    let bought = &vm.spec.offering;
    let cloud = clouds.iter().find(|cloud| cloud.metadata.name.as_ref() == Some(&vm.spec.cloud_ref.name));
    let price = place(vm).1.map(|price| Price {
        micros: price.micros(),
        currency: currency(cloud.map(Arc::as_ref), vos).unwrap_or_default().into(),
    });
    unit.per_hour(count(bought.cores), price.as_ref())
}

/// As the VO's status holds it: [`written`] reads it back.
pub fn ledger(written: &Written) -> Ledger {
    Ledger {
        currency: match &written.unit {
            Unit::Money(currency) => Some(currency.to_string()),
            Unit::CoreHours => None,
        },
        at: written.at.as_second(),
        accrued: whole(written.accrued),
        step: whole(written.step),
        first: written.first,
        sums: written.sums.iter().map(|sum| whole(*sum)).collect(),
    }
}

/// As the budget counts with it, read from the VO's status.
pub fn written(ledger: &Ledger) -> Written {
    Written {
        unit: ledger.currency.as_deref().map_or(Unit::CoreHours, |currency| Unit::Money(currency.into())),
        at: Timestamp::from_second(ledger.at).unwrap_or_default(),
        accrued: count(ledger.accrued),
        step: count(ledger.step),
        first: ledger.first,
        sums: ledger.sums.iter().map(|sum| count(*sum)).collect(),
    }
}
