//! What `cargo xtask image` is asked for: which image, of what, for which processors, and where it goes.

use std::path::PathBuf;

use super::{VERSION, build::Arch, recipe::NAMES};

/// The operator's own image, which is built where no other is named.
pub const OPERATOR: &str = "operator";

/// What the command line says.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Wish {
    /// One of [`OPERATOR`] and [`NAMES`].
    pub name: String,
    pub archs: Vec<Arch>,
    pub base: Option<String>,
    pub push: Option<String>,
    pub save: Option<PathBuf>,
    pub roots: Option<PathBuf>,
    pub tool: Option<String>,
    /// One that is built already.
    pub program: Option<PathBuf>,
    /// Arguments of the image's Containerfile.
    pub set: Vec<(String, String)>,
}

/// Options of all images; of the operator's alone; of the others alone.
const ALL: [&str; 5] = ["--push", "--save", "--base", "--arch", "--tool"];
const OPERATORS: [&str; 2] = ["--roots", "--program"];
const OTHERS: [&str; 1] = ["--set"];

/// Reads the words, and refuses nonsense before anything is built.
pub fn parse(args: &[String]) -> Result<Wish, String> {
    let mut wish = Wish::default();
    let mut words = args.iter().flat_map(|arg| match arg.split_once('=') {
        Some((option, value)) if option.starts_with("--") => vec![option.to_owned(), value.to_owned()],
        _ => vec![arg.clone()],
    });
    let mut next = words.next();
    wish.name = match next.take_if(|word| !word.starts_with('-')) {
        None => OPERATOR.to_owned(),
        Some(name) if name == OPERATOR || NAMES.contains(&name.as_str()) => {
            next = words.next();
            name
        }
        Some(other) => {
            return Err(format!("there is no image {other:?}; the images are {OPERATOR}, {}", NAMES.join(", ")));
        }
    };
    let own: &[&str] = if wish.name == OPERATOR { &OPERATORS } else { &OTHERS };
    while let Some(option) = next {
        if !ALL.iter().chain(own).any(|known| *known == option) {
            let known: Vec<&str> = ALL.iter().chain(own).copied().collect();
            return Err(format!(
                "cargo xtask image {} does not know {option:?}; it takes {}",
                wish.name,
                known.join(", ")
            ));
        }
        let value = words.next().ok_or_else(|| format!("cargo xtask image: {option} needs a value"))?;
        match option.as_str() {
            "--push" => wish.push = Some(reference(value)?),
            "--save" => wish.save = Some(value.into()),
            "--base" => wish.base = Some(value),
            "--roots" => wish.roots = Some(value.into()),
            "--tool" => wish.tool = Some(value),
            "--program" => wish.program = Some(value.into()),
            "--set" => wish.set.push(setting(&value)?),
            _ => wish.archs.push(Arch::named(&value)?),
        }
        next = words.next();
    }
    if wish.archs.is_empty() {
        wish.archs.push(Arch::here()?);
    }
    wish.archs.sort();
    wish.archs.dedup();
    match wish {
        Wish { save: Some(_), ref archs, .. } if archs.len() > 1 => {
            Err("--save writes one image into a file: name one --arch".to_owned())
        }
        Wish { program: Some(_), ref archs, .. } if archs.len() > 1 => {
            Err("--program is for one processor: name one --arch".to_owned())
        }
        wish => Ok(wish),
    }
}

/// An argument of a Containerfile and its value.
fn setting(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some(("BASE", _)) => Err("what lies under the image is said with --base".to_owned()),
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err(format!("--set {text}: it is ARGUMENT=VALUE, for example --set VERSION=9.1.22")),
    }
}

/// A full reference: registry, path and tag.
fn reference(text: String) -> Result<String, String> {
    let refused = |why: &str| {
        Err(format!("--push {text}: {why}; for example registry.example.org/dirac/dirac-operator:{VERSION}"))
    };
    let Some((registry, path)) = text.split_once('/') else { return refused("it names no registry") };
    if registry != "localhost" && !registry.contains(['.', ':']) {
        return refused("it begins with no registry");
    }
    if text.contains('@') {
        return refused("an image is pushed to a tag, never to a digest");
    }
    let tag = path.rsplit('/').next().and_then(|last| last.split_once(':')).map(|(_, tag)| tag);
    match tag {
        Some(tag) if !tag.is_empty() => Ok(text),
        _ => refused("it has no tag"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Wish, String> {
        parse(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn an_image_is_pushed_to_a_full_reference() {
        for good in ["r.example.org/dirac-operator:0.1.0", "localhost:5000/a/b:1", "localhost/dirac-operator:x"] {
            assert_eq!(parsed(&format!("--push {good}")).unwrap().push.as_deref(), Some(good));
        }
        for (bad, said) in [
            ("dirac-operator:1", "names no registry"),
            ("library/dirac-operator:1", "begins with no registry"),
            ("r.example.org/dirac-operator", "no tag"),
            ("localhost:5000/dirac-operator", "no tag"),
            ("r.example.org/dirac-operator:", "no tag"),
            ("r.example.org/o@sha256:00", "never to a digest"),
        ] {
            assert!(parsed(&format!("--push={bad}")).unwrap_err().contains(said), "{bad}");
        }
    }

    #[test]
    fn what_is_asked_for_is_read_and_nonsense_is_refused_before_anything_is_built() {
        let wish = parsed("--arch arm64 --arch=amd64 --arch arm64 --base=b.org/static --tool buildah").unwrap();
        assert_eq!(wish.archs, [Arch::Amd64, Arch::Arm64], "each once");
        assert_eq!((wish.base.as_deref(), wish.tool.as_deref()), (Some("b.org/static"), Some("buildah")));
        assert_eq!(parsed("").unwrap().archs, [Arch::here().unwrap()]);
        for (bad, said) in [
            ("--arch sparc", "amd64, arm64"),
            ("--push", "needs a value"),
            ("now", "operator, debian, dirac"),
            ("--now x", "--push, --save, --base"),
            ("dirac --program f", "--set"),
            ("--set VERSION=1", "--program"),
            ("dirac --set VERSION", "ARGUMENT=VALUE"),
            ("dirac --set BASE=x", "--base"),
            ("--save f --arch amd64 --arch arm64", "one --arch"),
            ("--program f --arch amd64 --arch arm64", "one --arch"),
        ] {
            assert!(parsed(bad).unwrap_err().contains(said), "{bad}");
        }
    }

    #[test]
    fn an_image_is_named_first_and_its_arguments_are_kept_as_they_are() {
        assert_eq!(parsed("--tool buildah").unwrap().name, "operator");
        assert_eq!(parsed("operator --roots f").unwrap().name, "operator");
        let wish = parsed("dirac --set VERSION=9.1.20 --set=PACKAGES=a==1").unwrap();
        assert_eq!(wish.name, "dirac");
        let set =
            [("VERSION", "9.1.20"), ("PACKAGES", "a==1")].map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(wish.set, set);
    }
}
