//! What becomes of each kind of path, by example.

use super::*;

pub const US: &str = "dirac-operator";

pub fn is(value: &str) -> Value {
    Value::Is(value.into())
}

pub fn has(all: &[&str]) -> Value {
    Value::Has(all.iter().map(|one| (*one).to_owned()).collect())
}

pub fn owned<P: AsRef<str>>(all: &[(P, Value)]) -> Owned {
    let mut owned = Owned::default();
    for (path, value) in all {
        owned.own(path.as_ref(), value.clone()).unwrap();
    }
    owned
}

fn cfg(text: &str) -> Cfg {
    Cfg::parse(text).unwrap()
}

pub fn planned(current: &Cfg, wanted: &Owned, last: &Owned) -> Changes {
    plan(current, wanted, last, Policy::PutBack, US)
}

/// What somebody else changed: path, ours, theirs and whether ours is put back.
fn said(changes: &Changes) -> Vec<(&str, Option<&str>, Option<&str>, bool)> {
    changes.edits.iter().map(|d| (d.path.as_str(), d.ours.as_deref(), d.theirs.as_deref(), d.is_put_back)).collect()
}

const PEOPLES: &str = "#of people
Sites
{
  #theirs
  Lyon
  {
    Name = Lyon
    Tag = a
    Tag += b
  }
}
";

#[test]
fn what_is_absent_is_added_signed_with_its_sections_and_all_goes_again_when_it_is_no_longer_wanted() {
    let (people, none) = (cfg(PEOPLES), Owned::default());
    let wanted = owned(&[
        ("/Sites/Paris/Name", is("Paris")),
        ("/Sites/Paris/CEs", Value::Section),
        ("/Sites/Lyon/Tag", has(&["c"])),
    ]);
    let changes = planned(&people, &wanted, &none);
    let made = changes.made_in(&people, US);
    assert_eq!(
        made.to_string(),
        "#of people
Sites
{
  #theirs
  Lyon
  {
    Name = Lyon
    #@@-dirac-operator
    Tag = a
    Tag += b
    Tag += c
  }
  #@@-dirac-operator
  Paris
  {
    #@@-dirac-operator
    CEs
    {
    }
    #@@-dirac-operator
    Name = Paris
  }
}
"
    );
    assert_eq!(said(&changes), []);
    let expected = owned(&[
        ("/Sites/Paris", Value::Section),
        ("/Sites/Paris/Name", is("Paris")),
        ("/Sites/Paris/CEs", Value::Section),
        ("/Sites/Lyon/Tag", has(&["c"])),
    ]);
    assert_eq!(changes.applied, expected);
    assert!(planned(&made, &wanted, &changes.applied).is_empty());

    let gone = planned(&made, &none, &changes.applied);
    assert_eq!((said(&gone), &gone.applied), (vec![], &none));
    let left = gone.made_in(&made, US).to_string();
    assert_eq!(left.replace("    #@@-dirac-operator\n", ""), PEOPLES, "but for who wrote Tag last");
}

#[test]
fn what_stands_as_we_want_it_by_others_hands_is_neither_written_nor_taken_out() {
    let people = cfg(PEOPLES);
    let wanted =
        owned(&[("/Sites/Lyon/Name", is(" Lyon ")), ("/Sites/Lyon/Tag", has(&["a"])), ("/Sites/Lyon", Value::Section)]);
    let changes = planned(&people, &wanted, &Owned::default());
    assert_eq!((changes.is_empty(), changes.applied.is_empty(), said(&changes)), (true, true, vec![]));
    // A list is compared by its values.
    let list = owned(&[("/Sites/Lyon/Tag", is("a,b"))]);
    assert!(planned(&people, &list, &Owned::default()).is_empty());
}

#[test]
fn what_somebody_changed_is_named_and_put_back_or_left() {
    let wanted = owned(&[("/S/a", is("1")), ("/S/b", is("2")), ("/S/c", has(&["x", "y"])), ("/S/d", is("4"))]);
    let last = planned(&Cfg::default(), &wanted, &Owned::default()).applied;
    // Changed, taken out, one value taken out and another one added, and one that was changed to what we want.
    let theirs = cfg("S\n{\na = one\nc = x, z\nd = 5\n}\n");
    let wanted = owned(&[("/S/a", is("1")), ("/S/b", is("2")), ("/S/c", has(&["x", "y"])), ("/S/d", is("5"))]);
    let named = |put_back| {
        vec![
            ("/S/a", Some("1"), Some("one"), put_back),
            ("/S/b", Some("2"), None, put_back),
            ("/S/c", Some("y"), Some("x, z"), put_back),
        ]
    };
    let back = planned(&theirs, &wanted, &last);
    assert_eq!(said(&back), named(true));
    let made = back.made_in(&theirs, US);
    let values: Vec<_> = made.section("/S").unwrap().options().collect();
    assert_eq!(values, [("a", "1"), ("c", "x, z, y"), ("d", "5"), ("b", "2")]);
    assert_eq!(back.applied.get("/S/d"), None, "they wrote it");

    let left = plan(&theirs, &wanted, &last, Policy::Leave, US);
    assert_eq!((left.is_empty(), said(&left)), (true, named(false)));
    let again = plan(&theirs, &wanted, &left.applied, Policy::Leave, US);
    assert_eq!(said(&again), named(false), "it is named as long as it lasts");
}

