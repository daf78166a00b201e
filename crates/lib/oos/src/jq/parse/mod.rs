//! The parser: one pass from tokens to resolved terms, by the grammar of jq 1.7.
//!
//! It recurses, so it counts: brackets and what binds to the right nest at most [`MAX_NEST`] deep,
//! and what binds to the left (`.a.b.c`, `1 + 2 + 3`) has at most [`MAX_LINKS`] links in a script,
//! which bounds the depth of the tree and with it every walk through the tree.

mod literals;
mod operators;
mod terms;

use std::collections::HashMap;
use std::sync::LazyLock;

use super::JqError;
use super::builtins;
use super::lex::{Tok, Token, lex};
use super::term::{Control, Fun, Home, Pattern, Term};

const MAX_NEST: usize = 128;
const MAX_LINKS: usize = 1000;

/// What is out of reach on purpose: it would make a run depend on more than its input.
const IMPURE: [&str; 13] = [
    "now",
    "env",
    "ENV",
    "input",
    "inputs",
    "input_filename",
    "input_line_number",
    "debug",
    "stderr",
    "halt",
    "halt_error",
    "localtime",
    "strflocaltime",
];

const KEYWORDS: [&str; 18] = [
    "def", "if", "then", "elif", "else", "end", "as", "reduce", "foreach", "try", "catch", "label",
    "import", "include", "and", "or", "break", "__loc__",
];

/// Definitions in jq itself, resolved once for all scripts.
#[derive(Debug)]
pub(super) struct Prelude {
    pub(super) funs: Vec<Fun>,
    names: HashMap<(&'static str, usize), usize>,
}

pub(super) static PRELUDE: LazyLock<Prelude> = LazyLock::new(|| {
    let text = include_str!("../prelude.jq");
    let tokens = lex(text).expect("a test parses the prelude");
    let mut parser = Parser::new(tokens, Home::Prelude, None);
    while parser.word("def") {
        parser.definition().expect("a test parses the prelude");
    }
    assert!(parser.peek().tok == Tok::End, "the prelude ends in something else than definitions");
    let names = parser.scope.iter().filter_map(|entry| match entry.name {
        Name::Fun { arity, fun, .. } => Some(((entry.text, arity), fun)),
        _ => None,
    });
    Prelude { names: names.collect(), funs: finished(parser.funs) }
});

/// A script that parsed.
#[derive(Debug)]
pub(super) struct Script {
    pub(super) funs: Vec<Fun>,
    pub(super) main: Term,
}

/// Parse a script.
///
/// # Errors
///
/// A syntax error or an unknown name, at the byte where it stands.
pub(super) fn parse(script: &str) -> Result<Script, JqError> {
    let mut parser = Parser::new(lex(script)?, Home::Script, Some(&PRELUDE));
    let main = parser.pipe(true)?;
    if parser.peek().tok != Tok::End {
        return Err(parser.unexpected("an operator or the end"));
    }
    Ok(Script { funs: finished(parser.funs), main })
}

/// Every definition that was begun has its body: an error in one ends the parse.
fn finished(funs: Vec<Option<Fun>>) -> Vec<Fun> {
    funs.into_iter().flatten().collect()
}

#[derive(Clone, Copy, Debug)]
enum Name {
    Var { slot: usize },
    Label { slot: usize },
    Param { slot: usize },
    Fun { arity: usize, fun: usize, slots: usize },
}

#[derive(Clone, Copy, Debug)]
struct Entry<'s> {
    text: &'s str,
    name: Name,
}

struct Parser<'s> {
    tokens: Vec<Token<'s>>,
    next: usize,
    home: Home,
    prelude: Option<&'static Prelude>,
    funs: Vec<Option<Fun>>,
    scope: Vec<Entry<'s>>,
    /// How many bindings there are at run time where the parser stands.
    slots: usize,
    nest: usize,
    links: usize,
}

