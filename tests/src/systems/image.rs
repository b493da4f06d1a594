//! What tests give `cargo xtask image`, so that it builds the operator's image without a build of minutes and writes nothing outside their
//! folder.

use std::{
    env,
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

use crate::{host::process::run, systems::operator::Operator};

/// Set by `cargo xtask test`: the program for the image, which it builds before the layers run.
const PROGRAM: &str = "DIRAC_OPERATOR_IMAGE_PROGRAM";

/// The program for the image. With `--full` it is the one that is shipped; else the one that the other layers run, linked statically.
pub fn program() -> Result<PathBuf> {
    let path = env::var_os(PROGRAM).map(PathBuf::from);
    path.with_context(|| {
        format!("{PROGRAM} is not set: `cargo xtask test --only LAYER` builds the program and sets it")
    })
}

/// A file for `CONTAINERS_STORAGE_CONF` with which buildah keeps its layers below `folder`, without a mount.
pub fn storage(folder: &Path) -> Result<PathBuf> {
    let file = folder.join("storage.conf");
    let at = |name: &str| folder.join(name).display().to_string();
    let text =
        format!("[storage]\ndriver = \"vfs\"\ngraphroot = {:?}\nrunroot = {:?}\n", at("images"), at("images-run"));
    fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))?;
    Ok(file)
}

/// An archive of the operator's image, built as a person builds it who has Debian's buildah, and what was said; with this program, or else with
/// one that is built as it is shipped. Its layers stay in `folder`.
pub fn archive(folder: &Path, program: Option<&Path>) -> Result<(PathBuf, String)> {
    let archive = folder.join("operator.tar");
    let mut command = Command::new(Operator::program("xtask", "cargo build --package xtask")?);
    command.args(["image", "--tool=buildah", "--save"]).arg(&archive);
    command.args(program.iter().flat_map(|program| [OsStr::new("--program"), program.as_os_str()]));
    let said = run("cargo xtask image", command.env("CONTAINERS_STORAGE_CONF", storage(folder)?))?;
    Ok((archive, said))
}
