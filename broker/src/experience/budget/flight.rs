//! What is on its way: VMs that are ordered, and whose pilots have not asked for work yet.

use std::{collections::BTreeMap, sync::Arc};

use serde::{Deserialize, Serialize};

use super::super::{Lot, Reach};

/// How far a VM on its way is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Phase {
    /// It is to be ordered, or is ordered and the provider has not answered.
    Unanswered,
    /// The provider took the order, and has not made the VM.
    Making,
    /// The VM is there, and its pilot has not asked for work.
    Booting,
}

/// Orders that are open, of one reach.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Open {
    /// Those that the provider has not answered.
    pub unanswered: u64,
    /// Those that it took, and has not carried out.
    pub making: u64,
}

/// Everything that is on its way.
#[derive(Clone, Debug, Default)]
pub struct Flight {
    reaches: BTreeMap<Reach, Open>,
    lots: BTreeMap<Lot, u64>,
}

impl Flight {
    /// Counts one VM. The plan counts each of its launches as [`Phase::Unanswered`].
    pub fn add(&mut self, lot: &Lot, class: Option<&Arc<str>>, phase: Phase) {
        *self.lots.entry(lot.clone()).or_default() += 1;
        if phase == Phase::Booting {
            return;
        }
        for reach in Reach::all(lot, class) {
            let open = self.reaches.entry(reach).or_default();
            match phase {
                Phase::Unanswered => open.unanswered += 1,
                Phase::Making | Phase::Booting => open.making += 1,
            }
        }
    }

    /// One that is counted already may be bought in this place as well, of which the provider has not said anything.
    pub fn may_be(&mut self, lot: Lot) {
        self.reaches.entry(Reach::offer(&lot)).or_default().unanswered += 1;
        *self.lots.entry(lot).or_default() += 1;
    }

    /// Orders that are open within this reach.
    pub fn of(&self, reach: &Reach) -> Open {
        self.reaches.get(reach).copied().unwrap_or_default()
    }

    /// The offers with open orders.
    pub fn offers(&self) -> impl Iterator<Item = &Reach> {
        self.reaches.keys().filter(|reach| !reach.is_wide())
    }

    /// VMs of this lot that are on their way.
    pub fn of_lot(&self, lot: &Lot) -> u64 {
        self.lots.get(lot).copied().unwrap_or_default()
    }
}
