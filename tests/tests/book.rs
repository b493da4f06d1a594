//! Layer `unit`: the pages hold together. Every link from one file to another, and to a heading, leads somewhere; every page of docs/
//! is in the book; and every block of commands can be read by those who run it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Component, Path, PathBuf},
};

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};
use testbeds::{
    host::root,
    systems::{
        controlplane::build::{HELM, KUBERNETES},
        dirac::DIRAC,
    },
};

/// What the book has beside docs/: `PARTS` in xtask/src/docs.rs. A link from a page of the book to anything else would be dead in it.
const IN_THE_BOOK: [&str; 4] = ["README.md", "docs", "examples", "images"];
/// What lists the book's pages.
const SUMMARY: &str = "docs/SUMMARY.md";

/// What a file of Markdown has: its links, with the line of each, and what they may lead to.
#[derive(Default)]
struct Page {
    links: Vec<(usize, String)>,
    anchors: BTreeSet<String>,
}

impl Page {
    fn read(text: &str) -> Self {
        let mut page = Self::default();
        let mut heading: Option<String> = None;
        let mut times: BTreeMap<String, usize> = BTreeMap::new();
        for (event, range) in Parser::new_ext(text, Options::ENABLE_TABLES).into_offset_iter() {
            match event {
                Event::Start(Tag::Link { dest_url: to, .. } | Tag::Image { dest_url: to, .. }) => {
                    page.links.push((1 + text[..range.start].matches('\n').count(), to.to_string()));
                }
                Event::Start(Tag::Heading { .. }) => heading = Some(String::new()),
                Event::Text(part) | Event::Code(part) => heading.iter_mut().for_each(|h| h.push_str(&part)),
                Event::End(TagEnd::Heading(_)) => {
                    let anchor = anchor(&heading.take().unwrap_or_default());
                    let before = times.entry(anchor.clone()).or_default();
                    page.anchors.insert(if *before == 0 { anchor } else { format!("{anchor}-{before}") });
                    *before += 1;
                }
                _ => {}
            }
        }
        page
    }
}

/// What GitHub and mdBook call a heading.
fn anchor(heading: &str) -> String {
    let kept = heading.trim().chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c.to_ascii_lowercase() }).collect()
}

/// Every file of Markdown in the repository, by its path from the root.
fn pages() -> BTreeMap<PathBuf, String> {
    let (root, mut found) = (root(), BTreeMap::new());
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() && !name.starts_with('.') && name != "target" {
                folders.push(path);
            } else if name.ends_with(".md") {
                found.insert(path.strip_prefix(&root).unwrap().to_owned(), fs::read_to_string(&path).unwrap());
            }
        }
    }
    found
}

/// The file that a link in `page` leads to, from the root.
fn target(page: &Path, link: &str) -> PathBuf {
    let mut to = page.parent().unwrap().to_owned();
    for part in Path::new(link).components() {
        match part {
            Component::ParentDir => assert!(to.pop(), "{}: {link} leads out of the repository", page.display()),
            Component::Normal(name) => to.push(name),
            _ => {}
        }
    }
    to
}

/// What is wrong with the links of these pages, where `is_there` says which other files there are.
fn dead(texts: &BTreeMap<PathBuf, String>, is_there: impl Fn(&Path) -> bool) -> (Vec<String>, usize) {
    let pages: BTreeMap<&Path, Page> = texts.iter().map(|(path, text)| (path.as_path(), Page::read(text))).collect();
    let listed: BTreeSet<PathBuf> = pages.get(Path::new(SUMMARY)).map_or_else(BTreeSet::new, |summary| {
        summary.links.iter().map(|(_, link)| target(Path::new(SUMMARY), link)).collect()
    });
    let (mut wrong, mut looked) = (Vec::new(), 0);
    for (path, page) in &pages {
        for (line, link) in page.links.iter().filter(|(_, link)| !link.contains("://") && !link.starts_with("mailto:"))
        {
            looked += 1;
            let (file, anchor) =
                link.split_once('#').map_or((link.as_str(), None), |(file, anchor)| (file, Some(anchor)));
            let to = if file.is_empty() { path.to_path_buf() } else { target(path, file) };
            let mut say = |what: &str| wrong.push(format!("{}:{line}: {link}: {what}", path.display()));
            match pages.get(to.as_path()) {
                Some(page) if anchor.is_some_and(|anchor| !page.anchors.contains(anchor)) => {
                    say("no such heading there")
                }
                Some(_) if listed.contains(*path) && !listed.contains(&to) => say("that page is not in the book"),
                None if !is_there(&to) => say("no such file"),
                None if listed.contains(*path) && !IN_THE_BOOK.iter().any(|part| to.starts_with(part)) => {
                    say("the book has no such file; see PARTS in xtask/src/docs.rs");
                }
                _ => {}
            }
        }
    }
    (wrong, looked)
}

