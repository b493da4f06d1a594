//! The brake: when much goes wrong at once, nothing is believed or deleted until a person says so, or until it is right again.
//!
//! A pool has one: it holds back the drains of a change that would empty most of it. Each cloud has two. One holds back losses: VMs that the provider's lists lack, or that it says are gone. The other holds back the
//! deletion of orphans: VMs with our tag that have no PilotVM. Few at a time pass by themselves. More than that look like a part of a
//! cloud that does not answer, or like a cluster that was restored from an old backup: there every VM may be at work. Pure.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use tokio::time::Instant;

/// What passed within this time still counts: many in a row are many at once.
const WINDOW: Duration = Duration::from_secs(300);

/// How much passes by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// This many always pass.
    pub few: usize,
    /// One in this number of all passes too; 0: no part of them.
    pub one_in: usize,
}

impl Limit {
    /// VMs that go missing: more than three and more than a tenth of a cloud's VMs are too many.
    pub const LOSSES: Self = Self { few: 3, one_in: 10 };
    /// Orphans: more than three are too many, however large the cloud.
    pub const ORPHANS: Self = Self { few: 3, one_in: 0 };
    /// VMs that would drain since a manifest was changed: more than five and more than half of those that run are too many.
    pub const CHANGES: Self = Self { few: 5, one_in: 2 };
    /// None passes without a person's word.
    pub const NONE: Self = Self { few: 0, one_in: 0 };

    fn of(self, all: usize) -> usize {
        self.few.max(all.checked_div(self.one_in).unwrap_or(0))
    }
}

/// What a turn of the poller sees.
#[derive(Clone, Debug, Default)]
pub struct Sight<'a> {
    /// What is in doubt now: UIDs or ids.
    pub doubtful: BTreeSet<String>,
    /// How many there are in all, of which a part may pass.
    pub all: usize,
    /// The annotation with which a person acknowledges, as it stands.
    pub said: Option<&'a str>,
}

/// How many subjects are in doubt or have passed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// In doubt, and not acknowledged.
    pub doubtful: usize,
    /// Passed within the last minutes, and not acknowledged.
    pub passed: usize,
    /// Whether nothing passes.
    pub is_frozen: bool,
    /// Whether the annotation carries a number that was used up: the same number must be taken off before it can be said again.
    pub is_spent: bool,
}

#[derive(Debug)]
pub struct Brake {
    limit: Limit,
    all: usize,
    doubtful: BTreeSet<String>,
    passed: BTreeMap<String, Instant>,
    acknowledged: BTreeSet<String>,
    /// The annotation that was used up, or that was there before anything was in doubt. It acknowledges nothing more.
    spent: Option<String>,
    /// Whether anything was seen yet: before that nothing passes.
    has_seen: bool,
}

impl Brake {
    /// A brake that has seen nothing, and lets nothing pass.
    pub fn new(limit: Limit) -> Self {
        Self {
            limit,
            all: 0,
            doubtful: BTreeSet::new(),
            passed: BTreeMap::new(),
            acknowledged: BTreeSet::new(),
            spent: None,
            has_seen: false,
        }
    }

    /// Sets how much passes from now on.
    pub fn limit(&mut self, limit: Limit) {
        self.limit = limit;
    }

    /// An annotation that was there before this brake asked for one answers an older question: it is taken for used up.
    pub fn is_old(&mut self, said: Option<&str>) {
        self.spent = said.map(str::to_owned);
    }

    /// Takes in what a turn sees. What is not in doubt any more is back, or went as it should.
    pub fn see(&mut self, sight: Sight<'_>, now: Instant) {
        self.has_seen = true;
        self.all = sight.all;
        self.passed.retain(|_, at| now.duration_since(*at) < WINDOW);
        self.doubtful = sight.doubtful;
        let (doubtful, passed) = (&self.doubtful, &self.passed);
        self.acknowledged.retain(|id| doubtful.contains(id) || passed.contains_key(id));
        if self.spent.as_deref() != sight.said {
            self.spent = None;
            let named = sight.said.and_then(|n| n.trim().parse::<usize>().ok());
            if !self.is_frozen() {
                // Nothing was asked: it must not answer a later question.
                self.spent = sight.said.map(str::to_owned);
            } else if named.is_some_and(|named| named >= self.in_doubt()) {
                // What is acknowledged are these very VMs; others that follow are a question of their own.
                self.acknowledged.extend(self.doubtful.iter().cloned());
                self.spent = sight.said.map(str::to_owned);
            }
        }
    }

    /// What is known to be as it should although it looks otherwise: it is neither counted nor held back.
    pub fn acknowledge(&mut self, ids: impl IntoIterator<Item = String>) {
        self.acknowledged.extend(ids);
    }

    /// Whether this one may be believed or deleted. It counts as in doubt from now on, and as passed where the answer is yes.
    pub fn may_pass(&mut self, id: &str, now: Instant) -> bool {
        self.doubtful.insert(id.to_owned());
        if !self.has_seen || (self.is_frozen() && !self.acknowledged.contains(id)) {
            return false;
        }
        self.passed.insert(id.to_owned(), now);
        true
    }

    pub fn standing(&self) -> Standing {
        let passed = self.passed.keys().filter(|id| !self.acknowledged.contains(*id));
        Standing {
            doubtful: self.in_doubt(),
            passed: passed.filter(|id| !self.doubtful.contains(*id)).count(),
            is_frozen: self.is_frozen(),
            is_spent: self.spent.is_some(),
        }
    }

    fn in_doubt(&self) -> usize {
        self.doubtful.difference(&self.acknowledged).count()
    }

    fn is_frozen(&self) -> bool {
        let all: BTreeSet<&String> = self.doubtful.iter().chain(self.passed.keys()).collect();
        let open = all.into_iter().filter(|id| !self.acknowledged.contains(*id)).count();
        open > self.limit.of(self.all) && self.in_doubt() > 0
    }
}

#[cfg(test)]
#[path = "brake_tests.rs"]
mod tests;
