//! DIRAC's configuration from its Configuration server.

use std::io::Read;

use base64::{Engine, prelude::BASE64_STANDARD};
use flate2::read::ZlibDecoder;
use serde_json::{Value, json};

use super::{Client, DisetError, value::object};
use crate::readiness::cfg::{Cfg, LONGEST};

/// `Configuration/Server`. Any registered user may ask it.
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
        configuration(&value).map_err(|what| DisetError::Garbage {
            url: self.0.url().to_string(),
            method: METHOD.to_owned(),
            what,
        })
    }
}

/// The configuration that this answer is: bytes, as DIRAC writes them in JSON, of a text that is compressed with zlib.
fn configuration(value: &Value) -> Result<Cfg, String> {
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
    use std::io::Write;

    use flate2::{Compression, write::ZlibEncoder};

    use super::*;

    fn packed(text: &[u8]) -> Value {
        let mut zlib = ZlibEncoder::new(Vec::new(), Compression::best());
        zlib.write_all(text).unwrap();
        json!({"__dCls": "b64", "obj": BASE64_STANDARD.encode(zlib.finish().unwrap())})
    }

    #[test]
    fn a_configuration_is_unpacked_and_read() {
        let cfg = configuration(&packed(b"Registry\n{\n  DefaultGroup = user\n}\n")).unwrap();
        assert_eq!(cfg.option("/Registry/DefaultGroup"), Some("user"));
    }

    #[test]
    fn what_is_no_configuration_is_said_and_a_bomb_is_not_unpacked() {
        for (value, words) in [
            (json!(null), "not bytes"),
            (json!({"__dCls": "dt", "obj": "eA=="}), "not bytes"),
            (json!({"__dCls": "b64", "obj": "!"}), "not base64"),
            (json!({"__dCls": "b64", "obj": "eA=="}), "zlib"),
            (packed(&[0xff, 0xfe]), "not text"),
            (packed(b"}"), "line 1: more sections are closed"),
            (packed(&vec![b' '; LONGEST + 1]), "more than the"),
        ] {
            let said = configuration(&value).unwrap_err();
            assert!(said.contains(words), "{said}");
        }
    }
}
