//! When a token ends that is a JSON Web Token (RFC 7519). Nothing is verified: whoever is asked with it does that.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

/// Longest token that is looked into.
const LONGEST: usize = 64 << 10;

#[derive(Deserialize)]
struct Claims {
    /// Seconds since 1970, perhaps with a fraction. Keycloak writes 0 where there is no end.
    #[serde(default)]
    exp: Option<f64>,
    #[serde(default)]
    iat: Option<f64>,
}

/// How long a token says that it lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    pub since: Option<Timestamp>,
    pub end: Timestamp,
}

/// What the token says of its end. `None`: it says none, or is no JWT.
pub fn span(token: &SecretString) -> Option<Span> {
    let mut parts = token.expose_secret().split('.');
    let (_, claims, _, None) = (parts.next()?, parts.next()?, parts.next()?, parts.next()) else { return None };
    if claims.len() > LONGEST {
        return None;
    }
    let claims = URL_SAFE_NO_PAD.decode(claims.trim_end_matches('=')).ok()?;
    let Claims { exp, iat } = serde_json::from_slice(&claims).ok()?;
    Some(Span { since: iat.and_then(time), end: time(exp?)? })
}

fn time(seconds: f64) -> Option<Timestamp> {
    if seconds < 1.0 {
        return None;
    }
    #[allow(
        clippy::cast_possible_truncation,
        reason = "a float is cut to what an integer holds, and jiff checks the rest"
    )]
    Timestamp::from_second(seconds as i64).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ends(claims: &str) -> Option<i64> {
        span(&format!("e30.{}.sig", URL_SAFE_NO_PAD.encode(claims)).into()).map(|span| span.end.as_second())
    }

    #[test]
    fn a_jwt_says_when_it_ends_and_other_tokens_do_not() {
        assert_eq!(ends(r#"{"exp": 1800000000, "sub": "x"}"#), Some(1_800_000_000));
        assert_eq!(ends(r#"{"exp": 1800000000.5}"#), Some(1_800_000_000));
        for none in [r#"{"exp": 0}"#, r#"{"sub": "x"}"#, r#"{"exp": "soon"}"#, r#"{"exp": 1e300}"#, "[]", "no JSON"] {
            assert_eq!(ends(none), None, "{none}");
        }
        for opaque in ["opaque", "a.b", "a.b.c", "a.b.c.d.e", ""] {
            assert_eq!(span(&opaque.into()), None, "{opaque}");
        }
    }
}
