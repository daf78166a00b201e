//! Random templates, a world that answers them, and a run of one to its end: what the tests of runs
//! share.

#![allow(dead_code, reason = "each test takes what it needs")]

#[path = "../start/mod.rs"]
pub(crate) mod start;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::RangeInclusive;
use std::sync::Arc;

use jiff::Timestamp;
use kiln_oos::run::{
    ApiError, Command, Event, Execution, Loaded, Notice, NoticeKind, Phase, Request, Run, Settings,
    Status, TaskRun, Waiting,
};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use self::start::start;

/// Numbers that follow from a seed.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }

    pub(crate) fn below(&mut self, n: u64) -> u64 {
        self.next() % n.max(1)
    }

    pub(crate) fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}

/// A template of random tasks. `is_calm` leaves out what makes the end depend on the order of
/// answers: loops that stop at an error, and jumps back.
pub(crate) fn template(random: &mut Random, depth: u32, is_calm: bool) -> Value {
    let n_tasks = 1 + random.below(6);
    let names: Vec<_> = (0..n_tasks).map(|at| format!("t{at}")).collect();
    let tasks: Vec<_> = (0..n_tasks).map(|at| task(random, at, &names, depth, is_calm)).collect();
    let mut outputs: Map<_, _> = names
        .iter()
        .map(|name| (name.clone(), json!({"Value": format!("{{{{ {name}.o }}}}")})))
        .collect();
    if random.one_in(2) {
        let value = "{{ oos:kept }} {{ oos-secret:hidden }}";
        outputs.insert("stored".to_owned(), json!({"Value": value}));
        outputs.insert("gone".to_owned(), json!({"Value": "{{ oos:gone }}"}));
    }
    json!({"FormatVersion": "OOS-2019-06-01", "Tasks": tasks, "Outputs": outputs})
}

fn task(random: &mut Random, at: u64, names: &[String], depth: u32, is_calm: bool) -> Value {
    let mut task = action(random, at, names, depth, is_calm);
    let jump = |random: &mut Random| -> Value {
        let ahead = u64::try_from(names.len()).unwrap() - at - 1;
        match random.below(4) {
            0 => "ACS::END".into(),
            1 if ahead > 0 => {
                names[usize::try_from(at + 1 + random.below(ahead)).unwrap()].clone().into()
            }
            2 if !is_calm && random.one_in(4) => {
                names[usize::try_from(random.below(at + 1)).unwrap()].clone().into()
            }
            _ => "ACS::NEXT".into(),
        }
    };
    for key in ["OnError", "OnSuccess", "OnCancel"] {
        if random.one_in(3) {
            task[key] = jump(random);
        }
    }
    if random.one_in(5) {
        task["IsCritical"] = false.into();
    }
    if at > 0 && random.one_in(4) {
        let earlier = &names[usize::try_from(random.below(at)).unwrap()];
        task["When"] = json!({"Fn::Not": {"Fn::Equals": [format!("{{{{ {earlier}.o }}}}"), null]}});
    }
    task["Name"] = names[usize::try_from(at).unwrap()].clone().into();
    if task.get("Outputs").is_none() {
        task["Outputs"] = json!({"o": {"ValueSelector": ".Value"}});
    }
    task
}

