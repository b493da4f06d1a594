//! Clouds: one trait, a closed set of errors, a pace, and the drivers of OpenStack and EC2. The simulated one is in `simulation/`.
//!
//! | question | file |
//! |---|---|
//! | what is ordered, which attempt is it, is its VM there already | `order`, `attempt` |
//! | what is a VM, which of twins is kept | `vm` |
//! | what can be bought, how much of it | `offer` |
//! | what does a provider take, what does it announce | `limits`, `notice` |
//! | what can go wrong, what is done then | `error` |
//! | how fast is a provider asked, how much of its answers is held at once | `pace`, `room` |
//! | how is an answer read, what of it may be quoted | `transport`, `quote` |
//! | how are calls counted | `metered` |

use std::time::Duration;

use async_trait::async_trait;
use futures::StreamExt;

mod attempt;
#[cfg(feature = "ec2")]
pub mod ec2;
mod error;
pub mod gpu;
mod limits;
mod metered;
mod notice;
mod offer;
pub mod openstack;
mod order;
pub mod pace;
mod quote;
mod room;
#[cfg(test)]
mod site;
mod transport;
mod vm;

pub use error::{CloudError, Disposition, Scope};
pub use gpu::Gpu;
pub use limits::Limits;
pub use metered::{CallLabels, CloudMetrics, Metered};
pub use notice::{Coming, Notice, Notices};
pub use offer::{Allowance, Flavor, Headroom, Image, Offer, Offers, QuotaClass, Shape, Wanted};
pub use order::{Attempt, Choice, Order, Owner, Purchase};
pub use pace::{Pace, Rate};
pub use room::{Budget, Room};
pub use vm::{End, Vm, VmState, keep, preference};

/// A cloud.
///
/// Contract for every driver, held by one suite (`tests/tests/openstack.rs` runs it against real services and the simulation):
/// * Calls may be made from many tasks at once, and repeated. A cloud that hangs or wants silence holds no caller: a driver is given its
///   [`Pace`] when it is made, and where a turn is further away than two seconds the call ends at once as [`CloudError::Throttled`].
/// * **Unknown is not nothing.** That a VM is missing from a list proves nothing: Nova leaves out the servers of a cell whose database
///   does not answer, and EC2's lists are late. Only [`Cloud::get`] proves absence.
/// * Nothing without our tag and cluster id is ever listed, adopted or deleted.
/// * An `Err` is final for this call: the driver has made the small retries that its protocol asks for, and no others.
///   [`CloudError::disposition`] alone says what to do next.
/// * No error, log line or span holds a credential, a token or user-data.
/// * Zones, flavors and images are the driver's to name; no caller reads them from the manifest.
#[async_trait]
pub trait Cloud: Send + Sync {
    /// What can be bought, of what the pools want. Slow (Nova: about eight requests; EC2: many pages): asked every quarter of an hour,
    /// and when the cloud's object changes.
    ///
    /// Nova: flavors, Glance's images, Neutron's networks and security groups, availability zones. EC2: DescribeInstanceTypes with
    /// filters made from `wanted`, DescribeInstanceTypeOfferings by zone, DescribeSpotPriceHistory, DescribeImages; the quota class is
    /// the code of the Service Quota that the type's family and way of paying count against.
    async fn offers(&self, wanted: &Wanted) -> Result<Offers, CloudError>;

    /// What may still be bought. Fast: asked once a minute.
    ///
    /// Nova: the absolute limits, and Neutron's quota of ports; one class. EC2: the applied Service Quotas in vCPUs for each class,
    /// less the vCPUs of what DescribeInstances shows of the whole account.
    async fn headroom(&self) -> Result<Headroom, CloudError>;

    /// Makes one VM, or adopts the one that an attempt of this owner already made. `Ok` is the one VM, perhaps still building; its
    /// twins are deleted, see [`keep`].
    ///
    /// * The driver looks first: whoever cannot look does not know that there is none, and buys nothing.
    /// * It sends the order at most once for one attempt. With `attempt.repeated` it does not send it, unless the provider knows a token
    ///   that makes repeating harmless: it looks; while the doubt lasts it answers [`CloudError::Unclear`], and when that is over and no
    ///   VM has appeared [`CloudError::Transient`]: the caller then begins the next attempt.
    /// * After a time-out, a reset or a server error it looks for a moment, then says [`CloudError::Unclear`]. An order that nobody
    ///   received (connection refused, no route, TLS) is no doubt.
    /// * With every other `Err` no VM came of this attempt.
    /// * A name that is not there (flavor, image, network) makes the order [`CloudError::Invalid`]. Two orders of one owner that differ
    ///   in their user-data are the same order.
    ///
    /// Nova: `GET /servers/detail?tags=` and `POST /servers`; there is no token. EC2: CreateFleet of the type `instant` for one
    /// instance, with all choices as overrides and ClientToken = hash(owner.uid, attempt.n), which may be repeated;
    /// `IdempotentParameterMismatch` means "find and adopt", and a token whose instance is terminated means that the caller begins the
    /// next attempt (`Transient`). A refusal is an entry of `Errors`, of which the widest scope counts.
    async fn create(&self, order: &Order) -> Result<Vm, CloudError>;

