//! Parameters: defaults that depend on themselves, or that their own constraints refuse.

use std::collections::BTreeSet;

use crate::diagnostic::{Code, Diagnostics};
use crate::expr::Target;
use crate::parameters;
use crate::template::{Parameter, Template, Type, join};

pub(super) fn check(template: &Template, diagnostics: &mut Diagnostics) {
    for own in &template.parameters {
        let path = join("Parameters", &own.name);
        fits_its_type(own, &path, diagnostics);
        if let Some(pattern) = &own.allowed_pattern
            && let Err(error) = fancy_regex::Regex::new(pattern)
        {
            let told = format!("`AllowedPattern` is no regular expression: {error}");
            diagnostics.error(Code::Parameter, &join(&path, "AllowedPattern"), &own.span, told);
        }
        if let Some(cycle) = cycle(template, own) {
            let told = format!("the default of `{}` depends on itself: {cycle}", own.name);
            diagnostics.error(Code::Reference, &join(&path, "Default"), &own.span, told);
        }
        let Some(default) = own.default.as_ref() else { continue };
        let Some(value) = default.constant() else { continue };
        let path = join(&path, "Default");
        match parameters::coerce(own.kind, &value) {
            Err(error) => {
                let told = format!("the default of `{}` {error}", own.name);
                diagnostics.error(Code::Parameter, &path, &default.span, told);
            }
            Ok(value) => {
                if let Err(error) = parameters::check(own, &value) {
                    let told = format!("the default of `{}` {}", own.name, error.message);
                    diagnostics.error(Code::Parameter, &path, &default.span, told);
                }
            }
        }
    }
}

/// Constraints that the type has no use for are slips of the pen.
fn fits_its_type(own: &Parameter, path: &str, diagnostics: &mut Diagnostics) {
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
        diagnostics.warning(Code::Parameter, &join(path, key), &own.span, told);
    }
    let upside_down = own.min_length.zip(own.max_length).is_some_and(|(a, b)| a > b)
        || own.min_value.zip(own.max_value).is_some_and(|(a, b)| a > b);
    if upside_down {
        let told = format!("no value of `{}` fits: the least is more than the most", own.name);
        diagnostics.error(Code::Parameter, path, &own.span, told);
    }
}

/// The way from a default back to itself.
fn cycle(template: &Template, start: &Parameter) -> Option<String> {
    let mut seen = BTreeSet::new();
    let mut pending = vec![(start, start.name.clone())];
    while let Some((own, way)) = pending.pop() {
        for reference in own.default.iter().flat_map(|default| default.references()) {
            let Target::Parameter(name) = &reference.target else { continue };
            let Some(next) = template.parameter(name) else { continue };
            let way = format!("{way} → {}", next.name);
            if next.name == start.name {
                return Some(way);
            }
            if seen.insert(next.name.clone()) {
                pending.push((next, way));
            }
        }
    }
    None
}
