//! The services that we call must answer us.

use std::collections::BTreeMap;

use super::{Answer, Finding};
use crate::demand::Fault;

/// A finding for each service.
pub(super) fn check(services: &BTreeMap<&'static str, Answer>) -> Vec<Finding> {
    services.iter().map(|(name, answer)| one(name, answer)).collect()
}

fn one(name: &str, answer: &Answer) -> Finding {
    let (place, needed) = (format!("WorkloadManagement/{name}"), "the service answers us");
    match answer {
        Answer::Yes => Finding::met(place, needed),
        // It is there and says no: that is known.
        Answer::No(said) if matches!(said.fault, Fault::Unauthorized | Fault::UnknownMethod) => {
            Finding::missing(place, needed, &said.message)
        }
        Answer::No(said) => Finding::unknown(place, needed, &said.message, Some(said.fault)),
    }
}
