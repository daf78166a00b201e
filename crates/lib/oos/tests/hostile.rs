//! Templates that would run for ever, or fill the memory: each ends soon, within a bound on what is
//! kept, and says which task and which part of it went too far.

mod start;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use kiln_oos::run::{Command, Event, Found, Loaded, Run, Settings, Start, Status};
use serde_json::{Map, Value, json};

use self::start::start;

/// Far above what a sound machine needs without optimisation, far below for ever.
const TOO_LONG: Duration = Duration::from_secs(120);

/// How a run ended.
#[derive(Debug)]
struct Ended {
    status: Status,
    message: String,
    /// Task executions and executions.
    n_records: usize,
    /// What they would take where they are stored.
    n_bytes: usize,
    /// Bytes of the log of one event.
    n_log_bytes: usize,
    logs: String,
}

/// Run a template to its end. Calls give back what they were given; every name is the template
/// itself.
fn run(template: &Value, settings: Settings) -> Ended {
    run_text(&template.to_string(), settings)
}

fn run_text(text: &str, settings: Settings) -> Ended {
    let loaded = Arc::new(Loaded::new(text).unwrap_or_else(|error| panic!("{error}\n{text}")));
    let start = Start {
        template_name: "self".to_owned(),
        template_version: "v1".to_owned(),
        ..start("exec-00000000000000000000", Arc::clone(&loaded))
    };
    let begun = Instant::now();
    let mut now: Timestamp = "2026-01-31T08:00:00Z".parse().unwrap();
    let mut run = Run::new(start, settings, now).unwrap_or_else(|errors| panic!("{errors:?}"));
    let mut commands: VecDeque<_> = run.advance(now, Event::Begin).into();
    let (mut n_log_bytes, mut logs) = (0, String::new());
    loop {
        let told = run.take_changes().logs;
        n_log_bytes = n_log_bytes.max(told.iter().map(|entry| entry.message.len()).sum());
        for entry in told {
            if logs.len() < 100_000 {
                logs += &entry.message;
                logs.push('\n');
            }
        }
        assert!(begun.elapsed() < TOO_LONG, "{} records\n{logs}", run.task_runs().count());
        if run.is_over() {
            break;
        }
        let event = match commands.pop_front() {
            Some(Command::Call { task, serial, request }) => {
                let result = Ok(json!({"Given": request.parameters}));
                Event::Called { task, serial, result }
            }
            Some(Command::Find { task, serial, name, .. }) => {
                let template = Arc::clone(&loaded);
                Event::Found {
                    task,
                    serial,
                    result: Ok(Found { name, version: "v1".to_owned(), template }),
                }
            }
            Some(other) => panic!("{other:?} is not asked for by these templates"),
            None => {
                now = run.next_time().unwrap();
                Event::Time
            }
        };
        commands.extend(run.advance(now, event));
    }
    let size = |value: Result<String, _>| value.map_or(0, |text: String| text.len());
    let n_bytes = run.executions().map(|own| size(serde_json::to_string(own))).sum::<usize>()
        + run.task_runs().map(|own| size(serde_json::to_string(own))).sum::<usize>();
    Ended {
        status: run.root().status,
        message: run.root().message.clone(),
        n_records: run.executions().count() + run.task_runs().count(),
        n_bytes,
        n_log_bytes,
        logs,
    }
}

fn template(tasks: Value) -> Value {
    json!({"FormatVersion": "OOS-2019-06-01", "Tasks": tasks})
}

/// A call that gives `x` back as its output `x`.
fn echo(name: &str, x: Value) -> Value {
    json!({
        "Name": name, "Action": "ACS::ExecuteAPI",
        "Properties": {"Service": "ECS", "API": "Echo", "Parameters": {"x": x}},
        "Outputs": {"x": {"ValueSelector": "Given.x"}},
    })
}

fn jq(script: &str) -> Value {
    json!({"Fn::Jq": ["First", script, null]})
}

/// `base` with the keys of `more`.
fn with(mut base: Value, more: Value) -> Value {
    let Value::Object(more) = more else { panic!("a map") };
    for (key, value) in more {
        base[key] = value;
    }
    base
}

#[track_caller]
fn expect(template: &Value, settings: Settings, message: &str) -> Ended {
    let ended = run(template, settings);
    assert_eq!((ended.status, ended.message.as_str()), (Status::Failed, message), "{}", ended.logs);
    ended
}