type P<T> = Result<T, JqError>;

fn boxed(term: Term) -> Box<Term> {
    Box::new(term)
}

impl<'s> Parser<'s> {
    fn new(tokens: Vec<Token<'s>>, home: Home, prelude: Option<&'static Prelude>) -> Self {
        let (funs, scope) = (Vec::new(), Vec::new());
        Self { tokens, next: 0, home, prelude, funs, scope, slots: 0, nest: 0, links: 0 }
    }

    // The last token is `End`, and `advance` does not go beyond it.
    fn peek(&self) -> &Token<'s> {
        &self.tokens[self.next]
    }

    fn advance(&mut self) -> Token<'s> {
        let token = self.peek().clone();
        self.next = (self.next + 1).min(self.tokens.len() - 1);
        token
    }

    fn is(&self, tok: &Tok, text: &str) -> bool {
        self.peek().tok == *tok && self.peek().text == text
    }

    fn eat(&mut self, tok: &Tok, text: &str) -> bool {
        let found = self.is(tok, text);
        if found {
            self.advance();
        }
        found
    }

    fn sign(&mut self, text: &str) -> bool {
        self.eat(&Tok::Sign, text)
    }

    fn word(&mut self, text: &str) -> bool {
        self.eat(&Tok::Word, text)
    }

    fn expect_sign(&mut self, text: &str) -> P<()> {
        if self.sign(text) { Ok(()) } else { Err(self.unexpected(&format!("`{text}`"))) }
    }

    fn expect_word(&mut self, text: &str) -> P<()> {
        if self.word(text) { Ok(()) } else { Err(self.unexpected(&format!("`{text}`"))) }
    }

    fn expect_var(&mut self) -> P<&'s str> {
        if self.peek().tok == Tok::Var {
            return Ok(self.advance().text);
        }
        Err(self.unexpected("a variable"))
    }

    fn unexpected(&self, wanted: &str) -> JqError {
        let token = self.peek();
        let found = match &token.tok {
            Tok::End => "the end of the script".to_owned(),
            Tok::Text(_) => "a string".to_owned(),
            Tok::Field => format!("`.{}`", token.text),
            Tok::Var => format!("`${}`", token.text),
            _ => format!("`{}`", token.text),
        };
        JqError::syntax(token.at, format!("expected {wanted}, found {found}"))
    }

    fn nested<T>(&mut self, parse: impl FnOnce(&mut Self) -> P<T>) -> P<T> {
        if self.nest >= MAX_NEST {
            let what = format!("the script nests more than {MAX_NEST} deep");
            return Err(JqError::syntax(self.peek().at, what));
        }
        self.nest += 1;
        let parsed = parse(self);
        self.nest -= 1;
        parsed
    }

    fn link(&mut self) -> P<()> {
        self.links += 1;
        if self.links <= MAX_LINKS {
            return Ok(());
        }
        let what = format!("the script chains more than {MAX_LINKS} operators and accesses");
        Err(JqError::syntax(self.peek().at, what))
    }

    /// Run `parse` and forget the names it bound.
    fn scoped<T>(&mut self, parse: impl FnOnce(&mut Self) -> P<T>) -> P<T> {
        let (names, slots) = (self.scope.len(), self.slots);
        let parsed = parse(self);
        self.scope.truncate(names);
        self.slots = slots;
        parsed
    }

    fn bind(&mut self, text: &'s str, name: impl FnOnce(usize) -> Name) {
        self.scope.push(Entry { text, name: name(self.slots) });
        self.slots += 1;
    }

    fn variable(&mut self, name: &str, at: usize) -> P<Term> {
        self.advance();
        let slot = self.scope.iter().rev().find_map(|entry| match entry.name {
            Name::Var { slot } if entry.text == name => Some(slot),
            _ => None,
        });
        let what = || match name {
            "ENV" => JqError::syntax(at, impure("$ENV")),
            _ => JqError::syntax(at, format!("unknown variable `${name}`")),
        };
        let slot = slot.ok_or_else(what)?;
        Ok(Term::Var(self.slots - 1 - slot))
    }

    /// `def` was read: `name(params): body;`.
    fn definition(&mut self) -> P<()> {
        let token = self.advance();
        if token.tok != Tok::Word || KEYWORDS.contains(&token.text) {
            return Err(JqError::syntax(token.at, "expected the name of a definition".into()));
        }
        let mut params = Vec::new();
        if self.sign("(") {
            loop {
                let param = self.advance();
                if !matches!(param.tok, Tok::Word | Tok::Var) {
                    return Err(JqError::syntax(param.at, "expected a parameter".into()));
                }
                params.push((param.text, param.tok == Tok::Var));
                if !self.sign(";") {
                    break;
                }
            }
            self.expect_sign(")")?;
        }
        self.expect_sign(":")?;
        let (fun, slots, arity) = (self.funs.len(), self.slots, params.len());
        self.funs.push(None);
        let name = Name::Fun { arity, fun, slots };
        self.scope.push(Entry { text: token.text, name });
        let body = self.scoped(|p| p.definition_body(&params))?;
        self.funs[fun] = Some(Fun { body });
        self.expect_sign(";")
    }

    /// A parameter `$x` is the closure `x` and, around the body, `x as $x`.
    fn definition_body(&mut self, params: &[(&'s str, bool)]) -> P<Term> {
        for (name, _) in params {
            self.bind(name, |slot| Name::Param { slot });
        }
        let base = self.slots - params.len();
        let mut bound = Vec::new();
        for (i, (name, _)) in params.iter().enumerate().filter(|(_, (_, value))| *value) {
            bound.push(Term::Param(self.slots - 1 - (base + i)));
            self.bind(name, |slot| Name::Var { slot });
        }
        let body = self.pipe(true)?;
        Ok(bound
            .into_iter()
            .rev()
            .fold(body, |body, param| Term::Bind(boxed(param), Pattern::Var, boxed(body))))
    }

    fn function(&mut self, name: &str, args: Vec<Term>, at: usize) -> P<Term> {
        let own = self.scope.iter().rev().find_map(|entry| match entry.name {
            Name::Param { slot } if args.is_empty() && entry.text == name => Some(Err(slot)),
            Name::Fun { arity, fun, slots } if arity == args.len() && entry.text == name => {
                Some(Ok((fun, slots)))
            }
            _ => None,
        });
        match own {
            Some(Err(slot)) => return Ok(Term::Param(self.slots - 1 - slot)),
            Some(Ok((fun, slots))) => {
                return Ok(Term::Call { home: self.home, fun, drop: self.slots - slots, args });
            }
            None => {}
        }
        if let Some(control) = Control::named(name, args.len()) {
            return Ok(Term::Control(control, args));
        }
        if let Some(native) = builtins::native(name, args.len()) {
            return Ok(Term::Native(native, args));
        }
        let known = self.prelude.and_then(|prelude| prelude.names.get(&(name, args.len())));
        if let Some(fun) = known {
            return Ok(Term::Call { home: Home::Prelude, fun: *fun, drop: self.slots, args });
        }
        Err(JqError::syntax(
            at,
            if IMPURE.contains(&name) {
                impure(name)
            } else if args.is_empty() {
                format!("unknown function `{name}`")
            } else {
                format!("unknown function `{name}` with {} arguments", args.len())
            },
        ))
    }
}

fn impure(name: &str) -> String {
    format!("`{name}` is not available: a result depends on the input alone")
}

fn take(term: &mut Term) -> Term {
    std::mem::replace(term, Term::Id)
}

fn one_or(mut terms: Vec<Term>, many: impl FnOnce(Vec<Term>) -> Term) -> Term {
    if terms.len() == 1 { terms.remove(0) } else { many(terms) }
}
