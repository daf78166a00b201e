//! What the image templates rely on without saying so: each of these has its test.

use serde_json::{Value, json};

use crate::testing::Rehearsal;

/// Templates take the first disk of an instance for the data disk they have just attached.
#[test]
fn data_disks_come_before_the_system_disk_and_the_last_attached_first() {
    let mut rehearsal = Rehearsal::small("");
    let parameters = json!({"ImageId": "base", "InstanceType": "t",
        "DataDisk": [{"SnapshotId": "s-own", "DiskName": "first"}, {"Size": 30, "DiskName": "second"}]});
    let id = rehearsal.text("RunInstances", parameters, "/InstanceIdSets/InstanceIdSet/0");
    rehearsal.pass(60);
    let third = rehearsal.text("CreateDisk", json!({"Size": 20, "DiskName": "third"}), "/DiskId");
    rehearsal.pass(60);
    rehearsal.call("AttachDisk", json!({"InstanceId": id, "DiskId": third}));
    let disks = rehearsal.call("DescribeDisks", json!({"InstanceId": id}));
    let disks = disks.pointer("/Disks/Disk").unwrap().as_array().unwrap();
    let names: Vec<_> = disks.iter().map(|disk| disk["DiskName"].as_str().unwrap()).collect();
    assert_eq!(names, ["third", "second", "first", ""]);
    assert_eq!(disks[3]["Type"], "system");
    let serial = disks[2]["SerialNumber"].as_str().unwrap();
    assert_eq!(format!("d-{serial}"), disks[2]["DiskId"].as_str().unwrap());
    let devices: Vec<_> = disks.iter().map(|disk| disk["Device"].as_str().unwrap()).collect();
    assert_eq!(devices, ["/dev/xvdd", "/dev/xvdc", "/dev/xvdb", "/dev/xvda"]);
}

/// An image without a check has no items at all, and selectors of them find nothing.
#[test]
fn an_image_that_was_not_checked_has_no_detection_options() {
    let mut rehearsal =
        Rehearsal::of("images: [{id: m-1}, {id: m-2, checkItems: {SystemImage: Invalid}}]");
    for (id, items) in
        [("m-1", None), ("m-2", Some(json!([{"Name": "SystemImage", "Value": "Invalid"}])))]
    {
        let found = rehearsal.call("DescribeImages", json!({"ImageId": id}));
        let pointer = "/Images/Image/0/DetectionOptions/Items/Item";
        assert_eq!(found.pointer(pointer), items.as_ref(), "{id}");
    }
}

/// The failure path sleeps a minute and deletes with force, whatever the instance is doing.
#[test]
fn an_instance_can_be_deleted_with_force_once_it_is_initialised() {
    let mut rehearsal = Rehearsal::small("faults: [{resource: instance, ends: failed}]");
    let parameters = json!({"ImageId": "base", "InstanceType": "t"});
    let id = rehearsal.text("RunInstances", parameters, "/InstanceIdSets/InstanceIdSet/0");
    let one = json!({"InstanceId": id, "Force": true});
    assert_eq!(
        rehearsal.refused("DeleteInstance", one.clone()),
        "IncorrectInstanceStatus.Initializing"
    );
    rehearsal.pass(60);
    assert_eq!(
        rehearsal.refused("DeleteInstance", json!({"InstanceId": id})),
        "IncorrectInstanceStatus"
    );
    rehearsal.call("DeleteInstance", one.clone());
    assert_eq!(rehearsal.left(), []);
    assert_eq!(rehearsal.refused("DeleteInstance", one), "InvalidInstanceId.NotFound");
}

/// A platform that the template does not list is null, and null is not sent.
#[test]
fn a_null_platform_is_taken_from_what_is_known() {
    let mut rehearsal = Rehearsal::of(
        "images: [{id: m-1, platform: Gentoo}]\ninstances: [{id: i-1, imageId: m-1}]",
    );
    let parameters = json!({"InstanceId": "i-1", "ImageName": "new", "Platform": null,
        "DetectionStrategy": null, "ImageFamily": "", "ResourceGroupId": ""});
    let id = rehearsal.text("CreateImage", parameters, "/ImageId");
    rehearsal.pass(60);
    let platform = "/Images/Image/0/Platform";
    assert_eq!(rehearsal.text("DescribeImages", json!({"ImageId": id}), platform), "Gentoo");
}

/// The runs of commands: finished whatever the exit code, which is a number; Base64.
#[test]
fn an_invocation_finishes_with_a_number_and_base64() {
    let mut rehearsal = Rehearsal::small(
        "outputs: [{content: fail me, exitCode: 3, output: no}, {content: hang, status: Timeout, exitCode: -1}]",
    );
    for (content, status, outcome, exit_code, output) in [
        ("echo hello", "Finished", "Success", 0, ""),
        ("please fail me now", "Finished", "Failed", 3, "bm8="),
        ("hang", "Failed", "Timeout", -1, ""),
    ] {
        let parameters = json!({"CommandContent": content, "Type": "RunShellScript",
            "InstanceIds": ["i-own"]});
        let id = rehearsal.text("RunCommand", parameters, "/InvokeId");
        let one = json!({"InvokeId": id});
        let pointer = "/Invocations/Invocation/0/InvokeStatus";
        assert_eq!(rehearsal.text("DescribeInvocations", one.clone(), pointer), "Running");
        let pointer = "/Invocation/InvocationResults/InvocationResult/0";
        let early = rehearsal.call("DescribeInvocationResults", one.clone());
        assert_eq!(early.pointer(pointer).unwrap().get("ExitCode"), None);
        rehearsal.pass(5);
        let pointer_of_status = "/Invocations/Invocation/0/InvokeStatus";
        assert_eq!(rehearsal.text("DescribeInvocations", one.clone(), pointer_of_status), status);
        let results = rehearsal.call("DescribeInvocationResults", one);
        let result = results.pointer(pointer).unwrap();
        assert_eq!(result["ExitCode"], json!(exit_code), "{content}");
        assert_eq!(result["Output"], output, "{content}");
        assert_eq!(result["InvocationStatus"], outcome, "{content}");
    }
    let public = json!({"CommandId": "ACS-ECS-ImageRepair-for-linux.sh", "InstanceIds": ["i-own"]});
    rehearsal.call("InvokeCommand", public);
    let unknown = json!({"CommandId": "c-none", "InstanceIds": ["i-own"]});
    assert_eq!(rehearsal.refused("InvokeCommand", unknown), "InvalidCmdId.NotFound");
}

