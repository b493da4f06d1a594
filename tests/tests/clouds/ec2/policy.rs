//! The policy of `docs/how-to/aws.md` against the calls that the driver made in all of these tests.

use std::collections::BTreeSet;

use serde_json::Value;
use testbeds::host::root;

use crate::clouds::amazon::Amazon;

/// What nobody needs a right for: AWS answers it to whoever signs.
const FREE: [&str; 1] = ["sts:GetCallerIdentity"];
/// What the policy of the Cloud's own user has where it enters a role: the page says so in words.
const OF_ROLES: [&str; 2] = ["sts:AssumeRole", "sts:AssumeRoleWithWebIdentity"];

/// The actions that the page's policy allows.
fn allowed() -> BTreeSet<String> {
    let page = std::fs::read_to_string(root().join("docs/how-to/aws.md")).unwrap();
    let policy =
        page.split("```json\n").nth(1).and_then(|rest| rest.split("\n```").next()).expect("the page has a policy");
    let policy: Value = serde_json::from_str(policy).expect("the policy is JSON");
    let statements = policy["Statement"].as_array().unwrap();
    let actions = statements.iter().flat_map(|statement| match &statement["Action"] {
        Value::Array(all) => all.clone(),
        one => vec![one.clone()],
    });
    actions.map(|action| action.as_str().unwrap().to_owned()).collect()
}

pub async fn the_policy_of_the_page_is_what_the_driver_needs(bed: &Amazon) {
    let needed: BTreeSet<String> = bed.it.rights().await.unwrap().into_keys().collect();
    let needed: BTreeSet<String> = needed
        .into_iter()
        .filter(|right| !FREE.contains(&right.as_str()) && !OF_ROLES.contains(&right.as_str()))
        .collect();
    let allowed = allowed();
    let lacks: Vec<_> = needed.difference(&allowed).collect();
    assert!(lacks.is_empty(), "calls of the driver that docs/how-to/aws.md does not allow: {lacks:?}");
    let idle: Vec<_> = allowed.difference(&needed).collect();
    assert!(idle.is_empty(), "docs/how-to/aws.md allows what the driver never did: {idle:?}");
}
