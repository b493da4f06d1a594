//! What a cloud says while a brake holds: the reason, and the sentence with the command that lets go. Pure.

use crds::{
    annotation::{ACKNOWLEDGE_CHANGE, ACKNOWLEDGE_ORPHANS},
    reason::Reason,
};

use super::brake::Standing;
use crate::names::Key;

/// What is held back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// VMs of ours that are missing or gone are not believed gone.
    Losses,
    /// VMs without a PilotVM are not deleted.
    Orphans,
}

impl What {
    /// The reason of the condition, of the event and of the metric.
    pub fn reason(self) -> Reason {
        match self {
            Self::Losses => Reason::MassLoss,
            Self::Orphans => Reason::OrphansNotAcknowledged,
        }
    }

    /// The annotation with which a person lets go.
    pub fn annotation(self) -> &'static str {
        match self {
            Self::Losses => ACKNOWLEDGE_CHANGE,
            Self::Orphans => ACKNOWLEDGE_ORPHANS,
        }
    }
}

/// A brake that holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frozen {
    /// What is held back.
    pub what: What,
    pub standing: Standing,
    /// Of how many VMs.
    pub all: usize,
}

impl Frozen {
    /// The reason of the condition and of the event.
    pub fn reason(&self) -> Reason {
        self.what.reason()
    }

    /// The sentence, with the command that lets go.
    pub fn message(&self, cloud: &Key) -> String {
        let Standing { doubtful, passed, is_spent, .. } = self.standing;
        let lately = match passed {
            0 => String::new(),
            n => format!(", and {n} more went in the last five minutes"),
        };
        let annotation = self.what.annotation();
        let (seen, held, sure) = match self.what {
            What::Losses => (
                format!("{doubtful} of {} VMs are missing from the cloud or gone at once{lately}", self.all),
                "none of them is believed gone: each counts as alive, and none is replaced",
                "look at the cloud; when they are really gone",
            ),
            What::Orphans => (
                format!("{doubtful} VMs carry our tag and have no PilotVM{lately}"),
                "none of them is deleted",
                "their jobs would be lost with them; when they may go",
            ),
        };
        let Key { namespace, name } = cloud;
        let first = match is_spent {
            true => format!("kubectl annotate cloud {name} -n {namespace} {annotation}- && "),
            false => String::new(),
        };
        format!(
            "{seen}: {held}; {sure}: {first}kubectl annotate --overwrite cloud {name} -n {namespace} {annotation}={doubtful}"
        )
    }
}

/// What the condition Frozen says while brakes hold: the reason of the first, and the sentences of all. Each sentence names its annotation,
/// so that whoever leads next knows what was asked.
pub fn condition(frozen: &[Frozen], cloud: &Key) -> Option<(Reason, String)> {
    let sentences: Vec<String> = frozen.iter().map(|f| f.message(cloud)).collect();
    Some((frozen.first()?.reason(), sentences.join("; ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> Key {
        Key { namespace: "egi".into(), name: "cppm".into() }
    }
    fn frozen(what: What, standing: Standing) -> Frozen {
        Frozen { what, standing: Standing { is_frozen: true, ..standing }, all: 40 }
    }

    #[test]
    fn a_mass_loss_is_said_with_its_number_and_the_command_that_lets_go() {
        let frozen = frozen(What::Losses, Standing { doubtful: 12, passed: 3, ..Standing::default() });
        assert_eq!(frozen.reason(), Reason::MassLoss);
        let said = frozen.message(&key());
        assert!(said.starts_with("12 of 40 VMs are missing") && said.contains("3 more went"), "{said}");
        assert!(
            said.ends_with(": kubectl annotate --overwrite cloud cppm -n egi diracgrid.org/acknowledge-change=12"),
            "{said}"
        );
    }

    #[test]
    fn orphans_are_said_with_theirs() {
        let frozen = frozen(What::Orphans, Standing { doubtful: 10, ..Standing::default() });
        assert_eq!(frozen.reason(), Reason::OrphansNotAcknowledged);
        let said = frozen.message(&key());
        assert!(said.starts_with("10 VMs carry our tag and have no PilotVM: none of them is deleted"), "{said}");
        assert!(said.ends_with("-n egi diracgrid.org/acknowledge-orphans=10"), "{said}");
    }

    #[test]
    fn where_the_annotation_was_used_up_it_is_to_be_taken_off_first() {
        let frozen = frozen(What::Orphans, Standing { doubtful: 10, is_spent: true, ..Standing::default() });
        let said = frozen.message(&key());
        assert!(said.contains("kubectl annotate cloud cppm -n egi diracgrid.org/acknowledge-orphans- && "), "{said}");
    }

    #[test]
    fn both_brakes_are_said_in_one_condition() {
        let standing = Standing { doubtful: 10, ..Standing::default() };
        let both = [frozen(What::Losses, standing), frozen(What::Orphans, standing)];
        let (reason, text) = condition(&both, &key()).unwrap();
        assert_eq!(reason, Reason::MassLoss);
        assert!(text.contains(ACKNOWLEDGE_CHANGE) && text.contains(ACKNOWLEDGE_ORPHANS), "{text}");
        assert_eq!(condition(&[], &key()), None);
    }
}