#[test]
fn every_link_leads_somewhere_in_the_repository_and_in_the_book() {
    let (wrong, looked) = dead(&pages(), |path| root().join(path).is_file());
    assert!(looked > 140, "the links were read: {looked}");
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn the_book_lists_every_page_of_docs_once() {
    let texts = pages();
    let summary = Page::read(&texts[Path::new(SUMMARY)]);
    let listed: Vec<PathBuf> = summary.links.iter().map(|(_, link)| target(Path::new(SUMMARY), link)).collect();
    let once: BTreeSet<&PathBuf> = listed.iter().collect();
    assert_eq!(once.len(), listed.len(), "a page is listed twice: {listed:?}");
    let missing: Vec<_> = texts
        .keys()
        .filter(|page| page.starts_with("docs") && *page != Path::new(SUMMARY) && !once.contains(page))
        .collect();
    assert_eq!(missing, Vec::<&PathBuf>::new(), "add these to {SUMMARY}");
}

#[test]
fn the_page_of_versions_has_those_of_the_tests() {
    let page = fs::read_to_string(root().join("docs/compatibility.md")).unwrap();
    for version in [KUBERNETES, HELM, DIRAC] {
        assert!(page.contains(version), "docs/compatibility.md has no {version}");
    }
}

#[test]
fn every_block_of_commands_can_be_read() {
    let blocks = pages().into_iter().flat_map(|(path, text)| {
        testbeds::pages::blocks(&path.display().to_string(), &text).unwrap_or_else(|wrong| panic!("{wrong}"))
    });
    assert!(blocks.count() > 5, "blocks were found");
}

#[test]
fn a_link_that_leads_nowhere_is_found() {
    let texts = |pages: &[(&str, &str)]| pages.iter().map(|(p, t)| (PathBuf::from(p), (*t).to_owned())).collect();
    let is_there = |path: &Path| path == Path::new("docs/a.svg") || path == Path::new("deny.toml");
    let good = texts(&[
        (SUMMARY, "[a](a.md) [b](b/c.md)"),
        (
            "docs/a.md",
            "# A `b`, c!\n## Two\n## Two\n[1](#a-b-c) [2](#two-1) ![3](a.svg) [4](https://x.org/#q)\n\n| [5](b/c.md#c) |\n|---|\n",
        ),
        ("docs/b/c.md", "# C\n[1](../a.md)\n\n```\n[2](nowhere.md)\n```\n"),
        ("other/README.md", "[1](../deny.toml)"),
    ]);
    assert_eq!(dead(&good, is_there), (vec![], 8));
    let bad = texts(&[
        (SUMMARY, "[a](a.md)"),
        ("docs/a.md", "# A\n\n[1](#b)\n[2](c.md)\n[3](../deny.toml)\n[4](../other/README.md)"),
        ("other/README.md", "# O\n[1](../docs/a.md#o)"),
    ]);
    let (wrong, _) = dead(&bad, is_there);
    assert_eq!(
        wrong,
        [
            "docs/a.md:3: #b: no such heading there",
            "docs/a.md:4: c.md: no such file",
            "docs/a.md:5: ../deny.toml: the book has no such file; see PARTS in xtask/src/docs.rs",
            "docs/a.md:6: ../other/README.md: that page is not in the book",
            "other/README.md:2: ../docs/a.md#o: no such heading there",
        ]
    );
}
