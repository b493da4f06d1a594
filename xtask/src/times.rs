//! What the two commands took when they last ran on this machine, kept in the cache for `cargo xtask bench`: one file a figure, with
//! seconds in it.

use std::{
    env, fs,
    path::{Path, PathBuf},
    time::Duration,
};

/// A figure that is being measured.
pub struct Figure {
    file: Option<PathBuf>,
}

impl Figure {
    /// Of this command, `cold` where nothing of ours is cached yet.
    pub fn of(command: &str) -> Self {
        let Some(cache) = cache() else { return Self { file: None } };
        let warm = has(&cache, "controlplane-");
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

/// Whether this cache has an entry whose name begins so, and which is whole.
fn has(cache: &Path, beginning: &str) -> bool {
    let fits = |entry: fs::DirEntry| {
        let name = entry.file_name().to_string_lossy().into_owned();
        name.starts_with(beginning) && !name.ends_with(".lock") && !name.ends_with(".half")
    };
    fs::read_dir(cache).is_ok_and(|mut all| all.any(|entry| entry.is_ok_and(fits)))
}

/// What has to be built before there is something to see, and how long each part takes on two cores; nothing where all is cached.
pub fn to_build(real: bool) -> Vec<&'static str> {
    lacking(&cache().unwrap_or_default(), real)
}

fn lacking(cache: &Path, real: bool) -> Vec<&'static str> {
    let parts = [
        (false, "controlplane-", "etcd and Kubernetes from Go modules: 8 minutes"),
        (false, "helm-", "Helm from Go modules: 2 minutes"),
        (true, "dirac-", "DIRAC from PyPI: 2 minutes"),
        (true, "openstack-schema-", "OpenStack's packages of Debian and its databases: 3 minutes"),
    ];
    parts.iter().filter(|(only_real, name, _)| (real || !only_real) && !has(cache, name)).map(|part| part.2).collect()
}

/// The project's folder in the user's cache, as the programs' `cache::dir` has it.
pub fn cache() -> Option<PathBuf> {
    let base = env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let base = base.or_else(|| env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache")))?;
    Some(base.join("dirac-operator"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_half_built_is_built_again_and_the_simulated_demo_needs_no_dirac() {
        let cache = env::temp_dir().join(format!("dirac-operator-xtask-{}", std::process::id()));
        let said = |real| lacking(&cache, real).iter().map(|part| part.split(' ').next().unwrap()).collect::<Vec<_>>();
        assert_eq!(said(true), ["etcd", "Helm", "DIRAC", "OpenStack's"], "there is no cache");
        for entry in ["controlplane-1.36.half", "controlplane-1.36.lock", "helm-4", "dirac-9.1"] {
            fs::create_dir_all(cache.join(entry)).unwrap();
        }
        assert_eq!((said(false), said(true)), (vec!["etcd"], vec!["etcd", "OpenStack's"]));
        fs::remove_dir_all(cache).unwrap();
    }
}
