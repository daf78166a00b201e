//! Values of a template that are worked out while it runs: references inside text, and functions.

mod evaluate;
mod read;

use serde_json::Value;

pub(crate) use self::evaluate::size;
pub use self::evaluate::{EvalError, Evaluator, Scope, Work};
pub use self::read::{Reader, store_references};
use crate::diagnostic::Span;
use crate::functions::Function;

/// A value, or how to get it.
#[derive(Clone, Debug, PartialEq)]
pub struct Expr {
    /// How to get it.
    pub kind: ExprKind,
    /// Where it stands in the text.
    pub span: Span,
}

/// How to get a value.
#[derive(Clone, Debug, PartialEq)]
pub enum ExprKind {
    /// It is there, without any reference in it.
    Value(Value),
    /// `"{{ x }}"` and nothing else: the value with its own type.
    Reference(Reference),
    /// Text with references in it.
    Text(Vec<Piece>),
    /// A list with something to work out in it.
    List(Vec<Expr>),
    /// A map with something to work out in it.
    Map(Vec<(String, Expr)>),
    /// A function of an argument.
    Call(Function, Box<Expr>),
}

/// A part of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// As it stands.
    Text(String),
    /// The text of a value.
    Reference(Reference),
}

/// A name in double braces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// What it names.
    pub target: Target,
    /// Its bytes in the template's text, braces included; near enough where the text has escapes.
    pub span: Span,
}

/// What a reference names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// `{{ name }}`: a parameter.
    Parameter(String),
    /// `{{ task.output }}`: an output of a task, or of its loop.
    Output {
        /// The task.
        task: String,
        /// The output.
        output: String,
    },
    /// `{{ task.a.b[0] }}`: a jq path over what a task got, as `.a.b[0]`.
    Path {
        /// The task.
        task: String,
        /// The path, with its first dot.
        path: String,
    },
    /// `{{ ACS::Name }}`.
    Pseudo(Pseudo),
    /// `{{ ACS::Name }}` that is none of those known.
    Unknown(String),
    /// `{{ oos:NAME }}` and `{{ oos-secret:NAME }}`: the parameter store.
    Store {
        /// The parameter of the store.
        name: String,
        /// Whether it is an encrypted one.
        secret: bool,
    },
}

/// A pseudo parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Pseudo {
    /// The region of the execution.
    RegionId,
    /// The identifier of the execution.
    ExecutionId,
    /// The item of the loop.
    TaskLoopItem,
    /// The account.
    AccountId,
    /// Who started the execution.
    ExecuteUser,
    /// `2026-01-31T23:59:59Z`, the same throughout a task.
    CurrentUtcTime,
    /// `2026-01-31`.
    CurrentDate,
    /// The version of a helper program.
    OosUtilVersion,
}

impl Pseudo {
    /// All of them with their names.
    pub const ALL: [(&'static str, Self); 8] = [
        ("ACS::RegionId", Self::RegionId),
        ("ACS::ExecutionId", Self::ExecutionId),
        ("ACS::TaskLoopItem", Self::TaskLoopItem),
        ("ACS::AccountId", Self::AccountId),
        ("ACS::ExecuteUser", Self::ExecuteUser),
        ("ACS::CurrentUTCTime", Self::CurrentUtcTime),
        ("ACS::CurrentDate", Self::CurrentDate),
        ("ACS::OOSUtilVersion", Self::OosUtilVersion),
    ];

    /// The one of a name in any letter case.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(own, _)| own.eq_ignore_ascii_case(name)).map(|(_, pseudo)| *pseudo)
    }
}

impl Expr {
    /// Visit this expression and all inside of it, outermost first.
    pub fn walk<'a>(&'a self, visit: &mut dyn FnMut(&'a Expr)) {
        visit(self);
        match &self.kind {
            ExprKind::Value(_) | ExprKind::Reference(_) | ExprKind::Text(_) => {}
            ExprKind::List(items) => items.iter().for_each(|item| item.walk(visit)),
            ExprKind::Map(entries) => entries.iter().for_each(|(_, item)| item.walk(visit)),
            ExprKind::Call(_, argument) => argument.walk(visit),
        }
    }

    /// All references in it.
    #[must_use]
    pub fn references(&self) -> Vec<&Reference> {
        let mut found = Vec::new();
        self.walk(&mut |expr| match &expr.kind {
            ExprKind::Reference(reference) => found.push(reference),
            ExprKind::Text(pieces) => found.extend(pieces.iter().filter_map(|piece| match piece {
                Piece::Reference(reference) => Some(reference),
                Piece::Text(_) => None,
            })),
            _ => {}
        });
        found
    }

    /// The value, where nothing has to be worked out.
    #[must_use]
    pub fn constant(&self) -> Option<Value> {
        match &self.kind {
            ExprKind::Value(value) => Some(value.clone()),
            ExprKind::List(items) => items.iter().map(Expr::constant).collect(),
            ExprKind::Map(entries) => {
                let entries = entries.iter();
                entries.map(|(key, item)| Some((key.clone(), item.constant()?))).collect()
            }
            ExprKind::Reference(_) | ExprKind::Text(_) | ExprKind::Call(..) => None,
        }
    }

    /// The expression of a key, where this is a map with something to work out in it.
    #[must_use]
    pub fn entry(&self, name: &str) -> Option<&Expr> {
        match &self.kind {
            ExprKind::Map(entries) => {
                entries.iter().find(|(key, _)| key == name).map(|(_, expr)| expr)
            }
            _ => None,
        }
    }
}
