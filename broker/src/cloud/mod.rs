//! Clouds: one trait, a closed set of errors, decorators, and a folder for each driver.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use jiff::Timestamp;
use secrecy::SecretString;

pub mod decorate;
pub mod error;
pub mod openstack;

use self::decorate::Pace;
pub use error::{CloudError, Disposition};

/// What every VM of ours carries, so that it can be found and told from everybody else's.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Owner {
    /// The Kubernetes cluster: UID of its `kube-system` namespace.
    pub cluster: String,
    /// The PilotVM's UID.
    pub uid: String,
}

/// Order for one VM. Everything but the user-data is derived from the PilotVM, so a repeated order is the same order.
#[derive(Clone, Debug)]
pub struct Order {
    /// Who it belongs to. `owner.uid` is the idempotency key.
    pub owner: Owner,
    /// Name of the VM, derived from the PilotVM.
    pub name: String,
    /// Flavor by name.
    pub flavor: String,
    /// Image, resolved to the provider's id.
    pub image_id: String,
    /// Availability zone.
    pub zone: Option<String>,
    /// Plain-text user-data; the driver encodes it.
    pub user_data: SecretString,
    /// What its pilot is told: a simulated VM acts on it, a real one learns it from the user-data.
    pub pilot: crate::pilot::Pilot,
    /// More metadata for people who look at the VM at the provider's (pool, VO, site).
    pub metadata: BTreeMap<String, String>,
}

/// A VM as the provider lists it. Only VMs that carry our tag and cluster are ever listed.
#[derive(Clone, Debug, PartialEq)]
pub struct Vm {
    /// The provider's id.
    pub id: String,
    /// Whose it is.
    pub owner: Owner,
    /// Its name.
    pub name: String,
    /// What it does.
    pub state: VmState,
    /// The provider's own word for the state, for people.
    pub provider_status: String,
    /// When the provider made it.
    pub created: Timestamp,
    /// Flavor by name, where the list says so.
    pub flavor: Option<String>,
}

/// What a VM does.
#[derive(Clone, Debug, PartialEq)]
pub enum VmState {
    /// Being made.
    Building,
    /// Up, for the provider. Whether its pilot works is DIRAC's to say.
    Active,
    /// Stopped by itself.
    Halted,
    /// Broken, with the error the provider's fault text amounts to (quota, capacity...).
    Failed(CloudError),
    /// Being taken away.
    Deleting,
}

/// A flavor that can be bought.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Flavor {
    /// Name.
    pub name: String,
    /// Cores.
    pub cores: u32,
    /// Memory in MiB.
    pub ram_mib: u64,
    /// GPUs.
    pub gpus: u32,
    /// Model of the GPUs, where the flavor says so.
    pub gpu_model: Option<String>,
    /// Price of an hour in millionths, where the provider says so.
    pub price_micros: Option<u64>,
}

/// A bound and its use; `None` is unlimited or unknown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Allowance {
    /// The bound.
    pub limit: Option<u64>,
    /// Used by everybody in the project.
    pub used: u64,
}

/// The provider's quota.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quota {
    /// VMs.
    pub vms: Allowance,
    /// Cores.
    pub cores: Allowance,
    /// Memory in MiB.
    pub ram_mib: Allowance,
    /// GPUs.
    pub gpus: Allowance,
}

/// What a cloud offers and allows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Catalogue {
    /// Flavors that can be bought.
    pub flavors: Vec<Flavor>,
    /// The quota.
    pub quota: Quota,
    /// Images found: the asked-for name or id, and the provider's id.
    pub images: BTreeMap<String, String>,
    /// Things asked for and not found or ambiguous (images, networks, security groups, zones): a sentence each.
    pub missing: Vec<String>,
    /// When the credential ends, where the provider says so.
    pub credential_expires: Option<Timestamp>,
    /// Id of the project or account that the credential opens.
    pub project: Option<String>,
}

/// A cloud.
///
/// Contract for every driver, held by one suite (`tests/tests/openstack.rs` runs it against real services):
/// * Calls may be made from many tasks at once, and repeated.
/// * Nothing without our tag and cluster id is ever listed, adopted or deleted.
/// * An `Err` is final for this call: the driver has made the small retries that its protocol asks for, and no others.
///   [`CloudError::disposition`] alone says what to do next.
/// * No error, log line or span holds a credential, a token or user-data.
#[async_trait]
pub trait Cloud: Send + Sync {
    /// Takes the pace for the requests that its calls are made of, and says whether it did: whoever does not is paced call by
    /// call, as suits a driver whose call is one request.
    fn paces_requests(&self, _pace: &Arc<Pace>) -> bool {
        false
    }

    /// Flavors, quota, images. Used for planning; read at most once a minute.
    async fn catalogue(&self) -> Result<Catalogue, CloudError>;

    /// Makes one VM, or adopts the one that this order already made.
    ///
    /// After any unclear outcome (time-out, reset, 5xx) the driver looks for the owner's VM until the doubt is over, adopts
    /// one and deletes any twin. `Ok` is the one VM, perhaps still building.
    ///
    /// With [`CloudError::Transient`] and [`CloudError::Throttled`] it is unknown whether a VM of this order exists: the caller
    /// repeats the same order, which looks first. With every other `Err` the order itself was refused after a look that found
    /// none, and no VM of it exists.
    /// The order is refused as [`CloudError::Invalid`] where image, flavor or network do not exist.
    async fn create(&self, order: &Order) -> Result<Vm, CloudError>;

    /// All VMs of this cluster that carry our tag, whatever their state: one paged list (deleted ones are absent).
    async fn list(&self, cluster: &str) -> Result<Vec<Vm>, CloudError>;

    /// The VMs of one owner, asked of the provider now. More than one is a twin.
    async fn find(&self, owner: &Owner) -> Result<Vec<Vm>, CloudError>;

    /// Takes the VM away. `Ok` when the provider accepted it or it is gone already; it is gone when `list` no longer has it.
    async fn delete(&self, id: &str) -> Result<(), CloudError>;

    /// The last part of the VM's console, at most `max_bytes`; empty where the provider keeps none, or the VM is gone.
    async fn console(&self, id: &str, max_bytes: usize) -> Result<String, CloudError>;
}
