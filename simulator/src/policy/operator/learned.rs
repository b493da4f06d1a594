//! What the operator learns by buying, as it does itself: launch budgets, told of what clouds answer and of what boots; and lessons, told of
//! what VMs come to. Which jobs died is not seen here.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use broker::{
    cloud::{Purchase, Scope as Reached},
    experience::{
        self, Budgets, Circuit, Classes, End, Flight, Lessons, Lot, Phase, Reclaims, Shop, Sight, Waiting, Wishes,
        reclaims::Offering, times::JobClass,
    },
    plan::{self, Hold, Snapshot},
};
use jiff::Timestamp;

use super::{
    super::{Listed, Seen, VmSeen},
    at,
    shown::AllShown,
    words::{boots, bought},
};
use crate::{
    cloud::{Answer, Scope},
    scenario::{Limits, Model},
    time::{Ms, SECOND},
    world::{Order, VmId},
};

/// What VMs have shown, as the operator would have it in memory.
#[derive(Default)]
pub struct Learned {
    /// By the index of the cloud.
    budgets: BTreeMap<usize, Budgets>,
    /// VMs that the provider is known to have made.
    made: BTreeSet<VmId>,
    /// VMs of which it was told that their pilots asked, or never did.
    told: BTreeSet<VmId>,
    /// How often Spot VMs are taken back.
    reclaims: Reclaims,
    /// The Spot VMs of the last look, with when each was made, and whether its deletion was ordered.
    spot: BTreeMap<VmId, (Order, Ms, bool)>,
    /// What was left of each quota, by cloud.
    headroom: Vec<Vec<Limits>>,
    lessons: Lessons,
}

/// A VM and what is known of it beside what is seen.
pub struct Made<'a> {
    pub vm: VmSeen<'a>,
    pub class: &'a plan::JobClass,
    pub end: Option<End>,
}

/// The lot of an order of this moment, and its class of quota.
pub fn lot(model: &Model, order: &Order, ordered: Ms) -> (Lot, Arc<str>) {
    let cloud = &model.clouds[order.offer.cloud];
    let flavor = &cloud.flavors[order.offer.flavor];
    let lot = Lot {
        cloud: cloud.name.as_str().into(),
        zone: cloud.zones[order.offer.zone].as_deref().map(Arc::from),
        flavor: flavor.name.as_str().into(),
        purchase: bought(order.offer.spot),
        image: boots(model, order.pool, order.offer.cloud, ordered),
    };
    (lot, flavor.class.to_string().into())
}

impl Learned {
    /// What the quotas say now.
    pub fn read(&mut self, seen: &Seen<'_>) {
        let now: Vec<Vec<Limits>> = (0..seen.model().clouds.len()).map(|cloud| seen.headroom(cloud)).collect();
        for (number, (now, before)) in now.iter().zip(&self.headroom).enumerate() {
            let parts = now.iter().zip(before).flat_map(|(now, before)| now.0.into_iter().zip(before.0));
            if parts.into_iter().any(|(now, before)| now > before) {
                self.budgets
                    .entry(number)
                    .or_default()
                    .may_have_room(&seen.model().clouds[number].name, at(seen.now()));
            }
        }
        self.headroom = now;
    }

    /// What a VM has shown. `is_late`: its pilot should have asked for work.
    pub fn see(&mut self, now: Ms, model: &Model, vm: &VmSeen<'_>, is_late: bool) {
        let ((lot, class), ordered, now_at) = (lot(model, &vm.order, vm.ordered), at(vm.ordered), at(now));
        let budgets = self.budgets.entry(vm.order.offer.cloud).or_default();
        let ran = vm.row.running_since.is_some();
        let is_up = ran || matches!(vm.listed, Some(Listed::Active | Listed::Stopped));
        if is_up && self.made.insert(vm.id) {
            budgets.granted(&lot, Some(&class), ordered, now_at);
        }
        if ran && self.told.insert(vm.id) {
            budgets.asked(&lot, now_at);
        }
        // A pilot that went after its idle timeout has asked, as far as anybody can tell.
        let lived = now.saturating_sub(vm.made.unwrap_or(vm.ordered));
        let went_early = vm.listed == Some(Listed::Stopped) && lived < model.pools[vm.order.pool].idle_timeout;
        if (is_late || vm.listed == Some(Listed::Error) || went_early) && self.told.insert(vm.id) {
            budgets.never_asked(&lot, ordered, now_at);
        }
    }

