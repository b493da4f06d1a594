//! What a provider says of a VM's future.

use futures::stream::BoxStream;
use jiff::Timestamp;

/// Notices as they come.
pub type Notices = BoxStream<'static, Notice>;

/// A provider's word that something will happen to a VM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// The VM, by the provider's id.
    pub id: String,
    /// When it will happen, by the provider's word.
    pub at: Timestamp,
    /// What will happen.
    pub what: Coming,
}

/// What will happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coming {
    /// The provider takes the VM back. EC2: "EC2 Spot Instance Interruption Warning", two minutes before.
    Reclaim,
    /// The provider would rather have it elsewhere, and may take it back soon. EC2: "EC2 Instance Rebalance Recommendation".
    Rebalance,
    /// The VM stops or starts again for work on its host. EC2: "AWS Health Event" of the category `scheduledChange`.
    Maintenance,
}
