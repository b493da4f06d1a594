//! Of turns, silences and rates.

use super::*;

fn pace(per_second: u32, burst: u32) -> Pace {
    let number = |n| NonZeroU32::new(n).unwrap();
    Pace::new(Rate { per_second: number(per_second), burst: number(burst) })
}

fn slow_down(seconds: Option<u64>) -> CloudError {
    CloudError::Throttled { message: "slow down".to_owned(), retry_after: seconds.map(Duration::from_secs) }
}

fn left(turn: Result<Turn<'_>, CloudError>) -> Duration {
    match turn {
        Err(CloudError::Throttled { retry_after: Some(left), .. }) => left,
        Err(other) => panic!("{other}"),
        Ok(_) => Duration::ZERO,
    }
}

#[tokio::test(start_paused = true)]
async fn a_long_silence_is_said_at_once_and_a_short_one_is_waited_for() {
    let pace = pace(10, 10);
    pace.turn("nova", Action::List).await.unwrap().answered(Some(&slow_down(Some(30))));
    let begun = moment();
    assert_eq!(left(pace.turn("nova", Action::List).await), Duration::from_secs(30));
    assert_eq!(begun.elapsed(), Duration::ZERO, "nobody waited");
    tokio::time::sleep(Duration::from_secs(29)).await;
    pace.turn("nova", Action::List).await.unwrap().answered(None);
    assert_eq!(begun.elapsed(), Duration::from_secs(30));
}

#[tokio::test(start_paused = true)]
async fn a_service_that_names_a_time_is_silent_in_all_and_no_other_service_is() {
    let pace = pace(10, 10);
    pace.turn("glance", Action::Catalogue).await.unwrap().answered(Some(&slow_down(Some(30))));
    assert!(!left(pace.turn("glance", Action::Look).await).is_zero());
    assert!(left(pace.turn("nova", Action::Catalogue).await).is_zero());
    pace.turn("ec2", Action::Create).await.unwrap().answered(Some(&slow_down(None)));
    let begun = moment();
    assert!(left(pace.turn("ec2", Action::List).await).is_zero());
    assert_eq!(begun.elapsed(), Duration::ZERO, "EC2 throttles by action, and names no time");
}

