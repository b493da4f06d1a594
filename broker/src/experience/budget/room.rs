//! Whether the provider has room: what may be ordered at once within one reach.

use std::{
    collections::VecDeque,
    hash::{DefaultHasher, Hash, Hasher},
    time::Duration,
};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    super::{
        Closed, Reach,
        moment::{after, seconds},
    },
    flight::Open,
    held::Held,
    shut::Shut,
};

const HOUR: u64 = 3_600;
/// The most VMs that try within an hour while nothing is granted.
const TRIES_AN_HOUR: usize = 20;
/// Pauses after the first refusal, the second, and each further one. 190 s is what twenty tries an hour leave.
const PAUSES: [u64; 3] = [10, 40, 190];
/// Pauses differ by up to this many hundredths from offer to offer, so that not all try in the same second.
const JITTER: u64 = 5;
/// A VM that tries and is not heard of within this time does not keep others from trying.
const TRIAL: u64 = 120;
/// When there may be room again, the next VM tries this long after the last.
const SOON: u64 = 30;
/// Refusals in a row that are no accident.
const NO_ACCIDENT: u32 = 2;
/// For this time after a refusal an order that was merely taken proves nothing.
const WARY: u64 = 600;
/// The most orders under way: more would only wait in the operator.
const WIDEST: u32 = 4_096;
/// The most orders under way when what was shut reopens.
const WIDEST_AGAIN: u32 = 64;
/// No provider's wish for silence is kept for longer.
const LONGEST_WISH: u64 = HOUR;

/// Orders within one reach.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Room {
    /// The most orders that may be under way.
    window: u32,
    /// The most that may be under way when it opens again.
    again: u32,
    in_a_row: u32,
    /// Refusals so far, less those that grants have made good.
    level: u32,
    shut: Option<Shut>,
    refused: Option<Timestamp>,
    /// When VMs tried since it was shut.
    tries: VecDeque<Timestamp>,
}

impl Default for Room {
    fn default() -> Self {
        let tries = VecDeque::new();
        Self { window: 1, again: 1, in_a_row: 0, level: 0, shut: None, refused: None, tries }
    }
}

impl Room {
    /// A new one. An offer has to show that there is room; that there is some in a zone or cloud is shown by its offers.
    pub fn of(reach: &Reach) -> Self {
        Self { window: if reach.is_wide() { WIDEST } else { 1 }, ..Self::default() }
    }

    /// As it was before a restart.
    pub fn again(old: &Closed<Reach>, now: Timestamp) -> Self {
        let shut = Some(Shut::again(old, LONGEST_WISH, now));
        Self {
            window: 0,
            in_a_row: old.in_a_row,
            level: old.pauses,
            shut,
            refused: Some(old.since.min(now)),
            ..Self::default()
        }
    }

    /// Where nothing is ordered but one VM after each pause.
    pub fn closed(&self, reach: &Reach) -> Option<Closed<Reach>> {
        Some(self.shut?.closed(reach.clone(), self.in_a_row, self.level))
    }

    /// Whether nothing is ordered but one VM after each pause.
    pub fn is_shut(&self) -> bool {
        self.shut.is_some()
    }

    /// How many more may be ordered, and what binds.
    pub fn left(&self, reach: &Reach, open: Open, now: Timestamp) -> (u64, Held) {
        match &self.shut {
            Some(shut) => {
                let until = shut.pause.1.max(self.tries_again(now));
                let why = Held::Refused { reach: reach.clone(), since: shut.since, until };
                (u64::from(self.may_order(now)).saturating_sub(open.unanswered), why)
            }
            None => {
                let under_way = if self.is_wary(now) { open.unanswered + open.making } else { open.unanswered };
                let most = u64::from(self.window);
                (most.saturating_sub(under_way), Held::OnTheirWay { most })
            }
        }
    }

    /// Whether one may be ordered.
    pub fn may_order(&self, now: Timestamp) -> bool {
        self.shut.is_none_or(|shut| !shut.rests(now) && self.tries_again(now) <= now)
    }

    /// One is ordered. Where it is shut, the next pause begins, and ends earlier or later when it is known what came of it.
    pub fn ordered(&mut self, reach: &Reach, now: Timestamp) {
        let pause = TRIAL.max(self.pause(reach));
        if let Some(shut) = &mut self.shut {
            shut.pause = (now, after(now, pause));
            self.tries.push_back(now);
            while self.tries.len() > TRIES_AN_HOUR {
                self.tries.pop_front();
            }
        }
    }

    pub fn accepted(&mut self, now: Timestamp) {
        if self.shut.is_none() && !self.is_wary(now) {
            self.window = doubled(self.window);
        }
    }

    /// What was ordered before a refusal says nothing against it.
    pub fn granted(&mut self, ordered: Timestamp) {
        match self.shut {
            Some(shut) if ordered <= shut.since => return,
            Some(_) => {
                self.window = self.again.clamp(2, WIDEST_AGAIN);
                self.shut = None;
                self.tries.clear();
            }
            None => self.window = doubled(self.window),
        }
        self.in_a_row = 0;
        self.level = self.level.saturating_sub(1);
    }

    /// Refusals of what was ordered before it was shut are the same refusal.
    pub fn refused(&mut self, reach: &Reach, retry_after: Option<Duration>, ordered: Timestamp, now: Timestamp) {
        self.refused = Some(now);
        let wish = retry_after.map_or(0, |wish| wish.as_secs().min(LONGEST_WISH));
        let pause = (now, after(now, self.pause(reach).max(wish)));
        match &mut self.shut {
            Some(shut) if ordered <= shut.since => return,
            Some(shut) => shut.pause = pause,
            None => {
                (self.window, self.in_a_row) = (self.window / 2, self.in_a_row.saturating_add(1));
                if !reach.is_wide() && self.window > 0 && self.in_a_row < NO_ACCIDENT && wish == 0 {
                    return;
                }
                self.again = self.window;
                self.shut = Some(Shut { since: now, pause });
                self.tries = VecDeque::from([now]);
            }
        }
        self.level = self.level.saturating_add(1);
    }

    pub fn may_have_room(&mut self, now: Timestamp) {
        if let Some(shut) = &mut self.shut {
            let soon = after(shut.pause.0, SOON);
            shut.pause.1 = shut.pause.1.min(soon.max(now));
        }
    }

    /// When the tries of the last hour allow another.
    fn tries_again(&self, now: Timestamp) -> Timestamp {
        let lately = self.tries.iter().filter(|at| **at <= now && seconds(**at, now) < HOUR).count();
        match self.tries.front() {
            Some(first) if lately >= TRIES_AN_HOUR => after(*first, HOUR),
            _ => Timestamp::MIN,
        }
    }

    fn is_wary(&self, now: Timestamp) -> bool {
        self.refused.is_some_and(|at| seconds(at, now) < WARY)
    }

    /// The next pause, a little different for each reach, and the same after a restart.
    fn pause(&self, reach: &Reach) -> u64 {
        let longest = PAUSES.len() - 1;
        let pause = PAUSES[usize::try_from(self.level).unwrap_or(longest).min(longest)];
        let mut hasher = DefaultHasher::new();
        (reach, self.level).hash(&mut hasher);
        pause + pause * (hasher.finish() % (JITTER + 1)) / 100
    }
}

fn doubled(window: u32) -> u32 {
    window.saturating_mul(2).clamp(1, WIDEST)
}

#[cfg(test)]
#[path = "room_tests.rs"]
mod tests;
