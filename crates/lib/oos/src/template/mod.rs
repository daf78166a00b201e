//! A template that was read: its parts in the types that a run works with.
//!
//! Names of parameters, tasks and outputs are found in any letter case, as published templates
//! need; the keys of the grammar are not.

mod read;

use serde_json::Value;

pub(crate) use self::read::{MAX_INNER, RATE, closest, did_you_mean, is_product, join};
use crate::diagnostic::{Diagnostic, Diagnostics, Severity, Span};
use crate::expr::Expr;

/// A template.
#[derive(Clone, Debug, PartialEq)]
pub struct Template {
    /// Text, or a map of language to text.
    pub description: Option<Value>,
    /// The parameters, in the order of the text.
    pub parameters: Vec<Parameter>,
    /// The role that calls are made as, kept and shown only.
    pub ram_role: Option<Expr>,
    /// Named conditions.
    pub conditions: Vec<(String, Expr)>,
    /// The tasks, never none.
    pub tasks: Vec<Task>,
    /// What a run gives back.
    pub outputs: Vec<Output>,
    /// How a console lays the parameters out.
    pub metadata: Option<Value>,
}

/// The type of a parameter or an output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Type {
    /// Text.
    #[default]
    String,
    /// A number; integers stay integers.
    Number,
    /// `true` or `false`.
    Boolean,
    /// A list.
    List,
    /// A map or a list.
    Json,
}

impl Type {
    /// All types with their names in a template.
    pub const ALL: [(&'static str, Self); 5] = [
        ("String", Self::String),
        ("Number", Self::Number),
        ("Boolean", Self::Boolean),
        ("List", Self::List),
        ("Json", Self::Json),
    ];

    /// Its name in a template.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::String => "String",
            Self::Number => "Number",
            Self::Boolean => "Boolean",
            Self::List => "List",
            Self::Json => "Json",
        }
    }
}

/// A parameter.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameter {
    /// Its name as declared.
    pub name: String,
    /// Where it is declared.
    pub span: Span,
    /// Its type.
    pub kind: Type,
    /// Its value where none is given. A parameter without one is required.
    pub default: Option<Expr>,
    /// The values it may have; of a list, what each item may be.
    pub allowed_values: Option<Vec<Value>>,
    /// What the whole text must match, a regular expression with look-around.
    pub allowed_pattern: Option<String>,
    /// The least number of characters.
    pub min_length: Option<u64>,
    /// The greatest number of characters.
    pub max_length: Option<u64>,
    /// The least number.
    pub min_value: Option<f64>,
    /// The greatest number.
    pub max_value: Option<f64>,
    /// Whether its value is never shown.
    pub no_echo: bool,
    /// What to say where a constraint fails.
    pub constraint_description: Option<Value>,
    /// A short name: text, or a map of language to text.
    pub label: Option<Value>,
    /// What it is for: text, or a map of language to text.
    pub description: Option<Value>,
    /// How a console asks for it: `Targets`, `RateControl`, ...
    pub association: Option<String>,
}

/// An output of a template.
#[derive(Clone, Debug, PartialEq)]
pub struct Output {
    /// Its name as declared.
    pub name: String,
    /// Its type: `List` wraps what is no list.
    pub kind: Type,
    /// Its value.
    pub value: Expr,
}

/// Where a run goes after a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// `ACS::NEXT`: the task that follows in the text.
    Next,
    /// `ACS::END`.
    End,
    /// A task by its name.
    Task(String),
}

/// A task.
#[derive(Clone, Debug, PartialEq)]
pub struct Task {
    /// Its name as declared.
    pub name: String,
    /// Where it is declared.
    pub span: Span,
    /// What it does.
    pub action: Action,
    /// Text, or a map of language to text.
    pub description: Option<Value>,
    /// Whether it runs at all.
    pub when: Option<Expr>,
    /// Its properties, without those that [`Action`] holds.
    pub properties: Expr,
    /// What it gives to later tasks.
    pub outputs: Vec<TaskOutput>,
    /// Whether, and how, it runs once for each of a list of items.
    pub looped: Option<Loop>,
    /// Where to go after success.
    pub on_success: Next,
    /// Where to go after a failure.
    pub on_error: Next,
    /// Where to go after a cancellation.
    pub on_cancel: Next,
    /// Whether its failure makes the execution fail, even where `on_error` went elsewhere.
    pub is_critical: bool,
    /// How often it looks, and how it waits between.
    pub polling: Polling,
}

