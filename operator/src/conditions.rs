//! Conditions in the making: what an object says of itself, on from what it said last.

use crds::condition;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

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
    pub fn set(&mut self, type_: &str, status: Option<bool>, reason: &str, message: &str) {
        let condition = condition::new(type_, status, reason, clip(message), self.generation);
        condition::set(&mut self.all, condition, self.now);
    }

    /// Says what this version does not act on; nothing unsupported is said too.
    pub fn supported(&mut self, not: &[&str]) {
        if not.is_empty() {
            self.set(
                condition::SUPPORTED,
                Some(true),
                "Supported",
                "this version acts on everything the object asks for",
            );
        } else {
            let text = format!("this version accepts and does not act on: {}", not.join("; "));
            self.set(condition::SUPPORTED, Some(false), "NotActedOn", &text);
        }
    }

    /// Says whether all references resolve.
    pub fn resolved(&mut self, missing: &[String]) {
        if missing.is_empty() {
            self.set(condition::RESOLVED, Some(true), "Resolved", "every object that is named exists and fits");
        } else {
            self.set(condition::RESOLVED, Some(false), "ReferenceMissing", &missing.join("; "));
        }
    }

    /// Ready when the named conditions are all true; else the first that is not says why.
    pub fn ready(&mut self, needs: &[&str], message: &str) {
        let lacking = needs.iter().filter_map(|t| condition::get(&self.all, t)).find(|c| c.status != "True").cloned();
        match lacking {
            None => self.set(condition::READY, Some(true), "Ready", message),
            Some(c) => {
                self.set(condition::READY, if c.status == "False" { Some(false) } else { None }, &c.reason, &c.message)
            }
        }
    }

    /// The conditions.
    pub fn finish(self) -> Vec<Condition> {
        self.all
    }
}

/// Sentences of others are kept short in conditions.
fn clip(text: &str) -> String {
    const LONGEST: usize = 1024;
    if text.len() <= LONGEST { text.to_owned() } else { text.chars().take(LONGEST).chain(['…']).collect() }
}
