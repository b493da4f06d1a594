//! What a pool says while a change of manifests is held back that would drain most of its VMs: the sentence with the command that lets
//! go. Pure.

use std::collections::BTreeMap;

use crds::{PilotPool, Reason, annotation::ACKNOWLEDGE_CHANGE, condition};

use super::brake::{Brake, Standing};
use crate::{conditions::clip, names::Key};

/// So much is repeated of what would make VMs drain: the command must have room in the condition.
const LONGEST: usize = 400;

/// The brakes of an installation's pools, by name.
pub type Brakes = BTreeMap<String, Brake>;

/// A change that is held back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    pub standing: Standing,
    /// How many VMs of the pool run.
    pub all: usize,
    /// One of them, and why it would drain.
    pub why: String,
}

impl Change {
    /// The sentence, with the command that lets go.
    pub fn message(&self, pool: &Key) -> String {
        let Standing { doubtful, passed, is_spent, .. } = self.standing;
        let lately = match passed {
            0 => String::new(),
            n => format!(", and {n} more began to in the last five minutes"),
        };
        let Key { namespace, name } = pool;
        let first = match is_spent {
            true => format!("kubectl annotate pool {name} -n {namespace} {ACKNOWLEDGE_CHANGE}- && "),
            false => String::new(),
        };
        format!(
            "{doubtful} of {} VMs that run would drain at once{lately} (for example {}): none of them does before a person agrees; put the \
             manifest back, or let them go: {first}kubectl annotate --overwrite pool {name} -n {namespace} {ACKNOWLEDGE_CHANGE}={doubtful}",
            self.all,
            clip(&self.why, LONGEST),
        )
    }
}

/// Whether the pool's status says that a person was asked: then an annotation that stands there may be the answer.
pub fn asked(pool: &PilotPool) -> bool {
    let conditions = pool.status.as_ref().map_or(&[][..], |s| s.conditions.as_slice());
    let frozen = crds::ConditionType::Frozen.among(conditions).filter(|c| c.status == "True");
    frozen.and_then(condition::reason) == Some(Reason::MassChange)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_back_is_said_with_its_number_and_the_command_that_lets_go() {
        let pool = Key { namespace: "egi".into(), name: "cpu".into() };
        let standing = Standing { doubtful: 70, is_frozen: true, ..Standing::default() };
        let change =
            Change { standing, all: 100, why: "cpu-1: pool cpu has more than 30 VMs (spec.scaling.max)".into() };
        let said = change.message(&pool);
        assert!(
            said.starts_with(
                "70 of 100 VMs that run would drain at once (for example cpu-1: pool cpu has more than 30 VMs"
            ),
            "{said}"
        );
        assert!(
            said.ends_with(": kubectl annotate --overwrite pool cpu -n egi diracgrid.org/acknowledge-change=70"),
            "{said}"
        );
        let spent = Change { standing: Standing { is_spent: true, passed: 3, ..standing }, ..change };
        let said = spent.message(&pool);
        assert!(said.contains("3 more began to in the last five minutes"), "{said}");
        assert!(said.contains("kubectl annotate pool cpu -n egi diracgrid.org/acknowledge-change- && "), "{said}");
        let long = Change { why: "x".repeat(5_000), ..spent };
        assert!(long.message(&pool).len() < 1_000);
    }
}
