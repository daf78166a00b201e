//! Whole templates against the world that is made up: RepairImage and UpdateImage to success, then
//! with each of their calls and each of their tasks failing in turn. What was made must be gone at
//! the end.

#![expect(clippy::print_stderr, reason = "a test says what it skipped")]

mod rehearsal;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use kiln_oos::library::find;
use rehearsal::{
    Ended, REPAIR_WORLD, Rehearsal, Trouble, UPDATE_WORLD, repair_parameters, update_parameters,
};
use serde_json::Value;

fn repair() -> Rehearsal {
    let text = find("ACS-ECS-RepairImage").unwrap().text;
    Rehearsal::of(text, REPAIR_WORLD, repair_parameters())
}

fn update() -> Rehearsal {
    let text = find("ACS-ECS-UpdateImage").unwrap().text;
    Rehearsal::of(text, UPDATE_WORLD, update_parameters())
}

/// A published template with the published actions, unchanged, where they lie beside the project.
fn published(name: &str, world: &str, parameters: Value) -> Option<Rehearsal> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../../shared/oos-templates");
    let folder = std::env::var_os("KILN_OOS_TEMPLATES").map_or(beside, PathBuf::from);
    if !folder.is_dir() {
        eprintln!("skipped: no folder of real templates beside the project");
        return None;
    }
    let text = fs::read_to_string(folder.join(format!("{name}.yml"))).unwrap();
    let mut rehearsal = Rehearsal::of(&text, world, parameters);
    for entry in fs::read_dir(folder.join("actions")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_string_lossy().replacen('-', "::", 2);
        rehearsal = rehearsal.knows(&name, &fs::read_to_string(&path).unwrap());
    }
    Some(rehearsal)
}

fn expect_success(ended: &Ended) {
    assert_eq!((ended.status(), ended.message()), ("Success", ""), "{}", ended.logs());
    let image = ended.outputs()["imageId"].as_str().unwrap_or_default().to_owned();
    let left = ended.left();
    assert!(left.contains(&format!("Image {image}")), "{image} is not in {left:?}");
    // The snapshot that an image is made of stays with it.
    let more: Vec<_> = left.iter().filter(|own| !own.starts_with("Image ")).collect();
    assert!(more.iter().all(|own| own.starts_with("Snapshot ")), "{left:?}");
    assert!(more.len() <= 1, "{left:?}");
}

/// With every call, and every task, failing in turn: the end is told right, and nothing is left
/// but what a deletion that failed could not delete.
fn expect_clean(
    name: &str,
    make: &dyn Fn() -> Option<Rehearsal>,
    allowed: &dyn Fn(&str, &str) -> bool,
) {
    let Some(rehearsal) = make() else { return };
    let calls = make().unwrap().run().calls;
    let tasks = paths(&rehearsal, &calls);
    assert!(calls.len() > 10, "{name}: {calls:?}");
    let troubles = (0..calls.len()).map(Trouble::Call).chain(tasks.into_iter().map(Trouble::Task));
    let (mut n_failed, mut wrong) = (0, Vec::new());
    for trouble in troubles {
        let ended = make().unwrap().with(trouble.clone()).run();
        let about = match &trouble {
            Trouble::Call(nth) => format!("{} {}", calls[*nth].0, calls[*nth].1),
            other => format!("{other:?}"),
        };
        let left: Vec<_> = ended.left();
        match ended.status() {
            "Success" => {
                let image = ended.outputs()["imageId"].as_str().unwrap_or_default().to_owned();
                if !left.contains(&format!("Image {image}")) {
                    wrong.push(format!("{about}: success without an image"));
                }
            }
            "Failed" => {
                n_failed += 1;
                if !ended.message().contains("lanted") {
                    wrong.push(format!("{about}: the message is `{}`", ended.message()));
                }
                for own in left.iter().filter(|own| !allowed(&about, own)) {
                    wrong.push(format!("{about}: {own} is left behind"));
                }
            }
            other => wrong.push(format!("{about}: ended as {other}")),
        }
    }
    assert!(n_failed > 5, "{name}: the planted faults hit nothing");
    assert!(wrong.is_empty(), "{name}:\n{}", wrong.join("\n"));
}

/// An answer that is lost is asked for again with the same token: the end is as if it had come.
fn expect_once(name: &str, make: &dyn Fn() -> Option<Rehearsal>) {
    let Some(rehearsal) = make() else { return };
    let whole = rehearsal.run();
    for nth in 0..whole.calls.len() {
        let ended = make().unwrap().with(Trouble::Lost(nth)).run();
        let about = format!("{name}: {:?} lost", whole.calls[nth]);
        assert_eq!(ended.left().len(), whole.left().len(), "{about}: {:?}", ended.left());
        assert_eq!(ended.status(), whole.status(), "{about}: {}", ended.message());
    }
}

#[test]
fn repair_image_succeeds() {
    expect_success(&repair().run());
}

#[test]
fn update_image_succeeds() {
    expect_success(&update().run());
}

#[test]
fn published_templates_run_unchanged() {
    if let Some(repair) = published("ACS-ECS-RepairImage", REPAIR_WORLD, repair_parameters()) {
        expect_success(&repair.run());
    }
    if let Some(update) = published("ACS-ECS-UpdateImage", UPDATE_WORLD, update_parameters()) {
        expect_success(&update.run());
    }
}

#[test]
fn our_templates_clean_up() {
    let deletes = |about: &str, left: &str| {
        // What a refused deletion was to delete stays, with what hangs on it.
        about.contains("Delete") && !left.starts_with("Image ")
            || about.contains("delete")
            || about.contains("Delete")
    };
    expect_clean("RepairImage", &|| Some(repair()), &deletes);
    expect_clean("UpdateImage", &|| Some(update()), &deletes);
}

