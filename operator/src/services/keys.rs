//! What an installation keeps secret: made once, kept in one Secret, and never shown. Whoever loses it loses the installation: passwords of
//! the databases and the keys that sign users' tokens are in it.

use broker::configuration::Cfg;
use jiff::Timestamp;
use k8s_openapi::ByteString;
use rand::{RngExt, distr::Alphanumeric};
use rcgen::{KeyPair, PKCS_ED25519, PublicKeyData};
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use sha2::{Digest, Sha256};

use super::{
    authority::{self, Data, NoKey},
    encode::{base64, base64jwk, base64url, hex},
};

/// The names under which the Secret has its values.
pub const ROOT_PASSWORD: &str = "mariadb-root-password";
pub const DATABASE_PASSWORD: &str = "mariadb-password";
pub const S3_KEY_ID: &str = "access_key_id";
pub const S3_KEY: &str = "secret_access_key";
pub const LEGACY_KEY: &str = "legacy-exchange-key";
pub const LEGACY_HASH: &str = "legacy-exchange-hash";
pub const STATE_KEY: &str = "state-key";
pub const JWKS: &str = "jwks.json";
/// By what its database server knows it again. It lives as long as the keys.
pub const ID: &str = "installation-id";
/// The file of DIRAC's configuration that has what no other process may read.
pub const SECRETS_CFG: &str = "secrets.cfg";

/// The installation's own authority. It signs the host certificate where the manifest names none.
const AUTHORITY: [&str; 2] = [authority::CERTIFICATE, authority::KEY];

const ALL: [&str; 12] = [
    AUTHORITY[0],
    AUTHORITY[1],
    ID,
    ROOT_PASSWORD,
    DATABASE_PASSWORD,
    S3_KEY_ID,
    S3_KEY,
    LEGACY_KEY,
    LEGACY_HASH,
    STATE_KEY,
    JWKS,
    SECRETS_CFG,
];

/// New keys, for the `data` of a Secret.
pub fn make(installation: &str, now: Timestamp) -> Result<Data, NoKey> {
    let legacy: [u8; 32] = rand::rng().random();
    let legacy_key = format!("diracx:legacy:{}", base64url(&legacy));
    let password = word(32);
    let mut cfg = Cfg::default();
    cfg.set("/Systems/Databases/Password", password.expose_secret());
    cfg.set("/DiracX/LegacyExchangeApiKey", &legacy_key);
    let values: [(&str, SecretString); 10] = [
        (ID, hex(&rand::rng().random::<[u8; 16]>()).into()),
        (ROOT_PASSWORD, word(32)),
        (DATABASE_PASSWORD, password),
        (S3_KEY_ID, word(20)),
        (S3_KEY, word(40)),
        (LEGACY_KEY, legacy_key.into()),
        (LEGACY_HASH, hex(&Sha256::digest(legacy)).into()),
        (STATE_KEY, base64(&rand::rng().random::<[u8; 32]>()).into()),
        (JWKS, jwks()?),
        (SECRETS_CFG, cfg.to_string().into()),
    ];
    let bytes = |secret: &SecretString| ByteString(secret.expose_secret().as_bytes().to_vec());
    let mut data = authority::make(installation, now)?;
    data.extend(values.iter().map(|(name, secret)| ((*name).to_owned(), bytes(secret))));
    Ok(data)
}

/// The values that a Secret lacks.
pub fn lacking(data: Option<&Data>) -> Vec<&'static str> {
    let has = |name: &str| data.and_then(|data| data.get(name)).is_some_and(|value| !value.0.is_empty());
    ALL.into_iter().filter(|name| !has(name)).collect()
}

/// A word that nobody can guess, of letters and digits, which need no quotes anywhere.
fn word(length: usize) -> SecretString {
    rand::rng().sample_iter(&Alphanumeric).take(length).map(char::from).collect::<String>().into()
}

/// The set of keys with which DiracX signs tokens: one key, as `python -m diracx.logic rotate-jwk` makes it. DiracX takes `Ed25519` as the
/// algorithm's name, and no other.
fn jwks() -> Result<SecretString, NoKey> {
    /// PKCS #8 of an Ed25519 key (RFC 8410): the seed has these bytes before it.
    const BEFORE_THE_SEED: [u8; 16] = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
    let key = KeyPair::generate_for(&PKCS_ED25519)?;
    let der = key.serialized_der();
    // Whatever version of PKCS #8 it is, the seed stands after the same last words.
    let words = &BEFORE_THE_SEED[12..];
    let at = der.windows(words.len()).position(|w| w == words).ok_or(rcgen::Error::CouldNotParseKeyPair)?;
    let seed = der.get(at + words.len()..at + words.len() + 32).ok_or(rcgen::Error::CouldNotParseKeyPair)?;
    let kid = hex(&rand::rng().random::<[u8; 16]>());
    let set = json!({"keys": [{
        "kty": "OKP", "crv": "Ed25519", "alg": "Ed25519", "kid": kid, "key_ops": ["sign", "verify"],
        "x": base64jwk(key.der_bytes()), "d": base64jwk(seed),
    }]});
    Ok(set.to_string().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn make() -> Result<Data, NoKey> {
        super::make("escape", Timestamp::UNIX_EPOCH)
    }

    fn text(data: &Data, name: &str) -> String {
        String::from_utf8(data[name].0.clone()).unwrap()
    }

    #[test]
    fn keys_are_whole_and_others_each_time() {
        let (one, other) = (make().unwrap(), make().unwrap());
        assert!(lacking(Some(&one)).is_empty());
        for name in ALL {
            assert_ne!(one[name], other[name], "{name}");
        }
        let cfg = Cfg::parse(&text(&one, SECRETS_CFG)).unwrap();
        assert_eq!(cfg.option("/Systems/Databases/Password"), Some(text(&one, DATABASE_PASSWORD).as_str()));
        assert_eq!(cfg.option("/DiracX/LegacyExchangeApiKey"), Some(text(&one, LEGACY_KEY).as_str()));
    }

    #[test]
    fn a_value_that_is_gone_is_named() {
        let mut data = make().unwrap();
        data.remove(JWKS);
        data.insert(STATE_KEY.into(), ByteString::default());
        assert_eq!(lacking(Some(&data)), [STATE_KEY, JWKS]);
        assert_eq!(lacking(None), ALL);
    }

    #[test]
    fn the_signing_key_is_what_diracx_reads() {
        let data = make().unwrap();
        let set: serde_json::Value = serde_json::from_str(&text(&data, JWKS)).unwrap();
        let key = &set["keys"][0];
        assert_eq!((&key["alg"], &key["crv"], &key["kty"]), (&json!("Ed25519"), &json!("Ed25519"), &json!("OKP")));
        // 32 bytes each, in base64 of URLs without padding.
        assert_eq!((key["x"].as_str().unwrap().len(), key["d"].as_str().unwrap().len()), (43, 43));
        // 32 bytes with padding: DiracX refuses a key without.
        let legacy = text(&data, LEGACY_KEY);
        assert_eq!((legacy.len(), legacy.ends_with('=')), ("diracx:legacy:".len() + 44, true));
        let state = text(&data, STATE_KEY);
        assert_eq!((state.len(), state.ends_with('=')), (44, true), "32 bytes in base64");
    }
}
