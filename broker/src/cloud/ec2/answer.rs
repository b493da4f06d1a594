//! What AWS's libraries may read of an answer: it is whole, well-formed, and has no more in it than EC2 puts on a page.
//!
//! The libraries take what they can of an answer that breaks off: a part of a list would pass for the whole. And they make kilobytes of
//! seven bytes: of each `<item/>` an instance.

use serde::de::IgnoredAny;
use xmlparser::{ElementEnd, Token, Tokenizer};

/// Elements in one another. Addresses of an instance's interfaces are in ten.
const DEEPEST: usize = 32;
/// Elements that an instance is in, where it is the entry of a list: the answer, reservations, reservation, instances.
const ENTRY_DEPTH: usize = 4;
/// Entries of lists: EC2 gives 1,000 on its longest pages, each instance perhaps in a reservation of its own.
const MOST_ENTRIES: usize = 5_000;
/// Entries of the lists in these, without tags: each instance has some eight, such as volumes, interfaces and their addresses.
const MOST_PARTS: usize = 30_000;
/// Tags: each instance has up to fifty.
const MOST_TAGS: usize = 100_000;
/// Objects and lists of an answer in JSON: ten announcements, each of which may name many instances.
const MOST_JSON: usize = 20_000;

/// Why an answer is not read, without a word of it.
pub fn check(body: &[u8]) -> Result<(), &'static str> {
    match body.trim_ascii_start().first() {
        None => Ok(()),
        Some(b'{' | b'[') => json(body),
        // Text without an element has no list: the agent of a pod answers so.
        Some(_) if !body.contains(&b'<') => Ok(()),
        Some(_) => xml(std::str::from_utf8(body).map_err(|_| "it is no text")?),
    }
}

fn json(body: &[u8]) -> Result<(), &'static str> {
    if body.iter().filter(|byte| matches!(byte, b'{' | b'[')).count() > MOST_JSON {
        return Err("it has more in it than is read");
    }
    serde_json::from_slice::<IgnoredAny>(body).map(drop).map_err(|_| "it is not JSON, or not all of it")
}

fn xml(text: &str) -> Result<(), &'static str> {
    let mut open: Vec<(&str, &str)> = Vec::new();
    let (mut entries, mut parts, mut tags) = (0_usize, 0_usize, 0_usize);
    for token in Tokenizer::from(text) {
        match token.map_err(|_| "it is not XML")? {
            Token::DtdStart { .. } | Token::EmptyDtd { .. } | Token::EntityDeclaration { .. } => {
                return Err("it declares a type of document of its own");
            }
            Token::ElementStart { prefix, local, .. } => {
                let (count, most) = match open.last() {
                    Some((_, "tagSet")) => (&mut tags, MOST_TAGS),
                    _ if open.len() <= ENTRY_DEPTH => (&mut entries, MOST_ENTRIES),
                    _ => (&mut parts, MOST_PARTS),
                };
                // EC2 calls the entries of its lists so, and STS.
                *count += usize::from(matches!(local.as_str(), "item" | "member"));
                if *count > most {
                    return Err("it has more in it than is read");
                }
                if open.len() == DEEPEST {
                    return Err("it is nested more deeply than is read");
                }
                open.push((prefix.as_str(), local.as_str()));
            }
            Token::ElementEnd { end: ElementEnd::Empty, .. } => drop(open.pop()),
            Token::ElementEnd { end: ElementEnd::Close(prefix, local), .. } => {
                let last = open.pop().filter(|last| *last == (prefix.as_str(), local.as_str()));
                last.ok_or("it is not well-formed")?;
            }
            _ => {}
        }
    }
    if open.is_empty() { Ok(()) } else { Err("it ends before its end") }
}

#[cfg(test)]
mod tests {
    use aws_sdk_ec2::types::{Instance, InstanceNetworkInterface, InstanceTypeInfo, Tag};

    use super::*;

    const LIST: &str = "<D><reservationSet><item><instancesSet><item><tagSet><item/></tagSet></item></instancesSet></item></reservationSet></D>";

    #[test]
    fn what_ec2_answers_is_read() {
        let declared = format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!-- a comment: <item> -->\n{LIST}\n");
        for fine in ["", "  ", LIST, &declared, "i-1", r#"{"Messages": [{"Body": "{}"}]}"#] {
            assert_eq!(check(fine.as_bytes()), Ok(()), "{fine}");
        }
    }

    #[test]
    fn a_part_of_an_answer_is_not_taken_for_the_whole() {
        for n in 1..LIST.len() {
            assert!(check(&LIST.as_bytes()[..n]).is_err(), "{}", &LIST[..n]);
        }
        for odd in
            ["<D><a></b></D>", "<D></D></D>", "<D><a x=></a></D>", "text<D/>", r#"{"Messages": ["#, "{\"a\": 1} {"]
        {
            assert!(check(odd.as_bytes()).is_err(), "{odd}");
        }
        assert!(check(b"<D>\xff</D>").is_err());
    }

    #[test]
    fn neither_entities_nor_nesting_nor_length_cost_more_than_they_may() {
        let bomb = r#"<!DOCTYPE D [<!ENTITY a "lol"><!ENTITY b "&a;&a;&a;&a;">]><D>&b;</D>"#;
        assert!(check(bomb.as_bytes()).unwrap_err().contains("type of document"));
        let nested = |n: usize| "<a>".repeat(n) + &"</a>".repeat(n);
        assert_eq!(check(nested(DEEPEST).as_bytes()), Ok(()));
        assert!(check(nested(1_000_000).as_bytes()).unwrap_err().contains("deeply"));
        let flat = |n: usize| format!("<D><set>{}</set></D>", "<item/>".repeat(n));
        assert_eq!(check(flat(MOST_ENTRIES).as_bytes()), Ok(()));
        assert!(check(flat(MOST_ENTRIES + 1).as_bytes()).unwrap_err().contains("more in it"));
        let within = |set: &str, n: usize| {
            LIST.replace("<tagSet><item/></tagSet>", &format!("<{set}>{}</{set}>", "<item/>".repeat(n)))
        };
        assert_eq!(check(within("tagSet", MOST_TAGS).as_bytes()), Ok(()));
        assert!(check(within("tagSet", MOST_TAGS + 1).as_bytes()).is_err());
        assert_eq!(check(within("networkInterfaceSet", MOST_PARTS).as_bytes()), Ok(()));
        assert!(check(within("networkInterfaceSet", MOST_PARTS + 1).as_bytes()).is_err());
        let messages = |n: usize| format!(r#"{{"Messages": [{}]}}"#, vec!["{}"; n].join(","));
        assert_eq!(check(messages(100).as_bytes()), Ok(()));
        assert!(check(messages(MOST_JSON).as_bytes()).is_err());
        assert!(check("[".repeat(10_000).as_bytes()).is_err());
    }

    #[test]
    fn what_becomes_of_the_longest_answer_has_room() {
        let entry = size_of::<Instance>().max(size_of::<InstanceTypeInfo>());
        let most =
            entry * MOST_ENTRIES + size_of::<InstanceNetworkInterface>() * MOST_PARTS + size_of::<Tag>() * MOST_TAGS;
        assert!(most < 64 << 20, "{most} bytes");
    }
}