fn few_records() -> Settings {
    Settings { max_records: 3000, ..Settings::default() }
}

fn few_kept_bytes() -> Settings {
    Settings { max_kept_bytes: 20 << 20, ..Settings::default() }
}

#[test]
fn a_template_that_starts_itself_ends() {
    let again = json!({
        "Name": "again", "Action": "ACS::Template", "Properties": {"TemplateName": "self"},
    });
    let why = "executions are nested deeper than 10: does a template call itself?";
    let deep = format!("{}{why}", "again: ".repeat(11));
    let ended = expect(&template(json!([again])), Settings::default(), &deep);
    assert_eq!(ended.n_records, 22);

    // Fifty at each level, and no failure stops anything: 50^10 of them.
    let again =
        |n: u32| with(again.clone(), json!({"Name": format!("again{n}"), "OnError": "ACS::NEXT"}));
    let tasks: Vec<_> = (0..50).map(again).collect();
    let ended = run(&template(json!(tasks)), few_records());
    let why = "the run has more than 3000 executions and task executions";
    assert_eq!(ended.status, Status::Failed);
    assert!(ended.message.starts_with("again") && ended.message.ends_with(why), "{ended:?}");
    assert_eq!(ended.n_records, 3000);

    // As a cloud product action that is made of itself.
    let own = json!({"Name": "own", "Action": "ACS::Own::Action", "Properties": {}});
    let deep = format!(
        "{}{why}",
        "own: ".repeat(11),
        why = "executions are nested deeper than 10: does a template call itself?"
    );
    expect(&template(json!([own])), Settings::default(), &deep);
}

#[test]
fn loops_in_loops_end() {
    let rate = json!({"MaxErrors": "100%", "Concurrency": 100});
    let items = jq("[range(10000)]");
    let choice = json!({
        "Name": "inner", "Action": "ACS::Choice",
        "Properties": {"DefaultTask": "inner", "Choices": [{"When": true, "NextTask": "inner"}]},
    });
    let sleep = json!({
        "Name": "inner", "Action": "ACS::Sleep", "Properties": {"Duration": "1S"},
        "Loop": {"Items": items, "RateControl": rate},
    });
    for inner in [choice, sleep] {
        let outer = json!({
            "Name": "outer", "Action": "ACS::Loop",
            "Properties": {"LoopItems": items, "LoopRateControl": rate, "LoopTasks": [inner]},
        });
        let why = "outer: the run has more than 3000 executions and task executions";
        expect(&template(json!([outer])), few_records(), why);
    }
    let many = jq("[range(10001)]");
    let sleep = json!({
        "Name": "many", "Action": "ACS::Sleep", "Properties": {"Duration": "1S"},
        "Loop": {"Items": many},
    });
    let why = "many: Loop.Items has 10001 items, more than the 10000 allowed";
    expect(&template(json!([sleep])), Settings::default(), why);
}

#[test]
fn jumps_in_circles_end() {
    let circle = json!({
        "Name": "circle", "Action": "ACS::Choice",
        "Properties": {"DefaultTask": "circle", "Choices": [{"When": true, "NextTask": "circle"}]},
    });
    let back = json!({
        "Name": "circle", "Action": "ACS::Sleep", "Properties": {"Duration": "1S"},
        "OnSuccess": "circle",
    });
    let fails = json!({
        "Name": "circle", "Action": "ACS::Sleep", "Properties": {"Duration": "soon"},
        "OnError": "circle",
    });
    for task in [circle, back, fails] {
        let why = "circle: the execution started 1000 tasks and is stopped: do its jumps go round \
                   in circles?";
        assert_eq!(expect(&template(json!([task])), Settings::default(), why).n_records, 1001);
    }
}

