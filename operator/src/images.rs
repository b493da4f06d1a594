//! Which images pods run.

use std::{fmt, str::FromStr};

/// References of images. `{version}` in one stands for the version that the manifest asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Images {
    pub dirac: String,
    pub diracx: String,
    pub mariadb: String,
    pub opensearch: String,
    pub s3: String,
    pub redis: String,
}

impl Default for Images {
    fn default() -> Self {
        Self {
            dirac: "localhost/dirac:{version}".to_owned(),
            diracx: "localhost/diracx:{version}".to_owned(),
            mariadb: "docker.io/library/mariadb:10.11".to_owned(),
            opensearch: "docker.io/opensearchproject/opensearch:2.19.1".to_owned(),
            s3: "docker.io/versity/versitygw:v1.0.17".to_owned(),
            redis: "docker.io/library/redis:7.2".to_owned(),
        }
    }
}

impl Images {
    fn named(&mut self, name: &str) -> Option<&mut String> {
        Some(match name {
            "dirac" => &mut self.dirac,
            "diracx" => &mut self.diracx,
            "mariadb" => &mut self.mariadb,
            "opensearch" => &mut self.opensearch,
            "s3" => &mut self.s3,
            "redis" => &mut self.redis,
            _ => return None,
        })
    }

    /// With these in the place of the usual ones.
    pub fn with(chosen: &[Choice]) -> Self {
        let mut images = Self::default();
        for Choice { name, reference } in chosen {
            if let Some(image) = images.named(name) {
                reference.clone_into(image);
            }
        }
        images
    }
}

/// The reference with the version in its place.
pub fn of_version(reference: &str, version: &str) -> String {
    reference.replace("{version}", version)
}

/// One image, as the command line names it: `dirac=registry.example.org/dirac:{version}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    name: String,
    reference: String,
}

impl FromStr for Choice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || {
            format!(
                "{text:?} names no image: write dirac, diracx, mariadb, opensearch, s3 or redis, an equals sign and a reference, for example \
                 dirac=registry.example.org/dirac:{{version}}"
            )
        };
        let (name, reference) = text.split_once('=').ok_or_else(wrong)?;
        let is_reference = !reference.is_empty() && !reference.contains(char::is_whitespace);
        if Images::default().named(name).is_none() || !is_reference {
            return Err(wrong());
        }
        Ok(Self { name: name.to_owned(), reference: reference.to_owned() })
    }
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.name, self.reference)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_named_with_its_version_and_the_others_stay() {
        let images = Images::with(&["dirac=registry.example.org/dirac:v{version}".parse().unwrap()]);
        assert_eq!(of_version(&images.dirac, "9.1.22"), "registry.example.org/dirac:v9.1.22");
        assert_eq!(images.mariadb, Images::default().mariadb);
    }

    #[test]
    fn what_names_no_image_is_refused_with_an_example() {
        for text in ["dirac", "dirac=", "dirca=x", "dirac=a b"] {
            let error = text.parse::<Choice>().unwrap_err();
            assert!(error.contains("dirac=registry.example.org/dirac:{version}"), "{error}");
        }
    }
}
