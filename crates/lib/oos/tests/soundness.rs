//! What findings promise: errors are never lost, one mistake is one error, places are right, and no
//! text costs more than its size.

use std::time::{Duration, Instant};

use kiln_oos::diagnostic::{Diagnostic, Severity, line_column, render};
use kiln_oos::template::{Catalogue, Checked, Signature};

/// A catalogue of nothing.
struct Nothing;

impl Catalogue for Nothing {
    fn signature(&self, _: &str) -> Option<Signature> {
        None
    }

    fn names(&self) -> Vec<String> {
        Vec::new()
    }
}

const HEAD: &str = "FormatVersion: OOS-2019-06-01\n";

fn check(text: &str) -> Checked {
    kiln_oos::parse_template(text, &Nothing)
}

fn findings(text: &str, severity: Severity) -> Vec<String> {
    let checked = check(text);
    let all = checked.diagnostics.sorted().into_iter();
    all.filter(|own| own.severity == severity).map(ToString::to_string).collect()
}

fn errors(text: &str) -> Vec<String> {
    findings(text, Severity::Error)
}

#[test]
fn warnings_do_not_crowd_out_errors() {
    let later = "{{ b.o }} ".repeat(300);
    let text = format!(
        "{HEAD}Tasks:\n\
         - {{Name: a, Action: 'ACS::Template', Properties: {{TemplateName: '{later}'}}}}\n\
         - Name: b\n  Action: ACS::ExecuteAPI\n  Properties: {{Service: ECS}}\n  \
         Outputs: {{o: {{ValueSelector: x}}}}\n"
    );
    assert!(findings(&text, Severity::Warning).len() >= 200, "or this would prove nothing");
    assert_eq!(errors(&text), ["Tasks[1].Properties: ACS::ExecuteAPI needs the property `API`"]);
    assert!(check(&text).template.is_none());
}

/// What cannot be read is reported once: what refers to it is not wrong as well.
#[test]
fn one_mistake_is_one_error() {
    let sleep = |duration: &str| {
        format!("- {{Name: z, Action: 'ACS::Sleep', Properties: {{Duration: '{duration}'}}}}\n")
    };
    let call =
        "  Action: ACS::ExecuteAPI\n  Properties: {Service: ECS, API: '{{ ACS::TaskLoopItem }}'}\n";
    for (what, tasks) in [
        (
            "an action that is not known",
            format!(
                "- Name: a\n  Action: ACS::Slep\n  Outputs: {{o: {{ValueSelector: x}}}}\n{}",
                sleep("{{ a.o }}")
            ),
        ),
        (
            "no action",
            format!("- Name: a\n  Outputs: {{o: {{ValueSelector: x}}}}\n{}", sleep("{{ a.o }}")),
        ),
        (
            "a jump to a task that cannot be read",
            "- {Name: a, Action: 'ACS::Pause', OnError: b}\n- {Name: b, Action: 'ACS::Slep'}\n"
                .to_owned(),
        ),
        ("a loop without items", format!("- Name: a\n{call}  Loop: {{RateControl: {{}}}}\n")),
        ("a loop that is no map", format!("- Name: a\n{call}  Loop: [1]\n")),
        (
            "an output without selector",
            format!(
                "- Name: a\n  Action: ACS::Pause\n  Outputs: {{o: {{Type: String}}}}\n{}",
                sleep("{{ a.o }}")
            ),
        ),
        (
            "an aggregate that is none",
            format!(
                "- Name: a\n{call}  Outputs: {{o: {{ValueSelector: x}}}}\n  \
                 Loop: {{Items: [1], Outputs: {{all: {{AggregateType: 'Fn::Jq', AggregateField: o}}}}}}\n{}",
                sleep("{{ a.all }}")
            ),
        ),
        (
            "a name that is no string",
            "- {Name: 5, Action: 'ACS::Pause'}\n- {Name: 6.5, Action: 'ACS::Pause'}\n".to_owned(),
        ),
    ] {
        let text = format!("{HEAD}Tasks:\n{tasks}");
        let found = errors(&text);
        let wanted = if what.starts_with("a name") { 2 } else { 1 };
        assert_eq!(found.len(), wanted, "{what}: {found:#?}");
    }
}

