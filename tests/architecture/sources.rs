//! Reads the sources as tokens: the paths that each file names, and whether it says that it is pure.

use std::fs;
use std::iter::Peekable;
use std::path::{Path, PathBuf};

use proc_macro2::token_stream::IntoIter;
use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};

/// One file of `src/`.
pub(super) struct Source {
    /// Its name, such as `src/relay/wire.rs`.
    pub(super) file: String,
    /// The path of its module, such as `["relay", "wire"]`; empty for `lib.rs` and `main.rs`.
    pub(super) module: Vec<String>,
    /// Whether its first line begins with `//! PURE `.
    pub(super) is_pure: bool,
    /// Every path that it names, in imports and elsewhere: `use a::{b, c::d}` names `a::b` and `a::c::d`. Paths within
    /// this crate begin with `crate`, whether they are written with `crate`, `self` or `super`.
    pub(super) paths: Vec<String>,
    /// Every word of its code.
    pub(super) words: Vec<String>,
}

/// All files of `src/`.
pub(super) fn read() -> Vec<Source> {
    let mut sources = Vec::new();
    let mut waiting = vec![PathBuf::from("src")];
    while let Some(path) = waiting.pop() {
        if path.is_dir() {
            waiting.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            sources.push(Source::read(&path));
        }
    }
    assert!(sources.len() > 100, "the sources were found");
    sources.sort_by(|one, other| one.file.cmp(&other.file));
    sources
}

impl Source {
    fn read(path: &Path) -> Self {
        let text = fs::read_to_string(path).unwrap();
        assert!(!text.contains("#[path"), "{}: a file has its module's name", path.display());
        Self::parse(path.to_str().unwrap(), &text)
    }

    /// The source with this name and text.
    pub(super) fn parse(file: &str, text: &str) -> Self {
        let mut reader = Reader { module: module(file), paths: Vec::new(), words: Vec::new() };
        reader.walk(text.parse().unwrap_or_else(|error| panic!("{file}: {error}")));
        let Reader { module, paths, words } = reader;
        Self { file: file.to_owned(), module, is_pure: text.starts_with("//! PURE "), paths, words }
    }

    /// The first part of its module's path.
    pub(super) fn layer(&self) -> Option<&str> {
        self.module.first().map(String::as_str)
    }
}

fn module(file: &str) -> Vec<String> {
    let name = file.trim_start_matches("src/").trim_end_matches(".rs").trim_end_matches("/mod");
    name.split('/').filter(|part| !matches!(*part, "lib" | "main")).map(str::to_owned).collect()
}

struct Reader {
    module: Vec<String>,
    paths: Vec<String>,
    words: Vec<String>,
}

impl Reader {
    fn walk(&mut self, tokens: TokenStream) {
        let mut tokens = tokens.into_iter().peekable();
        while let Some(token) = tokens.next() {
            match token {
                TokenTree::Ident(word) => {
                    let word = word.to_string();
                    self.words.push(word.clone());
                    match word.as_str() {
                        "use" => {
                            is_path(&mut tokens);
                            self.tree(Vec::new(), &mut tokens);
                        }
                        "mod" => self.enter(&mut tokens),
                        // `pub(in path)` uses nothing.
                        "pub" => drop(tokens.next_if(is_in)),
                        _ if is_path(&mut tokens) => self.tree(vec![word], &mut tokens),
                        _ => {}
                    }
                }
                TokenTree::Group(group) => self.walk(group.stream()),
                TokenTree::Punct(_) | TokenTree::Literal(_) => {}
            }
        }
    }

    /// A module within the file is one `super` deeper.
    fn enter(&mut self, tokens: &mut Peekable<IntoIter>) {
        let Some(TokenTree::Ident(name)) = tokens.next() else { return };
        if let Some(TokenTree::Group(body)) = tokens.next_if(|token| braces(token).is_some()) {
            self.module.push(name.to_string());
            self.walk(body.stream());
            self.module.pop();
        }
    }

    /// What follows `path::`: the rest of one path, or of several in braces.
    fn tree(&mut self, mut path: Vec<String>, tokens: &mut Peekable<IntoIter>) {
        loop {
            let part = tokens.next_if(|token| match token {
                TokenTree::Ident(_) => true,
                TokenTree::Punct(punct) => punct.as_char() == '*',
                TokenTree::Group(_) => braces(token).is_some(),
                TokenTree::Literal(_) => false,
            });
            match part {
                Some(TokenTree::Group(group)) => return self.branches(&path, &group),
                Some(word) => {
                    self.words.push(word.to_string());
                    path.push(word.to_string());
                }
                None => return self.name(path),
            }
            if !is_path(tokens) {
                return self.name(path);
            }
        }
    }

    /// The paths in braces that all begin with `path`.
    fn branches(&mut self, path: &[String], group: &Group) {
        let mut tokens = group.stream().into_iter().peekable();
        while tokens.peek().is_some() {
            self.tree(path.to_vec(), &mut Peekable::clone(&tokens));
            let _ = tokens.by_ref().take_while(|token| !is_comma(token)).count();
        }
    }

    fn name(&mut self, mut path: Vec<String>) {
        if path.len() > 1 && path.last().is_some_and(|last| last == "self") {
            path.pop();
        }
        let mut base = match path.first().map(String::as_str) {
            None => return,
            Some("crate" | "hairpin") => Vec::new(),
            Some("self" | "super") => self.module.clone(),
            Some(_) => return self.paths.push(path.join("::")),
        };
        let mut rest = path.as_slice();
        while let Some(("crate" | "hairpin" | "self" | "super", after)) =
            rest.split_first().map(|(part, after)| (part.as_str(), after))
        {
            if rest[0] == "super" {
                base.pop();
            }
            rest = after;
        }
        self.paths.push([&["crate".to_owned()], &base[..], rest].concat().join("::"));
    }
}

/// Takes the colons that come next. Returns whether they are the two of a path.
fn is_path(tokens: &mut Peekable<IntoIter>) -> bool {
    let mut colon = || tokens.next_if(|token| matches!(token, TokenTree::Punct(p) if p.as_char() == ':'));
    colon().is_some() && colon().is_some()
}

/// Whether these are the parentheses of `pub(in path)`.
fn is_in(token: &TokenTree) -> bool {
    match token {
        TokenTree::Group(group) => {
            let first = group.stream().into_iter().next();
            matches!(first, Some(TokenTree::Ident(word)) if word == "in")
        }
        TokenTree::Ident(_) | TokenTree::Punct(_) | TokenTree::Literal(_) => false,
    }
}

fn is_comma(token: &TokenTree) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == ',')
}

fn braces(token: &TokenTree) -> Option<&Group> {
    match token {
        TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => Some(group),
        TokenTree::Group(_) | TokenTree::Ident(_) | TokenTree::Punct(_) | TokenTree::Literal(_) => None,
    }
}
