//! The project's folder in the user's cache, where what takes long to build is kept for the next run.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

/// `$XDG_CACHE_HOME/dirac-operator`, or `~/.cache/dirac-operator`; made when it is not there.
pub fn dir() -> Result<PathBuf> {
    let base = std::env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache")))
        .context("neither XDG_CACHE_HOME nor HOME is set: there is no place to keep what was built; set one of them")?;
    let dir = base.join("dirac-operator");
    fs::create_dir_all(&dir).with_context(|| format!("cannot make the cache folder {}", dir.display()))?;
    Ok(dir)
}

/// The folder `name` of the cache, made by `build` when it is not there.
///
/// `build` fills a folder beside it, which is renamed when it is complete: what is half-built is never used. Two processes
/// that want the same thing wait for each other.
pub fn built(name: &str, build: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
    let cache = dir()?;
    let target = cache.join(name);
    if target.exists() {
        return Ok(target);
    }
    let lock = File::create(cache.join(format!("{name}.lock"))).context("cannot make a lock in the cache")?;
    lock.lock().context("cannot lock the cache")?;
    if target.exists() {
        return Ok(target);
    }
    let half = cache.join(format!("{name}.half"));
    if half.exists() {
        fs::remove_dir_all(&half)?;
    }
    fs::create_dir_all(&half)?;
    build(&half)?;
    fs::rename(&half, &target).with_context(|| format!("cannot keep {}", target.display()))?;
    Ok(target)
}