    /// Whether one order asks for all its choices, the first before the second, so that a refusal is one of all of them; else it asks for the
    /// first alone. Nova: no. EC2: where the endpoint has CreateFleet.
    fn asks_for_all(&self) -> bool {
        false
    }

    /// For how long [`Cloud::create`] would send nothing, since the provider asked for silence or does not answer; `None`: it would. The
    /// caller then begins no attempt. Nova: the lanes of its looks and orders. EC2: of DescribeInstances and CreateFleet.
    fn rests(&self) -> Option<Duration> {
        None
    }

    /// VMs of this cluster that carry our tag. It is only a list: see [`Cloud::settle`] for how late it may be, and [`Cloud::get`]
    /// for what is missing from it.
    ///
    /// A driver that knew a VM from an earlier list keeps it in the list as [`VmState::Unknown`] until the provider asserts that it is
    /// gone. After a start it knows none, and the caller must ask for those that it misses. Ended VMs may be in the list. The caller
    /// pauses between two lists at least twice as long as the last one took.
    ///
    /// Nova: pages by tag now and then; in between pages of `changes-since`, and a GET for each of the few that are not settled.
    /// EC2: DescribeInstances with a filter by tag.
    async fn list(&self, cluster: &str) -> Result<Vec<Vm>, CloudError>;

    /// One VM, asked of the provider now; cheap, one request. **`None` only when the provider asserts that there is no such VM.** Whatever
    /// else keeps the answer away is an `Err` or [`VmState::Unknown`], and the VM is to be taken for alive. The id of a VM that exists
    /// and does not carry our tag is [`CloudError::Invalid`].
    ///
    /// Nova: `GET /servers/{id}`; only 404, or the status DELETED, is `None`; a cell that is down gives 500 (`Err`) or the status
    /// UNKNOWN. EC2: DescribeInstances by id; `InvalidInstanceID.NotFound` is `None` once the VM is older than [`Cloud::settle`]
    /// (younger, it is an `Err`), and `terminated` is `Ended` with its state reason.
    async fn get(&self, id: &str) -> Result<Option<Vm>, CloudError>;

    /// The VMs of one owner, asked of the provider now. More than one is a twin. As with a list, an empty answer proves nothing; it is
    /// for finding, and `create` is what decides. Nova: by tag. EC2: DescribeInstances with a filter by tag, ended ones left out.
    async fn find(&self, owner: &Owner) -> Result<Vec<Vm>, CloudError>;

    /// How long a list, a find or a get may be behind what a call already did. Nova: nothing to speak of, its API reads the database that
    /// it wrote. EC2: minutes ("Eventual consistency in the Amazon EC2 API").
    fn settle(&self) -> Duration;

    /// Takes the VM away. `Ok` when the provider accepted it or it is gone already; it is gone when [`Cloud::get`] says so. Repeating it
    /// is harmless. Nova: `DELETE /servers/{id}`. EC2: TerminateInstances.
    async fn delete(&self, id: &str) -> Result<(), CloudError>;

    /// Takes several away: an outcome for each, in order. EC2: TerminateInstances takes up to 1,000 ids in one request.
    async fn delete_many(&self, ids: &[String]) -> Vec<Result<(), CloudError>> {
        let mut outcomes = Vec::with_capacity(ids.len());
        for id in ids {
            outcomes.push(self.delete(id).await);
        }
        outcomes
    }

    /// The last part of the VM's console, at most `max_bytes`; empty where the provider keeps none, or the VM is gone. Nova:
    /// `os-getConsoleOutput`. EC2: GetConsoleOutput with `Latest` where the type allows it, decoded from base64.
    async fn console(&self, id: &str, max_bytes: usize) -> Result<String, CloudError>;

    /// What the provider announces about VMs of ours; without end, or empty. A notice may be late, repeated or missing: it is a hint, and
    /// the state of the VM is what counts. EC2: an SQS queue that EventBridge fills; each message is deleted once it was handed on.
    fn notices(&self) -> Notices {
        futures::stream::empty().boxed()
    }

    /// What the provider takes of user-data.
    fn limits(&self) -> Limits;
}
