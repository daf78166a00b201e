//! What each action takes.

use serde_json::Value;

use crate::diagnostic::{Code, Diagnostics, Span};
use crate::document::Node;
use crate::expr::{Expr, ExprKind};
use crate::template::{Action, Catalogue, Task, closest, join};

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

pub(super) fn check(
    task: &Task,
    node: Option<&Node>,
    path: &str,
    catalogue: &dyn Catalogue,
    diagnostics: &mut Diagnostics,
) {
    if let Action::Product { name } = &task.action {
        return product(task, name, node, path, catalogue, diagnostics);
    }
    let (required, optional) = of(&task.action);
    let entries = node.map(Node::entries).unwrap_or_default();
    for (key, _) in entries {
        let known = required.iter().chain(optional).copied();
        if known.clone().any(|own| own == key.name) {
            continue;
        }
        let told = format!("`{}` is not a property of {}", key.name, task.action.name());
        let help = Some(match closest(&key.name, known.clone()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("its properties are {}", known.collect::<Vec<_>>().join(", ")),
        });
        diagnostics.error_with_help(Code::Property, path, &key.span, told, help);
    }
    for name in required {
        // What the reader looks for itself is reported there.
        let is_read = matches!(task.action, Action::Choice { .. } | Action::Loop { .. });
        if !is_read && !entries.iter().any(|(key, _)| key.name == *name) {
            let told = format!("{} needs the property `{name}`", task.action.name());
            diagnostics.error(Code::Property, path, &task.span, told);
        }
    }
    values(task, path, diagnostics);
}

/// The expression of a property.
pub(super) fn entry(properties: &Expr, name: &str) -> Option<Expr> {
    match &properties.kind {
        ExprKind::Value(Value::Object(map)) => map.get(name).map(|value| Expr {
            kind: ExprKind::Value(value.clone()),
            span: properties.span.clone(),
        }),
        _ => properties.entry(name).cloned(),
    }
}

fn values(task: &Task, path: &str, diagnostics: &mut Diagnostics) {
    let get = |name: &str| entry(&task.properties, name);
    let constant = |name: &str| get(name).and_then(|own| Some((own.constant()?, own.span)));
    let mut report = |name: &str, span: &Span, told: String| {
        diagnostics.error(Code::Property, &join(path, name), span, told);
    };
    for name in ["Service", "API", "PropertySelector", "URL"] {
        if let Some((value, span)) = constant(name)
            && !value.is_string()
        {
            let told = format!("`{name}` must be a string, and is {}", crate::value::kind(&value));
            report(name, &span, told);
        }
    }
    if let Some((Value::String(_) | Value::Number(_) | Value::Bool(_) | Value::Array(_), span)) =
        constant("Parameters")
    {
        report("Parameters", &span, "`Parameters` must be a map".to_owned());
    }
    match &task.action {
        Action::WaitFor | Action::CheckFor => {
            let is_nothing = |name: &str| match get(name) {
                None => true,
                Some(own) => {
                    matches!(own.constant(), Some(Value::Null))
                        || matches!(own.constant(), Some(Value::Array(items)) if items.is_empty())
                }
            };
            if is_nothing("DesiredValues") && is_nothing("NotDesiredValues") {
                let told = "`DesiredValues` or `NotDesiredValues` must name a value";
                report("DesiredValues", &task.span, told.to_owned());
            }
            for name in ["DesiredValues", "NotDesiredValues", "StopRetryValues"] {
                if let Some((value, span)) = constant(name)
                    && !matches!(value, Value::Array(_) | Value::Null)
                {
                    let kind = crate::value::kind(&value);
                    report(name, &span, format!("`{name}` must be a list, and is {kind}"));
                }
            }
        }
        Action::Sleep => {
            if get("Duration").is_some() == get("EndDate").is_some() {
                let told = "a Sleep needs `Duration` or `EndDate`, one of the two";
                report("Duration", &task.span, told.to_owned());
            }
            if let Some((value, span)) = constant("Duration")
                && let Err(error) = crate::run::parse_duration(&crate::value::text(&value))
            {
                report("Duration", &span, error);
            }
        }
        Action::Template { content } => {
            if get("TemplateName").is_some() == content.is_some() {
                let told =
                    "ACS::Template needs `TemplateName` or `TemplateContent`, one of the two";
                report("TemplateName", &task.span, told.to_owned());
            }
        }
        Action::TimerTrigger => {
            if let Some(Value::Object(map)) = task.properties.constant()
                && map.contains_key("Expression")
                && map.contains_key("Type")
            {
                let now = jiff::Timestamp::UNIX_EPOCH;
                if let Err(error) = crate::run::next_firing(&map, now, now, true) {
                    report("Expression", &task.properties.span, error);
                }
            }
        }
        _ => {}
    }
}

fn product(
    task: &Task,
    name: &str,
    node: Option<&Node>,
    path: &str,
    catalogue: &dyn Catalogue,
    diagnostics: &mut Diagnostics,
) {
    let Some(signature) = catalogue.signature(name) else {
        return unknown(task, name, path, catalogue, diagnostics);
    };
    let entries = node.map(Node::entries).unwrap_or_default();
    let known = || signature.parameters.iter().map(|(own, _)| own.as_str());
    for (key, _) in entries {
        if known().any(|own| own.eq_ignore_ascii_case(&key.name)) {
            continue;
        }
        let told = format!("`{}` is not a parameter of {name}", key.name);
        let help = closest(&key.name, known()).map(|near| format!("did you mean `{near}`?"));
        diagnostics.error_with_help(Code::Property, path, &key.span, told, help);
    }
    // Properties that are worked out as a whole may hold anything.
    let is_whole = !matches!(task.properties.kind, ExprKind::Map(_) | ExprKind::Value(_));
    for (own, is_required) in &signature.parameters {
        let is_given = entries.iter().any(|(key, _)| key.name.eq_ignore_ascii_case(own));
        if *is_required && !is_given && !is_whole {
            let told = format!("{name} needs the parameter `{own}`");
            diagnostics.error(Code::Property, path, &task.span, told);
        }
    }
}

/// An action that is not there: a slip of the pen, or one that has to be brought along.
fn unknown(
    task: &Task,
    name: &str,
    path: &str,
    catalogue: &dyn Catalogue,
    diagnostics: &mut Diagnostics,
) {
    let near = catalogue
        .names()
        .into_iter()
        .map(|own| (strsim::jaro_winkler(&own.to_lowercase(), &name.to_lowercase()), own))
        .filter(|(near, own)| {
            *near > 0.9 && strsim::levenshtein(&own.to_lowercase(), &name.to_lowercase()) <= 2
        })
        .max_by(|(a, _), (b, _)| a.total_cmp(b));
    let path =
        path.strip_suffix("Properties").map_or_else(String::new, |own| format!("{own}Action"));
    match near {
        Some((_, near)) => {
            let told = format!("there is no action `{name}`");
            let help = Some(format!("did you mean `{near}`?"));
            diagnostics.error_with_help(Code::Action, &path, &task.span, told, help);
        }
        None => {
            let told = format!(
                "the action `{name}` is not installed: the task will fail unless its template is \
                 brought along (--actions DIR)"
            );
            diagnostics.warning(Code::Action, &path, &task.span, told);
        }
    }
}
