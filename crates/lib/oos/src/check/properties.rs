//! What each action takes.

use serde_json::{Map, Value};

use super::{is_open, place};
use crate::diagnostic::{Code, Diagnostics, Severity, Span};
use crate::document::{Kind, Node};
use crate::expr::{Expr, ExprKind};
use crate::template::{Action, Catalogue, Task, closest, did_you_mean, is_product, join};

/// The properties of a core action: those it must have, and those it may have.
fn of(action: &Action) -> (&'static [&'static str], &'static [&'static str]) {
    const CALL: &[&str] = &["Parameters", "AutoPaging", "Method", "URI", "Headers", "Body", "Risk"];
    const LOOK: &[&str] = &[
        "Parameters",
        "AutoPaging",
        "Method",
        "URI",
        "Headers",
        "Body",
        "Risk",
        "DesiredValues",
        "NotDesiredValues",
        "StopRetryValues",
    ];
    match action {
        Action::ExecuteApi => (&["Service", "API"], CALL),
        Action::WaitFor | Action::CheckFor => (&["Service", "API", "PropertySelector"], LOOK),
        Action::Choice { .. } => (&["DefaultTask", "Choices"], &[]),
        Action::Sleep => (&[], &["Duration", "EndDate"]),
        Action::Template { .. } => {
            (&[], &["TemplateName", "TemplateVersion", "TemplateContent", "Parameters"])
        }
        Action::SelectTargets => (&["ResourceType"], &["Filters", "RegionId"]),
        Action::Approve => (
            &["NotifyType", "WebHook"],
            &["Approvers", "MinRequiredApprovals", "AppendExecutionLink"],
        ),
        Action::Notify => (&["NotifyType", "WebHook"], &["AppendExecutionLink"]),
        Action::Pause => (&[], &[]),
        Action::ExecuteHttpRequest => {
            (&["URL"], &["Method", "Headers", "Query", "Body", "WaitFor", "CheckFor"])
        }
        Action::TimerTrigger => (&["Type", "Expression", "EndDate"], &["TimeZone"]),
        Action::EventTrigger => {
            (&["Product", "Name"], &["Level", "Content", "RegionId", "Tags", "OutputTransformer"])
        }
        Action::AlarmTrigger => (
            &["Namespace", "MetricName"],
            &[
                "Statistics",
                "ComparisonOperator",
                "Threshold",
                "Times",
                "SilenceTime",
                "Period",
                "Interval",
                "Resources",
                "Tags",
                "EffectiveInterval",
                "OutputTransformer",
            ],
        ),
        Action::Loop { .. } => (&["LoopItems", "LoopTasks"], &["LoopRateControl"]),
        Action::Product { .. } => (&[], &[]),
    }
}

/// What the value of a property must be, where it is known.
enum Wanted {
    Text,
    Map,
    List,
    Flag,
    Count,
    OneOf(&'static [&'static str]),
    /// What it is depends on others, or is looked at elsewhere.
    Any,
}

/// The kind of a property of a core action.
fn wanted(action: &Action, name: &str) -> Wanted {
    match (action, name) {
        (Action::ExecuteHttpRequest, "Method") => Wanted::OneOf(&["GET", "POST"]),
        (_, "Method") => Wanted::OneOf(&["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD"]),
        (_, "Risk") => Wanted::OneOf(&["Normal", "High"]),
        (_, "NotifyType") => Wanted::OneOf(&["WebHook"]),
        (Action::EventTrigger | Action::AlarmTrigger, _) => Wanted::Any,
        (
            _,
            "Service" | "API" | "PropertySelector" | "URL" | "URI" | "ResourceType" | "RegionId"
            | "TemplateName",
        ) => Wanted::Text,
        (Action::ExecuteHttpRequest, "WaitFor" | "CheckFor") => Wanted::Map,
        (_, "Parameters" | "Headers" | "Query" | "WebHook") => Wanted::Map,
        (_, "DesiredValues" | "NotDesiredValues" | "StopRetryValues" | "Approvers") => Wanted::List,
        (_, "AutoPaging" | "AppendExecutionLink") => Wanted::Flag,
        (_, "MinRequiredApprovals") => Wanted::Count,
        _ => Wanted::Any,
    }
}

