//! A map that is bounded: when it is full, what was not heard of for the longest time is forgotten.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The most entries.
pub const MOST: usize = 4096;
/// This many are forgotten at once, so that the oldest need not be looked for each time.
const AT_ONCE: usize = MOST / 16;

/// A bounded map, written as a list of entries, since keys are more than a word.
#[derive(Clone, Debug, PartialEq)]
pub struct Kept<K, V>(BTreeMap<K, (Timestamp, V)>);

impl<K, V> Default for Kept<K, V> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<K: Ord + Clone, V> Kept<K, V> {
    /// The value of this key; `None`: there is none, or it was forgotten.
    pub fn get(&self, key: &K) -> Option<&V> {
        self.0.get(key).map(|(_, value)| value)
    }

    /// What is kept of this key, to be changed, if there is anything. It was heard of now.
    pub fn get_mut(&mut self, key: &K, now: Timestamp) -> Option<&mut V> {
        self.0.get_mut(key).map(|(heard, value)| {
            *heard = now;
            value
        })
    }

    /// What is kept of this key, to be changed; `first` where nothing is. It was heard of now.
    pub fn entry(&mut self, key: &K, now: Timestamp, first: impl FnOnce() -> V) -> &mut V {
        if !self.0.contains_key(key) && self.0.len() >= MOST {
            self.forget_oldest();
        }
        let (heard, value) = self.0.entry(key.clone()).or_insert_with(|| (now, first()));
        *heard = now;
        value
    }

    /// Forgets a key.
    pub fn remove(&mut self, key: &K) {
        self.0.remove(key);
    }

    /// Keeps the entries for which `keep` holds.
    pub fn retain(&mut self, mut keep: impl FnMut(&K, &mut V) -> bool) {
        self.0.retain(|key, (_, value)| keep(key, value));
    }

    /// All entries, in the order of the keys.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.0.iter().map(|(key, (_, value))| (key, value))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn forget_oldest(&mut self) {
        let mut by_age: Vec<(Timestamp, K)> = self.0.iter().map(|(key, (heard, _))| (*heard, key.clone())).collect();
        by_age.sort();
        for (_, key) in by_age.into_iter().take(AT_ONCE) {
            self.0.remove(&key);
        }
    }
}

impl<K: Serialize, V: Serialize> Serialize for Kept<K, V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(|(key, (heard, value))| (key, heard, value)))
    }
}

impl<'de, K: Deserialize<'de> + Ord, V: Deserialize<'de>> Deserialize<'de> for Kept<K, V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let entries = Vec::<(K, Timestamp, V)>::deserialize(deserializer)?;
        // Whoever wrote them was bounded too; what was written by hand is bounded here.
        Ok(Self(entries.into_iter().take(MOST).map(|(key, heard, value)| (key, (heard, value))).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::{super::moment::after, *};

    #[test]
    fn when_it_is_full_the_longest_unheard_of_are_forgotten() {
        let at = |second| after(Timestamp::UNIX_EPOCH, second);
        let mut kept: Kept<u64, u64> = Kept::default();
        for n in 0..20_000 {
            *kept.entry(&n, at(n), || 0) = n;
            kept.get_mut(&0, at(n));
            assert!(kept.len() <= MOST);
        }
        assert!(kept.get(&19_999).is_some() && kept.get(&0).is_some(), "what is heard of stays");
        assert!(kept.get(&1).is_none());
    }

    #[test]
    fn it_can_be_written_and_read_again() {
        let mut kept: Kept<(String, Option<u8>), u64> = Kept::default();
        *kept.entry(&("a".into(), None), Timestamp::UNIX_EPOCH, || 0) = 7;
        let text = serde_json::to_string(&kept).unwrap();
        assert_eq!(serde_json::from_str::<Kept<_, _>>(&text).unwrap(), kept);
    }
}
