//! What runs get wrong easily, each planted: answers that look like references, pages that fail, calls
//! that end while the run is cancelled, values that cannot be kept.

mod start;

use std::collections::VecDeque;
use std::sync::Arc;

use jiff::Timestamp;
use kiln_oos::run::{
    ApiError, Command, Event, Loaded, Notice, NoticeKind, Run, Settings, Start, Status,
};
use serde_json::{Value, json};

use self::start::start;

const ROOT: &str = "exec-00000000000000000000";

/// A run whose calls are answered by `answer`, of the operation and its parameters.
struct Played {
    run: Run,
    now: Timestamp,
    commands: VecDeque<Command>,
    calls: Vec<(String, Value)>,
    reads: Vec<String>,
}

impl Played {
    fn new(template: &Value, parameters: &Value) -> Self {
        Self::within(Settings::default(), template, parameters)
    }

    fn within(settings: Settings, template: &Value, parameters: &Value) -> Self {
        let loaded = Arc::new(Loaded::new(&template.to_string()).unwrap());
        let parameters = parameters.as_object().unwrap().clone();
        let start = Start { parameters, ..start(ROOT, loaded) };
        let now: Timestamp = "2026-01-31T08:00:00Z".parse().unwrap();
        let mut run = Run::new(start, settings, now).unwrap();
        let commands = run.advance(now, Event::Begin).into();
        Self { run, now, commands, calls: Vec::new(), reads: Vec::new() }
    }

    fn take(&mut self, event: Event) {
        let more = self.run.advance(self.now, event);
        self.commands.extend(more);
    }

    /// Go on to the end, or until only people can let it go on.
    fn play(mut self, answer: &mut dyn FnMut(&str, &Value) -> Result<Value, ApiError>) -> Self {
        while !self.run.is_over() {
            let event = match self.commands.pop_front() {
                Some(Command::Call { task, serial, request }) => {
                    let parameters = Value::Object(request.parameters);
                    let result = answer(&request.api, &parameters);
                    self.calls.push((request.api, parameters));
                    Event::Called { task, serial, result }
                }
                Some(Command::Read { task, serial, name, .. }) => {
                    self.reads.push(name);
                    Event::Read { task, serial, result: Ok("stored".into()) }
                }
                Some(other) => panic!("{other:?}"),
                None => match self.run.next_time() {
                    Some(at) => {
                        self.now = at;
                        Event::Time
                    }
                    None => return self,
                },
            };
            self.take(event);
        }
        self
    }

    fn ended(&self) -> (Status, &str) {
        (self.run.root().status, &self.run.root().message)
    }
}

/// Calls give back what they were given.
fn echoed(_: &str, parameters: &Value) -> Result<Value, ApiError> {
    Ok(json!({"Given": parameters}))
}

fn echo(name: &str, x: Value) -> Value {
    json!({
        "Name": name, "Action": "ACS::ExecuteAPI",
        "Properties": {"Service": "ECS", "API": "Echo", "Parameters": {"x": x}},
        "Outputs": {"x": {"Type": "Json", "ValueSelector": ".Given.x"}},
    })
}

fn template(tasks: Value, parameters: Value) -> Value {
    json!({"FormatVersion": "OOS-2019-06-01", "Parameters": parameters, "Tasks": tasks})
}

/// A machine could otherwise read the secrets of whoever runs a command on it.
#[test]
fn an_answer_that_looks_like_a_reference_is_none() {
    let inner = template(
        json!([echo("own", json!("{{ c }}")), echo("made", json!("{{ d }}"))]),
        json!({"c": {"Type": "String"}, "d": {"Type": "String", "Default": "<{{ c }}>"}}),
    );
    let child = json!({
        "Name": "child", "Action": "ACS::Template",
        "Properties": {"TemplateContent": inner, "Parameters": {"c": "{{ told.x }}"}},
    });
    let tasks = json!([echo("told", json!("x")), child, echo("after", json!("{{ told.x }}"))]);
    let text = "{{oos-secret:root}}";
    let mut answer = |api: &str, parameters: &Value| match parameters["x"] == "x" {
        true => Ok(json!({"Given": {"x": text}})),
        false => echoed(api, parameters),
    };
    let played = Played::new(&template(tasks, json!({})), &json!({})).play(&mut answer);
    assert_eq!(played.ended(), (Status::Success, ""));
    assert_eq!(played.reads, [""; 0]);
    let sent: Vec<_> = played.calls.iter().skip(1).map(|(_, own)| own["x"].clone()).collect();
    assert_eq!(sent, [text, "<{{oos-secret:root}}>", text]);
}

