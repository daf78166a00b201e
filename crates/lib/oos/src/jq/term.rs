//! A parsed script: names are resolved to places, so that evaluation looks nothing up by name.
//!
//! A variable or a parameter is the number of bindings to walk outwards; a call of a definition
//! names the definition and how many bindings to drop to reach the scope that it closes over.

use super::format::Format;
use super::value::Val;

/// One expression.
#[derive(Debug)]
pub(super) enum Term {
    Id,
    Const(Val),
    /// A string with interpolation: what is put in goes through the format first.
    Text(Format, Vec<Part>),
    Array(Option<Box<Term>>),
    Object(Vec<(Term, Term)>),
    Negate(Box<Term>),
    Pipe(Vec<Term>),
    Comma(Vec<Term>),
    /// `target[key]`; the flag, here and below, is a `?` that silences this access alone.
    Index(Box<Term>, Box<Term>, bool),
    Slice(Box<Term>, Option<Box<Term>>, Option<Box<Term>>, bool),
    Iterate(Box<Term>, bool),
    Math(Math, Box<Term>, Box<Term>),
    Compare(Compare, Box<Term>, Box<Term>),
    And(Box<Term>, Box<Term>),
    Or(Box<Term>, Box<Term>),
    Alternative(Box<Term>, Box<Term>),
    Assign(Box<Term>, Box<Term>),
    Update(Box<Term>, Box<Term>),
    /// `l op= r`.
    UpdateMath(Math, Box<Term>, Box<Term>),
    /// `l //= r`.
    UpdateAlternative(Box<Term>, Box<Term>),
    /// `source as pattern | body`.
    Bind(Box<Term>, Pattern, Box<Term>),
    Reduce(Box<Fold>),
    Foreach(Box<Fold>),
    If(Box<Term>, Box<Term>, Option<Box<Term>>),
    Try(Box<Term>, Option<Box<Term>>),
    Label(Box<Term>),
    Break(usize),
    Var(usize),
    /// A call of a closure that the definition around was given.
    Param(usize),
    Call {
        home: Home,
        fun: usize,
        drop: usize,
        args: Vec<Term>,
    },
    /// A function of values: its arguments are evaluated first.
    Native(Native, Vec<Term>),
    /// A function that decides itself when its arguments run.
    Control(Control, Vec<Term>),
}

/// `reduce` and `foreach`: the latter has an extraction.
#[derive(Debug)]
pub(super) struct Fold {
    pub(super) source: Term,
    pub(super) pattern: Pattern,
    pub(super) init: Term,
    pub(super) update: Term,
    pub(super) extract: Option<Term>,
}

/// A piece of a string literal.
#[derive(Debug)]
pub(super) enum Part {
    Text(String),
    Term(Term),
}

/// What a binding takes apart.
#[derive(Debug)]
pub(super) enum Pattern {
    Var,
    Array(Vec<Pattern>),
    /// A key that is a variable (`{$a: [...]}` or `{$a}`) binds that too.
    Object(Vec<(Term, bool, Option<Pattern>)>),
}

/// Which table a definition is in.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Home {
    Prelude,
    Script,
}

/// A definition. A `$x` parameter is a closure that the body binds at once.
#[derive(Debug)]
pub(super) struct Fun {
    pub(super) body: Term,
}

/// `+ - * / %`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Math {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

/// `== != < <= > >=`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Compare {
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
}

/// A function of values.
pub(super) type Native = fn(&mut super::eval::Eval<'_>, Val, &[Val]) -> super::meter::R<Val>;

/// A function over closures.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Control {
    Empty,
    Path,
    GetPath,
    First,
    Last,
    Limit,
    Skip,
    Range,
    Recurse,
    RecurseIf,
    While,
    Until,
    Repeat,
    Any,
    All,
    IsEmpty,
    Del,
}

impl Control {
    /// The control function of this name and number of arguments.
    pub(super) fn named(name: &str, arity: usize) -> Option<Self> {
        Some(match (name, arity) {
            ("empty", 0) => Self::Empty,
            ("path", 1) => Self::Path,
            ("getpath", 1) => Self::GetPath,
            ("first", 1) => Self::First,
            ("last", 1) => Self::Last,
            ("limit", 2) => Self::Limit,
            ("skip", 2) => Self::Skip,
            ("range", 3) => Self::Range,
            ("recurse", 1) => Self::Recurse,
            ("recurse", 2) => Self::RecurseIf,
            ("while", 2) => Self::While,
            ("until", 2) => Self::Until,
            ("repeat", 1) => Self::Repeat,
            ("any", 2) => Self::Any,
            ("all", 2) => Self::All,
            ("isempty", 1) => Self::IsEmpty,
            ("del", 1) => Self::Del,
            _ => return None,
        })
    }
}

impl Term {
    /// Whether this has exactly one result and needs no continuation: such terms are evaluated
    /// by a plain function, which is faster and takes less of the stack. Looks `levels` deep, so
    /// that both the question and that function stay cheap.
    pub(super) fn is_single(&self, levels: u32) -> bool {
        let Some(levels) = levels.checked_sub(1) else { return false };
        let all = |terms: &[Self]| terms.iter().all(|t| t.is_single(levels));
        match self {
            Self::Id | Self::Const(_) | Self::Var(_) | Self::Array(None) => true,
            Self::Array(Some(t)) | Self::Negate(t) => t.is_single(levels),
            Self::Index(target, key, false) => target.is_single(levels) && key.is_single(levels),
            Self::Math(_, l, r) | Self::Compare(_, l, r) => {
                l.is_single(levels) && r.is_single(levels)
            }
            Self::Object(entries) => {
                entries.iter().all(|(k, v)| k.is_single(levels) && v.is_single(levels))
            }
            Self::Pipe(terms) => all(terms),
            Self::Native(_, args) => all(args),
            _ => false,
        }
    }
}
