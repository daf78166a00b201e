//! Values of a template that are worked out while it runs: references inside text, and functions.

use serde_json::Value;

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