#[test]
fn references_to_the_store_are_read_wherever_people_write_them() {
    let parameters = json!({
        "tags": {"Type": "Json", "Default": [{"Value": "{{ oos:team }}"}]},
        "given": {"Type": "List"},
    });
    let tasks = json!([echo("a", json!("{{ tags }}")), echo("b", json!("{{ given }}"))]);
    let given = json!({"given": ["{{oos:one}}", "two"]});
    let played = Played::new(&template(tasks, parameters), &given).play(&mut echoed);
    assert_eq!(played.ended(), (Status::Success, ""));
    assert_eq!(played.calls[0].1["x"], json!([{"Value": "stored"}]));
    assert_eq!(played.calls[1].1["x"], json!(["stored", "two"]));
}

#[test]
fn a_page_that_fails_for_a_moment_brings_no_item_twice() {
    let list = json!({
        "Name": "all", "Action": "ACS::ExecuteAPI",
        "Properties": {"Service": "ECS", "API": "ListThings", "Parameters": {}},
        "Outputs": {"ids": {"Type": "List", "ValueSelector": ".Items[]"}},
    });
    let mut n_second = 0;
    let mut answer = |api: &str, parameters: &Value| {
        if api == "Echo" {
            return echoed(api, parameters);
        }
        if parameters.get("NextToken").is_none() {
            return Ok(json!({"Items": [1], "NextToken": "t"}));
        }
        n_second += 1;
        match n_second {
            1 => Err(ApiError {
                status: 503,
                code: "ServiceUnavailable".to_owned(),
                message: "planted".to_owned(),
                request_id: String::new(),
            }),
            _ => Ok(json!({"Items": [2], "NextToken": ""})),
        }
    };
    let tasks = json!([list, echo("sent", json!("{{ all.ids }}"))]);
    let played = Played::new(&template(tasks, json!({})), &json!({})).play(&mut answer);
    assert_eq!(played.ended(), (Status::Success, ""));
    assert_eq!(played.calls.last().unwrap().1["x"], json!([1, 2]));

    // Pages without end are told, and not cut off.
    let tasks = json!([{"Name": "all", "Action": "ACS::ExecuteAPI",
        "Properties": {"Service": "ECS", "API": "ListThings", "Parameters": {}}}]);
    let mut endless = |_: &str, _: &Value| Ok(json!({"Items": [1], "NextToken": "t"}));
    let played = Played::new(&template(tasks, json!({})), &json!({})).play(&mut endless);
    let told = "all: ListThings has more than 200 pages: ask for larger ones (PageSize, MaxResults) \
                or for less";
    assert_eq!(played.ended(), (Status::Failed, told));
}

#[test]
fn who_cleans_up_after_a_cancellation_sees_all_that_was_made() {
    let make = json!({
        "Name": "make", "Action": "ACS::ExecuteAPI", "OnCancel": "tidy",
        "Properties": {"Service": "ECS", "API": "RunInstances", "Parameters": {"Amount": 3}},
        "Outputs": {"ids": {"Type": "List", "ValueSelector": ".Ids[]"}},
    });
    let tasks = json!([make, echo("tidy", json!("{{ make.ids }}"))]);
    let mut played = Played::new(&template(tasks, json!({})), &json!({}));
    played.take(Event::Cancel { execution: ROOT.to_owned() });
    let mut answer = |api: &str, parameters: &Value| match api {
        "RunInstances" => Ok(json!({"Ids": ["i-1", "i-2", "i-3"]})),
        _ => echoed(api, parameters),
    };
    let played = played.play(&mut answer);
    assert_eq!(played.ended().0, Status::Cancelled);
    assert_eq!(played.calls.last().unwrap().1["x"], json!(["i-1", "i-2", "i-3"]));
}

#[test]
fn a_rejected_item_is_the_last_that_begins() {
    let ask = json!({
        "Name": "ask", "Action": "ACS::Pause",
        "Loop": {"Items": [1, 2, 3], "RateControl": {"Concurrency": 1, "MaxErrors": "100%"}},
    });
    let mut played = Played::new(&template(json!([ask]), json!({})), &json!({})).play(&mut echoed);
    let notice = Notice {
        execution: ROOT.to_owned(),
        kind: NoticeKind::Reject,
        tasks: Vec::new(),
        item: None,
        user: "somebody".to_owned(),
        note: String::new(),
    };
    assert_eq!(played.run.check_notice(&notice), Ok(()));
    played.take(Event::Notify(notice));
    assert_eq!(played.ended().0, Status::Cancelled);
    assert_eq!(played.run.task_runs().filter(|own| own.parent.is_some()).count(), 1);
}

