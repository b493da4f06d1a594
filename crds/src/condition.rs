//! Conditions: their types, and how one is made, put in and found. Their reasons are in [`crate::reason`].

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::json;

use crate::{reason::Reason, word::words};

words! {
    /// What a condition speaks of. Most are good when they are `True`; Frozen, Paused, Draining and Ended are news when they are `True`.
    pub enum ConditionType / UnknownCondition {
        "Every kind" {
            Ready: "`True` when the object is valid, its references resolve, and the operator acts on it.", "The reason and the message are those of the first thing that is lacking.";
            Supported: "`False` when the object asks for something that this version accepts and does not act on; the message names it.", "Take it out, or know that it has no effect.";
            Resolved: "Whether every object that this one names exists and fits.", "Create what the message names, or correct the name.";
        }
        "DiracInstallation, Cloud, PilotPool" {
            Paused: "Whether a person has asked, by the annotation diracgrid.org/paused, that nothing is made or taken away here.", "Take the annotation off to go on.";
        }
        "Cloud, PilotPool" {
            Frozen: "`True` while a person is asked first. Of a Cloud: its lists contradict the PilotVMs so much that nothing is believed or deleted. Of a PilotPool: a change would drain most of its VMs at once, and none of them does.", "Look at the cloud, or at what was changed in the manifests, then acknowledge as the message says, or put it back.";
            Readable: "`False` while there are PilotVMs of it that this version cannot read; said only where there are, or were, some.", "Run the version that wrote them, or correct what the message names. Their VMs are left alone and count against every limit.";
        }
        "DiracInstallation, VirtualOrganization, PilotPool" {
            DemandMet: "Whether every waiting job has a VM or gets one; `Unknown` while demand is not known. status.unmet has the jobs that wait, with the reason.", "Do what the message says; it names the limit that binds.";
        }
        "DiracInstallation" {
            DemandRead: "Whether the task queues were read at the last round.", "See the message: address, certificate, group.";
            DiracReady: "Whether DIRAC knows what pilots on the VMs need: the operator's certificate and group, the VOs' groups, the sites, their computing elements and queues; `Unknown` while that cannot be read. It only informs: nothing is scaled otherwise for it.", "`dirac-operator check` prints the lines to add to DIRAC's configuration; docs/dirac.md explains them.";
            ServicesReady: "Of a managed installation: whether every part of it runs. status.parts has each.", "See the message: it names the first part that does not run, and why.";
            RowsRead: "Whether the pilots' rows were read the last time; while no pilot lives, whether they could be.", "See the message: address, certificate, group.";
        }
        "VirtualOrganization" {
            Funded: "Whether its budget has something left for new VMs; said only where it has a budget. status.budget has the sums.", "Raise spec.budget, or wait: what was spent a period ago counts no more.";
            GroupsOwned: "Whether its groups are its own.", "Take a group that two VOs claim out of one of them.";
        }
        "Cloud" {
            Reachable: "Whether the provider answers. A refused credential is an answer: CredentialValid says that.", "See the message: address, certificate, network policy.";
            CredentialValid: "Whether the provider accepts the credential, and until when where it says so.", "Renew the credential in its Secret.";
            Listed: "Whether the provider's last list has every VM of ours that should be in it. What it lacks is not believed gone; status.missing counts it.", "Nothing, when it passes. When it lasts: ask the provider whether a part of the cloud is down.";
        }
        "PilotPool" {
            UserDataValid: "Whether the user-data template can be rendered.", "Correct machine.userData.";
            CloudUsable: "Whether VMs can be bought from at least one of its clouds.", "See the conditions of the clouds that the message names.";
        }
        "Downtime, PilotVM" {
            Draining: "Of a VM: `True` while it takes no planned jobs and goes when it has none, with the reason; while jobs wait, DIRAC may still give it some, and none is killed. Of a Downtime: `True` from drainFor before its start to its end: VMs beyond what may stay drain, and beyond it VMs are bought only for jobs that end before the start.", "Nothing. When the reason is gone, for example a limit is raised or the Downtime is deleted, the VMs work on.";
        }
        "Downtime" {
            Active: "`True` from the start of the downtime to its end. The reason is VMsLeft while VMs are still there beyond what may stay.", "See the reason.";
        }
        "PilotVM" {
            Registered: "Whether the pilot's row exists in DIRAC.", "See the message, and the DiracInstallation.";
            Launched: "Whether the cloud has made the VM.", "See the message, and the Cloud.";
            Running: "Whether the pilot has asked the Matcher for work: its row says Running, or the pilot closed it itself.", "Before scaling.bootDeadline: wait. After it the VM is replaced.";
            Leaving: "`True` once the provider has announced that it takes the VM away or stops it. No job is planned onto it; what runs there goes on.", "Nothing: other VMs are bought where jobs wait.";
            Ended: "`True` when the VM's life has ended, with the reason.", "Look the reason up below.";
        }
    }
}

