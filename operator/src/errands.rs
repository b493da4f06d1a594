//! Errands: calls that must not be cut off once they are sent, because nobody would know what came of them. They go on where the task
//! that waits for them is dropped, and the operator does not end before they have.

use std::{
    mem,
    sync::{Mutex, PoisonError},
};

use tokio::{
    sync::{oneshot, watch},
    task::JoinSet,
};

/// The errands that run now, and whether the operator is to stop.
#[derive(Debug, Default)]
pub struct Errands {
    running: Mutex<JoinSet<()>>,
    stop: watch::Sender<bool>,
}

impl Errands {
    /// Runs an errand to its end. `None`: the operator stops, and it was not begun; or it panicked.
    pub async fn carry<T: Send + 'static>(&self, errand: impl Future<Output = T> + Send + 'static) -> Option<T> {
        if *self.stop.borrow() {
            return None;
        }
        let (sender, outcome) = oneshot::channel();
        {
            let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
            while running.try_join_next().is_some() {}
            running.spawn(async move {
                // Whoever waited may be gone.
                let _ = sender.send(errand.await);
            });
        }
        outcome.await.ok()
    }

    /// No new errand is begun from now on.
    pub fn stop(&self) {
        self.stop.send_replace(true);
    }

    /// Waits until the operator is to stop.
    pub fn stopped(&self) -> impl Future<Output = ()> + Send + Sync + use<> {
        let mut stop = self.stop.subscribe();
        async move {
            // The sender lives as long as the operator: where it is gone, everything stops too.
            let _ = stop.wait_for(|stop| *stop).await;
        }
    }

    /// Waits until no errand runs. None may be begun meanwhile.
    pub async fn done(&self) {
        let mut running = mem::take(&mut *self.running.lock().unwrap_or_else(PoisonError::into_inner));
        while running.join_next().await.is_some() {}
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{
            Arc,
            atomic::{AtomicBool, Ordering},
        },
        time::Duration,
    };

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_errand_goes_on_when_whoever_waits_for_it_is_dropped_and_is_waited_for() {
        let errands = Errands::default();
        let done = Arc::new(AtomicBool::new(false));
        let sent = done.clone();
        let post = async move {
            tokio::time::sleep(Duration::from_secs(50)).await;
            sent.store(true, Ordering::SeqCst);
        };
        assert!(
            tokio::time::timeout(Duration::from_secs(1), errands.carry(post)).await.is_err(),
            "the waiter is dropped"
        );
        errands.stop();
        errands.stopped().await;
        errands.done().await;
        assert!(done.load(Ordering::SeqCst));
    }

    #[tokio::test]
    async fn no_errand_is_begun_once_the_operator_stops() {
        let errands = Errands::default();
        assert_eq!(errands.carry(async { 1 }).await, Some(1));
        errands.stop();
        assert_eq!(errands.carry(async { 2 }).await, None);
    }
}
