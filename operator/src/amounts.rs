//! Numbers of manifests, in the numbers that the broker counts with, and back.

use broker::{
    cloud::Gpu,
    plan::{Free, Limits, Offering},
};
use crds::{PilotVM, quantity::Ceiling};
use jiff::{SignedDuration, Timestamp};

/// A number of things as the broker counts them; a negative number is zero.
pub fn count(n: i64) -> u64 {
    u64::try_from(n).unwrap_or(0)
}

/// A small number of things; a negative number is zero.
pub fn small(n: i64) -> u32 {
    u32::try_from(n).unwrap_or(0)
}

/// A number of things as a manifest has it.
pub fn whole(n: impl TryInto<i64>) -> i64 {
    n.try_into().unwrap_or(i64::MAX)
}

/// A duration of a manifest. One that is absurdly long is cut to ten years, which no clock arithmetic overflows.
pub fn seconds(duration: crds::Duration) -> SignedDuration {
    const LONGEST: i64 = 10 * 365 * 86_400;
    SignedDuration::from_secs(whole(duration.as_secs()).min(LONGEST))
}

/// Seconds from one moment to a later one; 0 where it is none.
pub fn seconds_between(from: Timestamp, to: Timestamp) -> u64 {
    count(to.duration_since(from).as_secs())
}

/// An offering with these GPUs, and nothing else of it.
pub fn gpus(gpu: Option<&Gpu>) -> Offering {
    let Some(gpu) = gpu else { return Offering::default() };
    Offering {
        gpus: u64::from(gpu.count()),
        gpu_model: gpu.model.clone(),
        gpu_vendor: gpu.maker().map(str::to_owned),
        gpu_memory_mib: gpu.memory_mib,
        gpu_share: gpu.is_share(),
        ..Offering::default()
    }
}

/// The whole VM, as if no job ran on it.
pub fn size(vm: &PilotVM) -> Free {
    let bought = &vm.spec.offering;
    Free {
        cores: count(bought.cores),
        ram_mib: count(bought.ram_mib),
        gpus: count(bought.gpus),
        gpu_cores: bought.cores_per_gpu.map_or(0, count),
    }
}

/// The bounds of a manifest.
pub fn limits(ceiling: Option<&Ceiling>) -> Limits {
    ceiling.map_or_else(Limits::default, |c| Limits {
        vms: c.vms.map(count),
        cores: c.cores.map(count),
        ram_mib: c.ram_gib.map(|gib| count(gib).saturating_mul(1024)),
        gpus: c.gpus.map(count),
    })
}
