//! Launch budgets: how many VMs may be on their way at once. Pure.
//!
//! Two questions, each with a budget of its own.
//! * **Has the provider room?** (`room`) By what a refusal reaches: an offer, a zone, a class of quota, a cloud. An offer begins with one
//!   order; each grant doubles what may be under way, each refusal halves it. When it is used up, the way is shut, and one VM tries
//!   from time to time.
//! * **Does what boots there come up?** (`proof`) By lot. A handful may boot before the first pilot asks for work; each that asks
//!   doubles that, each that never asks halves it.
//!
//! The plan asks [`Budgets::allowance`] and counts its own launches in the [`Flight`]; the launch asks [`Budgets::may_order`] once more,
//! since another VM may have been refused meanwhile.

mod flight;
mod held;
mod proof;
mod room;
mod shut;

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use flight::{Flight, Phase};
pub use held::Held;
use proof::Proof;
use room::Room;

use super::{Closed, Kept, Lot, Reach};
use crate::cloud::Scope;

/// The most orders under way for an offer of which nothing is known.
pub const FRESH: u64 = 1;
/// Of the VMs that are seen to work after a restart at most this many count: each doubles what may boot.
const MOST_THAT_COUNT: u64 = 32;

/// How many VMs of a lot may be ordered now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Allowance {
    /// This many may be ordered beyond those that are on their way.
    pub most: u64,
    /// What keeps it from being more.
    pub why: Held,
}

/// Launch budgets: one for all that may be refused together, and one for each lot.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Budgets {
    rooms: Kept<Reach, Room>,
    proofs: Kept<Lot, Proof>,
}

impl Budgets {
    /// How many VMs of this lot may be ordered beyond those in `flight`, and what binds. `class`: the class of quota of its offer.
    pub fn allowance(&self, lot: &Lot, class: Option<&Arc<str>>, flight: &Flight, now: Timestamp) -> Allowance {
        let fresh = Room::default();
        let rooms = Reach::all(lot, class).filter_map(|reach| {
            let room = self.rooms.get(&reach).or((!reach.is_wide()).then_some(&fresh))?;
            let (most, why) = room.left(&reach, flight.of(&reach), now);
            Some(Allowance { most, why })
        });
        let proof = self.proof(lot, flight, now);
        // The proof comes last: where both bind alike, the provider's word is the one that ends the wait.
        rooms.chain([proof.clone()]).min_by_key(|a| a.most).unwrap_or(proof)
    }

    /// What each reach of which something is known allows, for a plan that has many offers: [`Budgets::allowance`] is the least of what
    /// covers an offer, an offer that is not among them may have [`FRESH`] orders under way, and [`Budgets::proof`] holds beside.
    pub fn rooms(&self, flight: &Flight, now: Timestamp) -> Vec<(Reach, Allowance)> {
        let fresh = Room::default();
        let known = self.rooms.iter();
        let begun = flight.offers().filter(|reach| self.rooms.get(reach).is_none()).map(|reach| (reach, &fresh));
        let allowance = |(reach, room): (&Reach, &Room)| {
            let (most, why) = room.left(reach, flight.of(reach), now);
            (reach.clone(), Allowance { most, why })
        };
        known.chain(begun).map(allowance).collect()
    }

    /// How many VMs of this lot may boot beyond those in `flight`, whether there is room for them or not.
    pub fn proof(&self, lot: &Lot, flight: &Flight, now: Timestamp) -> Allowance {
        let (most, why) = self.proofs.get(lot).unwrap_or(&Proof::default()).left(flight.of_lot(lot), now);
        Allowance { most, why }
    }

    /// Whether a VM of this lot may be ordered now, asked just before the order. After a pause the first that asks may, and is the one
    /// that tries; the others are told no until it is known what came of it.
    pub fn may_order(&mut self, lot: &Lot, class: Option<&Arc<str>>, now: Timestamp) -> bool {
        let reaches: Vec<Reach> = Reach::all(lot, class).collect();
        let is_open = reaches.iter().all(|reach| self.rooms.get(reach).is_none_or(|room| room.may_order(now)))
            && self.proofs.get(lot).is_none_or(|proof| proof.may_order(now));
        if is_open {
            for reach in &reaches {
                if let Some(room) = self.rooms.get_mut(reach, now) {
                    room.ordered(reach, now);
                }
            }
            self.rooms.entry(&Reach::offer(lot), now, Room::default);
            self.proofs.entry(lot, now, Proof::default).ordered(now);
        }
        is_open
    }

    /// Whether an order may name this lot beside another one: not where something is shut, so that nothing tries there unseen. What comes of
    /// it is learnt as of any other.
    pub fn may_also_order(&mut self, lot: &Lot, class: Option<&Arc<str>>, now: Timestamp) -> bool {
        let is_shut = Reach::all(lot, class).any(|reach| self.rooms.get(&reach).is_some_and(Room::is_shut))
            || self.proofs.get(lot).is_some_and(Proof::is_shut);
        if !is_shut {
            self.rooms.entry(&Reach::offer(lot), now, Room::default);
            self.proofs.entry(lot, now, Proof::default);
        }
        !is_shut
    }

