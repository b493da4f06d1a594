//! What a simulated cloud can still give: its quota, its capacity, and which choice of an order can be had.

use std::{collections::BTreeSet, sync::Arc};

use super::{
    config::{CLASS, SimulatedFlavor},
    machines::State,
};
use crate::cloud::{Allowance, Choice, CloudError, Headroom, Order, Purchase, QuotaClass, Scope};

impl State {
    /// The quota and what is used of it.
    pub fn headroom(&self) -> Headroom {
        let named: BTreeSet<&str> = self.config.flavors.iter().filter_map(|f| f.quota_class.as_deref()).collect();
        Headroom { classes: std::iter::once(CLASS).chain(named).map(|class| self.quota(class)).collect() }
    }

    fn quota(&self, class: &str) -> QuotaClass {
        let (used, limits) = (self.fleet.used(|flavor| self.config.class(flavor) == class), self.config.quota);
        QuotaClass {
            name: class.to_owned(),
            vms: Allowance { limit: limits.vms, used: used.vms },
            cores: Allowance { limit: limits.cores, used: used.cores },
            ram_mib: Allowance { limit: limits.ram_mib, used: used.ram_mib },
            gpus: Allowance { limit: limits.gpus, used: used.gpus },
            ..QuotaClass::default()
        }
    }

    /// The first choice of an order that can be had now; else the refusal of them that reaches furthest.
    pub fn admit(&mut self, order: &Order) -> Result<(Arc<SimulatedFlavor>, Choice), CloudError> {
        if !self.config.images.is_empty() && !self.config.images.contains(&order.image_id) {
            return Err(CloudError::Invalid(format!("there is no image {}", order.image_id)));
        }
        let mut refusal = CloudError::Invalid("the order names no flavor".to_owned());
        let reach = |error: &CloudError| match error {
            CloudError::NoCapacity { scope, .. } | CloudError::Quota { scope, .. } => Some(*scope),
            _ => None,
        };
        for choice in &order.choices {
            match self.admit_one(choice) {
                Ok(flavor) => return Ok((flavor, choice.clone())),
                Err(error) if reach(&error) >= reach(&refusal) => refusal = error,
                Err(_) => {}
            }
        }
        Err(refusal)
    }

    fn admit_one(&mut self, choice: &Choice) -> Result<Arc<SimulatedFlavor>, CloudError> {
        let found = self.config.flavors.iter().find(|f| f.name == choice.flavor).cloned();
        let flavor = found.ok_or_else(|| CloudError::Invalid(format!("there is no flavor {}", choice.flavor)))?;
        if choice.purchase == Purchase::Spot && flavor.spot.is_none() {
            return Err(CloudError::Invalid(format!("flavor {} is not sold as Spot", choice.flavor)));
        }
        if let Some(zone) = choice.zone.as_ref().filter(|zone| !self.config.zones.contains(zone)) {
            return Err(CloudError::Invalid(format!("there is no zone {zone}")));
        }
        if let Some(refusal) = self.trouble.refusal(choice, |flavor| self.config.class(flavor)) {
            return Err(refusal);
        }
        self.check_quota(&flavor)?;
        let full = |message| CloudError::NoCapacity { message, scope: Scope::Offer };
        let held = self.fleet.held(&flavor.name);
        if let Some(fit) = self.config.capacity.get(&flavor.name).filter(|fit| held >= **fit) {
            return Err(full(format!("{fit} VMs of {} fit, and {held} are there", flavor.name)));
        }
        if self.dice.chance(self.config.faults.capacity) {
            return Err(full(format!("no host has room for {}", flavor.name)));
        }
        Ok(flavor)
    }

    fn check_quota(&self, flavor: &SimulatedFlavor) -> Result<(), CloudError> {
        let quota = self.quota(flavor.class());
        let all_of_it = if flavor.quota_class.is_none() { Scope::Cloud } else { Scope::Class };
        let all = [
            ("instances", all_of_it, quota.vms, 1),
            ("cores", Scope::Offer, quota.cores, u64::from(flavor.cores)),
            ("ram", Scope::Offer, quota.ram_mib, flavor.ram_mib),
            ("gpus", Scope::Offer, quota.gpus, u64::from(flavor.gpus)),
        ];
        for (what, scope, Allowance { limit, used }, wanted) in all {
            if limit.is_some_and(|limit| wanted > 0 && used + wanted > limit) {
                let allowed = limit.unwrap_or(0);
                let message = format!("{what}: {used} used, {wanted} more wanted, {allowed} allowed");
                return Err(CloudError::Quota { message, scope });
            }
        }
        Ok(())
    }
}