/// An output of a task.
#[derive(Clone, Debug, PartialEq)]
pub struct TaskOutput {
    /// Its name as declared.
    pub name: String,
    /// Its type: `List` wraps the results of the selector.
    pub kind: Type,
    /// Text that is a jq path or program over the result.
    pub selector: Expr,
}

/// What a task does.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// `ACS::ExecuteAPI`: a call.
    ExecuteApi,
    /// `ACS::WaitFor`: a call again and again, until a value is as wanted.
    WaitFor,
    /// `ACS::CheckFor`: a call, and a value that must be as wanted.
    CheckFor,
    /// `ACS::Choice`: where to go on. The first condition that holds decides.
    Choice {
        /// Conditions and where they lead.
        choices: Vec<(Expr, Next)>,
        /// Where to go where none holds.
        default: Next,
    },
    /// `ACS::Sleep`.
    Sleep,
    /// `ACS::Template`: another template, by name, or written inside this one.
    Template {
        /// The inner template as JSON; its references are its own.
        content: Option<Value>,
    },
    /// `ACS::SelectTargets`.
    SelectTargets,
    /// `ACS::Approve`.
    Approve,
    /// `ACS::Notify`.
    Notify,
    /// `ACS::Pause`.
    Pause,
    /// `ACS::ExecuteHttpRequest`.
    ExecuteHttpRequest,
    /// `ACS::TimerTrigger`.
    TimerTrigger,
    /// `ACS::EventTrigger`.
    EventTrigger,
    /// `ACS::AlarmTrigger`.
    AlarmTrigger,
    /// `ACS::Loop`: tasks, once for each item. `LoopItems` and `LoopRateControl` are in
    /// [`Task::looped`].
    Loop {
        /// The tasks.
        tasks: Vec<Task>,
    },
    /// A cloud product action: the template of this name, as `ACS::ECS::RunCommand`.
    Product {
        /// Its name as the task spells it.
        name: String,
    },
}

impl Action {
    /// The core actions with their names, those with two spellings twice, the usual one first.
    pub const CORE: [(&'static str, &'static str); 16] = [
        ("ACS::ExecuteAPI", "a call of an API"),
        ("ACS::WaitFor", "a call again and again, until a value is as wanted"),
        ("ACS::CheckFor", "a call, and a value that must be as wanted"),
        ("ACS::Choice", "where to go on: the first condition that holds decides"),
        ("ACS::Sleep", "a wait"),
        ("ACS::Template", "another template, as a child execution"),
        ("ACS::SelectTargets", "the resources that filters name"),
        ("ACS::Approve", "a message, and a wait for the approval of people"),
        ("ACS::Notify", "a message to a webhook"),
        ("ACS::Pause", "a wait until somebody lets the run go on"),
        ("ACS::ExecuteHttpRequest", "an HTTP request"),
        ("ACS::TimerTrigger", "starts the rest at times"),
        ("ACS::EventTrigger", "starts the rest at events"),
        ("ACS::AlarmTrigger", "starts the rest at alarms"),
        ("ACS::Loop", "several tasks, once for each of a list of items"),
        ("ACS::ExecuteApi", "a call of an API"),
    ];

    /// Its name in the usual spelling.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::ExecuteApi => "ACS::ExecuteAPI",
            Self::WaitFor => "ACS::WaitFor",
            Self::CheckFor => "ACS::CheckFor",
            Self::Choice { .. } => "ACS::Choice",
            Self::Sleep => "ACS::Sleep",
            Self::Template { .. } => "ACS::Template",
            Self::SelectTargets => "ACS::SelectTargets",
            Self::Approve => "ACS::Approve",
            Self::Notify => "ACS::Notify",
            Self::Pause => "ACS::Pause",
            Self::ExecuteHttpRequest => "ACS::ExecuteHttpRequest",
            Self::TimerTrigger => "ACS::TimerTrigger",
            Self::EventTrigger => "ACS::EventTrigger",
            Self::AlarmTrigger => "ACS::AlarmTrigger",
            Self::Loop { .. } => "ACS::Loop",
            Self::Product { name } => name,
        }
    }

    /// Whether it starts the rest of the template instead of being one of its steps.
    #[must_use]
    pub const fn is_trigger(&self) -> bool {
        matches!(self, Self::TimerTrigger | Self::EventTrigger | Self::AlarmTrigger)
    }
}

/// How a task runs once for each of a list of items.
#[derive(Clone, Debug, PartialEq)]
pub struct Loop {
    /// The items.
    pub items: Expr,
    /// How many at a time, and how many may fail: a map as `RateControl` has it. Where the keys
    /// stand under `Loop` themselves, they are gathered here.
    pub rate: Option<Expr>,
    /// What the items gave, taken together.
    pub outputs: Vec<Aggregate>,
}

