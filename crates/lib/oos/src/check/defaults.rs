//! Parameters: defaults that depend on themselves, or that their own constraints refuse.

use std::collections::HashMap;

use super::circle::Dependencies;
use super::place;
use crate::diagnostic::{Code, Diagnostics};
use crate::document::Node;
use crate::expr::Target;
use crate::parameters;
use crate::template::{Parameter, Template, Type, join};

pub(super) fn check(template: &Template, node: &Node, diagnostics: &mut Diagnostics) {
    let dependencies = dependencies(template);
    for (at, own) in template.parameters.iter().enumerate() {
        let path = join("Parameters", &own.name);
        let at_key = |key: &str| place(node, &["Parameters", &own.name, key], &own.span);
        fits_its_type(own, node, &path, diagnostics);
        if let Some(pattern) = &own.allowed_pattern
            && let Err(error) = fancy_regex::Regex::new(pattern)
        {
            let told = format!("`AllowedPattern` is no regular expression: {error}");
            let path = join(&path, "AllowedPattern");
            diagnostics.error(Code::Parameter, &path, at_key("AllowedPattern"), told);
        }
        if let Some(way) = dependencies.way_back(at) {
            let told = format!("the default of `{}` depends on itself: {way}", own.name);
            diagnostics.error(Code::Reference, &join(&path, "Default"), at_key("Default"), told);
        }
        let Some(default) = own.default.as_ref() else { continue };
        let Some(value) = default.constant() else { continue };
        let told = match parameters::coerce(own.kind, &value) {
            Err(error) => error,
            Ok(value) => match parameters::check(own, &value) {
                Err(error) => error.message,
                Ok(()) => continue,
            },
        };
        let told = format!("the default of `{}` {told}", own.name);
        diagnostics.error(Code::Parameter, &join(&path, "Default"), &default.span, told);
    }
}

/// Constraints that the type has no use for are slips of the pen.
fn fits_its_type(own: &Parameter, node: &Node, path: &str, diagnostics: &mut Diagnostics) {
    let is_text = own.kind == Type::String;
    let is_number = own.kind == Type::Number;
    let useless = [
        ("AllowedPattern", own.allowed_pattern.is_some() && !is_text),
        ("MinLength", own.min_length.is_some() && !is_text),
        ("MaxLength", own.max_length.is_some() && !is_text),
        ("MinValue", own.min_value.is_some() && !is_number),
        ("MaxValue", own.max_value.is_some() && !is_number),
    ];
    for (key, _) in useless.iter().filter(|(_, is_useless)| *is_useless) {
        let told = format!("`{key}` has no effect on a parameter of type {}", own.kind.name());
        let span = place(node, &["Parameters", &own.name, key], &own.span);
        diagnostics.warning(Code::Parameter, &join(path, key), span, told);
    }
    let upside_down = own.min_length.zip(own.max_length).is_some_and(|(a, b)| a > b)
        || own.min_value.zip(own.max_value).is_some_and(|(a, b)| a > b);
    if upside_down {
        let told = format!("no value of `{}` fits: the least is more than the most", own.name);
        diagnostics.error(Code::Parameter, path, &own.span, told);
    }
}

/// Which parameters each default names.
fn dependencies(template: &Template) -> Dependencies<'_> {
    let numbers: HashMap<_, _> = template
        .parameters
        .iter()
        .enumerate()
        .map(|(at, own)| (own.name.to_ascii_lowercase(), at))
        .collect();
    let of = |own: &Parameter| {
        let references = own.default.iter().flat_map(|default| default.references());
        let names = references.filter_map(|reference| match &reference.target {
            Target::Parameter(name) => Some(name.to_ascii_lowercase()),
            _ => None,
        });
        names.filter_map(|name| numbers.get(&name).copied()).collect()
    };
    Dependencies {
        names: template.parameters.iter().map(|own| own.name.as_str()).collect(),
        on: template.parameters.iter().map(of).collect(),
    }
}
