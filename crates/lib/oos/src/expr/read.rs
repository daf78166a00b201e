//! From nodes to expressions: what stands in double braces, and which maps are functions.

use serde_json::{Map, Value};

use super::{Expr, ExprKind, Piece, Pseudo, Reference, Target};
use crate::diagnostic::{Code, Diagnostics, Span};
use crate::document::{Key, Kind, Node};
use crate::functions::Function;

/// What reading needs to know about the text around.
#[derive(Debug)]
pub struct Reader<'a> {
    /// The template's text.
    pub source: &'a str,
    /// Where findings go.
    pub diagnostics: &'a mut Diagnostics,
}

impl Expr {
    /// The expression that `node` is. What is wrong with it is reported, and stands in it as null.
    ///
    /// `path` is where the node stands, for the findings.
    pub fn read(node: &Node, path: &str, reader: &mut Reader<'_>) -> Self {
        let span = node.span.clone();
        let kind = match &node.kind {
            Kind::Null | Kind::Bool(_) | Kind::Number(_) => ExprKind::Value(node.to_value()),
            Kind::Text(text) => read_text(text, &span, reader.source),
            Kind::List(items) => {
                let read = |(at, item)| Self::read(item, &format!("{path}[{at}]"), reader);
                fold_list(items.iter().enumerate().map(read).collect())
            }
            Kind::Map(entries) => read_map(entries, path, reader),
        };
        Self { kind, span }
    }
}

fn read_map(entries: &[(Key, Node)], path: &str, reader: &mut Reader<'_>) -> ExprKind {
    if let Some((key, argument)) = entries.iter().find(|(key, _)| key.name.starts_with("Fn::")) {
        if entries.len() > 1 {
            let message = format!("`{}` stands beside other keys in one map", key.name);
            let help = Some("a function is a map with one key".to_owned());
            reader.diagnostics.error_with_help(Code::Function, path, &key.span, message, help);
            return ExprKind::Value(Value::Null);
        }
        return read_call(key, argument, path, reader);
    }
    let read = |(key, node): &(Key, Node)| {
        (key.name.clone(), Expr::read(node, &join(path, &key.name), reader))
    };
    let entries: Vec<_> = entries.iter().map(read).collect();
    if entries.iter().all(|(_, expr)| matches!(expr.kind, ExprKind::Value(_))) {
        let value = |(key, expr): (String, Expr)| Some((key, expr.constant()?));
        let map: Map<_, _> = entries.into_iter().filter_map(value).collect();
        return ExprKind::Value(Value::Object(map));
    }
    ExprKind::Map(entries)
}

fn read_call(key: &Key, argument: &Node, path: &str, reader: &mut Reader<'_>) -> ExprKind {
    let path = join(path, &key.name);
    let Some(function) = Function::named(&key.name) else {
        let message = format!("`{}` is not a function", key.name);
        let help =
            Function::closest(&key.name).map(|known| format!("did you mean `{}`?", known.name()));
        reader.diagnostics.error_with_help(Code::Function, &path, &key.span, message, help);
        return ExprKind::Value(Value::Null);
    };
    let n_items = match &argument.kind {
        Kind::List(items) => Some(items.len()),
        _ => None,
    };
    if let Err(message) = function.check_shape(n_items) {
        let help = Some(format!("the argument of {} is {}", function.name(), function.usage()));
        reader.diagnostics.error_with_help(Code::Function, &path, &argument.span, message, help);
    }
    // The items of an argument stay apart even where all are constant: some functions look at one
    // of them and leave the others alone.
    let argument = match &argument.kind {
        Kind::List(items) => {
            let read = |(at, item)| Expr::read(item, &format!("{path}[{at}]"), reader);
            let items = items.iter().enumerate().map(read).collect();
            Expr { kind: ExprKind::List(items), span: argument.span.clone() }
        }
        _ => Expr::read(argument, &path, reader),
    };
    ExprKind::Call(function, Box::new(argument))
}

