//! docs/reference/events.md has every event that the operator tells.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

use crds::Reason;
use syn::{
    Expr,
    visit::{self, Visit},
};

use testbeds::host::root;

use super::sources;

/// Where the word of an event is not written in the call, and the words that it may be there. Of a condition that turns it is the
/// condition's own.
const CHOSEN: &[(&str, &[&str])] = &[
    ("cloud/sight.rs", &["MassLoss", "OrphansNotAcknowledged"]),
    ("round/mod.rs", &["NeverMatched", "JobsDie", "VmsFail"]),
    ("status/writer.rs", &[]),
    ("vm/outcome.rs", &["ReclaimAnnounced", "RebalanceAnnounced", "MaintenanceAnnounced", "Ended", "Reclaimed"]),
    // What `vm/outcome.rs` and `vm/step.rs` decided.
    ("vm/write_down.rs", &[]),
];

/// Words of events that stand in their calls, and how many calls have none.
#[derive(Default)]
struct Told {
    words: BTreeSet<String>,
    unnamed: usize,
}

impl<'ast> Visit<'ast> for Told {
    fn visit_expr_method_call(&mut self, call: &'ast syn::ExprMethodCall) {
        let of_events = matches!(&*call.receiver, Expr::Field(field)
            if matches!(&field.member, syn::Member::Named(name) if name == "events"));
        if call.method == "tells" || of_events && (call.method == "note" || call.method == "warn") {
            match call.args.iter().nth(1) {
                Some(Expr::Path(path)) if path.path.segments.iter().any(|s| s.ident == "Reason") => {
                    self.words.extend(path.path.segments.last().map(|s| s.ident.to_string()));
                }
                _ => self.unnamed += 1,
            }
        }
        visit::visit_expr_method_call(self, call);
    }
}

fn told(text: &str) -> Told {
    let mut told = Told::default();
    told.visit_file(&syn::parse_file(text).unwrap());
    told
}

#[test]
fn every_event_that_is_told_is_on_the_page_and_no_other() {
    let root = root();
    let source = root.join("operator/src");
    let (mut words, mut unnamed) = (BTreeSet::new(), BTreeMap::new());
    for file in sources(&source) {
        let told = told(&fs::read_to_string(&file).unwrap());
        words.extend(told.words);
        if told.unnamed > 0 {
            unnamed.insert(file.strip_prefix(&source).unwrap().display().to_string(), told.unnamed);
        }
    }
    let chosen: Vec<&str> = CHOSEN.iter().map(|(file, _)| *file).collect();
    assert_eq!(unnamed.keys().map(String::as_str).collect::<Vec<_>>(), chosen, "say in CHOSEN what is told there");
    words.extend(CHOSEN.iter().flat_map(|(_, words)| words.iter().map(|word| (*word).to_owned())));

    let page = fs::read_to_string(root.join("docs/reference/events.md")).unwrap();
    let (_, happens) = page.split_once("## What happens").unwrap();
    let (happens, _) = happens.split_once("\n## ").unwrap();
    let cells = happens.lines().filter_map(|line| line.split('|').nth(2));
    let listed: BTreeSet<String> =
        cells.flat_map(|cell| cell.split('`').skip(1).step_by(2).map(str::to_owned)).collect();
    assert_eq!(listed, words);
    for word in &listed {
        word.parse::<Reason>().unwrap_or_else(|error| panic!("{error}"));
    }
}

#[test]
fn events_are_found_in_calls_alone() {
    let text = "async fn f() {
        ctx.events.warn(vm, Reason::Ended, text).await;
        done.with([x]).tells(false, crds::Reason::Running, \"a\");
        ctx.events.note(vm, reason, text).await;
        memory.note(Reason::Idle, Reason::Held);
    }";
    let told = told(text);
    assert_eq!(told.words.into_iter().collect::<Vec<_>>(), ["Ended", "Running"]);
    assert_eq!(told.unnamed, 1);
}
