//! Builds Kubernetes' own programs from Go modules, once, into the user's cache.
//!
//! `k8s.io/kubernetes` names its staging modules by relative path, which a module user cannot follow; the same modules are
//! published as `v0.<minor>.<patch>`, so a small module of our own replaces each by its published twin.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};

use crate::host::{cache, process::run, say::Step};

/// The version of Kubernetes that tests run against.
pub const KUBERNETES: &str = "1.36.3";
/// The version of Helm with which the chart is tried.
pub const HELM: &str = "3.22.0";
const CONTROL_PLANE: [&str; 2] = ["kube-apiserver", "kube-controller-manager"];
const NODE: [&str; 3] = ["kube-scheduler", "kube-proxy", "kubelet"];
const COMMANDS: &str = "k8s.io/kubernetes/cmd";
const ETCD: &str = "go.etcd.io/etcd/server/v3";

/// The folder with `etcd`, `kube-apiserver` and `kube-controller-manager`: `KUBEBUILDER_ASSETS` when that is set, those on the
/// PATH when they are of the right minor version, else those in the cache, built when they are not there.
pub fn control_plane() -> Result<PathBuf> {
    if let Some(assets) = env::var_os("KUBEBUILDER_ASSETS").map(PathBuf::from) {
        return if assets.join("kube-apiserver").is_file() && assets.join("kube-controller-manager").is_file() {
            Ok(assets)
        } else {
            bail!(
                "KUBEBUILDER_ASSETS is {} and lacks kube-apiserver or kube-controller-manager; unset it to have them built",
                assets.display()
            )
        };
    }
    if let Some(dir) =
        on_path("kube-apiserver").filter(|d| CONTROL_PLANE.iter().chain(&["etcd"]).all(|p| d.join(p).is_file()))
    {
        let version = run("kube-apiserver --version", Command::new(dir.join("kube-apiserver")).arg("--version"))?;
        let minor = KUBERNETES.rsplit_once('.').map_or(KUBERNETES, |(minor, _)| minor);
        if version.contains(&format!("v{minor}.")) {
            return Ok(dir);
        }
    }
    cache::built(&format!("controlplane-{KUBERNETES}"), |out| {
        let step = Step::start(format!(
            "building etcd and Kubernetes {KUBERNETES} from Go modules (8 minutes on two cores, once)"
        ));
        let module = Module::kubernetes(&[ETCD], &CONTROL_PLANE)?;
        module.build(&step, out, ETCD, "etcd")?;
        module.build_all(&step, out, &CONTROL_PLANE)?;
        step.done();
        Ok(())
    })
}

/// The folder with what a node takes, and the scheduler that fills it; in the cache, built when it is not there.
pub fn node() -> Result<PathBuf> {
    cache::built(&format!("node-{KUBERNETES}"), |out| {
        let step = Step::start(format!(
            "building kubelet, kube-proxy and kube-scheduler {KUBERNETES} from Go modules (6 minutes on two cores, once)"
        ));
        Module::kubernetes(&[], &NODE)?.build_all(&step, out, &NODE)?;
        step.done();
        Ok(())
    })
}

/// `kubectl`: the one on the PATH, else one in the cache, built when it is not there.
pub fn kubectl() -> Result<PathBuf> {
    if let Some(dir) = on_path("kubectl") {
        return Ok(dir.join("kubectl"));
    }
    let dir = cache::built(&format!("kubectl-{KUBERNETES}"), |out| {
        let step = Step::start(format!("building kubectl {KUBERNETES} from Go modules (once)"));
        Module::kubernetes(&[], &["kubectl"])?.build_all(&step, out, &["kubectl"])?;
        step.done();
        Ok(())
    })?;
    Ok(dir.join("kubectl"))
}

/// `helm`: the one on the PATH, else one in the cache, built when it is not there.
pub fn helm() -> Result<PathBuf> {
    if let Some(dir) = on_path("helm") {
        return Ok(dir.join("helm"));
    }
    let dir = cache::built(&format!("helm-{HELM}"), |out| {
        go_there()?;
        let step = Step::start(format!("building Helm {HELM} from Go modules (2 minutes on two cores, once)"));
        let package = format!("helm.sh/helm/v3/cmd/helm@v{HELM}");
        run("go install helm", go(out).env("GOBIN", out).args(["install", "-trimpath", "-ldflags=-s -w", &package]))?;
        step.done();
        Ok(())
    })?;
    Ok(dir.join("helm"))
}

