//! Whether a change of an object is news for those who work for it. Our own write of its status is not. Pure.

use std::collections::{BTreeMap, HashMap};

use kube::Resource;

use crate::names::{Key, deleting};

/// What was last seen of each object.
#[derive(Debug, Default)]
pub struct News(HashMap<Key, Mark>);

/// What a person or a pipeline changes.
#[derive(Debug, PartialEq, Eq)]
struct Mark {
    uid: Option<String>,
    generation: Option<i64>,
    annotations: Option<BTreeMap<String, String>>,
    deleting: bool,
}

impl News {
    /// Whether the object is another than it was when this was asked last: its spec, its annotations, that it is deleted or gone.
    pub fn of<K: Resource>(&mut self, key: &Key, object: Option<&K>) -> bool {
        let Some(object) = object else { return self.0.remove(key).is_some() };
        let meta = object.meta();
        let mark = Mark {
            uid: meta.uid.clone(),
            generation: meta.generation,
            annotations: meta.annotations.clone(),
            deleting: deleting(object),
        };
        let is_news = self.0.get(key) != Some(&mark);
        self.0.insert(key.clone(), mark);
        is_news
    }

    /// Forgets the objects that `keep` does not name.
    pub fn retain(&mut self, keep: impl Fn(&Key) -> bool) {
        self.0.retain(|key, _| keep(key));
    }
}

#[cfg(test)]
mod tests {
    use crds::{Cloud, cloud::CloudSpec};
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

    use super::*;

    fn cloud() -> Cloud {
        let mut cloud = Cloud::new("c", CloudSpec::default());
        cloud.metadata.generation = Some(1);
        cloud
    }
    fn key() -> Key {
        Key { namespace: "demo".into(), name: "c".into() }
    }

    #[test]
    fn our_own_write_of_a_status_is_no_news() {
        let (mut news, mut seen) = (News::default(), cloud());
        assert!(news.of(&key(), Some(&seen)));
        seen.status = Some(crds::cloud::CloudStatus { vms: 3, ..Default::default() });
        seen.metadata.resource_version = Some("12".into());
        assert!(!news.of(&key(), Some(&seen)));
    }

    #[test]
    fn a_new_spec_an_annotation_a_deletion_and_another_object_of_the_name_are_news() {
        let changes: [fn(&mut Cloud); 4] = [
            |c| c.metadata.generation = Some(2),
            |c| c.metadata.annotations = Some([("a".to_owned(), "b".to_owned())].into()),
            |c| c.metadata.deletion_timestamp = Some(Time(jiff::Timestamp::UNIX_EPOCH)),
            |c| c.metadata.uid = Some("another".into()),
        ];
        for change in changes {
            let (mut news, mut seen) = (News::default(), cloud());
            news.of(&key(), Some(&seen));
            change(&mut seen);
            assert!(news.of(&key(), Some(&seen)));
            assert!(!news.of(&key(), Some(&seen)));
        }
    }

    #[test]
    fn that_an_object_went_is_news_once() {
        let mut news = News::default();
        news.of(&key(), Some(&cloud()));
        assert!(news.of::<Cloud>(&key(), None) && !news.of::<Cloud>(&key(), None));
    }
}
