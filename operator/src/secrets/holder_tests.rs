use tokio::time::Instant;

use super::*;
use crate::known::secrets::Seen;

fn key(name: &str) -> Key {
    Key { namespace: "demo".into(), name: name.into() }
}

/// A living Cloud that names these Secrets, and says so in its status.
fn cloud(name: &str, secrets: &[&str]) -> Holder {
    let names: BTreeSet<String> = secrets.iter().map(|name| (*name).to_owned()).collect();
    Holder {
        kind: Kind::Cloud,
        key: key(name),
        named: names.clone(),
        recorded: names,
        is_held: true,
        is_deleted: false,
        is_let_go: false,
        is_needed: None,
    }
}

fn deleted(holder: Holder, is_needed: Option<bool>) -> Holder {
    Holder { is_deleted: true, is_needed, ..holder }
}

fn seen(secrets: &[(&str, bool, bool)]) -> Secrets {
    let all = Secrets::default();
    for (name, is_held, is_deleted) in secrets {
        let seen = Seen { at: Instant::now(), is_held: *is_held, is_deleted: *is_deleted };
        all.saw(&key(name), Some(seen));
    }
    all
}

fn is_wanted(holders: &[Holder], secrets: &Secrets) -> bool {
    wanted(holders, secrets)[&key("s")]
}

fn are_done(holders: &[Holder], secrets: &Secrets) -> Vec<String> {
    let mut names: Vec<String> =
        done(Kind::Cloud, holders, &wanted(holders, secrets), secrets).into_iter().map(|key| key.name).collect();
    names.sort();
    names
}

#[test]
fn a_secret_is_kept_for_a_living_cloud_once_the_cloud_is_held_and_its_status_names_the_secret() {
    let none = Secrets::default();
    assert!(is_wanted(&[cloud("c", &["s"])], &none));
    assert!(
        !is_wanted(&[Holder { is_held: false, ..cloud("c", &["s"]) }], &none),
        "the cloud could be gone in a moment"
    );
    assert!(
        !is_wanted(&[Holder { recorded: BTreeSet::new(), ..cloud("c", &["s"]) }], &none),
        "nobody would find it again"
    );
}

#[test]
fn a_secret_that_somebody_deleted_is_kept_until_no_vm_needs_it() {
    let deleted_secret = seen(&[("s", true, true)]);
    let needed = |is_needed| Holder { is_needed, ..cloud("c", &["s"]) };
    assert!(is_wanted(&[needed(Some(true))], &deleted_secret));
    assert!(is_wanted(&[needed(None)], &deleted_secret), "unknown is not nothing");
    assert!(!is_wanted(&[needed(Some(false))], &deleted_secret));
    assert!(is_wanted(&[needed(Some(false))], &seen(&[("s", true, false)])), "nobody deleted it");
}

#[test]
fn a_deleted_cloud_keeps_its_secret_until_its_vms_are_gone_and_goes_after_it() {
    let held = seen(&[("s", true, false)]);
    let going = |is_needed| [deleted(cloud("c", &["s"]), is_needed)];
    assert!(is_wanted(&going(Some(true)), &held) && is_wanted(&going(None), &held));
    assert!(!is_wanted(&going(Some(false)), &held));
    assert_eq!(are_done(&going(Some(false)), &held), [""; 0], "the Secret still carries the finalizer");
    assert_eq!(are_done(&going(Some(false)), &seen(&[("s", false, false)])), ["c"]);
    assert_eq!(are_done(&going(Some(false)), &Secrets::default()), [""; 0], "nobody has looked since the start");
    assert_eq!(are_done(&going(Some(true)), &seen(&[("s", false, false)])), [""; 0]);
}

#[test]
fn a_cloud_that_was_let_go_keeps_no_secret() {
    let let_go = Holder { is_let_go: true, ..deleted(cloud("c", &["s"]), Some(true)) };
    assert!(!is_wanted(std::slice::from_ref(&let_go), &seen(&[("s", true, true)])));
    assert_eq!(are_done(&[let_go], &seen(&[("s", false, false)])), ["c"]);
}

#[test]
fn a_secret_of_two_clouds_is_kept_by_the_other_and_let_go_by_the_last() {
    let held = seen(&[("s", true, false)]);
    let (a, b) = (deleted(cloud("a", &["s"]), Some(false)), cloud("b", &["s"]));
    assert!(is_wanted(&[a.clone(), b.clone()], &held));
    assert_eq!(are_done(&[a.clone(), b.clone()], &held), ["a"], "b takes care of it");
    let both = [a, deleted(b, Some(false))];
    assert!(!is_wanted(&both, &held));
    assert_eq!(are_done(&both, &held), [""; 0], "none goes before the Secret is let go");
    assert_eq!(are_done(&both, &seen(&[("s", false, false)])), ["a", "b"]);
}

#[test]
fn a_secret_that_the_spec_names_no_more_is_let_go() {
    let mut holder = cloud("c", &["new"]);
    holder.recorded.insert("s".into());
    let all = wanted(&[holder], &seen(&[("s", true, false)]));
    assert_eq!((all[&key("s")], all[&key("new")]), (false, true));
}