#[test]
fn places_count_all_tasks() {
    let text = format!(
        "{HEAD}Tasks:\n- 5\n- {{Name: b, Action: 'ACS::Sleep', Properties: {{Duration: x}}}}\n"
    );
    let found = errors(&text);
    assert!(
        found.iter().any(|told| told.starts_with("Tasks[1].Properties.Duration:")),
        "{found:#?}"
    );
}

/// The text that each finding points at.
#[test]
fn findings_point_at_what_is_wrong() {
    let task = |lines: &str| format!("{HEAD}Tasks:\n- Name: first\n  Action: ACS::Pause\n{lines}");
    for (text, path, place) in [
        (task("  OnError: nobody\n"), "Tasks[0].OnError", "nobody"),
        (
            task(
                "- Name: b\n  Action: ACS::Choice\n  Properties:\n    DefaultTask: ACS::END\n    Choices:\n    - {When: {'Fn::Equals': [1, 1]}, NextTask: c}\n- {Name: c, Action: 'ACS::Pause'}\n- Name: d\n  Action: ACS::Choice\n  Properties:\n    DefaultTask: ACS::END\n    Choices: [{When: {'Fn::Equals': [1, 1]}, NextTask: nobody}]\n",
            ),
            "Tasks[3].Properties.Choices[0].NextTask",
            "nobody",
        ),
        (
            task("- {Name: b, Action: 'ACS::Sleep', Properties: {Duration: soon}}\n"),
            "Tasks[1].Properties.Duration",
            "soon",
        ),
        (
            format!(
                "{HEAD}Parameters: {{p: {{AllowedPattern: '('}}}}\nTasks: [{{Name: a, Action: 'ACS::Pause'}}]\n"
            ),
            "Parameters.p.AllowedPattern",
            "'('",
        ),
        (
            task("- {Name: b, Action: 'ACS::RDS::Restart'}\n"),
            "Tasks[1].Action",
            "'ACS::RDS::Restart'",
        ),
    ] {
        let checked = check(&text);
        let found = checked.diagnostics.sorted();
        let finding = found.iter().find(|own| own.path == path);
        let finding = finding.unwrap_or_else(|| panic!("nothing at {path}: {found:#?}"));
        assert_eq!(&text[finding.span.clone()], place, "{path}");
    }
}

/// Lines end as they may, and the place stays.
#[test]
fn places_survive_other_characters() {
    for (what, text) in [
        ("CRLF", format!("{HEAD}Tasks: []\n").replace('\n', "\r\n")),
        ("a byte order mark", format!("\u{feff}{HEAD}Tasks: []\n")),
        ("wide letters", format!("Description: 镜像 🦀\n{HEAD}Tasks: []\n")),
        ("tabs", format!("{HEAD}Tasks:\t[]\n")),
        (
            "a control character",
            "{\"Description\": \"\u{7f}\",\n\"FormatVersion\": \"OOS-2019-06-01\",\n\"Tasks\": []}"
                .to_owned(),
        ),
    ] {
        let checked = check(&text);
        let found = checked.diagnostics.sorted();
        let [finding] = found.as_slice() else { panic!("{what}: {found:#?}") };
        assert_eq!(&text[finding.span.clone()], "[]", "{what}");
        let (line, column) = line_column(&text, finding.span.start);
        let shown = render("t.yml", &text, finding, false);
        assert!(shown.contains(&format!("t.yml:{line}:{column}\n")), "{what}:\n{shown}");
        assert!(shown.contains("^^ Tasks"), "{what}:\n{shown}");
    }
}

