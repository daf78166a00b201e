//! The calls of the template that repairs an image, by hand against the example world.

use serde_json::{Value, json};

use crate::{ResourceKind, testing::Rehearsal};

const WORLD: &str = include_str!("../worlds/repair-image.yml");

/// The polls that the template makes: until `pointer` says `wanted`, after 2, 4, 8 … seconds.
fn wait_for(rehearsal: &mut Rehearsal, api: &str, parameters: Value, pointer: &str, wanted: &str) {
    for retry in 0..10 {
        let answer = rehearsal.call(api, parameters.clone());
        if answer.pointer(pointer).and_then(Value::as_str) == Some(wanted) {
            return;
        }
        rehearsal.pass(2 << retry);
    }
    panic!("{api}: {pointer} has not become {wanted}");
}

fn run(rehearsal: &mut Rehearsal, api: &str, parameters: Value) -> Value {
    let invoke_id = rehearsal.text(api, parameters, "/InvokeId");
    let one = json!({"InvokeId": invoke_id});
    let pointer = "/Invocations/Invocation/0/InvokeStatus";
    wait_for(rehearsal, "DescribeInvocations", one.clone(), pointer, "Finished");
    let results = rehearsal.call("DescribeInvocationResults", one);
    results.pointer("/Invocation/InvocationResults/InvocationResult/0").unwrap().clone()
}

/// Up to the snapshot of the repaired disk: the instance and the snapshot.
fn repair(rehearsal: &mut Rehearsal) -> (String, String) {
    let found = rehearsal.call("DescribeImages", json!({"ImageId": "m-broken0001"}));
    let image = found.pointer("/Images/Image/0").unwrap();
    let snapshot = image.pointer("/DiskDeviceMappings/DiskDeviceMapping/0/SnapshotId").unwrap();
    assert_eq!(image["Platform"], "Red Hat");
    let instance = rehearsal.text(
        "RunInstances",
        json!({
            "Amount": 1, "ImageId": "aliyun_3_x64_20G_alibase_20250629.vhd",
            "InstanceType": "ecs.c7.large", "InstanceName": "image_repair_please_no_delete",
            "SecurityGroupId": "sg-1", "VSwitchId": "vsw-1", "InternetMaxBandwidthIn": 200,
            "InternetMaxBandwidthOut": 0, "SystemDiskCategory": "cloud_essd",
            "DataDisk": [{"SnapshotId": snapshot, "DiskName": "image_repair_x", "Category": "cloud_essd"}],
            "InstanceChargeType": "PostPaid",
        }),
        "/InstanceIdSets/InstanceIdSet/0",
    );
    let one = json!({"InstanceIds": [instance]});
    let status = "/Instances/Instance/0/Status";
    wait_for(rehearsal, "DescribeInstances", one.clone(), status, "Running");

    let disks = rehearsal.call("DescribeDisks", json!({"InstanceId": instance}));
    let disk = disks.pointer("/Disks/Disk/0").unwrap().clone();
    assert_eq!((&disk["Status"], &disk["Type"]), (&json!("In_use"), &json!("data")));
    assert_eq!(&disk["SourceSnapshotId"], snapshot);

    let permissive = json!({
        "CommandContent": "sed -i s/^SELINUX=.*/SELINUX=permissive/g /etc/selinux/config",
        "Type": "RunShellScript", "InstanceIds": [instance], "Timeout": 600,
        "EnableParameter": false, "Parameters": {}, "WorkingDir": "",
    });
    assert_eq!(run(rehearsal, "RunCommand", permissive)["ExitCode"], json!(0));
    rehearsal.call("RebootInstance", json!({"InstanceId": instance, "ForceStop": false}));
    wait_for(rehearsal, "DescribeInstances", one, status, "Running");

    let serial = disk["SerialNumber"].as_str().unwrap();
    let given = format!("{{\"repairitems\":\"assist fstab\",\"disk_serial\":\"{serial}\"}}");
    let result = run(
        rehearsal,
        "InvokeCommand",
        json!({"CommandId": "ACS-ECS-ImageRepair-for-linux.sh", "Parameters": given,
            "InstanceIds": [instance]}),
    );
    assert_eq!(result["ExitCode"], json!(0));
    assert_eq!(result["Output"], "MiBvZiAyIGl0ZW1zIHJlcGFpcmVkCg==");
    rehearsal.pass(60);

    let disk_id = disk["DiskId"].as_str().unwrap();
    let snapshot = rehearsal.text(
        "CreateSnapshot",
        json!({"DiskId": disk_id, "SnapshotName": format!("image_repair_{disk_id}"),
            "RetentionDays": "1", "Tags": []}),
        "/SnapshotId",
    );
    let one = json!({"SnapshotIds": [snapshot]});
    wait_for(rehearsal, "DescribeSnapshots", one, "/Snapshots/Snapshot/0/Status", "accomplished");
    (instance, snapshot)
}

