//! The reports for programs: JSON against its schema, SARIF and JUnit against their structure.

use std::collections::BTreeSet;
use std::path::Path;

use quick_junit::{NonSuccessKind, Report as Junit, TestCaseStatus};
use serde_json::Value;

use crate::disk::Guest;
use crate::run::{run, stdout};

const SCHEMA: &str = include_str!("../../../../../docs/check-report.schema.json");
const CONTRACT: &str = include_str!("../../../../../docs/check-report.md");
const SARIF_PARTS: &str = include_str!("sarif-parts.schema.json");

/// A disk with a fault of each level, in a folder whose names need escaping, an empty disk and a
/// name that leads nowhere.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mut guest = Guest::debian();
    guest.file("etc/adjtime", "0.0 0 0.0\n0\nLOCAL\n");
    guest.file("etc/os-release", "ID=debian\nVERSION_ID=12\nPRETTY_NAME=\"<\x01&]]>\"\n");
    guest.write(folder.path(), "a&b.raw");
    std::fs::write(folder.path().join("zero.raw"), vec![0; 1 << 20]).unwrap();
    folder
}

fn report(folder: &Path, format: &str) -> String {
    let output = run(folder, &format!("check --format {format} a&b.raw absent.raw zero.raw"));
    assert_eq!(output.status.code(), Some(2));
    stdout(&output).to_owned()
}

fn assert_valid(schema: &str, document: &Value) {
    let validator = jsonschema::draft202012::new(&serde_json::from_str(schema).unwrap()).unwrap();
    let errors: Vec<String> = validator
        .iter_errors(document)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert!(errors.is_empty(), "{}\nin {document:#}", errors.join("\n"));
}

#[test]
fn json_keeps_its_schema() {
    let folder = folder();
    let report: Value = serde_json::from_str(&report(folder.path(), "json")).unwrap();
    assert_valid(SCHEMA, &report);
    let images = report["images"].as_array().unwrap();
    let of = |key: &str| -> Vec<&str> { images.iter().map(|i| i[key].as_str().unwrap()).collect() };
    assert_eq!(of("image"), ["a&b.raw", "absent.raw", "zero.raw"]);
    assert_eq!(of("status"), ["Finished", "Failed", "Finished"]);
    assert!(images[1]["error"].as_str().unwrap().starts_with("absent.raw: "));
    let item = |name: &str| {
        let items = images[0]["items"].as_array().unwrap();
        items.iter().find(|item| item["name"] == name).unwrap().clone()
    };
    assert_eq!(item("GUESTOS.RtcTimeMode")["riskLevel"], "Medium");
    assert_eq!(item("GUESTOS.KernelVersion")["riskLevel"], "High");
    assert_eq!(item("GUESTOS.Platform")["status"], "pass");
}

/// The schema would not notice a changed order, and people read the report, too.
#[test]
fn json_keys_come_in_the_order_of_the_contract() {
    let folder = folder();
    let text = report(folder.path(), "json");
    let positions = |text: &str, keys: &[&str]| {
        let found: Vec<usize> =
            keys.iter().map(|key| text.find(&format!("\"{key}\":")).unwrap()).collect();
        assert!(found.is_sorted(), "{keys:?} are at {found:?}");
    };
    positions(&text, &["schema", "images", "image", "status", "error", "format", "notes", "os"]);
    positions(&text, &["type", "platform", "version", "architecture", "kernel", "items", "name"]);
    let item = &text[text.find("\"items\":").unwrap()..];
    positions(
        item,
        &["name", "value", "status", "riskLevel", "riskCode", "message", "evidence", "path"],
    );
    positions(item, &["path", "line", "text", "suggestion"]);
    positions(&text, &["items", "elapsedMs", "bytesRead"]);
}

/// Makes one thing wrong in a report.
type Spoil = fn(&mut Value);