impl ConditionType {
    /// A condition of this type; `status` is `True`, `False` or `Unknown` for `Some(true)`, `Some(false)`, `None`. Its transition time is set
    /// by [`set`].
    pub fn says(
        self,
        status: Option<bool>,
        reason: Reason,
        message: impl Into<String>,
        generation: Option<i64>,
    ) -> Condition {
        Condition {
            type_: self.as_str().to_owned(),
            status: match status {
                Some(true) => "True",
                Some(false) => "False",
                None => "Unknown",
            }
            .to_owned(),
            reason: reason.as_str().to_owned(),
            message: message.into(),
            observed_generation: generation,
            last_transition_time: Time(jiff::Timestamp::UNIX_EPOCH),
        }
    }

    /// The condition of this type, if it is there.
    pub fn among(self, conditions: &[Condition]) -> Option<&Condition> {
        conditions.iter().find(|c| c.type_ == self.as_str())
    }

    /// Whether the condition of this type is `True`.
    pub fn holds(self, conditions: &[Condition]) -> bool {
        self.among(conditions).is_some_and(|c| c.status == "True")
    }
}

/// The reason of a condition; `None` for a word that this version does not know.
pub fn reason(condition: &Condition) -> Option<Reason> {
    condition.reason.parse().ok()
}

/// Puts `condition` into `conditions`: the transition time moves only when the status flips.
///
/// `now` is the caller's clock; `last_transition_time` of the argument is ignored.
pub fn set(conditions: &mut Vec<Condition>, mut condition: Condition, now: jiff::Timestamp) {
    condition.last_transition_time = Time(now);
    match conditions.iter_mut().find(|c| c.type_ == condition.type_) {
        Some(old) => {
            if old.status == condition.status {
                condition.last_transition_time = old.last_transition_time.clone();
            }
            *old = condition;
        }
        None => conditions.push(condition),
    }
}

/// The schema of a status's conditions: a map by type, so that each writer owns its own.
pub fn schema(generator: &mut SchemaGenerator) -> Schema {
    let mut schema = Vec::<Condition>::json_schema(generator);
    schema.insert("x-kubernetes-list-type".to_owned(), json!("map"));
    schema.insert("x-kubernetes-list-map-keys".to_owned(), json!(["type"]));
    schema.insert("maxItems".to_owned(), json!(32));
    schema
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> jiff::Timestamp {
        jiff::Timestamp::from_second(seconds).unwrap()
    }

    #[test]
    fn the_transition_time_moves_only_when_the_status_flips() {
        let (mut conditions, ready) = (vec![], ConditionType::Ready);
        set(&mut conditions, ready.says(Some(false), Reason::ReferenceMissing, "no site", Some(1)), at(10));
        set(&mut conditions, ready.says(Some(false), Reason::NotRead, "not read", Some(2)), at(20));
        assert_eq!(conditions[0].last_transition_time.0, at(10));
        assert_eq!((conditions[0].reason.as_str(), conditions[0].observed_generation), ("NotRead", Some(2)));
        set(&mut conditions, ready.says(Some(true), Reason::Ready, "", Some(2)), at(30));
        assert_eq!(conditions[0].last_transition_time.0, at(30));
        assert!(ready.holds(&conditions));
        assert_eq!(conditions.len(), 1);
    }

    #[test]
    fn a_condition_is_found_by_its_type_and_its_reason_read_back() {
        let frozen = ConditionType::Frozen.says(Some(true), Reason::MassLoss, "7 VMs are gone", Some(3));
        assert_eq!(
            (frozen.type_.as_str(), frozen.status.as_str(), frozen.reason.as_str()),
            ("Frozen", "True", "MassLoss")
        );
        assert_eq!(reason(&frozen), Some(Reason::MassLoss));
        let mut paused = ConditionType::Paused.says(Some(false), Reason::NotPaused, "", None);
        paused.reason = "OfALaterVersion".to_owned();
        let conditions = [frozen, paused];
        assert!(ConditionType::Frozen.holds(&conditions) && !ConditionType::Paused.holds(&conditions));
        assert_eq!(ConditionType::Paused.among(&conditions).and_then(reason), None);
        assert!(ConditionType::Ready.among(&conditions).is_none());
    }

    #[test]
    fn what_is_unknown_or_absent_is_not_true() {
        let (mut conditions, reachable) = (vec![], ConditionType::Reachable);
        assert!(!reachable.holds(&conditions));
        set(&mut conditions, reachable.says(None, Reason::NotAsked, "", None), at(1));
        assert_eq!(conditions[0].status, "Unknown");
        assert!(!reachable.holds(&conditions));
    }
}
