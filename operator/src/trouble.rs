//! What is wrong with something outside, in the words of a condition.

use broker::{
    cloud::CloudError,
    demand::{DemandError, diset::DisetError},
    pilot::rows::RowsError,
};
use serde::{Deserialize, Serialize};

/// What is wrong: the reason and the sentence of a condition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trouble {
    /// Reason in CamelCase.
    pub reason: String,
    /// The sentence.
    pub message: String,
}

impl Trouble {
    /// A trouble with this reason and sentence.
    pub fn new(reason: &str, message: impl Into<String>) -> Self {
        Self { reason: reason.to_owned(), message: message.into() }
    }
}

impl From<&CloudError> for Trouble {
    fn from(error: &CloudError) -> Self {
        Self::new(error.reason(), error.to_string())
    }
}

impl From<DemandError> for Trouble {
    fn from(error: DemandError) -> Self {
        Self::new(error.reason, error.message)
    }
}

impl From<RowsError> for Trouble {
    fn from(error: RowsError) -> Self {
        Self::new(error.reason, error.message)
    }
}

impl From<DisetError> for Trouble {
    fn from(error: DisetError) -> Self {
        Self::new(error.reason(), error.to_string())
    }
}