#[test]
fn scripts_that_do_not_end_are_stopped_where_they_stand() {
    let steps = "the script takes too many steps";
    for (bomb, why) in [
        ("last(range(1e9))", steps),
        ("[range(1e9)]", "the script takes too much memory"),
        ("\"a\" * 1e9", "the script takes too much memory"),
        ("def f: [f]; f", "the script recurses too deeply"),
    ] {
        let task = echo("bomb", json!([1, jq(bomb)]));
        let ended = run(&template(json!([task])), Settings::default());
        let told = format!("bomb: Parameters.x: Fn::Jq: the second item failed: {why}");
        assert_eq!((ended.status, ended.message), (Status::Failed, told));

        let selector = json!({"Outputs": {"x": {"ValueSelector": format!(".|{bomb}")}}});
        let task = with(echo("bomb", json!(1)), selector);
        expect(
            &template(json!([task])),
            Settings::default(),
            &format!("bomb: the output x: {why}"),
        );

        let looks = json!({
            "Name": "look", "Action": "ACS::CheckFor",
            "Properties": {
                "Service": "ECS", "API": "Echo", "DesiredValues": [1],
                "PropertySelector": format!(".|{bomb}"),
            },
        });
        let told = format!("look: PropertySelector: {why}");
        expect(&template(json!([looks])), Settings::default(), &told);
    }
    let task =
        with(echo("bomb", json!(1)), json!({"When": {"Fn::Equals": [jq("last(range(1e9))"), 1]}}));
    let told = format!("bomb: When: Fn::Jq: the second item failed: {steps}");
    expect(&template(json!([task])), Settings::default(), &told);
}

/// Each script is within the limit of one; there are a hundred of them, and a task that cleans up.
#[test]
fn many_scripts_are_stopped_together_and_what_cleans_up_runs() {
    let settings = || Settings { max_work: 300_000, ..Settings::default() };
    let script = "last(range(20000))";
    let tidy = echo("tidy", json!({"Fn::Jq": ["First", ". + 1", 1]}));
    let scripts: Map<_, _> = (0..100).map(|n| (format!("x{n}"), jq(script))).collect();
    let selectors: Map<_, _> = (0..100)
        .map(|n| (format!("x{n}"), json!({"ValueSelector": format!(".|{script}")})))
        .collect();
    let work = with(echo("work", json!(scripts)), json!({"OnError": "tidy"}));
    let pick = with(echo("work", json!(1)), json!({"OnError": "tidy", "Outputs": selectors}));
    let each = json!({
        "Name": "work", "Action": "ACS::Choice", "OnError": "tidy",
        "Properties": {"DefaultTask": "work", "Choices": [{"When": {"Fn::Equals": [jq(script), 0]}, "NextTask": "tidy"}]},
    });
    for (task, place) in
        [(work, "Parameters.x."), (pick, "the output "), (each, "the condition of choice 1")]
    {
        let ended = run(&template(json!([task, tidy])), settings());
        let why = "what is worked out at once takes more than 300000 steps together";
        assert_eq!(ended.status, Status::Failed, "{place}");
        assert!(ended.message.starts_with(&format!("work: {place}")), "{}", ended.message);
        assert!(ended.message.ends_with(why), "{}", ended.message);
        assert!(ended.logs.contains("the task tidy ended well"), "{}", ended.logs);
    }
}

#[test]
fn text_that_doubles_ends() {
    // Each task names the one before twice, round and round.
    let other = with(
        echo("other", json!("{{ one.x }}{{ one.x }}{{ seed.x }}")),
        json!({"OnSuccess": "one"}),
    );
    let one = echo("one", json!("{{ other.x }}{{ other.x }}"));
    let tasks = json!([echo("seed", json!("ab")), one, other]);
    let ended = run(&template(tasks), Settings::default());
    assert_eq!(ended.status, Status::Failed);
    assert!(
        ended.message.ends_with(": the outputs are larger than 4194304 bytes"),
        "{}",
        ended.message
    );

    // Within one value.
    let mut value = json!("{{ seed.x }}");
    for _ in 0..15 {
        value = json!({"Fn::Join": ["", [value, "{{ seed.x }}{{ seed.x }}{{ seed.x }}"]]});
    }
    let seed = echo("seed", jq("\"a\" * 1000000"));
    let told = "large: Parameters.x: the values are larger than 16777216 bytes together";
    let too_long =
        "large: Parameters.x: Fn::Join: the result would be longer than the limit of 4194304 bytes";
    let ended = run(&template(json!([seed, echo("large", value)])), Settings::default());
    assert!([told, too_long].contains(&ended.message.as_str()), "{}", ended.message);
}