fn new_image(snapshot: &str) -> Value {
    json!({"SnapshotId": snapshot, "ImageName": "repaired_shop_2024_20260301080000",
        "DetectionStrategy": "Standard", "Platform": "RedHat", "BootMode": "BIOS",
        "Architecture": "x86_64"})
}

#[test]
fn a_repair_succeeds_and_leaves_the_image_and_its_snapshot() {
    let mut rehearsal = Rehearsal::of(WORLD);
    let (instance, snapshot) = repair(&mut rehearsal);
    let image = rehearsal.text("CreateImage", new_image(&snapshot), "/ImageId");
    rehearsal.call("DeleteInstance", json!({"InstanceId": instance, "Force": true}));
    assert_eq!(
        rehearsal.left(),
        [(ResourceKind::Snapshot, snapshot.clone()), (ResourceKind::Image, image.clone())]
    );

    // Its retention is a day, but an image is made of it.
    rehearsal.pass(3 * 86_400);
    assert_eq!(rehearsal.left().len(), 2);
    let found = rehearsal.call("DescribeImages", json!({"ImageId": image}));
    let found = found.pointer("/Images/Image/0").unwrap();
    assert_eq!((&found["Platform"], &found["Status"]), (&json!("Red Hat"), &json!("Available")));
    let checked = found.pointer("/DetectionOptions/Items/Item/1").unwrap();
    assert_eq!(checked, &json!({"Name": "Fstab", "Value": "Valid"}));
    let kept = rehearsal.refused("DeleteSnapshot", json!({"SnapshotId": snapshot, "Force": true}));
    assert_eq!(kept, "SnapshotCreatedImage");
}

#[test]
fn a_repair_whose_image_is_refused_can_be_cleaned_up() {
    let fault = "faults: [{api: CreateImage, status: 403, code: QuotaExceed.Image}]";
    let mut rehearsal = Rehearsal::of(&format!("{WORLD}\n{fault}"));
    let (instance, snapshot) = repair(&mut rehearsal);
    assert_eq!(rehearsal.refused("CreateImage", new_image(&snapshot)), "QuotaExceed.Image");
    rehearsal.call("DeleteSnapshot", json!({"SnapshotId": snapshot, "Force": true}));
    rehearsal.pass(60);
    rehearsal.call("DeleteInstance", json!({"InstanceId": instance, "Force": true}));
    assert_eq!(rehearsal.left(), []);
}

/// The world is saved as text and loaded before every call, and nothing is different.
#[test]
fn a_repair_that_is_killed_between_calls_goes_on_the_same() {
    let end = |restarts| {
        let mut rehearsal = Rehearsal::of(WORLD);
        rehearsal.restarts = restarts;
        let (instance, snapshot) = repair(&mut rehearsal);
        let image = rehearsal.call("CreateImage", new_image(&snapshot));
        rehearsal.call("DeleteInstance", json!({"InstanceId": instance, "Force": true}));
        (image, rehearsal.world.save())
    };
    assert_eq!(end(false), end(true));
}
