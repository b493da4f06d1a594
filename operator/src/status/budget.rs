//! Budgets: what a VO says of what was spent, and whether something is left.

use crds::{
    ConditionType, Reason, VirtualOrganization,
    organization::{BudgetStatus, Used, VirtualOrganizationStatus},
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;

use super::pass::Beside;
use crate::{
    amounts::whole,
    conditions::Conditions,
    known::accounts::{Accounts, Told, ledger},
    resolve::currency,
};

/// What the VO held lately, and how its budget stands. What was not counted since the start is not nothing, and what another replica wrote
/// down after this one counted last is newer: the last numbers stay.
pub fn standing(
    accounts: Option<&Accounts>,
    vo: &VirtualOrganization,
    old: Option<&VirtualOrganizationStatus>,
) -> (Option<Used>, Option<BudgetStatus>) {
    let known = accounts.filter(|accounts| accounts.is_known());
    let Some(accounts) = known else {
        return old.map(|old| (old.used.clone(), old.budget.clone())).unwrap_or_default();
    };
    let used = accounts.used(&vo.name_any());
    let used = Used { cores: whole(used.cores), ram_gib: whole(used.ram_mib / 1_024), gpus: whole(used.gpus) };
    let told = accounts.told(&vo.name_any()).map(budget);
    let written = old.and_then(|old| old.budget.as_ref());
    let newer = written.filter(|old| told.as_ref().is_some_and(|told| old.ledger.at > told.ledger.at));
    (Some(used), newer.cloned().or(told))
}

fn budget(told: &Told) -> BudgetStatus {
    let (standing, unit) = (&told.standing, &told.written.unit);
    BudgetStatus {
        spent: unit.amount(standing.so_far()),
        reserved: unit.amount(standing.ahead()),
        left: unit.amount(standing.left),
        ends: standing.ends.map(Time),
        ledger: ledger(&told.written),
    }
}

/// Says whether the budget has something left, and of which prices nothing is known in its currency.
pub fn funded(accounts: Option<&Accounts>, vo: &VirtualOrganization, beside: &Beside, conditions: &mut Conditions) {
    let (funded, name) = (ConditionType::Funded, vo.name_any());
    let Some(said) = &vo.spec.budget else { return conditions.retract(funded) };
    let Some(told) = accounts.and_then(|accounts| accounts.told(&name)) else {
        return conditions.says(funded, None, Reason::NotRead, "what was spent has not been counted since the start");
    };
    let mut more: Vec<String> = Vec::new();
    if told.unpriced > 0 {
        more.push(format!(
            "{} VMs have no price in the currency of the budget, and are counted as if they cost nothing",
            told.unpriced
        ));
    }
    if let Some(own) = said.currency.as_deref() {
        more.extend(others(&name, own, beside));
    }
    let more = more.into_iter().fold(String::new(), |all, text| format!("{all}; {text}"));
    let (unit, standing) = (&told.written.unit, &told.standing);
    if standing.left == 0 {
        let text = format!(
            "nothing of spec.budget is left for new VMs: {} are spent and {} reserved for VMs that are there{more}",
            unit.amount(standing.so_far()),
            unit.amount(standing.ahead()),
        );
        return conditions.says(funded, Some(false), Reason::Budget, &text);
    }
    let text = format!("{} of spec.budget are left for new VMs{more}", unit.amount(standing.left));
    conditions.says(funded, Some(true), Reason::Funded, &text);
}

/// What is to be said of clouds of the VO's pools whose prices are in another currency, or in nobody knows which.
fn others(vo: &str, own: &str, beside: &Beside) -> Option<String> {
    let pools = || beside.pools.iter().filter(|pool| pool.spec.vos.iter().any(|name| name == vo));
    let is_ours = |name: &str| pools().any(|pool| pool.spec.clouds.iter().any(|cloud| cloud.name == name));
    let priced = beside.clouds.iter().filter(|cloud| is_ours(&cloud.name_any()) && !cloud.spec.prices.is_empty());
    let other = priced.filter_map(|cloud| match currency(Some(cloud), &beside.vos) {
        Some(currency) if currency == own => None,
        Some(currency) => Some(format!("those of Cloud {} are in {currency}", cloud.name_any())),
        None => Some(format!(
            "of those of Cloud {} nobody knows the currency, since budgets name several (write its spec.currency)",
            cloud.name_any()
        )),
    });
    let other: Vec<String> = other.collect();
    (!other.is_empty())
        .then(|| format!("prices are not converted, so nothing that has one is bought there: {}", other.join(", ")))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::{Value, json};

    use super::*;
    use crate::known::accounts::Seen;

    fn object<K: serde::de::DeserializeOwned>(name: &str, spec: Value) -> Arc<K> {
        let metadata = json!({"name": name, "namespace": "n"});
        Arc::new(serde_json::from_value(json!({"metadata": metadata, "spec": spec})).unwrap())
    }

    fn vo(budget: Value) -> Arc<VirtualOrganization> {
        object(
            "v",
            json!({"installationRef": {"name": "i"}, "diracName": "v", "pilot": {"group": "g"}, "budget": budget}),
        )
    }

    fn beside(vo: &Arc<VirtualOrganization>, currency: &str) -> Beside {
        let cloud = json!({"siteRef": {"name": "s"}, "currency": currency, "prices": [{"flavor": "c8", "perHour": "0.4"}], "simulated": {"flavors": []}});
        let pool = json!({"siteRef": {"name": "s"}, "vos": ["v"], "clouds": [{"name": "c"}], "machine": {"flavors": ["c8"]},
            "matching": {"maxCpuTime": "24h"}, "scaling": {"max": 3}});
        Beside {
            vos: vec![vo.clone()],
            clouds: vec![object("c", cloud)],
            pools: vec![object("p", pool)],
            ..Beside::default()
        }
    }

    fn says(vo: &Arc<VirtualOrganization>, currency: &str) -> (String, String, String) {
        let beside = beside(vo, currency);
        let mut accounts = Accounts::default();
        let (vos, clouds, pools) = (&beside.vos, &beside.clouds, &beside.pools);
        accounts.round(&Seen { installation: "i", vms: &[], vos, pools, clouds, now: jiff::Timestamp::UNIX_EPOCH });
        let mut conditions = Conditions::of(None, None, jiff::Timestamp::UNIX_EPOCH);
        funded(Some(&accounts), vo, &beside, &mut conditions);
        let said = ConditionType::Funded.among(conditions.all()).unwrap();
        (said.status.clone(), said.reason.clone(), said.message.clone())
    }

    #[test]
    fn a_budget_says_what_is_left_and_which_prices_do_not_count() {
        let euros = vo(json!({"amount": "5", "currency": "EUR", "period": "1d"}));
        let (status, reason, message) = says(&euros, "EUR");
        assert_eq!((status.as_str(), reason.as_str()), ("True", "Funded"));
        assert_eq!(message, "5.00 EUR of spec.budget are left for new VMs");
        assert!(says(&euros, "CHF").2.contains("those of Cloud c are in CHF"), "{}", says(&euros, "CHF").2);
        let none = vo(json!({"amount": "0", "currency": "EUR", "period": "1d"}));
        assert_eq!(says(&none, "EUR").1, "Budget");
        let hours = vo(json!({"coreHours": 7, "period": "1d"}));
        assert_eq!(says(&hours, "CHF").2, "7.0 core-hours of spec.budget are left for new VMs");
    }

    #[test]
    fn what_was_not_counted_since_the_start_stays_as_it_was() {
        let euros = vo(json!({"amount": "5", "currency": "EUR", "period": "1d"}));
        let old = VirtualOrganizationStatus {
            budget: Some(BudgetStatus { spent: "3.00 EUR".into(), ..BudgetStatus::default() }),
            ..VirtualOrganizationStatus::default()
        };
        assert_eq!(standing(Some(&Accounts::default()), &euros, Some(&old)).1, old.budget);
        assert_eq!(standing(None, &euros, Some(&old)).1, old.budget);
    }

    #[test]
    fn what_another_replica_wrote_down_since_is_not_written_over() {
        let euros = vo(json!({"amount": "5", "currency": "EUR", "period": "1d"}));
        let mut accounts = Accounts::default();
        let (vos, now) = ([euros.clone()], jiff::Timestamp::from_second(1_000).unwrap());
        accounts.round(&Seen { installation: "i", vms: &[], vos: &vos, pools: &[], clouds: &[], now });
        let spent = |at: i64| {
            let ledger = crds::organization::Ledger { at, ..Default::default() };
            let budget = Some(BudgetStatus { spent: "3.00 EUR".into(), ledger, ..BudgetStatus::default() });
            let old = VirtualOrganizationStatus { budget, ..VirtualOrganizationStatus::default() };
            standing(Some(&accounts), &euros, Some(&old)).1.unwrap().spent
        };
        assert_eq!((spent(999).as_str(), spent(1_001).as_str()), ("0.00 EUR", "3.00 EUR"));
    }
}
