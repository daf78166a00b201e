//! The parser: one pass from tokens to resolved terms, by the grammar of jq 1.7.
//!
//! It recurses, so it counts: brackets and what binds to the right nest at most [`MAX_NEST`] deep,
//! and what binds to the left (`.a.b.c`, `1 + 2 + 3`) has at most [`MAX_LINKS`] links in a script,
//! which bounds the depth of the tree and with it every walk through the tree.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::JqError;
use super::builtins;
use super::format::Format;
use super::lex::{Tok, Token, lex};
use super::term::{Compare, Control, Fold, Fun, Home, Math, Part, Pattern, Term};
use super::value::{Val, parse_number};

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
    let text = include_str!("prelude.jq");
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
        JqError::syntax(token.at, format!("unexpected {found}, expected {wanted}"))
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

    /// Terms in brackets or at the top: definitions, then terms with `|` in between.
    fn pipe(&mut self, comma: bool) -> P<Term> {
        self.nested(|p| {
            p.scoped(|p| {
                while p.word("def") {
                    p.definition()?;
                }
                let mut terms = vec![p.comma(comma)?];
                while p.sign("|") {
                    if p.is(&Tok::Word, "def") {
                        terms.push(p.pipe(comma)?);
                        break;
                    }
                    terms.push(p.comma(comma)?);
                }
                Ok(one_or(terms, Term::Pipe))
            })
        })
    }

    fn comma(&mut self, comma: bool) -> P<Term> {
        let mut terms = vec![self.alternative()?];
        while comma && self.sign(",") {
            terms.push(self.alternative()?);
        }
        Ok(one_or(terms, Term::Comma))
    }

    /// `//` binds to the right, and the assignments, which do not chain, bind tighter.
    fn alternative(&mut self) -> P<Term> {
        let left = self.assignment()?;
        if self.sign("//") {
            let right = self.nested(Self::alternative)?;
            return Ok(Term::Alternative(boxed(left), boxed(right)));
        }
        Ok(left)
    }

    fn assignment(&mut self) -> P<Term> {
        let left = self.or()?;
        let text = if self.peek().tok == Tok::Sign { self.peek().text } else { "" };
        let math = |op| move |l, r| Term::UpdateMath(op, l, r);
        let make: Box<dyn FnOnce(Box<Term>, Box<Term>) -> Term> = match text {
            "=" => Box::new(Term::Assign),
            "|=" => Box::new(Term::Update),
            "+=" => Box::new(math(Math::Add)),
            "-=" => Box::new(math(Math::Subtract)),
            "*=" => Box::new(math(Math::Multiply)),
            "/=" => Box::new(math(Math::Divide)),
            "%=" => Box::new(math(Math::Remainder)),
            "//=" => Box::new(Term::UpdateAlternative),
            _ => return Ok(left),
        };
        self.advance();
        // `.a = .b // 1` is `(.a = .b) // 1`, as in jq.
        let right = self.or()?;
        Ok(make(boxed(left), boxed(right)))
    }

    fn or(&mut self) -> P<Term> {
        let mut left = self.and()?;
        while self.word("or") {
            self.link()?;
            left = Term::Or(boxed(left), boxed(self.and()?));
        }
        Ok(left)
    }

    fn and(&mut self) -> P<Term> {
        let mut left = self.comparison()?;
        while self.word("and") {
            self.link()?;
            left = Term::And(boxed(left), boxed(self.comparison()?));
        }
        Ok(left)
    }

    fn comparison(&mut self) -> P<Term> {
        let left = self.sum()?;
        let text = if self.peek().tok == Tok::Sign { self.peek().text } else { "" };
        let op = match text {
            "==" => Compare::Equal,
            "!=" => Compare::NotEqual,
            "<" => Compare::Less,
            "<=" => Compare::LessEqual,
            ">" => Compare::Greater,
            ">=" => Compare::GreaterEqual,
            _ => return Ok(left),
        };
        self.advance();
        Ok(Term::Compare(op, boxed(left), boxed(self.sum()?)))
    }

    fn sum(&mut self) -> P<Term> {
        let mut left = self.product()?;
        loop {
            let op = match () {
                () if self.sign("+") => Math::Add,
                () if self.sign("-") => Math::Subtract,
                () => return Ok(left),
            };
            self.link()?;
            left = Term::Math(op, boxed(left), boxed(self.product()?));
        }
    }

    fn product(&mut self) -> P<Term> {
        let mut left = self.postfix()?;
        loop {
            let op = match () {
                () if self.sign("*") => Math::Multiply,
                () if self.sign("/") => Math::Divide,
                () if self.sign("%") => Math::Remainder,
                () => return Ok(left),
            };
            self.link()?;
            left = Term::Math(op, boxed(left), boxed(self.postfix()?));
        }
    }

    /// A term with its accesses, and `term as pattern | body`, whose body reaches as far as it can.
    fn postfix(&mut self) -> P<Term> {
        let mut term = self.nested(Self::primary)?;
        loop {
            if self.sign("?") {
                self.link()?;
                term = Term::Try(boxed(term), None);
            } else if let Some(accessed) = self.access(&mut term)? {
                self.link()?;
                term = accessed;
            } else if self.word("as") {
                return self.scoped(|p| {
                    let pattern = p.pattern()?;
                    if p.is(&Tok::Sign, "?") {
                        let what = "alternative patterns (?//) are not supported".into();
                        return Err(JqError::syntax(p.peek().at, what));
                    }
                    p.expect_sign("|")?;
                    let body = p.pipe(true)?;
                    Ok(Term::Bind(boxed(term), pattern, boxed(body)))
                });
            } else {
                return Ok(term);
            }
        }
    }

    /// `.foo`, `."foo"`, `[...]` after a term, with their `?`. Takes the term only if there is one.
    fn access(&mut self, term: &mut Term) -> P<Option<Term>> {
        let token = self.peek();
        if token.tok == Tok::Field {
            let key = Term::Const(Val::text(token.text));
            self.advance();
            return Ok(Some(Term::Index(boxed(take(term)), boxed(key), self.optional())));
        }
        if self.is(&Tok::Sign, "[") {
            return self.brackets(take(term)).map(Some);
        }
        if !self.sign(".") {
            return Ok(None);
        }
        if self.is(&Tok::Sign, "[") {
            return self.brackets(take(term)).map(Some);
        }
        let key = self.string("a key")?;
        Ok(Some(Term::Index(boxed(take(term)), boxed(key), self.optional())))
    }

    /// A `?` right after an access silences that access; more of them change nothing.
    fn optional(&mut self) -> bool {
        self.sign("?")
    }

    /// `[]`, `[key]`, `[from:to]` after a term.
    fn brackets(&mut self, target: Term) -> P<Term> {
        self.expect_sign("[")?;
        let target = boxed(target);
        if self.sign("]") {
            return Ok(Term::Iterate(target, self.optional()));
        }
        let from = if self.is(&Tok::Sign, ":") { None } else { Some(boxed(self.pipe(true)?)) };
        if self.sign(":") {
            let open = self.is(&Tok::Sign, "]") && from.is_some();
            let to = if open { None } else { Some(boxed(self.pipe(true)?)) };
            self.expect_sign("]")?;
            return Ok(Term::Slice(target, from, to, self.optional()));
        }
        self.expect_sign("]")?;
        match from {
            Some(key) => Ok(Term::Index(target, key, self.optional())),
            None => Err(self.unexpected("an index")),
        }
    }

    fn primary(&mut self) -> P<Term> {
        let token = self.peek().clone();
        match (&token.tok, token.text) {
            (Tok::Number, text) => {
                self.advance();
                let number = parse_number(text);
                let what = || JqError::syntax(token.at, format!("invalid number `{text}`"));
                Ok(Term::Const(number.ok_or_else(what)?))
            }
            (Tok::Field, text) => {
                self.advance();
                let key = Term::Const(Val::text(text));
                Ok(Term::Index(boxed(Term::Id), boxed(key), self.optional()))
            }
            (Tok::Open, _) => self.string("a string"),
            (Tok::Format, _) => self.format(),
            (Tok::Var, text) => self.variable(text, token.at),
            (Tok::Word, _) => self.word_term(&token),
            (Tok::Sign, ".") => {
                self.advance();
                if self.peek().tok == Tok::Open {
                    let key = self.string("a key")?;
                    return Ok(Term::Index(boxed(Term::Id), boxed(key), self.optional()));
                }
                Ok(Term::Id)
            }
            (Tok::Sign, "..") => {
                self.advance();
                self.function("recurse", Vec::new(), token.at)
            }
            (Tok::Sign, "-") => {
                self.advance();
                Ok(Term::Negate(boxed(self.postfix()?)))
            }
            (Tok::Sign, "(") => {
                self.advance();
                let term = self.pipe(true)?;
                self.expect_sign(")")?;
                Ok(term)
            }
            (Tok::Sign, "[") => {
                self.advance();
                if self.sign("]") {
                    return Ok(Term::Array(None));
                }
                let items = self.pipe(true)?;
                self.expect_sign("]")?;
                Ok(Term::Array(Some(boxed(items))))
            }
            (Tok::Sign, "{") => self.object(),
            _ => Err(self.unexpected("a term")),
        }
    }

    fn word_term(&mut self, token: &Token<'s>) -> P<Term> {
        match token.text {
            "def" => self.pipe(false),
            "if" => {
                self.advance();
                self.condition()
            }
            "try" => {
                self.advance();
                let body = boxed(self.nested(Self::postfix_of_try)?);
                let catch = self.word("catch").then(|| self.nested(Self::postfix_of_try));
                Ok(Term::Try(body, catch.transpose()?.map(boxed)))
            }
            "reduce" => self.fold(false),
            "foreach" => self.fold(true),
            "label" => {
                self.advance();
                let name = self.expect_var()?;
                self.expect_sign("|")?;
                self.scoped(|p| {
                    p.bind(name, |slot| Name::Label { slot });
                    Ok(Term::Label(boxed(p.pipe(true)?)))
                })
            }
            "break" => {
                self.advance();
                let at = self.peek().at;
                let name = self.expect_var()?;
                let label = self.scope.iter().rev().find_map(|entry| match entry.name {
                    Name::Label { slot } if entry.text == name => Some(slot),
                    _ => None,
                });
                let what = || JqError::syntax(at, format!("unknown label `${name}`"));
                let label = label.ok_or_else(what)?;
                Ok(Term::Break(self.slots - 1 - label))
            }
            "import" | "include" => {
                Err(JqError::syntax(token.at, "modules are not available".into()))
            }
            text if KEYWORDS.contains(&text) => Err(self.unexpected("a term")),
            text => {
                self.advance();
                let mut args = Vec::new();
                if self.sign("(") {
                    loop {
                        args.push(self.pipe(true)?);
                        if !self.sign(";") {
                            break;
                        }
                    }
                    self.expect_sign(")")?;
                }
                self.function(text, args, token.at)
            }
        }
    }

    /// What `try` takes: a term with its accesses and no `as`.
    fn postfix_of_try(&mut self) -> P<Term> {
        let mut term = self.primary()?;
        loop {
            if self.sign("?") {
                self.link()?;
                term = Term::Try(boxed(term), None);
            } else if let Some(accessed) = self.access(&mut term)? {
                self.link()?;
                term = accessed;
            } else {
                return Ok(term);
            }
        }
    }

    /// The rest of `if`.
    fn condition(&mut self) -> P<Term> {
        let condition = boxed(self.pipe(true)?);
        self.expect_word("then")?;
        let then = boxed(self.pipe(true)?);
        let otherwise = if self.word("elif") {
            Some(self.nested(Self::condition)?)
        } else if self.word("else") {
            let otherwise = self.pipe(true)?;
            self.expect_word("end")?;
            Some(otherwise)
        } else {
            self.expect_word("end")?;
            None
        };
        Ok(Term::If(condition, then, otherwise.map(boxed)))
    }

    /// `reduce source as pattern (init; update)`, `foreach ... (init; update; extract)`.
    fn fold(&mut self, foreach: bool) -> P<Term> {
        self.advance();
        let source = self.postfix_of_try()?;
        self.expect_word("as")?;
        let before = (self.scope.len(), self.slots);
        let pattern = self.pattern()?;
        let bound = (self.scope.split_off(before.0), self.slots);
        self.slots = before.1;
        self.expect_sign("(")?;
        let init = self.pipe(true)?;
        self.expect_sign(";")?;
        self.scoped(|p| {
            p.scope.extend(bound.0);
            p.slots = bound.1;
            let update = p.pipe(true)?;
            let extract = (foreach && p.sign(";")).then(|| p.pipe(true)).transpose()?;
            p.expect_sign(")")?;
            let fold = Box::new(Fold { source, pattern, init, update, extract });
            Ok(if foreach { Term::Foreach(fold) } else { Term::Reduce(fold) })
        })
    }

    fn pattern(&mut self) -> P<Pattern> {
        if self.peek().tok == Tok::Var {
            let name = self.advance().text;
            self.bind(name, |slot| Name::Var { slot });
            return Ok(Pattern::Var);
        }
        if self.sign("[") {
            let mut items = Vec::new();
            loop {
                items.push(self.nested(Self::pattern)?);
                if !self.sign(",") {
                    break;
                }
            }
            self.expect_sign("]")?;
            return Ok(Pattern::Array(items));
        }
        if !self.sign("{") {
            return Err(self.unexpected("a pattern"));
        }
        let mut entries = Vec::new();
        loop {
            entries.push(self.pattern_entry()?);
            if !self.sign(",") {
                break;
            }
        }
        self.expect_sign("}")?;
        Ok(Pattern::Object(entries))
    }

    fn pattern_entry(&mut self) -> P<(Term, bool, Option<Pattern>)> {
        let token = self.peek().clone();
        if token.tok == Tok::Var {
            self.advance();
            self.bind(token.text, |slot| Name::Var { slot });
            let inner = self.sign(":").then(|| self.nested(Self::pattern)).transpose()?;
            return Ok((Term::Const(Val::text(token.text)), true, inner));
        }
        let key = self.object_key()?;
        self.expect_sign(":")?;
        Ok((key, false, Some(self.nested(Self::pattern)?)))
    }

    /// A word, a string, or a term in parentheses.
    fn object_key(&mut self) -> P<Term> {
        let token = self.peek().clone();
        match token.tok {
            Tok::Word => {
                self.advance();
                Ok(Term::Const(Val::text(token.text)))
            }
            Tok::Format => self.format(),
            Tok::Sign if token.text == "(" => {
                self.advance();
                let key = self.pipe(true)?;
                self.expect_sign(")")?;
                Ok(key)
            }
            _ => self.string("a key"),
        }
    }

    fn object(&mut self) -> P<Term> {
        self.expect_sign("{")?;
        let mut entries = Vec::new();
        while !self.sign("}") {
            entries.push(self.object_entry()?);
            if !self.sign(",") {
                self.expect_sign("}")?;
                break;
            }
        }
        Ok(Term::Object(entries))
    }

    fn object_entry(&mut self) -> P<(Term, Term)> {
        let token = self.peek().clone();
        if token.tok == Tok::Var {
            let value = self.variable(token.text, token.at)?;
            return Ok((Term::Const(Val::text(token.text)), value));
        }
        let start = self.next;
        let computed = self.is(&Tok::Sign, "(");
        let key = self.object_key()?;
        if self.sign(":") {
            return Ok((key, self.pipe(false)?));
        }
        if computed {
            return Err(self.unexpected("`:`"));
        }
        // `{a}` is `{a: .a}`: the key is read once more for the value.
        self.next = start;
        let again = self.object_key()?;
        Ok((key, Term::Index(boxed(Term::Id), boxed(again), false)))
    }

    /// `@name`, or `@name` and the string that it formats.
    fn format(&mut self) -> P<Term> {
        let token = self.advance();
        let what = || JqError::syntax(token.at, format!("unknown format `{}`", token.text));
        let format = Format::named(token.text).ok_or_else(what)?;
        if self.peek().tok == Tok::Open {
            return self.parts(format);
        }
        Ok(Term::Text(format, vec![Part::Term(Term::Id)]))
    }

    fn string(&mut self, wanted: &str) -> P<Term> {
        if self.peek().tok == Tok::Open {
            return self.parts(Format::Text);
        }
        Err(self.unexpected(wanted))
    }

    fn parts(&mut self, format: Format) -> P<Term> {
        self.advance();
        let mut parts = Vec::new();
        loop {
            match self.advance().tok {
                Tok::Text(text) => {
                    if !text.is_empty() {
                        parts.push(Part::Text(text));
                    }
                }
                Tok::TermOpen => {
                    parts.push(Part::Term(self.pipe(true)?));
                    if self.peek().tok != Tok::TermClose {
                        return Err(self.unexpected("`)`"));
                    }
                    self.advance();
                }
                _ => break,
            }
        }
        Ok(match parts.as_slice() {
            [] => Term::Const(Val::text("")),
            [Part::Text(text)] => Term::Const(Val::text(text)),
            _ => Term::Text(format, parts),
        })
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
