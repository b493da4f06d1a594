//! Prints the YAML of the custom resources, or writes one file a kind and the page of conditions:
//! `cargo run -p crds -- --out DIR --docs DIR`.

use std::{fs, path::PathBuf, process::ExitCode};

use crds::{generate::files, page};

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match args.as_slice() {
        [] => files().map(|all| all.iter().for_each(|(_, yaml)| print!("---\n{yaml}"))),
        [out, dir, docs, page] if out == "--out" && docs == "--docs" => write(&dir.into(), &page.into()),
        _ => Err("usage: crds [--out DIR --docs DIR]".to_owned()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::FAILURE
        }
    }
}

fn write(out: &PathBuf, docs: &PathBuf) -> Result<(), String> {
    let page = (docs.join(page::FILE), page::conditions());
    let crds = files()?.into_iter().map(|(name, yaml)| (out.join(name), yaml));
    for dir in [out, docs] {
        fs::create_dir_all(dir).map_err(|e| format!("cannot make {}: {e}", dir.display()))?;
    }
    crds.chain([page]).try_for_each(|(file, text)| {
        fs::write(&file, text).map_err(|e| format!("cannot write {}: {e}", file.display()))
    })
}
