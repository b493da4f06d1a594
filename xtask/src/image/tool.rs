//! The program that builds images: which of podman, buildah and docker, and what each is told.

use std::{
    path::Path,
    process::{Command, Stdio},
};

use crate::tools::on_path;

/// A program that builds images. All of them take the same Containerfile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tool {
    Podman,
    Buildah,
    Docker,
}

/// What is built.
pub struct Order<'a> {
    /// The Containerfile.
    pub file: &'a Path,
    /// The folder of what it copies.
    pub context: &'a Path,
    pub arch: &'a str,
    /// What its arguments are.
    pub args: &'a [(String, String)],
    /// What the image will be called.
    pub name: &'a str,
}

/// In this order one is chosen: the first two need no daemon.
const ALL: [Tool; 3] = [Tool::Podman, Tool::Buildah, Tool::Docker];

/// What a tool is on this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Works,
    /// It is there, and its daemon does not answer.
    NoDaemon,
    Absent,
}

impl Tool {
    pub fn name(self) -> &'static str {
        match self {
            Self::Podman => "podman",
            Self::Buildah => "buildah",
            Self::Docker => "docker",
        }
    }

    /// The first that works here, or the one that is asked for by name.
    pub fn choose(asked: Option<&str>) -> Result<Self, String> {
        chosen(asked, state)
    }

    /// Builds it, with nothing fetched but the base.
    pub fn build(self, order: &Order) -> Command {
        self.build_with(&[], order)
    }

    /// Builds it, and keeps each step for the next time. Its steps fetch what they need; those that fetch by https trust the authorities in
    /// this file, of which nothing stays in the image.
    pub fn build_in_layers(self, order: &Order, trusted: Option<&Path>) -> Command {
        // The others keep steps in any case.
        let mut options: Vec<String> = if self == Self::Buildah { vec!["--layers".to_owned()] } else { Vec::new() };
        if let Some(file) = trusted {
            options.extend(["--secret".to_owned(), format!("id=authorities,src={}", file.display())]);
        }
        self.build_with(&options, order)
    }

    fn build_with(self, options: &[String], order: &Order) -> Command {
        let mut command = self.command(&["build", "--platform"]);
        command.arg(format!("linux/{}", order.arch)).args(options);
        for (name, value) in order.args {
            command.args(["--build-arg", &format!("{name}={value}")]);
        }
        command.args(["--tag", order.name, "--file"]).arg(order.file).arg(order.context);
        command
    }

    /// Writes the image into one file that every runtime loads.
    pub fn save(self, name: &str, file: &Path) -> Command {
        match self {
            Self::Podman | Self::Docker => {
                let mut command = self.command(&["save", "--output"]);
                command.arg(file).arg(name);
                command
            }
            Self::Buildah => {
                let archive = format!("docker-archive:{}:{name}", file.display());
                self.command(&["push", "--quiet", name, &archive])
            }
        }
    }

    /// Pushes it to the registry that its name begins with.
    pub fn push(self, name: &str) -> Command {
        self.command(&["push", name])
    }

    /// Pushes one name for images of several processors, which are at the registry already under names of their own.
    pub fn push_together(self, name: &str, parts: &[String]) -> Vec<Command> {
        let mut create = self.command(&["manifest", "create", name]);
        match self {
            Self::Podman | Self::Buildah => {
                create.args(parts.iter().map(|part| format!("docker://{part}")));
                vec![create, self.command(&["manifest", "push", "--all", name, &format!("docker://{name}")])]
            }
            Self::Docker => {
                create.args(parts);
                vec![create, self.command(&["manifest", "push", name])]
            }
        }
    }

    fn command(self, args: &[&str]) -> Command {
        let mut command = Command::new(self.name());
        command.args(args);
        command
    }
}

fn state(tool: Tool) -> State {
    if !on_path(tool.name()) {
        return State::Absent;
    }
    // Its client alone builds nothing.
    let mut version = Command::new("docker");
    version.arg("version").env("DOCKER_CLI_HINTS", "false").stdout(Stdio::null()).stderr(Stdio::null());
    match tool {
        Tool::Docker if !version.status().is_ok_and(|status| status.success()) => State::NoDaemon,
        _ => State::Works,
    }
}