fn action(random: &mut Random, at: u64, names: &[String], depth: u32, is_calm: bool) -> Value {
    let call = json!({"Service": "ECS", "API": "CreateThing"});
    let rate = |random: &mut Random| {
        let errors = if is_calm { json!("100%") } else { json!(random.below(3)) };
        match random.below(3) {
            0 => json!({"MaxErrors": errors, "Concurrency": 1 + random.below(4)}),
            1 => json!({"MaxErrors": errors, "Concurrency": "50%"}),
            _ => json!({
                "Mode": "Batch", "Batch": [1, 2], "MaxErrors": errors,
                "BatchPauseOption": if random.one_in(3) { "EveryBatchPause" } else { "Automatic" },
            }),
        }
    };
    let items: Vec<_> = (0..random.below(5)).collect();
    let ahead = names.get(usize::try_from(at + 1).unwrap());
    match random.below(9) {
        0 => {
            json!({"Action": "ACS::Sleep", "Properties": {"Duration": format!("{}S", 1 + random.below(90))}})
        }
        1 => json!({
            "Action": "ACS::WaitFor", "Retries": random.below(4), "DelayType": "Constant", "Delay": 3,
            "Properties": {
                "Service": "ECS", "API": "DescribeThing", "PropertySelector": "Ready",
                "DesiredValues": [true], "StopRetryValues": ["never"],
            },
        }),
        2 => json!({
            "Action": "ACS::CheckFor",
            "Properties": {
                "Service": "ECS", "API": "DescribeThing", "PropertySelector": "Ready",
                "DesiredValues": [true, false],
            },
        }),
        3 => json!({
            "Action": "ACS::Choice",
            "Properties": {
                "DefaultTask": "ACS::NEXT",
                "Choices": [{"When": {"Fn::Equals": [at % 2, 0]}, "NextTask": ahead.cloned().unwrap_or("ACS::END".into())}],
            },
        }),
        4 => json!({
            "Action": "ACS::ExecuteAPI", "Properties": call,
            "Loop": {
                "Items": items, "RateControl": rate(random),
                "Outputs": {"all": {"AggregateType": "Fn::ListJoin", "AggregateField": "o"}},
            },
        }),
        5 if depth > 0 => json!({
            "Action": "ACS::Template",
            "Properties": {"TemplateContent": template(random, depth - 1, is_calm)},
            "Outputs": {"o": {"ValueSelector": "."}},
        }),
        6 if depth > 0 => {
            let inner = template(random, depth - 1, is_calm);
            json!({
                "Action": "ACS::Loop",
                "Properties": {"LoopItems": items, "LoopRateControl": rate(random), "LoopTasks": inner["Tasks"]},
                "Outputs": {"o": {"ValueSelector": "{{ t0.o }}"}},
            })
        }
        7 => json!({"Action": "ACS::Pause"}),
        _ => json!({"Action": "ACS::ExecuteAPI", "Properties": call}),
    }
}

/// A world whose answers follow from the seed and the token of the request.
#[derive(Default)]
struct World {
    seed: u64,
    /// How often each token came.
    asked: BTreeMap<String, u32>,
    /// Tokens of changes that were made.
    effects: BTreeSet<String>,
}

impl World {
    fn answer(&mut self, request: &Request) -> Result<Value, ApiError> {
        let digest = Sha256::digest(format!("{}/{}", self.seed, request.token));
        let times = self.asked.entry(request.token.clone()).or_default();
        *times += 1;
        let failed = |status: u16, code: &str| ApiError {
            status,
            code: code.to_owned(),
            message: "planted".to_owned(),
            request_id: String::new(),
        };
        if digest[0] < 25 && *times == 1 {
            return Err(failed(503, "ServiceUnavailable"));
        }
        if digest[1] < 40 {
            return Err(failed(400, "Planted"));
        }
        if request.api.starts_with("Create") {
            self.effects.insert(request.token.clone());
        }
        Ok(json!({"Value": digest[2], "Ready": digest[3] < 120}))
    }
}

/// How a run went: its end, its outputs, and what was changed by it.
#[derive(Debug, PartialEq)]
pub(crate) struct End {
    pub(crate) status: Status,
    pub(crate) outputs: Map<String, Value>,
    pub(crate) effects: BTreeSet<String>,
}

/// What is stored of a run, as text.
#[derive(Default)]
struct Stored {
    executions: BTreeMap<String, String>,
    tasks: BTreeMap<String, String>,
    templates: BTreeMap<String, String>,
}

impl Stored {
    fn take(&mut self, run: &mut Run) {
        let changes = run.take_changes();
        for id in changes.executions {
            let text = serde_json::to_string(run.execution(&id).unwrap()).unwrap();
            self.executions.insert(id, text);
        }
        for id in changes.tasks {
            self.tasks
                .insert(id.clone(), serde_json::to_string(run.task_run(&id).unwrap()).unwrap());
        }
        for digest in changes.templates {
            self.templates.insert(digest.clone(), run.template(&digest).unwrap().text.clone());
        }
    }

    fn load(&self, root: &str) -> Run {
        let executions: Vec<Execution> =
            self.executions.values().map(|text| serde_json::from_str(text).unwrap()).collect();
        let tasks: Vec<TaskRun> =
            self.tasks.values().map(|text| serde_json::from_str(text).unwrap()).collect();
        let templates = self.templates.values().map(|text| Arc::new(Loaded::new(text).unwrap()));
        Run::load(root, executions, tasks, templates.collect(), Settings::default()).unwrap()
    }
}

#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Kills {
    None,
    /// After every event.
    Each,
}

pub(crate) const ROOT: &str = "exec-00000000000000000000";

