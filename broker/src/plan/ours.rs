//! The VMs of a snapshot, with the places of all that they name: looked up once for all of the plan.

use std::collections::HashMap;

use super::{
    class::Class,
    index::Numbers,
    job_class::JobClass,
    snapshot::{LiveVm, Snapshot, places},
};

/// A VM of ours, with the places in the snapshot of all that it names.
pub struct Ours<'a> {
    /// What the snapshot says of it.
    pub vm: &'a LiveVm,
    /// Index of its pool; `None`: it is gone.
    pub pool: Option<usize>,
    /// Index of its VO; `None`: it is gone.
    pub vo: Option<usize>,
    /// Index of its cloud; `None`: it cannot be used now, or is gone.
    pub cloud: Option<usize>,
    /// Index of the first pool of its site, also where its own pool is gone.
    pub site: Option<usize>,
    /// What its pilot says: see `Index`.
    pub says: usize,
    /// The class of each of its leases; `None`: no job of it waits.
    pub claims: Vec<Option<usize>>,
}

/// The VMs of a snapshot, in the order of their names.
pub fn ours<'a>(snapshot: &'a Snapshot, classes: &[Class<'_>], numbers: &mut Numbers) -> Vec<Ours<'a>> {
    let pools = places(snapshot.pools.iter().map(|p| &p.name));
    let vos = places(snapshot.vos.iter().map(|v| &v.name));
    let clouds = places(snapshot.clouds.iter().map(|c| &c.name));
    let mut sites: HashMap<&str, usize> = HashMap::new();
    for (i, pool) in snapshot.pools.iter().enumerate() {
        sites.entry(&pool.site).or_insert(i);
    }
    let by_key: HashMap<(usize, &JobClass), usize> =
        classes.iter().enumerate().map(|(n, c)| ((c.vo, &*c.key), n)).collect();
    let place = |vm: &'a LiveVm| {
        let vo = vos.get(vm.vo.as_str()).copied();
        let claim = |class: &JobClass| by_key.get(&(vo?, class)).copied();
        let pool = pools.get(vm.pool.as_str()).copied();
        let site = sites.get(vm.says.site.as_str()).or_else(|| sites.get(snapshot.pools[pool?].site.as_str()));
        Ours {
            vm,
            pool,
            site: site.copied(),
            vo,
            cloud: clouds.get(vm.cloud.as_str()).copied(),
            says: numbers.of(&vm.says),
            claims: vm.lease.iter().map(|lease| claim(&lease.class)).collect(),
        }
    };
    let mut all: Vec<Ours<'_>> = snapshot.vms.iter().map(place).collect();
    all.sort_by_key(|ours| &ours.vm.name);
    all
}
