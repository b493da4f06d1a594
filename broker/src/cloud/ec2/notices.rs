//! What EC2 announces, out of the queue into which an EventBridge rule puts it.
//!
//! Events as in the EC2 User Guide, "Spot Instance interruption notices" and "EC2 instance rebalance recommendations", and in the AWS Health
//! User Guide, "AWS Health events Amazon EventBridge schema".

use std::{collections::VecDeque, sync::Arc, time::Duration};

use futures::StreamExt;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;

use super::client::Client;
use crate::cloud::{Coming, Notice, Notices, pace::Action};

/// A question waits this long for a message: SQS's most.
const WAITS: i32 = 20;
/// Messages of one answer: SQS's most.
const MESSAGES: i32 = 10;
/// After a failure nobody asks for this long.
const AFTER_FAILURE: Duration = Duration::from_secs(30);
/// Spot instances are taken back two minutes after the warning.
const WARNED_BEFORE: SignedDuration = SignedDuration::from_secs(120);
/// Longest message that is read: SQS's own bound.
const LONGEST: usize = 256 << 10;

/// The announcements of a queue, without end.
pub fn notices(client: Arc<Client>, queue: String) -> Notices {
    let state = (client, queue, VecDeque::new(), Vec::<String>::new());
    futures::stream::unfold(state, |(client, queue, mut ready, mut handed_on)| async move {
        loop {
            if let Some(notice) = ready.pop_front() {
                return Some((notice, (client, queue, ready, handed_on)));
            }
            // What was handed on is taken out of the queue only now.
            for receipt in std::mem::take(&mut handed_on) {
                forget(&client, &queue, receipt).await;
            }
            for (receipt, found) in receive(&client, &queue).await {
                ready.extend(found);
                handed_on.push(receipt);
            }
        }
    })
    .boxed()
}

async fn receive(client: &Client, queue: &str) -> Vec<(String, Vec<Notice>)> {
    let what = "ask the queue of announcements";
    let asked = match client.apis().await {
        Ok(apis) => {
            let ask =
                apis.sqs.receive_message().queue_url(queue).wait_time_seconds(WAITS).max_number_of_messages(MESSAGES);
            client.call_of("SQS", what, Action::Look, ask.send()).await.map_err(|fault| fault.error)
        }
        Err(error) => Err(error),
    };
    match asked {
        Ok(answer) => {
            let now = client.clock.now();
            let one = |message: &aws_sdk_sqs::types::Message| {
                Some((message.receipt_handle()?.to_owned(), read(message.body().unwrap_or_default(), now)))
            };
            answer.messages().iter().filter_map(one).collect()
        }
        Err(error) => {
            tracing::warn!(reason = error.reason(), %error, "announcements of Spot interruptions cannot be read");
            tokio::time::sleep(AFTER_FAILURE).await;
            Vec::new()
        }
    }
}

async fn forget(client: &Client, queue: &str, receipt: String) {
    let Ok(apis) = client.apis().await else { return };
    let call = apis.sqs.delete_message().queue_url(queue).receipt_handle(receipt).send();
    // It comes again, and says nothing new then.
    if let Err(fault) = client.call_of("SQS", "delete a message", Action::Look, call).await {
        tracing::debug!(error = %fault.error, "an announcement stays in the queue");
    }
}

#[derive(Deserialize)]
struct Event {
    #[serde(rename = "detail-type")]
    kind: String,
    #[serde(default)]
    time: Option<Timestamp>,
    detail: Detail,
}

#[derive(Deserialize)]
struct Detail {
    #[serde(rename = "instance-id", default)]
    instance: Option<String>,
    #[serde(rename = "eventTypeCategory", default)]
    category: Option<String>,
    /// When planned work begins, a date of RFC 2822.
    #[serde(rename = "startTime", default)]
    start: Option<String>,
    #[serde(rename = "affectedEntities", default)]
    affected: Vec<Affected>,
}

