//! The calls of the template that updates an image, by hand against the example world.

use serde_json::json;

use crate::{ResourceKind, testing::Rehearsal};

const WORLD: &str = include_str!("../worlds/update-image.yml");

/// An instance of the image, with the assistant that the image lacks, updated.
fn update(rehearsal: &mut Rehearsal) -> String {
    let free = rehearsal.call("DescribeImages", json!({"ImageName": "shop_2025"}));
    assert_eq!(free["TotalCount"], json!(0));
    let id = rehearsal.text(
        "RunInstances",
        json!({"ImageId": "m-source0001", "InstanceType": "ecs.c7.large", "Amount": 1,
            "RamRoleName": "", "SystemDiskSize": "40", "Tags": [], "Period": "", "PeriodUnit": ""}),
        "/InstanceIdSets/InstanceIdSet/0",
    );
    rehearsal.pass(20);
    let run = json!({"CommandContent": "yum update -y", "Type": "RunShellScript",
        "InstanceIds": [id], "Timeout": 600});
    // Without its agent a command reaches nobody.
    let early = rehearsal.text("RunCommand", run.clone(), "/InvokeId");
    rehearsal.pass(5);
    let error = "/Invocation/InvocationResults/InvocationResult/0/ErrorCode";
    let one = json!({"InvokeId": early});
    assert_eq!(rehearsal.text("DescribeInvocationResults", one, error), "ClientNotRunning");

    rehearsal.call("InstallCloudAssistant", json!({"InstanceIds": [id]}));
    rehearsal.call("RebootInstance", json!({"InstanceId": id}));
    rehearsal.pass(10);
    let invocation = rehearsal.text("RunCommand", run, "/InvokeId");
    rehearsal.pass(5);
    let one = json!({"InvokeId": invocation});
    let output = "/Invocation/InvocationResults/InvocationResult/0/Output";
    let output = rehearsal.text("DescribeInvocationResults", one, output);
    assert_eq!(output, "Q29tcGxldGUhCg==");
    let stop = json!({"InstanceId": id, "StoppedMode": "KeepCharging", "Hibernate": false,
        "ForceStop": false});
    rehearsal.call("StopInstance", stop);
    rehearsal.pass(10);
    id
}

#[test]
fn an_update_succeeds_and_leaves_the_image_and_its_snapshot() {
    let mut rehearsal = Rehearsal::of(WORLD);
    let instance = update(&mut rehearsal);
    let parameters = json!({"InstanceId": instance, "ImageName": "shop_2025", "Tags": []});
    let image = rehearsal.text("CreateImage", parameters, "/ImageId");
    let all = json!({"ImageId": image,
        "Status": "Creating,Waiting,Available,UnAvailable,CreateFailed,Deprecated"});
    let status = "/Images/Image/0/Status";
    assert_eq!(rehearsal.text("DescribeImages", all.clone(), status), "Creating");
    rehearsal.pass(60);
    assert_eq!(rehearsal.text("DescribeImages", all, status), "Available");
    rehearsal.call("DeleteInstance", json!({"InstanceId": instance, "Force": true}));
    let kinds: Vec<_> = rehearsal.left().into_iter().map(|(kind, _)| kind).collect();
    assert_eq!(kinds, [ResourceKind::Snapshot, ResourceKind::Image]);
}

#[test]
fn an_update_whose_image_is_refused_leaves_nothing() {
    let fault = "faults: [{api: CreateImage, status: 403, code: QuotaExceed.Image}]";
    let mut rehearsal = Rehearsal::of(&format!("{WORLD}\n{fault}"));
    let instance = update(&mut rehearsal);
    let parameters = json!({"InstanceId": instance, "ImageName": "shop_2025"});
    assert_eq!(rehearsal.refused("CreateImage", parameters), "QuotaExceed.Image");
    rehearsal.call("DeleteInstance", json!({"InstanceId": instance, "Force": true}));
    assert_eq!(rehearsal.left(), []);
}