#[test]
fn a_lost_answer_has_no_second_effect() {
    expect_once("RepairImage", &|| Some(repair()));
    expect_once("UpdateImage", &|| Some(update()));
}

/// What a published template leaves behind itself: the fault, the kinds of what is left, and which of
/// its tasks does not see to it. Nothing else may be left.
type Leaves = &'static [(&'static str, &'static [&'static str], &'static str)];

const REPAIR_LEAVES: Leaves = &[
    (
        "one DescribeImages of checkImage",
        &[],
        "checkImage wants nothing but not `Invalid`, which no error is; then no architecture is \
         known, and checkImageArchitecture goes to ACS::END: success without an image",
    ),
    ("all of checkImage", &[], "the same"),
    (
        "all of untilInstanceReady",
        &["Instance", "Disk", "Disk"],
        "untilInstanceReady has no OnError: deleteInstance is not come to",
    ),
    (
        "one DeleteInstance of deleteInstance",
        &["Instance", "Disk", "Disk", "Snapshot", "Image"],
        "deleteInstance has no OnError and is not tried again; the image is there",
    ),
    ("all of deleteInstance", &["Instance", "Disk", "Disk", "Snapshot", "Image"], "the same"),
];

const UPDATE_LEAVES: Leaves = &[
    (
        "all of runInstances/untilInstanceReady",
        &["Instance", "Disk"],
        "the OnError of runInstances is deleteStack, behind deleteInstance; the instance was made",
    ),
    (
        "all of stopInstance",
        &["Instance", "Disk"],
        "stopInstance has no OnError: deleteInstance is not come to",
    ),
    ("all of stopInstance/getInstanceStatus", &["Instance", "Disk"], "the same"),
    ("one DescribeInstances of stopInstance/getInstanceStatus", &["Instance", "Disk"], "the same"),
    ("all of stopInstance/stopInstance", &["Instance", "Disk"], "the same"),
    ("one StopInstance of stopInstance/stopInstance", &["Instance", "Disk"], "the same"),
    ("all of stopInstance/untilInstanceReady", &["Instance", "Disk"], "the same"),
    (
        "all of createImage/untilImageReady",
        &["Snapshot", "Image"],
        "untilImageReady of the action ACS::ECS::CreateImage has no OnError: the image that it waits \
         for stays, and no output names it",
    ),
    (
        "one DeleteInstance of deleteInstance",
        &["Instance", "Disk", "Snapshot", "Image"],
        "deleteInstance has no OnError and is not tried again; the image is there",
    ),
    ("all of deleteInstance", &["Instance", "Disk", "Snapshot", "Image"], "the same"),
];

/// The tasks of a template that made calls, and those below and above them: `runCommand/invoke`.
fn paths(rehearsal: &Rehearsal, calls: &[(String, String)]) -> BTreeSet<String> {
    let mut paths: BTreeSet<String> = rehearsal.tasks().into_iter().collect();
    for (path, _) in calls {
        paths.extend(path.match_indices('/').map(|(at, _)| path[..at].to_owned()));
        paths.insert(path.clone());
    }
    paths
}

/// With every call refused once, and every task and every task below it for good: a published template
/// ends as it should, and leaves behind what its own text leaves behind and nothing else.
fn expect_published(name: &str, make: &dyn Fn() -> Option<Rehearsal>, leaves: Leaves) {
    let Some(rehearsal) = make() else { return };
    let whole = make().unwrap().run();
    let tasks = paths(&rehearsal, &whole.calls);
    let calls = (0..whole.calls.len()).map(|nth| {
        let (path, api) = &whole.calls[nth];
        (Trouble::Call(nth), format!("one {api} of {path}"))
    });
    let tasks =
        tasks.into_iter().map(|path| (Trouble::Task(path.clone()), format!("all of {path}")));
    let (mut wrong, mut unseen, mut n_failed) = (Vec::new(), BTreeSet::new(), 0);
    unseen.extend(leaves.iter().map(|(fault, ..)| *fault));
    for (trouble, fault) in calls.chain(tasks) {
        let ended = make().unwrap().with(trouble).run();
        let known = leaves.iter().find(|(own, ..)| *own == fault);
        unseen.remove(fault.as_str());
        let left = ended.left();
        let kinds: Vec<_> = left.iter().filter_map(|own| own.split(' ').next()).collect();
        let image = ended.outputs()["imageId"].as_str().unwrap_or_default().to_owned();
        let is_right = match (ended.status(), known) {
            ("Success", None) => kinds == ["Snapshot", "Image"] && !image.is_empty(),
            ("Success", Some((_, own, _))) => kinds == *own,
            ("Failed", known) => {
                n_failed += 1;
                kinds == known.map_or(&[][..], |(_, own, _)| *own)
                    && ended.message().contains("lanted")
            }
            _ => false,
        };
        if !is_right {
            wrong.push(format!(
                "{fault}: {} ({}) leaves {kinds:?}",
                ended.status(),
                ended.message()
            ));
        }
    }
    assert!(n_failed > 10, "{name}: the planted faults hit nothing");
    assert!(wrong.is_empty(), "{name}:\n{}", wrong.join("\n"));
    assert!(unseen.is_empty(), "{name}: no such faults: {unseen:?}");
}

#[test]
fn published_templates_leave_what_their_text_leaves() {
    let repair = || published("ACS-ECS-RepairImage", REPAIR_WORLD, repair_parameters());
    expect_published("the published RepairImage", &repair, REPAIR_LEAVES);
    let update = || published("ACS-ECS-UpdateImage", UPDATE_WORLD, update_parameters());
    expect_published("the published UpdateImage", &update, UPDATE_LEAVES);
}