#[derive(Deserialize)]
struct Affected {
    #[serde(rename = "entityValue")]
    value: String,
}

/// What a message announces; nothing for one that announces nothing of instances.
fn read(body: &str, now: Timestamp) -> Vec<Notice> {
    if body.len() > LONGEST {
        return Vec::new();
    }
    let Ok(event) = serde_json::from_str::<Event>(body) else { return Vec::new() };
    let told = event.time.unwrap_or(now);
    let of = |at: Timestamp, what: Coming| move |id: String| Notice { id, at, what };
    let is_instance = |id: &String| id.starts_with("i-") && id.len() <= 64;
    match event.kind.as_str() {
        "EC2 Spot Instance Interruption Warning" => event
            .detail
            .instance
            .into_iter()
            .filter(is_instance)
            .map(of(told + WARNED_BEFORE, Coming::Reclaim))
            .collect(),
        "EC2 Instance Rebalance Recommendation" => {
            event.detail.instance.into_iter().filter(is_instance).map(of(told, Coming::Rebalance)).collect()
        }
        "AWS Health Event" if event.detail.category.as_deref() == Some("scheduledChange") => {
            let start = event.detail.start.as_deref().and_then(|text| jiff::fmt::rfc2822::parse(text).ok());
            let at = start.map_or(told, |at| at.timestamp());
            let ids = event.detail.affected.into_iter().map(|entity| entity.value).filter(is_instance);
            ids.map(of(at, Coming::Maintenance)).collect()
        }
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(body: &str) -> Vec<(String, i64, Coming)> {
        let found = read(body, Timestamp::UNIX_EPOCH);
        found.into_iter().map(|notice| (notice.id, notice.at.as_second(), notice.what)).collect()
    }

    #[test]
    fn the_events_of_ec2_are_notices() {
        let warning = r#"{"version":"0","id":"1","detail-type":"EC2 Spot Instance Interruption Warning","source":"aws.ec2","account":"123456789012",
            "time":"1970-01-01T00:10:00Z","region":"eu-west-3","resources":["arn:aws:ec2:eu-west-3a:instance/i-1"],
            "detail":{"instance-id":"i-1","instance-action":"terminate"}}"#;
        assert_eq!(told(warning), [("i-1".to_owned(), 720, Coming::Reclaim)]);
        let rebalance = r#"{"detail-type":"EC2 Instance Rebalance Recommendation","time":"1970-01-01T00:10:00Z","detail":{"instance-id":"i-2"}}"#;
        assert_eq!(told(rebalance), [("i-2".to_owned(), 600, Coming::Rebalance)]);
        let health = r#"{"detail-type":"AWS Health Event","time":"1970-01-01T00:10:00Z","detail":{"service":"EC2",
            "eventTypeCategory":"scheduledChange","startTime":"Thu, 01 Jan 1970 01:00:00 GMT",
            "affectedEntities":[{"entityValue":"i-3"},{"entityValue":"vol-1"}]}}"#;
        assert_eq!(told(health), [("i-3".to_owned(), 3_600, Coming::Maintenance)]);
    }

    #[test]
    fn what_is_no_announcement_is_none() {
        for odd in [
            "",
            "{}",
            "[1]",
            r#"{"detail-type":"EC2 Instance State-change Notification","detail":{"instance-id":"i-1","state":"running"}}"#,
            r#"{"detail-type":"EC2 Spot Instance Interruption Warning","detail":{}}"#,
            r#"{"detail-type":"EC2 Spot Instance Interruption Warning","detail":{"instance-id":"../etc"}}"#,
            r#"{"detail-type":"AWS Health Event","detail":{"eventTypeCategory":"issue","affectedEntities":[{"entityValue":"i-3"}]}}"#,
        ] {
            assert_eq!(told(odd), [], "{odd}");
        }
        assert_eq!(told(&"x".repeat(LONGEST + 1)), []);
    }
}
