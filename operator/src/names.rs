//! Names and labels: what objects, VMs, finalizers and field managers are called, each in one place.

use std::{collections::BTreeMap, fmt};

pub use crds::annotation::LET_GO;
use crds::{annotation, vm::PilotVMSpec};
use kube::{Resource, ResourceExt};
use serde::{Deserialize, Serialize};

/// Finalizer of a PilotVM: its VM and its row are not yet settled.
pub const VM_FINALIZER: &str = "diracgrid.org/vm";
/// Finalizer of a Cloud: PilotVMs still need its driver.
pub const CLOUD_FINALIZER: &str = "diracgrid.org/vms";
/// Finalizer of a PilotPool: it has VMs that still drain.
pub const POOL_FINALIZER: &str = "diracgrid.org/vms";
/// Finalizer of a DiracInstallation: the rows of its pilots are not all closed.
pub const INSTALLATION_FINALIZER: &str = "diracgrid.org/vms";
/// Finalizer of a Secret: VMs can be deleted, or rows closed, only with it.
pub const SECRET_FINALIZER: &str = "diracgrid.org/in-use";
/// Label of a PilotVM, and of the ConfigMap with its console log: the name of its pool. The next three name its other objects.
pub const POOL_LABEL: &str = "diracgrid.org/pool";
pub const CLOUD_LABEL: &str = "diracgrid.org/cloud";
pub const VO_LABEL: &str = "diracgrid.org/vo";
pub const INSTALLATION_LABEL: &str = "diracgrid.org/installation";
/// Label of ConfigMaps that keep a console log; the value is `true`.
pub const CONSOLE_LABEL: &str = "diracgrid.org/console";
/// Who reports events, and the prefix of every field manager.
pub const OPERATOR: &str = "dirac-operator";

/// Namespace and name of an object.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Key {
    pub namespace: String,
    pub name: String,
}

impl Key {
    pub fn of<K: Resource>(object: &K) -> Self {
        Self { namespace: object.namespace().unwrap_or_default(), name: object.name_any() }
    }

    /// The key of another object in the same namespace.
    pub fn beside(&self, name: &str) -> Self {
        Self { namespace: self.namespace.clone(), name: name.to_owned() }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// The labels of a PilotVM, which follow from its spec.
pub fn labels(spec: &PilotVMSpec) -> BTreeMap<String, String> {
    let labels = [
        (POOL_LABEL, &spec.pool_ref.name),
        (CLOUD_LABEL, &spec.cloud_ref.name),
        (VO_LABEL, &spec.vo),
        (INSTALLATION_LABEL, &spec.installation_ref.name),
    ];
    labels.into_iter().map(|(label, value)| (label.to_owned(), value.clone())).collect()
}

/// The beginning of a VM's name at the provider.
pub const SERVER_PREFIX: &str = "dirac-";

/// The VM's name at the provider.
pub fn server(pilot_vm: &str) -> String {
    format!("{SERVER_PREFIX}{pilot_vm}")
}

/// The ConfigMap that keeps the console log of a VM: a PilotVM's name may be used again, its UID never.
pub fn console(pilot_vm: &str, uid: &str) -> String {
    let uid: String = uid.chars().take(8).collect();
    format!("{pilot_vm}-{uid}-console")
}

/// The CE's name in DIRAC where the pool gives none.
pub fn default_ce(pool: &Key) -> String {
    format!("{}.{}.dirac-operator", pool.name, pool.namespace)
}

/// Whether the administrator asked to let go of the object without the cloud.
pub fn let_go<K: Resource>(object: &K) -> bool {
    object.annotations().get(LET_GO).is_some_and(|v| v == "true")
}

/// Whether the object is on its way out.
pub fn deleting<K: Resource>(object: &K) -> bool {
    object.meta().deletion_timestamp.is_some()
}

/// Whether the object carries this finalizer.
pub fn holds<K: Resource>(object: &K, finalizer: &str) -> bool {
    object.finalizers().iter().any(|f| f == finalizer)
}

/// Whether a person asked that nothing is made or taken away here.
pub fn is_paused<K: Resource>(object: &K) -> bool {
    object.annotations().get(annotation::PAUSED).is_some_and(|v| v == "true")
}
