//! What the image holds: the program, linked statically for each processor, and the certificates of public authorities.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::tools::{build_with, cargo, on_path, targets};

/// A processor, by the name that images have for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Arch {
    Amd64,
    Arm64,
}

impl Arch {
    /// What an image calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Amd64 => "amd64",
            Self::Arm64 => "arm64",
        }
    }

    /// What Rust and the C compilers call it.
    fn word(self) -> &'static str {
        match self {
            Self::Amd64 => "x86_64",
            Self::Arm64 => "aarch64",
        }
    }

    /// The one with this name.
    pub fn named(name: &str) -> Result<Self, String> {
        let both = [Self::Amd64, Self::Arm64];
        let found = both.into_iter().find(|arch| [arch.name(), arch.word()].contains(&name));
        found.ok_or_else(|| format!("--arch {name}: images are built for amd64, arm64"))
    }

    /// This machine's.
    pub fn here() -> Result<Self, String> {
        Self::named(env::consts::ARCH)
    }

    /// Rust's name of the target. With Debian's C library, not musl: Debian has a compiler with it for each processor.
    fn target(self) -> String {
        format!("{}-unknown-linux-gnu", self.word())
    }

    /// The compiler that builds the C parts (allocator, cryptography) and links.
    fn compiler(self) -> String {
        if env::consts::OS == "linux" && env::consts::ARCH == self.word() {
            "cc".to_owned()
        } else {
            format!("{}-linux-gnu-gcc", self.word())
        }
    }

    /// An error that says what is missing, and how to get it.
    pub fn can_be_built(self) -> Result<(), String> {
        self.missing(&self.compiler(), on_path(&self.compiler()), has_std(&self.target())).map_or(Ok(()), Err)
    }

    fn missing(self, compiler: &str, there: bool, std: bool) -> Option<String> {
        let name = self.name();
        if !there {
            let packages = match compiler {
                "cc" => "build-essential".to_owned(),
                cross => {
                    let cross = cross.trim_end_matches("-gcc").replace('_', "-");
                    format!("gcc-{cross} libc6-dev-{name}-cross")
                }
            };
            return Some(format!(
                "an image for {name} needs the C compiler {compiler}, and it is not on the PATH; on Debian: apt-get install {packages}"
            ));
        }
        (!std).then(|| {
            let target = self.target();
            format!("an image for {name} needs Rust's library for {target}: rustup target add {target}")
        })
    }
}

