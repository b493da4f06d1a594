//! What the operator says of the parts of a managed installation.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One part of a managed installation: a component of DIRAC's, DiracX, a store, or a Job that prepares them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Part {
    /// The name of its Deployment, StatefulSet or Job, for example `escape-matcher`.
    pub name: String,
    /// Whether it runs as the manifest says, or, of a Job, is done.
    pub ready: bool,
    /// The image that it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// What is not as it should be, where something is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}
