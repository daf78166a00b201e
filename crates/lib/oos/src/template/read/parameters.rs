//! Parameters: their types, constraints and defaults.

use super::{Names, flag, join, kind_of, map_of, only, text_or_map, whole, wrong_kind};
use crate::diagnostic::Code;
use crate::document::{Key, Kind, Node};
use crate::expr::{Expr, Reader};
use crate::template::{Parameter, Type};

/// Parameters of a template.
const MAX_PARAMETERS: usize = 200;

const PARAMETER: &[&str] = &[
    "Type",
    "Default",
    "AllowedValues",
    "AllowedPattern",
    "MinLength",
    "MaxLength",
    "MinValue",
    "MaxValue",
    "NoEcho",
    "ConstraintDescription",
    "Label",
    "Description",
    "AssociationProperty",
    "AssociationPropertyMetadata",
];

pub(super) fn parameters(
    node: Option<&Node>,
    path: &str,
    reader: &mut Reader<'_>,
) -> Vec<Parameter> {
    let path = join(path, "Parameters");
    let entries = map_of(node, &path, reader);
    if let Some(node) = node
        && entries.len() > MAX_PARAMETERS
    {
        let told = format!("{} parameters, more than {MAX_PARAMETERS}", entries.len());
        reader.diagnostics.error(Code::TooLarge, &path, &node.span, told);
    }
    let (mut names, mut found) = (Names::default(), Vec::new());
    for (key, own) in entries.iter().take(MAX_PARAMETERS) {
        let path = join(&path, &key.name);
        names.add(&key.name, "a parameter", &path, &key.span, reader);
        found.push(parameter(key, own, &path, reader));
    }
    found
}

fn parameter(key: &Key, node: &Node, path: &str, reader: &mut Reader<'_>) -> Parameter {
    let entries = map_of(Some(node), path, reader);
    only(entries, PARAMETER, path, "a parameter", reader);
    let kind = kind_of(node.get("Type"), &join(path, "Type"), reader);
    let default = node.get("Default").map(|own| Expr::read(own, &join(path, "Default"), reader));
    let allowed_values = node.get("AllowedValues").and_then(|own| {
        if matches!(own.kind, Kind::List(_)) {
            return Some(own.items().iter().map(Node::to_value).collect());
        }
        wrong_kind(own, &join(path, "AllowedValues"), "a list", reader);
        None
    });
    let text = |name: &str, reader: &mut Reader<'_>| {
        let own = node.get(name)?;
        if own.text().is_none() {
            wrong_kind(own, &join(path, name), "a string", reader);
        }
        own.text().map(str::to_owned)
    };
    let count = |name: &str, reader: &mut Reader<'_>| {
        let own = node.get(name)?;
        let value = whole(own);
        if value.is_none() {
            wrong_kind(own, &join(path, name), "a whole number", reader);
        }
        value
    };
    let number = |name: &str, reader: &mut Reader<'_>| {
        let own = node.get(name)?;
        let value = crate::parameters::coerce(Type::Number, &own.to_value()).ok();
        let value = value.and_then(|value| value.as_f64());
        if value.is_none() {
            wrong_kind(own, &join(path, name), "a number", reader);
        }
        value
    };
    let told = |name: &str, reader: &mut Reader<'_>| {
        node.get(name).map(|own| text_or_map(own, &join(path, name), reader))
    };
    Parameter {
        name: key.name.clone(),
        span: key.span.clone(),
        kind,
        default,
        allowed_values,
        allowed_pattern: text("AllowedPattern", reader),
        min_length: count("MinLength", reader),
        max_length: count("MaxLength", reader),
        min_value: number("MinValue", reader),
        max_value: number("MaxValue", reader),
        no_echo: node.get("NoEcho").is_some_and(|own| flag(own, &join(path, "NoEcho"), reader)),
        constraint_description: told("ConstraintDescription", reader),
        label: told("Label", reader),
        description: told("Description", reader),
        association: text("AssociationProperty", reader),
    }
}
