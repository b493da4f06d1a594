//! Room for answers: how many bytes of what clouds say are held at once, and remembered, over the whole process.
//!
//! One answer has its bound, and so has what is asked of one cloud at once ([`Pace`](super::Pace)). Both together do not
//! bound sixty-four clouds that all answer as much as they may. So a large answer waits for room before it is read, and has it until it is
//! taken apart. Who may take how much:
//!
//! - A small answer needs no room, and waits for nobody.
//! - A cloud has a little room of its own, which is enough for what is usual. No other cloud can take that.
//! - What is larger has room in its tenant's part and, with that, in the room of all. A tenant's part is smaller than the whole: however
//!   many clouds a tenant has, and whatever they answer, there is room for the next tenant.
//!
//! What is remembered of an answer, such as servers and flavors, has its part and its whole in the same way. Nobody waits for that: where
//! there is none left the answer is not believed.
//!
//! Nobody who has room of a kind waits for more of that kind, so that no two wait for each other. Room that others may wait for goes back
//! after [`LONGEST_READ`] at the latest, and all queues are first come, first served.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use tokio::{
    sync::{AcquireError, OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout},
};

use crate::{clock::moment, cloud::CloudError};

/// Answers of this many bytes need no room.
const SMALL: usize = 64 << 10;
/// Bytes that all large answers may have together.
const ALL: usize = 40 << 20;
/// Of these, bytes that the clouds of one tenant may have: one list of the greatest length, and a little.
const TENANT: usize = 10 << 20;
/// Bytes of a cloud's own room.
const OWN: usize = 512 << 10;
/// Bytes that may be remembered of all clouds: of twenty thousand servers some 15 MB, twice while a new list takes the place of the old.
const ALL_KEPT: usize = 96 << 20;
/// Of these, bytes of the clouds of one tenant.
const TENANT_KEPT: usize = 32 << 20;
/// This much may always be remembered of each cloud, whatever is remembered of others: a hundred servers.
const OWN_KEPT: usize = 64 << 10;
/// The longest that an answer waits for room. Its caller goes on as where there was no answer.
const PATIENCE: Duration = Duration::from_secs(30);
/// The longest that an answer has room while it is read: 8 MiB at less than a megabyte a second.
const LONGEST_READ: Duration = Duration::from_secs(10);

/// The room of all clouds of the process.
pub struct Budget {
    all: Arc<Part>,
    tenants: Mutex<HashMap<String, Weak<Part>>>,
}

/// What all, or one tenant's clouds, may have.
#[derive(Debug)]
struct Part {
    answers: Arc<Semaphore>,
    kept: Arc<Semaphore>,
}

impl Part {
    fn of(answers: usize, kept: usize) -> Arc<Self> {
        let semaphore = |bytes| Arc::new(Semaphore::new(bytes));
        Arc::new(Self { answers: semaphore(answers), kept: semaphore(kept) })
    }
}

impl Default for Budget {
    fn default() -> Self {
        Self { all: Part::of(ALL, ALL_KEPT), tenants: Mutex::default() }
    }
}

impl Budget {
    /// The room of one cloud of this tenant.
    pub fn room(&self, tenant: &str) -> Room {
        let mut tenants = self.tenants.lock().unwrap_or_else(PoisonError::into_inner);
        tenants.retain(|_, part| part.strong_count() > 0);
        let part = tenants.get(tenant).and_then(Weak::upgrade).unwrap_or_else(|| Part::of(TENANT, TENANT_KEPT));
        tenants.insert(tenant.to_owned(), Arc::downgrade(&part));
        Room { own: Arc::new(Semaphore::new(OWN)), tenant: part, all: self.all.clone() }
    }
}

/// The room of one cloud's answers.
#[derive(Clone, Debug)]
pub struct Room {
    own: Arc<Semaphore>,
    tenant: Arc<Part>,
    all: Arc<Part>,
}

impl Default for Room {
    /// The room of a cloud that is alone.
    fn default() -> Self {
        Budget::default().room("")
    }
}

/// Room that an answer has until this is dropped.
#[derive(Debug)]
pub struct Held {
    bytes: usize,
    _permits: Vec<OwnedSemaphorePermit>,
    /// Who comes while this is held meets the same part, also where the cloud is gone.
    _tenant: Option<Arc<Part>>,
    until: Option<Instant>,
}

impl Default for Held {
    fn default() -> Self {
        Self { bytes: SMALL, _permits: Vec::new(), _tenant: None, until: None }
    }
}

impl Held {
    /// How many bytes it has room for.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// When the answer must have been read, where others may wait for its room.
    pub fn until(&self) -> Option<Instant> {
        self.until
    }
}

impl Room {
    /// Has an answer whose length nobody has said grow to hold `bytes` bytes, of at most `longest`: in two steps at most.
    pub async fn grow(&self, held: &mut Held, bytes: usize, longest: usize) -> bool {
        let step = if bytes <= OWN { OWN.min(longest) } else { longest };
        bytes <= held.bytes || self.fit(held, step.max(bytes)).await
    }

    /// Waits for room for `bytes` bytes; `false`: there is none for a long time.
    pub async fn fit(&self, held: &mut Held, bytes: usize) -> bool {
        if bytes <= held.bytes {
            return true;
        }
        let n = u32::try_from(bytes.min(TENANT)).unwrap_or(u32::MAX);
        let permits = async {
            if bytes <= OWN {
                return Ok(vec![self.own.clone().acquire_many_owned(n).await?]);
            }
            let part = self.tenant.answers.clone().acquire_many_owned(n).await?;
            Ok::<_, AcquireError>(vec![part, self.all.answers.clone().acquire_many_owned(n).await?])
        };
        let Ok(Ok(permits)) = timeout(PATIENCE, permits).await else { return false };
        // Room of the cloud's own that it had so far goes back.
        let until = (bytes > OWN).then(|| moment() + LONGEST_READ);
        *held = Held { bytes, _permits: permits, _tenant: Some(self.tenant.clone()), until };
        true
    }
}

/// Room for what is remembered, until this is dropped.
#[derive(Debug, Default)]
pub struct Kept {
    bytes: usize,
    permits: Option<[OwnedSemaphorePermit; 2]>,
}

impl Room {
    /// Has room for this many bytes that are remembered, no more and no less. `false`: there is no such room, and what there was stays.
    pub fn keep(&self, kept: &mut Kept, bytes: usize) -> bool {
        let bytes = bytes.saturating_sub(OWN_KEPT);
        if let Some(more) = bytes.checked_sub(kept.bytes) {
            let Ok(more) = u32::try_from(more) else { return false };
            let part = |part: &Part| part.kept.clone().try_acquire_many_owned(more);
            let (Ok(tenant), Ok(all)) = (part(&self.tenant), part(&self.all)) else { return false };
            match &mut kept.permits {
                Some([of_tenant, of_all]) => {
                    of_tenant.merge(tenant);
                    of_all.merge(all);
                }
                none => *none = Some([tenant, all]),
            }
        } else {
            kept.permits.iter_mut().flatten().for_each(|permit| drop(permit.split(kept.bytes - bytes)));
        }
        kept.bytes = bytes;
        true
    }
}

/// What is said where there is no room.
pub fn too_much(what: &str) -> CloudError {
    CloudError::Transient(format!(
        "{what}: the clouds of this namespace name so much together that it is not remembered ({} MiB)",
        TENANT_KEPT >> 20
    ))
}

#[cfg(test)]
#[path = "room_tests.rs"]
mod tests;