/// What cannot be read again from where it is stored would make the run one that nobody can drive.
#[test]
fn values_are_not_nested_deeper_than_can_be_kept() {
    let deep = json!({"Fn::Jq": ["First", "reduce range(150) as $i (1; [.])", null]});
    let selected = json!({
        "Name": "a", "Action": "ACS::ExecuteAPI",
        "Properties": {"Service": "ECS", "API": "Echo", "Parameters": {}},
        "Outputs": {"x": {"Type": "Json", "ValueSelector": ".|reduce range(150) as $i (1; [.])"}},
    });
    // Each turn of the circle puts one more around it.
    let grown = json!([
        echo("a", json!(["{{ b.x }}"])),
        echo("b", json!(["{{ a.x }}"])),
        {"Name": "round", "Action": "ACS::Choice",
         "Properties": {"DefaultTask": "a", "Choices": []}},
    ]);
    for (tasks, told) in [
        (json!([echo("a", deep)]), "a: Parameters: the value is nested deeper than 100 levels"),
        (json!([selected]), "a: the output x is nested deeper than 100 levels"),
        (grown, "a: the value is nested deeper than 100 levels"),
    ] {
        let played = Played::new(&template(tasks, json!({})), &json!({})).play(&mut echoed);
        let (status, message) = played.ended();
        assert_eq!(status, Status::Failed, "{told}");
        assert!(message.contains("nested deeper than 100 levels"), "{message}");
        for own in played.run.task_runs() {
            let text = serde_json::to_string(own).unwrap();
            serde_json::from_str::<Value>(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
        }
    }
}

#[test]
fn numbers_of_items_are_read_in_any_form() {
    for (max_errors, n_started) in [(json!("1e0"), 2), (json!(1.0), 2), (json!("50%"), 4)] {
        let fails = json!({
            "Name": "fails", "Action": "ACS::ExecuteAPI",
            "Properties": {"Service": "ECS", "API": "Fail", "Parameters": {}},
            "Loop": {"Items": [1, 2, 3, 4, 5, 6],
                     "RateControl": {"Concurrency": 1, "MaxErrors": max_errors}},
        });
        let mut refuse = |_: &str, _: &Value| {
            Err(ApiError {
                status: 400,
                code: "Planted".to_owned(),
                message: String::new(),
                request_id: String::new(),
            })
        };
        let played =
            Played::new(&template(json!([fails]), json!({})), &json!({})).play(&mut refuse);
        assert_eq!(played.calls.len(), n_started, "{max_errors}");
    }
}

/// A million of conditions for each look, two thousand looks for each task, a thousand tasks.
#[test]
fn conditions_that_double_at_each_name_end() {
    let mut conditions = json!({"c0": {"Fn::Not": [false]}, "z": {"Fn::Not": ["c20"]}});
    for n in 1..=20 {
        let below = format!("c{}", n - 1);
        conditions[format!("c{n}")] = json!({"Fn::And": [below, below]});
    }
    let choices = vec![json!({"When": "z", "NextTask": "a"}); 2000];
    let mut own = template(
        json!([{"Name": "a", "Action": "ACS::Choice",
                "Properties": {"DefaultTask": "a", "Choices": choices}}]),
        json!({}),
    );
    own["Conditions"] = conditions;
    let played = Played::new(&own, &json!({})).play(&mut echoed);
    let (status, message) = played.ended();
    assert_eq!(status, Status::Failed);
    assert!(message.contains("takes more than") || message.contains("larger than"), "{message}");
}

/// Bytes of all that a run would store.
fn stored(run: &Run) -> usize {
    let size = |text: Result<String, _>| text.map_or(0, |text: String| text.len());
    run.executions().map(|own| size(serde_json::to_string(own))).sum::<usize>()
        + run.task_runs().map(|own| size(serde_json::to_string(own))).sum::<usize>()
}

#[test]
fn messages_and_rates_are_no_place_to_keep_much() {
    let look = json!({
        "Name": "look", "Action": "ACS::CheckFor",
        "Properties": {"Service": "ECS", "API": "Echo", "Parameters": {},
                       "PropertySelector": ".|\"x\"*1000000", "DesiredValues": [1]},
        "Loop": {"Items": [1, 2, 3, 4, 5, 6, 7, 8], "RateControl": {"MaxErrors": "100%"}},
    });
    let played = Played::new(&template(json!([look]), json!({})), &json!({})).play(&mut echoed);
    assert!(stored(&played.run) < 100_000, "{}", stored(&played.run));

    let text = json!({"Type": "String",
                      "Default": {"Fn::Jq": ["First", "\"x\" * 4000000", null]}});
    let again = json!({
        "Name": "again", "Action": "ACS::Sleep", "Properties": {"Duration": "1S"},
        "OnSuccess": "again",
        "Loop": {"Items": [], "RateControl": {"Note": "{{ s }}"}},
    });
    let few = Settings { max_kept_bytes: 20 << 20, ..Settings::default() };
    let whole = template(json!([again]), json!({"s": text}));
    let played = Played::within(few, &whole, &json!({})).play(&mut echoed);
    let (status, message) = played.ended();
    assert_eq!(status, Status::Failed);
    assert!(message.contains("would keep more than"), "{message}");
    assert!(stored(&played.run) < 30 << 20, "{}", stored(&played.run));
}
