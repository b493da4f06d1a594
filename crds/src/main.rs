//! Prints the YAML of the custom resources, or writes one file a kind: `cargo run -p crds -- --out DIR`.

use std::{fs, path::PathBuf, process::ExitCode};

use crds::generate::files;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match args.as_slice() {
        [] => files().map(|all| all.iter().for_each(|(_, yaml)| print!("---\n{yaml}"))),
        [flag, dir] if flag == "--out" => files().and_then(|all| {
            let dir = PathBuf::from(dir);
            fs::create_dir_all(&dir).map_err(|e| format!("cannot make {}: {e}", dir.display()))?;
            all.iter().try_for_each(|(name, yaml)| {
                let file = dir.join(name);
                fs::write(&file, yaml).map_err(|e| format!("cannot write {}: {e}", file.display()))
            })
        }),
        _ => Err("usage: crds [--out DIR]".to_owned()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::FAILURE
        }
    }
}
