//! DIRAC's configuration from its Configuration server, and into it.

use std::io::{Read, Write};

use async_trait::async_trait;
use base64::{Engine, prelude::BASE64_STANDARD};
use flate2::{Compression, read::ZlibDecoder, write::ZlibEncoder};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use super::{Addresses, Client, DisetError, value::object};
use crate::configuration::{Cfg, Master, Refusal, text::LONGEST};

/// Where the configuration names the server that takes commits.
const MASTER: &str = "/DIRAC/Configuration/MasterServer";

/// `Configuration/Server`. Any registered user may ask it; CSAdministrator may commit.
#[derive(Clone)]
pub struct Configuration(Client);

impl Configuration {
    /// A Configuration server at the other end of `client`.
    pub fn new(client: Client) -> Self {
        Self(client)
    }

    /// The whole configuration.
    pub async fn read(&self) -> Result<Cfg, DisetError> {
        const METHOD: &str = "getCompressedData";
        let value = self.0.call(METHOD, &json!([])).await?;
        configuration(&value).map_err(|what| self.garbage(METHOD, what))
    }

    /// The version that it has.
    pub async fn version(&self) -> Result<String, DisetError> {
        const METHOD: &str = "getVersion";
        let value = self.0.call(METHOD, &json!([])).await?;
        let version = value.as_str().map(str::to_owned);
        version.ok_or_else(|| self.garbage(METHOD, "the version is not text".to_owned()))
    }

    /// Whether it takes commits. Others copy the configuration of the one that does.
    async fn is_master(&self) -> Result<bool, DisetError> {
        const METHOD: &str = "writeEnabled";
        let value = self.0.call(METHOD, &json!([])).await?;
        value.as_bool().ok_or_else(|| self.garbage(METHOD, "it is neither yes nor no".to_owned()))
    }

    /// Puts this configuration in the place of the one that it has. It must have been made from that one (`ServiceInterfaceBase`); with
    /// `EnableAutoMerge` DIRAC may put two commits together.
    pub async fn commit(&self, cfg: &Cfg) -> Result<(), DisetError> {
        let bytes = packed(cfg.to_string().as_bytes());
        self.0.call("commitNewData", &json!([{"__dCls": "b64", "obj": BASE64_STANDARD.encode(bytes)}])).await.map(drop)
    }

    fn garbage(&self, method: &str, what: String) -> DisetError {
        DisetError::Garbage { url: self.0.url().to_string(), method: method.to_owned(), what }
    }
}

/// The Configuration server that takes commits, which is looked for once: at the address that we were given, or at the one that the
/// configuration says.
pub struct ConfigurationMaster {
    given: Configuration,
    master: OnceCell<Configuration>,
}

impl ConfigurationMaster {
    /// Looked for from the Configuration server at the other end of `client`.
    pub fn new(client: Client) -> Self {
        Self { given: Configuration::new(client), master: OnceCell::new() }
    }

    async fn master(&self) -> Result<&Configuration, DisetError> {
        self.master.get_or_try_init(|| self.look()).await
    }

    async fn look(&self) -> Result<Configuration, DisetError> {
        if self.given.is_master().await? {
            return Ok(self.given.clone());
        }
        let cfg = self.given.read().await?;
        // Where it says nothing of use, the server that we were given says that it is not the master.
        let Some(urls) = cfg.option(MASTER).and_then(|urls| urls.parse::<Addresses>().ok()) else {
            return Ok(self.given.clone());
        };
        Ok(Configuration::new(self.given.0.beside(urls)))
    }
}

#[async_trait]
impl Master for ConfigurationMaster {
    async fn version(&self) -> Result<String, Refusal> {
        Ok(self.master().await?.version().await?)
    }

    async fn read(&self) -> Result<Cfg, Refusal> {
        Ok(self.master().await?.read().await?)
    }

    async fn commit(&self, cfg: &Cfg) -> Result<(), Refusal> {
        Ok(self.master().await?.commit(cfg).await?)
    }
}

impl From<DisetError> for Refusal {
    fn from(error: DisetError) -> Self {
        match &error {
            DisetError::Unauthorized { method, what, .. } if method == "commitNewData" => {
                Self::NotAllowed(what.clone())
            }
            // DIRAC has no numbers for these (`ServiceInterfaceBase.updateConfiguration`).
            DisetError::Service { what, .. } if what.contains("versions differ") || what.contains("AutoMerge") => {
                Self::Clash(what.clone())
            }
            DisetError::Service { what, .. } if what.contains("not allowed in this server") => {
                Self::NotMaster(what.clone())
            }
            _ => Self::Failed { fault: error.fault(), message: error.to_string() },
        }
    }
}

