//! Secrets, read by name when they are needed; their values are never kept in anything that prints.

use k8s_openapi::api::core::v1::Secret;
use secrecy::SecretString;

use super::Api;
use crate::{names::Key, trouble::Trouble};

/// A secret as read at one moment.
#[derive(Clone)]
pub struct Opened {
    key: Key,
    /// Its version: credentials are made anew when it changes.
    pub version: String,
    object: Secret,
}

impl Api {
    /// Reads the Secret; an error is a sentence for the object that names it.
    pub async fn open(&self, key: &Key) -> Result<Opened, Trouble> {
        match self.read::<Secret>(key).await {
            Ok(Some(object)) => Ok(Opened {
                key: key.clone(),
                version: object.metadata.resource_version.clone().unwrap_or_default(),
                object,
            }),
            Ok(None) => Err(Trouble::new(
                "SecretMissing",
                format!("Secret {:?} does not exist in namespace {}: create it", key.name, key.namespace),
            )),
            Err(error) => {
                Err(Trouble::new("SecretUnreadable", format!("Secret {:?} could not be read: {error}", key.name)))
            }
        }
    }
}

impl Opened {
    /// The value under `name`.
    pub fn get(&self, name: &str) -> Result<SecretString, Trouble> {
        let missing =
            || Trouble::new("SecretIncomplete", format!("Secret {:?} has no key {name:?}: add it", self.key.name));
        let bytes = self.object.data.as_ref().and_then(|d| d.get(name)).ok_or_else(missing)?;
        let text = std::str::from_utf8(&bytes.0).map_err(|_| {
            Trouble::new("SecretIncomplete", format!("the key {name:?} of Secret {:?} is no text", self.key.name))
        })?;
        // A line feed at the end comes from an editor, and is part of no credential.
        Ok(text.trim_end_matches(['\n', '\r']).into())
    }
}
