//! What a VM's image has of this DIRAC, made by `images/pilot/install` as an administrator makes it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Result;

use super::Dirac;
use crate::host::{process::run, root};

/// Where an image has it.
const INSIDE: [&str; 2] = ["/opt/dirac-pilot", "/etc/grid-security"];

/// The folder of recipes.
pub fn recipes() -> PathBuf {
    root().join("images/pilot")
}

impl Dirac {
    /// A copy of `images/pilot` with what a site puts into it: settings, the certificates of the authorities, and the pilots' proxies.
    pub fn recipe(&self) -> Result<PathBuf> {
        let folder = self.state().join("recipe");
        run("cp", Command::new("cp").arg("-RL").arg(recipes()).arg(&folder))?;
        // An image has the files where start-pilot looks for them.
        let own = ["DIRAC_PROXIES=", "X509_CERT_DIR="];
        let settings = fs::read_to_string(self.run_pilot().with_file_name("settings"))?;
        let settings: String =
            settings.split_inclusive('\n').filter(|line| !own.iter().any(|name| line.starts_with(name))).collect();
        fs::write(folder.join("settings"), settings)?;
        let copied = |from: &Path, to: &str| -> Result<()> {
            let to = folder.join(to);
            fs::create_dir_all(&to)?;
            let name = from.file_name().unwrap_or_default();
            fs::copy(from, to.join(name))?;
            Ok(())
        };
        for entry in fs::read_dir(self.certificates())? {
            copied(&entry?.path(), "certificates")?;
        }
        for proxy in ["proxy.biomed_pilot", "proxy.enmr_pilot"] {
            copied(&self.state().join(proxy), "proxies")?;
        }
        Ok(folder)
    }

    /// What the image has but DIRAC's client itself: pairs of a folder and where guests find it.
    pub fn image(&self) -> Result<Vec<(PathBuf, &'static str)>> {
        let root = self.state().join("image");
        run("install --files", Command::new(self.recipe()?.join("install")).arg("--files").arg(&root))?;
        Ok(INSIDE.map(|inside| (root.join(inside.trim_start_matches('/')), inside)).to_vec())
    }
}
