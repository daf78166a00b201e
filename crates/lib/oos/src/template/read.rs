//! From nodes to a template: each key of the grammar, and all that is wrong at once.

use serde_json::Value;

use super::{
    Action, Aggregate, DelayType, Loop, Next, Output, Parameter, Polling, Task, TaskOutput,
    Template, Type,
};
use crate::diagnostic::{Code, Diagnostics, Span};
use crate::document::{Key, Kind, Node};
use crate::expr::{Expr, ExprKind, Reader};
use crate::functions::Function;

/// The version of the language.
const FORMAT_VERSION: &str = "OOS-2019-06-01";

/// Characters of a name.
const MAX_NAME: usize = 200;

/// Parameters and tasks of a template.
const MAX_PARAMETERS: usize = 200;
const MAX_TASKS: usize = 100;

/// How deep `ACS::Loop` and templates inside of tasks may nest.
const MAX_INNER: u32 = 8;

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

const TASK: &[&str] = &[
    "Name",
    "Action",
    "Description",
    "When",
    "Properties",
    "Outputs",
    "Loop",
    "OnError",
    "OnSuccess",
    "OnCancel",
    "IsCritical",
    "Retries",
    "DelayType",
    "Delay",
    "BackOff",
    "MaxRetryInterval",
];

const LOOP: &[&str] = &["Items", "RateControl", "Outputs"];

/// Keys of `RateControl` that may stand under `Loop` themselves.
const RATE: &[&str] =
    &["Mode", "Concurrency", "MaxErrors", "Batch", "ConcurrencyInBatches", "BatchPauseOption"];

/// Functions that take what the items gave together.
pub(crate) const AGGREGATES: &[Function] = &[
    Function::ListJoin,
    Function::Sum,
    Function::Min,
    Function::Max,
    Function::First,
    Function::Last,
    Function::MergeList,
];

impl Template {
    /// Read the template that `node` is, as far as it can be read: what is wrong is reported.
    pub fn read(node: &Node, source: &str, diagnostics: &mut Diagnostics) -> Option<Self> {
        let mut reader = Reader { source, diagnostics };
        read(node, "", 0, &mut reader)
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
    let parameters = parameters(node.get("Parameters"), path, reader);
    let ram_role = node.get("RamRole").map(|own| Expr::read(own, &join(path, "RamRole"), reader));
    let conditions = map_of(node.get("Conditions"), &join(path, "Conditions"), reader)
        .iter()
        .map(|(key, own)| {
            let path = join(&join(path, "Conditions"), &key.name);
            (key.name.clone(), Expr::read(own, &path, reader))
        })
        .collect();
    let tasks = match node.get("Tasks") {
        Some(own) => tasks(own, &join(path, "Tasks"), depth, reader),
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
        _ => {
            let told = "`FormatVersion` is not one that kiln knows";
            reader.diagnostics.error_with_help(Code::Structure, &path, &own.span, told, help);
        }
    }
}

pub(crate) fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

/// Report keys that are none of `known`.
pub(crate) fn only(
    entries: &[(Key, Node)],
    known: &[&str],
    path: &str,
    of: &str,
    reader: &mut Reader<'_>,
) {
    for (key, _) in entries.iter().filter(|(key, _)| !known.contains(&key.name.as_str())) {
        let told = format!("`{}` is not a key of {of}", key.name);
        let help = Some(match closest(&key.name, known.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("known keys are {}", known.join(", ")),
        });
        reader.diagnostics.error_with_help(Code::Structure, path, &key.span, told, help);
    }
}

/// The one of `known` that `name` was probably meant to be.
pub(crate) fn closest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let name = name.to_lowercase();
    known
        .map(|own| (strsim::jaro_winkler(&name, &own.to_lowercase()), own))
        .filter(|(near, _)| *near > 0.82)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, own)| own)
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

fn name_is_sound(
    key: &str,
    what: &str,
    path: &str,
    span: &Span,
    seen: &[String],
    reader: &mut Reader<'_>,
) {
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    if key.is_empty() || key.len() > MAX_NAME || !key.bytes().all(is_plain) {
        let told = format!("`{}` is no name for {what}", short(key));
        let help = Some(format!("a name has 1 to {MAX_NAME} letters, digits, - and _"));
        reader.diagnostics.error_with_help(Code::Name, path, span, told, help);
    }
    if let Some(twin) = seen.iter().find(|own| own.eq_ignore_ascii_case(key)) {
        let told = format!("`{key}` is there twice: names are the same in any letter case");
        let help = (twin != key).then(|| format!("the other one is `{twin}`"));
        reader.diagnostics.error_with_help(Code::Name, path, span, told, help);
    }
}

