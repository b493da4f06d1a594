//! A pool's template filled in, within bounds of stack, time and memory.
//!
//! minijinja's fuel pays for each step and for each byte of text that a step makes or reads, and is asked for before a large
//! allocation. What it does not bound (seen with minijinja 3.1.0) is refused here before a template is compiled:
//!
//! * how deep an expression nests: the compiler calls itself for each operator, filter, index and `elif`, and 16 KiB of
//!   `{{ 1+1+1... }}` overflow the stack, which ends the whole process. So tokens, branches and blocks are counted.
//! * values made of values: with `{% set a = [a, a] %}` a hundred times over, printing or comparing `a` takes 2^100 steps that
//!   fuel does not see, and so does `{% set a = a + a %}` with lists. So a template makes no lists, maps and variables of its
//!   own: it has names, filters, calculation, `if` and `for`.

use std::io;

use minijinja::{
    AutoEscape, Environment, ErrorKind, UndefinedBehavior, context,
    machinery::{Token, tokenize},
    syntax::SyntaxConfig,
};

use super::{UserDataError, encoded};
use crate::{
    cloud::Limits,
    pilot::{Pilot, user_data::quote},
};

/// Steps that a template may take; each also pays for 64 bytes of text (minijinja, `Environment::set_fuel`).
const FUEL: u64 = 10_000;
/// The longest template in bytes. The schema of a PilotPool allows 16,384 characters of up to four bytes.
const LONGEST: usize = 65_536;
/// The longest text that a template may give, in bytes: more never fits into [`super::LARGEST`].
const LONGEST_TEXT: usize = Limits::WIDEST.user_data_bytes;
/// The most names, operators, values and brackets of one tag, that is from `{{` to `}}` or from `{%` to `%}`.
const LONGEST_TAG: usize = 64;
/// The most of them in a whole template.
const MOST_TOKENS: usize = 3_000;
/// The most `elif` in a template: each nests in the one before.
const MOST_BRANCHES: usize = 32;
/// Loops and conditions within each other.
const DEEPEST: usize = 12;
/// What a `{% %}` may begin with.
const STATEMENTS: [&str; 6] = ["if", "elif", "else", "endif", "for", "endfor"];
/// Names before an opening bracket that is not one of a call.
const KEYWORDS: [&str; 8] = ["and", "elif", "else", "if", "in", "is", "not", "or"];
/// Filters that put values into lists of lists.
const NESTING_FILTERS: [&str; 10] =
    ["batch", "chain", "dictsort", "groupby", "items", "map", "pprint", "slice", "unique", "zip"];
/// Characters of an error's own words that are passed on.
const LONGEST_WORDS: usize = 300;

/// What `template` gives for this pilot, at most [`LONGEST_TEXT`] bytes.
pub(super) fn fill(pilot: &Pilot, template: &str) -> Result<String, UserDataError> {
    // Not `.yaml`: that would have values escaped as JSON.
    const NAME: &str = "spec.machine.userData";
    within_bounds(template)?;
    let mut text = Capped(Vec::new());
    let pilot = minijinja::Value::from(minijinja::value::Serde(pilot));
    let outcome = environment()
        .template_from_named_str(NAME, template)
        .and_then(|t| t.render_captured_to(context! { pilot => pilot.clone(), ..pilot }, &mut text).map(|_| ()));
    match outcome {
        Ok(()) => String::from_utf8(text.0).map_err(|_| UserDataError::Template("its text is not UTF-8".to_owned())),
        Err(e) if e.kind() == ErrorKind::WriteFailure => Err(UserDataError::TooLarge(encoded(LONGEST_TEXT + 1))),
        Err(e) => Err(unknown_name(&e, template).unwrap_or_else(|| said(&e))),
    }
}

/// Names the names that a pilot does not have, where that is what is wrong.
fn unknown_name(error: &minijinja::Error, template: &str) -> Option<UserDataError> {
    if error.kind() != ErrorKind::UndefinedError {
        return None;
    }
    let known = names();
    let is_known = |name: &String| {
        let field = name.strip_prefix("pilot.").unwrap_or(name).split('.').next().unwrap_or_default();
        name == "pilot" || known.iter().any(|k| k == field)
    };
    let environment = environment();
    let all = environment.template_from_str(template).ok()?.undeclared_variables(true);
    let mut unknown: Vec<String> = all.into_iter().filter(|name| !is_known(name)).collect();
    unknown.sort();
    let first: String = unknown.first()?.chars().take(LONGEST_WORDS).collect();
    let line = error.line().map(|l| format!("line {l}: ")).unwrap_or_default();
    Some(UserDataError::Template(format!("{line}there is no {first:?}; known names are {}", known.join(", "))))
}

fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    environment.set_fuel(Some(FUEL));
    environment.set_recursion_limit(2 * DEEPEST);
    for name in ["namespace", "dict"] {
        environment.remove_global(name);
    }
    for name in NESTING_FILTERS {
        environment.remove_filter(name);
    }
    environment.add_filter("quote", |value: String| quote(&value));
    environment.add_filter("b64", |value: String| {
        use base64::Engine;
        base64::engine::general_purpose::STANDARD.encode(value)
    });
    environment
}

