//! What is ordered, for whom, and which attempt at it this is.

use std::collections::BTreeMap;

use jiff::Timestamp;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

/// What every VM of ours carries, so that it can be found and told from everybody else's.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Owner {
    /// Whose operator: the UID of its cluster's namespace `kube-system`, or the id that the administrator gave.
    pub cluster: String,
    /// The PilotVM's UID.
    pub uid: String,
}

/// Order for one VM, with all that a driver needs to make it.
#[derive(Clone, Debug)]
pub struct Order {
    /// Whose it will be. One owner has one VM.
    pub owner: Owner,
    /// The attempt that this call belongs to.
    pub attempt: Attempt,
    /// Name of the VM, derived from the PilotVM.
    pub name: String,
    /// What may be bought, the best first; never empty. All have the same cores, memory and GPUs, so that the pilot is the same whichever
    /// is bought. EC2: the overrides of one CreateFleet. A driver whose provider takes no list buys the first.
    pub choices: Vec<Choice>,
    /// Image, resolved to the provider's id.
    pub image_id: String,
    /// Plain-text user-data, within [`super::Limits`]; the driver encodes it. It is no part of an order's identity: the template of a
    /// pool may change between two calls, and the order stays the same.
    pub user_data: SecretString,
    /// What its pilot is told: a simulated VM acts on it, a real one learns it from the user-data.
    pub pilot: crate::pilot::Pilot,
    /// More metadata for people who look at the VM at the provider's (pool, VO, site).
    pub metadata: BTreeMap<String, String>,
}

/// An attempt to buy an owner's VM. At most one VM comes of one attempt.
///
/// The caller writes number and time where they survive a crash, and only then calls [`super::Cloud::create`]. After an error that says
/// that nothing was carried out it begins the next attempt. After [`super::CloudError::Unclear`], and where it does not know how an
/// earlier call ended (it crashed, or another process made the call), it repeats the same attempt with `repeated` set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// 1, 2, 3... EC2: the ClientToken is a hash of the owner's UID and this number.
    pub n: u32,
    /// When the attempt was written down, just before its first call. What the attempt asked for may be carried out late, but not later
    /// than a while after this: see [`super::CloudError::Unclear`].
    pub since: Timestamp,
    /// Whether `create` may have been called with this attempt before. Nova has no token that makes a second call harmless: its driver
    /// only looks then.
    pub repeated: bool,
    /// Whether a repeated attempt is only looked for, also where a token would make another call harmless: it is not known whether its
    /// pilot has a row, and a VM without one would be unknown to DIRAC.
    pub look_only: bool,
}

/// One thing that may be bought.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Choice {
    /// Flavor by name. EC2: the instance type.
    pub flavor: String,
    /// Availability zone; `None`: the provider chooses.
    pub zone: Option<String>,
    /// On demand or as a spot VM.
    pub purchase: Purchase,
    /// The most that an hour may cost, in millionths of the currency, for a spot VM; `None`: the on-demand price.
    pub max_price_micros: Option<u64>,
}

/// How a VM is paid.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Purchase {
    /// At a fixed price (or from a quota that is paid otherwise); ours until we give it back.
    #[default]
    OnDemand,
    /// Cheaper, and the provider may take it back at any time.
    Spot,
}
