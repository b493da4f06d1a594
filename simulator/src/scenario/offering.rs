//! What can be bought.

/// One thing that can be bought, by the indices of cloud, flavor and zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Offer {
    /// Index of the cloud that sells it.
    pub cloud: usize,
    /// Index of the flavor among those of the cloud.
    pub flavor: usize,
    /// Index of the zone among those of the cloud.
    pub zone: usize,
    /// Whether it is bought as Spot.
    pub spot: bool,
}

/// How much of each thing: VMs, cores, memory in MiB, GPUs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Size {
    /// Number of VMs.
    pub vms: u64,
    /// Cores of these VMs.
    pub cores: u64,
    /// Memory of these VMs in MiB.
    pub ram_mib: u64,
    /// GPUs of these VMs.
    pub gpus: u64,
}

impl Size {
    /// In the order VMs, cores, memory, GPUs.
    pub fn parts(self) -> [u64; 4] {
        [self.vms, self.cores, self.ram_mib, self.gpus]
    }
}

impl std::ops::AddAssign for Size {
    fn add_assign(&mut self, other: Self) {
        self.vms += other.vms;
        self.cores += other.cores;
        self.ram_mib += other.ram_mib;
        self.gpus += other.gpus;
    }
}

impl std::ops::SubAssign for Size {
    fn sub_assign(&mut self, other: Self) {
        self.vms = self.vms.saturating_sub(other.vms);
        self.cores = self.cores.saturating_sub(other.cores);
        self.ram_mib = self.ram_mib.saturating_sub(other.ram_mib);
        self.gpus = self.gpus.saturating_sub(other.gpus);
    }
}