#[test]
fn functions_that_make_more_of_less_are_stopped() {
    let long = || jq("\"a\" * 100000");
    let list = || jq("[range(90000)]");
    let bytes = "the result would be longer than the limit of 4194304 bytes";
    let items = "the result would have more than the limit of 100000 items";
    for (function, argument, why) in [
        ("Fn::Replace", json!([{"a": long()}, "aa".repeat(1000)]), bytes),
        ("Fn::Join", json!([long(), jq("[range(1000)]")]), bytes),
        ("Fn::ListJoin", json!([list(), list()]), items),
        ("Fn::MergeList", json!([list(), list()]), items),
        ("Fn::Union", json!([list(), jq("[range(90000; 180000)]")]), items),
        ("Fn::Split", json!(["a", jq("\"a\" * 200000")]), items),
    ] {
        let task = echo("grow", json!({function: argument}));
        let ended = run(&template(json!([task])), Settings::default());
        assert_eq!(ended.status, Status::Failed, "{function}");
        assert_eq!(ended.message, format!("grow: Parameters.x: {function}: {why}"));
    }
}

/// Values that were given are looked into for names of the parameter store.
#[test]
fn braces_that_never_close_are_read_once() {
    let mut child = template(json!([echo("say", json!("{{ p }}"))]));
    child["Parameters"] = json!({"p": {"Type": "String"}});
    let child = json!({
        "Name": "child", "Action": "ACS::Template",
        "Properties": {"TemplateContent": child, "Parameters": {"p": jq("\"{{ \" * 1000000")}},
    });
    let ended = run(&template(json!([child])), Settings::default());
    assert_eq!(ended.status, Status::Success, "{}", ended.message);
}

/// Each value is small enough; together they would fill the memory.
#[test]
fn what_a_run_keeps_is_bounded() {
    let large = || jq("\"a\" * 3000000");
    let most = "the run would keep more than 20971520 bytes of values";
    let tidy = echo("tidy", json!("away"));

    let circle = with(echo("large", large()), json!({"OnSuccess": "large", "OnError": "tidy"}));
    let ended = run(&template(json!([circle, tidy])), few_kept_bytes());
    assert_eq!(ended.status, Status::Failed);
    assert!(
        ended.message.starts_with("large: ") && ended.message.ends_with(most),
        "{}",
        ended.message
    );
    assert!(ended.n_bytes < 25 << 20, "{} bytes", ended.n_bytes);
    assert!(ended.logs.contains("the task tidy ended well"), "{}", ended.logs);

    let items = json!({"Loop": {"Items": jq("[range(100)]"), "RateControl": {"Concurrency": 10}}});
    let ended = run(&template(json!([with(echo("large", large()), items)])), few_kept_bytes());
    assert_eq!(ended.status, Status::Failed);
    assert!(ended.message.ends_with(most), "{}", ended.message);
    assert!(ended.n_bytes < 25 << 20, "{} bytes", ended.n_bytes);

    // The items of a loop, which each turn has again.
    let turns = json!({
        "Name": "turns", "Action": "ACS::Loop",
        "Properties": {
            "LoopItems": jq("[range(40) | \"a\" * 100000]"), "LoopRateControl": {"Concurrency": 100},
            "LoopTasks": [echo("inner", json!("{{ ACS::TaskLoopItem }}"))],
        },
    });
    let ended =
        run(&template(json!([turns])), Settings { max_kept_bytes: 10 << 20, ..few_kept_bytes() });
    let most = "the run would keep more than 10485760 bytes of values";
    assert_eq!(ended.status, Status::Failed);
    assert!(
        ended.message.starts_with("turns: ") && ended.message.contains(most),
        "{}",
        ended.message
    );
    assert!(ended.n_bytes < 15 << 20, "{} bytes", ended.n_bytes);

    // Parameters of children.
    let most = "the run would keep more than 20971520 bytes of values";
    let child = with(template(json!([tidy])), json!({"Parameters": {"p": {"Type": "String"}}}));
    let child = json!({
        "Name": "child", "Action": "ACS::Template", "OnSuccess": "child",
        "Properties": {"TemplateContent": child, "Parameters": {"p": "{{ large.x }}"}},
    });
    let ended = run(&template(json!([echo("large", large()), child])), few_kept_bytes());
    assert!(
        ended.message.starts_with("child: ") && ended.message.ends_with(most),
        "{}",
        ended.message
    );

    // What a template gives back: the same value a hundred times.
    let outputs: Map<_, _> =
        (0..100).map(|n| (format!("x{n}"), json!({"Value": "{{ large.x }}"}))).collect();
    let all = with(template(json!([echo("large", large())])), json!({"Outputs": outputs}));
    expect(
        &all,
        Settings::default(),
        "Outputs.x5: the values are larger than 16777216 bytes together",
    );
}

