//! Patterns, objects, strings and formats.

use super::super::JqError;
use super::super::format::Format;
use super::super::lex::Tok;
use super::super::term::{Part, Pattern, Term};
use super::super::value::Val;
use super::{Name, P, Parser, boxed};

impl<'s> Parser<'s> {
    pub(super) fn pattern(&mut self) -> P<Pattern> {
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

    pub(super) fn pattern_entry(&mut self) -> P<(Term, bool, Option<Pattern>)> {
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
    pub(super) fn object_key(&mut self) -> P<Term> {
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

    pub(super) fn object(&mut self) -> P<Term> {
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

    pub(super) fn object_entry(&mut self) -> P<(Term, Term)> {
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
    pub(super) fn format(&mut self) -> P<Term> {
        let token = self.advance();
        let what = || JqError::syntax(token.at, format!("unknown format `{}`", token.text));
        let format = Format::named(token.text).ok_or_else(what)?;
        if self.peek().tok == Tok::Open {
            return self.parts(format);
        }
        Ok(Term::Text(format, vec![Part::Term(Term::Id)]))
    }

    pub(super) fn string(&mut self, wanted: &str) -> P<Term> {
        if self.peek().tok == Tok::Open {
            return self.parts(Format::Text);
        }
        Err(self.unexpected(wanted))
    }

    pub(super) fn parts(&mut self, format: Format) -> P<Term> {
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
}
