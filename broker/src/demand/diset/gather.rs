//! Gathers what is asked for one by one at nearly the same time, so that it goes to DIRAC in one call.

use std::{
    mem,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures::{
    FutureExt,
    future::{BoxFuture, Shared, WeakShared},
};

/// Gathers items of type `I` into calls whose outcome is an `O`.
///
/// The first item opens a gathering, which takes items for a set time and then goes in one call. All who gave an item wait for that
/// call and drive it together: there is no task of its own, so it stops when all of them have gone, and goes on when only the first
/// has.
pub struct Gatherer<I, O> {
    /// How long a gathering takes items.
    window: Duration,
    /// The most items of one call.
    most: usize,
    /// The gathering that was opened last.
    last: Mutex<Option<Gathering<I, O>>>,
}

struct Gathering<I, O> {
    items: Items<I>,
    outcome: WeakShared<BoxFuture<'static, Arc<O>>>,
}

/// The items of a gathering; `None` once its call has begun.
type Items<I> = Arc<Mutex<Option<Vec<I>>>>;

impl<I: Send + 'static, O: Send + Sync + 'static> Gatherer<I, O> {
    /// A gatherer that waits `window` for more, and makes calls of at most `most` items.
    pub fn new(window: Duration, most: usize) -> Self {
        Self { window, most, last: Mutex::default() }
    }

    /// The outcome of the call in which `item` goes. `call` makes it; of the items of one gathering, the first one's is used.
    pub async fn with<F>(&self, item: I, call: impl FnOnce(Vec<I>) -> F + Send + 'static) -> Arc<O>
    where
        F: Future<Output = O> + Send + 'static,
    {
        self.join(item, call).await
    }

    fn join<F>(&self, item: I, call: impl FnOnce(Vec<I>) -> F + Send + 'static) -> Shared<BoxFuture<'static, Arc<O>>>
    where
        F: Future<Output = O> + Send + 'static,
    {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        // One that all others have left takes nothing more: its items are no longer wanted.
        if let Some(gathering) = &*last
            && let Some(outcome) = gathering.outcome.upgrade()
            && let Some(items) = &mut *gathering.items.lock().unwrap_or_else(PoisonError::into_inner)
            && items.len() < self.most
        {
            items.push(item);
            return outcome;
        }
        let items: Items<I> = Arc::new(Mutex::new(Some(vec![item])));
        let (window, taken) = (self.window, items.clone());
        let outcome = async move {
            tokio::time::sleep(window).await;
            let items = mem::take(&mut *taken.lock().unwrap_or_else(PoisonError::into_inner));
            Arc::new(call(items.unwrap_or_default()).await)
        };
        let outcome = outcome.boxed().shared();
        *last = outcome.downgrade().map(|outcome| Gathering { items, outcome });
        outcome
    }
}

#[cfg(test)]
mod tests {
    use futures::future::join_all;

    use super::*;

    const WINDOW: Duration = Duration::from_millis(100);

    /// A gatherer, the items of the calls that were made, and a way to give it an item.
    #[derive(Clone)]
    struct Bench(Arc<Gatherer<u32, Vec<u32>>>, Arc<Mutex<Vec<Vec<u32>>>>);

    impl Bench {
        fn new(most: usize) -> Self {
            Self(Arc::new(Gatherer::new(WINDOW, most)), Arc::default())
        }

        async fn ask(&self, item: u32) -> Arc<Vec<u32>> {
            let calls = self.1.clone();
            let call = move |items: Vec<u32>| async move {
                calls.lock().unwrap().push(items.clone());
                tokio::time::sleep(WINDOW).await;
                items
            };
            self.0.with(item, call).await
        }

        fn calls(&self) -> Vec<Vec<u32>> {
            self.1.lock().unwrap().clone()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_asked_within_the_window_goes_in_one_call_and_all_get_its_outcome() {
        let bench = Bench::new(1_000);
        let outcomes = join_all((0..50).map(|n| {
            let bench = bench.clone();
            async move {
                tokio::time::sleep(WINDOW * n / 60).await;
                bench.ask(n).await
            }
        }))
        .await;
        assert_eq!(bench.calls(), [(0..50).collect::<Vec<_>>()]);
        assert!(outcomes.iter().all(|outcome| outcome.len() == 50));
    }

    #[tokio::test(start_paused = true)]
    async fn what_comes_after_the_call_has_begun_goes_in_the_next() {
        let bench = Bench::new(1_000);
        let late = async {
            tokio::time::sleep(WINDOW * 3 / 2).await;
            bench.ask(2).await
        };
        tokio::join!(bench.ask(1), late);
        assert_eq!(bench.calls(), [[1], [2]]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_has_no_more_items_than_it_may() {
        let bench = Bench::new(2);
        join_all((0..5).map(|n| bench.ask(n))).await;
        assert_eq!(bench.calls(), [vec![0, 1], vec![2, 3], vec![4]]);
    }

    #[tokio::test(start_paused = true)]
    async fn the_others_get_their_outcome_when_the_first_goes_away() {
        let bench = Bench::new(1_000);
        let first = tokio::time::timeout(WINDOW / 2, bench.ask(1));
        let (first, second) = tokio::join!(first, bench.ask(2));
        assert!(first.is_err());
        assert!(second.contains(&2));
    }

    #[tokio::test(start_paused = true)]
    async fn what_all_have_left_is_not_called_and_takes_nobody_with_it() {
        let bench = Bench::new(1_000);
        assert!(tokio::time::timeout(WINDOW / 2, bench.ask(1)).await.is_err());
        assert_eq!(*bench.ask(2).await, [2]);
        assert_eq!(bench.calls(), [[2]]);
    }
}