fn chosen(asked: Option<&str>, state: impl Fn(Tool) -> State) -> Result<Tool, String> {
    let names = ALL.map(Tool::name).join(", ");
    let idle = "docker is there, and its daemon does not answer: start it, or say with DOCKER_HOST where it is";
    if let Some(asked) = asked {
        let tool = ALL.into_iter().find(|tool| tool.name() == asked);
        let tool = tool.ok_or_else(|| format!("{asked:?} builds no images here; it can be one of {names}"))?;
        return match state(tool) {
            State::Works => Ok(tool),
            State::NoDaemon => Err(idle.to_owned()),
            State::Absent => {
                Err(format!("there is no {asked} on the PATH; on Debian: apt-get install {}", package(tool)))
            }
        };
    }
    if let Some(tool) = ALL.into_iter().find(|tool| state(*tool) == State::Works) {
        return Ok(tool);
    }
    let docker = if state(Tool::Docker) == State::NoDaemon { format!(" ({idle})") } else { String::new() };
    Err(format!("an image is built by one of {names}, and none works here{docker}; on Debian: apt-get install buildah"))
}

/// Debian's package of it.
fn package(tool: Tool) -> &'static str {
    match tool {
        Tool::Podman => "podman",
        Tool::Buildah => "buildah",
        Tool::Docker => "docker.io",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(command: &Command) -> String {
        let args = command.get_args().map(|arg| arg.to_string_lossy().into_owned());
        [command.get_program().to_string_lossy().into_owned()].into_iter().chain(args).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn the_first_that_works_builds_and_a_docker_without_its_daemon_does_not() {
        let only = |there: Tool| move |tool| if tool == there { State::Works } else { State::Absent };
        for tool in ALL {
            assert_eq!(chosen(None, only(tool)), Ok(tool));
            assert_eq!(chosen(Some(tool.name()), |_| State::Works), Ok(tool), "the one that is asked for");
        }
        assert_eq!(chosen(None, |_| State::Works), Ok(Tool::Podman));
        let idle = |tool| if tool == Tool::Docker { State::NoDaemon } else { State::Absent };
        assert!(chosen(Some("docker"), idle).unwrap_err().contains("daemon does not answer"));
        let nothing = chosen(None, idle).unwrap_err();
        assert!(nothing.contains("podman, buildah, docker") && nothing.contains("daemon"), "{nothing}");
        let with_buildah = |tool| if tool == Tool::Buildah { State::Works } else { idle(tool) };
        assert_eq!(chosen(None, with_buildah), Ok(Tool::Buildah));
    }

    #[test]
    fn what_is_missing_is_named_with_how_to_get_it() {
        let nothing = |_| State::Absent;
        assert!(chosen(None, nothing).unwrap_err().ends_with("apt-get install buildah"));
        assert!(chosen(Some("docker"), nothing).unwrap_err().ends_with("apt-get install docker.io"));
        assert!(chosen(Some("kaniko"), nothing).unwrap_err().contains("podman, buildah, docker"));
    }

    #[test]
    fn each_tool_is_told_the_same_in_its_own_words() {
        let (file, context) = (Path::new("F"), Path::new("C"));
        let args = [("BASE", "scratch"), ("VERSION", "0.1.0")].map(|(name, value)| (name.to_owned(), value.to_owned()));
        let order = Order { file, context, arch: "arm64", args: &args, name: "r.org/o:1" };
        for tool in ALL {
            let name = tool.name();
            assert_eq!(
                words(&tool.build(&order)),
                format!(
                    "{name} build --platform linux/arm64 --build-arg BASE=scratch --build-arg VERSION=0.1.0 --tag r.org/o:1 --file F C"
                )
            );
            assert_eq!(words(&tool.push("r.org/o:1")), format!("{name} push r.org/o:1"));
        }
        let order = Order { args: &[], ..order };
        assert_eq!(
            words(&Tool::Buildah.build_in_layers(&order, Some(Path::new("A")))),
            "buildah build --platform linux/arm64 --layers --secret id=authorities,src=A --tag r.org/o:1 --file F C"
        );
        assert_eq!(
            words(&Tool::Docker.build_in_layers(&order, None)),
            "docker build --platform linux/arm64 --tag r.org/o:1 --file F C"
        );
        assert_eq!(words(&Tool::Docker.save("r.org/o:1", file)), "docker save --output F r.org/o:1");
        assert_eq!(
            words(&Tool::Buildah.save("r.org/o:1", file)),
            "buildah push --quiet r.org/o:1 docker-archive:F:r.org/o:1"
        );
        let parts = ["r.org/o:1-amd64".to_owned(), "r.org/o:1-arm64".to_owned()];
        let said = |tool: Tool| tool.push_together("r.org/o:1", &parts).iter().map(words).collect::<Vec<_>>();
        assert_eq!(
            said(Tool::Podman),
            [
                "podman manifest create r.org/o:1 docker://r.org/o:1-amd64 docker://r.org/o:1-arm64",
                "podman manifest push --all r.org/o:1 docker://r.org/o:1"
            ]
        );
        assert_eq!(
            said(Tool::Docker),
            ["docker manifest create r.org/o:1 r.org/o:1-amd64 r.org/o:1-arm64", "docker manifest push r.org/o:1"]
        );
    }
}
