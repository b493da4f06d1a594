//! Secrets, read by name when they are needed; their values are never kept in anything that prints.

use std::{
    collections::BTreeMap,
    hash::{DefaultHasher, Hash, Hasher},
};

use crds::{Reason, annotation::is_credential};
use k8s_openapi::{ByteString, api::core::v1::Secret};
use secrecy::{ExposeSecret, SecretString};

use super::{Api, is_conflict};
use crate::{names::Key, trouble::Trouble};

/// A secret as read at one moment.
#[derive(Clone)]
pub struct Opened {
    key: Key,
    /// Its version: credentials are read again when it changes.
    pub version: String,
    object: Secret,
}

impl Api {
    /// Reads the Secret; an error is a sentence for the object that names it.
    pub async fn open(&self, key: &Key) -> Result<Opened, Trouble> {
        match self.read::<Secret>(key).await {
            Ok(Some(object)) => opened(key, object),
            Ok(None) => Err(Trouble::new(
                Reason::SecretMissing,
                format!("Secret {:?} does not exist in namespace {}: create it", key.name, key.namespace),
            )),
            Err(error) => {
                Err(Trouble::new(Reason::SecretUnreadable, format!("Secret {:?} could not be read: {error}", key.name)))
            }
        }
    }
}

/// How often another value is written where somebody else wrote the Secret at the same time.
const TRIES: usize = 5;

/// What came of putting one value in the place of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exchanged {
    /// The new value is there.
    Written,
    /// Somebody put another value there, which is left.
    Another,
}

impl Api {
    /// Puts `new` in the place of `old` under `name`, provided that `old` is there; whatever else somebody writes meanwhile is no loss.
    pub async fn exchange(
        &self,
        key: &Key,
        name: &str,
        old: &SecretString,
        new: &SecretString,
    ) -> Result<Exchanged, Trouble> {
        for _ in 0..TRIES {
            let opened = self.open(key).await?;
            let present = opened.get(name)?;
            if present.expose_secret() == new.expose_secret() {
                return Ok(Exchanged::Written);
            }
            if present.expose_secret() != old.expose_secret() {
                return Ok(Exchanged::Another);
            }
            let value = ByteString(new.expose_secret().as_bytes().to_vec());
            match self.put(&opened.object, &BTreeMap::from([(name, value)])).await {
                Ok(_) => return Ok(Exchanged::Written),
                Err(error) if is_conflict(&error) => {}
                Err(error) => {
                    let text = format!("{name} of Secret {:?} could not be written: {error}", key.name);
                    return Err(Trouble::new(Reason::ApiServer, text));
                }
            }
        }
        let text = format!("{name} of Secret {:?} could not be written: others write it all the time", key.name);
        Err(Trouble::new(Reason::ApiServer, text))
    }
}

/// Secrets of others lie in the same namespace: one is used only where it says that it may be.
fn opened(key: &Key, object: Secret) -> Result<Opened, Trouble> {
    if !is_marked(&object) {
        let (name, namespace) = (&key.name, &key.namespace);
        return Err(Trouble::new(
            Reason::SecretNotMarked,
            format!(
                "Secret {name:?} does not say that the operator may use it: if it is meant for this object, run \
                 `kubectl label secret {name} diracgrid.org/credential=true --namespace {namespace}`"
            ),
        ));
    }
    Ok(Opened { key: key.clone(), version: version(&object), object })
}

/// Another Secret or other values have another version; the same under another label or finalizer has the same. It stays in memory.
fn version(secret: &Secret) -> String {
    let mut hasher = DefaultHasher::new();
    for (name, value) in secret.data.iter().flatten() {
        (name, &value.0).hash(&mut hasher);
    }
    format!("{} {:x}", secret.metadata.uid.as_deref().unwrap_or_default(), hasher.finish())
}

/// Whether the Secret says that the operator may use it.
pub fn is_marked(secret: &Secret) -> bool {
    is_credential(secret.metadata.labels.iter().flatten(), secret.type_.as_deref())
}

