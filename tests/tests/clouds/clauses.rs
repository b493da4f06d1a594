//! Clauses of the contract that need a hand behind the driver, the same for every bed.

use std::time::{Duration, Instant};

use broker::cloud::{Attempt, Choice, Cloud, CloudError, End, Order, Scope, Vm, VmState};

use super::bed::{Bed, Done, Loss};
use crate::{buy, listed, nothing_left};

/// Holds every clause against a bed; what the bed could not do, in words.
pub async fn hold(bed: &impl Bed) -> Vec<String> {
    let outcomes = [
        strangers_are_left_alone(bed).await,
        a_lost_reply_makes_one_vm(bed).await,
        an_order_that_is_carried_out_late_makes_one_vm(bed).await,
        the_same_order_with_other_user_data_is_the_same_vm(bed).await,
        of_twins_the_oldest_is_kept(bed).await,
        a_vm_that_lists_lack_lives_on(bed).await,
        a_partial_list_ends_nothing(bed).await,
        whoever_starts_again_asks_for_what_a_list_lacks(bed).await,
        power_off_is_seen(bed).await,
        reclaim_and_power_off_are_told_apart(bed).await,
        a_refused_offer_spares_other_flavors(bed).await,
        a_refused_zone_spares_other_zones(bed).await,
        a_refused_class_spares_other_classes(bed).await,
        a_refused_cloud_sells_nothing(bed).await,
        silence_at_one_cloud_delays_no_other(bed).await,
    ];
    outcomes.into_iter().filter_map(Result::err).map(|cannot| cannot.to_string()).collect()
}

async fn take_away(cloud: &dyn Cloud, cluster: &str) {
    for vm in cloud.list(cluster).await.unwrap() {
        cloud.delete(&vm.id).await.unwrap();
    }
    nothing_left(cloud, cluster).await;
}

/// Repeats an order that is in doubt until its VM is found.
async fn find_out(cloud: &dyn Cloud, order: &Order) -> Vm {
    let again = Order { attempt: Attempt { repeated: true, ..order.attempt }, ..order.clone() };
    for _ in 0..120 {
        match cloud.create(&again).await {
            Ok(vm) => return vm,
            Err(CloudError::Unclear { .. }) => tokio::time::sleep(Duration::from_millis(250)).await,
            Err(other) => panic!("{other}"),
        }
    }
    panic!("the order stays in doubt");
}

async fn strangers_are_left_alone(bed: &impl Bed) -> Done {
    let cloud = bed.driver();
    let order = bed.order("strangers", "uid-1");
    let stranger = bed.stranger(&order.name).await?;
    let ours = buy(cloud.as_ref(), &order).await.unwrap();
    assert_ne!(ours.id, stranger, "it was not adopted");
    assert!(matches!(cloud.get(&stranger).await, Err(CloudError::Invalid(_))), "it is there, and not ours");
    take_away(cloud.as_ref(), "strangers").await;
    assert!(bed.exists(&stranger).await, "it is still there");
    Ok(())
}

async fn a_lost_reply_makes_one_vm(bed: &impl Bed) -> Done {
    let cloud = bed.driver();
    bed.lose(Loss::Reply).await?;
    let order = bed.order("reply", "uid-1");
    let vm = match cloud.create(&order).await {
        Ok(vm) => vm,
        Err(CloudError::Unclear { .. }) => find_out(cloud.as_ref(), &order).await,
        Err(other) => panic!("{other}"),
    };
    let found = cloud.find(&order.owner).await.unwrap();
    assert_eq!(found.iter().map(|vm| &vm.id).collect::<Vec<_>>(), [&vm.id]);
    take_away(cloud.as_ref(), "reply").await;
    Ok(())
}

async fn an_order_that_is_carried_out_late_makes_one_vm(bed: &impl Bed) -> Done {
    let cloud = bed.driver();
    bed.lose(Loss::Late(Duration::from_secs(8))).await?;
    let order = bed.order("late", "uid-1");
    let outcome = cloud.create(&order).await;
    assert!(matches!(outcome, Err(CloudError::Unclear { .. })), "{outcome:?}");
    assert_eq!(cloud.find(&order.owner).await.unwrap(), [], "it was not there yet");
    let vm = find_out(cloud.as_ref(), &order).await;
    // Whatever else was under way would have come by now.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let found = cloud.find(&order.owner).await.unwrap();
    assert_eq!(found.iter().map(|vm| &vm.id).collect::<Vec<_>>(), [&vm.id]);
    take_away(cloud.as_ref(), "late").await;
    Ok(())
}

