//! The stores: every object of ours, as the watches last showed it.

use std::{collections::HashSet, sync::Arc};

use crds::{Cloud, DiracInstallation, Downtime, PilotPool, PilotVM, Site, VirtualOrganization};

use kube::ResourceExt;

use super::{unread::Unread, watch::Objects};
use crate::names::Key;

/// The stores, one a kind.
#[derive(Clone, Default)]
pub struct Stores {
    pub installations: Objects<DiracInstallation>,
    pub vos: Objects<VirtualOrganization>,
    pub sites: Objects<Site>,
    pub clouds: Objects<Cloud>,
    pub pools: Objects<PilotPool>,
    pub vms: Objects<PilotVM>,
    pub downtimes: Objects<Downtime>,
}

impl Stores {
    /// Waits until every store was filled once. Each may be waited for by one task only: a second would not be woken.
    pub async fn fill(&self) {
        tokio::join!(
            self.installations.ready(),
            self.vos.ready(),
            self.sites.ready(),
            self.clouds.ready(),
            self.pools.ready(),
            self.vms.ready(),
            self.downtimes.ready()
        );
    }

    /// The stores that were not filled yet, by kind and namespace.
    pub fn unfilled(&self) -> Vec<String> {
        [
            self.installations.unfilled(),
            self.vos.unfilled(),
            self.sites.unfilled(),
            self.clouds.unfilled(),
            self.pools.unfilled(),
            self.vms.unfilled(),
            self.downtimes.unfilled(),
        ]
        .concat()
    }

    pub fn vms_of_cloud(&self, cloud: &Key) -> Vec<Arc<PilotVM>> {
        self.vms_where(cloud, |vm| vm.spec.cloud_ref.name == cloud.name)
    }

    /// The PilotVMs that run jobs of an installation.
    pub fn vms_of_installation(&self, installation: &Key) -> Vec<Arc<PilotVM>> {
        self.vms_where(installation, |vm| vm.spec.installation_ref.name == installation.name)
    }

    /// UIDs of all PilotVMs, those that this version cannot read included.
    pub fn uids(&self) -> HashSet<String> {
        let unread = self.vms.unread();
        self.vms.all().iter().filter_map(|vm| vm.uid()).chain(unread.iter().filter_map(|vm| vm.uid())).collect()
    }

    /// PilotVMs that this version cannot read and that may belong to the object that this label of theirs names.
    pub fn unknown_vms(&self, label: &str, object: &Key) -> Vec<Arc<Unread<PilotVM>>> {
        self.vms.unknown().into_iter().filter(|vm| vm.may_be_of(label, object)).collect()
    }

    fn vms_where(&self, key: &Key, belongs: impl Fn(&PilotVM) -> bool) -> Vec<Arc<PilotVM>> {
        self.vms.those(|vm| vm.metadata.namespace.as_deref() == Some(&key.namespace) && belongs(vm))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_pilotvm_that_cannot_be_read_is_there() {
        let mut whole = PilotVM::new("cpu-1", crds::vm::PilotVMSpec::default());
        whole.metadata.uid = Some("one".into());
        let broken = json!({"metadata": {"name": "cpu-2", "namespace": "demo", "uid": "two", "labels": {"diracgrid.org/cloud": "c"}}, "spec": {}});
        let stores = Stores { vms: Objects::of([whole]).and_unread([broken]), ..Stores::default() };
        assert_eq!(stores.uids(), HashSet::from(["one".to_owned(), "two".to_owned()]), "its VM is no orphan");
        let of = |name: &str| {
            stores.unknown_vms("diracgrid.org/cloud", &Key { namespace: "demo".into(), name: name.into() }).len()
        };
        assert_eq!((of("c"), of("d")), (1, 0));
    }
}