impl Opened {
    /// The value under `name`, where there is one.
    pub fn optional(&self, name: &str) -> Result<Option<SecretString>, Trouble> {
        self.object.data.as_ref().is_some_and(|data| data.contains_key(name)).then(|| self.get(name)).transpose()
    }

    /// The value under `name`, which is no secret in itself.
    pub fn plain(&self, name: &str) -> Result<String, Trouble> {
        Ok(self.get(name)?.expose_secret().to_owned())
    }

    /// The value under `name`.
    pub fn get(&self, name: &str) -> Result<SecretString, Trouble> {
        let missing = || {
            Trouble::new(Reason::SecretIncomplete, format!("Secret {:?} has no key {name:?}: add it", self.key.name))
        };
        let bytes = self.object.data.as_ref().and_then(|d| d.get(name)).ok_or_else(missing)?;
        let text = std::str::from_utf8(&bytes.0).map_err(|_| {
            Trouble::new(
                Reason::SecretIncomplete,
                format!("the key {name:?} of Secret {:?} holds bytes that are not text: give it a text", self.key.name),
            )
        })?;
        // A line feed at the end comes from an editor, and is part of no credential.
        match text.trim_end_matches(['\n', '\r']) {
            "" => Err(Trouble::new(
                Reason::SecretIncomplete,
                format!("the key {name:?} of Secret {:?} is empty: give it a value", self.key.name),
            )),
            text => Ok(text.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn open(metadata: serde_json::Value, type_: &str) -> Result<Opened, Trouble> {
        let key = Key { namespace: "dirac".into(), name: "cloud".into() };
        let secret = json!({"metadata": metadata, "type": type_, "data": {"secret": "aHVzaA=="}});
        opened(&key, serde_json::from_value(secret).unwrap())
    }

    #[test]
    fn a_secret_that_does_not_say_that_it_may_be_used_is_not_used() {
        let trouble = open(json!({"name": "cloud"}), "Opaque").err().unwrap();
        assert_eq!(trouble.reason, Reason::SecretNotMarked);
        assert!(trouble.message.contains("kubectl label secret cloud diracgrid.org/credential=true"), "{trouble:?}");
        assert!(open(json!({"labels": {"diracgrid.org/credential": "false"}}), "Opaque").is_err());
    }

    #[test]
    fn other_values_are_another_version_and_a_finalizer_is_not() {
        let version = |finalizers: &[&str], value: &str| {
            let metadata = json!({"uid": "u", "resourceVersion": "7", "finalizers": finalizers});
            let secret = json!({"metadata": metadata, "data": {"secret": value}});
            super::version(&serde_json::from_value(secret).unwrap())
        };
        assert_eq!(version(&[], "aHVzaA=="), version(&["diracgrid.org/in-use"], "aHVzaA=="));
        assert_ne!(version(&[], "aHVzaA=="), version(&[], "b3RoZXI="));
    }

    #[test]
    fn an_empty_value_is_no_value() {
        let key = Key { namespace: "dirac".into(), name: "cloud".into() };
        // A line feed alone.
        let secret = json!({"type": "diracgrid.org/credential", "data": {"id": "", "secret": "Cg=="}});
        let opened = opened(&key, serde_json::from_value(secret).unwrap()).ok().unwrap();
        for name in ["id", "secret"] {
            let trouble = opened.get(name).unwrap_err();
            assert_eq!(trouble.reason, Reason::SecretIncomplete);
            assert!(trouble.message.contains("is empty"), "{trouble:?}");
        }
    }

    #[test]
    fn a_secret_is_used_where_its_label_or_its_type_says_so() {
        assert!(open(json!({"labels": {"diracgrid.org/credential": "true"}}), "Opaque").is_ok());
        assert!(open(json!({"name": "cloud"}), "diracgrid.org/credential").is_ok());
    }
}
