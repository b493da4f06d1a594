//! One question to a service, and its answer taken apart.

use openstack_sdk_core::api::{QueryAsync, RestEndpoint, raw};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{fault, session::Session};
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

fn of_body<T: DeserializeOwned>(what: &str, key: Option<&str>, body: &[u8]) -> Result<T, CloudError> {
    let not_understood =
        |why: &dyn std::fmt::Display| CloudError::Transient(format!("{what}: the answer was not understood: {why}"));
    let mut value: Value = serde_json::from_slice(body).map_err(|e| not_understood(&e))?;
    if let Some(key) = key {
        value = value.get_mut(key).map(Value::take).ok_or_else(|| not_understood(&format!("it has no {key:?}")))?;
    }
    serde_json::from_value(value).map_err(|e| not_understood(&e))
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