impl Wanted {
    /// What should be there instead of `value`, where that is none of it.
    fn refuses(&self, value: &Value) -> Option<String> {
        let text = || crate::value::text(value);
        let (is_sound, told) = match self {
            Self::Any => return None,
            Self::Text => (value.is_string(), "a string".to_owned()),
            Self::Map => (value.is_object(), "a map".to_owned()),
            Self::List => (value.is_array(), "a list".to_owned()),
            Self::Flag => (crate::functions::truth(value).is_ok(), "true or false".to_owned()),
            Self::Count => (
                text().trim().parse::<u32>().is_ok_and(|count| count > 0),
                "a whole number from 1".to_owned(),
            ),
            Self::OneOf(known) => (
                known.iter().any(|own| own.eq_ignore_ascii_case(&text())),
                match known {
                    [one] => (*one).to_owned(),
                    _ => format!("one of {}", known.join(", ")),
                },
            ),
        };
        (!is_sound).then_some(told)
    }

    /// What is there instead: the kind where that is wrong, else the value, where it is short.
    fn found(&self, value: &Value) -> String {
        let text = crate::value::text(value);
        match (self, value) {
            (Self::Flag | Self::Count | Self::OneOf(_), Value::String(_) | Value::Number(_))
                if (1..40).contains(&text.len()) =>
            {
                format!("`{text}`")
            }
            _ => crate::value::kind(value).to_owned(),
        }
    }
}

/// Check the properties of the task at `path`, which was read from `node`.
pub(super) fn check(
    task: &Task,
    node: &Node,
    path: &str,
    catalogue: &dyn Catalogue,
    diagnostics: &mut Diagnostics,
) {
    let properties = node.get("Properties");
    if properties.is_some_and(|own| !matches!(own.kind, Kind::Map(_) | Kind::Null)) {
        return; // reported by the reader
    }
    // Properties that are worked out as a whole may hold anything.
    if properties.is_some_and(is_open) {
        return;
    }
    if let Action::Product { name } = &task.action {
        // An action that is none was reported by the reader.
        if is_product(name) {
            product(name, node, path, catalogue, diagnostics);
        }
        return;
    }
    keys(task, node, path, diagnostics);
    values(task, node, path, diagnostics);
    together(task, node, path, diagnostics);
    web_hook(node, path, diagnostics);
}

/// Properties that the action does not have, and those that it must have.
fn keys(task: &Task, node: &Node, path: &str, diagnostics: &mut Diagnostics) {
    let path = join(path, "Properties");
    let (required, optional) = of(&task.action);
    let entries = node.get("Properties").map(Node::entries).unwrap_or_default();
    for (key, _) in entries {
        let known = required.iter().chain(optional).copied();
        if known.clone().any(|own| own == key.name) || diagnostics.is_full(Severity::Error) {
            continue;
        }
        let told = format!("`{}` is not a property of {}", key.name, task.action.name());
        let help = Some(match closest(&key.name, known.clone()) {
            Some(near) => format!("did you mean `{near}`?"),
            None if required.is_empty() && optional.is_empty() => "it has none".to_owned(),
            None => format!("its properties are {}", known.collect::<Vec<_>>().join(", ")),
        });
        diagnostics.error_with_help(Code::Property, &path, &key.span, told, help);
    }
    for name in required {
        // What the reader looks for itself is reported there.
        let is_read = matches!(task.action, Action::Choice { .. } | Action::Loop { .. });
        if !is_read && !entries.iter().any(|(key, _)| key.name == *name) {
            let told = format!("{} needs the property `{name}`", task.action.name());
            diagnostics.error(Code::Property, &path, place(node, &["Action"], &task.span), told);
        }
    }
}

/// The value of a property, where it is known.
pub(super) fn constant(properties: &Expr, name: &str) -> Option<Value> {
    match &properties.kind {
        ExprKind::Value(Value::Object(map)) => map.get(name).cloned(),
        _ => properties.entry(name)?.constant(),
    }
}

