//! Of the order in which the operator stops.

use tokio::time::Instant;

use super::*;

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// An acting task that orders a VM, and then writes it down for a second.
fn orders(errands: &Arc<Errands>, takes: u64) -> JoinSet<()> {
    let (errands, mut careful) = (errands.clone(), JoinSet::new());
    careful.spawn(async move {
        errands.carry(tokio::time::sleep(seconds(takes))).await;
        tokio::time::sleep(seconds(1)).await;
    });
    careful
}

#[tokio::test(start_paused = true)]
async fn what_is_begun_is_finished_before_the_lease_is_given_back() {
    let errands = Arc::new(Errands::default());
    let mut careful = orders(&errands, 50);
    tokio::time::sleep(seconds(1)).await;
    errands.stop();
    let began = Instant::now();
    finish(&errands, &mut careful, std::future::pending(), LAST_WORK).await;
    assert_eq!(began.elapsed(), seconds(50), "the order of 50 s, of which one was over, and the second of writing");
}

#[tokio::test(start_paused = true)]
async fn without_the_lease_only_the_order_is_waited_for() {
    let errands = Arc::new(Errands::default());
    let mut careful = orders(&errands, 50);
    tokio::time::sleep(seconds(1)).await;
    let began = Instant::now();
    finish(&errands, &mut careful, tokio::time::sleep(seconds(2)), LAST_WORK).await;
    assert_eq!(began.elapsed(), seconds(49));
}

#[tokio::test(start_paused = true)]
async fn an_order_that_never_ends_does_not_keep_the_operator() {
    let errands = Arc::new(Errands::default());
    let mut careful = orders(&errands, 10_000);
    tokio::time::sleep(seconds(1)).await;
    let began = Instant::now();
    finish(&errands, &mut careful, std::future::pending(), LAST_WORK).await;
    assert_eq!(began.elapsed(), LAST_WORK);
}