/// A text as the server takes it.
pub(super) fn packed(text: &[u8]) -> Vec<u8> {
    let mut zlib = ZlibEncoder::new(Vec::new(), Compression::default());
    // Nothing fails that is written into memory.
    let written = zlib.write_all(text).and_then(|()| zlib.finish());
    written.unwrap_or_default()
}

/// The configuration that this answer is: bytes, as DIRAC writes them in JSON, of a text that is compressed with zlib.
pub(super) fn configuration(value: &Value) -> Result<Cfg, String> {
    let bytes = object(value, "b64").ok_or("the configuration is not bytes")?;
    let bytes = BASE64_STANDARD.decode(bytes).map_err(|_| "the configuration is not base64")?;
    let mut text = Vec::new();
    // One byte more than is read shows that there is more.
    let most = u64::try_from(LONGEST).unwrap_or(u64::MAX).saturating_add(1);
    let unpacked = ZlibDecoder::new(bytes.as_slice()).take(most).read_to_end(&mut text);
    unpacked.map_err(|_| "the configuration cannot be unpacked with zlib")?;
    if text.len() > LONGEST {
        return Err(format!("the configuration has more than the {LONGEST} bytes that are read"));
    }
    let text = String::from_utf8(text).map_err(|_| "the configuration is not text")?;
    Cfg::parse(&text).map_err(|wrong| format!("the configuration cannot be read: {wrong}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn served(text: &[u8]) -> Value {
        json!({"__dCls": "b64", "obj": BASE64_STANDARD.encode(packed(text))})
    }

    #[test]
    fn a_configuration_is_unpacked_and_read() {
        let cfg = configuration(&served(b"Registry\n{\n  DefaultGroup = user\n}\n")).unwrap();
        assert_eq!(cfg.option("/Registry/DefaultGroup"), Some("user"));
    }

    #[test]
    fn what_dirac_says_of_a_commit_is_told_apart() {
        let (url, method) = ("dips://cs:9135/Configuration/Server".to_owned(), "commitNewData".to_owned());
        let service = |what: &str| {
            Refusal::from(DisetError::Service { url: url.clone(), method: method.clone(), errno: 0, what: what.into() })
        };
        let differ = "Local and remote versions differ (2026-11-30 10:00:00 vs 0). Cannot commit.";
        assert_eq!(service(differ), Refusal::Clash(differ.into()));
        let merge = "AutoMerge failed: Cannot AutoMerge: Section /S cannot be merged. Option /S/a has been modified";
        assert_eq!(service(merge), Refusal::Clash(merge.into()));
        let slave = "Configuration modification is not allowed in this server";
        assert_eq!(service(slave), Refusal::NotMaster(slave.into()));
        let names = service("Names differ: Server is A and remote is B");
        assert!(matches!(names, Refusal::Failed { fault: crate::demand::Fault::ServiceError, .. }), "{names:?}");
        let refused = |method: &str| {
            let what = "Unauthorized query".to_owned();
            Refusal::from(DisetError::Unauthorized { url: url.clone(), method: method.to_owned(), what })
        };
        assert_eq!(refused(&method), Refusal::NotAllowed("Unauthorized query".into()));
        assert!(matches!(refused("getVersion"), Refusal::Failed { .. }), "who may not even read lacks another right");
    }

    #[test]
    fn what_is_no_configuration_is_said_and_a_bomb_is_not_unpacked() {
        for (value, words) in [
            (json!(null), "not bytes"),
            (json!({"__dCls": "dt", "obj": "eA=="}), "not bytes"),
            (json!({"__dCls": "b64", "obj": "!"}), "not base64"),
            (json!({"__dCls": "b64", "obj": "eA=="}), "zlib"),
            (served(&[0xff, 0xfe]), "not text"),
            (served(b"}"), "line 1: more sections are closed"),
            (served(&vec![b' '; LONGEST + 1]), "more than the"),
        ] {
            let said = configuration(&value).unwrap_err();
            assert!(said.contains(words), "{said}");
        }
    }
}