/// Each value alone.
fn values(task: &Task, node: &Node, path: &str, diagnostics: &mut Diagnostics) {
    let (required, _) = of(&task.action);
    for (key, own) in node.get("Properties").map(Node::entries).unwrap_or_default() {
        if is_open(own) {
            continue;
        }
        let Some(value) = constant(&task.properties, &key.name).or_else(|| shape(own)) else {
            continue;
        };
        // A property that may be left out may be null as well.
        if value.is_null() && !required.contains(&&*key.name) {
            continue;
        }
        let wanted = wanted(&task.action, &key.name);
        let told = match wanted.refuses(&value) {
            Some(told) => format!("`{}` must be {told}, and is {}", key.name, wanted.found(&value)),
            None => match time(&task.action, &key.name, &value) {
                Err(error) => error,
                Ok(()) => continue,
            },
        };
        let path = format!("{path}.Properties.{}", key.name);
        diagnostics.error(Code::Property, &path, &own.span, told);
    }
}

/// Of what has to be worked out the kind is known, where it is a map or a list.
fn shape(node: &Node) -> Option<Value> {
    match &node.kind {
        Kind::Map(_) => Some(Value::Object(Map::new())),
        Kind::List(_) => Some(Value::Array(Vec::new())),
        _ => None,
    }
}

/// The times of a Sleep.
fn time(action: &Action, name: &str, value: &Value) -> Result<(), String> {
    let text = crate::value::text(value);
    match (action, name) {
        (Action::Sleep, "Duration") => crate::run::parse_duration(&text).map(|_| ()),
        // A time is read as a timer reads it that goes off then.
        (Action::Sleep, "EndDate") => {
            let timer = [("Type", "at"), ("Expression", &*text)];
            let timer = timer.into_iter().map(|(key, own)| (key.to_owned(), own.into())).collect();
            let now = jiff::Timestamp::UNIX_EPOCH;
            crate::run::next_firing(&timer, now, now, true).map(|_| ())
        }
        _ => Ok(()),
    }
}

/// Properties that depend on each other.
fn together(task: &Task, node: &Node, path: &str, diagnostics: &mut Diagnostics) {
    let inner = node.get("Properties");
    let get = |name: &str| inner.and_then(|own| own.get(name));
    let mut report = |name: &str, span: &Span, told: String| {
        diagnostics.error(Code::Property, &format!("{path}.Properties.{name}"), span, told);
    };
    let action = place(node, &["Action"], &task.span);
    match &task.action {
        Action::WaitFor | Action::CheckFor => {
            let is_nothing = |name: &str| {
                get(name).is_none_or(|own| match &own.kind {
                    Kind::Null => true,
                    Kind::List(items) => items.is_empty(),
                    _ => false,
                })
            };
            if is_nothing("DesiredValues") && is_nothing("NotDesiredValues") {
                let told = "`DesiredValues` or `NotDesiredValues` must name a value";
                let span = get("DesiredValues").map_or(action, |own| &own.span);
                report("DesiredValues", span, told.to_owned());
            }
        }
        Action::Sleep => {
            let keys = inner.map(Node::entries).unwrap_or_default().iter();
            let n_times =
                keys.filter(|(key, _)| ["Duration", "EndDate"].contains(&&*key.name)).count();
            if n_times != 1 {
                let told = "a Sleep needs `Duration` or `EndDate`, one of the two";
                report("Duration", action, told.to_owned());
            }
        }
        Action::Template { content } if get("TemplateName").is_some() == content.is_some() => {
            let told = "ACS::Template needs `TemplateName` or `TemplateContent`, one of the two";
            report("TemplateName", action, told.to_owned());
        }
        Action::TimerTrigger => {
            if let Some(Value::Object(map)) = task.properties.constant()
                && map.contains_key("Expression")
                && map.contains_key("Type")
            {
                let now = jiff::Timestamp::UNIX_EPOCH;
                if let Err(error) = crate::run::next_firing(&map, now, now, true) {
                    // The message begins with the key, or is about the expression.
                    let names = ["Type", "TimeZone", "EndDate"];
                    let name = names.iter().find(|name| error.starts_with(*name));
                    let name = name.copied().unwrap_or("Expression");
                    report(name, get(name).map_or(action, |own| &own.span), error);
                }
            }
        }
        _ => {}
    }
}

