//! Whether what boots in a lot comes up: how many of its VMs may boot at once.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    super::{
        Closed, Lot,
        moment::{after, seconds},
    },
    held::Held,
    shut::Shut,
};

/// The most VMs of a lot that boot before the first has asked for work: each may cost a boot for nothing.
const UNPROVEN: u32 = 8;
/// This many that never asked, one after the other, are no accident.
const NO_ACCIDENT: u32 = 5;
/// The first pause, and the longest; each is four times the one before.
const FIRST: u64 = 300;
const LONGEST: u64 = 6 * 3_600;
/// A VM that tries and is not heard of within this time does not keep others from trying.
const TRIAL: u64 = 1_800;
/// When no pilot has asked for work within this time, what boots may have been changed: at most [`LONG_AGO`] VMs boot
/// then.
const PROVEN_FOR: u64 = 6 * 3_600;
const LONG_AGO: u32 = 8 * UNPROVEN;
const WIDEST: u32 = 1 << 20;

/// What the VMs of one lot have shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proof {
    /// The most VMs that may boot at once.
    window: u32,
    in_a_row: u32,
    level: u32,
    shut: Option<Shut>,
    asked: Option<Timestamp>,
}

impl Default for Proof {
    fn default() -> Self {
        Self { window: UNPROVEN, in_a_row: 0, level: 0, shut: None, asked: None }
    }
}

impl Proof {
    /// As it was before a restart.
    pub fn again(old: &Closed<Lot>, now: Timestamp) -> Self {
        let shut = Some(Shut::again(old, LONGEST, now));
        Self { window: 1, in_a_row: old.in_a_row, level: old.pauses, shut, asked: None }
    }

    /// Where the last VMs never asked for work.
    pub fn closed(&self, lot: &Lot) -> Option<Closed<Lot>> {
        Some(self.shut?.closed(lot.clone(), self.in_a_row, self.level))
    }

    /// Whether a pilot ever asked, or too many never did.
    pub fn is_told_of(&self) -> bool {
        self.asked.is_some() || self.shut.is_some()
    }

    /// Whether nothing boots but one VM after each pause.
    pub fn is_shut(&self) -> bool {
        self.shut.is_some()
    }

    /// How many more may boot, and what binds.
    pub fn left(&self, booting: u64, now: Timestamp) -> (u64, Held) {
        match &self.shut {
            // Those that boot were ordered before it was shut, or are the one that tries.
            Some(shut) => {
                let why = Held::NeverAsked { in_a_row: self.in_a_row, until: shut.pause.1 };
                (u64::from(self.may_order(now)).saturating_sub(booting), why)
            }
            None => {
                let is_fresh = self.asked.is_none_or(|at| seconds(at, now) < PROVEN_FOR);
                let most = u64::from(if is_fresh { self.window } else { self.window.min(LONG_AGO) });
                (most.saturating_sub(booting), Held::Unproven { most, has_asked: self.asked.is_some() })
            }
        }
    }

    /// Whether one may be ordered.
    pub fn may_order(&self, now: Timestamp) -> bool {
        self.shut.is_none_or(|shut| !shut.rests(now))
    }

    pub fn ordered(&mut self, now: Timestamp) {
        if let Some(shut) = &mut self.shut {
            shut.pause = (now, after(now, TRIAL));
        }
    }

    pub fn asked(&mut self, now: Timestamp) {
        let window = if self.shut.is_some() { UNPROVEN } else { self.window };
        let window = window.saturating_mul(2).min(WIDEST);
        *self = Self { window, asked: Some(now), ..Self::default() };
    }

    /// Those that were ordered before it was shut are known to be bad.
    pub fn never_asked(&mut self, ordered: Timestamp, now: Timestamp) {
        self.in_a_row = self.in_a_row.saturating_add(1);
        self.window = (self.window / 2).max(1);
        let is_known = self.shut.is_some_and(|shut| ordered <= shut.since);
        if is_known || self.shut.is_none() && self.in_a_row < NO_ACCIDENT {
            return;
        }
        let pause = FIRST.saturating_mul(4_u64.saturating_pow(self.level)).min(LONGEST);
        let since = self.shut.map_or(now, |shut| shut.since);
        self.shut = Some(Shut { since, pause: (now, after(now, pause)) });
        self.level = self.level.saturating_add(1);
    }

    pub fn forgive(&mut self, now: Timestamp) {
        if let Some(shut) = &mut self.shut {
            (shut.pause, self.level) = ((now, now), 0);
        } else {
            self.in_a_row = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: u64) -> Timestamp {
        after(Timestamp::UNIX_EPOCH, 1_700_000_000 + second)
    }

    #[test]
    fn pauses_grow_fourfold_from_five_minutes_to_six_hours() {
        let mut proof = Proof::default();
        (0..4).for_each(|_| proof.never_asked(at(0), at(0)));
        assert!(proof.may_order(at(0)), "four may be an accident");
        let mut now = 0;
        for pause in [300, 1_200, 4_800, 19_200, 21_600, 21_600] {
            proof.never_asked(at(now), at(now));
            assert!(!proof.may_order(at(now + pause - 1)) && proof.may_order(at(now + pause)), "{pause}");
            now += pause;
        }
    }

    #[test]
    fn a_try_of_which_nothing_is_heard_keeps_others_from_trying_for_half_an_hour() {
        let mut proof = Proof::default();
        (0..5).for_each(|_| proof.never_asked(at(0), at(0)));
        proof.ordered(at(300));
        assert!(!proof.may_order(at(300 + 1_799)) && proof.may_order(at(300 + 1_800)));
        assert_eq!((proof.left(0, at(3_000)).0, proof.left(1, at(3_000)).0), (1, 0), "the one that boots is the one");
    }

    #[test]
    fn what_asked_within_six_hours_is_believed_and_each_that_never_asks_halves_it() {
        let mut proof = Proof::default();
        (0..6).for_each(|_| proof.asked(at(0)));
        assert_eq!((proof.left(0, at(6 * 3_600 - 1)).0, proof.left(0, at(6 * 3_600)).0), (512, 64));
        proof.never_asked(at(1), at(1));
        assert_eq!((proof.left(6, at(2)).0, proof.is_told_of()), (250, true));
        (0..3).for_each(|_| proof.never_asked(at(1), at(1)));
        proof.forgive(at(2));
        (0..4).for_each(|_| proof.never_asked(at(2), at(2)));
        assert!(proof.may_order(at(2)), "what was forgiven does not count");
        assert_eq!(proof.left(0, at(2)).0, 2);
    }
}