#[test]
fn a_section_that_somebody_took_out_is_not_made_anew_for_what_is_new_in_it_where_theirs_is_left() {
    let last = planned(&Cfg::default(), &owned(&[("/Q/a", is("1"))]), &Owned::default()).applied;
    let wanted = owned(&[("/Q/a", is("1")), ("/Q/b", is("2")), ("/Q/c", has(&["x"]))]);
    let left = plan(&Cfg::default(), &wanted, &last, Policy::Leave, US);
    assert!(left.is_empty(), "{left:?}");
    assert_eq!(said(&left).iter().map(|d| d.0).collect::<Vec<_>>(), ["/Q/a", "/Q/b", "/Q/c"]);
    let again = plan(&Cfg::default(), &wanted, &left.applied, Policy::Leave, US);
    assert_eq!((again.is_empty(), said(&again)), (true, said(&left)));
    assert_eq!(
        planned(&Cfg::default(), &wanted, &last).made_in(&Cfg::default(), US).section("/Q").unwrap().options().count(),
        3
    );
}

#[test]
fn what_is_no_longer_wanted_stays_where_somebody_changed_it_and_so_does_a_section_with_something_in_it() {
    let wanted = owned(&[("/S/T/a", is("1")), ("/S/b", is("2")), ("/S/c", has(&["x"]))]);
    let last = planned(&Cfg::default(), &wanted, &Owned::default()).applied;
    let theirs = cfg("S\n{\nT\n{\na = 1\n}\nb = two\nc = x, z\nmore = 1\n}\n");
    let changes = planned(&theirs, &Owned::default(), &last);
    assert_eq!(said(&changes), [("/S/b", None, Some("two"), false)]);
    assert_eq!(changes.made_in(&theirs, US), {
        let mut left = cfg("S\n{\nb = two\nc = z\nmore = 1\n}\n");
        left.sign("/S/c", SIGN, "@@-dirac-operator");
        left
    });
    assert_eq!(changes.applied, owned(&[("/S", Value::Section)]), "it goes when it is empty");
    let empty = cfg("S\n{\n}\n");
    assert!(planned(&empty, &Owned::default(), &changes.applied).made_in(&empty, US).is_empty());
}

#[test]
fn a_list_that_becomes_empty_by_us_goes_and_one_that_was_ours_whole_becomes_one_of_values() {
    let here = cfg("a = x, y\nb = x, z\n");
    let last = owned(&[("/a", is("x, y")), ("/b", has(&["x", "z"]))]);
    let changes = planned(&here, &owned(&[("/a", has(&["y"])), ("/b", is("q"))]), &last);
    assert_eq!(said(&changes), []);
    let made = changes.made_in(&here, US);
    assert_eq!((made.option("/a"), made.option("/b")), (Some("y"), Some("q")));
    assert!(planned(&made, &Owned::default(), &changes.applied).made_in(&made, US).is_empty());
}

/// A commit of which we never heard that it came about: the configuration has it, and nothing says so but our sign.
#[test]
fn what_we_signed_is_ours_although_nobody_noted_it() {
    let wanted = owned(&[("/S/a", is("1")), ("/S/b", has(&["x"])), ("/S/T", Value::Section)]);
    let noted = planned(&Cfg::default(), &wanted, &Owned::default());
    let made = noted.made_in(&Cfg::default(), US);
    assert_eq!(planned(&made, &wanted, &Owned::default()).applied, noted.applied);
    let other = plan(&made, &wanted, &Owned::default(), Policy::PutBack, "somebody");
    assert!(other.applied.is_empty(), "another one's sign is not ours: {other:?}");
    let newer = owned(&[("/S/a", is("2"))]);
    assert_eq!(said(&planned(&made, &newer, &Owned::default())), [], "our own value is no edit of others");
}

#[test]
fn what_cannot_be_written_is_named_and_not_touched() {
    let here = cfg("a = 1\nb\n{\n}\n");
    let wanted = owned(&[("/a/x", is("1")), ("/b", is("1")), ("/a", Value::Section)]);
    let changes = planned(&here, &wanted, &Owned::default());
    assert_eq!(
        said(&changes),
        [
            ("/a", Some("a section"), Some("the option \"1\""), false),
            ("/a/x", Some("1"), Some("/a = 1"), false),
            ("/b", Some("1"), Some("a section"), false),
        ]
    );
    assert!(changes.is_empty() && changes.applied.is_empty(), "{changes:?}");
}

#[test]
fn what_we_are_unsure_of_stays() {
    let wanted = owned(&[("/CEs/x/Queues/a/Tag", is("1")), ("/CEs/x/Queues/b/Tag", is("1")), ("/CEs/y/Type", is("1"))]);
    let first = planned(&Cfg::default(), &wanted, &Owned::default());
    let here = first.made_in(&Cfg::default(), US);
    let mut fewer = Owned::default();
    fewer.unsure("/CEs/x/Queues").unwrap();
    let changes = planned(&here, &fewer, &first.applied);
    let steps: Vec<_> = changes.steps().collect();
    assert_eq!(steps, [("/CEs/y", &Step::TakeOut), ("/CEs/y/Type", &Step::TakeOut)]);
    let here = changes.made_in(&here, US);
    assert!(planned(&here, &fewer, &changes.applied).is_empty());
    assert!(
        planned(&here, &Owned::default(), &changes.applied).made_in(&here, US).is_empty(),
        "and goes once we are sure"
    );
}