/// Where a message of Approve and Notify goes, and what it says.
fn web_hook(node: &Node, path: &str, diagnostics: &mut Diagnostics) {
    const KEYS: &[&str] = &["URI", "Headers", "Content"];
    let Some(hook) = node.at(&["Properties", "WebHook"]) else { return };
    if !matches!(hook.kind, Kind::Map(_)) || is_open(hook) {
        return;
    }
    let path = join(path, "Properties.WebHook");
    for (key, _) in hook.entries().iter().filter(|(key, _)| !KEYS.contains(&&*key.name)) {
        let told = format!("`{}` is not a key of a WebHook", key.name);
        let help = did_you_mean(&key.name, KEYS.iter().copied());
        let help = help.or_else(|| Some(format!("its keys are {}", KEYS.join(", "))));
        diagnostics.error_with_help(Code::Property, &path, &key.span, told, help);
    }
    if hook.get("URI").is_none() {
        let told = "a WebHook needs `URI`, the address that the message goes to";
        diagnostics.error(Code::Property, &path, &hook.span, told);
    }
}

fn product(
    name: &str,
    node: &Node,
    path: &str,
    catalogue: &dyn Catalogue,
    diagnostics: &mut Diagnostics,
) {
    let action = place(node, &["Action"], &node.span);
    let Some(signature) = catalogue.signature(name) else {
        return unknown(name, action, path, catalogue, diagnostics);
    };
    let path = join(path, "Properties");
    let entries = node.get("Properties").map(Node::entries).unwrap_or_default();
    let known = || signature.parameters.iter().map(|(own, _)| own.as_str());
    for (key, _) in entries {
        if known().any(|own| own.eq_ignore_ascii_case(&key.name)) {
            continue;
        }
        let told = format!("`{}` is not a parameter of {name}", key.name);
        let help = match closest(&key.name, known()) {
            Some(near) => Some(format!("did you mean `{near}`?")),
            None if signature.parameters.is_empty() => Some("it has none".to_owned()),
            None => Some(format!("its parameters are {}", known().collect::<Vec<_>>().join(", "))),
        };
        diagnostics.error_with_help(Code::Property, &path, &key.span, told, help);
    }
    for (own, is_required) in &signature.parameters {
        let is_given = entries.iter().any(|(key, _)| key.name.eq_ignore_ascii_case(own));
        if *is_required && !is_given {
            let told = format!("{name} needs the parameter `{own}`");
            diagnostics.error(Code::Property, &path, action, told);
        }
    }
}

/// An action that is not there: a slip of the pen, or one that has to be brought along.
fn unknown(
    name: &str,
    span: &Span,
    path: &str,
    catalogue: &dyn Catalogue,
    diagnostics: &mut Diagnostics,
) {
    // Products have actions of the same names: a slip of the pen is one within a product.
    let lower = name.to_lowercase();
    let of_product = |own: &str| own.rsplit_once("::").map(|(head, _)| head.to_owned());
    let near = catalogue
        .names()
        .into_iter()
        .map(|own| (own.to_lowercase(), own))
        .filter(|(own, _)| of_product(own) == of_product(&lower))
        .map(|(low, own)| (strsim::jaro_winkler(&low, &lower), low, own))
        .filter(|(near, low, _)| *near > 0.9 && strsim::levenshtein(low, &lower) <= 2)
        .max_by(|(a, ..), (b, ..)| a.total_cmp(b));
    let path = join(path, "Action");
    match near {
        Some((.., near)) => {
            let told = format!("there is no action `{name}`");
            let help = Some(format!("did you mean `{near}`?"));
            diagnostics.error_with_help(Code::Action, &path, span, told, help);
        }
        None => {
            let told = format!("the action `{name}` is not installed, and the task will fail");
            let help = Some("bring its template along: --actions DIR".to_owned());
            diagnostics.warning_with_help(Code::Action, &path, span, told, help);
        }
    }
}