#[test]
fn the_log_of_one_event_is_bounded() {
    // Ten thousand items fail at once, each of them with a long message.
    let task = json!({
        "Name": "loud", "Action": "ACS::ExecuteAPI",
        "Properties": {"Service": {"Fn::Jq": ["First", "error(\"a\" * 5000)", null]}, "API": "Echo"},
        "Loop": {"Items": jq("[range(10000)]"), "RateControl": {"MaxErrors": "100%", "Concurrency": 10000}},
    });
    let ended = run(&template(json!([task])), Settings::default());
    assert!(ended.n_log_bytes < 17 << 20, "{} bytes", ended.n_log_bytes);
}

#[test]
fn texts_that_nest_or_multiply_are_refused() {
    let head = "FormatVersion: OOS-2019-06-01\nTasks:\n- Name: a\n  Action: ACS::Sleep\n  Properties:\n    Duration: ";
    let billion = {
        let mut text = "FormatVersion: OOS-2019-06-01\na0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]\n".to_owned();
        for n in 1..9 {
            let inner = vec![format!("*a{}", n - 1); 9].join(", ");
            text += &format!("a{n}: &a{n} [{inner}]\n");
        }
        text
    };
    let long = "a".repeat(30_000);
    let copies = format!(
        "FormatVersion: OOS-2019-06-01\na: &a {long}\nb: [{}]\n",
        vec!["*a"; 1000].join(", ")
    );
    let mut functions = "1S".to_owned();
    for _ in 0..70 {
        functions = format!("{{\"Fn::First\": [{functions}]}}");
    }
    let json_head = "{\"FormatVersion\": \"OOS-2019-06-01\", \"Tasks\": ";
    for (name, text, why) in [
        ("flow", format!("{head}{}", "[".repeat(5000)), "nested deeper than 64 levels"),
        (
            "blocks",
            format!(
                "{head}\n{}",
                (0..200).map(|n| format!("{}a:\n", " ".repeat(6 + n))).collect::<String>()
            ),
            "nested deeper than 64 levels",
        ),
        ("JSON", format!("{json_head}{}", "[".repeat(5000)), "nested deeper than 64 levels"),
        ("functions", format!("{head}{functions}"), "nested deeper than 64 levels"),
        ("aliases", billion, "more than 50000 values, those that aliases copy included"),
        ("copies", copies, "aliases copy more than 262144 bytes of text"),
        ("size", format!("{head}{}", "a".repeat(70_000)), "more than the 65536 of a template"),
        (
            "tasks",
            template(json!(vec![json!({"Name": "a", "Action": "ACS::Pause"}); 101])).to_string(),
            "101 tasks",
        ),
    ] {
        let error = Loaded::new(&text).map(|_| ()).expect_err(name);
        assert!(error.contains(why), "{name}: {error}");
    }
}

#[test]
fn conditions_that_name_each_other_end() {
    let task = with(echo("a", json!(1)), json!({"When": "one"}));
    let text = with(
        template(json!([task])),
        json!({"Conditions": {"one": {"Fn::Not": ["two"]}, "two": {"Fn::Or": ["one", "one"]}}}),
    );
    expect(&text, Settings::default(), "a: When: conditions name each other without end");
}

#[test]
fn expressions_that_nest_are_refused() {
    let deep = format!("{}1{}", "(".repeat(200), ")".repeat(200));
    let task = echo("sum", json!({"Fn::Eval": deep}));
    let told =
        "sum: Parameters.x: Fn::Eval: the argument nests parentheses deeper than the limit of 50";
    expect(&template(json!([task])), Settings::default(), told);
}

fn refused(template: &Value) -> Vec<String> {
    let loaded = Loaded::new(&template.to_string()).unwrap();
    let begun = Instant::now();
    let given = Map::new();
    let pseudo = |_| Value::Null;
    let errors = kiln_oos::parameters::resolve(&loaded.template, &given, &pseudo).unwrap_err();
    assert!(begun.elapsed() < TOO_LONG);
    errors.iter().map(ToString::to_string).collect()
}

