//! What VOs may spend, and in what prices are, in the words of the plan. Pure.

use std::sync::Arc;

use broker::plan::Budget;
use crds::{Cloud, PilotPool, VirtualOrganization, organization::WithoutPrice};
use kube::ResourceExt;

use super::world::World;
use crate::{
    known::accounts::{expected, unit},
    resolve::currency,
};

/// What the VO may still spend. Before its budget was counted for the first time nothing may be.
pub fn budget(world: &World, vo: &VirtualOrganization) -> Option<Budget> {
    let said = vo.spec.budget.as_ref()?;
    Some(Budget {
        unit: unit(said),
        left: world.figures.left.get(&vo.name_any()).copied().unwrap_or(0),
        period: said.period.as_secs(),
        unpriced_is_free: said.without_price == WithoutPrice::Free,
    })
}

/// Seconds that a new VM of the pool is expected to live: as those that ended did on average, or else as its manifest lets one expect.
pub fn life_seconds(world: &World, pool: &PilotPool) -> u64 {
    let (scaling, matching) = (&pool.spec.scaling, &pool.spec.matching);
    let said = || expected(scaling.boot_deadline, matching.max_cpu_time, scaling.idle_timeout);
    world.figures.lives.get(&pool.name_any()).copied().unwrap_or_else(said)
}

/// The currency of the cloud's prices.
pub fn prices_in(world: &World, cloud: &Cloud) -> Option<Arc<str>> {
    currency(Some(cloud), &world.vos).map(Arc::from)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use crds::organization::{BudgetStatus, VirtualOrganizationStatus};
    use jiff::{SignedDuration, Timestamp};
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
    use serde_json::json;

    use super::super::{
        order::pilot_vm,
        snapshot::{snapshot, tests},
    };
    use crate::known::accounts::{Accounts, Seen, ledger};

    /// Three days of more jobs than the budget pays for: VMs live three hours, and the operator restarts every five hours. A VM costs 0.10 an
    /// hour, and 5 may be spent in a day.
    #[test]
    fn a_budget_is_kept_over_days_and_restarts() {
        let mut world = tests::world(|w| {
            w["vms"] = json!([]);
            w["vos"][0]["spec"]["budget"] = json!({"amount": "5", "currency": "EUR", "period": "1d"});
            w["pools"][0]["spec"]["scaling"]["max"] = json!(1_000);
            w["pools"][0]["spec"]["matching"]["maxCpuTime"] = json!("2h");
            w["clouds"][0]["headroom"] = json!(["2026-11-24T11:59:30Z", {"classes": []}]);
        });
        let begin = world.now;
        let mut accounts = Accounts::default();
        let mut lives: Vec<(Timestamp, Timestamp)> = Vec::new();
        let (mut made, mut most) = (0, 0.0_f64);
        for step in 0..3 * 24 * 12 {
            world.now = begin + SignedDuration::from_mins(5 * step);
            let now = world.now;
            if step % 60 == 0 {
                accounts = Accounts::default();
            }
            world.vms.retain(|vm| {
                vm.status.as_ref().unwrap().launched_at.as_ref().unwrap().0 + SignedDuration::from_hours(3) > now
            });
            let clouds: Vec<_> = world.clouds.iter().map(|view| view.object.clone()).collect();
            let (vms, vos, pools) = (&world.vms, &world.vos, &world.pools);
            accounts.round(&Seen { installation: "i", vms, vos, pools, clouds: &clouds, now });
            let ledger = ledger(&accounts.told("biomed").unwrap().written);
            let status = VirtualOrganizationStatus {
                budget: Some(BudgetStatus { ledger, ..BudgetStatus::default() }),
                ..VirtualOrganizationStatus::default()
            };
            Arc::make_mut(&mut world.vos[0]).status = Some(status);
            world.figures = accounts.figures(now);
            let plan = broker::plan::plan(&snapshot(&world, vec![tests::queue(4_000)]));
            for launch in &plan.launches {
                made += 1;
                let mut vm = pilot_vm(&world, launch, |_| format!("cpu-{made}")).unwrap();
                vm.metadata.uid = Some(format!("u{made}"));
                vm.metadata.creation_timestamp = Some(Time(now));
                vm.status = Some(crds::vm::PilotVMStatus { launched_at: Some(Time(now)), ..Default::default() });
                world.vms.push(Arc::new(vm));
                lives.push((now, now + SignedDuration::from_hours(3)));
            }
            let day = now - SignedDuration::from_hours(24);
            let hours = |(from, to): &(Timestamp, Timestamp)| {
                let (from, to) = ((*from).max(day), (*to).min(now));
                if to > from { to.duration_since(from).as_secs_f64() / 3_600.0 } else { 0.0 }
            };
            most = most.max(lives.iter().map(hours).sum::<f64>() * 0.10);
        }
        // The first were expected to live 2 h 25 min and lived 3 h: they passed their reservations by a quarter.
        assert!(most <= 5.0 * 3.0 / (2.0 + 25.0 / 60.0) + 0.1, "{most}");
        assert!(most > 4.5, "what may be spent is spent: {most}");
        assert!(made > 45, "day by day: {made}");
    }
}
