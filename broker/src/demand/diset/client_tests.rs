//! The client against a server that misbehaves, in process.

use std::time::Duration;

use serde_json::json;

use super::{
    stand_in::{AGREED, Manners, black_hole, call, client, frame, pki},
    *,
};
use crate::clock::Clock;

#[tokio::test]
async fn an_answer_arrives_with_keep_alives_before_it() {
    let mut late = b"dkadka".to_vec();
    late.extend(frame(r#"{"OK": true, "Value": {"7": 1}}"#));
    assert_eq!(call(vec![frame(AGREED), late]).await.unwrap(), json!({"7": 1}));
}

#[tokio::test]
async fn an_unauthorised_group_is_told_from_other_errors() {
    let refused = call(vec![frame(r#"{"OK": false, "Errno": 1111, "Message": "Unauthorized"}"#)]).await.unwrap_err();
    assert!(matches!(refused, DisetError::Unauthorized { .. }), "{refused}");
    let other =
        call(vec![frame(AGREED), frame(r#"{"OK": false, "Message": "database down", "CallStack": ["secret"]}"#)]).await;
    let other = other.unwrap_err();
    assert!(matches!(&other, DisetError::Service { errno: 0, what, .. } if what == "database down"), "{other}");
    let unknown = call(vec![frame(r#"{"OK": false, "Message": "Unknown method getActive"}"#)]).await.unwrap_err();
    assert!(matches!(unknown, DisetError::UnknownMethod { .. }), "{unknown}");
}

#[tokio::test]
async fn garbage_of_every_kind_is_an_error_and_never_a_hang() {
    for garbage in ["HTTP/1.1 400 Bad Request\r\n", ":", "-5:hello", "dkx", "2:[]", "4:nope"] {
        let error = call(vec![garbage.as_bytes().to_vec()]).await.unwrap_err();
        assert!(matches!(error, DisetError::Garbage { .. }), "{garbage:?}: {error}");
    }
    let huge = call(vec![frame(AGREED), b"104857600:{".to_vec()]).await.unwrap_err();
    assert!(matches!(huge, DisetError::TooLarge { size: 104_857_600, .. }), "{huge}");
    let absurd = call(vec![b"99999999999999999999:".to_vec()]).await.unwrap_err();
    assert!(matches!(absurd, DisetError::Garbage { .. }), "{absurd}");
    let many =
        call(vec![frame(AGREED), frame(&format!(r#"{{"OK": true, "Value": [0{}]}}"#, ",0".repeat(400_000)))]).await;
    let many = many.unwrap_err();
    assert!(matches!(many, DisetError::TooLarge { limit: 300_000, of: "JSON values", .. }), "{many}");
}

#[tokio::test]
async fn a_service_that_hangs_up_is_away_and_not_garbage() {
    for answers in [vec![vec![]], vec![frame(AGREED), b"12".to_vec()], vec![frame(AGREED), b"400:{\"OK\": tr".to_vec()]]
    {
        let error = call(answers).await.unwrap_err();
        assert!(matches!(error, DisetError::Unreachable { .. }), "{error}");
    }
}

/// Nothing of what we say may stay in our own buffers while the server waits for the rest of it.
#[tokio::test]
async fn an_argument_larger_than_the_sockets_buffers_arrives_whole() {
    let pki = pki();
    let url = pki.serve_as(pki.issue("localhost"), vec![frame(AGREED), frame(AGREED)], Manners::ReadsAll).await;
    let settings = Settings { deadline: Duration::from_secs(60), ..Settings::default() };
    let client = client(url, &pki.credentials(), settings);
    client.call("getPilotInfo", &json!(["x".repeat(32 << 20)])).await.unwrap();
}

#[tokio::test]
async fn silence_ends_at_the_deadline() {
    let error = call(vec![]).await.unwrap_err();
    assert!(matches!(error, DisetError::Timeout { .. }), "{error}");
}

#[tokio::test]
async fn a_hundred_megabytes_that_really_come_are_not_waited_for() {
    const SIZE: usize = 100 << 20;
    // Each call has two seconds: whatever were waited for would end as a time-out.
    let announced = call(vec![frame(AGREED), frame(&"x".repeat(SIZE))]).await.unwrap_err();
    assert!(matches!(announced, DisetError::TooLarge { size: SIZE, limit: 1_048_576, .. }), "{announced}");
    let endless = call(vec![frame(AGREED), vec![b'7'; SIZE]]).await.unwrap_err();
    assert!(matches!(endless, DisetError::Garbage { .. }), "{endless}");
    // A busy server that never gets to the point has its time and no more.
    let busy = call(vec![frame(AGREED), b"dka".repeat(SIZE / 3)]).await.unwrap_err();
    assert!(matches!(busy, DisetError::Timeout { .. } | DisetError::Garbage { .. }), "{busy}");
}

#[tokio::test]
async fn a_hundred_megabytes_are_read_by_who_allows_them() {
    let pki = pki();
    let text = "x".repeat(100 << 20);
    let url = pki.serve(vec![frame(AGREED), frame(&json!({"OK": true, "Value": text}).to_string())]).await;
    let settings = Settings { deadline: Duration::from_secs(120), largest_answer: 101 << 20, ..Settings::default() };
    let client = client(url, &pki.credentials(), settings);
    assert_eq!(client.call("ping", &json!([])).await.unwrap(), json!(text));
}

#[tokio::test]
async fn a_drip_is_ended_by_the_deadline() {
    let pki = pki();
    let answers = vec![frame(AGREED), frame(r#"{"OK": true, "Value": 1}"#)];
    let url = pki.serve_as(pki.issue("localhost"), answers, Manners::Drips).await;
    let deadline = Duration::from_secs(3);
    let settings = Settings { deadline, ..Settings::default() };
    let begun = std::time::Instant::now();
    let error = client(url, &pki.credentials(), settings).call("ping", &json!([])).await;
    let error = error.unwrap_err();
    assert!(matches!(error, DisetError::Timeout { .. }), "{error}");
    assert!(begun.elapsed() < deadline + Duration::from_secs(2), "each byte has not begun it anew");
}

#[tokio::test]
async fn an_address_that_is_silent_or_down_costs_its_part_of_the_time_and_then_no_more() {
    let pki = pki();
    let live = pki.serve(vec![frame(AGREED), frame(AGREED)]).await;
    let (hole, down) = (black_hole().await, ServiceUrl { port: 1, ..live.clone() });
    let all: Addresses = format!("{hole},{down},{live}").parse().unwrap();
    // As long as no busy machine takes to answer.
    let connect = Duration::from_secs(4);
    let settings = Settings { connect, deadline: Duration::from_secs(60), ..Settings::default() };
    let client = Client::new(all, "admin", &pki.credentials(), settings, Clock::system()).unwrap();
    client.call("ping", &json!([])).await.unwrap();
    assert_eq!(client.url(), &live, "what answered is tried first");
    let begun = std::time::Instant::now();
    client.clone().call("ping", &json!([])).await.unwrap();
    assert!(begun.elapsed() < connect, "the silent one is not asked again: {:?}", begun.elapsed());
}

#[tokio::test]
async fn an_installation_has_no_more_than_eight_connections_at_once() {
    let hole = black_hole().await;
    let settings = Settings { deadline: Duration::from_secs(2), ..Settings::default() };
    let client = client(hole.clone(), &pki().credentials(), settings);
    let pilots = client.beside(hole.into());
    let calls: Vec<_> = (0..20)
        .map(|n| {
            let client = if n % 2 == 0 { client.clone() } else { pilots.clone() };
            tokio::spawn(async move { client.call("ping", &json!([])).await.unwrap_err() })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(client.free_connections(), 0);
    for call in calls {
        assert!(matches!(call.await.unwrap(), DisetError::Timeout { .. }));
    }
    assert_eq!(client.free_connections(), 8);
}
