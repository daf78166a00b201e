//! Templates made by hand, and what becomes of them.

mod examples;
mod picture;
mod text;

use serde_json::{Value, json};

use crate::expr::{Expr, ExprKind, Piece, Reference, Target};
use crate::functions::Function;
use crate::template::{Action, Loop, Next, Polling, Task, Template};

fn template(tasks: Vec<Task>) -> Template {
    Template {
        description: None,
        parameters: Vec::new(),
        ram_role: None,
        conditions: Vec::new(),
        tasks,
        outputs: Vec::new(),
        metadata: None,
    }
}

fn task(name: &str, action: Action) -> Task {
    Task {
        name: name.to_owned(),
        span: 0..0,
        action,
        description: None,
        when: None,
        properties: value(json!({})),
        outputs: Vec::new(),
        looped: None,
        on_success: Next::Next,
        on_error: Next::End,
        on_cancel: Next::End,
        is_critical: true,
        polling: Polling::default(),
    }
}

fn call(name: &str, api: &str) -> Task {
    task(name, Action::ExecuteApi).properties(json!({"Service": "ECS", "API": api}))
}

fn product(name: &str, action: &str) -> Task {
    task(name, Action::Product { name: action.to_owned() })
}

fn sleep(name: &str, duration: &str) -> Task {
    task(name, Action::Sleep).properties(json!({"Duration": duration}))
}

fn choice(name: &str, choices: Vec<(Expr, Next)>, default: Next) -> Task {
    task(name, Action::Choice { choices, default })
}

fn to(name: &str) -> Next {
    match name {
        "ACS::NEXT" => Next::Next,
        "ACS::END" => Next::End,
        name => Next::Task(name.to_owned()),
    }
}

impl Task {
    fn properties(mut self, properties: Value) -> Self {
        self.properties = value(properties);
        self
    }

    fn described(mut self, description: &str) -> Self {
        self.description = Some(json!({"zh-cn": "图", "en": description}));
        self
    }

    fn on_error(mut self, next: &str) -> Self {
        self.on_error = to(next);
        self
    }

    fn on_success(mut self, next: &str) -> Self {
        self.on_success = to(next);
        self
    }

    fn on_cancel(mut self, next: &str) -> Self {
        self.on_cancel = to(next);
        self
    }

    fn when(mut self, when: Expr) -> Self {
        self.when = Some(when);
        self
    }

    fn for_each(mut self, items: Expr, rate: Option<Value>) -> Self {
        self.looped = Some(Loop { items, rate: rate.map(value), outputs: Vec::new() });
        self
    }
}

fn expr(kind: ExprKind) -> Expr {
    Expr { kind, span: 0..0 }
}

fn value(own: Value) -> Expr {
    expr(ExprKind::Value(own))
}

fn text(own: &str) -> Expr {
    value(Value::from(own))
}

fn reference(target: Target) -> Reference {
    Reference { target, span: 0..0 }
}

fn parameter(name: &str) -> Expr {
    expr(ExprKind::Reference(reference(Target::Parameter(name.to_owned()))))
}

fn output(task: &str, output: &str) -> Expr {
    let target = Target::Output { task: task.to_owned(), output: output.to_owned() };
    expr(ExprKind::Reference(reference(target)))
}

fn joined(before: &str, name: &str) -> Expr {
    let target = Target::Parameter(name.to_owned());
    expr(ExprKind::Text(vec![Piece::Text(before.to_owned()), Piece::Reference(reference(target))]))
}

fn apply(function: Function, operands: Vec<Expr>) -> Expr {
    expr(ExprKind::Call(function, Box::new(expr(ExprKind::List(operands)))))
}

fn equals(left: Expr, right: Expr) -> Expr {
    apply(Function::Equals, vec![left, right])
}

fn not(operand: Expr) -> Expr {
    expr(ExprKind::Call(Function::Not, Box::new(operand)))
}

fn or(operands: Vec<Expr>) -> Expr {
    apply(Function::Or, operands)
}

fn and(operands: Vec<Expr>) -> Expr {
    apply(Function::And, operands)
}
