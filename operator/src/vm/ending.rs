//! Why a VM's life ended: the reason, the sentence, and the word with which its row is closed.

use broker::{cloud::CloudError, pilot::rows::PilotStatus};
use crds::{PilotVM, condition};

/// An end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ending {
    /// Reason in CamelCase: of the condition, the event and the metric.
    pub reason: String,
    /// The sentence.
    pub message: String,
    /// How the row is closed.
    pub row: PilotStatus,
    /// Whether the console log may tell why.
    pub console: bool,
}

/// What an end says of the offering that was bought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blame {
    /// Nothing.
    Nothing,
    /// It cannot be had now.
    Refused,
    /// Its VM came to nothing, which may be an accident.
    Failed,
}

/// Reasons of ends that are nobody's fault.
const PLAIN: [&str; 4] = ["Idle", "Surplus", "Deleted", "MaxLifetime"];

impl Ending {
    fn new(reason: &str, message: impl Into<String>, row: PilotStatus, console: bool) -> Self {
        Self { reason: reason.to_owned(), message: message.into(), row, console }
    }

    /// Whether an administrator would want to look.
    pub fn is_trouble(&self) -> bool {
        !PLAIN.contains(&self.reason.as_str())
    }

    /// What the offering has to do with it.
    pub fn blame(&self) -> Blame {
        match self.reason.as_str() {
            "NoCapacity" | "QuotaExceeded" | "Invalid" | "NotFound" => Blame::Refused,
            "NeverRan" | "BootDeadlineMissed" | "UserDataInvalid" | "ImageMissing" => Blame::Failed,
            "Transient" | "Conflict" | "Unauthorized" | "Throttled" if self.row == PilotStatus::Aborted => {
                Blame::Failed
            }
            _ => Blame::Nothing,
        }
    }

    /// The VM stopped by itself.
    pub fn halted(ran: bool) -> Self {
        if ran {
            Self::new("Idle", "the VM stopped by itself: its pilot found no more work", PilotStatus::Done, false)
        } else {
            let text = "the VM stopped before its pilot asked for work: see its console log";
            Self::new("NeverRan", text, PilotStatus::Aborted, true)
        }
    }

    /// The provider says that the VM is broken, or refused to make it.
    pub fn failed(error: &CloudError, ran: bool) -> Self {
        let row = if ran { PilotStatus::Failed } else { PilotStatus::Aborted };
        Self::new(error.reason(), format!("the cloud made no working VM: {error}"), row, true)
    }

    /// What the pool says cannot be ordered.
    pub fn unfit(reason: &str, message: &str) -> Self {
        Self::new(reason, message, PilotStatus::Aborted, false)
    }

    /// The VM went without our doing.
    pub fn vanished(ran: bool) -> Self {
        let row = if ran { PilotStatus::Deleted } else { PilotStatus::Aborted };
        Self::new("Vanished", "the VM was deleted at the provider, and not by the operator", row, false)
    }

    /// The pilot never asked for work.
    pub fn never_booted(vm: &PilotVM) -> Self {
        let text = format!(
            "the pilot did not ask DIRAC for work within {} of the launch: see the VM's console log",
            vm.spec.boot_deadline
        );
        Self::new("BootDeadlineMissed", text, PilotStatus::Aborted, true)
    }

    /// The cloud made no VM in time.
    pub fn never_launched(vm: &PilotVM) -> Self {
        let text = format!(
            "no VM was made within {}: see the conditions of its cloud and installation",
            vm.spec.boot_deadline
        );
        Self::new("LaunchTimedOut", text, PilotStatus::Aborted, false)
    }

    /// The object was deleted: by the round, which gives the reason, or by hand.
    pub fn given_back(surplus: Option<&str>, ran: bool) -> Self {
        let row = if ran { PilotStatus::Deleted } else { PilotStatus::Aborted };
        match surplus {
            Some(why) => Self::new("Surplus", why, row, false),
            None => Self::new("Deleted", "the PilotVM was deleted, and its VM with it", row, false),
        }
    }

    /// The end that is written in the status.
    pub fn recorded(vm: &PilotVM) -> Option<Self> {
        let status = vm.status.as_ref()?;
        let ended = condition::get(&status.conditions, condition::ENDED).filter(|c| c.status == "True")?;
        let ran = status.running_since.is_some();
        let row = match ended.reason.as_str() {
            "Idle" => PilotStatus::Done,
            _ if !ran => PilotStatus::Aborted,
            "Vanished" | "Surplus" | "Deleted" | "MaxLifetime" => PilotStatus::Deleted,
            _ => PilotStatus::Failed,
        };
        Some(Self { reason: ended.reason.clone(), message: ended.message.clone(), row, console: false })
    }
}
