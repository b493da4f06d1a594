//! Layer `unit`: the rooms. No crate has a circle of imports, and the rooms of the operator and of the test library import downwards
//! only; and no loop of the operator hangs unseen (`rooms/pulses.rs`).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod rooms {
    mod pulses;
}

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use syn::{
    UseTree,
    visit::{self, Visit},
};
use testbeds::host::root;

/// The rooms of the operator, from the top: a room imports only from rows below its own. No loop imports another.
const OPERATOR: &[&[&str]] = &[
    &["main"],
    &["run"],
    &["check", "each", "leader", "log", "serve"],
    &["cloud", "installation", "pool", "round", "secrets", "services", "status", "vm"],
    &["giveback"],
    &["context"],
    &["api", "bells"],
    &["args", "errands", "known", "metrics", "progress", "readiness"],
    &["conditions", "crash", "downtime", "ending", "images", "life", "resolve", "trouble"],
    &["amounts", "names"],
];

/// The rooms of the test library: all systems joined, each alone, and what they take from this machine. Its programs (`bin`) stand above.
const TESTBEDS: &[&[&str]] = &[&["lib"], &["real"], &["systems"], &["host", "pages"]];

/// The rooms of the simulator, from the top.
const SIMULATOR: &[&[&str]] = &[
    &["lib", "main"],
    &["run"],
    &["policy", "report"],
    &["world"],
    &["cloud", "dirac"],
    &["scenario"],
    &["dice", "heap"],
    &["time"],
];

/// Names of modules of the crate, by the file that names them. A file is known by its path of modules, `a::b`.
fn imports(root: &Path) -> BTreeMap<String, BTreeSet<String>> {
    let files = modules(root);
    let names: BTreeSet<String> = files.keys().cloned().collect();
    files
        .iter()
        .map(|(module, file)| {
            let text = fs::read_to_string(file).unwrap();
            let found = paths(&text).into_iter().filter_map(|path| resolve(module, &path, &names)).collect();
            (module.clone(), found)
        })
        .collect()
}

fn modules(root: &Path) -> BTreeMap<String, PathBuf> {
    let mut found = BTreeMap::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let is_test = path.file_stem().is_some_and(|s| s.to_string_lossy().ends_with("tests"));
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") && !is_test {
                let name = path.strip_prefix(root).unwrap().with_extension("");
                let parts: Vec<_> = name.iter().map(|p| p.to_str().unwrap()).filter(|p| *p != "mod").collect();
                found.insert(parts.join("::"), path);
            }
        }
    }
    found
}

/// What the `use` lines and paths of a file name, written out from `crate`, `super` or `self`. Tests do not count.
fn paths(text: &str) -> Vec<Vec<String>> {
    let mut found = Found::default();
    found.visit_file(&syn::parse_file(text).unwrap());
    found.0
}

#[derive(Default)]
struct Found(Vec<Vec<String>>);

impl Found {
    fn tree(&mut self, tree: &UseTree, prefix: &[String]) {
        let with = |name: &syn::Ident| [prefix, &[name.to_string()]].concat();
        match tree {
            UseTree::Path(path) => self.tree(&path.tree, &with(&path.ident)),
            UseTree::Name(name) => self.note(with(&name.ident)),
            UseTree::Rename(name) => self.note(with(&name.ident)),
            UseTree::Glob(_) => self.note(prefix.to_vec()),
            UseTree::Group(group) => group.items.iter().for_each(|item| self.tree(item, prefix)),
        }
    }

    fn note(&mut self, path: Vec<String>) {
        if matches!(path[0].as_str(), "crate" | "super" | "self") {
            self.0.push(path);
        }
    }
}

impl<'ast> Visit<'ast> for Found {
    fn visit_item_mod(&mut self, module: &'ast syn::ItemMod) {
        if !is_test(module) {
            visit::visit_item_mod(self, module);
        }
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.tree(&item.tree, &[]);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        self.note(path.segments.iter().map(|s| s.ident.to_string()).collect());
        visit::visit_path(self, path);
    }
}

fn is_test(module: &syn::ItemMod) -> bool {
    module.attrs.iter().any(|a| a.path().is_ident("cfg") && quote_of(a).contains("test"))
}

fn quote_of(attribute: &syn::Attribute) -> String {
    attribute.meta.require_list().map(|list| list.tokens.to_string()).unwrap_or_default()
}

/// The file that a path leads to, from `module`: the longest beginning of it that is a module.
fn resolve(module: &str, path: &[String], names: &BTreeSet<String>) -> Option<String> {
    let mut full: Vec<&str> = match path[0].as_str() {
        "crate" => Vec::new(),
        _ => module.split("::").collect(),
    };
    let mut rest = path;
    while let Some(first) = rest.first().filter(|f| matches!(f.as_str(), "crate" | "super" | "self")) {
        if first == "super" {
            full.pop();
        }
        rest = &rest[1..];
    }
    full.extend(rest.iter().map(String::as_str));
    (1..=full.len()).rev().map(|n| full[..n].join("::")).find(|m| names.contains(m)).filter(|m| m != module)
}

