//! How instances end, and what is announced.

use std::time::Duration;

use broker::cloud::{Cloud, CloudError, Coming, End, VmState};
use futures::StreamExt;

use crate::{
    buy,
    clouds::{
        amazon::{Amazon, config, driver},
        bed::Bed,
    },
    listed, nothing_left,
};

pub async fn an_end_says_how_it_came(bed: &Amazon) {
    let cloud = bed.driver();
    // Long enough for every list to see it.
    bed.it.forgets_after(Duration::from_secs(10)).await.unwrap();
    for uid in ["off", "spot", "person", "broken"] {
        let order = if uid == "spot" { bed.order_on_spot("ends", uid) } else { bed.order("ends", uid) };
        let vm = buy(cloud.as_ref(), &order).await.unwrap();
        listed(cloud.as_ref(), "ends", uid, |s| *s == VmState::Active).await;
        match uid {
            "off" => bed.it.power_off(&vm.id).await,
            "spot" => bed.it.reclaim(&vm.id, Duration::ZERO).await,
            "person" => bed.it.terminate(&vm.id).await,
            _ => bed.it.fail(&vm.id, "Server.InternalError").await,
        }
        .unwrap();
        let ended = listed(cloud.as_ref(), "ends", uid, |s| matches!(s, VmState::Ended(_))).await;
        let is_so = match uid {
            "off" => ended.state == VmState::Ended(End::PoweredOff),
            "spot" => ended.state == VmState::Ended(End::Reclaimed),
            "person" => ended.state == VmState::Ended(End::Deleted),
            _ => matches!(ended.state, VmState::Ended(End::Failed(CloudError::Transient(_)))),
        };
        assert!(is_so, "{uid}: {:?}", ended.state);
        // How it ends is said from the beginning; that it costs nothing any more, at the end.
        let mut last = Some(ended);
        for _ in 0..80 {
            if last.as_ref().is_none_or(|vm| vm.released) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(250)).await;
            last = cloud.get(&vm.id).await.unwrap();
        }
        assert!(last.is_none_or(|vm| vm.released && !vm.is_held()), "{uid}: it costs nothing any more");
        cloud.delete(&vm.id).await.expect("to take away what has ended is no error");
    }
    bed.it.forgets_after(Duration::from_secs(3)).await.unwrap();
    nothing_left(cloud.as_ref(), "ends").await;
}

pub async fn an_announcement_comes_out_of_the_queue(bed: &Amazon) {
    let mut config = config(&bed.it);
    config.queue = Some(bed.it.queue_url());
    let cloud = driver(config);
    let order = bed.order_on_spot("announced", "uid-1");
    let vm = buy(bed.driver().as_ref(), &order).await.unwrap();
    listed(bed.driver().as_ref(), "announced", "uid-1", |s| *s == VmState::Active).await;
    let mut notices = cloud.notices();
    bed.it.rebalance(&vm.id).await.unwrap();
    let told = tokio::time::timeout(Duration::from_secs(60), async {
        loop {
            // Earlier tests had instances taken back: their announcements are in the queue, too.
            let notice = notices.next().await.expect("the announcements do not end");
            if notice.id == vm.id {
                return notice;
            }
        }
    });
    assert_eq!(told.await.unwrap().what, Coming::Rebalance);
    bed.it.reclaim(&vm.id, Duration::from_secs(2)).await.unwrap();
    let told = tokio::time::timeout(Duration::from_secs(30), notices.next()).await.unwrap().unwrap();
    assert_eq!((told.id.as_str(), told.what), (vm.id.as_str(), Coming::Reclaim));
    nothing_left(bed.driver().as_ref(), "announced").await;
}

pub async fn a_console_is_kept(bed: &Amazon) {
    let cloud = bed.driver();
    let user_data = "#cloud-config\nruncmd:\n- \"echo the pilot says hello\"\npower_state: {mode: poweroff}\n";
    let order = broker::cloud::Order { user_data: user_data.into(), ..bed.order("console", "uid-1") };
    bed.it.forgets_after(Duration::from_secs(20)).await.unwrap();
    buy(cloud.as_ref(), &order).await.unwrap();
    let ended = listed(cloud.as_ref(), "console", "uid-1", |s| *s == VmState::Ended(End::PoweredOff)).await;
    let console = cloud.console(&ended.id, 4_000).await.unwrap();
    assert!(console.contains("the pilot says hello"), "{console}");
    assert_eq!(cloud.console(&ended.id, 5).await.unwrap().len(), 5, "the last bytes, and no more");
    bed.it.forgets_after(Duration::from_secs(3)).await.unwrap();
    nothing_left(cloud.as_ref(), "console").await;
}