/// An output of a loop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Aggregate {
    /// Its name as declared.
    pub name: String,
    /// What makes one value of many: `Fn::ListJoin`, `Fn::Sum`, ...
    pub function: crate::functions::Function,
    /// The output of the task that it takes.
    pub field: String,
}

/// How the wait between two looks grows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DelayType {
    /// 2, 4, 8, ... seconds.
    #[default]
    Exponential,
    /// Always `delay` seconds.
    Constant,
    /// `delay + back_off * t` seconds.
    Linear,
}

/// How often a task looks, and how it waits between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Polling {
    /// Looks after the first; where not given, 10 of WaitFor and none of CheckFor.
    pub retries: Option<u32>,
    /// How the wait grows.
    pub delay_type: DelayType,
    /// Seconds, 1 to 3600.
    pub delay: u32,
    /// Seconds, 1 to 3600.
    pub back_off: u32,
    /// The longest wait in seconds, 1 to 1800.
    pub max_retry_interval: u32,
}

impl Default for Polling {
    fn default() -> Self {
        Self {
            retries: None,
            delay_type: DelayType::default(),
            delay: 2,
            back_off: 2,
            max_retry_interval: 1800,
        }
    }
}

impl Polling {
    /// The wait in seconds before retry `t`, counted from 1.
    #[must_use]
    pub fn wait_s(&self, t: u32) -> u32 {
        let wait = match self.delay_type {
            DelayType::Exponential => 2_u32.checked_pow(t).unwrap_or(u32::MAX),
            DelayType::Constant => self.delay,
            DelayType::Linear => self.delay.saturating_add(self.back_off.saturating_mul(t)),
        };
        wait.min(self.max_retry_interval)
    }
}

impl Template {
    /// The parameter of a name in any letter case.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<&Parameter> {
        self.parameters.iter().find(|parameter| parameter.name.eq_ignore_ascii_case(name))
    }

    /// The number of the task of a name in any letter case.
    #[must_use]
    pub fn task(&self, name: &str) -> Option<usize> {
        self.tasks.iter().position(|task| task.name.eq_ignore_ascii_case(name))
    }

    /// The condition of a name.
    #[must_use]
    pub fn condition(&self, name: &str) -> Option<&Expr> {
        self.conditions.iter().find(|(own, _)| own == name).map(|(_, expr)| expr)
    }
}

/// What may be told about another template without running it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Signature {
    /// The names of its parameters, and whether each must be given.
    pub parameters: Vec<(String, bool)>,
    /// The names of its outputs.
    pub outputs: Vec<String>,
}

/// Where other templates are found: cloud product actions, and templates by name.
pub trait Catalogue {
    /// The signature of `name`, in any letter case, where it is known.
    fn signature(&self, name: &str) -> Option<Signature>;

    /// All names, for suggestions.
    fn names(&self) -> Vec<String>;
}

/// Read a template that was checked before.
///
/// # Errors
///
/// The first finding that makes it unusable.
pub fn load(text: &str) -> Result<Template, Diagnostic> {
    let node = crate::document::parse(text)?;
    let mut diagnostics = Diagnostics::default();
    let template = Template::read(&node, text, &mut diagnostics);
    let first = diagnostics.sorted().into_iter().find(|own| own.severity == Severity::Error);
    match (first, template) {
        (None, Some(template)) => Ok(template),
        (first, _) => Err(first.cloned().unwrap_or_else(|| Diagnostic {
            severity: Severity::Error,
            code: crate::diagnostic::Code::Structure,
            message: "the template has no tasks".to_owned(),
            path: String::new(),
            span: 0..0,
            help: None,
        })),
    }
}

/// What came of reading and checking a text.
#[derive(Clone, Debug)]
pub struct Checked {
    /// The template, unless there are errors.
    pub template: Option<Template>,
    /// All findings.
    pub diagnostics: Diagnostics,
}

/// Read a template and check it. `catalogue` knows the templates that it calls.
#[must_use]
pub fn parse_template(text: &str, catalogue: &dyn Catalogue) -> Checked {
    let mut diagnostics = Diagnostics::default();
    let node = match crate::document::parse(text) {
        Ok(node) => node,
        Err(finding) => {
            diagnostics.push(finding);
            return Checked { template: None, diagnostics };
        }
    };
    let template = Template::read(&node, text, &mut diagnostics);
    if let Some(template) = &template {
        crate::check::check(template, &node, text, catalogue, &mut diagnostics);
    }
    let template = template.filter(|_| !diagnostics.has_errors());
    Checked { template, diagnostics }
}
