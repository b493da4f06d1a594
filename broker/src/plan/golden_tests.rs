//! A snapshot kept as a file gives the plan kept beside it. To add a decision that went wrong: put its snapshot here. A test that runs with
//! `WRITE_GOLDEN=broker/src/plan/golden.json` writes the plan of today into that file.

use serde::{Deserialize, Serialize};

use super::{Plan, Snapshot, plan};

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Case {
    snapshot: Snapshot,
    plan: Plan,
}

#[test]
fn a_kept_snapshot_gives_the_kept_plan_and_both_are_written_as_they_were_read() {
    let kept = include_str!("golden.json");
    let case: Case = serde_json::from_str(kept).unwrap();
    if let Ok(file) = std::env::var("WRITE_GOLDEN") {
        let now = Case { plan: plan(&case.snapshot), snapshot: case.snapshot.clone() };
        std::fs::write(file, serde_json::to_string_pretty(&now).unwrap()).unwrap();
    }
    let now = Case { plan: plan(&case.snapshot), snapshot: case.snapshot.clone() };
    assert_eq!(serde_json::to_string_pretty(&now).unwrap(), kept.trim_end());
    assert_eq!(now, case);
}

#[test]
fn sorting_a_snapshot_leaves_what_comes_first() {
    let case: Case = serde_json::from_str(include_str!("golden.json")).unwrap();
    let mut turned = case.snapshot.clone();
    turned.queues.reverse();
    turned.vms.reverse();
    turned.sort();
    assert_eq!(turned, case.snapshot);
}
