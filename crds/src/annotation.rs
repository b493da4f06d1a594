//! Annotations with which a person tells the operator something, and the mark of a Secret that it may use.
//!
//! Each is explained in the description of the kinds that it concerns, where `kubectl explain` shows it.

/// On a DiracInstallation, Cloud or PilotPool; the value is `true`: no VM is made or taken away there. All is still shown.
pub const PAUSED: &str = "diracgrid.org/paused";
/// On a Cloud; the value is a number: the VMs that carry our tag and have no PilotVM may all be deleted if they are no more than that, and
/// none of them if they are more.
pub const ACKNOWLEDGE_ORPHANS: &str = "diracgrid.org/acknowledge-orphans";
/// On a Cloud or a PilotPool; the value is a number. On a Cloud: the VMs that are in doubt may all be believed gone, once the provider says
/// so, if they are no more than that, and none of them if they are more. On a PilotPool: the same of VMs that a change would drain at once.
pub const ACKNOWLEDGE_CHANGE: &str = "diracgrid.org/acknowledge-change";
/// On a PilotPool that is being deleted; the value is `now`: its VMs are deleted with the jobs on them.
pub const DELETE_VMS: &str = "diracgrid.org/delete-vms";
/// On a PilotVM, Cloud, DiracInstallation, PilotPool or Secret that is being deleted; the value is `true`: it goes without what it
/// waits for.
pub const LET_GO: &str = "diracgrid.org/let-go";
/// Label (the value is `true`) or type of a Secret that says: the operator may use it for the objects of its namespace that name
/// it. Without it, whoever may write a Cloud but not read Secrets could have any Secret sent to a server of theirs.
pub const CREDENTIAL: &str = "diracgrid.org/credential";

/// Whether a Secret with these labels and this type says that it may be used.
pub fn is_credential<'a>(labels: impl IntoIterator<Item = (&'a String, &'a String)>, type_: Option<&str>) -> bool {
    type_ == Some(CREDENTIAL) || labels.into_iter().any(|(name, value)| name == CREDENTIAL && value == "true")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn a_secret_says_by_label_or_type_that_it_may_be_used() {
        let labels = |value: &str| BTreeMap::from([(CREDENTIAL.to_owned(), value.to_owned())]);
        assert!(is_credential(&labels("true"), Some("Opaque")));
        assert!(is_credential(&BTreeMap::new(), Some(CREDENTIAL)));
        assert!(!is_credential(&labels("false"), Some("kubernetes.io/tls")));
        assert!(!is_credential(&BTreeMap::new(), None));
    }
}
