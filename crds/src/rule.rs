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
    rules(&[(
        "self.startsWith('https://') || self.startsWith('http://')",
        "write a whole address that begins with https:// (http:// only inside a trusted network)",
    )])
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
