//! What happens when: a heap of events. Of two at one moment the one that was set first happens first.

use std::{cmp::Ordering, collections::BinaryHeap};

use crate::time::Ms;

struct Item<E> {
    at: Ms,
    number: u64,
    event: E,
}

impl<E> Ord for Item<E> {
    fn cmp(&self, other: &Self) -> Ordering {
        // The heap gives the greatest first.
        (other.at, other.number).cmp(&(self.at, self.number))
    }
}
impl<E> PartialOrd for Item<E> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl<E> PartialEq for Item<E> {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}
impl<E> Eq for Item<E> {}

/// Events in the order of their time.
pub struct Heap<E> {
    items: BinaryHeap<Item<E>>,
    now: Ms,
    set: u64,
}

impl<E> Default for Heap<E> {
    /// Nothing is set, and no time has passed.
    fn default() -> Self {
        Self { items: BinaryHeap::default(), now: 0, set: 0 }
    }
}

impl<E> Heap<E> {
    /// The time of the event that was taken last.
    pub fn now(&self) -> Ms {
        self.now
    }

    /// Sets an event. What is set for the past happens now.
    pub fn set(&mut self, at: Ms, event: E) {
        self.items.push(Item { at: at.max(self.now), number: self.set, event });
        self.set += 1;
    }

    /// Sets an event after this time from now.
    pub fn after(&mut self, wait: Ms, event: E) {
        self.set(self.now.saturating_add(wait), event);
    }

    /// Takes the next event, if there is one up to and including `end`. Time moves to it.
    pub fn next(&mut self, end: Ms) -> Option<E> {
        if self.items.peek()?.at > end {
            return None;
        }
        let item = self.items.pop()?;
        self.now = item.at;
        Some(item.event)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_in_the_order_of_time_and_then_as_they_were_set() {
        let mut heap = Heap::default();
        for (at, event) in [(5, "c"), (1, "a"), (5, "d"), (2, "b"), (9, "late")] {
            heap.set(at, event);
        }
        assert_eq!(std::iter::from_fn(|| heap.next(8)).collect::<String>(), "abcd");
        heap.set(3, "past");
        assert_eq!((heap.next(8), heap.now()), (Some("past"), 5), "time does not go back");
    }
}
