//! Validation rules (CEL), which the API server evaluates: an expression that must hold, and the sentence where it does not.

use serde_json::{Value, json};

/// The value of `x-kubernetes-validations` for pairs of expression and sentence.
pub fn rules(rules: &[(&str, &str)]) -> Value {
    rules.iter().map(|(rule, message)| json!({ "rule": rule, "message": message })).collect()
}

/// Rules for a list of texts in order of preference: no entry twice.
pub fn no_text_twice() -> Value {
    rules(&[("self.all(x, self.exists_one(y, y == x))", "the list is an order of preference: name each entry once")])
}

/// Rules for a list of references in order of preference: no name twice.
pub fn no_name_twice() -> Value {
    rules(&[(
        "self.all(x, self.exists_one(y, y.name == x.name))",
        "the list is an order of preference: name each object once",
    )])
}

/// A port of TCP, 1 to 65535, as a part of a regular expression.
pub const PORT: &str = "([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])";

/// A word of DIRAC that stands in lists with commas: no comma, no space, no line break, nothing that cannot be seen.
pub const WORD: &str = r"^[^,\s\x00-\x1f\x7f]+$";

/// What is said of a port that does not exist.
pub const NO_SUCH_PORT: &str = "the port does not exist: write a number from 1 to 65535";

/// The rule that refuses a port beyond 65535 in an address `self`. An address without a port passes.
///
/// it says nothing of what is not an address, so that one mistake gets one complaint, and nothing of an address with an `@`, since the
/// complaint would repeat the password: see [`no_secret_in`].
pub fn port_exists() -> String {
    format!(
        "self.contains('@') || !self.matches('^[a-z]+://[^/]*:[0-9]+(/|$)') || self.matches('^[a-z]+://[^/]*:{PORT}(/|$)')"
    )
}

/// Rules for an address of the web.
pub fn web_address() -> Value {
    rules(&[
        (
            "self.contains('@') || self.matches('^https?://[^/[:space:]]')",
            "write a whole address that begins with https:// (http:// is used only where the operator's installation allows it)",
        ),
        (&port_exists(), NO_SUCH_PORT),
    ])
}

/// The rule that refuses `https://user:password@host` in the `addresses` of an object.
///
/// It belongs to the object: a rule of the address itself would repeat the password in its complaint.
pub fn no_secret_in(addresses: &[&str]) -> (String, String) {
    let clean: Vec<String> = addresses.iter().map(|a| format!("(!has(self.{a}) || !self.{a}.contains('@'))")).collect();
    let message = format!(
        "{} carries no user or password: keep credentials in a Secret and name it where the Secret is asked for",
        addresses.join(" or ")
    );
    (clean.join(" && "), message)
}

/// Rules for an object that has nothing but addresses to be checked.
pub fn only_clean(addresses: &[&str]) -> Value {
    let (rule, message) = no_secret_in(addresses);
    rules(&[(&rule, &message)])
}
