//! What a simulated cloud is told, from the Cloud object.

use std::time::Duration;

use broker::simulation::{CloudConfig, Faults, SimulatedFlavor};
use crds::cloud::CloudSpec;

use crate::amounts::{count, limits, small};

/// Boot time of simulated VMs where the cloud gives none, in seconds.
const BOOT_SECONDS: u64 = 60;

/// The configuration of a simulated cloud, from its object.
pub fn config(spec: &CloudSpec) -> CloudConfig {
    let Some(simulated) = &spec.simulated else { return CloudConfig::default() };
    let faults = simulated.faults.clone().unwrap_or_default();
    CloudConfig {
        seed: u64::from(simulated.seed),
        zones: Vec::new(),
        flavors: simulated
            .flavors
            .iter()
            .map(|f| SimulatedFlavor {
                name: f.name.clone(),
                cores: small(f.cores),
                ram_mib: count(f.ram_gib).saturating_mul(1024),
                gpus: small(f.gpus),
                gpu_model: f.gpu_model.clone(),
                price_micros: f.per_hour.map(crds::Price::micros),
            })
            .collect(),
        capacity: simulated.flavors.iter().filter_map(|f| Some((f.name.clone(), count(f.capacity?)))).collect(),
        images: spec.images.keys().cloned().collect(),
        quota: limits(simulated.quota.as_ref()),
        boot_seconds: simulated.boot_time.map_or(BOOT_SECONDS, crds::Duration::as_secs),
        faults: Faults {
            capacity: faults.capacity,
            boot_failure: faults.boot_failure,
            lost_reply: faults.lost_reply,
            transient: faults.transient,
            slow_boot: faults.slow_boot,
            spot_reclaim: faults.spot_reclaim,
            list_lag: faults.list_lag.map_or(0, crds::Duration::as_secs),
            latency: faults.latency.map(Duration::from).unwrap_or_default(),
            ..Faults::default()
        },
    }
}
