//! For each kind of finding the shortest template that has it; the message is a snapshot.

use kiln_oos::diagnostic::{Severity, render};
use kiln_oos::template::{Catalogue, Signature};

/// A catalogue with one action.
struct One;

impl Catalogue for One {
    fn signature(&self, name: &str) -> Option<Signature> {
        name.eq_ignore_ascii_case("ACS::ECS::StopInstance").then(|| Signature {
            parameters: vec![("instanceId".to_owned(), true), ("force".to_owned(), false)],
            outputs: Vec::new(),
        })
    }

    fn names(&self) -> Vec<String> {
        vec!["ACS::ECS::StopInstance".to_owned()]
    }
}

const HEAD: &str = "FormatVersion: OOS-2019-06-01\n";
const SLEEP: &str = "{Name: a, Action: 'ACS::Sleep', Properties: {Duration: 1S}}";

/// A template with these lines and one sound task.
fn and_a_task(lines: &str) -> String {
    format!("{HEAD}{lines}\nTasks: [{SLEEP}]\n")
}

/// A template of these tasks.
fn tasks(lines: &str) -> String {
    format!("{HEAD}Tasks:\n{lines}\n")
}

fn call(more: &str) -> String {
    tasks(&format!(
        "- Name: a\n  Action: ACS::ExecuteAPI\n  Properties: {{Service: ECS, API: X}}\n{more}"
    ))
}

#[test]
fn a_sound_template_has_no_findings() {
    for text in [
        and_a_task(""),
        r#"{"FormatVersion":"OOS-2019-06-01","Tasks":[{"Name":"a","Action":"acs::pause"}]}"#
            .to_owned(),
    ] {
        let checked = kiln_oos::parse_template(&text, &One);
        assert_eq!(checked.diagnostics.list(), [], "{text}");
        assert!(checked.template.is_some(), "{text}");
    }
}

/// The findings of a text, as people see them.
fn told(text: &str) -> String {
    let checked = kiln_oos::parse_template(text, &One);
    let findings = checked.diagnostics.sorted();
    assert!(!findings.is_empty(), "nothing is found in:\n{text}");
    assert_eq!(
        checked.template.is_none(),
        findings.iter().any(|own| own.severity == Severity::Error),
        "a template with errors is refused, one with warnings is not:\n{text}"
    );
    let each = findings.iter().map(|own| render("t.yml", text, own, false));
    each.collect::<Vec<_>>().join("\n")
}

