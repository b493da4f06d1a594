//! Restraint where nothing is known: of an offering that no hold names alone few VMs are made, until it has shown that there is room.

use super::{
    Reason,
    account::{Account, Lack},
    snapshot::Limits,
};

/// How many VMs of each offering may still be made, as far as nothing is known of it.
#[derive(Debug, Default)]
pub struct Restraint {
    /// By number of the offer; what is known is not bounded here. Empty: nothing is.
    left: Vec<u64>,
}

impl Restraint {
    /// What lacks where it binds.
    pub const LACK: Lack = Lack { what: 0, limit: 0, by: 1 };

    /// As many VMs may be made of what is not known; `is_known` tells that of each offer in turn.
    pub fn new(most: Option<u64>, is_known: impl Iterator<Item = bool>) -> Self {
        let left = most.map(|most| is_known.map(|is_known| if is_known { u64::MAX } else { most }).collect());
        Self { left: left.unwrap_or_default() }
    }

    /// The account that is named where it binds.
    pub fn account(most: Option<u64>) -> Account {
        let vms = match most.unwrap_or(0) {
            1 => "one VM of it is".to_owned(),
            n => format!("{n} VMs of it are"),
        };
        let whose =
            format!("nothing is known of this flavor there yet: {vms} made first, and more when the cloud grants that");
        Account::new(Reason::Ramp, whose, Limits::default())
    }

    /// How many more VMs of this offer may be made.
    pub fn room(&self, offer: u32) -> u64 {
        self.left.get(offer as usize).copied().unwrap_or(u64::MAX)
    }

    /// So many are made.
    pub fn take(&mut self, offer: u32, vms: u64) {
        if let Some(left) = self.left.get_mut(offer as usize).filter(|left| **left < u64::MAX) {
            *left = left.saturating_sub(vms);
        }
    }
}

#[cfg(test)]
#[path = "restraint_tests.rs"]
mod tests;
