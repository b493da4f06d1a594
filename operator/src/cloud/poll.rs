//! One cloud's poller: everything that is asked of the provider regularly is asked here, and nowhere else.
//!
//! Three loops: one lists VMs, one reads what is on offer and how much may be bought, one listens to what the provider announces. Each
//! call ends in time, and no loop waits for another: a slow image service delays no list.

use std::{future::Future, sync::Arc, time::Duration};

use broker::{
    clock::moment,
    cloud::{Cloud, CloudError, Wanted},
};
use tokio::sync::watch;

use super::{
    bounded::in_time,
    collect::Collector,
    driver::Driven,
    finalizer,
    notices::listen,
    schedule::{Intervals, Looks, Rest, rest, rest_without_driver},
    sight::Sighted,
    wanted::{covers, wanted},
};
use crate::{
    context::Context,
    known::{
        cloud::{Handle, Question},
        listing::Listing,
    },
    names::Key,
};

/// A call that has no answer after this time is given up. A list of 20,000 VMs has many pages.
const LONGEST_CALL: Duration = Duration::from_secs(300);

/// Each half of a turn, the offers and the list, ends within this time: some tens of calls of a minute.
const TURN: Duration = Duration::from_secs(1_800);

/// Polls until dropped.
pub async fn poll(ctx: Arc<Context>, key: Key) {
    let handle = ctx.state.clouds.get(&key);
    let (driven, offers) = watch::channel(());
    let notices = driven.subscribe();
    tokio::join!(
        list_vms(&ctx, &key, &handle, &driven),
        read_offers(&ctx, &key, &handle, offers),
        listen(&ctx, &key, &handle, notices)
    );
}

async fn list_vms(ctx: &Context, key: &Key, handle: &Handle, driven: &watch::Sender<()>) {
    let intervals = Intervals::of(&ctx.args);
    let (mut driver, mut collector, mut sighted) = (Driven::default(), Collector::default(), Sighted::default());
    let mut not_driven = 0;
    let pulse = ctx.progress.begins(format!("cloud {key}"), TURN);
    loop {
        let cloud = ctx.state.stores.clouds.get(key);
        if let Some(cloud) = &cloud
            && driver.refresh(ctx, cloud, handle).await
        {
            driven.send_replace(());
        }
        let pause = match handle.facts().driver {
            None => {
                not_driven += 1;
                rest_without_driver(not_driven - 1, intervals)
            }
            Some(driver) => {
                not_driven = 0;
                let began = moment();
                let listed = list(ctx, driver.as_ref(), handle).await;
                let took = began.elapsed();
                let mut is_busy = false;
                if let Ok(listing) = &listed {
                    is_busy = sighted.see(ctx, key, handle, listing).await;
                    collector.collect(ctx, key, driver.as_ref(), handle, listing).await;
                } else if let Err(error) = &listed {
                    tracing::warn!(cloud = %key, reason = error.reason(), %error, "the VMs could not be listed");
                }
                rest(listed.as_ref().map(|_| ()), took, is_busy, intervals)
            }
        };
        pulse.beat();
        if let Some(cloud) = &cloud {
            finalizer::settle(ctx, cloud).await;
        }
        ctx.bells.tell_statuses();
        pulse.rests(sleep(ctx, key, pause)).await;
    }
}

async fn sleep(ctx: &Context, key: &Key, rest: Rest) {
    tokio::time::sleep(rest.at_least).await;
    tokio::select! {
        () = ctx.bells.to_poll(key) => {}
        () = tokio::time::sleep(rest.at_most.saturating_sub(rest.at_least)) => {}
    }
}

async fn list(ctx: &Context, driver: &dyn Cloud, handle: &Handle) -> Result<Arc<Listing>, CloudError> {
    let started = ctx.clock.now();
    let vms = asked(handle, Question::List, driver.list(&ctx.state.cluster)).await?;
    let listing = Arc::new(Listing::new(started, vms, driver.settle()));
    handle.update(|f| f.listing = Some(listing.clone()));
    handle.forget_announced(&listing);
    Ok(listing)
}