/// Whether the compiler of this project has the standard library for a target.
fn has_std(target: &str) -> bool {
    let mut rustc = Command::new(env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
    rustc
        .current_dir(crate::tools::root())
        .args(["--print", "target-libdir", "--target", target])
        .stderr(Stdio::null());
    let folder = rustc.output().ok().filter(|output| output.status.success());
    folder.is_some_and(|output| Path::new(String::from_utf8_lossy(&output.stdout).trim()).is_dir())
}

/// Builds the program for `arch`; where it is.
pub fn program(arch: Arch) -> Result<PathBuf, String> {
    let (target, compiler) = (arch.target(), arch.compiler());
    let mut command = cargo();
    command.args(["build", "--package", "operator", "--profile", PROFILE, "--target", &target]);
    // Before all flags of the environment: a program that is not static does not start in the image.
    command.env("CARGO_ENCODED_RUSTFLAGS", "-C\x1ftarget-feature=+crt-static");
    let [lower, upper] = [target.replace('-', "_"), target.replace('-', "_").to_uppercase()];
    if compiler != "cc" {
        command.env(format!("CC_{lower}"), &compiler).env(format!("CARGO_TARGET_{upper}_LINKER"), &compiler);
        // Or its configure takes the compiler's own prefix for this machine's.
        command.env(format!("AR_{lower}"), compiler.replace("-gcc", "-ar"));
    }
    if arch == Arch::Arm64 {
        // Kernels for it have pages of 4, 16 or 64 kB; an allocator built for the largest runs on all.
        command.env("JEMALLOC_SYS_WITH_LG_PAGE", "16");
    }
    build_with(&format!("building the operator for {}", arch.name()), &mut command)?;
    Ok(targets()?.join(target).join(PROFILE).join("dirac-operator"))
}

/// The program that tests run, with all that it is linked from, as a static one: only the linking is another. It takes seconds where that
/// was built; it is neither optimised nor small.
pub fn quick_program(arch: Arch) -> Result<PathBuf, String> {
    let mut command = cargo();
    command.args(["rustc", "--package", "operator", "--bin", "dirac-operator", "--"]);
    command.args(["-C", "target-feature=+crt-static", "-C", "strip=symbols"]);
    build_with("linking the operator statically, as tests run it", &mut command)?;
    let (from, folder) = (targets()?.join("debug/dirac-operator"), targets()?.join("image-quick"));
    let to = folder.join(arch.name());
    fs::create_dir_all(&folder).map_err(|e| format!("cannot make {}: {e}", folder.display()))?;
    // Cargo's next build of the operator takes its name again.
    fs::copy(&from, &to).map_err(|e| format!("cannot copy {} to {}: {e}", from.display(), to.display()))?;
    Ok(to)
}

/// The profile of the workspace's Cargo.toml.
const PROFILE: &str = "image";

/// Authorities without those that this machine alone trusts, where the system keeps them apart (Debian, Ubuntu, Alpine).
const APART: &str = "/usr/share/ca-certificates/mozilla";
/// All that this machine trusts.
const BUNDLES: [&str; 4] = [
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// The file of certificates for the image: the one that is asked for, or one that is made or found here.
pub fn roots(asked: Option<&Path>) -> Result<PathBuf, String> {
    if let Some(asked) = asked {
        return if asked.is_file() {
            Ok(asked.to_owned())
        } else {
            Err(format!("--roots {}: there is no such file", asked.display()))
        };
    }
    if let Some(all) = together(Path::new(APART))? {
        let file = targets()?.join("image-roots.crt");
        fs::write(&file, all).map_err(|e| format!("cannot write {}: {e}", file.display()))?;
        return Ok(file);
    }
    let found = trusted().ok_or(
        "the certificates of public authorities are nowhere on this machine; name a file of them with --roots",
    )?;
    eprintln!("the image trusts what this machine trusts: {}; --roots names another file", found.display());
    Ok(found.to_owned())
}

/// All that this machine trusts, with what it alone trusts, where that is in one file.
pub fn trusted() -> Option<&'static Path> {
    BUNDLES.iter().map(Path::new).find(|path| path.is_file())
}

/// The certificates of a folder one after the other, always in the same order.
fn together(folder: &Path) -> Result<Option<String>, String> {
    let Ok(entries) = fs::read_dir(folder) else { return Ok(None) };
    let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    files.retain(|path| path.extension().is_some_and(|end| end == "crt"));
    files.sort();
    let mut all = String::new();
    for file in &files {
        all += fs::read_to_string(file).map_err(|e| format!("cannot read {}: {e}", file.display()))?.trim_end();
        all.push('\n');
    }
    Ok(Some(all).filter(|all| !all.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_another_processor_needs_is_said_with_debians_names() {
        let said = Arch::Arm64.missing("aarch64-linux-gnu-gcc", false, false).unwrap();
        assert!(said.ends_with("apt-get install gcc-aarch64-linux-gnu libc6-dev-arm64-cross"), "{said}");
        let said = Arch::Amd64.missing("x86_64-linux-gnu-gcc", false, true).unwrap();
        assert!(said.ends_with("apt-get install gcc-x86-64-linux-gnu libc6-dev-amd64-cross"), "{said}");
        let said = Arch::Arm64.missing("aarch64-linux-gnu-gcc", true, false).unwrap();
        assert!(said.ends_with("rustup target add aarch64-unknown-linux-gnu"), "{said}");
        assert_eq!(Arch::Arm64.missing("cc", true, true), None);
    }

    #[test]
    fn certificates_are_put_together_in_one_order_and_an_empty_folder_is_none() {
        let folder = env::temp_dir().join(format!("dirac-operator-roots-{}", std::process::id()));
        assert_eq!(together(&folder), Ok(None), "there is no folder");
        fs::create_dir_all(&folder).unwrap();
        assert_eq!(together(&folder), Ok(None), "and nothing in it");
        for (name, text) in [("b.crt", "second\n\n"), ("a.crt", "first"), ("README", "no certificate")] {
            fs::write(folder.join(name), text).unwrap();
        }
        assert_eq!(together(&folder), Ok(Some("first\nsecond\n".to_owned())));
        fs::remove_dir_all(folder).unwrap();
    }
}
