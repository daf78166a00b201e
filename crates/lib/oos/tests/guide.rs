//! Every example of `docs/templates.md` runs, and gives what stands below it; the table of functions
//! is that of the code.

mod rehearsal;

use std::fs;
use std::path::{Path, PathBuf};

use kiln_oos::functions::Function;
use kiln_oos::graph::Graph;
use rehearsal::Rehearsal;
use serde_json::{Value, json};

const WORLD: &str = include_str!("../../sim/worlds/update-image.yml");

fn guide() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../docs/templates.md")
}

/// The examples: a template, and what it gives.
fn examples(text: &str) -> Vec<(String, Value)> {
    let mut examples = Vec::new();
    let mut rest = text;
    while let Some((_, after)) = rest.split_once("```yaml\n") {
        let (template, after) = after.split_once("```").expect("a block of YAML ends");
        let (between, after) = after.split_once("```json\n").expect("an example gives something");
        assert_eq!(between.trim(), "", "what an example gives stands right below it");
        let (outputs, after) = after.split_once("```").expect("a block of JSON ends");
        examples.push((template.to_owned(), serde_json::from_str(outputs).unwrap()));
        rest = after;
    }
    examples
}

#[test]
fn examples_give_what_they_say() {
    let text = fs::read_to_string(guide()).unwrap();
    let examples = examples(&text);
    assert!(examples.len() > 15, "{} examples", examples.len());
    for (template, outputs) in examples {
        let ended = Rehearsal::of(&template, WORLD, json!({})).run();
        assert_eq!(ended.status(), "Success", "{template}\n{}\n{}", ended.message(), ended.logs());
        assert_eq!(ended.last_outputs(), outputs, "{template}\n{}", ended.logs());
    }
}

/// The table as the code has it; `UPDATE_GUIDE=1` writes it.
#[test]
fn the_table_of_functions_is_that_of_the_code() {
    let mut table = "| function | argument | what it gives | example |\n".to_owned();
    table += "| --- | --- | --- | --- |\n";
    for function in Function::ALL {
        let (argument, result) = function.example();
        let example = match result {
            "" => String::new(),
            result => format!("`{argument}` → `{result}`"),
        };
        let cell = |text: &str| text.replace('|', "\\|");
        table += &format!(
            "| `{}` | `{}` | {} | {} |\n",
            function.name(),
            cell(function.usage()),
            cell(function.about()),
            cell(&example)
        );
    }
    let text = fs::read_to_string(guide()).unwrap();
    let (head, rest) = text.split_once("<!-- functions -->\n").unwrap();
    let (found, tail) = rest.split_once("<!-- /functions -->").unwrap();
    if std::env::var_os("UPDATE_GUIDE").is_some() {
        let new = format!("{head}<!-- functions -->\n{table}<!-- /functions -->{tail}");
        fs::write(guide(), new).unwrap();
        return;
    }
    assert_eq!(found, table, "UPDATE_GUIDE=1 writes it");
}

/// Each action, and each function that kiln has, is in an example that runs.
#[test]
fn the_guide_shows_every_action_and_function() {
    let text = fs::read_to_string(guide()).unwrap();
    let shown: String = examples(&text).into_iter().map(|(template, _)| template).collect();
    let action = |name: &str| shown.contains(&format!("Action: {name}\n"));
    for (name, _) in kiln_oos::template::Action::CORE {
        // The second spelling of a name is only told of.
        let told = name == "ACS::ExecuteApi" && text.contains(name);
        assert!(told || action(name) || shown.contains(&format!("Action: {name},")), "{name}");
    }
    for function in Function::ALL.iter().filter(|own| own.is_supported()) {
        let name = function.name();
        let is_shown = [format!("{name}:"), format!("'{name}':")];
        assert!(is_shown.iter().any(|call| shown.contains(call)), "{name} is in no example");
    }
    for function in Function::ALL.iter().filter(|own| !own.is_supported()) {
        assert!(text.matches(function.name()).count() > 1, "{} is not told of", function.name());
    }
}

/// The example of each function in the table, as the output of a run.
#[test]
fn the_examples_of_the_table_run() {
    for function in Function::ALL.iter().filter(|own| own.is_supported()) {
        let (argument, result) = function.example();
        let argument: Value = serde_json::from_str(argument).unwrap();
        let template = json!({
            "FormatVersion": "OOS-2019-06-01",
            "Tasks": [{"Name": "a", "Action": "ACS::Sleep", "Properties": {"Duration": "1S"}}],
            "Outputs": {"x": {"Type": "Json", "Value": {function.name(): argument}}},
        });
        let ended = Rehearsal::of(&template.to_string(), WORLD, json!({})).run();
        let expected: Value = serde_json::from_str(result).unwrap();
        assert_eq!(ended.outputs(), json!({"x": expected}), "{}", function.name());
    }
}

/// The pictures are what `kiln template graph` draws now; `UPDATE_GUIDE=1` writes them.
#[test]
fn the_pictures_are_those_of_the_code() {
    for (name, file) in
        [("ACS-ECS-RepairImage", "repair-image.svg"), ("ACS-ECS-UpdateImage", "update-image.svg")]
    {
        let text = kiln_oos::library::find(name).unwrap().text;
        let picture = Graph::of(&kiln_oos::template::load(text).unwrap()).svg();
        let path = guide().with_file_name("pictures").join(file);
        if std::env::var_os("UPDATE_GUIDE").is_some() {
            fs::write(&path, &picture).unwrap();
        }
        let found = fs::read_to_string(&path).unwrap_or_default();
        assert!(found == picture, "{file} is not what is drawn: UPDATE_GUIDE=1 writes it");
    }
}
