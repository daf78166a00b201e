//! World files: what they may say, and how they are told what they may not.

use serde_json::json;

use crate::{ResourceKind, World, operations, testing::Rehearsal};

const EXAMPLES: [(&str, &str); 3] = [
    ("empty", include_str!("../../worlds/empty.yml")),
    ("repair-image", include_str!("../../worlds/repair-image.yml")),
    ("update-image", include_str!("../../worlds/update-image.yml")),
];

#[test]
fn the_example_worlds_are_worlds_in_which_nothing_was_made() {
    for (name, text) in EXAMPLES {
        let world = World::parse(text).unwrap_or_else(|error| panic!("{name}: {error}"));
        let now = "2026-03-01T08:00:00Z".parse().unwrap();
        assert!(world.resources(now).iter().all(|each| !each.made_by_call), "{name}");
    }
}

#[test]
fn an_empty_file_is_a_world_with_regions_and_the_public_command() {
    for text in ["", "{}", "# nothing\n", "images:\nfaults: []\n"] {
        let mut rehearsal = Rehearsal::of(text);
        assert_eq!(rehearsal.world.resources(rehearsal.now), [], "{text:?}");
        let regions = rehearsal.call("DescribeRegions", json!({}));
        assert_eq!(regions.pointer("/Regions/Region/3/RegionId"), Some(&json!("cn-shenzhen")));
        assert!(rehearsal.world.commands.contains_key("ACS-ECS-ImageRepair-for-linux.sh"));
    }
}