async fn the_same_order_with_other_user_data_is_the_same_vm(bed: &impl Bed) -> Done {
    let cloud = bed.driver();
    let order = bed.order("same", "uid-1");
    let first = buy(cloud.as_ref(), &order).await.unwrap();
    let other = Order { user_data: "#cloud-config\nruncmd: [other]\n".into(), ..order };
    let second = buy(cloud.as_ref(), &other).await.unwrap();
    assert_eq!(first.id, second.id);
    take_away(cloud.as_ref(), "same").await;
    Ok(())
}

async fn of_twins_the_oldest_is_kept(bed: &impl Bed) -> Done {
    let cloud = bed.driver();
    let order = bed.order("twins", "uid-1");
    let oldest = buy(cloud.as_ref(), &order).await.unwrap();
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    let twin = bed.twin(&order).await?;
    assert_eq!(cloud.find(&order.owner).await.unwrap().len(), 2);
    assert_eq!(buy(cloud.as_ref(), &order).await.unwrap().id, oldest.id);
    for _ in 0..80 {
        if !bed.exists(&twin).await {
            break;
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    assert!(!bed.exists(&twin).await && bed.exists(&oldest.id).await);
    take_away(cloud.as_ref(), "twins").await;
    Ok(())
}

fn lives(state: &VmState) -> bool {
    matches!(state, VmState::Building | VmState::Active | VmState::Unknown)
}

async fn a_vm_that_lists_lack_lives_on(bed: &impl Bed) -> Done {
    let cloud = bed.driver();
    let vm = buy(cloud.as_ref(), &bed.order("hidden", "uid-1")).await.unwrap();
    listed(cloud.as_ref(), "hidden", "uid-1", |s| *s == VmState::Active).await;
    bed.hide(&vm.id, Duration::from_secs(5)).await?;
    for _ in 0..2 {
        listed(cloud.as_ref(), "hidden", "uid-1", lives).await;
        assert!(cloud.get(&vm.id).await.unwrap().is_some(), "whoever asks for it hears that it is there");
    }
    listed(cloud.as_ref(), "hidden", "uid-1", |s| *s == VmState::Active).await;
    take_away(cloud.as_ref(), "hidden").await;
    let gone = cloud.get(&vm.id).await.unwrap();
    assert!(gone.is_none_or(|vm| vm.released), "and when it is gone, that it is gone");
    Ok(())
}

async fn a_partial_list_ends_nothing(bed: &impl Bed) -> Done {
    let cloud = bed.driver();
    let vm = buy(cloud.as_ref(), &bed.order("partial", "uid-1")).await.unwrap();
    listed(cloud.as_ref(), "partial", "uid-1", |s| *s == VmState::Active).await;
    bed.partial_list(true).await?;
    for _ in 0..3 {
        // A list may fail; it may not lack a VM that it had.
        if let Ok(vms) = cloud.list("partial").await {
            assert!(vms.iter().any(|seen| seen.id == vm.id && lives(&seen.state)), "{vms:?}");
        }
        assert_ne!(cloud.get(&vm.id).await, Ok(None), "nobody knows, and nobody says that it is gone");
    }
    bed.partial_list(false).await?;
    listed(cloud.as_ref(), "partial", "uid-1", |s| *s == VmState::Active).await;
    take_away(cloud.as_ref(), "partial").await;
    Ok(())
}

async fn whoever_starts_again_asks_for_what_a_list_lacks(bed: &impl Bed) -> Done {
    let cloud = bed.driver();
    let restarted = bed.restarted()?;
    let vm = buy(cloud.as_ref(), &bed.order("restarted", "uid-1")).await.unwrap();
    listed(cloud.as_ref(), "restarted", "uid-1", |s| *s == VmState::Active).await;
    bed.partial_list(true).await?;
    if let Ok(vms) = restarted.list("restarted").await {
        assert_eq!(vms, [], "the list is not to be believed");
    }
    assert_ne!(restarted.get(&vm.id).await, Ok(None));
    bed.partial_list(false).await?;
    for _ in 0..80 {
        if restarted.get(&vm.id).await.is_ok_and(|vm| vm.is_some()) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    assert!(restarted.get(&vm.id).await.unwrap().is_some());
    take_away(cloud.as_ref(), "restarted").await;
    Ok(())
}

async fn power_off_is_seen(bed: &impl Bed) -> Done {
    let cloud = bed.driver();
    let vm = buy(cloud.as_ref(), &bed.order("off", "uid-1")).await.unwrap();
    listed(cloud.as_ref(), "off", "uid-1", |s| *s == VmState::Active).await;
    bed.power_off(&vm.id).await?;
    listed(cloud.as_ref(), "off", "uid-1", |s| *s == VmState::Ended(End::PoweredOff)).await;
    take_away(cloud.as_ref(), "off").await;
    Ok(())
}

async fn reclaim_and_power_off_are_told_apart(bed: &impl Bed) -> Done {
    let cloud = bed.driver();
    let vm = buy(cloud.as_ref(), &bed.order_on_spot("reclaim", "uid-1")).await.unwrap();
    listed(cloud.as_ref(), "reclaim", "uid-1", |s| *s == VmState::Active).await;
    let outcome = bed.reclaim(&vm.id).await;
    if outcome.is_ok() {
        listed(cloud.as_ref(), "reclaim", "uid-1", |s| *s == VmState::Ended(End::Reclaimed)).await;
    }
    take_away(cloud.as_ref(), "reclaim").await;
    outcome
}

fn scope_of(outcome: &Result<Vm, CloudError>) -> Option<Scope> {
    match outcome {
        Err(CloudError::NoCapacity { scope, .. } | CloudError::Quota { scope, .. }) => Some(*scope),
        _ => None,
    }
}

async fn a_refused_offer_spares_other_flavors(bed: &impl Bed) -> Done {
    let own = bed.order("refused", "uid-1").choices.remove(0);
    covers_its_scope_and_nothing_else(bed, Scope::Offer, own, Some(bed.other_flavor())).await
}

async fn a_refused_zone_spares_other_zones(bed: &impl Bed) -> Done {
    covers_its_scope_and_nothing_else(bed, Scope::Zone, bed.other_flavor(), Some(bed.other_zone()?)).await
}

async fn a_refused_class_spares_other_classes(bed: &impl Bed) -> Done {
    covers_its_scope_and_nothing_else(bed, Scope::Class, bed.other_flavor(), Some(bed.other_class()?)).await
}

async fn a_refused_cloud_sells_nothing(bed: &impl Bed) -> Done {
    covers_its_scope_and_nothing_else(bed, Scope::Cloud, bed.other_flavor(), None).await
}

/// Refuses what is like the bed's own choice: a choice that this covers is refused with that scope, another is had meanwhile, and
/// afterwards both.
async fn covers_its_scope_and_nothing_else(
    bed: &impl Bed,
    scope: Scope,
    covered: Choice,
    other: Option<Choice>,
) -> Done {
    let cloud = bed.driver();
    let order = |uid: &str, choice: Choice| Order {
        choices: vec![choice],
        ..bed.order("refused", &format!("{scope:?}-{uid}"))
    };
    bed.refuse(scope, &bed.order("refused", "uid-1").choices[0]).await?;
    let refused = order("uid-1", covered);
    let outcome = buy(cloud.as_ref(), &refused).await;
    assert_eq!(scope_of(&outcome), Some(scope), "{outcome:?}");
    if let Some(other) = other {
        buy(cloud.as_ref(), &order("uid-2", other)).await.expect("what the refusal does not cover is had");
    }
    bed.relent().await;
    buy(cloud.as_ref(), &refused).await.expect("it is refused no more");
    take_away(cloud.as_ref(), "refused").await;
    Ok(())
}

async fn silence_at_one_cloud_delays_no_other(bed: &impl Bed) -> Done {
    let (hung, other) = (bed.driver(), bed.another());
    other.list("silent").await.unwrap();
    bed.silence(true).await?;
    let calls: Vec<_> = (0..20)
        .map(|n| {
            let (cloud, order) = (hung.clone(), bed.order("silent", &format!("uid-{n}")));
            tokio::spawn(async move {
                let begun = Instant::now();
                let outcome = cloud.create(&order).await;
                (outcome, begun.elapsed())
            })
        })
        .collect();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let begun = Instant::now();
    other.list("silent").await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    tokio::time::sleep(Duration::from_secs(4)).await;
    let held = calls.iter().filter(|call| !call.is_finished()).count();
    assert!(held <= 8, "of twenty callers {held} are held by a cloud that does not answer");
    for call in calls {
        if call.is_finished() {
            let (outcome, waited) = call.await.unwrap();
            assert!(matches!(outcome, Err(CloudError::Throttled { .. })), "{outcome:?}");
            assert!(waited < Duration::from_secs(4), "{waited:?}");
        } else {
            call.abort();
        }
    }
    bed.silence(false).await?;
    for _ in 0..80 {
        if hung.list("silent").await.is_ok() {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    panic!("the cloud answers, and its driver does not notice");
}
