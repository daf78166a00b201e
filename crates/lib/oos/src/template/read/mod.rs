//! From nodes to a template: each key of the grammar, and all that is wrong at once.
//!
//! What cannot be read is reported and stands in the template as something harmless of its kind, so
//! that what refers to it is not wrong as well.

mod loops;
mod parameters;
mod tasks;

use std::collections::HashMap;

use serde_json::Value;

pub(crate) use self::loops::RATE;
pub(crate) use self::tasks::is_product;
use super::{Output, Template, Type};
use crate::diagnostic::{Code, Diagnostics, Severity, Span};
use crate::document::{Key, Kind, Node};
use crate::expr::{Expr, ExprKind, Reader};

/// The version of the language.
const FORMAT_VERSION: &str = "OOS-2019-06-01";

/// Characters of a name.
const MAX_NAME: usize = 200;

/// How deep `ACS::Loop` and templates inside of tasks may nest.
pub(crate) const MAX_INNER: u32 = 8;

const TOP: &[&str] = &[
    "FormatVersion",
    "Description",
    "Parameters",
    "RamRole",
    "Conditions",
    "Tasks",
    "Outputs",
    "Metadata",
];

impl Template {
    /// Read the template that `node` is, as far as it can be read: what is wrong is reported.
    pub fn read(node: &Node, source: &str, diagnostics: &mut Diagnostics) -> Option<Self> {
        Self::read_inside(node, source, "", 0, diagnostics)
    }

    /// Read a template that stands at `path` of another one, `depth` levels inside.
    pub(crate) fn read_inside(
        node: &Node,
        source: &str,
        path: &str,
        depth: u32,
        diagnostics: &mut Diagnostics,
    ) -> Option<Self> {
        read(node, path, depth, &mut Reader { source, diagnostics })
    }
}

fn read(node: &Node, path: &str, depth: u32, reader: &mut Reader<'_>) -> Option<Template> {
    let Kind::Map(entries) = &node.kind else {
        let told = format!("a template is a map, and this is {}", node.what());
        reader.diagnostics.error(Code::Structure, path, &node.span, told);
        return None;
    };
    only(entries, TOP, path, "a template", reader);
    let head = entries.first().map_or(node.span.clone(), |(key, _)| key.span.clone());
    version(node, path, &head, reader);
    let description =
        node.get("Description").map(|own| text_or_map(own, &join(path, "Description"), reader));
    let parameters = parameters::parameters(node.get("Parameters"), path, reader);
    let ram_role = node.get("RamRole").map(|own| Expr::read(own, &join(path, "RamRole"), reader));
    let conditions = map_of(node.get("Conditions"), &join(path, "Conditions"), reader)
        .iter()
        .map(|(key, own)| {
            let path = join(&join(path, "Conditions"), &key.name);
            (key.name.clone(), Expr::read(own, &path, reader))
        })
        .collect();
    let tasks = match node.get("Tasks") {
        Some(own) => tasks::tasks(own, &join(path, "Tasks"), depth, reader),
        None => {
            reader.diagnostics.error(Code::Structure, path, &head, "`Tasks` is missing");
            Vec::new()
        }
    };
    let outputs = outputs(node.get("Outputs"), &join(path, "Outputs"), reader);
    let metadata = node.get("Metadata").map(Node::to_value);
    if tasks.is_empty() {
        return None;
    }
    Some(Template { description, parameters, ram_role, conditions, tasks, outputs, metadata })
}

fn version(node: &Node, path: &str, head: &Span, reader: &mut Reader<'_>) {
    let help = Some(format!("write FormatVersion: {FORMAT_VERSION}"));
    let Some(own) = node.get("FormatVersion") else {
        let told = "`FormatVersion` is missing";
        reader.diagnostics.error_with_help(Code::Structure, path, head, told, help);
        return;
    };
    let path = join(path, "FormatVersion");
    match own.text() {
        Some(FORMAT_VERSION) => {}
        Some("OOS-2019-06-01-State") => {
            let told = "templates of state configurations (OOS-2019-06-01-State) are not supported";
            reader.diagnostics.error(Code::Structure, &path, &own.span, told);
        }
        found => {
            let told = match found {
                Some(text) => format!("`{}` is not a FormatVersion that kiln knows", short(text)),
                None => format!("`FormatVersion` must be a string, and is {}", own.what()),
            };
            reader.diagnostics.error_with_help(Code::Structure, &path, &own.span, told, help);
        }
    }
}

pub(crate) fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

/// Report keys that are none of `known`.
fn only(entries: &[(Key, Node)], known: &[&str], path: &str, of: &str, reader: &mut Reader<'_>) {
    for (key, _) in entries.iter().filter(|(key, _)| !known.contains(&key.name.as_str())) {
        if reader.diagnostics.is_full(Severity::Error) {
            return;
        }
        let told = format!("`{}` is not a key of {of}", short(&key.name));
        let help = Some(match closest(&key.name, known.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("known keys are {}", known.join(", ")),
        });
        reader.diagnostics.error_with_help(Code::Structure, path, &key.span, told, help);
    }
}

/// Characters of the longest name that is compared with others: likeness costs the product.
const MAX_COMPARED: usize = 64;

