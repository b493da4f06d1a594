//! The paces at which providers are asked. A pace outlives the driver that keeps it: what a provider said under one credential holds under
//! the next, and for every Cloud of the same project.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use broker::cloud::{Pace, Rate};

use crate::names::Key;

/// The paces, by whom they are kept towards.
#[derive(Default)]
pub struct Paces(Mutex<HashMap<Whom, Kept>>);

/// Towards whom a pace is kept, at one address.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Whom {
    /// A project, as the provider itself named it.
    Project(String, String),
    /// The project of this Cloud, which nobody has named yet.
    Unnamed(String, Key),
}

struct Kept {
    pace: Arc<Pace>,
    cloud: Key,
}

impl Paces {
    /// The pace of a Cloud towards the provider at this address, with this rate from now on. `project` is its id as the provider has told
    /// it: what a manifest claims would let one tenant slow down another.
    pub fn of(&self, cloud: &Key, address: &str, project: Option<&str>, rate: Rate) -> Arc<Pace> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let unnamed = Whom::Unnamed(address.to_owned(), cloud.clone());
        let named = project.map(|project| Whom::Project(address.to_owned(), project.to_owned()));
        let known = named.as_ref().and_then(|named| all.get(named)).or_else(|| all.get(&unnamed));
        let pace = known.map_or_else(|| Arc::new(Pace::new(rate)), |kept| kept.pace.clone());
        pace.adjust(rate);
        for whom in named.into_iter().chain([unnamed]) {
            all.insert(whom, Kept { pace: pace.clone(), cloud: cloud.clone() });
        }
        pace
    }

    /// Forgets the paces of Clouds that `keep` does not name, unless their provider wants silence now: a Cloud that is deleted and made
    /// again keeps it.
    pub fn retain(&self, keep: impl Fn(&Key) -> bool) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, kept| keep(&kept.cloud) || kept.pace.is_silent());
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use broker::cloud::{CloudError, pace::Action};

    use super::*;

    fn cloud(name: &str) -> Key {
        Key { namespace: "demo".into(), name: name.into() }
    }
    async fn silence(pace: &Pace) {
        let wanted = CloudError::Throttled { message: String::new(), retry_after: Some(Duration::from_secs(3_600)) };
        pace.turn("nova", Action::List).await.unwrap().answered(Some(&wanted));
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_provider_said_holds_for_the_next_driver_whatever_its_credential_and_when_its_project_is_learnt() {
        let (paces, rate) = (Paces::default(), Rate::default());
        silence(&paces.of(&cloud("c"), "https://a", None, rate)).await;
        assert!(paces.of(&cloud("c"), "https://a", None, rate).is_silent(), "another credential");
        assert!(paces.of(&cloud("c"), "https://a", Some("p"), rate).is_silent(), "its project is known now");
        assert!(paces.of(&cloud("d"), "https://a", Some("p"), rate).is_silent(), "another Cloud of the project");
        assert!(!paces.of(&cloud("e"), "https://a", None, rate).is_silent(), "it may be another project");
        assert!(!paces.of(&cloud("c"), "https://b", Some("p"), rate).is_silent(), "another provider");
    }

    #[tokio::test(start_paused = true)]
    async fn a_cloud_that_is_gone_is_forgotten_when_its_silence_is_over() {
        let (paces, rate) = (Paces::default(), Rate::default());
        silence(&paces.of(&cloud("c"), "https://a", None, rate)).await;
        paces.retain(|_| false);
        assert!(paces.of(&cloud("c"), "https://a", None, rate).is_silent());
        tokio::time::advance(Duration::from_secs(3_600)).await;
        paces.retain(|_| false);
        assert!(paces.0.lock().unwrap().is_empty());
    }
}
