//! Waiting jobs that get no VM, as the statuses of installations, VOs and pools say it.

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};
use serde_json::json;

/// The most entries of one status. Others are only counted, in the condition DemandMet.
pub const MOST: usize = 50;

/// Waiting jobs that get no VM, and why.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct UnmetDemand {
    /// Name of the VirtualOrganization object whose jobs they are.
    pub vo: String,
    /// Number of these jobs.
    pub jobs: i64,
    /// Machine-readable reason; docs/conditions.md lists them with what to do.
    pub reason: String,
    /// The sentence: what hinders, and what to do.
    pub message: String,
}

/// The schema of a status's list of unmet demand: at most [`MOST`] entries.
pub fn schema(generator: &mut SchemaGenerator) -> Schema {
    let mut schema = Vec::<UnmetDemand>::json_schema(generator);
    schema.insert("maxItems".to_owned(), json!(MOST));
    schema
}