fn fold_list(items: Vec<Expr>) -> ExprKind {
    if items.iter().all(|item| matches!(item.kind, ExprKind::Value(_))) {
        let values = items.into_iter().filter_map(|item| item.constant());
        return ExprKind::Value(values.collect());
    }
    ExprKind::List(items)
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

fn read_text(text: &str, span: &Span, source: &str) -> ExprKind {
    let pieces = split(text, span, source, &|name| Some(target(name)));
    kind_of(text, pieces)
}

/// Text that came from outside: only names of the parameter store are references, everything else
/// in braces is text, so that nobody puts references of the template into a value.
#[must_use]
pub fn store_references(text: &str) -> Expr {
    let span = 0..text.len();
    let pieces = split(text, &span, text, &store);
    Expr { kind: kind_of(text, pieces), span }
}

fn kind_of(text: &str, mut pieces: Vec<Piece>) -> ExprKind {
    let is_reference = |piece: &Piece| matches!(piece, Piece::Reference(_));
    if !pieces.iter().any(is_reference) {
        return ExprKind::Value(Value::String(text.to_owned()));
    }
    let is_blank = |piece: &Piece| matches!(piece, Piece::Text(text) if text.trim().is_empty());
    if pieces.iter().filter(|piece| is_reference(piece)).count() == 1
        && pieces.iter().all(|piece| is_reference(piece) || is_blank(piece))
        && let Some(at) = pieces.iter().position(is_reference)
        && let Piece::Reference(reference) = pieces.swap_remove(at)
    {
        return ExprKind::Reference(reference);
    }
    ExprKind::Text(pieces)
}

/// Cut `text` at its references. Braces do not nest, and what is opened and not closed is text.
fn split(
    text: &str,
    span: &Span,
    source: &str,
    target: &dyn Fn(&str) -> Option<Target>,
) -> Vec<Piece> {
    let mut places = places(source.get(span.clone()).unwrap_or_default(), span.start);
    let mut pieces = Vec::new();
    let mut plain = String::new();
    let mut rest = text;
    while let Some(open) = rest.find("{{") {
        let (before, after) = rest.split_at(open);
        plain.push_str(before);
        // Of `{{{ x }}` the innermost two braces open.
        let inner = after.trim_start_matches('{');
        let n_braces = after.len() - inner.len();
        plain.push_str(&after[..n_braces - 2]);
        let Some(close) = inner.find("}}") else {
            // None closes later either: looking again for each would take the square of a long text.
            plain.push_str("{{");
            rest = inner;
            break;
        };
        let place = places.next().unwrap_or_else(|| span.clone());
        let name = inner[..close].trim();
        let found = if name.contains('\n') || !could_be_name(name) { None } else { target(name) };
        match found {
            Some(target) => {
                if !plain.is_empty() {
                    pieces.push(Piece::Text(std::mem::take(&mut plain)));
                }
                pieces.push(Piece::Reference(Reference { target, span: place }));
            }
            None => {
                plain.push_str("{{");
                plain.push_str(&inner[..close + 2]);
            }
        }
        rest = &inner[close + 2..];
    }
    plain.push_str(rest);
    if !plain.is_empty() {
        pieces.push(Piece::Text(plain));
    }
    pieces
}

/// Where the references of a piece of source stand, in order.
fn places(source: &str, start: usize) -> impl Iterator<Item = Span> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let rest = source.get(at..)?;
        let open = rest.find("{{")?;
        let inner = rest[open..].trim_start_matches('{');
        let begin = at + rest.len() - inner.len();
        let close = inner.find("}}")?;
        at = begin + close + 2;
        Some(start + begin - 2..start + at)
    })
}

/// Whether the text in braces may name anything: other tools' braces, as in
/// `docker ps --format '{{.Names}}'`, are text.
fn could_be_name(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_alphanumeric() || first == '_')
}

fn target(name: &str) -> Target {
    if let Some(store) = store(name) {
        return store;
    }
    if name.get(..5).is_some_and(|head| head.eq_ignore_ascii_case("acs::")) {
        return match Pseudo::named(name) {
            Some(pseudo) => Target::Pseudo(pseudo),
            None => Target::Unknown(name.to_owned()),
        };
    }
    let Some(at) = name.find(['.', '[']) else {
        return Target::Parameter(name.to_owned());
    };
    let (task, path) = (name[..at].trim_end().to_owned(), &name[at..]);
    let is_plain = |text: &str| {
        !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
    };
    match path.strip_prefix('.') {
        Some(output) if is_plain(output) => Target::Output { task, output: output.to_owned() },
        Some(_) => Target::Path { task, path: path.to_owned() },
        None => Target::Path { task, path: format!(".{path}") },
    }
}

fn store(name: &str) -> Option<Target> {
    let (prefix, rest) = name.split_once(':')?;
    let secret = match prefix {
        "oos" => false,
        "oos-secret" => true,
        _ => return None,
    };
    let name = rest.trim();
    (!name.is_empty() && !name.starts_with(':'))
        .then(|| Target::Store { name: name.into(), secret })
}
