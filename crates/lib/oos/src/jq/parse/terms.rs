//! Terms: what stands between operators.

use super::super::JqError;
use super::super::lex::{Tok, Token};
use super::super::term::{Fold, Term};
use super::super::value::{Val, parse_number};
use super::{KEYWORDS, Name, P, Parser, boxed};

impl<'s> Parser<'s> {
    pub(super) fn primary(&mut self) -> P<Term> {
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

    pub(super) fn word_term(&mut self, token: &Token<'s>) -> P<Term> {
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
    pub(super) fn postfix_of_try(&mut self) -> P<Term> {
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
    pub(super) fn condition(&mut self) -> P<Term> {
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
    pub(super) fn fold(&mut self, foreach: bool) -> P<Term> {
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
}