/// Run a template to its end. `order` decides which of the outstanding commands is answered next;
/// without it they are answered in their order. With `cancels`, somebody may cancel it.
pub(crate) fn play(seed: u64, text: &str, kills: Kills, mut order: Option<Random>) -> End {
    let mut now: Timestamp = "2026-01-31T08:00:00Z".parse().unwrap();
    let loaded = Loaded::new(text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    let start = start(ROOT, Arc::new(loaded));
    let mut world = World { seed, ..World::default() };
    let mut stored = Stored::default();
    let mut run = Run::new(start, Settings::default(), now).unwrap();
    let mut ended = BTreeMap::new();
    let mut has_read_secret = false;
    let mut commands: VecDeque<_> = run.advance(now, Event::Begin).into();
    for n_events in 0.. {
        assert!(n_events < 20_000, "seed {seed}: the run does not end\n{text}");
        check(seed, &run, &commands, &mut ended, text);
        stored.take(&mut run);
        if run.is_over() {
            break;
        }
        if kills == Kills::Each {
            // Some calls were made, and their answers died with the process.
            if n_events % 3 == 0
                && let Some(Command::Call { request, .. }) = commands.front()
            {
                let _ = world.answer(request);
            }
            run = stored.load(ROOT);
            commands = run.advance(now, Event::Resume).into();
            stored.take(&mut run);
            if run.is_over() {
                break;
            }
            let shown = run.mask(&json!("a secret"));
            assert!(!has_read_secret || shown == "****", "seed {seed}: {shown} is shown\n{text}");
        }
        let at = match &mut order {
            Some(random) => random.below(u64::try_from(commands.len()).unwrap()),
            None => 0,
        };
        let cancels = order.as_mut().is_some_and(|random| random.one_in(60));
        let event = if cancels {
            Event::Cancel { execution: ROOT.to_owned() }
        } else if let Some(command) = commands.remove(usize::try_from(at).unwrap()) {
            answer(&mut world, command)
        } else if let Some(at) = run.next_time() {
            now = now.max(at);
            Event::Time
        } else {
            decide(&run)
        };
        has_read_secret |=
            matches!(&event, Event::Read { result: Ok(value), .. } if value == "a secret");
        commands.extend(run.advance(now, event));
    }
    let root = run.root();
    End { status: root.status, outputs: root.outputs.clone(), effects: world.effects }
}

fn answer(world: &mut World, command: Command) -> Event {
    match command {
        Command::Call { task, serial, request } => {
            Event::Called { task, serial, result: world.answer(&request) }
        }
        Command::Read { task, serial, name, secret } => {
            let result = match (name.as_str(), secret) {
                ("kept", false) => Ok("a value".into()),
                ("hidden", true) => Ok("a secret".into()),
                _ => Err("there is none".to_owned()),
            };
            Event::Read { task, serial, result }
        }
        other => panic!("{other:?} is not asked for by these templates"),
    }
}

fn decide(run: &Run) -> Event {
    let held = run.task_runs().find(|own| matches!(own.phase, Phase::Held(_))).expect("it waits");
    let kind = match held.phase {
        Phase::Held(Waiting::Pause | Waiting::BatchPause) => NoticeKind::Approve,
        _ => panic!("{held:?}"),
    };
    let notice = Notice {
        execution: ROOT.to_owned(),
        kind,
        tasks: vec![held.id.clone()],
        item: None,
        user: "somebody".to_owned(),
        note: String::new(),
    };
    assert_eq!(run.check_notice(&notice), Ok(()));
    Event::Notify(notice)
}

/// What holds after every event.
fn check(
    seed: u64,
    run: &Run,
    commands: &VecDeque<Command>,
    ended: &mut BTreeMap<String, Status>,
    text: &str,
) {
    let executions = run.executions().map(|own| (format!("execution {}", own.id), own.status));
    let tasks = run.task_runs().map(|own| (format!("task {}", own.id), own.status));
    for (id, status) in executions.chain(tasks) {
        if status.is_final() {
            let first = *ended.entry(id.clone()).or_insert(status);
            assert_eq!(first, status, "seed {seed}: {id} ended twice\n{text}");
        } else {
            assert!(!ended.contains_key(&id), "seed {seed}: {id} goes on after its end\n{text}");
            assert!(!run.is_over(), "seed {seed}: {id} outlives the run\n{text}");
        }
    }
    let waits = !commands.is_empty() || run.next_time().is_some();
    let is_held = run.root().waiting.is_some();
    assert!(run.is_over() || waits || is_held, "seed {seed}: the run is stuck\n{text}");
    assert!(!run.is_stuck(), "seed {seed}: the run says that it is stuck\n{text}");
}

pub(crate) fn seeds(range: RangeInclusive<u64>, is_calm: bool, mut each: impl FnMut(u64, &str)) {
    for seed in range {
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let text = template(&mut random, 2, is_calm).to_string();
        each(seed, &text);
    }
}