fn short(text: &str) -> String {
    match text.char_indices().nth(40) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

fn parameters(node: Option<&Node>, path: &str, reader: &mut Reader<'_>) -> Vec<Parameter> {
    let path = join(path, "Parameters");
    let entries = map_of(node, &path, reader);
    if let Some(node) = node
        && entries.len() > MAX_PARAMETERS
    {
        let told = format!("{} parameters, more than {MAX_PARAMETERS}", entries.len());
        reader.diagnostics.error(Code::TooLarge, &path, &node.span, told);
    }
    let mut seen = Vec::new();
    let mut found = Vec::new();
    for (key, own) in entries.iter().take(MAX_PARAMETERS) {
        let path = join(&path, &key.name);
        name_is_sound(&key.name, "a parameter", &path, &key.span, &seen, reader);
        seen.push(key.name.clone());
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
    let (mut seen, mut found) = (Vec::new(), Vec::new());
    for (key, own) in map_of(node, path, reader) {
        let path = join(path, &key.name);
        name_is_sound(&key.name, "an output", &path, &key.span, &seen, reader);
        seen.push(key.name.clone());
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

fn tasks(node: &Node, path: &str, depth: u32, reader: &mut Reader<'_>) -> Vec<Task> {
    let Kind::List(items) = &node.kind else {
        wrong_kind(node, path, "a list of tasks", reader);
        return Vec::new();
    };
    if items.is_empty() {
        let told = "`Tasks` is empty, and a template has a task at least";
        reader.diagnostics.error(Code::Structure, path, &node.span, told);
    }
    if items.len() > MAX_TASKS {
        let told = format!("{} tasks, more than {MAX_TASKS}", items.len());
        reader.diagnostics.error(Code::TooLarge, path, &node.span, told);
    }
    let (mut seen, mut found) = (Vec::new(), Vec::new());
    for (at, item) in items.iter().enumerate().take(MAX_TASKS) {
        if let Some(task) = task(item, &format!("{path}[{at}]"), &mut seen, depth, reader) {
            found.push(task);
        }
    }
    found
}

fn task(
    node: &Node,
    path: &str,
    seen: &mut Vec<String>,
    depth: u32,
    reader: &mut Reader<'_>,
) -> Option<Task> {
    let Kind::Map(entries) = &node.kind else {
        let told = format!("a task must be a map, and is {}", node.what());
        reader.diagnostics.error(Code::Structure, path, &node.span, told);
        return None;
    };
    only(entries, TASK, path, "a task", reader);
    let head = entries.first().map_or(node.span.clone(), |(key, _)| key.span.clone());
    let need = |name: &str, reader: &mut Reader<'_>| match node.get(name) {
        Some(Node { kind: Kind::Text(text), span }) => Some((text.clone(), span.clone())),
        Some(other) => {
            wrong_kind(other, &join(path, name), "a string", reader);
            None
        }
        None => {
            let told = format!("`{name}` is missing");
            reader.diagnostics.error(Code::Structure, path, &head, told);
            None
        }
    };
    let (name, span) = need("Name", reader).unwrap_or_default();
    if !name.is_empty() || span != Span::default() {
        name_is_sound(&name, "a task", &join(path, "Name"), &span, seen, reader);
    }
    seen.push(name.clone());
    let (action_name, action_span) = need("Action", reader)?;
    let (action, taken) = action(node, &action_name, &action_span, path, depth, reader)?;
    let mut looped = node.get("Loop").and_then(|own| read_loop(own, &join(path, "Loop"), reader));
    if matches!(action, Action::Loop { .. }) {
        looped = Some(loop_of_action(node, path, &head, reader));
    }
    Some(Task {
        name,
        span,
        properties: properties(node.get("Properties"), taken, &join(path, "Properties"), reader),
        description: node
            .get("Description")
            .map(|own| text_or_map(own, &join(path, "Description"), reader)),
        when: node.get("When").map(|own| Expr::read(own, &join(path, "When"), reader)),
        outputs: task_outputs(node.get("Outputs"), &join(path, "Outputs"), reader),
        looped,
        on_success: next(node, "OnSuccess", Next::Next, path, reader),
        on_error: next(node, "OnError", Next::End, path, reader),
        on_cancel: next(node, "OnCancel", Next::End, path, reader),
        is_critical: node
            .get("IsCritical")
            .is_none_or(|own| flag(own, &join(path, "IsCritical"), reader)),
        polling: polling(node, path, reader),
        action,
    })
}

/// The action, and the properties that are in it and not to be worked out with the others.
fn action(
    node: &Node,
    name: &str,
    span: &Span,
    path: &str,
    depth: u32,
    reader: &mut Reader<'_>,
) -> Option<(Action, &'static [&'static str])> {
    let properties = node.get("Properties");
    let get = |name: &str| properties.and_then(|own| own.get(name));
    let inner = join(path, "Properties");
    let core = Action::CORE.iter().find(|(own, _)| own.eq_ignore_ascii_case(name));
    Some(match core.map(|(own, _)| *own) {
        Some("ACS::ExecuteAPI") => (Action::ExecuteApi, &[]),
        Some("ACS::WaitFor") => (Action::WaitFor, &[]),
        Some("ACS::CheckFor") => (Action::CheckFor, &[]),
        Some("ACS::Choice") => {
            (choice(properties, &inner, span, reader), &["Choices", "DefaultTask"])
        }
        Some("ACS::Sleep") => (Action::Sleep, &[]),
        Some("ACS::Template") => {
            let content = get("TemplateContent").map(|own| {
                if depth < MAX_INNER && matches!(own.kind, Kind::Map(_)) {
                    read(own, &join(&inner, "TemplateContent"), depth + 1, reader);
                } else {
                    wrong_kind(own, &join(&inner, "TemplateContent"), "a template", reader);
                }
                own.to_value()
            });
            (Action::Template { content }, &["TemplateContent"])
        }
        Some("ACS::SelectTargets") => (Action::SelectTargets, &[]),
        Some("ACS::Approve") => (Action::Approve, &[]),
        Some("ACS::Notify") => (Action::Notify, &[]),
        Some("ACS::Pause") => (Action::Pause, &[]),
        Some("ACS::ExecuteHttpRequest") => (Action::ExecuteHttpRequest, &[]),
        Some("ACS::TimerTrigger") => (Action::TimerTrigger, &[]),
        Some("ACS::EventTrigger") => (Action::EventTrigger, &[]),
        Some("ACS::AlarmTrigger") => (Action::AlarmTrigger, &[]),
        Some("ACS::Loop") => {
            let tasks = match get("LoopTasks") {
                Some(own) if depth < MAX_INNER => {
                    tasks(own, &join(&inner, "LoopTasks"), depth + 1, reader)
                }
                Some(own) => {
                    let told = format!("loops are nested deeper than {MAX_INNER}");
                    reader.diagnostics.error(Code::TooLarge, &inner, &own.span, told);
                    Vec::new()
                }
                None => {
                    let told = "`LoopTasks` is missing";
                    reader.diagnostics.error(Code::Property, &inner, span, told);
                    Vec::new()
                }
            };
            (Action::Loop { tasks }, &["LoopItems", "LoopRateControl", "LoopTasks"])
        }
        _ if is_product(name) => (Action::Product { name: name.to_owned() }, &[]),
        _ => {
            let told = format!("`{}` is not an action", short(name));
            let near = closest(name, Action::CORE.iter().map(|(own, _)| *own));
            let help = Some(match near {
                Some(near) => format!("did you mean `{near}`?"),
                None => {
                    "actions are ACS::ExecuteAPI and the like, or ACS::PRODUCT::NAME".to_owned()
                }
            });
            reader.diagnostics.error_with_help(
                Code::Action,
                &join(path, "Action"),
                span,
                told,
                help,
            );
            return None;
        }
    })
}

/// `ACS::ECS::RunCommand`.
fn is_product(name: &str) -> bool {
    let parts: Vec<_> = name.split("::").collect();
    let is_word = |part: &&str| {
        !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
    };
    parts.len() == 3
        && parts.first().is_some_and(|head| head.eq_ignore_ascii_case("ACS"))
        && parts.iter().all(is_word)
        && name.len() <= MAX_NAME
}

fn properties(node: Option<&Node>, taken: &[&str], path: &str, reader: &mut Reader<'_>) -> Expr {
    let Some(node) = node else {
        return Expr { kind: ExprKind::Value(Value::Object(serde_json::Map::new())), span: 0..0 };
    };
    if !matches!(node.kind, Kind::Map(_) | Kind::Null) {
        wrong_kind(node, path, "a map", reader);
        return nothing(&node.span);
    }
    if taken.is_empty() {
        return Expr::read(node, path, reader);
    }
    let rest = node.entries().iter().filter(|(key, _)| !taken.contains(&key.name.as_str()));
    let rest = Node { kind: Kind::Map(rest.cloned().collect()), span: node.span.clone() };
    Expr::read(&rest, path, reader)
}

fn choice(properties: Option<&Node>, path: &str, span: &Span, reader: &mut Reader<'_>) -> Action {
    let get = |name: &str| properties.and_then(|own| own.get(name));
    let default = match get("DefaultTask") {
        Some(own) => goto(own, &join(path, "DefaultTask"), reader),
        None => {
            let told = "`DefaultTask` is missing";
            let help = Some("name the task that is next where no condition holds".to_owned());
            reader.diagnostics.error_with_help(Code::Property, path, span, told, help);
            Next::End
        }
    };
    let list = join(path, "Choices");
    let items = match get("Choices") {
        Some(Node { kind: Kind::List(items), .. }) => items.as_slice(),
        Some(other) => {
            wrong_kind(other, &list, "a list", reader);
            &[]
        }
        None => {
            reader.diagnostics.error(Code::Property, path, span, "`Choices` is missing");
            &[]
        }
    };
    let mut choices = Vec::new();
    for (at, item) in items.iter().enumerate() {
        let path = format!("{list}[{at}]");
        only(map_of(Some(item), &path, reader), &["When", "NextTask"], &path, "a choice", reader);
        match (item.get("When"), item.get("NextTask")) {
            (Some(when), Some(to)) => {
                let when = Expr::read(when, &join(&path, "When"), reader);
                choices.push((when, goto(to, &join(&path, "NextTask"), reader)));
            }
            _ => {
                let told = "a choice needs `When` and `NextTask`";
                reader.diagnostics.error(Code::Property, &path, &item.span, told);
            }
        }
    }
    Action::Choice { choices, default }
}

fn goto(node: &Node, path: &str, reader: &mut Reader<'_>) -> Next {
    match node.text() {
        Some("ACS::END" | "END") => Next::End,
        Some("ACS::NEXT" | "NEXT" | "CONTINUE") => Next::Next,
        Some(text) => Next::Task(text.to_owned()),
        None => {
            wrong_kind(node, path, "the name of a task, ACS::NEXT or ACS::END", reader);
            Next::End
        }
    }
}

fn next(node: &Node, name: &str, default: Next, path: &str, reader: &mut Reader<'_>) -> Next {
    match node.get(name) {
        Some(own) => goto(own, &join(path, name), reader),
        None => default,
    }
}

fn task_outputs(node: Option<&Node>, path: &str, reader: &mut Reader<'_>) -> Vec<TaskOutput> {
    let (mut seen, mut found) = (Vec::new(), Vec::new());
    for (key, own) in map_of(node, path, reader) {
        let path = join(path, &key.name);
        name_is_sound(&key.name, "an output", &path, &key.span, &seen, reader);
        seen.push(key.name.clone());
        let known = &["Type", "ValueSelector"];
        only(map_of(Some(own), &path, reader), known, &path, "a task's output", reader);
        let kind = kind_of(own.get("Type"), &join(&path, "Type"), reader);
        let Some(selector) = own.get("ValueSelector") else {
            let told = "`ValueSelector` is missing";
            reader.diagnostics.error(Code::Structure, &path, &key.span, told);
            continue;
        };
        let selector = Expr::read(selector, &join(&path, "ValueSelector"), reader);
        found.push(TaskOutput { name: key.name.clone(), kind, selector });
    }
    found
}

fn read_loop(node: &Node, path: &str, reader: &mut Reader<'_>) -> Option<Loop> {
    let Kind::Map(entries) = &node.kind else {
        wrong_kind(node, path, "a map", reader);
        return None;
    };
    let known: Vec<_> = LOOP.iter().chain(RATE).copied().collect();
    only(entries, &known, path, "a loop", reader);
    let Some(items) = node.get("Items") else {
        reader.diagnostics.error(Code::Loop, path, &node.span, "`Items` is missing");
        return None;
    };
    let items = Expr::read(items, &join(path, "Items"), reader);
    let rate = match node.get("RateControl") {
        Some(rate) => Some(Expr::read(rate, &join(path, "RateControl"), reader)),
        None => direct_rate(entries, node, path, reader),
    };
    Some(Loop { items, rate, outputs: aggregates(node.get("Outputs"), path, reader) })
}

/// Keys of the rate that stand under `Loop` themselves.
fn direct_rate(
    entries: &[(Key, Node)],
    node: &Node,
    path: &str,
    reader: &mut Reader<'_>,
) -> Option<Expr> {
    let own = entries.iter().filter(|(key, _)| RATE.contains(&key.name.as_str()));
    let own: Vec<_> = own.cloned().collect();
    if own.is_empty() {
        return None;
    }
    let rate = Node { kind: Kind::Map(own), span: node.span.clone() };
    Some(Expr::read(&rate, path, reader))
}

fn aggregates(node: Option<&Node>, path: &str, reader: &mut Reader<'_>) -> Vec<Aggregate> {
    let path = join(path, "Outputs");
    let (mut seen, mut found) = (Vec::new(), Vec::new());
    for (key, own) in map_of(node, &path, reader) {
        let path = join(&path, &key.name);
        name_is_sound(&key.name, "an output", &path, &key.span, &seen, reader);
        seen.push(key.name.clone());
        let known = &["AggregateType", "AggregateField"];
        only(map_of(Some(own), &path, reader), known, &path, "a loop's output", reader);
        let function = own.get("AggregateType").and_then(Node::text);
        let known = function.and_then(|name| AGGREGATES.iter().find(|own| own.name() == name));
        let Some(function) = known else {
            let span = own.get("AggregateType").map_or(&key.span, |own| &own.span);
            let told = "`AggregateType` must name a function that takes items together";
            let names: Vec<_> = AGGREGATES.iter().map(|own| own.name()).collect();
            let help = Some(format!("one of {}", names.join(", ")));
            reader.diagnostics.error_with_help(Code::Loop, &path, span, told, help);
            continue;
        };
        let Some(field) = own.get("AggregateField").and_then(Node::text) else {
            let told = "`AggregateField` must name an output of the task";
            reader.diagnostics.error(Code::Loop, &path, &key.span, told);
            continue;
        };
        let (name, field) = (key.name.clone(), field.to_owned());
        found.push(Aggregate { name, function: *function, field });
    }
    found
}

fn loop_of_action(node: &Node, path: &str, head: &Span, reader: &mut Reader<'_>) -> Loop {
    let path = join(path, "Properties");
    let get = |name: &str| node.get("Properties").and_then(|own| own.get(name));
    let items = match get("LoopItems") {
        Some(own) => Expr::read(own, &join(&path, "LoopItems"), reader),
        None => {
            reader.diagnostics.error(Code::Property, &path, head, "`LoopItems` is missing");
            nothing(head)
        }
    };
    let rate =
        get("LoopRateControl").map(|own| Expr::read(own, &join(&path, "LoopRateControl"), reader));
    Loop { items, rate, outputs: Vec::new() }
}

fn polling(node: &Node, path: &str, reader: &mut Reader<'_>) -> Polling {
    let mut polling = Polling::default();
    let mut number = |name: &str, least: u64, most: u64| {
        let own = node.get(name)?;
        let value = whole(own).filter(|value| (least..=most).contains(value));
        if value.is_none() {
            let told = format!("`{name}` must be a whole number from {least} to {most}");
            reader.diagnostics.error(Code::Property, &join(path, name), &own.span, told);
        }
        value.and_then(|value| u32::try_from(value).ok())
    };
    polling.retries = number("Retries", 0, 300);
    if let Some(delay) = number("Delay", 1, 3600) {
        polling.delay = delay;
    }
    if let Some(back_off) = number("BackOff", 1, 3600) {
        polling.back_off = back_off;
    }
    if let Some(most) = number("MaxRetryInterval", 1, 1800) {
        polling.max_retry_interval = most;
    }
    if let Some(own) = node.get("DelayType") {
        polling.delay_type = match own.text() {
            Some("Exponential") => DelayType::Exponential,
            Some("Constant") => DelayType::Constant,
            Some("Linear") => DelayType::Linear,
            _ => {
                let told = "`DelayType` must be Exponential, Constant or Linear";
                let path = join(path, "DelayType");
                reader.diagnostics.error(Code::Property, &path, &own.span, told);
                DelayType::default()
            }
        };
    }
    polling
}