/// The one of `known` that `name` was probably meant to be.
pub(crate) fn closest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    if name.len() > MAX_COMPARED {
        return None;
    }
    let name = name.to_lowercase();
    known
        .filter(|own| own.len() <= MAX_COMPARED)
        .map(|own| (strsim::jaro_winkler(&name, &own.to_lowercase()), own))
        .filter(|(near, _)| *near > 0.82)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, own)| own)
}

/// "did you mean ...?", where one of `known` is near.
pub(crate) fn did_you_mean<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<String> {
    closest(name, known).map(|near| format!("did you mean `{near}`?"))
}

fn map_of<'a>(node: Option<&'a Node>, path: &str, reader: &mut Reader<'_>) -> &'a [(Key, Node)] {
    match node {
        None => &[],
        Some(Node { kind: Kind::Null, .. }) => &[],
        Some(Node { kind: Kind::Map(entries), .. }) => entries,
        Some(other) => {
            wrong_kind(other, path, "a map", reader);
            &[]
        }
    }
}

fn wrong_kind(node: &Node, path: &str, wanted: &str, reader: &mut Reader<'_>) {
    let name = path.rsplit('.').next().unwrap_or(path);
    let told = format!("`{name}` must be {wanted}, and is {}", node.what());
    reader.diagnostics.error(Code::Structure, path, &node.span, told);
}

/// Text, or a map of language to text. What else is in the map is left as it is.
fn text_or_map(node: &Node, path: &str, reader: &mut Reader<'_>) -> Value {
    if !matches!(node.kind, Kind::Text(_) | Kind::Map(_) | Kind::Null) {
        wrong_kind(node, path, "a string, or a map of language to string", reader);
    }
    node.to_value()
}

/// The names of one kind that were declared so far.
#[derive(Default)]
struct Names {
    /// In lower case, with the spelling of the text.
    seen: HashMap<String, String>,
}

impl Names {
    /// Take in the name of `what` that stands at `span`, and report what is wrong with it.
    fn add(&mut self, name: &str, what: &str, path: &str, span: &Span, reader: &mut Reader<'_>) {
        let is_plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        if name.is_empty() || name.len() > MAX_NAME || !name.bytes().all(is_plain) {
            let told = format!("`{}` is no name for {what}", short(name));
            let help = Some(format!("a name has 1 to {MAX_NAME} letters, digits, - and _"));
            reader.diagnostics.error_with_help(Code::Name, path, span, told, help);
        }
        let Some(twin) = self.seen.insert(name.to_ascii_lowercase(), name.to_owned()) else {
            return;
        };
        let told =
            format!("`{}` is there twice: names are the same in any letter case", short(name));
        let help = (twin != name).then(|| format!("the other one is `{}`", short(&twin)));
        reader.diagnostics.error_with_help(Code::Name, path, span, told, help);
    }
}

fn short(text: &str) -> String {
    match text.char_indices().nth(40) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

fn kind_of(node: Option<&Node>, path: &str, reader: &mut Reader<'_>) -> Type {
    let Some(node) = node else { return Type::String };
    let known = Type::ALL.iter().find(|(name, _)| node.text() == Some(name));
    if let Some((_, kind)) = known {
        return *kind;
    }
    let told = match node.text() {
        Some(text) => format!("`{}` is not a type", short(text)),
        None => format!("`Type` must be a string, and is {}", node.what()),
    };
    let near = node.text().and_then(|text| closest(text, Type::ALL.iter().map(|(name, _)| *name)));
    let help = Some(match near {
        Some(near) => format!("did you mean `{near}`?"),
        None => "types are String, Number, Boolean, List and Json".to_owned(),
    });
    reader.diagnostics.error_with_help(Code::Structure, path, &node.span, told, help);
    Type::String
}

fn whole(node: &Node) -> Option<u64> {
    match &node.kind {
        Kind::Number(number) => number.as_u64(),
        Kind::Text(text) => text.trim().parse().ok(),
        _ => None,
    }
}

fn flag(node: &Node, path: &str, reader: &mut Reader<'_>) -> bool {
    match crate::parameters::coerce(Type::Boolean, &node.to_value()) {
        Ok(Value::Bool(value)) => value,
        _ => {
            wrong_kind(node, path, "true or false", reader);
            false
        }
    }
}

fn outputs(node: Option<&Node>, path: &str, reader: &mut Reader<'_>) -> Vec<Output> {
    let (mut names, mut found) = (Names::default(), Vec::new());
    for (key, own) in map_of(node, path, reader) {
        let path = join(path, &key.name);
        names.add(&key.name, "an output", &path, &key.span, reader);
        only(map_of(Some(own), &path, reader), &["Type", "Value"], &path, "an output", reader);
        let kind = kind_of(own.get("Type"), &join(&path, "Type"), reader);
        let value = match own.get("Value") {
            Some(value) => Expr::read(value, &join(&path, "Value"), reader),
            None => {
                reader.diagnostics.error(Code::Structure, &path, &key.span, "`Value` is missing");
                nothing(&key.span)
            }
        };
        found.push(Output { name: key.name.clone(), kind, value });
    }
    found
}

fn nothing(span: &Span) -> Expr {
    Expr { kind: ExprKind::Value(Value::Null), span: span.clone() }
}
