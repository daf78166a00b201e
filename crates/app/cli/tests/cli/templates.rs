//! `kiln template`, `kiln run` and `kiln executions`: rehearsals, kills and decisions.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::run::{kiln, stderr, stdout};

const WORLD: &str = include_str!("../../../../lib/sim/worlds/repair-image.yml");

const PARAMETERS: &str = "\
zoneId: cn-hangzhou-b
repairImageId: m-broken0001
baseImageId: aliyun_3_x64_20G_alibase_20250629.vhd
instanceType: ecs.g7.large
securityGroupId: sg-1
vSwitchId: vsw-1
repairItems: [fstab, cloudinit]
";

/// `kiln` with the state of its runs in `folder`.
fn with_state(folder: &Path, line: &str) -> Command {
    let mut command = kiln(folder);
    command.env("KILN_RUNS", folder.join("state")).args(line.split_whitespace());
    command
}

fn run(folder: &Path, line: &str) -> Output {
    with_state(folder, line).output().unwrap()
}

fn json(output: &Output) -> Value {
    serde_json::from_str(&stdout(output)).unwrap_or_else(|_| panic!("{}", stderr(output)))
}

fn file(folder: &Path, name: &str, text: &str) {
    fs::write(folder.join(name), text).unwrap();
}

/// The executions, the newest first.
fn listed(folder: &Path) -> Vec<Value> {
    let output = run(folder, "executions list --format json");
    json(&output).as_array().unwrap().clone()
}

#[test]
fn findings_are_told_with_place_and_suggestion() {
    let folder = tempfile::tempdir().unwrap();
    let text = "FormatVersion: OOS-2019-06-01\nTasks:\n- Name: a\n  Action: ACS::Slep\n";
    file(folder.path(), "bad.yml", text);
    let output = run(folder.path(), "template validate bad.yml ACS-ECS-RepairImage");
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        stdout(&output),
        "bad.yml: refused, 1 error, 0 warnings\nACS-ECS-RepairImage: valid\n"
    );
    for part in ["`ACS::Slep` is not an action", "bad.yml:4:11", "did you mean `ACS::Sleep`?"] {
        assert!(stderr(&output).contains(part), "{part} is not in\n{}", stderr(&output));
    }
    let output = run(folder.path(), "template validate --format json bad.yml");
    let report = json(&output);
    assert_eq!(report[0]["findings"][0]["line"], 4);
    assert_eq!(report[0]["findings"][0]["code"], "InvalidTemplate.Action");
    let output = run(folder.path(), "template validate nowhere.yml");
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("kiln template list"), "{}", stderr(&output));
}

#[test]
fn a_template_is_described_and_drawn() {
    let folder = tempfile::tempdir().unwrap();
    let output = run(folder.path(), "template show ACS-ECS-RepairImage");
    let shown = stdout(&output);
    for part in ["repairImageId", "required", "ecs:RunInstances", "createSnapshot", "imageId"] {
        assert!(shown.contains(part), "{part} is not in\n{shown}");
    }
    for (format, start) in [("svg", "<svg"), ("mermaid", "flowchart"), ("dot", "digraph")] {
        let output =
            run(folder.path(), &format!("template graph --format {format} ACS-ECS-RepairImage"));
        let picture = stdout(&output);
        assert!(picture.contains(start) && picture.contains("createSnapshot"), "{picture}");
    }
    let output = run(folder.path(), "template list");
    let list = stdout(&output);
    assert!(list.contains("ACS::ECS::RunCommand"), "{list}");
}

#[test]
fn what_is_missing_is_named_with_what_it_is_for() {
    let folder = tempfile::tempdir().unwrap();
    let output = run(folder.path(), "run ACS-ECS-RepairImage --sim repair-image");
    assert_eq!(output.status.code(), Some(2));
    for part in ["parameters are missing", "repairImageId (String)", "--param zoneId=VALUE"] {
        assert!(stderr(&output).contains(part), "{part} is not in\n{}", stderr(&output));
    }
    file(folder.path(), "p.yml", &PARAMETERS.replace("fstab", "fstabb"));
    let output = run(folder.path(), "run ACS-ECS-RepairImage --sim repair-image --params p.yml");
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("did you mean `fstab`?"), "{}", stderr(&output));
    assert_eq!(listed(folder.path()), Vec::<Value>::new(), "nothing was started");
}

