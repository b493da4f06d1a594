//! Lists of servers, page by page, and one server by its id.

use std::collections::BTreeMap;

use jiff::Timestamp;
use openstack_sdk_compute::v2::server::{get_20 as get, list_detailed_21 as detailed};
use openstack_sdk_core::api::{QueryAsync, raw};

use super::{
    ask::ask,
    fault,
    session::Session,
    wire::{Server, Servers},
};
use crate::cloud::CloudError;

/// Servers on a page; Nova gives fewer where its own limit is lower.
const PAGE: u32 = 1_000;
/// A list whose marker vanished begins again this often.
const NEW_BEGINNINGS: usize = 3;

/// Which servers.
pub enum Filter<'a> {
    /// All of these tags.
    Tags(&'a [String]),
    /// Changed after this moment, deleted ones included.
    ChangedSince(Timestamp),
}

/// All pages, each server once, and Nova's clock when the first was asked for.
///
/// Nova sorts by a moment that changes when a server passes from its API's database to a cell's: a later page can bring such a
/// server again, and who takes the two for twins deletes the only one.
pub async fn pages(session: &Session, filter: &Filter<'_>) -> Result<(Vec<Server>, Option<Timestamp>), CloudError> {
    let mut outcome = once(session, filter).await?;
    for _ in 0..NEW_BEGINNINGS {
        match outcome {
            Pages::All(servers, date) => return Ok((servers, date)),
            Pages::LostMarker(_) => outcome = once(session, filter).await?,
        }
    }
    match outcome {
        Pages::All(servers, date) => Ok((servers, date)),
        // It is a matter of chance, not of what was asked.
        Pages::LostMarker(said) => Err(CloudError::Transient(said)),
    }
}

enum Pages {
    All(Vec<Server>, Option<Timestamp>),
    /// The server at which the next page would begin was deleted meanwhile.
    LostMarker(String),
}

async fn once(session: &Session, filter: &Filter<'_>) -> Result<Pages, CloudError> {
    let what = "list servers";
    let mut all: BTreeMap<String, Server> = BTreeMap::new();
    let (mut last, mut date) = (None::<String>, None);
    loop {
        let mut request = detailed::Request::builder();
        request.limit(PAGE);
        match filter {
            Filter::Tags(tags) => request.tags(tags.join(",")),
            Filter::ChangedSince(since) => request.changes_since(since.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()),
        };
        if let Some(last) = &last {
            request.marker(last.clone());
        }
        let request = request.build().map_err(|e| CloudError::Invalid(format!("{what}: {e}")))?;
        let answer = match raw(request).query_async(session).await.map_err(|e| fault::of_sdk(what, e)) {
            Ok(answer) => answer,
            Err(CloudError::Invalid(said)) if last.is_some() && said.to_lowercase().contains("marker") => {
                return Ok(Pages::LostMarker(said));
            }
            Err(error) => return Err(error),
        };
        if date.is_none() {
            let header = answer.headers().get(http::header::DATE);
            date = header.and_then(|d| d.to_str().ok()).and_then(fault::http_date);
        }
        let page: Servers = serde_json::from_slice(answer.body())
            .map_err(|e| CloudError::Transient(format!("{what}: the answer was not understood: {e}")))?;
        let more = page.servers_links.iter().any(|l| l.rel == "next");
        last = page.servers.last().map(|s| s.id.clone());
        let before = all.len();
        all.extend(page.servers.into_iter().map(|s| (s.id.clone(), s)));
        // A page that brings nothing new would come for ever.
        if !more || all.len() == before {
            return Ok(Pages::All(all.into_values().collect(), date));
        }
    }
}

/// One server by its id; `None` only where Nova says that there is no such server.
pub async fn one(session: &Session, id: &str) -> Result<Option<Server>, CloudError> {
    let request = get::Request::builder().id(id.to_owned()).build();
    match ask::<Server, _>(session, "look a server up", request).await {
        Ok(server) if server.is_gone() => Ok(None),
        Ok(server) => Ok(Some(server)),
        Err(CloudError::NotFound(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::fake::{Said, Site, order, server};
    use crate::cloud::{Cloud, CloudError, Wanted};

    fn page(servers: &[Value]) -> Said {
        Said::json(200, &json!({"servers": servers, "servers_links": [{"rel": "next", "href": "x"}]}))
    }

    fn no_marker() -> Said {
        Said::json(400, &json!({"badRequest": {"code": 400, "message": "marker [1] not found"}}))
    }

    #[tokio::test]
    async fn a_list_whose_marker_was_deleted_begins_anew() {
        let mut lost = 2;
        let site = Site::open(move |asked| {
            if !asked.is("GET /compute/v2.1/servers/detail") {
                return None;
            }
            if !asked.line.contains("marker=") {
                return Some(page(&[server("1", "a", "ACTIVE")]));
            }
            lost -= 1;
            Some(if lost >= 0 { no_marker() } else { Said::servers(&[server("2", "b", "ACTIVE")]) })
        })
        .await;
        let found = site.cloud().list("k").await.unwrap();
        assert_eq!(found.iter().map(|vm| vm.id.as_str()).collect::<Vec<_>>(), ["1", "2"]);
        assert_eq!(site.asked("GET /compute/v2.1/servers/detail"), 6);
    }

    #[tokio::test]
    async fn a_marker_that_is_lost_again_and_again_is_bad_luck_and_no_refusal() {
        let site = Site::open(|asked| {
            let list = asked.is("GET /compute/v2.1/servers/detail");
            let first = !asked.line.contains("marker=");
            list.then(|| if first { page(&[server("1", "a", "ACTIVE")]) } else { no_marker() })
        })
        .await;
        let outcome = site.cloud().list("k").await;
        assert!(matches!(outcome, Err(CloudError::Transient(_))), "{outcome:?}");
        assert_eq!(site.asked("GET /compute/v2.1/servers/detail"), 8, "once and three times more, two pages each");
    }

    #[tokio::test]
    async fn a_page_that_comes_again_is_the_last() {
        let site = Site::open(|asked| {
            asked.is("GET /compute/v2.1/servers/detail").then(|| page(&[server("1", "a", "ACTIVE")]))
        })
        .await;
        assert_eq!(site.cloud().find(&order("a").owner).await.unwrap().len(), 1);
        let flavors = Site::open(|asked| {
            let all = json!({"flavors": [{"id": "f", "name": "m1", "vcpus": 1, "ram": 512, "disk": 1},
                                         {"id": "z", "name": "diskless", "vcpus": 1, "ram": 512, "disk": 0}]});
            asked.is("GET /compute/v2.1/flavors/detail").then(|| Said::json(200, &all))
        })
        .await;
        let offers = flavors.cloud().offers(&Wanted::default()).await.unwrap();
        let names: Vec<_> = offers.flavors.iter().map(|f| f.name.as_str()).collect();
        assert_eq!(names, ["m1"], "each once, and none whose disk would have to be a volume");
    }
}
