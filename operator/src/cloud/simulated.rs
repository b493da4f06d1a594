//! A simulated cloud, from the Cloud object. It is made once, and changed when its object changes: its VMs live in it.

use std::{sync::Arc, time::Duration};

use broker::{
    clock::Clock,
    cloud::Pace,
    simulation::{CloudConfig, Faults, SimulatedCloud, SimulatedFlavor, SimulatedSpot},
};
use crds::{Cloud, Reason, cloud::CloudSpec};

use crate::{
    amounts::{count, limits, small},
    context::State,
    names::Key,
    trouble::Trouble,
};

/// Boot time of simulated VMs where the cloud gives none, in seconds.
const BOOT_SECONDS: u64 = 60;

/// A simulated cloud, whose pilots find their jobs in the simulated installation of its site.
pub fn make(state: &State, cloud: &Cloud, pace: Arc<Pace>, clock: Clock) -> Result<SimulatedCloud, Trouble> {
    let key = Key::of(cloud);
    let site = state.stores.sites.get(&key.beside(&cloud.spec.site_ref.name));
    let installation = site.map(|site| key.beside(&site.spec.installation_ref.name));
    let Some(dirac) = installation.and_then(|key| state.installations.get(&key).facts().simulated) else {
        let message = format!(
            "the site {:?} of this simulated cloud belongs to no simulated installation that is known",
            cloud.spec.site_ref.name
        );
        return Err(Trouble::new(Reason::NoSimulatedInstallation, message));
    };
    Ok(SimulatedCloud::new(config(&cloud.spec), Some(dirac), clock).at_pace(pace))
}

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
                gpu_memory_mib: f.gpu_memory_gib.map(|gib| count(gib).saturating_mul(1024)),
                gpu_shares: f.gpu_shares.map_or(1, count),
                price_micros: f.per_hour.map(crds::Price::micros),
                quota_class: None,
                spot: f.spot.as_ref().map(|spot| SimulatedSpot {
                    price_micros: spot.per_hour.map(crds::Price::micros),
                    reclaim: spot.reclaim,
                }),
            })
            .map(Arc::new)
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