/// What a file holds is not a command to the terminal, and a long line is cut.
#[test]
fn rendering_is_harmless() {
    let text = format!("{HEAD}\"x\u{1b}[31m\u{202e}\": 1\nTasks: []\n");
    let long = format!(
        "{{\"FormatVersion\": \"OOS-2019-06-01\", \"Description\": \"{}\", \"Tasks\": []}}",
        "x".repeat(40_000)
    );
    for text in [text, long] {
        for finding in check(&text).diagnostics.sorted() {
            let shown = render("t\u{1b}.yml", &text, finding, false);
            assert!(!shown.contains(['\u{1b}', '\u{202e}']), "{shown}");
            assert!(shown.lines().all(|line| line.chars().count() < 400), "{}", shown.len());
        }
    }
    let far = Diagnostic { span: 1..usize::MAX, ..check("5").diagnostics.list()[0].clone() };
    for text in ["", "é", "\r\n"] {
        assert!(!render("t.yml", text, &far, true).is_empty());
    }
}

/// Each of these costs much where something is done once too often.
#[test]
fn no_text_costs_more_than_its_size() {
    let fill = |each: &str, size: usize| each.repeat(size / each.len());
    let task = "Tasks: [{Name: a, Action: 'ACS::Pause'}]\n";
    let aliased = format!(
        "{HEAD}RamRole: [&x \"{}\", {}]\n{task}",
        fill("{{ q }}", 30_000),
        fill("*x,", 30_000)
    );
    let names: String = (0..190).map(|n| format!("{}{n}: {{}}, ", "n".repeat(100))).collect();
    let unknown =
        format!("{HEAD}Parameters: {{{names}}}\nRamRole: '{}'\n{task}", fill("{{ nnn }}", 30_000));
    let outputs: String = (0..6000).map(|n| format!("o{n}: {{}}\n ")).collect();
    let outputs = format!("{HEAD}{task}Outputs:\n {outputs}\n");
    let chain: String = (0..190)
        .map(|n| {
            format!(
                " {}{n}: {{Default: '{{{{ {}{} }}}}'}}\n",
                "n".repeat(50),
                "n".repeat(50),
                n + 1
            )
        })
        .collect();
    let chain = format!(
        "{HEAD}Parameters:\n{chain} {}190: {{Default: '{}'}}\n c: {{}}\n{task}",
        "n".repeat(50),
        fill("{{c}}", 30_000)
    );
    for (what, text) in [
        ("aliases of long text", aliased),
        ("unknown names", unknown),
        ("outputs", outputs),
        ("a chain of defaults", chain),
    ] {
        assert!(text.len() <= 64 << 10, "{what}: {} bytes", text.len());
        let start = Instant::now();
        let checked = check(&text);
        let took = start.elapsed();
        assert!(
            took < Duration::from_secs(2),
            "{what} took {took:?}, {} findings",
            checked.diagnostics.list().len()
        );
    }
}

/// Shipped templates, spoiled at many places: whatever comes of it can be shown.
#[test]
fn spoiled_templates_are_judged_and_shown() {
    let mut n_refused = 0;
    for own in kiln_oos::library::SHIPPED {
        let borders: Vec<_> = own.text.char_indices().map(|(at, _)| at).collect();
        for (n, &at) in borders.iter().step_by(borders.len() / 12 + 1).enumerate() {
            let (before, after) = own.text.split_at(at);
            let spoiled = [
                before.to_owned(),
                after.to_owned(),
                format!("{before}{}{after}", ["{{", "'", ": ", "镜\r\n", "\u{9b}", "- ["][n % 6]),
            ];
            for text in spoiled {
                let checked = check(&text);
                for finding in checked.diagnostics.sorted() {
                    assert!(!render(own.name, &text, finding, true).is_empty());
                }
                n_refused += usize::from(checked.template.is_none());
            }
        }
    }
    assert!(n_refused > 500, "only {n_refused} are refused");
}