/// Refuses a template whose depth or work fuel does not bound. Reads the tokens that minijinja's own parser will read.
fn within_bounds(template: &str) -> Result<(), UserDataError> {
    if template.len() > LONGEST {
        return Err(UserDataError::Template(format!("it has {} bytes and may have {LONGEST}", template.len())));
    }
    let mut seen = Seen::default();
    for token in tokenize(template, false, SyntaxConfig::default()) {
        let (token, span) = token.map_err(|e| said(&e))?;
        let line = span.start_line;
        seen.see(&token).map_err(|what| UserDataError::Template(format!("line {line}: {what}")))?;
    }
    Ok(())
}

/// What the last token was, as far as it matters for the next.
#[derive(Clone, Copy, Default, PartialEq)]
enum Last {
    /// The beginning of a statement.
    Begin,
    /// A name that can be called.
    Name,
    /// Anything else.
    #[default]
    Other,
}

/// What a template has had so far.
#[derive(Default)]
struct Seen {
    tokens: usize,
    of_this_tag: usize,
    branches: usize,
    /// Open loops and conditions.
    blocks: usize,
    /// Open round brackets of this tag: whether each is one of a call.
    calls: Vec<bool>,
    last: Last,
}

impl Seen {
    fn see(&mut self, token: &Token<'_>) -> Result<(), String> {
        let last = std::mem::take(&mut self.last);
        match token {
            Token::TemplateData(_) => return Ok(()),
            Token::VariableStart | Token::BlockStart => {
                self.of_this_tag = 0;
                self.calls.clear();
                self.last = if matches!(token, Token::BlockStart) { Last::Begin } else { Last::Other };
            }
            Token::Ident(word) if last == Last::Begin => self.statement(word)?,
            Token::Ident("recursive") => return Err("a loop cannot be recursive here: write a plain one".to_owned()),
            Token::Ident(word) if !KEYWORDS.contains(word) => self.last = Last::Name,
            Token::ParenOpen => self.calls.push(last == Last::Name),
            Token::ParenClose => {
                self.calls.pop();
            }
            Token::BracketOpen | Token::BraceOpen => {
                let what = "a template makes no lists and maps of its own and has no [index]: use the filters first, last \
                            and split, for example {% for disk in 'vdb vdc' | split %}";
                return Err(what.to_owned());
            }
            Token::Comma if self.calls.last() != Some(&true) => {
                return Err("a comma may stand only between the arguments of a filter or function".to_owned());
            }
            _ => {}
        }
        self.tokens += 1;
        self.of_this_tag += 1;
        if self.of_this_tag > LONGEST_TAG {
            return Err(format!(
                "an expression may have {LONGEST_TAG} names, operators and values: write a shorter one"
            ));
        }
        if self.tokens > MOST_TOKENS {
            return Err(format!(
                "a template may have {MOST_TOKENS} names, operators and values, and the rest is too much"
            ));
        }
        Ok(())
    }

    fn statement(&mut self, word: &str) -> Result<(), String> {
        match word {
            "if" | "for" => self.blocks += 1,
            "endif" | "endfor" => self.blocks = self.blocks.saturating_sub(1),
            "elif" => self.branches += 1,
            _ => {}
        }
        if !STATEMENTS.contains(&word) {
            let word: String = word.chars().take(40).collect();
            return Err(format!("the statement {word} is not allowed: a template has {}", STATEMENTS.join(", ")));
        }
        if self.blocks > DEEPEST || self.branches > MOST_BRANCHES {
            return Err(format!(
                "loops and conditions may lie within each other {DEEPEST} deep, and a template may have {MOST_BRANCHES} elif"
            ));
        }
        Ok(())
    }
}

fn said(error: &minijinja::Error) -> UserDataError {
    let line = error.line().map(|l| format!("line {l}: ")).unwrap_or_default();
    let words = match error.kind() {
        ErrorKind::OutOfFuel => format!(
            "it does more than a template may ({FUEL} steps, each of at most 64 bytes of text): make what it repeats smaller"
        ),
        kind => error.detail().map_or_else(|| kind.to_string(), |d| d.chars().take(LONGEST_WORDS).collect()),
    };
    let hint = match error.kind() {
        ErrorKind::UndefinedError => format!("; known names are {}", names().join(", ")),
        _ => String::new(),
    };
    UserDataError::Template(format!("{line}{words}{hint}"))
}

/// The fields of a [`Pilot`].
fn names() -> Vec<String> {
    let fields =
        serde_json::to_value(Pilot::default()).ok().and_then(|v| v.as_object().map(|o| o.keys().cloned().collect()));
    fields.unwrap_or_default()
}

/// A text that refuses to grow beyond [`LONGEST_TEXT`].
struct Capped(Vec<u8>);

impl io::Write for Capped {
    fn write(&mut self, more: &[u8]) -> io::Result<usize> {
        if self.0.len() + more.len() > LONGEST_TEXT {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.0.extend_from_slice(more);
        Ok(more.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
