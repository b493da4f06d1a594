//! PilotVMs counted by what they belong to, in one look at each: whoever asks for every pool's VMs must not look at all VMs for each
//! pool.

use std::collections::HashMap;

use crds::{PilotVM, Reason};

use crate::{
    life::{drains, phase},
    names::Key,
};

/// The phases of a PilotVM, in the order of its life.
pub const PHASES: [&str; 5] = ["Pending", "Booting", "Running", "Draining", "Ending"];

/// PilotVMs that belong to one thing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    pub vms: i64,
    pub cores: i64,
    /// How many in each of the [`PHASES`].
    pub phases: [i64; PHASES.len()],
    /// How many drain by drift.
    pub drift: i64,
}

/// PilotVMs by pool, cloud, VO and installation.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    pools: HashMap<Key, Count>,
    clouds: HashMap<Key, Count>,
    vos: HashMap<Key, Count>,
    installations: HashMap<Key, Count>,
}

impl Count {
    fn add(&mut self, vm: &PilotVM, phase: usize) {
        self.vms += 1;
        self.cores = self.cores.saturating_add(vm.spec.offering.cores);
        self.phases[phase] += 1;
        let is_drift =
            PHASES[phase] == "Draining" && drains(vm).is_some_and(|(why, _)| why == Reason::Drifted.as_str());
        self.drift += i64::from(is_drift);
    }

    fn join(&mut self, other: &Self) {
        self.vms += other.vms;
        self.cores = self.cores.saturating_add(other.cores);
        self.drift += other.drift;
        self.phases.iter_mut().zip(other.phases).for_each(|(own, others)| *own += others);
    }

    pub fn in_phase(&self, wanted: &str) -> i64 {
        PHASES.iter().zip(self.phases).filter(|(phase, _)| **phase == wanted).map(|(_, vms)| vms).sum()
    }
}

impl Tally {
    pub fn of<'a>(vms: impl IntoIterator<Item = &'a PilotVM>) -> Self {
        // One look-up for each VM: of those that belong to the same things there are some hundred groups at most.
        let mut groups: HashMap<[&str; 5], Count> = HashMap::new();
        for vm in vms {
            let word = vm.status.as_ref().map_or(PHASES[0], phase);
            let phase = PHASES.iter().position(|p| *p == word).unwrap_or(0);
            let (namespace, spec) = (vm.metadata.namespace.as_deref().unwrap_or_default(), &vm.spec);
            let group = [namespace, &spec.pool_ref.name, &spec.cloud_ref.name, &spec.vo, &spec.installation_ref.name];
            groups.entry(group).or_default().add(vm, phase);
        }
        let mut tally = Self::default();
        for ([namespace, pool, cloud, vo, installation], count) in groups {
            let belongs = [
                (&mut tally.pools, pool),
                (&mut tally.clouds, cloud),
                (&mut tally.vos, vo),
                (&mut tally.installations, installation),
            ];
            for (counts, name) in belongs {
                let key = Key { namespace: namespace.to_owned(), name: name.to_owned() };
                counts.entry(key).or_default().join(&count);
            }
        }
        tally
    }

    pub fn pool(&self, key: &Key) -> Count {
        self.pools.get(key).copied().unwrap_or_default()
    }

    pub fn cloud(&self, key: &Key) -> Count {
        self.clouds.get(key).copied().unwrap_or_default()
    }

    pub fn vo(&self, key: &Key) -> Count {
        self.vos.get(key).copied().unwrap_or_default()
    }

    pub fn installation(&self, key: &Key) -> Count {
        self.installations.get(key).copied().unwrap_or_default()
    }

    /// Every pool that has PilotVMs, also one whose object is gone.
    pub fn pools(&self) -> impl Iterator<Item = &Key> {
        self.pools.keys()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_vm_is_looked_at_once_and_counts_for_its_pool_cloud_vo_and_installation() {
        let vm = |pool: usize, cores| {
            let mut vm = PilotVM::new("vm", crds::vm::PilotVMSpec::default());
            vm.metadata.namespace = Some("demo".into());
            vm.spec.pool_ref.name = format!("pool-{pool}");
            vm.spec.cloud_ref.name = "lyon".into();
            vm.spec.vo = "biomed".into();
            vm.spec.installation_ref.name = "dirac".into();
            vm.spec.offering.cores = cores;
            vm
        };
        let vms: Vec<_> = (0..20_000).map(|n| vm(n % 500, 8)).collect();
        let mut looks = 0;
        let tally = Tally::of(vms.iter().inspect(|_| looks += 1));
        assert_eq!(looks, 20_000);
        let key = |name: &str| Key { namespace: "demo".into(), name: name.into() };
        assert_eq!(tally.pool(&key("pool-499")), Count { vms: 40, cores: 320, phases: [40, 0, 0, 0, 0], drift: 0 });
        for all in [tally.cloud(&key("lyon")), tally.vo(&key("biomed")), tally.installation(&key("dirac"))] {
            assert_eq!((all.vms, all.cores, all.in_phase("Pending")), (20_000, 160_000, 20_000));
        }
        assert_eq!((tally.pools().count(), tally.pool(&key("none"))), (500, Count::default()));
    }
}
