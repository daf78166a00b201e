//! Operators by their precedence, and what follows a term.

use super::super::JqError;
use super::super::lex::Tok;
use super::super::term::{Compare, Math, Term};
use super::super::value::Val;
use super::{P, Parser, boxed, one_or, take};

impl<'s> Parser<'s> {
    /// Terms in brackets or at the top: definitions, then terms with `|` in between.
    pub(super) fn pipe(&mut self, comma: bool) -> P<Term> {
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

    pub(super) fn comma(&mut self, comma: bool) -> P<Term> {
        let mut terms = vec![self.alternative()?];
        while comma && self.sign(",") {
            terms.push(self.alternative()?);
        }
        Ok(one_or(terms, Term::Comma))
    }

    /// `//` binds to the right, and the assignments, which do not chain, bind tighter.
    pub(super) fn alternative(&mut self) -> P<Term> {
        let left = self.assignment()?;
        if self.sign("//") {
            let right = self.nested(Self::alternative)?;
            return Ok(Term::Alternative(boxed(left), boxed(right)));
        }
        Ok(left)
    }

    pub(super) fn assignment(&mut self) -> P<Term> {
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

    pub(super) fn or(&mut self) -> P<Term> {
        let mut left = self.and()?;
        while self.word("or") {
            self.link()?;
            left = Term::Or(boxed(left), boxed(self.and()?));
        }
        Ok(left)
    }

    pub(super) fn and(&mut self) -> P<Term> {
        let mut left = self.comparison()?;
        while self.word("and") {
            self.link()?;
            left = Term::And(boxed(left), boxed(self.comparison()?));
        }
        Ok(left)
    }

    pub(super) fn comparison(&mut self) -> P<Term> {
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

    pub(super) fn sum(&mut self) -> P<Term> {
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

    pub(super) fn product(&mut self) -> P<Term> {
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
    pub(super) fn postfix(&mut self) -> P<Term> {
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
    pub(super) fn access(&mut self, term: &mut Term) -> P<Option<Term>> {
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
    pub(super) fn optional(&mut self) -> bool {
        self.sign("?")
    }

    /// `[]`, `[key]`, `[from:to]` after a term.
    pub(super) fn brackets(&mut self, target: Term) -> P<Term> {
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
}