/// A circle of imports, if there is one. A folder's `mod.rs` re-exports what lies in it, and what lies in it may use its words: the
/// two are one room here.
fn circle(imports: &BTreeMap<String, BTreeSet<String>>) -> Option<Vec<String>> {
    fn visit(
        at: &str,
        imports: &BTreeMap<String, BTreeSet<String>>,
        way: &mut Vec<String>,
        done: &mut BTreeSet<String>,
    ) -> Option<Vec<String>> {
        if let Some(begin) = way.iter().position(|m| m == at) {
            return Some(way[begin..].to_vec());
        }
        if !done.insert(at.to_owned()) {
            return None;
        }
        way.push(at.to_owned());
        let next = imports.get(at).into_iter().flatten();
        let found = next.filter(|to| !is_around(to, at)).find_map(|to| visit(to, imports, way, done));
        way.pop();
        found
    }
    let mut done = BTreeSet::new();
    imports.keys().find_map(|m| visit(m, imports, &mut Vec::new(), &mut done))
}

fn is_around(outer: &str, inner: &str) -> bool {
    inner.strip_prefix(outer).is_some_and(|rest| rest.starts_with("::"))
}

fn sources(package: &str) -> PathBuf {
    root().join(package).join("src")
}

#[test]
fn no_crate_has_a_circle_of_imports() {
    for package in ["broker", "crds", "operator", "simulator", "tests", "xtask"] {
        let imports = imports(&sources(package));
        assert!(imports.len() > 3, "{package}: {imports:?}");
        assert_eq!(circle(&imports), None, "{package}");
    }
}

/// Imports of a package that do not go downwards through its rows of rooms, and how many were looked at.
fn upwards(package: &str, rows: &[&[&str]]) -> (Vec<String>, usize) {
    let room = |module: &str| module.split("::").next().unwrap().to_owned();
    let row = |module: &str| {
        let room = room(module);
        rows.iter().position(|row| row.contains(&room.as_str())).unwrap_or_else(|| panic!("{room} has no row"))
    };
    let mut upwards = Vec::new();
    let mut arrows = 0;
    for (from, to) in imports(&sources(package)).into_iter().filter(|(from, _)| room(from) != "bin") {
        for to in to {
            arrows += 1;
            if room(&from) != room(&to) && row(&to) <= row(&from) {
                upwards.push(format!("{from} -> {to}"));
            }
        }
    }
    (upwards, arrows)
}

#[test]
fn the_rooms_of_the_operator_import_downwards_only() {
    let (upwards, arrows) = upwards("operator", OPERATOR);
    assert!(arrows > 50, "the imports were read");
    assert_eq!(upwards, Vec::<String>::new());
}

#[test]
fn the_rooms_of_the_test_library_import_downwards_only() {
    let (upwards, arrows) = upwards("tests", TESTBEDS);
    assert!(arrows > 30, "the imports were read");
    assert_eq!(upwards, Vec::<String>::new());
}

#[test]
fn the_rooms_of_the_simulator_import_downwards_only_and_one_folder_knows_the_planner() {
    let (upwards, arrows) = upwards("simulator", SIMULATOR);
    assert!(arrows > 30, "the imports were read");
    assert_eq!(upwards, Vec::<String>::new());
    let knows = |file: &PathBuf| {
        let text = fs::read_to_string(file).unwrap();
        text.lines().any(|line| line.contains("broker::") && !line.trim_start().starts_with("//"))
    };
    let know: Vec<String> =
        modules(&sources("simulator")).into_iter().filter(|(_, file)| knows(file)).map(|(name, _)| name).collect();
    assert!(know.iter().all(|name| name.starts_with("policy::operator")), "{know:?}");
}

#[test]
fn imports_are_read_with_braces_names_and_paths() {
    let names: BTreeSet<String> = ["a", "a::b", "a::c", "d", "e"].into_iter().map(str::to_owned).collect();
    let text = "use super::{c, c::Thing as Other};\nuse crate::{\n    a::{self, b::{X, Y}},\n    d::Z,\n};\nfn f() { crate::e::g() }\n";
    let found: BTreeSet<_> = paths(text).iter().filter_map(|p| resolve("a::b", p, &names)).collect();
    assert_eq!(found.into_iter().collect::<Vec<_>>(), ["a", "a::c", "d", "e"]);
}

#[test]
fn a_circle_is_found() {
    let imports = |arrows: &[(&str, &str)]| {
        let mut all: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (from, to) in arrows {
            all.entry((*from).to_owned()).or_default().insert((*to).to_owned());
        }
        all
    };
    assert_eq!(circle(&imports(&[("a", "b"), ("b", "c"), ("a", "c")])), None);
    assert_eq!(circle(&imports(&[("a", "b"), ("b", "c"), ("c", "b")])).unwrap().len(), 2);
}
