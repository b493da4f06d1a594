//! Answers: read up to a bound, held against the microversion that was asked for.

use bytes::Bytes;
use http::{HeaderMap, Response};

use super::{fault, wire::MICROVERSION};
use crate::cloud::{CloudError, pace::Action, room::Room, transport::body};

/// Largest page of servers that is read: of five hundred it has 2 MB, and more where each carries much metadata.
const LARGEST_LIST: usize = 8 << 20;
/// Largest other answer: two hundred flavors with their extra specs have 200 kB, and Nova cuts a console log at 100 KiB.
const LARGEST: usize = 1 << 20;

/// Reads an answer to a call of this class; what is no success becomes its error.
pub async fn read(
    what: &str,
    action: Action,
    mut answer: reqwest::Response,
    room: &Room,
) -> Result<Response<Bytes>, CloudError> {
    let longest = if action == Action::List { LARGEST_LIST } else { LARGEST };
    let body = body(what, &mut answer, longest, room).await?;
    if !answer.status().is_success() {
        return Err(fault::of_answer(what, answer.status(), answer.headers(), &body));
    }
    let mut response = Response::builder().status(answer.status());
    if let Some(headers) = response.headers_mut() {
        headers.clone_from(answer.headers());
    }
    response.body(body).map_err(|e| CloudError::Transient(format!("{what}: {e}")))
}

/// Refuses an answer that was not given in the microversion that was asked for.
///
/// Such a Nova, or what stands before it, ignores tags: our servers would be made and never be found again.
pub fn in_our_microversion(what: &str, asked: &HeaderMap, answer: &HeaderMap) -> Result<(), CloudError> {
    let of = |headers: &HeaderMap, name: &str| {
        headers.get(name).and_then(|v| v.to_str().ok()).map(|text| text.trim().to_lowercase())
    };
    let Some(wanted) = of(asked, "openstack-api-version").filter(|v| v.starts_with("compute ")) else { return Ok(()) };
    let number = wanted.trim_start_matches("compute ").trim();
    if of(answer, "openstack-api-version").is_some_and(|v| v == wanted)
        || of(answer, "x-openstack-nova-api-version").is_some_and(|v| v == number)
    {
        return Ok(());
    }
    Err(CloudError::Invalid(format!(
        "{what}: Nova does not answer in microversion {MICROVERSION}, without which its servers cannot be told apart: have \
         Keystone's catalogue lead to its v2.1 API, of Rocky (2018) or later"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: &'static str, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(http::HeaderName::from_static(name), value.parse().unwrap())])
    }

    #[test]
    fn a_nova_that_ignores_the_microversion_is_refused() {
        let asked = headers("openstack-api-version", "compute 2.61");
        let check = |answer: &HeaderMap| in_our_microversion("list servers", &asked, answer);
        assert_eq!(check(&headers("openstack-api-version", "compute 2.61")), Ok(()));
        assert_eq!(check(&headers("x-openstack-nova-api-version", "2.61")), Ok(()));
        for other in [HeaderMap::new(), headers("openstack-api-version", "compute 2.1")] {
            assert!(matches!(check(&other), Err(CloudError::Invalid(text)) if text.contains("2.61")));
        }
        let network = in_our_microversion("list networks", &HeaderMap::new(), &HeaderMap::new());
        assert_eq!(network, Ok(()), "only Nova has them");
    }

    #[tokio::test]
    async fn an_answer_is_read_to_a_bound_and_of_a_refusal_the_beginning_is_enough() {
        use super::super::fake::{Said, Site};
        use crate::cloud::Cloud;
        let endless = Site::open(|asked| asked.is("POST /v3").then(|| Said::new(201, vec![b' '; 2 << 20]))).await;
        let outcome = endless.cloud().list("k").await;
        assert!(matches!(&outcome, Err(CloudError::Transient(said)) if said.contains("larger than")), "{outcome:?}");
        let large = Site::open(|asked| {
            let page = Said::new(200, vec![b' '; LARGEST_LIST + 1]).with("OpenStack-API-Version", "compute 2.61");
            asked.is("GET /compute").then_some(page)
        })
        .await;
        let outcome = large.cloud().list("k").await;
        assert!(
            matches!(&outcome, Err(CloudError::Transient(said)) if said.contains("larger than 8388608")),
            "{outcome:?}"
        );
        let wordy = Site::open(|asked| asked.is("GET /compute").then(|| Said::new(403, vec![b'x'; 2 << 20]))).await;
        let outcome = wordy.cloud().list("k").await;
        assert!(matches!(outcome, Err(CloudError::Unauthorized(_))), "{outcome:?}");
    }
}
