use std::time::Instant;

use super::*;

/// A Nova that notes what it is asked and always lists two servers.
async fn nova() -> (u16, Arc<Mutex<Vec<(String, Instant)>>>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let noted = asked.clone();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let request = String::from_utf8(message(&mut client).await.unwrap()).unwrap();
            let line = request.lines().next().unwrap().to_owned();
            noted.lock().unwrap().push((line, Instant::now()));
            let body = br#"{"servers": [{"id": "a"}, {"id": "b"}], "servers_links": []}"#;
            answer(&mut client, "200 OK", "X-Kept: yes\r\n", body).await.unwrap();
        }
    });
    (port, asked)
}

async fn send(way: &Lossy, method: reqwest::Method, path: &str) -> Option<(u16, String)> {
    let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_millis(700)).build().unwrap();
    let url = format!("http://127.0.0.1:{}/v2.1/{path}", way.port);
    let answer = http.request(method, url).send().await.ok()?;
    let status = answer.status().as_u16();
    let kept = answer.headers().contains_key("x-kept");
    let text = answer.text().await.ok()?;
    assert_eq!(status == 200, kept, "Nova's headers stay");
    Some((status, text))
}

#[tokio::test]
async fn a_late_request_is_carried_out_after_its_connection_broke() {
    let (port, asked) = nova().await;
    let way = Lossy::open(port).await.unwrap();
    let late = Duration::from_secs(3);
    way.lose(&[Loss::Late(late)]);
    let begun = Instant::now();
    assert_eq!(send(&way, reqwest::Method::POST, "servers").await, None);
    assert!(begun.elapsed() < late, "the client learns at once that its connection broke");
    assert!(asked.lock().unwrap().is_empty());
    while way.delivered_late() == 0 {
        assert!(begun.elapsed() < Duration::from_secs(60));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let asked = asked.lock().unwrap();
    assert_eq!(asked.len(), 1);
    assert!(asked[0].0.starts_with("POST /v2.1/servers ") && asked[0].1 >= begun + late);
}

#[tokio::test]
async fn a_slow_request_is_held_and_then_answered_by_nova() {
    let (port, asked) = nova().await;
    let way = Lossy::open(port).await.unwrap();
    way.lose(&[Loss::Slow(Duration::from_millis(300))]);
    let begun = Instant::now();
    assert_eq!(send(&way, reqwest::Method::POST, "servers").await.unwrap().0, 200);
    assert!(asked.lock().unwrap()[0].1 >= begun + Duration::from_millis(300));
}

#[tokio::test]
async fn what_is_always_so_meets_every_request_until_it_is_lifted() {
    let (port, asked) = nova().await;
    let way = Lossy::open(port).await.unwrap();
    way.always(Some(Loss::Hang));
    assert_eq!(send(&way, reqwest::Method::GET, "flavors/detail").await, None);
    way.always(Some(Loss::Throttled(3_600)));
    assert_eq!(send(&way, reqwest::Method::GET, "servers/detail").await.unwrap().0, 429);
    way.lose(&[Loss::Answer(403, OVER_UNIFIED_LIMIT)]);
    let (status, text) = send(&way, reqwest::Method::POST, "servers").await.unwrap();
    assert_eq!((status, text.as_str()), (403, OVER_UNIFIED_LIMIT), "the loss of one request goes first");
    assert_eq!(send(&way, reqwest::Method::DELETE, "servers/a").await.unwrap().0, 429);
    way.always(None);
    assert!(asked.lock().unwrap().is_empty(), "Nova heard of none");
    assert_eq!(send(&way, reqwest::Method::GET, "limits").await.unwrap().0, 200);
    assert_eq!(way.requests(), 5);
}

#[tokio::test]
async fn a_client_that_keeps_its_connections_never_meets_a_closed_one() {
    let (port, _) = nova().await;
    let way = Lossy::open(port).await.unwrap();
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    for _ in 0..200 {
        let answer = http.post(format!("http://127.0.0.1:{}/v2.1/servers", way.port)).body("{}").send().await.unwrap();
        assert_eq!(answer.headers()["connection"], "close");
        answer.bytes().await.unwrap();
    }
}

#[tokio::test]
async fn a_list_leaves_out_what_is_hidden_and_says_200() {
    let (port, _) = nova().await;
    let way = Lossy::open(port).await.unwrap();
    way.hide(&["a".to_owned()]);
    let (status, text) = send(&way, reqwest::Method::GET, "servers/detail?limit=7").await.unwrap();
    assert_eq!((status, text.as_str()), (200, r#"{"servers":[{"id":"b"}],"servers_links":[]}"#));
    assert_eq!(send(&way, reqwest::Method::GET, "servers/a").await.unwrap().0, 200);
    way.down(&["a".to_owned()]);
    assert_eq!(send(&way, reqwest::Method::GET, "servers/a").await.unwrap().0, 500);
    assert_eq!(send(&way, reqwest::Method::GET, "servers/b").await.unwrap().0, 200);
    way.show();
    assert_eq!(send(&way, reqwest::Method::GET, "servers/a").await.unwrap().0, 200);
    assert!(send(&way, reqwest::Method::GET, "servers/detail").await.unwrap().1.contains("\"a\""));
}