#[test]
fn json_and_yaml_are_the_same_world() {
    let yaml = World::parse("images: [{id: m-1, size: 30}]\ndelays: {image: 2m}\n").unwrap();
    let json = World::parse(r#"{"images": [{"id": "m-1", "size": 30}], "delays": {"image": 120}}"#);
    assert_eq!(yaml.save(), json.unwrap().save());
}

/// An instance boots from a disk of its image, and an image has the snapshot it names.
#[test]
fn what_follows_from_the_file_is_there() {
    let rehearsal = Rehearsal::small("disks: [{id: d-1, instanceId: i-own}]");
    let resources = rehearsal.world.resources(rehearsal.now);
    let of = |kind| resources.iter().filter(|each| each.kind == kind).count();
    assert_eq!((of(ResourceKind::Disk), of(ResourceKind::Snapshot)), (2, 1));
    let disks = rehearsal.world.disks_of("i-own");
    assert_eq!((disks[0].id.as_str(), disks[1].snapshot_id.as_deref()), ("d-1", Some("s-own")));
}

#[test]
fn delays_are_those_of_the_file() {
    let mut rehearsal = Rehearsal::small("delays: {image: 1m30s, invocation: 0}");
    let id = rehearsal.text("CreateImage", json!({"InstanceId": "i-own"}), "/ImageId");
    for (seconds, n_found) in [(89, 0), (1, 1)] {
        rehearsal.pass(seconds);
        let found = rehearsal.call("DescribeImages", json!({"ImageId": id}));
        assert_eq!(found["TotalCount"], json!(n_found));
    }
}

#[test]
fn what_is_wrong_is_told_with_its_place_and_what_is_allowed() {
    for (text, told) in [
        (
            "image: []",
            "line 1: `image`: there is no such field; there are regions, delays, snapshots, images, instances, disks, commands, launchTemplates, scalingConfigurations, outputs, faults, newImages",
        ),
        ("images: x", "line 1: `images`: a list is expected"),
        ("images:\n- name: x", "line 2: `images[0].id`: this field is needed"),
        ("images:\n- id: m-1\n- id: m-1", "line 3: `images[1].id`: `m-1` is here already"),
        (
            "images:\n- id: m-1\n  status: Ready",
            "line 3: `images[0].status`: `Ready` is not one of Creating, Waiting, Available, UnAvailable, CreateFailed, Deprecated",
        ),
        (
            "images:\n- id: m-1\n  region: mars",
            "line 3: `images[0].region`: `mars` is not one of cn-hangzhou, cn-beijing, cn-shanghai, cn-shenzhen",
        ),
        (
            "images: [{id: m-1, size: big}]",
            "line 1: `images[0].size`: a whole number from 1 to 32768",
        ),
        (
            "images: [{id: m-1, created: soon}]",
            "line 1: `images[0].created`: a time in UTC, like 2026-01-31 or 2026-01-31T12:00:00Z",
        ),
        (
            "disks: [{id: d-1, instanceId: i-1}]",
            "line 1: `disks[0].instanceId`: `i-1` is not one of `instances`",
        ),
        (
            "delays:\n  image: soon",
            "line 2: `delays.image`: a time from 0s to 24h, as seconds or like `90s` and `5m`",
        ),
        (
            "delays: {image: 25h}",
            "line 1: `delays.image`: a time from 0s to 24h, as seconds or like `90s` and `5m`",
        ),
        (
            "outputs:\n- exitCode: 1",
            "line 2: `outputs[0].command`: `command` or `content` is needed, to say of which commands this is",
        ),
        (
            "outputs: [{command: c, exitCode: 1, status: Success}]",
            "line 1: `outputs[0].exitCode`: status Success has exit code 0, and no other status has",
        ),
        (
            "faults:\n- api: CreateImages",
            "line 2: `faults[0].api`: `ECS` has no such operation here; close to it are ECS CreateImage, ROS CreateStack, ECS DeleteImage",
        ),
        (
            "faults: [{api: GetStack}]",
            "line 1: `faults[0].api`: `ECS` has no such operation here; close to it are ROS GetStack, ",
        ),
        ("faults: [{nth: 1}]", "line 1: `faults[0].api`: either `api` or `resource` is needed"),
        (
            "faults: [{api: CreateImage, nth: 0}]",
            "line 1: `faults[0].nth`: a whole number from 1, or `every`",
        ),
        (
            "faults: [{resource: disk, ends: failed}]",
            "line 1: `faults[0].resource`: only these can end badly: instance, snapshot, image, stack, invocation",
        ),
        ("faults: [{resource: image}]", "line 1: `faults[0].ends`: `ends: failed` is needed"),
        (
            "faults: [{api: CreateImage, effect: true, throttle: 2}]",
            "line 1: `faults[0].throttle`: a throttled call has no effect: leave one of them out",
        ),
        (
            "launchTemplates: [{id: lt-1, name: x}]",
            "line 1: `launchTemplates[0].versions`: one version at least is needed",
        ),
        ("regions: []", "line 1: `regions`: one region at least is needed"),
        (
            r#"{"images": [{"id": 1, "sise": 2}]}"#,
            "`images[0].sise`: there is no such field; there are id, ",
        ),
        ("a: b: c", "line 1: "),
    ] {
        let error = World::parse(text).unwrap_err().to_string();
        assert!(error.starts_with(told), "{text}\n{error}");
    }
}

#[test]
fn files_are_bounded() {
    let images = (0..10_001).map(|n| format!("- {{id: m-{n}}}\n")).collect::<String>();
    let error = World::parse(&format!("images:\n{images}")).unwrap_err().to_string();
    assert_eq!(error, "line 10002: `images[10000]`: a world has 10000 resources at most");
    let text = format!("images: [{{id: m-1, name: {}}}]", "x".repeat(257));
    let error = World::parse(&text).unwrap_err().to_string();
    assert_eq!(error, "line 1: `images[0].name`: longer than 256 characters");
}

/// Files that are damaged anywhere are refused or read, without a panic.
#[test]
fn damaged_files_do_not_panic() {
    let sound = EXAMPLES[2].1;
    for at in 0..sound.len() {
        for byte in [b'{', b']', b'\n', b'*', b'0'] {
            let mut bytes = sound.as_bytes().to_vec();
            bytes[at] = byte;
            drop(String::from_utf8(bytes).map(|text| World::parse(&text)));
        }
    }
}

/// The documentation for users names every operation, every delay and every kind of resource.
#[test]
fn the_documentation_is_complete() {
    let page = include_str!("../../../../../docs/sim.md");
    let delays = serde_json::to_value(super::Delays::default()).unwrap();
    let camel = |name: &str| {
        let mut parts = name.split('_');
        let first = parts.next().unwrap().to_owned();
        parts.fold(first, |name, part| format!("{name}{}{}", part[..1].to_uppercase(), &part[1..]))
    };
    let names = operations().map(|(_, api)| api.to_owned());
    let names = names.chain(delays.as_object().unwrap().keys().map(|name| camel(name)));
    let names = names.chain(ResourceKind::ALL.map(|kind| kind.name().to_owned()));
    let missing: Vec<_> = names.filter(|name| !page.contains(&format!("`{name}`"))).collect();
    assert_eq!(missing, Vec::<String>::new());
}