#[test]
fn each_finding_says_what_where_and_what_to_do() {
    let cases: &[(&str, String)] = &[
        ("not YAML", "FormatVersion: [\n".to_owned()),
        ("not JSON", "{\"FormatVersion\": }".to_owned()),
        ("a key twice", and_a_task("Description: a\nDescription: b")),
        ("a tag", and_a_task("Description: !ref x")),
        ("a second document", format!("{}---\n", and_a_task(""))),
        ("not a map", "- 1\n".to_owned()),
        ("no version", format!("Tasks: [{SLEEP}]\n")),
        ("another version", format!("FormatVersion: OOS-2020\nTasks: [{SLEEP}]\n")),
        ("a state template", format!("FormatVersion: OOS-2019-06-01-State\nTasks: [{SLEEP}]\n")),
        ("no tasks", HEAD.to_owned()),
        ("empty tasks", format!("{HEAD}Tasks: []\n")),
        ("an unknown key", and_a_task("Paramaters: {}")),
        ("an unknown key of a task", tasks("- {Name: a, Action: 'ACS::Pause', Onerror: x}")),
        ("a wrong kind", and_a_task("Parameters: [a]")),
        ("an unknown type", and_a_task("Parameters: {p: {Type: string}}")),
        ("a bad name", and_a_task("Parameters: {'a b': {}}")),
        ("a name twice", tasks(&format!("- {SLEEP}\n- {}", SLEEP.replace("Name: a", "Name: A")))),
        ("an unknown action", tasks("- {Name: a, Action: 'ACS::Slep'}")),
        ("a product action with a slip", tasks("- {Name: a, Action: 'ACS::ECS::StopInstanse'}")),
        ("a product action that is not there", tasks("- {Name: a, Action: 'ACS::RDS::Restart'}")),
        (
            "parameters of a product action",
            tasks(
                "- {Name: a, Action: 'ACS::ECS::StopInstance', Properties: {Force: true, instanceID2: x}}",
            ),
        ),
        (
            "an unknown property",
            tasks("- {Name: a, Action: 'ACS::Sleep', Properties: {Durration: 1S}}"),
        ),
        (
            "a missing property",
            tasks("- {Name: a, Action: 'ACS::ExecuteAPI', Properties: {API: X}}"),
        ),
        (
            "a bad duration",
            tasks("- {Name: a, Action: 'ACS::Sleep', Properties: {Duration: soon}}"),
        ),
        (
            "nothing is wanted",
            tasks(
                "- {Name: a, Action: 'ACS::WaitFor', Properties: {Service: E, API: D, PropertySelector: x, DesiredValues: []}}",
            ),
        ),
        ("retries out of range", call("  Retries: 301")),
        (
            "a choice without default",
            tasks("- {Name: a, Action: 'ACS::Choice', Properties: {Choices: []}}"),
        ),
        ("an unknown function", and_a_task("Outputs: {o: {Value: {'Fn::Jion': [a, [b]]}}}")),
        ("a function beside keys", and_a_task("Outputs: {o: {Value: {'Fn::Not': true, x: 1}}}")),
        ("a function with too few items", and_a_task("Outputs: {o: {Value: {'Fn::If': [true]}}}")),
        ("a selector that does not compile", call("  Outputs: {o: {ValueSelector: 'a | b('}}")),
        (
            "an unknown parameter",
            and_a_task("Parameters: {region: {}}\nOutputs: {o: {Value: '{{ regoin }}'}}"),
        ),
        ("an unknown task", and_a_task("Outputs: {o: {Value: '{{ b.x }}'}}")),
        (
            "an unknown output",
            tasks(&format!(
                "{}\n- {}",
                call("  Outputs: {one: {ValueSelector: x}}")
                    .split_once("Tasks:\n")
                    .unwrap()
                    .1
                    .trim_end(),
                "{Name: b, Action: 'ACS::Sleep', Properties: {Duration: '{{ a.ome }}'}}"
            )),
        ),
        (
            "an unknown pseudo parameter",
            and_a_task("Outputs: {o: {Value: '{{ ACS::RegionID2 }}'}}"),
        ),
        (
            "an item outside of a loop",
            tasks(
                "- {Name: a, Action: 'ACS::Sleep', Properties: {Duration: '{{ ACS::TaskLoopItem }}'}}",
            ),
        ),
        (
            "a task that comes later",
            tasks(&format!(
                "- {{Name: z, Action: 'ACS::Sleep', Properties: {{Duration: '{{{{ b.o }}}}'}}}}\n{}",
                call("  Outputs: {o: {ValueSelector: x}}")
                    .split_once("Tasks:\n")
                    .unwrap()
                    .1
                    .replace("Name: a", "Name: b")
            )),
        ),
        (
            "a cycle of defaults",
            and_a_task("Parameters: {a: {Default: '{{ b }}'}, b: {Default: '{{ a }}'}}"),
        ),
        (
            "a default that is refused",
            and_a_task("Parameters: {a: {Default: x, AllowedValues: [y, z]}}"),
        ),
        ("a pattern that is none", and_a_task("Parameters: {a: {AllowedPattern: '('}}")),
        ("a constraint without effect", and_a_task("Parameters: {a: {Type: List, MinLength: 1}}")),
        (
            "a jump to nowhere",
            tasks(&format!(
                "- {}\n- {}",
                SLEEP.replace('}', ", X").replace(", X, X", "}, OnError: claenUp}"),
                SLEEP.replace("Name: a", "Name: cleanUp")
            )),
        ),
        (
            "a jump back",
            tasks(&format!("- {SLEEP}\n- {{Name: b, Action: 'ACS::Pause', OnSuccess: a}}")),
        ),
        (
            "a task that nothing reaches",
            tasks(&format!(
                "- {{Name: z, Action: 'ACS::Pause', OnSuccess: 'ACS::END'}}\n- {SLEEP}"
            )),
        ),
        (
            "a trigger that is not first",
            tasks(&format!(
                "- {SLEEP}\n- {{Name: t, Action: 'ACS::EventTrigger', Properties: {{Product: ECS, Name: [x]}}}}"
            )),
        ),
        (
            "a timer that does not go",
            tasks(
                "- {Name: t, Action: 'ACS::TimerTrigger', Properties: {Type: rate, Expression: often, EndDate: '2030-01-01'}}",
            ),
        ),
        (
            "a loop of a sleep",
            tasks(
                "- {Name: a, Action: 'ACS::Sleep', Properties: {Duration: 1S}, Loop: {Items: [1]}}",
            ),
        ),
        ("a loop with a bad rate", call("  Loop: {Items: [1], RateControl: {Concurrency: many}}")),
        (
            "a loop that takes nothing together",
            call(
                "  Loop: {Items: [1], Outputs: {x: {AggregateType: 'Fn::ListJoin', AggregateField: y}}}",
            ),
        ),
        ("a condition that is none", and_a_task("Conditions: {c: true}")),
        ("a tag of a list", and_a_task("Metadata: !set [x]")),
        ("a number that JSON does not have", and_a_task("Metadata: {x: .inf}")),
        ("aliases of long text", {
            let (text, aliases) = ("x".repeat(20_000), "*x,".repeat(50));
            and_a_task(&format!("Metadata: [&x {text}, {aliases}]"))
        }),
        ("a version that is no string", format!("FormatVersion: 2019\nTasks: [{SLEEP}]\n")),
        ("a task that is no map", tasks("- wait")),
        ("a loop of a loop", tasks("- Name: a\n  Action: ACS::Loop\n  Loop: {Items: [1]}\n  Properties: {LoopItems: [1], LoopTasks: [{Name: b, Action: 'ACS::Pause'}]}")),
        ("retries of what does not look", tasks("- {Name: a, Action: 'ACS::Pause', Retries: 3}")),
        ("a bad end of a sleep", tasks("- {Name: a, Action: 'ACS::Sleep', Properties: {EndDate: tomorrow}}")),
        ("wrong kinds of properties", tasks("- Name: a\n  Action: ACS::ExecuteAPI\n  Properties: {Service: 5, API: X, Parameters: [a], AutoPaging: sometimes, Risk: Low, Method: FETCH, Headers: h}")),
        ("a list where a map is wanted, with references", and_a_task("Parameters: {p: {}}").replace(SLEEP, "{Name: a, Action: 'ACS::ExecuteAPI', Properties: {Service: ECS, API: X, Parameters: ['{{ p }}']}}")),
        ("wrong values of an approval", tasks("- Name: a\n  Action: ACS::Approve\n  Properties: {NotifyType: Mail, WebHook: {Url: 'http://x'}, Approvers: me, MinRequiredApprovals: 0}")),
        ("a template by name and content", tasks(&format!("- {{Name: a, Action: 'ACS::Template', Properties: {{TemplateName: x, TemplateContent: {{FormatVersion: OOS-2019-06-01, Tasks: [{SLEEP}]}}}}}}"))),
        ("what is wrong with an inner template", tasks("- Name: a\n  Action: ACS::Template\n  Properties:\n    TemplateContent:\n      FormatVersion: OOS-2019-06-01\n      Tasks:\n      - {Name: b, Action: 'ACS::Sleep', Properties: {Duration: '{{ x }}'}, OnError: c}")),
        ("a trigger of an inner template", tasks("- Name: a\n  Action: ACS::Template\n  Properties:\n    TemplateContent:\n      FormatVersion: OOS-2019-06-01\n      Tasks:\n      - {Name: t, Action: 'ACS::EventTrigger', Properties: {Product: ECS, Name: [x]}}")),
        ("a misspelled key of a rate", call("  Loop: {Items: [1], RateControl: {Concurency: 5}}")),
        ("an unknown key of a rate", call("  Loop: {Items: [1], RateControl: {Speed: 5}}")),
        ("a comma after a rate", call("  Loop: {Items: [1], RateControl: {Mode: 'Concurrency,', Concurrency: 5}}")),
        ("batches of a bad size", call("  Loop: {Items: [1], RateControl: {Mode: Batch, Batch: [few]}}")),
        ("a rate of which a part is known", and_a_task("Parameters: {n: {}}").replace(SLEEP, "{Name: a, Action: 'ACS::ExecuteAPI', Properties: {Service: E, API: X}, Loop: {Items: [1], Concurrency: '{{ n }}', MaxErrors: few}}")),
        ("too many items", call(&format!("  Loop: {{Items: [{}]}}", "1,".repeat(10_001)))),
        ("a condition that is a number", tasks("- {Name: a, Action: 'ACS::Pause', When: 5}")),
        ("a condition that is not declared", and_a_task("Conditions: {isNew: {'Fn::Equals': [1, 1]}}").replace("Name: a,", "Name: a, When: isNow,")),
        ("conditions in a circle", and_a_task("Conditions: {a: {'Fn::Not': b}, b: {'Fn::Not': [a]}}")),
        ("a jq program that does not compile", and_a_task("Outputs: {o: {Value: {'Fn::Jq': [First, 'a | b(', x]}}}")),
        ("neither first nor all", and_a_task("Outputs: {o: {Value: {'Fn::Jq': [Last, '.', x]}}}")),
        ("a function that is not supported", and_a_task("Outputs: {o: {Value: {'Fn::FindMatchedPackage': [a, b]}}}")),
        ("a default of a task", and_a_task("Parameters: {p: {Default: '{{ a.x }}'}}")),
        ("a part of a parameter", and_a_task("Parameters: {p: {}}\nOutputs: {o: {Value: '{{ p.x }}'}}")),
        ("a choice of nobody", tasks(&format!("- Name: c\n  Action: ACS::Choice\n  Properties:\n    DefaultTask: ACS::NEXT\n    Choices: [{{When: true, NextTask: b}}]\n- {SLEEP}"))),
        (
            "all at once",
            tasks("- {Name: a, Action: 'ACS::Sleep'}\n- {Name: a, Action: 'ACS::Wait'}"),
        ),
    ];
    let mut page = String::new();
    for (name, text) in cases {
        page += &format!("=== {name}\n{}\n\n", told(text));
    }
    insta::assert_snapshot!(page);
}

/// Texts that mean harm end in an error each, quickly.
#[test]
fn hostile_texts_are_refused() {
    let aliases = (0..30).fold("a0: &a0 [x, x]\n".to_owned(), |text, n| {
        format!("{text}a{}: &a{} [*a{n}, *a{n}, *a{n}]\n", n + 1, n + 1)
    });
    let size = 60_000;
    for text in [
        aliases,
        "[".repeat(size),
        "{".repeat(size),
        "{\"a\":".repeat(size / 5),
        "- ".repeat(size / 2),
        "? ".repeat(size / 2),
        "\"".repeat(size),
        "'".repeat(size),
        "&a ".repeat(size / 3),
        "x: |\n".repeat(size / 5),
        "\u{feff}".repeat(size / 3),
        "\u{0}\u{1}".repeat(100),
        "{\"a\": \"\\ud800\"}".to_owned(),
        "a: *nobody\n".to_owned(),
        "x".repeat(70_000),
    ] {
        let checked = kiln_oos::parse_template(&text, &One);
        assert!(checked.template.is_none(), "{:.60}", text);
        for finding in checked.diagnostics.sorted() {
            assert!(!render("t.yml", &text, finding, true).is_empty());
        }
    }
}