#[test]
fn a_rehearsal_succeeds_and_one_that_fails_cleans_up() {
    let folder = tempfile::tempdir().unwrap();
    file(folder.path(), "p.yml", PARAMETERS);
    let line = "run ACS-ECS-RepairImage --time-scale 0 --params p.yml --sim";
    let output = run(folder.path(), &format!("{line} repair-image"));
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(json(&output)["imageId"].as_str().unwrap().starts_with("m-"));
    assert!(stderr(&output).contains("✓ createSnapshot"), "{}", stderr(&output));

    let fault = "faults: [{api: CreateImage, nth: every, status: 400, code: QuotaExceed.Image}]";
    file(folder.path(), "bad.yml", &format!("{WORLD}\n{fault}\n"));
    let output = run(folder.path(), &format!("{line} bad.yml"));
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("✗ createImage"), "{}", stderr(&output));
    assert!(stderr(&output).contains("✓ deleteInstance"), "{}", stderr(&output));
    let listed = listed(folder.path());
    let status: Vec<_> = listed.iter().map(|own| own["status"].as_str().unwrap()).collect();
    assert_eq!(status, ["Failed", "Success"]);
    let id = listed[0]["id"].as_str().unwrap();
    assert_eq!(left(folder.path(), id), Vec::<String>::new());
}

/// What was made in the world of a run and is still there, apart from invocations of commands.
fn left(folder: &Path, id: &str) -> Vec<String> {
    let text = fs::read_to_string(folder.join(format!("state/runs/{id}.world"))).unwrap();
    let world = kiln_sim::World::load(serde_json::from_str(&text).unwrap()).unwrap();
    let end = "2100-01-01T00:00:00Z".parse().unwrap();
    let made = world.resources(end).into_iter().filter(|own| own.made_by_call);
    made.filter(|own| own.kind.name() != "invocation")
        .map(|own| own.kind.name().to_owned())
        .collect()
}

/// A run that is killed at any moment, again and again, goes on and ends as if it had not been:
/// one instance, one snapshot and one image are made, however often it was cut off.
#[test]
fn a_run_that_is_killed_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    file(folder.path(), "p.yml", PARAMETERS);
    let mut n_kills = 0;
    for nth in 0..6_u64 {
        let line = "run ACS-ECS-RepairImage --sim repair-image --time-scale 0 --params p.yml";
        let mut child = quiet(with_state(folder.path(), line));
        let mut id = None;
        // Each time a little later: through the start, the run, and the end of it.
        for step in 1.. {
            assert!(step < 200, "the run never ends");
            let patience = Duration::from_millis(40 + nth * 7 + step * 20);
            if ends_within(&mut child, patience) {
                break;
            }
            child.kill().unwrap();
            child.wait().unwrap();
            n_kills += 1;
            id = id.or_else(|| unfinished(folder.path()));
            // Killed before it was recorded: it never was, and is started again.
            let line = id.as_ref().map_or(line.to_owned(), |id| format!("executions resume {id}"));
            child = quiet(with_state(folder.path(), &line));
        }
        let newest = listed(folder.path()).remove(0);
        assert_eq!(newest["status"], "Success", "{newest}");
        let made = left(folder.path(), newest["id"].as_str().unwrap());
        assert_eq!(made, ["snapshot", "image"], "{newest}");
    }
    assert!(n_kills >= 6, "{n_kills} kills prove nothing");
}

fn unfinished(folder: &Path) -> Option<String> {
    let listed = listed(folder);
    let own = listed.iter().find(|own| own["ended"].is_null())?;
    // Without its setting, which is kept first, it cannot go on.
    Some(own["id"].as_str().unwrap().to_owned())
}

fn quiet(mut command: Command) -> Child {
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

fn ends_within(child: &mut Child, patience: Duration) -> bool {
    let deadline = Instant::now() + patience;
    while Instant::now() < deadline {
        if let Some(status) = child.try_wait().unwrap() {
            // A lease of the process that was killed may still hold: then it is tried again.
            return status.code() != Some(2);
        }
        sleep(Duration::from_millis(2));
    }
    false
}

#[test]
fn what_waits_is_let_go_on_from_outside() {
    let folder = tempfile::tempdir().unwrap();
    let text = "FormatVersion: OOS-2019-06-01\nTasks: [{Name: hold, Action: 'ACS::Pause'}]\n\
                Outputs: {went: {Value: 'on'}}\n";
    file(folder.path(), "hold.yml", text);
    for (decision, status) in [("approve", 0), ("reject", 1)] {
        let mut command = with_state(folder.path(), "run hold.yml --sim empty");
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let id = (0..200)
            .find_map(|_| {
                sleep(Duration::from_millis(50));
                let listed = listed(folder.path());
                let waits = listed.iter().find(|own| own["status"] == "Waiting")?;
                Some(waits["id"].as_str().unwrap().to_owned())
            })
            .expect("it waits");
        let output = run(folder.path(), &format!("executions {decision} {id} --note seen"));
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        let ended = child.wait_with_output().unwrap();
        assert_eq!(ended.status.code(), Some(status), "{}", stderr(&ended));
        // Twice is once too often, and says so.
        let output = run(folder.path(), &format!("executions {decision} {id}"));
        assert_eq!(output.status.code(), Some(2));
        assert!(stderr(&output).contains("has ended as"), "{}", stderr(&output));
    }
}