/// Its status is a text, and what is installed answers after a restart.
#[test]
fn the_cloud_assistant_answers_after_the_restart() {
    let mut rehearsal = Rehearsal::of(
        "images: [{id: m-1, cloudAssistant: false}]\ninstances: [{id: i-1, imageId: m-1, cloudAssistant: false}]",
    );
    let pointer =
        "/InstanceCloudAssistantStatusSet/InstanceCloudAssistantStatus/0/CloudAssistantStatus";
    let status = |rehearsal: &mut Rehearsal, name: &str| {
        rehearsal.text("DescribeCloudAssistantStatus", json!({name: ["i-1"]}), pointer)
    };
    assert_eq!(status(&mut rehearsal, "InstanceId"), "false");
    rehearsal.call("InstallCloudAssistant", json!({"InstanceIds": ["i-1"]}));
    assert_eq!(status(&mut rehearsal, "InstanceIds"), "false");
    rehearsal.call("RebootInstance", json!({"InstanceId": "i-1"}));
    assert_eq!(status(&mut rehearsal, "InstanceIds"), "false");
    rehearsal.pass(10);
    assert_eq!(status(&mut rehearsal, "InstanceIds"), "true");
}

/// Templates go on without an instance that is not there, and without a copy into its own region.
#[test]
fn what_is_not_there_is_an_empty_list() {
    let mut rehearsal = Rehearsal::small("");
    for (api, parameters, pointer) in [
        ("DescribeInstances", json!({"InstanceIds": ["i-none"]}), "/Instances/Instance"),
        ("DescribeInstances", json!({"InstanceIds": []}), "/Instances/Instance"),
        ("DescribeDisks", json!({"DiskIds": "[\"d-none\"]"}), "/Disks/Disk"),
        ("DescribeSnapshots", json!({"SnapshotIds": ["s-none"]}), "/Snapshots/Snapshot"),
        ("DescribeInvocations", json!({"InvokeId": "t-none"}), "/Invocations/Invocation"),
    ] {
        let answer = rehearsal.call(api, parameters.clone());
        assert_eq!(answer.pointer(pointer), Some(&json!([])), "{api} {parameters}");
    }
    // A disk that is attached to nothing has an empty instance, which templates compare with.
    let disk = rehearsal.text("CreateDisk", json!({"Size": 20}), "/DiskId");
    let one = json!({"DiskIds": [disk]});
    assert_eq!(rehearsal.text("DescribeDisks", one, "/Disks/Disk/0/InstanceId"), "");
}

/// Whether a name is free is a number.
#[test]
fn the_total_count_is_a_number() {
    let mut rehearsal = Rehearsal::small("");
    for (name, n_found) in [("own", 1), ("none", 0)] {
        let answer = rehearsal.call("DescribeImages", json!({"ImageName": name}));
        assert_eq!(answer["TotalCount"], json!(n_found));
    }
}

/// Expired images are those made before a time; names with blanks can be looked for.
#[test]
fn images_are_filtered_by_their_creation_time() {
    let mut rehearsal = Rehearsal::of(
        "images: [{id: m-old, created: 2025-01-01}, {id: m-new, created: 2026-02-01, name: with blank}]",
    );
    let ids = |answer: Value| {
        let images = answer.pointer("/Images/Image").unwrap().as_array().unwrap().clone();
        images.iter().map(|image| image["ImageId"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    for (parameters, found) in [
        (
            json!({"Filter": [{"Key": "CreationEndTime", "Value": "2025-06-01T00:00Z"}]}),
            vec!["m-old"],
        ),
        (
            json!({"Filter2Key": "CreationStartTime", "Filter2Value": "2025-06-01T00:00Z"}),
            vec!["m-new"],
        ),
        (json!({"ImageOwnerAlias": "self"}), vec!["m-new", "m-old"]),
        (json!({"ImageName": " "}), vec!["m-new"]),
    ] {
        assert_eq!(
            ids(rehearsal.call("DescribeImages", parameters.clone())),
            found,
            "{parameters}"
        );
    }
}

/// Retention comes as a number or as text.
#[test]
fn retention_is_a_number_or_a_text_and_its_end_removes_the_snapshot() {
    for days in [json!(1), json!("1")] {
        let mut rehearsal = Rehearsal::small("");
        let disk =
            rehearsal.text("DescribeDisks", json!({"InstanceId": "i-own"}), "/Disks/Disk/0/DiskId");
        let parameters = json!({"DiskId": disk, "RetentionDays": days, "SnapshotName": ""});
        let id = rehearsal.text("CreateSnapshot", parameters, "/SnapshotId");
        rehearsal.pass(86_400);
        assert_eq!(rehearsal.left().len(), 1, "{days}");
        rehearsal.pass(1);
        assert_eq!(rehearsal.left(), [], "{days}");
        let one = json!({"SnapshotId": id});
        assert_eq!(rehearsal.refused("DeleteSnapshot", one), "InvalidSnapshotId.NotFound");
    }
}
