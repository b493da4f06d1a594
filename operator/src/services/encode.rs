//! Bytes as text.

use base64::{
    Engine,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE, BASE64_URL_SAFE_NO_PAD},
};

pub fn base64(bytes: &[u8]) -> String {
    BASE64_STANDARD.encode(bytes)
}

/// The form for URLs.
pub fn base64url(bytes: &[u8]) -> String {
    BASE64_URL_SAFE.encode(bytes)
}

/// The form of keys in JSON (RFC 7517): for URLs, without padding.
pub fn base64jwk(bytes: &[u8]) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
