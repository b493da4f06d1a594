//! Prints the YAML of the custom resources, or writes one file a kind and the pages of docs/ that are made of tables and schemas:
//! `cargo run -p crds -- --out DIR --docs DIR`.

use std::{fs, path::Path, process::ExitCode};

use crds::{generate::files, page};

const VALUES: &str = include_str!("../../charts/dirac-operator/values.yaml");
const SCHEMA: &str = include_str!("../../charts/dirac-operator/values.schema.json");

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match args.as_slice() {
        [] => files().map(|all| all.iter().for_each(|(_, yaml)| print!("---\n{yaml}"))),
        [out, dir, docs, pages] if out == "--out" && docs == "--docs" => write(Path::new(dir), Path::new(pages)),
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

fn write(out: &Path, docs: &Path) -> Result<(), String> {
    let pages = page::pages(VALUES, SCHEMA)?.into_iter().map(|(name, text)| (docs.join(name), text));
    let crds = files()?.into_iter().map(|(name, yaml)| (out.join(name), yaml));
    crds.chain(pages).try_for_each(|(file, text)| {
        let dir = file.parent().unwrap_or(docs);
        fs::create_dir_all(dir).map_err(|e| format!("cannot make {}: {e}", dir.display()))?;
        fs::write(&file, text).map_err(|e| format!("cannot write {}: {e}", file.display()))
    })
}
