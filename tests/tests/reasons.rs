//! Layer `unit`: the words of the API are made. Each reason and each type of condition that docs/conditions.md explains stands somewhere
//! in the operator, outside its tests, as something that is said; and the page of events has those that are told (`reasons/told.rs`).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod reasons {
    mod told;

    use super::sources;
}

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use crds::{ConditionType, Reason};
use syn::visit::{self, Visit};
use testbeds::host::root;

/// Macros whose arguments only compare.
const COMPARE: [&str; 3] = ["matches", "assert", "assert_eq"];

/// Words that stand in expressions as `Reason::Word` or `ConditionType::Word`; an end of a VM, `Why::Word`, is a reason too.
#[derive(Default)]
struct Said {
    reasons: BTreeSet<String>,
    types: BTreeSet<String>,
}

impl Said {
    fn note(&mut self, of: &str, word: &str) {
        match of {
            "Reason" | "Why" => self.reasons.insert(word.to_owned()),
            "ConditionType" => self.types.insert(word.to_owned()),
            _ => false,
        };
    }
}

impl<'ast> Visit<'ast> for Said {
    fn visit_item_mod(&mut self, module: &'ast syn::ItemMod) {
        let is_test = module.attrs.iter().any(|a| {
            a.path().is_ident("cfg") && a.meta.require_list().is_ok_and(|list| list.tokens.to_string().contains("test"))
        });
        if !is_test {
            visit::visit_item_mod(self, module);
        }
    }

    fn visit_expr_path(&mut self, path: &'ast syn::ExprPath) {
        let words: Vec<String> = path.path.segments.iter().map(|s| s.ident.to_string()).collect();
        if let [.., of, word] = words.as_slice() {
            self.note(of, word);
        }
    }

    // A pattern asks for a word and does not say it.
    fn visit_pat(&mut self, _: &'ast syn::Pat) {}

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        let name = call.path.segments.last().map(|s| s.ident.to_string()).unwrap_or_default();
        if COMPARE.contains(&name.as_str()) {
            return;
        }
        let text = call.tokens.to_string().replace(' ', "");
        for of in ["Reason", "Why", "ConditionType"] {
            let from = format!("{of}::");
            let uses = text.split(&from).skip(1);
            let words = uses.map(|rest| rest.split(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or_default());
            words.for_each(|word| self.note(of, word));
        }
    }
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut found = Vec::new();
    for path in entries {
        let is_test = path.file_stem().is_some_and(|stem| stem.to_string_lossy().ends_with("tests"));
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|e| e == "rs") && !is_test {
            found.push(path);
        }
    }
    found
}

fn said() -> Said {
    let mut said = Said::default();
    for file in sources(&root().join("operator/src")) {
        said.visit_file(&syn::parse_file(&fs::read_to_string(&file).unwrap()).unwrap());
    }
    said
}

#[test]
fn every_reason_that_is_explained_is_made_somewhere() {
    let said = said();
    let never: Vec<&str> = Reason::all().map(Reason::as_str).filter(|word| !said.reasons.contains(*word)).collect();
    assert_eq!(never, [""; 0], "take it out of crds/src/reason.rs, or say it");
}

#[test]
fn every_type_of_condition_that_is_explained_is_made_somewhere() {
    let said = said();
    let never: Vec<&str> =
        ConditionType::all().map(ConditionType::as_str).filter(|w| !said.types.contains(*w)).collect();
    assert_eq!(never, [""; 0], "take it out of crds/src/condition.rs, or say it");
}

#[test]
fn what_is_only_compared_or_tested_is_not_made() {
    let text = "fn f(r: Reason) -> Reason {
        match r { Reason::Asked => {} _ => {} }
        assert!(matches!(r, Reason::Compared));
        tell!(\"a\", Reason::Told);
        other(Why::Ended);
        Reason::Made
    }
    #[cfg(test)]
    mod tests { fn g() { Reason::Tested; } }";
    let mut said = Said::default();
    said.visit_file(&syn::parse_file(text).unwrap());
    assert_eq!(said.reasons.into_iter().collect::<Vec<_>>(), ["Ended", "Made", "Told"]);
}