/// A Go module that may import Kubernetes' programs.
struct Module {
    dir: tempfile::TempDir,
}

impl Module {
    fn kubernetes(others: &[&str], programs: &[&str]) -> Result<Self> {
        go_there()?;
        let dir = tempfile::tempdir()?;
        let minor = KUBERNETES.strip_prefix("1.").context("the version of Kubernetes begins with 1.")?;
        let about = run(
            "go mod download k8s.io/kubernetes",
            go(dir.path()).args(["mod", "download", "-json", &format!("k8s.io/kubernetes@v{KUBERNETES}")]),
        )?;
        let about: serde_json::Value =
            serde_json::from_str(&about).context("go mod download did not answer in JSON")?;
        let upstream = fs::read_to_string(about["GoMod"].as_str().context("go mod download named no go.mod")?)?;
        let mut text = format!(
            "module controlplane\n\ngo 1.26.0\n\ngodebug default=go1.26\n\nrequire k8s.io/kubernetes v{KUBERNETES}\n\nreplace (\n"
        );
        for line in upstream.lines() {
            if let Some((name, _)) = line.trim().split_once(" => ./staging") {
                text.push_str(&format!("\t{name} => {name} v0.{minor}\n"));
            }
        }
        text.push_str(")\n");
        fs::write(dir.path().join("go.mod"), text)?;
        let mut imports = "//go:build tools\n\npackage controlplane\n\nimport (\n".to_owned();
        let of_kubernetes = programs.iter().map(|program| format!("{COMMANDS}/{program}"));
        for package in others.iter().map(|other| (*other).to_owned()).chain(of_kubernetes) {
            imports.push_str(&format!("\t_ \"{package}\"\n"));
        }
        imports.push_str(")\n");
        fs::write(dir.path().join("tools.go"), imports)?;
        run("go mod tidy", go(dir.path()).args(["mod", "tidy"]))?;
        Ok(Self { dir })
    }

    fn build_all(&self, step: &Step, out: &Path, programs: &[&str]) -> Result<()> {
        programs.iter().try_for_each(|program| self.build(step, out, &format!("{COMMANDS}/{program}"), program))
    }

    fn build(&self, step: &Step, out: &Path, package: &str, name: &str) -> Result<()> {
        step.progress(&format!("go build {name}"));
        let version = "k8s.io/component-base/version";
        let minor = KUBERNETES.split('.').nth(1).unwrap_or_default();
        let flags = format!(
            "-ldflags=-s -w -X {version}.gitVersion=v{KUBERNETES} -X {version}.gitMajor=1 -X {version}.gitMinor={minor} -X {version}.gitTreeState=clean"
        );
        run(
            &format!("go build {name}"),
            go(self.dir.path()).args(["build", "-trimpath", &flags, "-o"]).arg(out.join(name)).arg(package),
        )?;
        Ok(())
    }
}

/// `go`, for programs that are linked statically.
pub(in crate::systems) fn go(dir: &Path) -> Command {
    let mut command = Command::new("go");
    command.current_dir(dir).env("CGO_ENABLED", "0");
    command
}

/// An error where there is no Go.
pub(in crate::systems) fn go_there() -> Result<()> {
    match on_path("go") {
        Some(_) => Ok(()),
        None => bail!(
            "there is no go on the PATH, and Kubernetes' programs are built with it; install Go 1.26 or later, or set KUBEBUILDER_ASSETS"
        ),
    }
}

/// The folder of the PATH that has `program`.
fn on_path(program: &str) -> Option<PathBuf> {
    env::split_paths(&env::var_os("PATH")?).find(|dir| dir.join(program).is_file())
}

/// Whether a shell that is given the program's name finds this one.
pub fn is_on_path(program: &Path) -> bool {
    let name = program.file_name().unwrap_or_default().to_string_lossy();
    on_path(&name).is_some_and(|dir| Some(dir.as_path()) == program.parent())
}
