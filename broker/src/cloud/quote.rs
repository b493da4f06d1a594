//! A provider's text, as far as it may be quoted.

/// Longest text of a provider that is handed on.
const LONGEST_TEXT: usize = 200;
/// A sentence names at most this many things.
const MOST_NAMED: usize = 10;

/// The beginning of a provider's text, on one line, without what does not print.
pub fn shortened(text: &str) -> String {
    let flat = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut printable = flat.chars().filter(|c| prints(*c));
    let mut short: String = printable.by_ref().take(LONGEST_TEXT).collect();
    if printable.next().is_some() {
        short.push('…');
    }
    short
}

/// The first of these names: a sentence has room for no more.
pub fn some(names: &[&str]) -> String {
    let first: Vec<String> = names.iter().take(MOST_NAMED).map(|name| shortened(name)).collect();
    let more = names.len().saturating_sub(MOST_NAMED);
    if more > 0 { format!("{} and {more} more", first.join(", ")) } else { first.join(", ") }
}

/// Whether a character shows on a terminal and changes nothing else there: no control, no mark of direction, none of no width.
fn prints(c: char) -> bool {
    let is_format = matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
    !c.is_control() && !is_format
}

/// The last bytes of a text, at most so many.
pub fn last(text: &str, max_bytes: usize) -> &str {
    let mut start = text.len().saturating_sub(max_bytes);
    while !text.is_char_boundary(start) {
        start += 1;
    }
    &text[start..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quoted_text_is_short_and_printable() {
        assert_eq!(shortened("a\tb\r\nc\u{1b}[31md\u{202e}e\u{feff}"), "a b c[31mde");
        let long = shortened(&"é".repeat(1_000));
        assert_eq!(long.chars().count(), LONGEST_TEXT + 1);
        assert_eq!(shortened(&"x".repeat(LONGEST_TEXT)).chars().count(), LONGEST_TEXT);
    }
}
