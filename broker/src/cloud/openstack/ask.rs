//! One question to a service, and its answer taken apart.

use openstack_sdk_core::api::{QueryAsync, RestEndpoint, raw};
use serde::de::DeserializeOwned;

use super::{bounded, fault, said, session::Session};
use crate::cloud::CloudError;

/// Asks, and takes the answer apart.
///
/// A success that cannot be understood is [`CloudError::Transient`]: what came of the call is not known.
pub async fn ask<T, E>(
    session: &Session,
    what: &str,
    endpoint: Result<E, impl std::fmt::Display>,
) -> Result<T, CloudError>
where
    T: DeserializeOwned,
    E: RestEndpoint + Sync,
{
    let endpoint = endpoint.map_err(|e| CloudError::Invalid(format!("{what}: {e}")))?;
    let key = endpoint.response_key();
    let answer = raw(endpoint).query_async(session).await.map_err(|e| fault::of_sdk(what, e))?;
    of_body(what, key.as_deref(), answer.body())
}

/// The value below `key` of an answer's body, or the whole where there is none.
pub fn of_body<T: DeserializeOwned>(what: &str, key: Option<&str>, body: &[u8]) -> Result<T, CloudError> {
    bounded::under(key, body).map_err(|e| {
        CloudError::Transient(format!("{what}: the answer was not understood: {}", said::not_understood(&e)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_success_that_is_not_understood_leaves_the_outcome_open() {
        for body in ["<html>", "[]", "{}", r#"{"server": {}}"#, r#"{"server": 1}"#] {
            let made: Result<super::super::wire::Made, _> = of_body("make a server", Some("server"), body.as_bytes());
            assert!(matches!(made, Err(CloudError::Transient(_))), "{body}: {made:?}");
        }
    }
}
