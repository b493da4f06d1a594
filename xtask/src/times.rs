//! What the two commands took when they last ran on this machine, kept in the cache for `cargo xtask bench`: one file a figure, with
//! seconds in it.

use std::{env, fs, path::PathBuf, time::Duration};

/// A figure that is being measured.
pub struct Figure {
    file: Option<PathBuf>,
}

impl Figure {
    /// Of this command, `cold` where nothing of ours is cached yet.
    pub fn of(command: &str) -> Self {
        let Some(cache) = cache() else { return Self { file: None } };
        let built = |entry: fs::DirEntry| entry.file_name().to_string_lossy().starts_with("controlplane-");
        let warm = fs::read_dir(&cache).is_ok_and(|mut all| all.any(|entry| entry.is_ok_and(built)));
        Self { file: Some(cache.join("times").join(format!("{command}-{}", if warm { "warm" } else { "cold" }))) }
    }

    /// The file, for a program that notes the time itself.
    pub fn file(&self) -> Option<&PathBuf> {
        self.file.as_ref()
    }

    /// Notes the time. A figure is no reason to fail.
    pub fn note(&self, took: Duration) {
        let Some(file) = &self.file else { return };
        if let Some(folder) = file.parent() {
            fs::create_dir_all(folder).ok();
        }
        fs::write(file, format!("{:.1}\n", took.as_secs_f64())).ok();
    }
}

/// As the programs' `cache::dir` has it.
fn cache() -> Option<PathBuf> {
    let base = env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let base = base.or_else(|| env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache")))?;
    Some(base.join("dirac-operator"))
}
