//! `cargo xtask docs`: the pages of docs/ as a book.
//!
//! 1. mdBook is built once, into the cache.
//! 2. The pages are laid out beside the book as they lie in this repository, with what they link to outside docs/: each link holds in both.
//! 3. mdBook makes the book of them.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    say::Step,
    times::cache,
    tools::{cargo, require_compiler, root, run, targets},
};

/// The mdBook that makes the book.
const VERSION: &str = "0.5.4";

/// What is laid out: the pages, and what they may link to.
const PARTS: [&str; 4] = ["README.md", "docs", "examples", "images"];

/// Makes the book and says where it is.
pub fn docs() -> Result<(), String> {
    let mdbook = mdbook()?;
    let targets = targets()?;
    let (pages, book) = (targets.join("book-pages"), targets.join("book"));
    let step = Step::start("making the book");
    let made = lay_out(&root(), &pages).map_err(|e| format!("the pages cannot be copied to {}: {e}", pages.display()));
    let made = made
        .and_then(|()| run("mdbook build", Command::new(mdbook).arg("build").arg(&pages).arg("--dest-dir").arg(&book)));
    step.end(made.is_ok());
    made?;
    println!("the book is {}; open this file in a browser", book.join("index.html").display());
    Ok(())
}

/// The program, which is installed when it is not there or is another version.
fn mdbook() -> Result<PathBuf, String> {
    let cache =
        cache().ok_or("neither XDG_CACHE_HOME nor HOME is set: there is no place to keep mdBook; set one of them")?;
    let tools = cache.join("tools");
    let program = tools.join("bin/mdbook");
    let says = Command::new(&program).arg("--version").output();
    if says.is_ok_and(|said| String::from_utf8_lossy(&said.stdout).trim() == format!("mdbook v{VERSION}")) {
        return Ok(program);
    }
    require_compiler()?;
    let step = Step::start(&format!("building mdBook {VERSION} (a minute or two, once)"));
    let mut install = cargo();
    install.args(["install", "--quiet", "--locked", "--version", VERSION, "--root"]).arg(&tools);
    let installed =
        run("cargo install mdbook", install.args(["mdbook", "--no-default-features", "--features", "search"]));
    step.end(installed.is_ok());
    installed.map(|()| program)
}

/// Copies the parts from `root` to `pages`, with the book's description at their head, where mdBook looks for it.
fn lay_out(root: &Path, pages: &Path) -> io::Result<()> {
    match fs::remove_dir_all(pages) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        _ => fs::create_dir_all(pages)?,
    }
    PARTS.iter().try_for_each(|part| copy(&root.join(part), &pages.join(part)))?;
    fs::rename(pages.join("docs/book.toml"), pages.join("book.toml"))?;
    fs::write(pages.join("SUMMARY.md"), summary(&fs::read_to_string(root.join("docs/SUMMARY.md"))?))
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    if !from.is_dir() {
        return fs::copy(from, to).map(drop);
    }
    fs::create_dir_all(to)?;
    fs::read_dir(from)?.try_for_each(|entry| {
        let entry = entry?;
        copy(&entry.path(), &to.join(entry.file_name()))
    })
}

/// The summary of docs/, whose links begin there, as one whose links begin above it.
fn summary(text: &str) -> String {
    let mut parts = text.split("](");
    let head = parts.next().unwrap_or_default().to_owned();
    parts.fold(head, |text, part| match part.strip_prefix("../") {
        Some(above) => format!("{text}]({above}"),
        None => format!("{text}](docs/{part}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pages_are_laid_out_as_they_lie_in_the_repository() {
        let pages = std::env::temp_dir().join(format!("dirac-operator-book-{}", std::process::id()));
        for _ in 0..2 {
            lay_out(&root(), &pages).unwrap();
            for page in
                ["README.md", "docs/plan.md", "examples/simulated/all.yaml", "images/pilot/README.md", "book.toml"]
            {
                assert!(pages.join(page).is_file(), "{page}");
            }
            fs::write(pages.join("docs/plan.md"), "another").unwrap();
        }
        let listed = fs::read_to_string(pages.join("SUMMARY.md")).unwrap();
        for link in listed.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            assert!(pages.join(link).is_file(), "SUMMARY.md names {link}");
        }
        fs::remove_dir_all(pages).unwrap();
    }

    #[test]
    fn links_of_the_summary_begin_at_the_root() {
        assert_eq!(summary("# S\n[a](../README.md)\n- [b](plan.md)\n"), "# S\n[a](README.md)\n- [b](docs/plan.md)\n");
    }
}