/// A schema that allows everything would prove nothing: it refuses reports with one thing wrong.
#[test]
fn the_schema_is_strict() {
    let folder = folder();
    let good: Value = serde_json::from_str(&report(folder.path(), "json")).unwrap();
    let schema = serde_json::from_str(SCHEMA).unwrap();
    let validator = jsonschema::draft202012::new(&schema).unwrap();
    let spoilt: [(&str, Spoil); 7] = [
        ("another schema", |report| report["schema"] = "v2".into()),
        ("a further key", |report| report["images"][0]["items"][0]["more"] = 1.into()),
        ("a status in another case", |report| {
            report["images"][0]["items"][0]["status"] = "Pass".into()
        }),
        ("a level that is none", |report| {
            report["images"][0]["items"][0]["riskLevel"] = "Low".into()
        }),
        ("line 0", |report| {
            report["images"][0]["items"][0]["evidence"] =
                serde_json::json!([{"path": "/x", "line": 0, "text": ""}])
        }),
        ("a failure without an error", |report| report["images"][1]["error"] = Value::Null),
        ("no bytes", |report| {
            report["images"][0].as_object_mut().unwrap().remove("bytesRead");
        }),
    ];
    assert!(validator.is_valid(&good));
    for (what, spoil) in spoilt {
        let mut report = good.clone();
        spoil(&mut report);
        assert!(!validator.is_valid(&report), "{what} was taken");
    }
}

/// The example in the documentation is a report, and names every item there is.
#[test]
fn the_documented_example_keeps_the_schema() {
    let (_, rest) = CONTRACT.split_once("```json\n").unwrap();
    let (example, _) = rest.split_once("```").unwrap();
    let example: Value = serde_json::from_str(example).unwrap();
    assert_valid(SCHEMA, &example);
}

#[test]
fn sarif_keeps_the_structure_of_2_1_0() {
    let folder = folder();
    let sarif: Value = serde_json::from_str(&report(folder.path(), "sarif")).unwrap();
    assert_valid(SARIF_PARTS, &sarif);
    let run = &sarif["runs"][0];
    let rules: BTreeSet<&str> = run["tool"]["driver"]["rules"]
        .as_array()
        .unwrap()
        .iter()
        .map(|rule| rule["id"].as_str().unwrap())
        .collect();
    let results = run["results"].as_array().unwrap();
    for result in results {
        assert!(rules.contains(result["ruleId"].as_str().unwrap()), "{result}");
    }
    let result = |rule: &str| results.iter().find(|result| result["ruleId"] == rule).unwrap();
    assert_eq!(result("GUESTOS.KernelVersion")["level"], "error");
    let clock = result("GUESTOS.RtcTimeMode");
    assert_eq!(clock["level"], "warning");
    let place = &clock["locations"][0]["physicalLocation"];
    assert_eq!(place["artifactLocation"]["uri"], "a%26b.raw/etc/adjtime");
    assert_eq!(place["region"]["startLine"], 3);
    assert!(results.iter().all(|result| result["ruleId"] != "GUESTOS.Platform"
        || result["properties"]["image"] != "a&b.raw"));
    // The image that could not be opened is told, and the run is not called a success.
    let invocation = &run["invocations"][0];
    assert_eq!(invocation["executionSuccessful"], false);
    let told = invocation["toolExecutionNotifications"][0]["message"]["text"].as_str().unwrap();
    assert!(told.starts_with("absent.raw: "), "{told}");
}

#[test]
fn junit_can_be_read_back() {
    let folder = folder();
    let junit = Junit::deserialize_from_str(&report(folder.path(), "junit")).unwrap();
    let suites = &junit.test_suites;
    let names: Vec<&str> = suites.iter().map(|suite| suite.name.as_str()).collect();
    assert_eq!(names, ["a&b.raw", "absent.raw", "zero.raw"]);
    let kind = |suite: usize, name: &str| {
        let case = suites[suite].test_cases.iter().find(|case| case.name.as_str() == name).unwrap();
        match &case.status {
            TestCaseStatus::NonSuccess { kind, ty, .. } => {
                Some((*kind, ty.as_ref().map(|ty| ty.as_str().to_owned())))
            }
            _ => None,
        }
    };
    let (failure, level) = kind(0, "GUESTOS.RtcTimeMode").unwrap();
    assert_eq!(failure, NonSuccessKind::Failure);
    assert!(level.unwrap().starts_with("medium "));
    assert_eq!(kind(0, "GUESTOS.Platform"), None);
    assert_eq!(kind(1, "open").unwrap().0, NonSuccessKind::Error);
    assert_eq!(kind(2, "GUESTOS.SystemImage").unwrap().0, NonSuccessKind::Failure);
    assert!(matches!(
        suites[2].test_cases.iter().find(|case| case.name.as_str() == "GUESTOS.Platform"),
        Some(case) if matches!(case.status, TestCaseStatus::Skipped { .. })
    ));
    let n_cases: usize = suites.iter().map(|suite| suite.test_cases.len()).sum();
    assert_eq!((junit.tests, n_cases), (n_cases, junit.tests));
}
