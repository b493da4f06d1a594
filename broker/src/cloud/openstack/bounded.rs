//! An answer's bytes as a value of a type: only what is named is kept, and every list has a bound.
//!
//! Few bytes can make a large value: `"",` is three bytes and a string of 24. So what a hostile server answers is bounded in entries,
//! too, and never becomes a tree of everything that it said.

use std::{collections::BTreeMap, fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeSeed, Error, IgnoredAny, MapAccess, SeqAccess, Visitor},
};

/// Entries of a page that are read. Nova gives no more than a thousand at its usual limit (`max_limit`), and we ask for fewer.
const MOST: usize = 1_000;
/// Entries of what belongs to one of them: Nova takes 50 tags of a server.
const MOST_INNER: usize = 256;

/// The value below `key`, or the whole where there is none; what else the answer has is passed over.
pub fn under<'de, T: Deserialize<'de>>(key: Option<&str>, body: &'de [u8]) -> serde_json::Result<T> {
    let Some(key) = key else { return serde_json::from_slice(body) };
    let mut json = serde_json::Deserializer::from_slice(body);
    let value = Under { key, value: PhantomData }.deserialize(&mut json)?;
    json.end()?;
    Ok(value)
}

/// A list of a page's length at most.
#[derive(Debug)]
pub struct List<T>(pub Vec<T>);

/// For `deserialize_with`: a short list.
pub fn few<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Vec<T>, D::Error> {
    deserializer.deserialize_seq(Bounded { most: MOST_INNER, entry: PhantomData })
}

/// For `deserialize_with`: a list of a page's length at most.
pub fn page<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Vec<T>, D::Error> {
    deserializer.deserialize_seq(Bounded { most: MOST, entry: PhantomData })
}

/// For `deserialize_with`: a short map of texts.
pub fn texts<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, String>, D::Error> {
    deserializer.deserialize_map(Texts)
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        page(deserializer).map(Self)
    }
}

struct Under<'a, T> {
    key: &'a str,
    value: PhantomData<T>,
}

impl<'de, T: Deserialize<'de>> DeserializeSeed<'de> for Under<'_, T> {
    type Value = T;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<T, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de, T: Deserialize<'de>> Visitor<'de> for Under<'_, T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a map with {:?}", self.key)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<T, A::Error> {
        let mut found = None;
        while let Some(key) = map.next_key::<String>()? {
            if key == self.key && found.is_none() {
                found = Some(map.next_value()?);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        found.ok_or_else(|| A::Error::custom(format!("missing field `{}`", self.key)))
    }
}

struct Bounded<T> {
    most: usize,
    entry: PhantomData<T>,
}

impl<'de, T: Deserialize<'de>> Visitor<'de> for Bounded<T> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a list of at most {}", self.most)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<Vec<T>, A::Error> {
        let mut all = Vec::new();
        while let Some(entry) = entries.next_element()? {
            if all.len() == self.most {
                return Err(A::Error::custom("the list is too long"));
            }
            all.push(entry);
        }
        Ok(all)
    }
}

struct Texts;

impl<'de> Visitor<'de> for Texts {
    type Value = BTreeMap<String, String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map of texts")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut all = BTreeMap::new();
        while let Some((key, value)) = map.next_entry()? {
            if all.len() == MOST_INNER {
                return Err(A::Error::custom("the map is too long"));
            }
            all.insert(key, value);
        }
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize, PartialEq)]
    struct Thing {
        #[serde(default, deserialize_with = "few")]
        tags: Vec<String>,
        #[serde(default, deserialize_with = "texts")]
        specs: BTreeMap<String, String>,
    }

    #[test]
    fn what_is_not_named_is_passed_over() {
        let body = br#"{"huge": [[{"a": [1, 2]}]], "thing": {"tags": ["a"], "more": {"b": []}, "specs": {"k": "v"}}, "z": null}"#;
        let thing: Thing = under(Some("thing"), body).unwrap();
        assert_eq!((thing.tags.as_slice(), thing.specs["k"].as_str()), (&["a".to_owned()][..], "v"));
        let missing = under::<Thing>(Some("other"), body).unwrap_err().to_string();
        assert!(missing.starts_with("missing field `other`"), "{missing}");
        assert!(under::<Thing>(Some("thing"), br#"{"thing": {}} and more"#).is_err());
    }

    #[test]
    fn no_list_and_no_map_is_longer_than_its_bound() {
        let list = |n: usize| format!(r#"{{"things": [{}]}}"#, vec!["{}"; n].join(","));
        assert_eq!(under::<List<Thing>>(Some("things"), list(MOST).as_bytes()).unwrap().0.len(), MOST);
        assert!(under::<List<Thing>>(Some("things"), list(MOST + 1).as_bytes()).is_err());
        let tags = |n: usize| format!(r#"{{"tags": [{}]}}"#, vec![r#""t""#; n].join(","));
        assert!(under::<Thing>(None, tags(MOST_INNER).as_bytes()).is_ok());
        assert!(under::<Thing>(None, tags(MOST_INNER + 1).as_bytes()).is_err());
        let specs: Vec<String> = (0..=MOST_INNER).map(|n| format!(r#""{n}": """#)).collect();
        assert!(under::<Thing>(None, format!(r#"{{"specs": {{{}}}}}"#, specs.join(",")).as_bytes()).is_err());
    }
}
