use std::collections::BTreeSet;

use super::*;
use crate::condition::ConditionType;

fn is_camel_case(word: &str) -> bool {
    word.starts_with(|c: char| c.is_ascii_uppercase()) && word.chars().all(|c| c.is_ascii_alphanumeric())
}

fn is_told(text: &str) -> bool {
    text.len() > 10 && text.ends_with('.') && !text.contains('|') && !text.contains('\n')
}

#[test]
fn every_reason_is_one_word_in_camel_case_with_sentences_for_a_table() {
    let mut seen = BTreeSet::new();
    for reason in Reason::all() {
        let word = reason.as_str();
        assert!(is_camel_case(word) && word.len() <= 64, "{word}");
        assert!(seen.insert(word), "{word} stands twice");
        assert!(is_told(reason.means()), "{word}: {}", reason.means());
        assert!(reason.advice().is_empty() || is_told(reason.advice()), "{word}: {}", reason.advice());
    }
    assert!(seen.len() > 80);
}

#[test]
fn a_word_is_read_back_as_what_it_was() {
    for reason in Reason::all() {
        assert_eq!(reason.as_str().parse(), Ok(reason));
        let json = serde_json::to_string(&reason).unwrap();
        assert_eq!(json, format!("\"{reason}\""));
        assert_eq!(serde_json::from_str::<Reason>(&json).unwrap(), reason);
    }
    for type_ in ConditionType::all() {
        assert_eq!(type_.as_str().parse(), Ok(type_));
    }
}

#[test]
fn a_word_of_a_later_version_is_an_error_that_names_it() {
    let error = "Teleported".parse::<Reason>().unwrap_err().to_string();
    assert!(error.contains("does not know") && error.contains("\"Teleported\""), "{error}");
    assert!("ready".parse::<Reason>().is_err(), "words are compared as they are written");
}

#[test]
fn what_is_trouble_says_what_to_do() {
    let silent = [Reason::Conflict, Reason::Unclear, Reason::Idle, Reason::Surplus, Reason::Deleted];
    for (heading, reasons) in Reason::TABLE.iter().filter(|(heading, _)| *heading != "All is well") {
        for reason in reasons.iter().filter(|r| !silent.contains(r)) {
            assert!(!reason.advice().is_empty(), "{heading}: {reason}");
        }
    }
}
