//! What holds of every plan: carried out it changes nothing more, it leaves alone what is not ours, and it does not matter who comes first.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::{
    tests::{US, has, is, owned, planned},
    *,
};
use crate::configuration::At;

/// Few names, so that paths meet; a path of options has another depth than one of sections.
fn paths() -> impl Strategy<Value = Owned> {
    let one = (0..3, 0..3, 0..3, 0..4).prop_map(|(a, b, c, kind)| {
        let value = |n: i32| ["", "1", "2"][n as usize];
        match kind {
            0 => (format!("/s{a}/o{b}"), is(value(c))),
            1 => (format!("/s{a}/t{b}/o"), is(value(c))),
            2 => (format!("/s{a}/t{b}/l"), has(&["x", "y", "z"][..=c as usize])),
            _ => (format!("/s{a}/t{b}"), Value::Section),
        }
    });
    prop::collection::btree_map(0..20, one, 0..8).prop_map(|all| owned(&all.into_values().collect::<Vec<_>>()))
}

/// What people did: values of their own, lists with others, empty sections.
fn of_people() -> impl Strategy<Value = Vec<(String, Option<&'static str>)>> {
    let value = prop_oneof![Just(None), Just(Some("1")), Just(Some("9")), Just(Some("x, q")), Just(Some("q"))];
    let path = (0..3, 0..3, 0..4).prop_map(|(a, b, kind)| match kind {
        0 => format!("/s{a}/o{b}"),
        1 => format!("/s{a}/t{b}/o"),
        2 => format!("/s{a}/t{b}/l"),
        _ => format!("/s{a}/t{b}"),
    });
    prop::collection::vec((path, value), 0..8)
}

fn edited(mut cfg: Cfg, edits: &[(String, Option<&str>)]) -> Cfg {
    for (path, value) in edits {
        match value {
            Some(value) => cfg.set(path, value),
            None => cfg.take_out(path),
        }
    }
    cfg
}

/// Every entry with its comment; of a section that it is one.
fn entries(cfg: &Cfg, at: &str) -> BTreeSet<(String, String)> {
    let comment = |path: &str| cfg.comment(path).collect::<Vec<_>>().join("|");
    let here = cfg.section(at).unwrap();
    let mut all: BTreeSet<_> = here
        .options()
        .map(|(name, value)| (format!("{at}/{name}"), value))
        .map(|(path, value)| (path.clone(), format!("{value} {}", comment(&path))))
        .collect();
    for (name, _) in here.sections() {
        let path = format!("{at}/{name}");
        all.insert((path.clone(), comment(&path)));
        all.extend(entries(cfg, &path));
    }
    all
}

proptest! {
    #[test]
    fn a_plan_that_was_carried_out_changes_nothing_more_and_leaves_what_is_not_ours(
        before in of_people(), first in paths(), people in of_people(), second in paths(), puts_back in any::<bool>(),
    ) {
        let policy = if puts_back { Policy::PutBack } else { Policy::Leave };
        let base = edited(Cfg::default(), &before);
        let one = plan(&base, &first, &Owned::default(), policy, US);
        let current = edited(one.made_in(&base, US), &people);
        let two = plan(&current, &second, &one.applied, policy, US);
        let made = two.made_in(&current, US);
        let again = plan(&made, &second, &two.applied, policy, US);
        prop_assert!(again.is_empty(), "{again:?}");
        prop_assert_eq!(&again.applied, &two.applied);
        // What we neither want nor wrote is there as before, with its comment, and what we did not make anew is not.
        let ours = |path: &str| {
            let is_ours = |owned: &Owned| owned.get(path).is_some()
                || owned.iter().any(|(of, _)| of.starts_with(&format!("{path}/")));
            is_ours(&second) || is_ours(&one.applied)
        };
        let others = |cfg: &Cfg| entries(cfg, "").into_iter().filter(|(path, _)| !ours(path)).collect::<BTreeSet<_>>();
        prop_assert_eq!(others(&made), others(&current));
        if puts_back {
            for (path, value) in second.iter().filter(|(path, _)| !two.edits.iter().any(|d| d.path == **path && !d.is_put_back)) {
                let holds = match (value, made.at(path)) {
                    (Value::Is(want), Some(At::Option(there))) => want == there,
                    (Value::Has(_), Some(At::Option(_))) => value.elements().iter().all(|one| made.list(path).contains(one)),
                    (Value::Section, Some(At::Section(_))) => true,
                    _ => false,
                };
                prop_assert!(holds, "{path} {value:?}");
            }
        }
    }

    #[test]
    fn what_was_only_added_leaves_no_trace(before in of_people(), wanted in paths()) {
        let base = edited(Cfg::default(), &before);
        let changes = planned(&base, &wanted, &Owned::default());
        if !changes.edits.is_empty() {
            return Ok(());
        }
        let made = changes.made_in(&base, US);
        let left = planned(&made, &Owned::default(), &changes.applied).made_in(&made, US);
        let plain = |cfg: &Cfg| cfg.to_string().lines().filter(|line| !line.contains(SIGN)).collect::<Vec<_>>().join("\n");
        prop_assert_eq!(plain(&left), plain(&base));
    }

    #[test]
    fn it_does_not_matter_which_of_several_owners_comes_first(before in of_people(), all in paths(), mask in any::<u32>()) {
        let base = edited(Cfg::default(), &before);
        let part = |which: bool| {
            let mut owned = Owned::default();
            for (n, (path, value)) in all.iter().enumerate() {
                if (mask >> (n % 32) & 1 == 1) == which {
                    owned.put(path, value.clone());
                }
            }
            owned
        };
        let both = planned(&base, &all, &Owned::default()).made_in(&base, US);
        for first in [true, false] {
            let one = planned(&base, &part(first), &Owned::default()).made_in(&base, US);
            let two = planned(&one, &part(!first), &Owned::default()).made_in(&one, US);
            prop_assert_eq!(&two, &both);
        }
    }
}