#[test]
fn parameters_that_grow_or_take_for_ever_are_refused() {
    let tasks = json!([{"Name": "a", "Action": "ACS::Pause"}]);
    let mut parameters = Map::new();
    parameters.insert("p0".to_owned(), json!({"Type": "String", "Default": "a".repeat(1000)}));
    for n in 1..60 {
        let twice = format!("{{{{ p{} }}}}{{{{ p{} }}}}", n - 1, n - 1);
        parameters.insert(format!("p{n}"), json!({"Type": "String", "Default": twice}));
    }
    let errors = refused(&with(template(tasks.clone()), json!({"Parameters": parameters})));
    let why = "the parameter `p14` makes the parameters larger than 16777216 bytes together";
    assert_eq!(errors.first().map(String::as_str), Some(why));

    let slow = json!({"Type": "String", "Default": "a".repeat(5000) + "!", "AllowedPattern": "(a|a)+(?=b)b"});
    let errors = refused(&with(template(tasks.clone()), json!({"Parameters": {"slow": slow}})));
    assert_eq!(errors, ["the parameter `slow` takes too long to match with (a|a)+(?=b)b"]);

    let scripts: Map<_, _> = (0..200)
        .map(|n| (format!("p{n}"), json!({"Type": "Number", "Default": jq("last(range(1e9))")})))
        .collect();
    let errors = refused(&with(template(tasks), json!({"Parameters": scripts})));
    let why = "the parameter `p199` has a bad default: what is worked out at once takes more than \
               50000000 steps together";
    assert_eq!(errors.last().map(String::as_str), Some(why));

    let secrets =
        json!({"Type": "List", "NoEcho": true, "Default": jq("[range(5000) | tostring]")});
    let tasks = json!([{"Name": "a", "Action": "ACS::Pause"}]);
    let errors = refused(&with(template(tasks), json!({"Parameters": {"secrets": secrets}})));
    let why = "the parameter `secrets` has more than 1000 texts that are not to be shown";
    assert_eq!(errors, [why]);
}

/// Masking looks for each secret in all that is shown.
#[test]
fn secrets_without_number_are_refused_and_long_texts_are_masked() {
    // Nearly a thousand for each child, twenty times.
    let hidden = json!({"Type": "List", "NoEcho": true});
    let child = with(
        template(json!([{"Name": "a", "Action": "ACS::Sleep", "Properties": {"Duration": "1S"}}])),
        json!({"Parameters": {"hidden": hidden}}),
    );
    let given = json!({"Fn::Jq": [
        "First", ". as $n | [range(990) | \"secret \\($n) \\(.)\"]", "{{ ACS::TaskLoopItem }}",
    ]});
    let child = json!({
        "Name": "child", "Action": "ACS::Template",
        "Properties": {"TemplateContent": child, "Parameters": {"hidden": given}},
        "Loop": {"Items": jq("[range(20)]")},
    });
    let ended = run(&template(json!([child])), Settings::default());
    let why = "Parameters: the run would have more than 10000 secret texts";
    assert!(
        ended.message.starts_with("child: ") && ended.message.ends_with(why),
        "{}",
        ended.message
    );

    // A secret where a long text is cut: the masked ones before it take so little room that the place
    // of the cut is among what is shown.
    let secret = format!("hush{}", "x".repeat(156));
    for before in 0..4 {
        let script = format!("\"a\" * {} + . * 2000", 1 + 40 * before);
        let long = json!({"Fn::Jq": ["First", script, "{{ hidden }}"]});
        let hidden = json!({"Type": "String", "NoEcho": true, "Default": secret});
        let parameters = json!({"Parameters": {"hidden": hidden}});
        let ended =
            run(&with(template(json!([echo("long", long)])), parameters), Settings::default());
        assert_eq!(ended.status, Status::Success, "{}", ended.message);
        assert!(ended.logs.contains("aa*") || ended.logs.contains("\"a*"), "{}", ended.logs);
        assert!(!ended.logs.contains("hush"), "{}", ended.logs);
    }
}

/// The log shows calls as JSON, where a secret with quotes looks different.
#[test]
fn secrets_are_masked_however_they_are_written() {
    let hidden = json!({"Type": "String", "NoEcho": true, "Default": "hu\"sh\\\nhush"});
    let inside = json!({"Fn::Jq": ["First", "{a: .} | tojson", "{{ hidden }}"]});
    for x in [json!("{{ hidden }}"), json!({"deep": ["say {{ hidden }}"]}), inside] {
        let all =
            with(template(json!([echo("say", x)])), json!({"Parameters": {"hidden": hidden}}));
        let ended = run(&all, Settings::default());
        assert_eq!(ended.status, Status::Success, "{}", ended.message);
        assert!(ended.logs.contains("***") && !ended.logs.contains("hu"), "{}", ended.logs);
    }
}
