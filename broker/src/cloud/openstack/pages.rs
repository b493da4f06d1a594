//! Lists of servers, page by page, and one server by its id.

use std::collections::BTreeMap;

use jiff::Timestamp;
use openstack_sdk_compute::v2::server::{get_20 as get, list_detailed_21 as detailed};
use openstack_sdk_core::api::{QueryAsync, raw};

use super::{
    ask::{ask, of_body},
    fault,
    session::Session,
    wire::{Server, Servers},
};
use crate::cloud::{
    CloudError,
    room::{Kept, too_much},
};

/// Servers on a page; Nova gives fewer where its own limit is lower.
const PAGE: u32 = 500;
/// Pages and servers of a list that are read. A list that is longer is not believed, for it might never end.
const MOST_PAGES: usize = 400;
const MOST_SERVERS: usize = 50_000;
/// Longest id of a server; Nova's have 36 characters.
const LONGEST_ID: usize = 64;
/// A list whose marker vanished begins again this often.
const NEW_BEGINNINGS: usize = 3;

/// Which servers are asked for.
pub enum Filter<'a> {
    /// Those that have all of these tags.
    Tags(&'a [String]),
    /// Changed after this moment, deleted ones included.
    ChangedSince(Timestamp),
}

/// All pages, each server once, and Nova's clock when the first was asked for.
///
/// Nova sorts by a moment that changes when a server passes from its API's database to a cell's: a later page can bring such a
/// server again, and who takes the two for twins deletes the only one.
pub async fn pages(session: &Session, filter: &Filter<'_>) -> Result<(Vec<Server>, Option<Timestamp>), CloudError> {
    // Given back when the list is whole: whoever remembers it has room for that.
    let mut kept = Kept::default();
    let mut outcome = once(session, filter, &mut kept).await?;
    for _ in 0..NEW_BEGINNINGS {
        match outcome {
            Pages::All(servers, date) => return Ok((servers, date)),
            Pages::LostMarker(_) => outcome = once(session, filter, &mut kept).await?,
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

async fn once(session: &Session, filter: &Filter<'_>, kept: &mut Kept) -> Result<Pages, CloudError> {
    let what = "list servers";
    let mut all: BTreeMap<String, Server> = BTreeMap::new();
    let (mut last, mut date) = (None::<String>, None);
    for _ in 0..MOST_PAGES {
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
        let mut page: Servers = of_body(what, None, answer.body())?;
        if page.servers.iter().any(|s| s.id.len() > LONGEST_ID) {
            return Err(CloudError::Transient(format!("{what}: the answer has a server whose id is none of Nova's")));
        }
        page.servers.iter_mut().for_each(Server::cut);
        let more = page.servers_links.iter().any(|l| l.rel == "next");
        last = page.servers.last().map(|s| s.id.clone());
        let before = all.len();
        all.extend(page.servers.into_iter().map(|s| (s.id.clone(), s)));
        if !session.room.keep(kept, all.values().map(Server::weight).sum()) {
            return Err(too_much(what));
        }
        // A page that brings nothing new would come for ever.
        if !more || all.len() == before {
            return Ok(Pages::All(all.into_values().collect(), date));
        }
        if all.len() > MOST_SERVERS {
            break;
        }
    }
    let read = all.len();
    Err(CloudError::Transient(format!(
        "{what}: the list does not end after {read} servers, which are more than are read"
    )))
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
    use crate::{
        clock::Clock,
        cloud::{Cloud, CloudError, Rate},
    };

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
    }

    #[tokio::test]
    async fn a_list_that_never_ends_is_given_up_and_is_not_taken_for_whole() {
        let mut n = 0;
        let site = Site::open(move |asked| {
            n += 1;
            let server = server(&n.to_string(), "a", "ACTIVE");
            asked.is("GET /compute/v2.1/servers/detail").then(|| page(&[server]))
        })
        .await;
        let many = std::num::NonZeroU32::MIN.saturating_add(999);
        let cloud = site.cloud_with(Rate { per_second: many, burst: many }, Clock::system());
        let outcome = cloud.list("k").await;
        assert!(matches!(&outcome, Err(CloudError::Transient(said)) if said.contains("does not end")), "{outcome:?}");
        assert_eq!(site.asked("GET /compute/v2.1/servers/detail"), super::MOST_PAGES);
    }

    #[tokio::test]
    async fn texts_of_a_server_are_cut_and_only_our_tags_are_kept() {
        let site = Site::open(|asked| {
            let mut long = server("1", "a", "ACTIVE");
            long["name"] = "n".repeat(10_000).into();
            long["metadata"] = json!({"k": "v".repeat(10_000)});
            long["tags"].as_array_mut().unwrap().push("theirs".into());
            asked.is("GET /compute/v2.1/servers/detail").then(|| Said::servers(&[long]))
        })
        .await;
        let found = site.cloud().list("k").await.unwrap();
        assert_eq!((found.len(), found[0].name.len()), (1, 255));
    }

    #[tokio::test]
    async fn a_page_longer_than_nova_gives_is_not_read() {
        let site = Site::open(|asked| {
            let all: Vec<Value> = (0..1_001).map(|n| json!({"id": n.to_string(), "status": "ACTIVE"})).collect();
            asked.is("GET /compute/v2.1/servers/detail").then(|| Said::servers(&all))
        })
        .await;
        let outcome = site.cloud().list("k").await;
        assert!(matches!(&outcome, Err(CloudError::Transient(said)) if said.contains("not understood")), "{outcome:?}");
    }
}
