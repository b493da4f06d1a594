//! A PilotVM's status: what is written at each step of its life, with its conditions.

use broker::{
    cloud::Vm,
    pilot::{rows::PilotStatus, stamp},
};
use crds::{
    ConditionType, PilotVM, Reason,
    vm::{Attempt, Bought, PilotVMStatus},
};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;

use crate::{
    conditions::Conditions,
    ending::Ending,
    life::{phase, place_in},
};

/// What a VM is made from, as far as it is known when it is ordered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MadeFrom {
    /// The provider's id of the image.
    pub image_id: Option<String>,
    /// The fingerprint of its pool's template.
    pub user_data_hash: Option<String>,
    /// The zones that its order names beside the first.
    pub other_zones: Vec<String>,
}

/// A status in the making: the last one, changed step by step.
pub struct Record {
    status: PilotVMStatus,
    conditions: Conditions,
    now: Timestamp,
}

impl Record {
    /// Goes on from the object's last status.
    pub fn of(vm: &PilotVM, now: Timestamp) -> Self {
        let mut status = vm.status.clone().unwrap_or_default();
        let uid = vm.uid().unwrap_or_default();
        status.pilot_reference.get_or_insert_with(|| stamp::reference(&uid));
        status.pilot_stamp.get_or_insert_with(|| stamp::stamp(&uid));
        let conditions = Conditions::of(Some(&status.conditions), vm.metadata.generation, now);
        Self { status, conditions, now }
    }

    fn says(mut self, type_: ConditionType, status: Option<bool>, reason: Reason, message: &str) -> Self {
        self.conditions.says(type_, status, reason, message);
        self
    }

    /// Puts back what follows from the UID and from the times in the status, and was overwritten.
    pub fn mended(mut self, uid: &str) -> Self {
        self.status.pilot_reference = Some(stamp::reference(uid));
        self.status.pilot_stamp = Some(stamp::stamp(uid));
        let lacks = |record: &Self, type_: ConditionType| !type_.holds(record.conditions.all());
        let (was_made, ran) = (self.status.launched_at.is_some(), self.status.running_since.is_some());
        if was_made && lacks(&self, ConditionType::Registered) {
            self = self.registered();
        }
        if was_made && lacks(&self, ConditionType::Launched) {
            self = self.made();
        }
        let is_over = ConditionType::Ended.holds(self.conditions.all());
        if ran && !is_over && lacks(&self, ConditionType::Running) {
            self = self.asks();
        }
        self
    }

    fn registered(self) -> Self {
        self.says(ConditionType::Registered, Some(true), Reason::Registered, "the pilot has its row in DIRAC")
    }

    fn made(self) -> Self {
        self.says(ConditionType::Launched, Some(true), Reason::Launched, "the cloud has made the VM")
    }

    fn asks(self) -> Self {
        self.says(ConditionType::Running, Some(true), Reason::Running, "the pilot asks DIRAC for work")
    }

    /// This attempt to make the VM begins.
    pub fn begins(mut self, n: u32, MadeFrom { image_id, user_data_hash, other_zones }: MadeFrom) -> Self {
        let (number, since) = (i64::from(n), Time(self.now));
        self.status.attempt = Some(Attempt { number, since, image_id, user_data_hash, other_zones });
        self
    }

    /// The cloud has made the VM.
    pub fn launched(mut self, vm: &PilotVM, machine: &Vm) -> Self {
        let wish = &vm.spec.offering;
        self.status.provider_id = Some(machine.id.clone());
        self.status.provider_status = Some(machine.provider_status.clone());
        self.status.launched_at.get_or_insert(Time(self.now));
        self.status.missing_since = None;
        let bought = machine.bought.as_ref();
        let zone = bought.map_or_else(|| wish.zone.clone(), |b| b.zone.clone());
        self.status.bought = Some(Bought {
            flavor: bought.map_or_else(|| wish.flavor.clone(), |b| b.flavor.clone()),
            per_hour: place_in(wish, zone.as_deref()).1,
            zone,
            purchase: wish.purchase,
        });
        if self.status.running_since.is_some() {
            return self;
        }
        self.status.pilot_status.get_or_insert_with(|| PilotStatus::Submitted.as_str().to_owned());
        self.registered().made().says(
            ConditionType::Running,
            Some(false),
            Reason::Booting,
            "the pilot has not yet asked DIRAC for work",
        )
    }

    /// Lists lack the VM; it counts as alive.
    pub fn missing(mut self, why: &str) -> Self {
        self.status.missing_since.get_or_insert(Time(self.now));
        self.waits(ConditionType::Ready, Reason::MissingFromLists, why)
    }

    /// The provider announced that the VM goes.
    pub fn leaves(self, reason: Reason, message: &str) -> Self {
        self.says(ConditionType::Leaving, Some(true), reason, message)
    }

    /// Whether the VM is to take no more jobs.
    pub fn drains(self, drains: bool, reason: Reason, text: &str) -> Self {
        self.says(ConditionType::Draining, Some(drains), reason, text)
    }

    /// The VM is in the lists again, or the provider knows it.
    pub fn found(mut self) -> Self {
        self.status.missing_since = None;
        self.says(ConditionType::Ready, Some(true), Reason::Ready, "the provider knows the VM")
    }

    /// Whether a pause holds it, and what says so.
    pub fn paused(self, by: Option<&str>) -> Self {
        match by {
            Some(by) => {
                let text = format!("{by} is paused: nothing is made or taken away");
                self.says(ConditionType::Paused, Some(true), Reason::Paused, &text)
            }
            None => self.says(ConditionType::Paused, Some(false), Reason::NotPaused, "nobody asks for a pause"),
        }
    }

    /// What the pilot's row says.
    pub fn pilot(&mut self, status: PilotStatus) {
        self.status.pilot_status = Some(status.as_str().to_owned());
    }

    /// Something that was tried did not work, and is tried again.
    pub fn waits(self, type_: ConditionType, reason: Reason, message: &str) -> Self {
        self.says(type_, Some(false), reason, message)
    }

    /// The pilot asks for work; `had_job`: it had one so far; `idle_since`: since when it has none any more.
    pub fn running(mut self, had_job: bool, idle_since: Option<Timestamp>, provider_status: Option<&str>) -> Self {
        self.status.running_since.get_or_insert(Time(self.now));
        self.status.served_job |= had_job;
        self.status.idle_since =
            if self.status.served_job { idle_since.map(Time) } else { self.status.running_since.clone() };
        self.status.last_asked_at = Some(Time(idle_since.unwrap_or(self.now)));
        self.pilot(PilotStatus::Running);
        if let Some(word) = provider_status {
            self.status.provider_status = Some(word.to_owned());
        }
        self.asks()
    }

    /// The VM's life has ended.
    pub fn ended(mut self, ending: &Ending, console: Option<String>, provider_status: Option<&str>) -> Self {
        self.status.console_log = console.or(self.status.console_log);
        if let Some(word) = provider_status {
            self.status.provider_status = Some(word.to_owned());
        }
        self.says(ConditionType::Running, Some(false), ending.why.reason(), &ending.message).says(
            ConditionType::Ended,
            Some(true),
            ending.why.reason(),
            &ending.message,
        )
    }

    /// The status, with the phase that follows from its conditions.
    pub fn finish(mut self) -> PilotVMStatus {
        self.status.conditions = self.conditions.finish();
        self.status.phase = Some(phase(&self.status).to_owned());
        self.status
    }
}
