//! The floors: a module imports only from floors below it, and the core is pure.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use proc_macro2::{TokenStream, TokenTree};

/// Top-level modules from the lowest floor up. Those of one floor don't import each other.
const FLOORS: [&[&str]; 7] = [
    &["wire"],
    &["domain", "log", "names", "seal"],
    &["view"],
    &["ledger"],
    &["access"],
    &["service"],
    &["cli"],
];

/// What the pure core must not touch: clock, I/O, async, gRPC.
const IMPURE: [&str; 8] = [
    "std::fs",
    "std::io",
    "std::net",
    "std::thread",
    "SystemTime",
    "Instant",
    "tokio",
    "tonic",
];

fn floor(module: &str) -> Option<usize> {
    FLOORS.iter().position(|modules| modules.contains(&module))
}

/// The top-level modules that a source of the module `path` (for example `["log", "memory"]`) names.
fn modules_named(source: &str, path: &[String]) -> BTreeSet<String> {
    let mut named = BTreeSet::new();
    let tokens = TokenStream::from_str(source).expect("the source is Rust");
    collect(tokens, &mut path.to_vec(), &mut named);
    named
}

fn collect(tokens: TokenStream, path: &mut Vec<String>, named: &mut BTreeSet<String>) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    for (at, token) in tokens.iter().enumerate() {
        match token {
            TokenTree::Group(group) => {
                let inline_module =
                    at >= 2 && matches!(&tokens[at - 2], TokenTree::Ident(word) if *word == "mod");
                if let (true, TokenTree::Ident(name)) = (inline_module, &tokens[at.max(1) - 1]) {
                    path.push(name.to_string());
                    collect(group.stream(), path, named);
                    path.pop();
                } else {
                    collect(group.stream(), path, named);
                }
            }
            TokenTree::Ident(word) if *word == "crate" => heads(&tokens[at + 1..], named),
            TokenTree::Ident(word) if *word == "super" => {
                let inner =
                    at >= 3 && matches!(&tokens[at - 3], TokenTree::Ident(w) if *w == "super");
                let supers = tokens[at..]
                    .chunks(3)
                    .take_while(|chunk| matches!(&chunk[0], TokenTree::Ident(w) if *w == "super"))
                    .count();
                if !inner && supers >= path.len() {
                    heads(&tokens[at + supers * 3 - 2..], named);
                }
            }
            _ => {}
        }
    }
}

/// The first segments that follow a `::`, one or a group of them.
fn heads(after: &[TokenTree], named: &mut BTreeSet<String>) {
    match after {
        [
            TokenTree::Punct(a),
            TokenTree::Punct(b),
            TokenTree::Ident(name),
            ..,
        ] if a.as_char() == ':' && b.as_char() == ':' => {
            named.insert(name.to_string());
        }
        [
            TokenTree::Punct(a),
            TokenTree::Punct(b),
            TokenTree::Group(group),
            ..,
        ] if a.as_char() == ':' && b.as_char() == ':' => {
            let mut first = true;
            for token in group.stream() {
                match token {
                    TokenTree::Ident(name) if first => {
                        named.insert(name.to_string());
                        first = false;
                    }
                    TokenTree::Punct(punct) if punct.as_char() == ',' => first = true,
                    _ => {}
                }
            }
        }
        _ => {}
    }
}

/// What is wrong with a source of the module `path`: the modules of its own or a higher floor.
fn violations(source: &str, path: &[String]) -> Vec<String> {
    let own = floor(&path[0]).unwrap_or_else(|| panic!("{} stands on no floor", path[0]));
    modules_named(source, path)
        .into_iter()
        .filter(|named| *named != path[0])
        .filter(|named| floor(named).is_some_and(|floor| floor >= own))
        .map(|named| format!("{} imports from {named}", path.join("::")))
        .collect()
}

fn sources() -> Vec<(PathBuf, Vec<String>)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut folders = vec![root.clone()];
    let mut sources = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let inside = path.strip_prefix(&root).unwrap().with_extension("");
                let module: Vec<String> = inside
                    .iter()
                    .map(|part| part.to_string_lossy().into_owned())
                    .filter(|part| part != "mod")
                    .collect();
                sources.push((path, module));
            }
        }
    }
    sources.retain(|(_, module)| !matches!(module[0].as_str(), "lib" | "main"));
    sources
}

#[test]
fn every_module_imports_from_floors_below_only() {
    let mut found = Vec::new();
    for (path, module) in sources() {
        found.extend(violations(&fs::read_to_string(path).unwrap(), &module));
    }
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn an_import_from_a_floor_above_is_noticed() {
    let log = ["log".to_owned(), "memory".to_owned()];
    for bad in [
        "use crate::ledger::Ledger;",
        "use crate::{wire::v1, view::Views};",
        "use super::super::domain::CaseState;",
        "fn f() { let _ = crate::service::status::of(1); }",
        "mod inner { use super::super::super::cli; }",
        "fn f() { tracing::info!(x = crate::view::NAME); }",
    ] {
        assert_eq!(violations(bad, &log).len(), 1, "{bad}");
    }
    for good in [
        "use crate::wire::v1;",
        "use super::error::ReadError;",
        "// use crate::ledger::Ledger;",
    ] {
        assert_eq!(violations(good, &log), Vec::<String>::new(), "{good}");
    }
}

#[test]
fn the_core_knows_no_clock_no_files_no_async_and_no_grpc() {
    for (path, module) in sources() {
        if module[0] != "domain" {
            continue;
        }
        let source = TokenStream::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        let source = source.to_string().replace(" :: ", "::");
        for word in IMPURE {
            assert!(!source.contains(word), "{} names {word}", path.display());
        }
    }
}