    /// The provider took the order. It may still find no host: that opens the way only where nothing was refused lately.
    pub fn accepted(&mut self, lot: &Lot, class: Option<&Arc<str>>, now: Timestamp) {
        self.each_room(lot, class, now, |room| room.accepted(now));
    }

    /// The provider has made the VM, which was ordered at `ordered`.
    pub fn granted(&mut self, lot: &Lot, class: Option<&Arc<str>>, ordered: Timestamp, now: Timestamp) {
        self.each_room(lot, class, now, |room| room.granted(ordered));
    }

    /// The provider refused the VM that was ordered at `ordered`, and would refuse what the scope covers; perhaps it said when to come back.
    pub fn refused(
        &mut self,
        (lot, class): (&Lot, Option<&Arc<str>>),
        scope: Scope,
        retry_after: Option<Duration>,
        ordered: Timestamp,
        now: Timestamp,
    ) {
        let reach = Reach::of(scope, lot, class);
        self.rooms.entry(&reach, now, || Room::of(&reach)).refused(&reach, retry_after, ordered, now);
    }

    /// The pilot of a VM of this lot asks for work: what boots there comes up.
    pub fn asked(&mut self, lot: &Lot, now: Timestamp) {
        self.proofs.entry(lot, now, Proof::default).asked(now);
    }

    /// This number of VMs of this lot work, as is seen after a restart. Where nothing was told of the lot, each counts as one that asks.
    pub fn works(&mut self, lot: &Lot, vms: u64, now: Timestamp) {
        if !self.proofs.get(lot).is_some_and(Proof::is_told_of) {
            let proof = self.proofs.entry(lot, now, Proof::default);
            (0..vms.min(MOST_THAT_COUNT)).for_each(|_| proof.asked(now));
        }
    }

    /// A VM of this lot, ordered at `ordered`, came to nothing: its pilot never asked for work. Not to be told while nobody can ask.
    pub fn never_asked(&mut self, lot: &Lot, ordered: Timestamp, now: Timestamp) {
        self.proofs.entry(lot, now, Proof::default).never_asked(ordered, now);
    }

    /// There may be room again: a VM of ours is gone from this cloud, or its quota shows more. The next VM tries earlier.
    pub fn may_have_room(&mut self, cloud: &str, now: Timestamp) {
        self.rooms.retain(|reach, room| {
            if reach.cloud() == cloud {
                room.may_have_room(now);
            }
            true
        });
    }

    /// What was learnt of lots that never asked no longer counts against them, since the fault was elsewhere: one VM of each tries at once.
    pub fn forgive(&mut self, now: Timestamp) {
        self.proofs.retain(|_, proof| {
            proof.forgive(now);
            true
        });
    }

    /// Forgets what was learnt of what boots in these lots, since it was changed.
    pub fn forget(&mut self, is_changed: impl Fn(&Lot) -> bool) {
        self.proofs.retain(|lot, _| !is_changed(lot));
    }

    /// Forgets the clouds that are gone.
    pub fn retain_clouds(&mut self, is_there: impl Fn(&str) -> bool) {
        self.rooms.retain(|reach, _| is_there(reach.cloud()));
        self.proofs.retain(|lot, _| is_there(&lot.cloud));
    }

    /// What is refused at present.
    pub fn refusals(&self) -> impl Iterator<Item = Closed<Reach>> {
        self.rooms.iter().filter_map(|(reach, room)| room.closed(reach))
    }

    /// The lots whose last VMs never asked for work.
    pub fn silent(&self) -> impl Iterator<Item = Closed<Lot>> {
        self.proofs.iter().filter_map(|(lot, proof)| proof.closed(lot))
    }

    /// What was written down before a restart. What was learnt since is newer, and stays.
    pub fn remember(
        &mut self,
        refusals: impl IntoIterator<Item = Closed<Reach>>,
        silent: impl IntoIterator<Item = Closed<Lot>>,
        now: Timestamp,
    ) {
        for old in refusals {
            self.rooms.entry(&old.what, now, || Room::again(&old, now));
        }
        for old in silent {
            self.proofs.entry(&old.what, now, || Proof::again(&old, now));
        }
    }

    fn each_room(&mut self, lot: &Lot, class: Option<&Arc<str>>, now: Timestamp, mut what: impl FnMut(&mut Room)) {
        for reach in Reach::all(lot, class) {
            if let Some(room) = self.rooms.get_mut(&reach, now) {
                what(room);
            }
        }
    }
}

#[cfg(test)]
#[path = "budget_tests.rs"]
mod tests;
