//! A ramp between plan and apply: of VMs that are made alike, as many may boot as those before have earned. So a bad image in a pool of
//! 20,000 buys ten VMs, not 20,000. Pure.

use std::collections::{BTreeMap, HashMap};

use broker::plan::{Bound, Launch, Plan, Reason, Unmet};

use super::world::World;
use crate::{
    life::{is_ended, ran},
    names::deleting,
};

/// As many VMs of a lot may boot before the first has worked; each that works doubles that.
const FIRST: u64 = 10;
/// At most as many VMs that worked and are gone count: an image that was good may have been replaced meanwhile.
const REMEMBERED: u64 = 3;

/// VMs that are made alike: pool, image, cloud, flavor and zone.
type Lot<'a> = (&'a str, &'a str, &'a str, &'a str, Option<&'a str>);

/// What the VMs of a lot have shown.
#[derive(Clone, Copy, Default)]
struct Shown {
    worked: u64,
    booting: u64,
}

impl Shown {
    fn most(self) -> u64 {
        FIRST << self.worked.min(32)
    }

    /// Takes one more, if it may boot.
    fn take(&mut self) -> bool {
        let may = self.booting < self.most();
        self.booting += u64::from(may);
        may
    }
}

/// The plan with no more launches than may boot now. What is held back is unmet demand, and is told as such.
pub fn along_the_ramp(world: &World, mut plan: Plan) -> Plan {
    let mut lots = shown(world);
    let mut held: BTreeMap<(String, String), (u64, String)> = BTreeMap::new();
    let launches = std::mem::take(&mut plan.launches);
    for launch in &launches {
        let shown = lots.entry(lot_of(world, launch)).or_default();
        if shown.take() {
            plan.launches.push(launch.clone());
        } else {
            let entry = held.entry((launch.vo.to_string(), launch.pool.to_string())).or_default();
            entry.0 += launch.jobs;
            entry.1 = sentence(launch, *shown);
        }
    }
    plan.unmet.extend(held.into_iter().map(|((vo, pool), (jobs, message))| Unmet {
        vo,
        pool: Some(pool),
        jobs,
        reason: Reason::Ramp,
        limits: vec![Bound { reason: Reason::Ramp, message: message.clone() }],
        message,
        change: None,
    }));
    plan
}

fn sentence(launch: &Launch, shown: Shown) -> String {
    let (pool, flavor, cloud) = (&launch.pool, &launch.offering.flavor, &launch.cloud);
    match shown.worked {
        0 => format!(
            "{} VMs of pool {pool} with flavor {flavor} on cloud {cloud} boot, and none has worked yet: more are made when one has",
            shown.booting
        ),
        worked => format!(
            "{} VMs of pool {pool} with flavor {flavor} on cloud {cloud} boot and {worked} work: more are made when more work",
            shown.booting
        ),
    }
}

fn lot_of<'a>(world: &'a World, launch: &'a Launch) -> Lot<'a> {
    let image = world.pool(&launch.pool).map_or("", |pool| pool.spec.machine.image.as_str());
    (&launch.pool, image, &launch.cloud, &launch.offering.flavor, launch.offering.zone.as_deref())
}

/// What the VMs have shown: those that live, and where these are fewer those that are remembered.
fn shown(world: &World) -> HashMap<Lot<'_>, Shown> {
    let mut lots: HashMap<Lot<'_>, Shown> = HashMap::new();
    for vm in world.vms.iter().filter(|vm| !deleting(vm.as_ref()) && !is_ended(vm)) {
        let spec = &vm.spec;
        let lot: Lot<'_> = (
            &spec.pool_ref.name,
            &spec.image,
            &spec.cloud_ref.name,
            &spec.offering.flavor,
            spec.offering.zone.as_deref(),
        );
        let shown = lots.entry(lot).or_default();
        if ran(vm) {
            shown.worked += 1;
        } else {
            shown.booting += 1;
        }
    }
    for view in &world.clouds {
        let cloud = view.object.metadata.name.as_deref().unwrap_or_default();
        for (lot, worked) in &view.worked {
            let place = &lot.place;
            let shown = lots.entry((&lot.pool, &lot.image, cloud, &place.flavor, place.zone.as_deref())).or_default();
            shown.worked = shown.worked.max((*worked).min(REMEMBERED));
        }
    }
    lots
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::round::snapshot::{
        snapshot,
        tests::{queue, world},
    };

    /// A pool without a bound, with VMs that boot, work, and boot from another image.
    fn with(booting: usize, working: usize, other: usize) -> World {
        world(|w| {
            w["pools"][0]["spec"]["scaling"]["max"] = json!(20_000);
            w["clouds"][0]["headroom"][1]["classes"][0]["vms"]["limit"] = Value::Null;
            let one = w["vms"][0].clone();
            let vms = (0..booting + working + other).map(|n| {
                let mut vm = one.clone();
                vm["metadata"]["name"] = json!(format!("cpu-{n}"));
                if (booting..booting + working).contains(&n) {
                    vm["status"] = json!({"runningSince": "2026-11-24T11:59:30Z"});
                } else if n >= booting + working {
                    vm["spec"]["image"] = json!("another");
                }
                vm
            });
            w["vms"] = vms.collect();
        })
    }
    fn planned(world: &World, jobs: u64) -> Plan {
        along_the_ramp(world, broker::plan::plan(&snapshot(world, vec![queue(jobs)])))
    }

    #[test]
    fn a_pool_of_twenty_thousand_begins_with_ten_vms() {
        let plan = planned(&with(0, 0, 0), 80_000);
        assert_eq!(plan.launches.len(), 10);
        let unmet = plan.unmet.iter().find(|u| u.reason == Reason::Ramp).unwrap();
        assert_eq!(unmet.jobs, 80_000 - 80, "what is held back is told");
        assert!(unmet.message.contains("10 VMs of pool cpu") && unmet.message.contains("none has worked"), "{unmet:?}");
    }

    #[test]
    fn vms_that_boot_already_are_counted_and_those_of_another_image_are_not() {
        assert_eq!(planned(&with(7, 0, 0), 80_000).launches.len(), 3);
        assert_eq!(planned(&with(0, 0, 7), 80_000).launches.len(), 10);
    }

    #[test]
    fn each_vm_that_works_doubles_what_may_boot() {
        assert_eq!(planned(&with(0, 1, 0), 80_000).launches.len(), 20);
        assert_eq!(planned(&with(5, 3, 0), 80_000).launches.len(), 75);
        assert_eq!(planned(&with(0, 12, 0), 80_000).unmet, []);
    }

    #[test]
    fn vms_that_worked_and_are_gone_are_remembered_up_to_a_few() {
        let after = |worked: u64| {
            let mut world = with(0, 0, 0);
            let place = json!({"flavor": "c8", "zone": null, "purchase": "OnDemand"});
            let lot = json!({"pool": "cpu", "image": world.pools[0].spec.machine.image, "place": place});
            world.clouds[0].worked = serde_json::from_value(json!([[lot, worked]])).unwrap();
            planned(&world, 80_000).launches.len()
        };
        assert_eq!((after(0), after(1), after(3), after(40)), (10, 20, 80, 80));
    }

    #[test]
    fn a_few_vms_are_not_held_back() {
        let plan = planned(&with(0, 0, 0), 16);
        assert_eq!((plan.launches.len(), plan.unmet.len()), (2, 0));
    }
}
