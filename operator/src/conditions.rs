//! Conditions in the making: what an object says of itself, on from what it said last.

use crds::{ConditionType, Reason, annotation, condition};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{Resource, ResourceExt};

/// Conditions in the making.
#[derive(Clone, Debug)]
pub struct Conditions {
    all: Vec<Condition>,
    generation: Option<i64>,
    now: Timestamp,
}

impl Conditions {
    /// Goes on from `old`, the conditions of the object's last status.
    pub fn of(old: Option<&Vec<Condition>>, generation: Option<i64>, now: Timestamp) -> Self {
        Self { all: old.cloned().unwrap_or_default(), generation, now }
    }

    /// Sets one: `None` is Unknown.
    pub fn says(&mut self, type_: ConditionType, status: Option<bool>, reason: Reason, message: &str) {
        condition::set(&mut self.all, type_.says(status, reason, clip(message, LONGEST), self.generation), self.now);
    }

    /// Takes one back: it says nothing of this object.
    pub fn retract(&mut self, type_: ConditionType) {
        self.all.retain(|condition| condition.type_ != type_.as_str());
    }

    /// Whether this one was said before.
    pub fn has(&self, type_: ConditionType) -> bool {
        type_.among(&self.all).is_some()
    }

    /// Says what this version does not act on; nothing unsupported is said too.
    pub fn supported(&mut self, not: &[&str]) {
        if not.is_empty() {
            let text = "this version acts on everything the object asks for";
            self.says(ConditionType::Supported, Some(true), Reason::Supported, text);
        } else {
            let text = format!("this version accepts and does not act on: {}", not.join("; "));
            self.says(ConditionType::Supported, Some(false), Reason::NotActedOn, &text);
        }
    }

    /// Says whether all references resolve, and whether the object's name in DIRAC is its own: `rival` is the sentence where another
    /// object had it before.
    pub fn resolved(&mut self, missing: &[String], rival: Option<&str>) {
        match (missing, rival) {
            ([], None) => {
                let text = "every object that is named exists and fits";
                self.says(ConditionType::Resolved, Some(true), Reason::Resolved, text);
            }
            ([], Some(rival)) => self.says(ConditionType::Resolved, Some(false), Reason::DuplicateName, rival),
            (missing, _) => {
                self.says(ConditionType::Resolved, Some(false), Reason::ReferenceMissing, &missing.join("; "));
            }
        }
    }

    /// Says which PilotVMs cannot be read, with a sentence each; where there are none, and never were, nothing is said.
    pub fn readable(&mut self, unread: &[String]) {
        let readable = ConditionType::Readable;
        match unread {
            [] if !self.has(readable) => {}
            [] => self.says(readable, Some(true), Reason::Readable, "this version can read every PilotVM"),
            some => {
                let text = format!(
                    "this version cannot read {} PilotVMs: their VMs are left alone and count against every limit as the largest flavor; run \
                     the version that wrote them, or correct them: {}",
                    some.len(),
                    some.join("; ")
                );
                self.says(readable, Some(false), Reason::Malformed, &text);
            }
        }
    }

    /// Says whether a person asked for a pause.
    pub fn paused<K: Resource>(&mut self, object: &K) {
        if object.annotations().get(annotation::PAUSED).is_some_and(|value| value == "true") {
            let text = format!("paused: take the annotation {} off to go on", annotation::PAUSED);
            self.says(ConditionType::Paused, Some(true), Reason::Paused, &text);
        } else {
            self.says(ConditionType::Paused, Some(false), Reason::NotPaused, "nobody asked for a pause");
        }
    }

    /// Ready when the named conditions are all true. Otherwise the first that is false says why, or else the first that is unknown; one
    /// that was never said is unknown.
    pub fn ready(&mut self, needs: &[ConditionType], message: &str) {
        let status = |need: &ConditionType| need.among(&self.all).map_or("Unknown", |c| c.status.as_str());
        let lacking = |word: &str| needs.iter().find(|need| status(need) == word).copied();
        let (lacks, holds) = match (lacking("False"), lacking("Unknown")) {
            (Some(need), _) => (need, Some(false)),
            (None, Some(need)) => (need, None),
            (None, None) => return self.says(ConditionType::Ready, Some(true), Reason::Ready, message),
        };
        let (reason, text) = match lacks.among(&self.all) {
            Some(c) => (condition::reason(c).unwrap_or(Reason::NotReady), c.message.clone()),
            None => (Reason::NotReady, format!("the condition {} is not known yet", lacks.as_str())),
        };
        self.says(ConditionType::Ready, holds, reason, &text);
    }

    /// The conditions as they are now.
    pub fn all(&self) -> &[Condition] {
        &self.all
    }

    pub fn finish(self) -> Vec<Condition> {
        self.all
    }
}

/// Sentences of others are kept so short in conditions.
const LONGEST: usize = 1024;

/// The text, cut to this many characters.
pub fn clip(text: &str, longest: usize) -> String {
    if text.len() <= longest { text.to_owned() } else { text.chars().take(longest).chain(['…']).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ready(said: &[(ConditionType, Option<bool>, Reason)], needs: &[ConditionType]) -> (String, String) {
        let mut conditions = Conditions::of(None, Some(1), Timestamp::UNIX_EPOCH);
        for (type_, status, reason) in said {
            conditions.says(*type_, *status, *reason, "a sentence");
        }
        conditions.ready(needs, "all is well");
        let ready = ConditionType::Ready.among(&conditions.all).unwrap();
        (ready.status.clone(), ready.reason.clone())
    }

    #[test]
    fn what_is_false_comes_before_what_is_unknown_and_what_was_never_said_is_unknown() {
        let (reachable, valid) = (ConditionType::Reachable, ConditionType::CredentialValid);
        let words = |(status, reason): (&str, &str)| (status.to_owned(), reason.to_owned());
        let unknown = (reachable, None, Reason::NotAsked);
        assert_eq!(ready(&[unknown], &[reachable]), words(("Unknown", "NotAsked")));
        let expired = (valid, Some(false), Reason::Expired);
        assert_eq!(ready(&[unknown, expired], &[reachable, valid]), words(("False", "Expired")));
        let answers = (reachable, Some(true), Reason::Answers);
        assert_eq!(ready(&[answers], &[reachable, valid]), words(("Unknown", "NotReady")));
        assert_eq!(ready(&[answers], &[reachable]), words(("True", "Ready")));
    }
}