    /// What all VMs come to.
    pub fn look(&mut self, seen: &Seen<'_>, made: &[Made<'_>], shown: &AllShown, waiting: &Waiting) {
        let (model, now) = (seen.model(), seen.now());
        let sights: Vec<Sight> = made
            .iter()
            .map(|Made { vm, class, end }| {
                let shown = shown.of(vm.id);
                let JobClass { vo, profile } = JobClass::of(&model.vos[vm.order.vo].name, class);
                let pool = &model.pools[vm.order.pool];
                Sight {
                    vm: vm.id.to_string().into(),
                    circuit: Circuit {
                        pool: pool.name.as_str().into(),
                        lot: lot(model, &vm.order, vm.ordered).0,
                        vo,
                        profile,
                    },
                    ordered: at(vm.ordered),
                    made: vm.made.map(at),
                    took: shown.map_or(0, |shown| shown.took),
                    lived: shown.is_some_and(|shown| shown.lived),
                    died: 0,
                    idle_timeout: pool.idle_timeout / SECOND,
                    end: *end,
                }
            })
            .collect();
        self.lessons.look(&sights, &waiting.jobs, Timestamp::UNIX_EPOCH, at(now));
    }

    /// Which Spot VMs are gone, and whether the provider took them back.
    pub fn count_reclaims(&mut self, now: Ms, model: &Model, vms: &[VmSeen<'_>]) {
        let there: BTreeSet<VmId> = vms.iter().map(|vm| vm.id).collect();
        let gone: Vec<(VmId, (Order, Ms, bool))> = self.spot.extract_if(.., |vm, _| !there.contains(vm)).collect();
        for (_, (order, made, was_deleted)) in gone {
            let (lot, class) = lot(model, &order, made);
            self.reclaims.lived(&Offering::of(&lot), now.saturating_sub(made) / SECOND, !was_deleted, at(now));
            if !was_deleted {
                let budgets = self.budgets.entry(order.offer.cloud).or_default();
                budgets.refused((&lot, Some(&class)), Reached::Offer, None, at(made), at(now));
            }
        }
        for vm in vms.iter().filter(|vm| vm.order.offer.spot) {
            let made = vm.made.unwrap_or(vm.ordered);
            self.spot.insert(vm.id, (vm.order, made, vm.is_deleting || vm.listed == Some(Listed::Stopped)));
        }
    }

    /// Puts into a snapshot how often Spot VMs are taken back.
    pub fn tell_reclaims(&self, now: Ms, model: &Model, to: &mut Snapshot) {
        let mut living: BTreeMap<Offering, u64> = BTreeMap::new();
        for (order, made, _) in self.spot.values() {
            let (lot, _) = lot(model, order, *made);
            *living.entry(Offering::of(&lot)).or_default() += now.saturating_sub(*made) / SECOND;
        }
        for cloud in &mut to.clouds {
            for offering in cloud.offerings.iter_mut().filter(|offering| offering.purchase == Purchase::Spot) {
                let of = Offering {
                    cloud: cloud.name.as_str().into(),
                    zone: offering.zone.as_deref().map(Arc::from),
                    flavor: offering.flavor.as_str().into(),
                    purchase: Purchase::Spot,
                };
                let lived = living.get(&of).copied().unwrap_or(0);
                Arc::make_mut(offering).measured.reclaims = self.reclaims.per_thousand_hours(&of, lived, at(now));
            }
        }
    }

    /// Whether an order still goes out.
    pub fn may_order(&mut self, now: Ms, model: &Model, order: &Order) -> bool {
        let (lot, class) = lot(model, order, now);
        self.budgets.entry(order.offer.cloud).or_default().may_order(&lot, Some(&class), at(now))
    }

    /// What a cloud answered.
    pub fn told(&mut self, now: Ms, model: &Model, order: &Order, answer: Answer) {
        let (lot, class) = lot(model, order, now);
        let budgets = self.budgets.entry(order.offer.cloud).or_default();
        match answer {
            Answer::Made => budgets.accepted(&lot, Some(&class), at(now)),
            Answer::Refused(scope) => {
                let scope = match scope {
                    Scope::Offer => Reached::Offer,
                    Scope::Zone => Reached::Zone,
                    Scope::Quota => Reached::Class,
                    Scope::Cloud => Reached::Cloud,
                };
                budgets.refused((&lot, Some(&class)), scope, None, at(now), at(now));
            }
            Answer::Failed | Answer::Lost => {}
        }
    }

    /// What is held back. `first`: the number of each cloud's first quota.
    pub fn holds(&self, seen: &Seen<'_>, over: &BTreeSet<VmId>, first: &[usize], classes: &Classes) -> Vec<Hold> {
        let model = seen.model();
        let mut flights = vec![Flight::default(); model.clouds.len()];
        for vm in seen.vms().filter(|vm| !over.contains(&vm.id) && !vm.is_deleting && vm.row.running_since.is_none()) {
            let (lot, class) = lot(model, &vm.order, vm.ordered);
            let phase = match vm.made {
                None => Phase::Unanswered,
                Some(_) if self.made.contains(&vm.id) => Phase::Booting,
                Some(_) => Phase::Making,
            };
            flights[vm.order.offer.cloud].add(&lot, Some(&class), phase);
        }
        let none = Budgets::default();
        let of_cloud = |(number, flight): (usize, &Flight)| {
            let pools = (0..model.pools.len()).filter(|pool| model.pools[*pool].clouds.contains(&number));
            let image = |pool: usize| (model.pools[pool].image.as_str().into(), boots(model, pool, number, seen.now()));
            let images: BTreeSet<(Arc<str>, Arc<str>)> = pools.map(image).collect();
            let cloud = model.clouds[number].name.as_str();
            let of_class = |class: &str, all: &Hold| {
                let quota = class.parse::<usize>().ok().map(|class| first[number] + class);
                vec![Hold { quota, ..all.clone() }]
            };
            experience::holds(
                self.budgets.get(&number).unwrap_or(&none),
                &Shop { cloud, flight, images: &images },
                of_class,
                at(seen.now()),
            )
        };
        let is_present = |circuit: &Circuit| {
            let pool = model.pools.iter().position(|pool| *pool.name == *circuit.pool);
            let cloud = model.clouds.iter().position(|cloud| *cloud.name == *circuit.lot.cloud);
            pool.zip(cloud).is_some_and(|(pool, cloud)| boots(model, pool, cloud, seen.now()) == circuit.lot.image)
        };
        let wishes = Wishes { classes, is_present: &is_present };
        let lessons = self.lessons.holds(&wishes, at(seen.now()));
        flights.iter().enumerate().flat_map(of_cloud).chain(lessons).collect()
    }
}
