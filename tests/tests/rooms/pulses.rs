//! Every function of the operator that waits again and again has a pulse, by which `/healthz` knows that it turns.

use std::{collections::BTreeSet, fs};

use syn::{
    Block, Expr, FnArg, Signature, Type,
    visit::{self, Visit},
};

use crate::{is_test, modules, sources};

/// Functions that wait again and again without a pulse, and why they need none.
const WITHOUT: [(&str, &str); 6] = [
    ("api::write::pilot_vms", "the pages of one list: each is a call that ends in time"),
    ("check::verify::leader", "a command of its own, which ends in time"),
    ("errands::done", "ends with the operator, within the time of the last work"),
    ("known::expectations::settle", "has a deadline"),
    ("run::finish", "ends with the operator, within the time of the last work"),
    ("run::lead", "waits for parts that have a pulse each, and for the Lease, whose guard has one"),
];

/// The functions of a file that wait again and again.
#[derive(Default)]
struct Turning {
    /// Names of those with a pulse.
    with: Vec<String>,
    without: Vec<String>,
}

impl Turning {
    fn of(text: &str) -> Self {
        let mut found = Self::default();
        found.visit_file(&syn::parse_file(text).unwrap());
        found
    }

    fn note(&mut self, signature: &Signature, block: &Block) {
        let mut body = Body::default();
        body.visit_block(block);
        if body.turns {
            let has_pulse = body.beats || signature.inputs.iter().any(is_pulse);
            if has_pulse { &mut self.with } else { &mut self.without }.push(signature.ident.to_string());
        }
    }
}

impl<'ast> Visit<'ast> for Turning {
    fn visit_item_mod(&mut self, module: &'ast syn::ItemMod) {
        if !is_test(module) {
            visit::visit_item_mod(self, module);
        }
    }

    fn visit_item_fn(&mut self, function: &'ast syn::ItemFn) {
        self.note(&function.sig, &function.block);
        visit::visit_item_fn(self, function);
    }

    fn visit_impl_item_fn(&mut self, function: &'ast syn::ImplItemFn) {
        self.note(&function.sig, &function.block);
        visit::visit_impl_item_fn(self, function);
    }
}

/// What stands in a function, those within it left out.
#[derive(Default)]
struct Body {
    /// It has a loop without a bound that waits.
    turns: bool,
    /// It begins a pulse, or beats one that it was given.
    beats: bool,
}

impl<'ast> Visit<'ast> for Body {
    fn visit_item(&mut self, _: &'ast syn::Item) {}

    fn visit_expr(&mut self, expr: &'ast Expr) {
        match expr {
            Expr::Loop(_) | Expr::While(_) => self.turns |= waits(expr),
            Expr::MethodCall(call) => self.beats |= ["begins", "beat"].iter().any(|word| call.method == word),
            _ => {}
        }
        visit::visit_expr(self, expr);
    }

    /// What stands in `select!` and `join!` is not parsed.
    fn visit_macro(&mut self, mac: &'ast syn::Macro) {
        let text = mac.tokens.to_string();
        self.turns |= (text.contains("while ") || text.contains("loop {")) && text.contains("await");
    }
}

/// Whether an `await` stands in it.
fn waits(expr: &Expr) -> bool {
    #[derive(Default)]
    struct Waits(bool);
    impl<'ast> Visit<'ast> for Waits {
        fn visit_expr_await(&mut self, _: &'ast syn::ExprAwait) {
            self.0 = true;
        }
        fn visit_macro(&mut self, mac: &'ast syn::Macro) {
            self.0 |= mac.path.segments.last().is_some_and(|last| last.ident == "select" || last.ident == "join");
        }
    }
    let mut found = Waits::default();
    found.visit_expr(expr);
    found.0
}

fn is_pulse(input: &FnArg) -> bool {
    let FnArg::Typed(input) = input else { return false };
    let Type::Path(path) = input.ty.as_ref() else { return false };
    path.path.segments.last().is_some_and(|last| last.ident == "Pulse")
}

#[test]
fn every_loop_of_the_operator_has_a_pulse() {
    let (mut with, mut without) = (Vec::new(), BTreeSet::new());
    for (module, file) in modules(&sources("operator")) {
        let found = Turning::of(&fs::read_to_string(file).unwrap());
        with.extend(found.with.iter().map(|name| format!("{module}::{name}")));
        without.extend(found.without.iter().map(|name| format!("{module}::{name}")));
    }
    assert!(with.len() >= 14, "where are the loops? {with:#?}");
    let known: BTreeSet<String> = WITHOUT.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(
        without, known,
        "/healthz cannot know that these hang: give each a pulse, or say here why it needs none"
    );
}

#[test]
fn what_acts_from_the_context_until_it_is_dropped_has_a_pulse() {
    let texts = modules(&sources("operator")).into_iter().map(|(name, file)| (name, fs::read_to_string(file).unwrap()));
    let begins = |line: &str| line.trim_start().starts_with("pub async fn") && line.contains("(ctx: Arc<Context>");
    let loops: Vec<_> = texts.filter(|(_, text)| text.lines().any(begins)).collect();
    assert!(loops.len() > 8, "where are the loops?");
    let silent: Vec<_> =
        loops.iter().filter(|(_, text)| !text.contains("progress.begins(")).map(|(name, _)| name).collect();
    assert!(silent.is_empty(), "/healthz cannot know that these hang: {silent:?}");
}

#[test]
fn loops_that_wait_are_found_wherever_they_stand() {
    let text = "
        async fn listens() { let heard = async { while let Some(x) = next().await { hear(x); } }; heard.await }
        fn counts() { loop { break } }
        async fn each() { for one in all { one.await } }
        impl Loop { async fn turns(&self) { loop { tokio::select! { () = rest() => {} } } } }
        async fn picks() { tokio::select! { () = async { while more().await {} } => {} } }
        async fn guards(pulse: Pulse) { loop { rests(&pulse).await } }
        impl Keeper { async fn keeps(self) { loop { self.pulse.beat(); rest().await } } }
        async fn beats(ctx: &Context) { let pulse = ctx.progress.begins(1, 2); loop { pulse.rests(rest()).await } }
        #[cfg(test)] mod tests { async fn asks() { loop { ask().await } } }";
    let found = Turning::of(text);
    assert_eq!(found.without, ["listens", "turns", "picks"]);
    assert_eq!(found.with, ["guards", "keeps", "beats"]);
}
