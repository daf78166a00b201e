//! Runs a template in the made-up world, without any runtime: commands are answered one after the
//! other, and time jumps to where the run waits for it.

#![allow(dead_code, reason = "each test takes what it needs")]

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use jiff::Timestamp;
use kiln_oos::library;
use kiln_oos::run::{
    ApiError, Command, Context, Event, Execution, Found, HttpAnswer, Loaded, Mode, Notice,
    NoticeKind, Origin, Request, Run, SafetyCheck, Settings, Start, Status, Waiting,
};
use kiln_sim::{Call, World};
use serde_json::{Map, Value, json};

/// The worlds and parameters of the two templates that kiln ships.
pub(crate) const REPAIR_WORLD: &str = include_str!("../../../sim/worlds/repair-image.yml");
pub(crate) const UPDATE_WORLD: &str = include_str!("../../../sim/worlds/update-image.yml");

pub(crate) fn repair_parameters() -> Value {
    json!({
        "zoneId": "cn-hangzhou-b",
        "repairImageId": "m-broken0001",
        "baseImageId": "aliyun_3_x64_20G_alibase_20250629.vhd",
        "instanceType": "ecs.g7.large",
        "securityGroupId": "sg-1",
        "vSwitchId": "vsw-1",
        "repairItems": ["fstab", "cloudinit"],
    })
}

pub(crate) fn update_parameters() -> Value {
    json!({
        "sourceImageId": "m-source0001",
        "targetImageName": "shop_2026",
        "instanceType": "ecs.g7.large",
        "securityGroupId": "sg-1",
        "vSwitchId": "vsw-1",
        "commandContent": "yum -y update",
        "commandType": "RunShellScript",
        "updateType": "RunCommand",
    })
}

/// What is to go wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// The n-th call, from 0, is refused and has no effect.
    Call(usize),
    /// The n-th call has its effect, and the answer is lost: the server is said to have failed.
    Lost(usize),
    /// Every call of this task, or of what is below it, is refused: names of tasks, outermost first,
    /// with slashes between.
    Task(String),
}

/// A template, its parameters and its world.
pub(crate) struct Rehearsal {
    template: Arc<Loaded>,
    parameters: Map<String, Value>,
    world: World,
    trouble: Option<Trouble>,
    known: BTreeMap<String, Arc<Loaded>>,
}

/// How a rehearsal ended.
pub(crate) struct Ended {
    pub(crate) run: Run,
    pub(crate) world: World,
    /// The calls: the path of task names, and the operation.
    pub(crate) calls: Vec<(String, String)>,
    logs: Vec<String>,
}

fn start() -> Timestamp {
    "2026-01-31T08:00:00Z".parse().unwrap()
}

impl Rehearsal {
    pub(crate) fn of(text: &str, world: &str, parameters: Value) -> Self {
        let Value::Object(parameters) = parameters else { panic!("parameters are a map") };
        let known = library::SHIPPED.iter();
        Self {
            template: Arc::new(Loaded::new(text).unwrap()),
            parameters,
            world: World::parse(world).unwrap(),
            trouble: None,
            known: known
                .map(|own| (own.name.to_lowercase(), Arc::new(Loaded::new(own.text).unwrap())))
                .collect(),
        }
    }

    /// Add an action, or put another in place of one that kiln ships.
    pub(crate) fn knows(mut self, name: &str, text: &str) -> Self {
        self.known.insert(name.to_lowercase(), Arc::new(Loaded::new(text).unwrap()));
        self
    }

    pub(crate) fn with(mut self, trouble: Trouble) -> Self {
        self.trouble = Some(trouble);
        self
    }

    /// The names of the tasks of the template itself.
    pub(crate) fn tasks(&self) -> Vec<String> {
        self.template.template.tasks.iter().map(|task| task.name.clone()).collect()
    }

    pub(crate) fn run(mut self) -> Ended {
        let id = "exec-0123456789abcdef0123";
        let context = Context {
            region: "cn-hangzhou".to_owned(),
            account: "1000000000000001".to_owned(),
            user: "tester".to_owned(),
            mode: Mode::Automatic,
            loop_mode: None,
            safety_check: SafetyCheck::Skip,
        };
        let what = Start {
            id: id.to_owned(),
            template: Arc::clone(&self.template),
            template_name: String::new(),
            template_version: String::new(),
            parameters: self.parameters.clone(),
            context,
        };
        let mut run = Run::new(what, Settings::default(), start())
            .unwrap_or_else(|errors| panic!("{errors:?}"));
        let (mut calls, mut logs) = (Vec::new(), Vec::new());
        let mut now = start();
        let mut commands: VecDeque<_> = run.advance(now, Event::Begin).into();
        for n_events in 0.. {
            assert!(n_events < 100_000, "the run does not end");
            logs.extend(run.take_changes().logs.into_iter().map(|own| format!("{own:?}")));
            if run.is_over() {
                break;
            }
            let event = match commands.pop_front() {
                Some(command) => self.answer(&run, command, now, &mut calls),
                None => match run.next_time() {
                    Some(at) => {
                        now = at;
                        Event::Time
                    }
                    None => decide(&run),
                },
            };
            commands.extend(run.advance(now, event));
        }
        Ended { run, world: self.world, calls, logs }
    }