/// Reads what is on offer and how much may be bought, each in its time, and both when the driver is new.
async fn read_offers(ctx: &Context, key: &Key, handle: &Handle, mut driven: watch::Receiver<()>) {
    let intervals = Intervals::of(&ctx.args);
    let (mut looks, mut asked_for) = (Looks::default(), Wanted::default());
    let pulse = ctx.progress.begins(format!("offers of {key}"), TURN);
    loop {
        let Some(driver) = handle.facts().driver else {
            if pulse.rests(driven.changed()).await.is_err() {
                return;
            }
            continue;
        };
        let wants = wanted(&key.name, &ctx.state.stores.pools.within(&key.namespace));
        if !covers(&asked_for, &wants) {
            looks.offers_are_due();
        }
        while let Some(question) = looks.due(moment()) {
            let answer = match question {
                Question::Offers => {
                    asked_for = wants.clone();
                    read_what(ctx, key, driver.as_ref(), handle, &wants, &mut looks, intervals).await
                }
                _ => read_how_much(ctx, key, driver.as_ref(), handle, &mut looks, intervals).await,
            };
            if let Err(error) = answer {
                tracing::warn!(cloud = %key, ?question, reason = error.reason(), %error, "the cloud did not answer");
                looks.failed(question, &error, intervals, moment());
            }
            ctx.bells.tell_statuses();
        }
        let rest = looks.rest(moment()).min(intervals.busy);
        if pulse.rests(tokio::time::timeout(rest, driven.changed())).await.is_ok() {
            looks = Looks::default();
        } else if matches!(handle.facts().refused, Some(CloudError::Unauthorized(_))) {
            looks.reread_offers(intervals, moment());
        }
    }
}

async fn read_what(
    ctx: &Context,
    key: &Key,
    driver: &dyn Cloud,
    handle: &Handle,
    wants: &Wanted,
    looks: &mut Looks,
    intervals: Intervals,
) -> Result<(), CloudError> {
    let offers = asked(handle, Question::Offers, driver.offers(wants)).await?;
    looks.offers_read(offers.missing.is_empty(), intervals, moment());
    let before = handle.facts().offers;
    let is_news = before.is_some_and(|before| before.offers != offers.offers);
    handle.update(|f| (f.offers, f.wanted) = (Some(Arc::new(offers)), Arc::new(wants.clone())));
    if is_news {
        replan(ctx, key);
    }
    // A credential that was refused at a launch may be good again: the next launch tells.
    handle.answered(Question::Launch, moment());
    Ok(())
}

async fn read_how_much(
    ctx: &Context,
    key: &Key,
    driver: &dyn Cloud,
    handle: &Handle,
    looks: &mut Looks,
    intervals: Intervals,
) -> Result<(), CloudError> {
    let started = ctx.clock.now();
    let headroom = asked(handle, Question::Headroom, driver.headroom()).await?;
    looks.headroom_read(intervals, moment());
    let before = handle.facts().headroom;
    let has_more = before.as_ref().is_some_and(|(_, before)| headroom.has_more_than(before));
    handle.update(|f| {
        f.headroom = Some((started, Arc::new(headroom)));
        f.headroom_read = Some(moment());
    });
    if has_more {
        handle.may_have_room(&key.name, ctx.clock.now());
    }
    if before.is_none() {
        replan(ctx, key);
    }
    Ok(())
}

/// Jobs may have waited for this cloud to be known.
fn replan(ctx: &Context, key: &Key) {
    for installation in ctx.state.stores.installations.within(&key.namespace) {
        ctx.bells.plan(&Key::of(installation.as_ref()));
    }
}

/// Asks, and takes note whether there was an answer.
async fn asked<T>(
    handle: &Handle,
    question: Question,
    call: impl Future<Output = Result<T, CloudError>>,
) -> Result<T, CloudError> {
    let answer = in_time(LONGEST_CALL, call).await;
    match &answer {
        Ok(_) => handle.answered(question, moment()),
        Err(error) => handle.not_answered(question, error, moment()),
    }
    answer
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_provider_that_never_answers_costs_a_bounded_time_and_is_known_not_to_answer() {
        let handle = Handle::default();
        let began = Instant::now();
        let answer = asked(&handle, Question::List, std::future::pending::<Result<(), CloudError>>()).await;
        assert!(answer.unwrap_err().to_string().contains("no answer within 300 s"));
        assert_eq!(began.elapsed(), LONGEST_CALL);
        assert!(handle.facts().refused.is_some());
    }

    #[tokio::test]
    async fn an_answer_is_taken_note_of_for_its_question_alone() {
        let handle = Handle::default();
        let refused = || CloudError::Transient("a gateway".into());
        asked(&handle, Question::List, async { Err::<(), _>(refused()) }).await.unwrap_err();
        asked(&handle, Question::Headroom, async { Ok(()) }).await.unwrap();
        assert_eq!(handle.facts().refused, Some(refused()));
        asked(&handle, Question::List, async { Ok(()) }).await.unwrap();
        assert_eq!(handle.facts().refused, None);
    }
}
