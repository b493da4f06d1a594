//! Validation rules (CEL) as the API server evaluates them: an expression that must hold, and the sentence for when it does not.

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

/// Rules for an address of the web.
pub fn web_address() -> Value {
    rules(&[
        (
            "self.startsWith('https://') || self.startsWith('http://')",
            "write a whole address that begins with https:// (http:// only inside a trusted network)",
        ),
        NO_SECRET_IN_ADDRESS,
    ])
}

/// Refuses `https://user:password@host`.
pub const NO_SECRET_IN_ADDRESS: (&str, &str) = (
    "!self.contains('@')",
    "an address carries no user or password: keep credentials in a Secret and name it in secretRef",
);
