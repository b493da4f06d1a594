//! What is bought with restraint for a while, and why: offerings that were refused, VMs that came to nothing, a ramp.

use serde::{Deserialize, Deserializer, Serialize};

use super::{Reason, job_class::JobClass};
use crate::cloud::Purchase;

/// A bound on launches of this plan. It counts each launch that agrees with all that it names; `None` agrees with everything.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Hold {
    /// The Cloud object where it holds; `None`: everywhere.
    pub cloud: Option<String>,
    /// The flavor for which it holds; `None`: for every one.
    pub flavor: Option<String>,
    /// Availability zone; `None`: every one. `Some(None)`: an offering without a zone, which JSON says with `null`.
    #[serde(default, deserialize_with = "there", skip_serializing_if = "Option::is_none")]
    pub zone: Option<Option<String>>,
    /// Way of buying.
    #[serde(default)]
    pub purchase: Option<Purchase>,
    /// Index in `Snapshot::quotas`.
    pub quota: Option<usize>,
    /// The image for which it holds, by the pools' name for it; `None`: for every one.
    pub image: Option<String>,
    /// PilotPool object.
    pub pool: Option<String>,
    /// VirtualOrganization object.
    pub vo: Option<String>,
    /// The class of jobs for which it holds; `None`: for every one.
    pub class: Option<JobClass>,
    /// The most VMs that may be made; 0: none.
    pub most: u64,
    /// Whether jobs wait for what is held back, which will soon be more. Otherwise they get something dearer, or in another pool.
    #[serde(default)]
    pub waits: bool,
    /// Why no more.
    pub reason: Reason,
    /// The sentence: what is held back, why, and until when.
    pub message: String,
}

/// A field that is there, be it `null`.
fn there<'de, D: Deserializer<'de>, T: Deserialize<'de>>(from: D) -> Result<Option<T>, D::Error> {
    T::deserialize(from).map(Some)
}

impl Hold {
    /// A bound on all launches, for which no job waits: name what it is for.
    pub fn new(most: u64, reason: Reason, message: impl Into<String>) -> Self {
        Self {
            cloud: None,
            flavor: None,
            zone: None,
            purchase: None,
            quota: None,
            image: None,
            pool: None,
            vo: None,
            class: None,
            most,
            waits: false,
            reason,
            message: message.into(),
        }
    }

    /// Whether it says what VMs of one pool and offering may be made for one class of a VO: it takes the place of [`Rules::untried`] there.
    ///
    /// [`Rules::untried`]: super::Rules::untried
    pub fn is_of_a_circuit(&self) -> bool {
        let names = self.pool.is_some() && self.cloud.is_some() && self.flavor.is_some() && self.zone.is_some();
        names && self.is_of_jobs() && self.quota.is_none() && self.image.is_none()
    }

    /// Whether it names a class of a VO.
    pub fn is_of_jobs(&self) -> bool {
        self.vo.is_some() && self.class.is_some()
    }

    /// Whether it names one offering and nothing else: what is known of that is in it.
    pub fn is_of_an_offering(&self) -> bool {
        let Self {
            cloud,
            flavor,
            zone,
            purchase: _,
            quota,
            image,
            pool,
            vo,
            class,
            most: _,
            waits: _,
            reason: _,
            message: _,
        } = self;
        let names = cloud.is_some() && flavor.is_some() && zone.is_some();
        names && quota.is_none() && image.is_none() && pool.is_none() && vo.is_none() && class.is_none()
    }
}

#[cfg(test)]
#[path = "hold_tests.rs"]
mod tests;
