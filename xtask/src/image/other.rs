//! The images beside the operator's: what a site runs for its DIRAC. Each is made of its folder in `images/`, to which two add what is
//! made on this machine.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    say::Step,
    tools::{on_path, run, targets},
};

use super::{
    build::{self, Arch},
    recipe::Recipe,
    tool::{Order, Tool},
    wish::Wish,
};

/// Debian's release that lies under all of them.
const RELEASE: &str = "bookworm";
const MIRROR: &str = "http://deb.debian.org/debian";
/// All that a machine with this release installs from; the mirror of security updates is another.
const SOURCES: &str = "\
deb http://deb.debian.org/debian bookworm main
deb http://deb.debian.org/debian bookworm-updates main
deb http://deb.debian.org/debian-security bookworm-security main
";
/// What no image needs: devices come from the runtime, and nobody reads pages in it. Two files are of the machine that builds.
const LEFT_OUT: [&str; 8] = [
    "./dev/*",
    "./etc/hostname",
    "./etc/resolv.conf",
    "./usr/share/doc/*",
    "./usr/share/info/*",
    "./usr/share/locale/*",
    "./usr/share/man/*",
    "./var/lib/apt/lists/*",
];
/// The server of S3, by its name at the Go modules' proxy.
const S3: &str = "github.com/versity/versitygw/cmd/versitygw";

/// Builds one of them for `arch` and calls it `name`.
pub fn one(wish: &Wish, recipe: &Recipe, tool: Tool, arch: Arch, name: &str) -> Result<(), String> {
    let context = context(&wish.name, recipe, &recipe.version(&wish.set)?, arch)?;
    let mut args = wish.set.clone();
    if let Some(base) = &wish.base {
        if !recipe.has_base() {
            return Err(format!("nothing lies under the image {}: leave --base out", wish.name));
        }
        args.insert(0, ("BASE".to_owned(), base.clone()));
    }
    let step = Step::start(&format!("{} builds {name}", tool.name()));
    let order = Order { file: &recipe.file, context: &context, arch: arch.name(), args: &args, name };
    // Where a proxy of this site signs what it passes on, packages are fetched as everything else here is.
    let built = run(tool.name(), &mut tool.build_in_layers(&order, build::trusted()));
    step.end(built.is_ok());
    built?;
    println!("{name} for {}", arch.name());
    Ok(())
}

/// The folder of what the Containerfile copies.
fn context(image: &str, recipe: &Recipe, version: &str, arch: Arch) -> Result<PathBuf, String> {
    let own = recipe.file.parent().unwrap_or(Path::new(".")).to_owned();
    let folder = || -> Result<PathBuf, String> {
        let folder = targets()?.join("image-context").join(format!("{image}-{}", arch.name()));
        fs::create_dir_all(&folder).map_err(|e| format!("cannot make {}: {e}", folder.display()))?;
        Ok(folder)
    };
    match image {
        "debian" => {
            let folder = folder()?;
            debian(&folder, arch)?;
            Ok(folder)
        }
        "s3" => {
            let folder = folder()?;
            let program = versitygw(version, arch)?;
            copied(&program, &folder.join("versitygw"))?;
            copied(&own.join("s3-run"), &folder.join("s3-run"))?;
            Ok(folder)
        }
        _ => Ok(own),
    }
}

fn copied(from: &Path, to: &Path) -> Result<(), String> {
    fs::copy(from, to).map(drop).map_err(|e| format!("cannot copy {} to {}: {e}", from.display(), to.display()))
}

/// Writes Debian's smallest system into the file debian.tar of this folder.
fn debian(folder: &Path, arch: Arch) -> Result<(), String> {
    if arch != Arch::here()? {
        return Err("the image debian is made on a machine of its own processor".to_owned());
    }
    if !on_path("debootstrap") {
        return Err(
            "the image debian is made by debootstrap, as root; on Debian: apt-get install debootstrap".to_owned()
        );
    }
    let root = folder.join("root");
    let failed = |e: std::io::Error| format!("cannot write below {}: {e}", root.display());
    if root.exists() {
        fs::remove_dir_all(&root).map_err(failed)?;
    }
    let step = Step::start(&format!("debootstrap makes a Debian {RELEASE}"));
    let log = fs::File::create(folder.join("debootstrap.log")).map_err(failed)?;
    let mut command = Command::new("debootstrap");
    command.args(["--variant=minbase", RELEASE]).arg(&root).arg(MIRROR).stdout(log);
    let made = run("debootstrap", &mut command);
    step.end(made.is_ok());
    made.map_err(|e| {
        format!("{e}; it must be run as root, and {} says more", folder.join("debootstrap.log").display())
    })?;
    fs::write(root.join("etc/apt/sources.list"), SOURCES).map_err(failed)?;
    run("apt-get clean", Command::new("chroot").arg(&root).args(["apt-get", "clean"]))?;
    let mut tar = Command::new("tar");
    tar.args(["--numeric-owner", "--sort=name"]);
    tar.args(LEFT_OUT.map(|path| format!("--exclude={path}")));
    run("tar", tar.arg("-C").arg(&root).arg("-cf").arg(folder.join("debian.tar")).arg("."))?;
    fs::remove_dir_all(&root).map_err(failed)
}

/// Builds the server of S3 of this version; where it is. What Go built before is taken again.
fn versitygw(version: &str, arch: Arch) -> Result<PathBuf, String> {
    if !on_path("go") {
        return Err("the image s3 has a program that Go 1.26 builds, and there is no go on the PATH".to_owned());
    }
    let home = targets()?.join(format!("versitygw-{version}"));
    // Go puts what it builds for another processor into a folder of its own.
    let bin =
        if arch == Arch::here()? { home.join("bin") } else { home.join("bin").join(format!("linux_{}", arch.name())) };
    let program = bin.join("versitygw");
    if program.exists() {
        return Ok(program);
    }
    let modules = Command::new("go").args(["env", "GOMODCACHE"]).output().map_err(|e| format!("go env: {e}"))?;
    let step =
        Step::start(&format!("building versitygw {version} from Go modules (the first time takes some minutes)"));
    let mut command = Command::new("go");
    command.args(["install", "-trimpath", "-ldflags=-s -w", &format!("{S3}@v{version}")]);
    command.env("GOPATH", &home).env("GOMODCACHE", String::from_utf8_lossy(&modules.stdout).trim());
    command.env("CGO_ENABLED", "0").env("GOOS", "linux").env("GOARCH", arch.name()).env_remove("GOBIN");
    let built = run("go install", &mut command);
    step.end(built.is_ok());
    built?;
    Ok(program)
}
