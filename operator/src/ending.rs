//! Why a VM's life ended: the reason, the sentence, and the word with which its row is closed.

use broker::{cloud::CloudError, pilot::rows::PilotStatus};
use crds::{ConditionType, PilotVM, Reason, condition};

/// Why a VM ended, and what follows for its row in DIRAC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ending {
    pub why: Why,
    /// A sentence for people.
    pub message: String,
    /// The status that the row is given when it is closed.
    pub row: PilotStatus,
}

/// What an end says of the offering that was bought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blame {
    /// The end says nothing of the offering.
    Nothing,
    /// It cannot be had now.
    Refused,
    /// Its VM came to nothing, which may be an accident.
    Failed,
}

/// What follows from a reason.
struct Facts {
    /// The reason of the condition, the event and the metric.
    reason: Reason,
    /// How the row of a pilot that had asked for work is closed.
    row: PilotStatus,
    /// What the reason says of the offering, where the pilot never asked for work.
    blame: Blame,
    /// Whether an administrator would want to look.
    trouble: bool,
    /// Whether the console log may tell why.
    console: bool,
}

macro_rules! reasons {
    ($($(#[doc = $doc:literal])* $why:ident: $row:ident, $blame:ident, $trouble:literal, $console:literal;)*) => {
        /// Why a VM's life ended. The reason of the condition `Ended`, of the event and of the metric is the variant's name.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Why {
            $($(#[doc = $doc])* $why,)*
        }

        impl Why {
            const ALL: &'static [Self] = &[$(Self::$why,)*];

            fn facts(self) -> Facts {
                match self {
                    $(Self::$why => Facts {
                        reason: Reason::$why,
                        row: PilotStatus::$row,
                        blame: Blame::$blame,
                        trouble: $trouble,
                        console: $console,
                    },)*
                }
            }
        }
    };
}

reasons! {
    // reason: row of a pilot that ran, blame, trouble, console
    /// The VM stopped by itself: its pilot found no more work.
    Idle: Done, Nothing, false, false;
    /// The plan gave it back.
    Surplus: Deleted, Nothing, false, false;
    /// Somebody deleted the PilotVM.
    Deleted: Deleted, Nothing, false, false;
    /// Somebody deleted the VM at the provider.
    Vanished: Deleted, Nothing, true, false;
    /// The provider took the VM back, as it may with one that was bought as Spot.
    Reclaimed: Deleted, Nothing, true, false;
    /// Its pilot asked for work, had no job for too long, and the VM did not stop by itself.
    PilotSilent: Failed, Nothing, true, true;
    /// No job can be within its time any more, and the VM did not stop by itself.
    HardLimit: Failed, Nothing, true, true;
    /// The VM stopped before its pilot asked for work.
    NeverRan: Failed, Failed, true, true;
    /// The pilot did not ask for work in time.
    BootDeadlineMissed: Failed, Failed, true, true;
    /// The cloud made no VM in time.
    LaunchTimedOut: Failed, Nothing, true, false;
    /// The pool's template cannot be rendered.
    UserDataInvalid: Failed, Failed, true, false;
    /// The cloud does not have the pool's image.
    ImageMissing: Failed, Failed, true, false;
    /// The provider has no room for the offering.
    NoCapacity: Failed, Refused, true, true;
    /// The project's quota is used up.
    QuotaExceeded: Failed, Refused, true, true;
    /// The provider refuses the order as it is.
    Invalid: Failed, Refused, true, true;
    /// The provider lacks something that the order names.
    NotFound: Failed, Refused, true, true;
    /// The provider made a VM that does not work, and says nothing useful.
    Transient: Failed, Failed, true, true;
    /// The provider says that the state of something does not allow it.
    Conflict: Failed, Failed, true, true;
    /// The provider refuses the credential.
    Unauthorized: Failed, Failed, true, true;
    /// The operator may not ask the provider's address.
    AddressNotAllowed: Failed, Nothing, true, false;
    /// The provider had too many requests.
    Throttled: Failed, Failed, true, true;
    /// Another version of the operator ended it for a reason that this one does not know.
    Other: Failed, Nothing, true, false;
}

impl Why {
    /// The reason of the condition, the event and the metric.
    pub fn reason(self) -> Reason {
        self.facts().reason
    }

    /// The end that has this reason; [`Why::Other`] where none has it.
    fn of(reason: Option<Reason>) -> Self {
        Self::ALL.iter().copied().find(|why| Some(why.reason()) == reason).unwrap_or(Why::Other)
    }

    /// The end to which the provider's error led.
    fn of_error(error: &CloudError) -> Self {
        match error {
            CloudError::NotFound(_) => Why::NotFound,
            CloudError::AddressNotAllowed(_) => Why::AddressNotAllowed,
            CloudError::Conflict(_) => Why::Conflict,
            CloudError::NoCapacity { .. } => Why::NoCapacity,
            CloudError::Quota { .. } => Why::QuotaExceeded,
            CloudError::Throttled { .. } => Why::Throttled,
            CloudError::Unauthorized(_) => Why::Unauthorized,
            CloudError::Invalid(_) => Why::Invalid,
            CloudError::Transient(_) | CloudError::Unclear { .. } => Why::Transient,
        }
    }

    /// The reason of the event that tells of the end: one for all, but for what a provider does, which alerts tell apart.
    pub fn event(self) -> Reason {
        match self {
            Self::Reclaimed => Reason::Reclaimed,
            _ => Reason::Ended,
        }
    }

    /// Whether an administrator would want to look.
    pub fn is_trouble(self) -> bool {
        self.facts().trouble
    }

    /// Whether the console log may tell why.
    pub fn wants_console(self) -> bool {
        self.facts().console
    }

    /// How the row is closed: DIRAC's `Aborted` is for pilots that never asked for work.
    fn row(self, ran: bool) -> PilotStatus {
        if ran { self.facts().row } else { PilotStatus::Aborted }
    }
}

impl Ending {
    fn new(why: Why, message: impl Into<String>, ran: bool) -> Self {
        Self { why, message: message.into(), row: why.row(ran) }
    }

    /// What the offering has to do with it.
    pub fn blame(&self) -> Blame {
        match self.why.facts().blame {
            Blame::Failed if self.row != PilotStatus::Aborted => Blame::Nothing,
            blame => blame,
        }
    }

    /// The VM stopped by itself.
    pub fn halted(ran: bool) -> Self {
        if ran {
            Self::new(Why::Idle, "the VM stopped by itself: its pilot found no more work", true)
        } else {
            Self::new(Why::NeverRan, "the VM stopped before its pilot asked for work: see its console log", false)
        }
    }

    /// The provider says that the VM is broken, or refused to make it.
    pub fn failed(error: &CloudError, ran: bool) -> Self {
        Self::new(Why::of_error(error), format!("the cloud made no working VM: {error}"), ran)
    }

    /// What the pool asks for cannot be ordered.
    pub fn unfit(why: Why, message: impl Into<String>) -> Self {
        Self::new(why, message, false)
    }

    /// The VM went without our doing.
    pub fn vanished(ran: bool) -> Self {
        Self::new(Why::Vanished, "the VM was deleted at the provider, and not by the operator", ran)
    }

    /// The provider took the VM back.
    pub fn reclaimed(ran: bool) -> Self {
        let text = "the provider took the VM back, and with it what ran there";
        Self::new(Why::Reclaimed, text, ran)
    }

    /// The pilot never asked for work.
    pub fn never_booted(vm: &PilotVM) -> Self {
        let text = format!(
            "the pilot did not ask DIRAC for work within {} of the launch: see the VM's console log",
            vm.spec.boot_deadline
        );
        Self::new(Why::BootDeadlineMissed, text, false)
    }

    /// The cloud made no VM in time.
    pub fn never_launched(vm: &PilotVM) -> Self {
        let text = format!(
            "no VM was made within {}: see the conditions of its cloud and installation",
            vm.spec.boot_deadline
        );
        Self::new(Why::LaunchTimedOut, text, false)
    }

    /// The pilot asked for work, had no job for too long, and its VM does not stop.
    pub fn silent(vm: &PilotVM) -> Self {
        let text = format!(
            "the pilot had no job for longer than {} and a grace, and the VM did not stop by itself: its guest hangs, or does not obey \
             DIRAC_IDLE_TIMEOUT; see its console log",
            vm.spec.idle_timeout
        );
        Self::new(Why::PilotSilent, text, true)
    }

    /// No job can be within its time any more.
    pub fn hard_limit(vm: &PilotVM) -> Self {
        let text = format!(
            "the VM is older than its lifetime of {} and the longest job of {} together, so no job can still be within its time, and it \
             did not stop by itself; see its console log",
            vm.spec.max_lifetime, vm.spec.max_cpu_time
        );
        Self::new(Why::HardLimit, text, true)
    }

    /// The offering was refused to another VM after this one was planned.
    pub fn refused_meanwhile() -> Self {
        let text = "the cloud refused what was planned to another VM a moment ago: nothing was ordered";
        Self::new(Why::NoCapacity, text, false)
    }

    /// Whether it was the operator or a person that decided so, and not the VM that was seen to have ended.
    pub fn is_decided(&self) -> bool {
        use Why::{BootDeadlineMissed, Deleted, HardLimit, LaunchTimedOut, PilotSilent, Surplus};
        matches!(self.why, Surplus | Deleted | BootDeadlineMissed | LaunchTimedOut | PilotSilent | HardLimit)
    }

    /// The object was deleted: by the round, which gives the reason, or by hand.
    pub fn given_back(surplus: Option<&str>, ran: bool) -> Self {
        match surplus {
            Some(why) => Self::new(Why::Surplus, why, ran),
            None => Self::new(Why::Deleted, "the PilotVM was deleted, and its VM with it", ran),
        }
    }

    /// The end that is written in the status.
    pub fn recorded(vm: &PilotVM) -> Option<Self> {
        let status = vm.status.as_ref()?;
        let ended = ConditionType::Ended.among(&status.conditions).filter(|c| c.status == "True")?;
        let why = Why::of(condition::reason(ended));
        // A VM that stopped by itself has had a pilot that asked, also where that was never seen.
        let row = if why == Why::Idle { PilotStatus::Done } else { why.row(status.running_since.is_some()) };
        Some(Self { why, message: ended.message.clone(), row })
    }
}

#[cfg(test)]
#[path = "ending_tests.rs"]
mod tests;
