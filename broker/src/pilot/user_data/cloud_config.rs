//! The pool's part of a cloud-config read from YAML, within bounds of depth, nodes and time.

use serde_json::{Map, Value};
use serde_saphyr::{
    Error, Options,
    budget::BudgetBreach,
    options::{DuplicateKeyPolicy, MergeKeyPolicy},
};

use super::UserDataError;

/// Maps and lists within each other.
const DEEPEST: usize = 12;
/// Maps, lists and values in all.
const MOST_NODES: usize = 2_000;
/// Characters of the parser's own words that are passed on.
const LONGEST_WORDS: usize = 300;

/// The map of cloud-config modules that `text` is; an empty text is an empty map.
///
/// Anchors, aliases and merge keys are refused: with them a few bytes become gigabytes, and cloud-config needs none
/// of them. A key that is written twice is refused too, since one of its values would be lost.
pub(super) fn parse(text: &str) -> Result<Value, UserDataError> {
    match serde_saphyr::from_str_with_options::<Value>(text, bounds()) {
        Ok(Value::Object(map)) => Ok(Value::Object(map)),
        Ok(Value::Null) => Ok(Value::Object(Map::new())),
        Ok(_) => Err(UserDataError::NoCloudConfig(
            "write a map of cloud-config modules, for example runcmd: [...]".to_owned(),
        )),
        Err(e) => Err(said(&e)),
    }
}

fn bounds() -> Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_aliases: 0,
            max_anchors: 0,
            max_merge_keys: 0,
            max_recorded_anchor_events: 0,
            max_documents: 1,
            max_depth: DEEPEST,
            // The scanner reads ahead: with more room than the depth has, the depth is what is said first.
            flow_nesting_limit: 2 * DEEPEST,
            max_inclusion_depth: 0,
            max_nodes: MOST_NODES,
            max_events: 4 * MOST_NODES,
        },
        merge_keys: MergeKeyPolicy::Error,
        duplicate_keys: DuplicateKeyPolicy::Error,
        with_snippet: false,
        emit_comments: false,
    }
}

fn said(error: &Error) -> UserDataError {
    let line = error.location().map(|l| format!("line {} of its text: ", l.line())).unwrap_or_default();
    let words = match error {
        Error::Budget { breach: BudgetBreach::Anchors { .. } | BudgetBreach::Aliases { .. }, .. } => {
            "anchors (&name) and aliases (*name) are not allowed: write the value where it is used".to_owned()
        }
        Error::Budget { breach: BudgetBreach::MergeKeys { .. }, .. } | Error::MergeKeyNotAllowed { .. } => {
            "the merge key << is not allowed: write the keys where they are used".to_owned()
        }
        Error::Budget { breach: BudgetBreach::Depth { .. }, .. } => {
            format!("maps and lists may lie within each other {DEEPEST} deep")
        }
        Error::Budget { breach: BudgetBreach::Nodes { .. } | BudgetBreach::Events { .. }, .. } => {
            format!("it may have {MOST_NODES} maps, lists and values")
        }
        Error::Budget { breach: BudgetBreach::Documents { .. }, .. } => {
            "it may be one YAML document: take the lines --- out".to_owned()
        }
        other => other.to_string().lines().next().unwrap_or_default().chars().take(LONGEST_WORDS).collect(),
    };
    UserDataError::NoCloudConfig(format!("{line}{words}"))
}
