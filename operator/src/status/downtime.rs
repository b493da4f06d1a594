//! Downtimes: how far each is, and which VMs are still there.

use broker::plan::Limits;
use crds::{ConditionType, Downtime, PilotVM, Reason, downtime::DowntimeStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;

use super::pass::{Beside, Pass};
use crate::{
    amounts::{count, whole},
    conditions::Conditions,
    downtime::{Course, Stage, keep, sentence},
    life::drains,
    names::Key,
};

pub fn status(pass: &Pass<'_>, downtime: &Downtime) -> DowntimeStatus {
    let key = Key::of(downtime);
    let beside = pass.beside(&key);
    let old = downtime.status.as_ref().map(|s| &s.conditions);
    let mut conditions = Conditions::of(old, downtime.metadata.generation, pass.now);
    conditions.resolved(&missing(downtime, beside), None);
    conditions.supported(&[]);
    conditions.ready(&[ConditionType::Resolved], "the downtime is acted on");
    let course = Course::of(downtime, &beside.clouds, &beside.pools);
    let stores = &pass.state.stores;
    let vms: Vec<_> = course.clouds.iter().flat_map(|cloud| stores.vms_of_cloud(&key.beside(cloud))).collect();
    let stage = course.stage(pass.now);
    draining(&mut conditions, downtime, &course, stage);
    active(&mut conditions, downtime, &course, stage, held(vms.iter().map(AsRef::as_ref)));
    DowntimeStatus {
        observed_generation: downtime.metadata.generation,
        drains_at: Some(Time(course.drains)),
        vms: whole(vms.len()),
        draining: whole(vms.iter().filter(|vm| drains(vm).is_some()).count()),
        conditions: conditions.finish(),
    }
}

fn missing(downtime: &Downtime, beside: &Beside) -> Vec<String> {
    let (site, cloud) = (&downtime.spec.site_ref.name, downtime.spec.cloud_ref.as_ref());
    let mut missing = Vec::new();
    if !beside.sites.iter().any(|other| other.name_any() == *site) {
        missing.push(format!("Site {site:?} does not exist: create it, or make another Downtime"));
    }
    if let Some(name) = cloud.map(|cloud| &cloud.name) {
        match beside.clouds.iter().find(|other| other.name_any() == *name) {
            None => missing.push(format!("Cloud {name:?} does not exist: create it, or make another Downtime")),
            Some(other) if other.spec.site_ref.name != *site => missing.push(format!(
                "Cloud {name:?} belongs to site {:?}, and not to {site:?}: make another Downtime",
                other.spec.site_ref.name
            )),
            Some(_) => {}
        }
    }
    missing
}

fn draining(conditions: &mut Conditions, downtime: &Downtime, course: &Course, stage: Stage) {
    let (status, reason, text) = match stage {
        Stage::Announced => (false, Reason::Announced, format!("the draining begins at {}", course.drains)),
        Stage::Draining | Stage::Active => (true, Reason::Downtime, sentence(downtime)),
        Stage::Over => (false, Reason::Over, "the downtime is over".to_owned()),
    };
    conditions.says(ConditionType::Draining, Some(status), reason, &text);
}

fn active(conditions: &mut Conditions, downtime: &Downtime, course: &Course, stage: Stage, held: Held) {
    let (status, reason, text) = match stage {
        Stage::Announced | Stage::Draining => {
            (false, Reason::Announced, format!("the downtime begins at {}", course.start))
        }
        Stage::Active if held.is_beyond(keep(downtime)) => {
            let text = format!(
                "{}; {} VMs with {} cores are still there. They drain, and no job is killed: `kubectl get pvm --field-selector \
                 spec.cloudRef.name=CLOUD` shows them (clouds: {})",
                sentence(downtime),
                held.vms,
                held.cores,
                course.clouds.join(", ")
            );
            (true, Reason::VMsLeft, text)
        }
        Stage::Active => (true, Reason::Downtime, sentence(downtime)),
        Stage::Over => (false, Reason::Over, "the downtime is over".to_owned()),
    };
    conditions.says(ConditionType::Active, Some(status), reason, &text);
}

/// What VMs hold.
#[derive(Clone, Copy, Default)]
struct Held {
    vms: u64,
    cores: u64,
    ram_mib: u64,
    gpus: u64,
}

fn held<'a>(vms: impl Iterator<Item = &'a PilotVM>) -> Held {
    vms.map(|vm| &vm.spec.offering).fold(Held::default(), |held, of| Held {
        vms: held.vms.saturating_add(1),
        cores: held.cores.saturating_add(count(of.cores)),
        ram_mib: held.ram_mib.saturating_add(count(of.ram_mib)),
        gpus: held.gpus.saturating_add(count(of.gpus)),
    })
}

impl Held {
    fn is_beyond(self, keep: Limits) -> bool {
        let all =
            [(self.vms, keep.vms), (self.cores, keep.cores), (self.ram_mib, keep.ram_mib), (self.gpus, keep.gpus)];
        all.iter().any(|(held, keep)| keep.is_some_and(|keep| *held > keep))
    }
}

#[cfg(test)]
#[path = "downtime_tests.rs"]
mod tests;
