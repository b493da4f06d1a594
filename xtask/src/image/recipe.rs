//! The Containerfiles of `images/`: what each takes, and which version of what it holds.

use std::{fs, path::PathBuf};

use crate::tools::root;

/// The images beside the operator's own.
pub const NAMES: [&str; 7] = ["debian", "dirac", "diracx", "mariadb", "opensearch", "redis", "s3"];

/// A Containerfile.
pub struct Recipe {
    /// Where it is; the files that it copies are beside it.
    pub file: PathBuf,
    text: String,
}

impl Recipe {
    /// That of the image `name`.
    pub fn read(name: &str) -> Result<Self, String> {
        let file = root().join("images").join(name).join("Containerfile");
        let text = fs::read_to_string(&file).map_err(|e| format!("cannot read {}: {e}", file.display()))?;
        Ok(Self { file, text })
    }

    /// The names of its arguments, each once.
    fn arguments(&self) -> Vec<&str> {
        let all = self.text.lines().filter_map(|line| line.strip_prefix("ARG "));
        let mut names: Vec<&str> = all.map(|rest| rest.split('=').next().unwrap_or(rest).trim()).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// What an argument is where nobody says it.
    fn default(&self, name: &str) -> Option<&str> {
        let all = self.text.lines().filter_map(|line| line.strip_prefix("ARG ")?.split_once('='));
        let (_, value) = all.into_iter().find(|(argument, _)| *argument == name)?;
        Some(value.trim_matches('"'))
    }

    /// Refuses an argument that it does not take.
    pub fn check(&self, name: &str, set: &[(String, String)]) -> Result<(), String> {
        let own: Vec<&str> = self.arguments().into_iter().filter(|argument| *argument != "BASE").collect();
        let wrong = set.iter().find(|(argument, _)| !own.contains(&argument.as_str()));
        let takes = if own.is_empty() { "nothing".to_owned() } else { own.join(", ") };
        wrong.map_or(Ok(()), |(wrong, _)| {
            Err(format!("the image {name} has no argument {wrong:?}: with --set it takes {takes}"))
        })
    }

    /// Whether another image lies under it.
    pub fn has_base(&self) -> bool {
        self.arguments().contains(&"BASE")
    }

    /// The version that it is labelled with, where these arguments are set.
    pub fn version(&self, set: &[(String, String)]) -> Result<String, String> {
        let (_, rest) = self.text.split_once("org.opencontainers.image.version=\"").ok_or_else(|| self.unlabelled())?;
        let said = rest.split('"').next().unwrap_or_default();
        if said != "${VERSION}" {
            return Ok(said.to_owned());
        }
        let own = set.iter().rev().find(|(name, _)| name == "VERSION").map(|(_, value)| value.as_str());
        own.or_else(|| self.default("VERSION")).map(str::to_owned).ok_or_else(|| self.unlabelled())
    }

    fn unlabelled(&self) -> String {
        format!("{} says no version of what it holds", self.file.display())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(name: &str, value: &str) -> Vec<(String, String)> {
        vec![(name.to_owned(), value.to_owned())]
    }

    #[test]
    fn every_image_has_a_version_and_says_what_it_takes() {
        for name in NAMES {
            let recipe = Recipe::read(name).unwrap();
            assert!(!recipe.version(&[]).unwrap().is_empty(), "{name}");
            assert!(recipe.has_base() || name == "debian", "{name}");
            assert!(recipe.check(name, &set("BASES", "x")).unwrap_err().contains("it takes"), "{name}");
        }
        let folders = fs::read_dir(root().join("images")).unwrap().map(|entry| entry.unwrap().path());
        let made = folders.filter(|folder| folder.join("Containerfile").exists());
        assert_eq!(made.count(), NAMES.len() + 1, "an image that nobody can ask for");
    }

    #[test]
    fn a_version_is_the_one_that_is_asked_for() {
        let recipe = Recipe::read("dirac").unwrap();
        assert_eq!(recipe.version(&set("VERSION", "9.1.20")).unwrap(), "9.1.20");
        assert_eq!(recipe.check("dirac", &set("EXTENSIONS", "x")), Ok(()));
        let refused = Recipe::read("mariadb").unwrap().check("mariadb", &set("VERSION", "11")).unwrap_err();
        assert!(refused.ends_with("it takes nothing"), "{refused}");
    }
}