#[tokio::test(start_paused = true)]
async fn without_a_usable_time_the_silence_is_a_second_and_doubles() {
    let pace = pace(10, 10);
    for seconds in [1, 2, 4, 8] {
        pace.turn("nova", Action::Create).await.unwrap().answered(Some(&slow_down(Some(0))));
        let begun = moment();
        while let Err(CloudError::Throttled { retry_after: Some(left), .. }) = pace.turn("nova", Action::Create).await {
            tokio::time::sleep(left).await;
        }
        assert!(begun.elapsed() >= Duration::from_secs(seconds), "{seconds}");
        assert!(begun.elapsed() < Duration::from_secs(seconds + 3), "{seconds}: {:?}", begun.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn a_throttled_lane_is_half_as_fast_and_recovers_slowly() {
    let pace = pace(10, 1);
    let ten = async || {
        let begun = moment();
        for _ in 0..10 {
            pace.turn("nova", Action::List).await.unwrap().answered(None);
        }
        begun.elapsed().as_secs_f64()
    };
    ten().await;
    assert!((0.9..1.1).contains(&ten().await));
    // Two that went out together are one throttling.
    let (one, other) = (pace.turn("nova", Action::List).await.unwrap(), pace.turn("nova", Action::List).await.unwrap());
    one.answered(Some(&slow_down(None)));
    other.answered(Some(&slow_down(None)));
    tokio::time::sleep(Duration::from_secs(1)).await;
    let slow = ten().await;
    assert!((1.5..2.1).contains(&slow), "{slow}");
    for _ in 0..5 {
        ten().await;
    }
    assert!((0.9..1.1).contains(&ten().await), "after sixty calls that went well it is as fast as it may be");
}

#[tokio::test(start_paused = true)]
async fn a_cloud_that_hangs_holds_eight_creates_and_no_more() {
    let pace = pace(100, 100);
    let mut hanging = Vec::new();
    for _ in 0..8 {
        hanging.push(pace.turn("nova", Action::Create).await.unwrap());
    }
    let begun = moment();
    assert!(!left(pace.turn("nova", Action::Create).await).is_zero());
    assert!(begun.elapsed() <= Duration::from_secs(2));
    assert!(left(pace.turn("nova", Action::Delete).await).is_zero(), "deletes go on");
    hanging.pop();
    assert!(left(pace.turn("nova", Action::Create).await).is_zero());
}

#[tokio::test(start_paused = true)]
async fn a_cloud_that_does_not_answer_is_left_alone_and_tried_again() {
    let pace = pace(100, 100);
    for _ in 0..4 {
        pace.turn("nova", Action::Look).await.unwrap().unanswered();
    }
    pace.turn("nova", Action::Look).await.unwrap().answered(Some(&CloudError::Transient("500".to_owned())));
    for _ in 0..5 {
        assert!(left(pace.turn("nova", Action::Look).await).is_zero(), "an answer begins a new count");
        pace.turn("nova", Action::Look).await.unwrap().unanswered();
    }
    let first = left(pace.turn("nova", Action::Look).await);
    assert_eq!(first, Duration::from_secs(5));
    tokio::time::sleep(first).await;
    pace.turn("nova", Action::Look).await.unwrap().unanswered();
    assert_eq!(left(pace.turn("nova", Action::Look).await), Duration::from_secs(10));
}

#[tokio::test(start_paused = true)]
async fn creates_that_would_wait_long_for_their_turn_come_back_and_lists_wait() {
    let pace = pace(1, 1);
    let begun = moment();
    let one = async |action| {
        let turn = pace.turn("nova", action).await;
        (left(turn), begun.elapsed().as_secs())
    };
    let turns = async |action| futures::future::join_all((0..6).map(|_| one(action))).await;
    let creates = turns(Action::Create).await;
    assert_eq!(creates.iter().filter(|(left, _)| left.is_zero()).count(), 3, "at once, after one second and after two");
    assert!(creates.iter().all(|(_, waited)| *waited <= 2));
    let lists = turns(Action::List).await;
    assert!(lists.iter().all(|(left, _)| left.is_zero()), "whoever polls has nobody behind it");
}

#[tokio::test(start_paused = true)]
async fn another_rate_leaves_what_the_cloud_said() {
    let rate = |n| Rate { per_second: NonZeroU32::new(n).unwrap(), burst: NonZeroU32::MIN };
    let pace = Pace::new(rate(1));
    let throttled =
        |seconds| CloudError::Throttled { message: String::new(), retry_after: Some(Duration::from_secs(seconds)) };
    pace.turn("glance", Action::Look).await.unwrap().answered(None);
    pace.turn("nova", Action::Look).await.unwrap().answered(Some(&throttled(3_600)));
    assert!(pace.is_silent());
    pace.adjust(rate(100));
    assert!(matches!(pace.turn("nova", Action::Look).await, Err(CloudError::Throttled { .. })));
    let began = Instant::now();
    for _ in 0..50 {
        pace.turn("glance", Action::Look).await.unwrap().answered(None);
    }
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    tokio::time::advance(Duration::from_secs(3_600)).await;
    assert!(!pace.is_silent());
}

#[tokio::test(start_paused = true)]
async fn a_service_rests_from_orders_when_they_or_all_its_calls_are_silent() {
    let pace = pace(10, 10);
    let orders = [Action::Look, Action::Create];
    assert_eq!(pace.rests(&orders), None);
    pace.turn("glance", Action::Catalogue).await.unwrap().answered(Some(&slow_down(Some(30))));
    pace.turn("nova", Action::Look).await.unwrap().answered(None);
    assert_eq!(pace.rests(&orders), None, "nobody orders of Glance");
    pace.turn("nova", Action::List).await.unwrap().answered(Some(&slow_down(Some(30))));
    assert_eq!(pace.rests(&orders), Some(Duration::from_secs(30)), "Nova wants silence in all");
    tokio::time::sleep(Duration::from_secs(28)).await;
    assert_eq!(pace.rests(&orders), None, "a turn comes in a moment");
    for _ in 0..UNANSWERED {
        pace.turn("nova", Action::Create).await.unwrap().unanswered();
    }
    assert_eq!(pace.rests(&orders), Some(UNANSWERED_SILENCE));
}