    fn answer(
        &mut self,
        run: &Run,
        command: Command,
        now: Timestamp,
        calls: &mut Vec<(String, String)>,
    ) -> Event {
        match command {
            Command::Call { task, serial, request } => {
                let path = path_of(run, &task);
                calls.push((path.clone(), request.api.clone()));
                let result = self.call(&path, &request, now, calls.len() - 1);
                Event::Called { task, serial, result }
            }
            Command::Http { task, serial, .. } => {
                let result = Ok(HttpAnswer { status: 200, body: "{}".to_owned() });
                Event::Answered { task, serial, result }
            }
            Command::Find { task, serial, name, .. } => {
                let found = self.known.get(&name.to_lowercase()).map(|template| Found {
                    name: name.clone(),
                    version: "v1".to_owned(),
                    template: Arc::clone(template),
                });
                let result = found.ok_or_else(|| format!("there is no template `{name}`"));
                Event::Found { task, serial, result }
            }
            Command::Read { task, serial, name, .. } => {
                Event::Read { task, serial, result: Err(format!("no parameter {name}")) }
            }
        }
    }

    fn call(
        &mut self,
        path: &str,
        request: &Request,
        now: Timestamp,
        nth: usize,
    ) -> Result<Value, ApiError> {
        let refused = |status: u16, code: &str| ApiError {
            status,
            code: code.to_owned(),
            message: "planted".to_owned(),
            request_id: String::new(),
        };
        let is_refused = match &self.trouble {
            Some(Trouble::Call(own)) => *own == nth,
            Some(Trouble::Task(own)) => path
                .strip_prefix(own.as_str())
                .is_some_and(|rest| matches!(rest.get(..1), None | Some("/"))),
            _ => false,
        };
        if is_refused {
            return Err(refused(400, "Planted"));
        }
        let mut parameters = request.parameters.clone();
        let reads = request.api.starts_with("Describe") || request.api.starts_with("Get");
        if !reads {
            parameters.insert("ClientToken".to_owned(), Value::from(request.token.as_str()));
        }
        let call = Call {
            service: &request.service,
            api: &request.api,
            region: &request.region,
            account: &request.account,
            parameters: &parameters,
        };
        let answer = self.world.call(now, &call).map_err(|fault| ApiError {
            status: fault.status,
            code: fault.code,
            message: fault.message,
            request_id: String::new(),
        });
        match &self.trouble {
            Some(Trouble::Lost(own)) if *own == nth => Err(refused(503, "ServiceUnavailable")),
            _ => answer,
        }
    }
}

/// What people do about a run that waits for them: they let it go on, fire a trigger once, and end
/// an execution whose trigger has fired.
fn decide(run: &Run) -> Event {
    let root = run.root();
    match (root.waiting, &root.trigger) {
        (Some(Waiting::Trigger), Some(firing)) if firing.n_fired == 0 => {
            Event::Fire { content: json!({}) }
        }
        (Some(Waiting::Trigger), _) => Event::Cancel { execution: root.id.clone() },
        _ => Event::Notify(Notice {
            execution: root.id.clone(),
            kind: NoticeKind::Approve,
            tasks: Vec::new(),
            item: None,
            user: "somebody".to_owned(),
            note: String::new(),
        }),
    }
}

/// The names of the tasks that a task execution is below, outermost first.
fn path_of(run: &Run, task: &str) -> String {
    let mut names = Vec::new();
    let mut next = run.task_run(task);
    while let Some(task) = next {
        if task.parent.is_none() {
            names.push(task.name.clone());
        }
        next = match &task.parent {
            Some(parent) => run.task_run(parent),
            None => run.task_run(&task.execution),
        };
    }
    names.reverse();
    names.join("/")
}

impl Ended {
    /// How it ended; one that waited for a trigger, as what the trigger started.
    pub(crate) fn status(&self) -> &'static str {
        let root = self.run.root();
        match self.fired().filter(|_| root.status == Status::Cancelled) {
            Some(fired) => fired.status.name(),
            None => root.status.name(),
        }
    }

    /// The last execution that a trigger started.
    fn fired(&self) -> Option<&Execution> {
        let fired = self.run.executions().filter(|own| matches!(own.origin, Origin::Trigger(_)));
        fired.last()
    }

    /// What it gave; one that waited for a trigger, what the trigger's last execution gave.
    pub(crate) fn last_outputs(&self) -> Value {
        let last = self.fired().unwrap_or(self.run.root());
        Value::Object(last.outputs.clone())
    }

    pub(crate) fn message(&self) -> &str {
        &self.run.root().message
    }

    pub(crate) fn outputs(&self) -> Value {
        Value::Object(self.run.root().outputs.clone())
    }

    pub(crate) fn logs(&self) -> String {
        self.logs.join("\n")
    }

    /// What was made and is still there, as `kind id`.
    pub(crate) fn left(&self) -> Vec<String> {
        let there = self.world.resources(self.run.now());
        let made = there.iter().filter(|own| own.made_by_call);
        made.filter(|own| !format!("{:?}", own.kind).contains("Invocation"))
            .map(|own| format!("{:?} {}", own.kind, own.id))
            .collect()
    }
}
