//! Each operation, by what it does. At the end, that each has been answered.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::{ResourceKind, operations, testing::Rehearsal};

const WORLD: &str = "
disks: [{id: d-kept, instanceId: i-own, deleteWithInstance: false}]
launchTemplates: [{id: lt-1, name: lt, versions: [{description: first, data: {imageid: base}}]}]
scalingConfigurations: [{id: asc-1, groupId: asg-1, imageId: base}]
";

#[test]
fn every_operation_is_answered_by_one_of_these() {
    let mut answered = BTreeSet::new();
    for test in [
        instances,
        instances_in_plural,
        disks,
        images,
        copies,
        tasks,
        snapshots,
        commands,
        tags,
        launch_templates,
        stacks,
        scaling,
        regions,
    ] {
        let mut rehearsal = Rehearsal::small(WORLD);
        test(&mut rehearsal);
        answered.extend(rehearsal.answered);
    }
    let missing: Vec<_> = operations().filter(|(_, api)| !answered.contains(*api)).collect();
    assert_eq!(missing, []);
}

fn status(rehearsal: &mut Rehearsal, id: &str) -> String {
    let answer = rehearsal.call("DescribeInstanceStatus", json!({"InstanceId": [id]}));
    let found = answer.pointer("/InstanceStatuses/InstanceStatus/0/Status").unwrap();
    found.as_str().unwrap().to_owned()
}

fn instances(rehearsal: &mut Rehearsal) {
    let parameters = json!({"ImageId": "base", "InstanceType": "ecs.c7.large", "Amount": 2,
        "SystemDiskSize": 100, "Tags": [{"Key": "a", "Value": "b"}], "SecurityGroupIds": ["sg-1"],
        "InternetMaxBandwidthIn": 200});
    let answer = rehearsal.call("RunInstances", parameters.clone());
    let ids = answer.pointer("/InstanceIdSets/InstanceIdSet").unwrap().as_array().unwrap();
    assert_eq!(ids.len(), 2);
    let id = ids[0].as_str().unwrap();
    let one = json!({"InstanceId": id});
    assert_eq!(status(rehearsal, id), "Pending");
    rehearsal.pass(5);
    assert_eq!(status(rehearsal, id), "Starting");
    assert_eq!(rehearsal.refused("StopInstance", one.clone()), "IncorrectInstanceStatus");
    rehearsal.pass(15);
    let shown = rehearsal.call("DescribeInstances", json!({"InstanceIds": [id]}));
    let shown = shown.pointer("/Instances/Instance/0").unwrap();
    assert_eq!((&shown["Status"], &shown["InstanceName"]), (&json!("Running"), &json!(id)));
    assert_eq!(shown["Tags"], json!({"Tag": [{"TagKey": "a", "TagValue": "b"}]}));
    assert_eq!(shown["SecurityGroupIds"], json!({"SecurityGroupId": ["sg-1"]}));
    assert_eq!(shown["InternetMaxBandwidthIn"], json!(100));
    let disk = rehearsal.call("DescribeDisks", one.clone());
    assert_eq!(disk.pointer("/Disks/Disk/0/Size"), Some(&json!(100)));

    assert_eq!(rehearsal.refused("StartInstance", one.clone()), "IncorrectInstanceStatus");
    rehearsal
        .call("StopInstance", json!({"InstanceId": id, "ForceStop": false, "StoppedMode": ""}));
    assert_eq!(status(rehearsal, id), "Stopping");
    rehearsal.pass(10);
    assert_eq!(status(rehearsal, id), "Stopped");
    rehearsal.call("StartInstance", one.clone());
    rehearsal.pass(20);
    rehearsal.call("RebootInstance", one.clone());
    assert_eq!(status(rehearsal, id), "Stopping");
    rehearsal.pass(5);
    assert_eq!(status(rehearsal, id), "Starting");
    rehearsal.pass(5);
    assert_eq!(status(rehearsal, id), "Running");

    let protect = |on| json!({"InstanceId": id, "DeletionProtection": on, "InstanceName": "n"});
    rehearsal.call("ModifyInstanceAttribute", protect(true));
    let forced = json!({"InstanceId": id, "Force": true});
    let refused = rehearsal.refused("DeleteInstance", forced.clone());
    assert_eq!(refused, "InvalidOperation.DeletionProtection");
    rehearsal.call("ModifyInstanceAttribute", protect(false));
    rehearsal.call("DeleteInstance", forced);
    assert_eq!(rehearsal.left().len(), 2); // the other instance and its disk

    for (without, code) in [("ImageId", "MissingParameter"), ("InstanceType", "MissingParameter")] {
        let mut parameters = parameters.clone();
        parameters[without] = Value::Null;
        assert_eq!(rehearsal.refused("RunInstances", parameters), code);
    }
    for (name, value, code) in [
        ("ImageId", json!("m-none"), "InvalidImageId.NotFound"),
        ("DataDisk", json!([{"SnapshotId": "s-none"}]), "InvalidDataDiskSnapshotId.NotFound"),
        ("Amount", json!(0), "InvalidParameter"),
    ] {
        let mut parameters = parameters.clone();
        parameters[name] = value;
        assert_eq!(rehearsal.refused("RunInstances", parameters), code);
    }
    let one = json!({"ImageId": "base", "InstanceType": "t"});
    let id = rehearsal.text("CreateInstance", one, "/InstanceId");
    rehearsal.pass(20);
    assert_eq!(status(rehearsal, &id), "Stopped");
    rehearsal.call("DeleteInstance", json!({"InstanceId": id}));

    // The disk that does not go with its instance is left, attached to nothing.
    rehearsal.call("DeleteInstance", json!({"InstanceId": "i-own", "Force": "true"}));
    let disk = rehearsal.call("DescribeDisks", json!({"DiskIds": ["d-kept"]}));
    let disk = disk.pointer("/Disks/Disk/0").unwrap();
    assert_eq!((&disk["Status"], &disk["InstanceId"]), (&json!("Available"), &json!("")));
}

fn instances_in_plural(rehearsal: &mut Rehearsal) {
    let answer = rehearsal.call("StopInstances", json!({"InstanceId": ["i-own"]}));
    let response = answer.pointer("/InstanceResponses/InstanceResponse/0").unwrap();
    assert_eq!(response["PreviousStatus"], "Running");
    assert_eq!(response["CurrentStatus"], "Stopping");
    rehearsal.pass(10);
    let both = json!({"InstanceId": ["i-own", "i-none"]});
    assert_eq!(rehearsal.refused("StartInstances", both.clone()), "InvalidInstanceId.NotFound");
    assert_eq!(status(rehearsal, "i-own"), "Stopped");
    rehearsal.call("StartInstances", json!({"InstanceIds": ["i-own"]}));
    rehearsal.pass(20);
    rehearsal.call("RebootInstances", json!({"InstanceIds": ["i-own"]}));
    rehearsal.pass(10);
    rehearsal.call("DeleteInstances", json!({"InstanceIds": ["i-own"], "Force": true}));
    assert_eq!(rehearsal.call("DescribeInstances", json!({}))["TotalCount"], json!(0));
}

fn disks(rehearsal: &mut Rehearsal) {
    let id = rehearsal.text("CreateDisk", json!({"SnapshotId": "s-own"}), "/DiskId");
    let one = json!({"DiskId": id});
    let both = json!({"DiskId": id, "InstanceId": "i-own"});
    assert_eq!(rehearsal.refused("AttachDisk", both.clone()), "IncorrectDiskStatus");
    rehearsal.pass(5);
    rehearsal.call("AttachDisk", both.clone());
    let pointer = "/Disks/Disk/0/Status";
    let ids = json!({"DiskIds": [id]});
    assert_eq!(rehearsal.text("DescribeDisks", ids.clone(), pointer), "Attaching");
    rehearsal.pass(5);
    assert_eq!(rehearsal.text("DescribeDisks", ids.clone(), pointer), "In_use");
    assert_eq!(rehearsal.refused("DeleteDisk", one.clone()), "IncorrectDiskStatus");
    rehearsal.call("DetachDisk", both);
    assert_eq!(rehearsal.text("DescribeDisks", ids, pointer), "Detaching");
    rehearsal.pass(5);
    rehearsal.call("DeleteDisk", one.clone());
    assert_eq!(rehearsal.refused("DeleteDisk", one), "InvalidDiskId.NotFound");

    let system = json!({"InstanceId": "i-own", "DiskType": "system"});
    let old = rehearsal.text("DescribeDisks", system.clone(), "/Disks/Disk/0/DiskId");
    let snapshot = rehearsal.text("CreateSnapshot", json!({"DiskId": old}), "/SnapshotId");
    let reset = json!({"DiskId": old, "SnapshotId": snapshot});
    assert_eq!(rehearsal.refused("ResetDisk", reset.clone()), "InvalidSnapshotId.NotReady");
    rehearsal.pass(30);
    assert_eq!(rehearsal.refused("ResetDisk", reset.clone()), "IncorrectInstanceStatus");
    let replace = json!({"InstanceId": "i-own", "ImageId": "base"});
    assert_eq!(rehearsal.refused("ReplaceSystemDisk", replace.clone()), "IncorrectInstanceStatus");
    rehearsal.call("StopInstance", json!({"InstanceId": "i-own"}));
    rehearsal.pass(10);
    rehearsal.call("ResetDisk", reset);
    let new = rehearsal.text("ReplaceSystemDisk", replace, "/DiskId");
    let answer = rehearsal.call("DescribeDisks", system);
    assert_eq!(answer["TotalCount"], json!(1));
    assert_eq!(answer.pointer("/Disks/Disk/0/DiskId"), Some(&json!(new)));
    let image = "/Instances/Instance/0/ImageId";
    assert_eq!(rehearsal.text("DescribeInstances", json!({}), image), "base");
}

fn images(rehearsal: &mut Rehearsal) {
    let parameters = json!({"InstanceId": "i-own", "ImageName": "new-1", "ImageFamily": "f",
        "Tags": [{"Key": "a", "Value": "b"}]});
    let id = rehearsal.text("CreateImage", parameters.clone(), "/ImageId");
    assert_eq!(rehearsal.refused("CreateImage", parameters), "InvalidImageName.Duplicated");
    let one = json!({"ImageId": id});
    assert_eq!(rehearsal.refused("DeleteImage", one.clone()), "ImageIsCreating");
    assert_eq!(rehearsal.call("DescribeImages", one.clone())["TotalCount"], json!(0));
    rehearsal.pass(30);
    let all = json!({"ImageId": id, "Status": "ALL"});
    let image = rehearsal.call("DescribeImages", all.clone());
    let image = image.pointer("/Images/Image/0").unwrap();
    assert_eq!((&image["Status"], &image["Progress"]), (&json!("Creating"), &json!("50%")));
    // Every disk of the instance is in it, the system disk first.
    let disks = image.pointer("/DiskDeviceMappings/DiskDeviceMapping").unwrap();
    assert_eq!((&disks[0]["Type"], &disks[1]["Type"]), (&json!("system"), &json!("data")));
    assert_eq!(rehearsal.left().len(), 3);
    rehearsal.pass(30);
    let family = json!({"ImageFamily": "f"});
    assert_eq!(rehearsal.text("DescribeImageFromFamily", family, "/Image/ImageId"), id);

    let add = json!({"ImageId": id, "AddAccount": ["1", "2"]});
    rehearsal.call("ModifyImageSharePermission", add);
    let shared = rehearsal.call("DescribeImageSharePermission", one.clone());
    assert_eq!(shared.pointer("/Accounts/Account/1/AliyunId"), Some(&json!("2")));
    assert_eq!(rehearsal.refused("DeleteImage", one.clone()), "ImageUseShared");
    rehearsal.call("ModifyImageSharePermission", json!({"ImageId": id, "RemoveAccount": [1, 2]}));
    let oneself = json!({"ImageId": id, "AddAccount": ["1000000000000001"]});
    assert_eq!(
        rehearsal.refused("ModifyImageSharePermission", oneself),
        "InvalidAccount.Forbbiden"
    );

    let rename = json!({"ImageId": id, "ImageName": "own"});
    assert_eq!(rehearsal.refused("ModifyImageAttribute", rename), "InvalidImageName.Duplicated");
    let deprecate = json!({"ImageId": id, "ImageName": "new-2", "Status": "Deprecated"});
    rehearsal.call("ModifyImageAttribute", deprecate);
    let image = "/Images/Image/0/ImageName";
    let deprecated = json!({"Status": "Deprecated"});
    assert_eq!(rehearsal.text("DescribeImages", deprecated, image), "new-2");

    let own = json!({"ImageId": "m-own"});
    assert_eq!(rehearsal.refused("DeleteImage", own), "ImageUsingByInstance");
    rehearsal.call("DeleteImage", json!({"ImageId": "m-own", "Force": true}));
    rehearsal.call("DeleteImage", one.clone());
    assert_eq!(rehearsal.refused("DeleteImage", one), "InvalidImageId.NotFound");
    let public = json!({"ImageId": "base", "Force": true});
    assert_eq!(rehearsal.refused("DeleteImage", public), "InvalidImageId.NotFound");

    for (parameters, code) in [
        (json!({}), "MissingParameter"),
        (json!({"InstanceId": "i-none"}), "InvalidInstanceId.NotFound"),
        (json!({"SnapshotId": "s-none"}), "InvalidSnapshotId.NotFound"),
        (json!({"SnapshotId": "s-own", "ImageName": "1bad"}), "InvalidImageName.Malformed"),
        (json!({"DiskDeviceMapping": [{"Size": 20, "DiskType": "data"}]}), "OperationDenied"),
    ] {
        assert_eq!(rehearsal.refused("CreateImage", parameters), code);
    }
    let several = json!({"DiskDeviceMapping": [{"SnapshotId": "s-own"}, {"Size": 50}]});
    rehearsal.call("CreateImage", several);
}

fn copies(rehearsal: &mut Rehearsal) {
    let copy = |name: &str| {
        json!({"ImageId": "m-own", "DestinationRegionId": "cn-beijing",
            "DestinationImageName": name, "Encrypted": false, "KMSKeyId": null})
    };
    let first = rehearsal.text("CopyImage", copy("copy-1"), "/ImageId");
    let second = rehearsal.text("CopyImage", copy("copy-2"), "/ImageId");
    assert_eq!(rehearsal.refused("CopyImage", copy("copy-1")), "InvalidImageName.Duplicated");
    let there = |id: &str| json!({"RegionId": "cn-beijing", "ImageId": id, "Status": "ALL"});
    let pointer = "/Images/Image/0/Status";
    assert_eq!(rehearsal.text("DescribeImages", there(&second), pointer), "Waiting");
    let delete = json!({"RegionId": "cn-beijing", "ImageId": first, "Force": true});
    assert_eq!(rehearsal.refused("DeleteImage", delete.clone()), "OperationDenied.ImageCopying");
    rehearsal.pass(120);
    assert_eq!(rehearsal.text("DescribeImages", there(&first), pointer), "Available");
    assert_eq!(rehearsal.text("DescribeImages", there(&second), pointer), "Creating");
    rehearsal.call("CancelCopyImage", there(&second));
    assert_eq!(rehearsal.refused("CancelCopyImage", there(&first)), "IncorrectImageStatus");
    let here = json!({"ImageId": "m-own"});
    assert_eq!(rehearsal.refused("CancelCopyImage", here), "ImageCreatedNotFromCopy");
    let kinds: Vec<_> = rehearsal.left().into_iter().map(|(kind, _)| kind).collect();
    assert_eq!(kinds, [ResourceKind::Snapshot, ResourceKind::Image]);
    rehearsal.call("DeleteImage", delete);
}

fn tasks(rehearsal: &mut Rehearsal) {
    let export =
        json!({"ImageId": "m-own", "OSSBucket": "b", "OSSPrefix": "p", "ImageFormat": "qcow2"});
    let id = rehearsal.text("ExportImage", export.clone(), "/TaskId");
    assert_eq!(rehearsal.refused("ExportImage", export), "ImageIsExporting");
    let image = json!({"ImageId": "m-own", "Force": true});
    assert_eq!(rehearsal.refused("DeleteImage", image), "ImageIsExporting");
    rehearsal.pass(60);
    let one = json!({"TaskId": id});
    assert_eq!(rehearsal.text("DescribeTaskAttribute", one.clone(), "/TaskProcess"), "50%");
    rehearsal.pass(60);
    let status = "/TaskSet/Task/0/TaskStatus";
    assert_eq!(rehearsal.text("DescribeTasks", json!({"TaskIds": id}), status), "Finished");
    let object = "/OperationProgressSet/OperationProgress/0/RelatedItemSet/RelatedItem/1/Value";
    let object = rehearsal.text("DescribeTaskAttribute", one.clone(), object);
    assert_eq!(object, format!("p_m-own_{id}.qcow2"));
    assert_eq!(rehearsal.refused("CancelTask", one), "InvalidTaskId.IncorrectTaskStatus");

    let import = json!({"DiskDeviceMapping": [{"OSSBucket": "b", "OSSObject": "o"}]});
    let answer = rehearsal.call("ImportImage", import);
    assert_eq!(rehearsal.left().len(), 1);
    rehearsal.call("CancelTask", json!({"TaskId": answer["TaskId"]}));
    assert_eq!(rehearsal.left(), []);
}

fn snapshots(rehearsal: &mut Rehearsal) {
    let parameters = json!({"DiskId": "d-kept", "SnapshotName": "name"});
    let id = rehearsal.text("CreateSnapshot", parameters.clone(), "/SnapshotId");
    let busy = rehearsal.refused("CreateSnapshot", parameters);
    assert_eq!(busy, "IncorrectDiskStatus.CreatingSnapshot");
    rehearsal.pass(15);
    let shown = rehearsal.call("DescribeSnapshots", json!({"SnapshotIds": [id]}));
    let shown = shown.pointer("/Snapshots/Snapshot/0").unwrap();
    assert_eq!((&shown["Status"], &shown["Progress"]), (&json!("progressing"), &json!("50%")));
    assert_eq!(shown["SourceDiskSize"], "40");
    let image = json!({"SnapshotId": id, "Platform": "Aliyun"});
    assert_eq!(rehearsal.refused("CreateImage", image), "InvalidSnapshotId.NotReady");
    rehearsal.pass(15);
    // What is in the snapshot of a data disk has to be said.
    assert_eq!(rehearsal.refused("CreateImage", json!({"SnapshotId": id})), "OperationDenied");
    let disk = rehearsal.text("CreateDisk", json!({"SnapshotId": id}), "/DiskId");
    let one = json!({"SnapshotId": id});
    assert_eq!(rehearsal.refused("DeleteSnapshot", one), "SnapshotCreatedDisk");
    rehearsal.call("DeleteSnapshot", json!({"SnapshotId": id, "Force": true}));
    assert_eq!(rehearsal.left(), [(ResourceKind::Disk, disk)]);
    let named = json!({"DiskId": "d-kept", "SnapshotName": "auto1"});
    assert_eq!(rehearsal.refused("CreateSnapshot", named), "InvalidSnapshotName.Malformed");
}

fn commands(rehearsal: &mut Rehearsal) {
    let run = json!({"CommandContent": "ZWNobw==", "ContentEncoding": "Base64",
        "Type": "RunShellScript", "InstanceId": ["i-own"], "Parameters": "{\"a\": 1}"});
    let id = rehearsal.text("RunCommand", run.clone(), "/InvokeId");
    let plain = json!({"InvokeId": id, "ContentEncoding": "PlainText", "IncludeOutput": true});
    let content = "/Invocations/Invocation/0/CommandContent";
    assert_eq!(rehearsal.text("DescribeInvocations", plain, content), "echo");
    rehearsal.call("StopInvocation", json!({"InvokeId": id}));
    let status = "/Invocations/Invocation/0/InvokeStatus";
    let one = json!({"InvokeId": id});
    assert_eq!(rehearsal.text("DescribeInvocations", one, status), "Stopped");

    // A restart interrupts what runs.
    let invoke = json!({"CommandId": "ACS-ECS-ImageRepair-for-linux.sh", "InstanceIds": ["i-own"]});
    let id = rehearsal.text("InvokeCommand", invoke.clone(), "/InvokeId");
    rehearsal.call("RebootInstance", json!({"InstanceId": "i-own"}));
    let error = "/Invocation/InvocationResults/InvocationResult/0/ErrorCode";
    let one = json!({"InvokeId": id});
    let error = rehearsal.text("DescribeInvocationResults", one, error);
    assert_eq!(error, "ExecutionInterrupted");
    assert_eq!(rehearsal.refused("InvokeCommand", invoke), "InvalidInstance.NotMatch");
    rehearsal.pass(10);
    rehearsal.call("InstallCloudAssistant", json!({"InstanceIds": ["i-own"]}));
    rehearsal.call("DescribeCloudAssistantStatus", json!({}));
    for (name, value, code) in [
        ("Type", json!("RunNothing"), "InvalidCmdType.NotFound"),
        ("CommandContent", json!("%"), "CmdContent.DecodeError"),
        ("CommandContent", json!("x".repeat(25_000)), "CmdContent.ExceedLimit"),
        ("InstanceId", json!(["i-none"]), "InvalidInstance.NotFound"),
        ("InstanceId", json!([]), "MissingParam.InstanceId"),
        ("Parameters", json!("{'a': 1}"), "InvalidParameter.Parameters"),
    ] {
        let mut parameters = run.clone();
        parameters[name] = value;
        assert_eq!(rehearsal.refused("RunCommand", parameters), code);
    }
}

fn tags(rehearsal: &mut Rehearsal) {
    let of = |more: Value| {
        let mut parameters = json!({"ResourceType": "image", "ResourceId": ["m-own"]});
        parameters.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        parameters
    };
    let listed = |rehearsal: &mut Rehearsal| {
        let answer = rehearsal.call("ListTagResources", of(json!({})));
        let tags = answer.pointer("/TagResources/TagResource").unwrap().as_array().unwrap().clone();
        tags.iter().map(|tag| tag["TagKey"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    rehearsal.call("TagResources", of(json!({"Tag": [{"Key": "a", "Value": "1"}]})));
    rehearsal.call("AddTags", of(json!({"Tag.1.Key": "b", "Tag.1.Value": ""})));
    assert_eq!(listed(rehearsal), ["k", "a", "b"]);
    let found = rehearsal.call("DescribeImages", json!({"Tags": [{"Key": "a"}]}));
    assert_eq!(found["TotalCount"], json!(1));
    rehearsal.call("RemoveTags", of(json!({"Tag": [{"Key": "k"}]})));
    rehearsal.call("UntagResources", of(json!({"TagKey": ["a"]})));
    assert_eq!(listed(rehearsal), ["b"]);
    rehearsal.call("UntagResources", of(json!({"All": true})));
    assert_eq!(listed(rehearsal), Vec::<String>::new());
    let both = json!({"ResourceType": "image", "ResourceId": ["m-own", "m-none"],
        "Tags": [{"Key": "x", "Value": ""}]});
    assert_eq!(rehearsal.refused("TagResources", both), "InvalidResourceId.NotFound");
    assert_eq!(listed(rehearsal), Vec::<String>::new());
}

fn launch_templates(rehearsal: &mut Rehearsal) {
    let one = json!({"LaunchTemplateName": ["lt"]});
    let set = |rehearsal: &mut Rehearsal| {
        let answer =
            rehearsal.call("DescribeLaunchTemplates", json!({"LaunchTemplateName": ["lt"]}));
        answer.pointer("/LaunchTemplateSets/LaunchTemplateSet/0").unwrap().clone()
    };
    assert_eq!(set(rehearsal)["DefaultVersionNumber"], json!(1));
    let parameters = json!({"LaunchTemplateName": "lt", "ImageId": "m-own", "VersionDescription": "",
        "SystemDiskSize": 40, "DataDisk": [{"SnapshotId": "s-own"}], "SecurityGroupId": "sg-1",
        "Tags": [{"Key": "a", "Value": "b"}], "NetworkInterfaces": []});
    let answer = rehearsal.call("CreateLaunchTemplateVersion", parameters);
    assert_eq!(answer["LaunchTemplateVersionNumber"], json!(2));
    assert_eq!(rehearsal.left(), [(ResourceKind::LaunchTemplateVersion, "lt-1:2".to_owned())]);
    let wanted = json!({"LaunchTemplateName": "lt", "LaunchTemplateVersion": [2]});
    let shown = rehearsal.call("DescribeLaunchTemplateVersions", wanted);
    let data =
        shown.pointer("/LaunchTemplateVersionSets/LaunchTemplateVersionSet/0/LaunchTemplateData");
    assert_eq!(
        data.unwrap(),
        &json!({"ImageId": "m-own", "SecurityGroupId": "sg-1", "SystemDisk.Size": 40,
            "DataDisks": {"DataDisk": [{"SnapshotId": "s-own"}]},
            "Tags": {"InstanceTag": [{"Key": "a", "Value": "b"}]}})
    );
    let delete = |version: i64| json!({"LaunchTemplateName": "lt", "DeleteVersion": [version]});
    let refused = rehearsal.refused("DeleteLaunchTemplateVersion", delete(1));
    assert_eq!(refused, "InvalidDefaultVersion.DeleteForbidden");
    let default =
        |number: &str| json!({"LaunchTemplateName": "lt", "DefaultVersionNumber": number});
    rehearsal.call("ModifyLaunchTemplateDefaultVersion", default("2"));
    assert_eq!(set(rehearsal)["DefaultVersionNumber"], json!(2));
    rehearsal.call("DeleteLaunchTemplateVersion", delete(1));
    let gone = rehearsal.refused("ModifyLaunchTemplateDefaultVersion", default("1"));
    assert_eq!(gone, "InvalidLaunchTemplateVersion.NotFound");

    let new = json!({"LaunchTemplateName": "other"});
    rehearsal.call("CreateLaunchTemplate", new.clone());
    assert_eq!(
        rehearsal.refused("CreateLaunchTemplate", new.clone()),
        "LaunchTemplateName.Duplicated"
    );
    rehearsal.call("DeleteLaunchTemplate", new.clone());
    assert_eq!(rehearsal.refused("DeleteLaunchTemplate", new), "InvalidLaunchTemplate.NotFound");
    assert_eq!(rehearsal.call("DescribeLaunchTemplates", one)["TotalCount"], json!(1));
}

const TEMPLATE: &str = "
ROSTemplateFormatVersion: '2015-09-01'
Parameters: {Zone: {Type: String, Default: a}, Given: {Type: String}}
Resources:
  Net: {Type: 'ALIYUN::ECS::VPC'}
  Switch: {Type: 'ALIYUN::ECS::VSwitch'}
  Group: {Type: 'ALIYUN::ECS::SecurityGroup'}
Outputs:
  SecurityGroupId: {Value: {Ref: Group}}
  VSwitchId: {Value: {'Fn::GetAtt': [Switch, VSwitchId]}}
  Again: {Value: !Ref Group}
  Zone: {Value: {Ref: Zone}}
  Given: {Value: {Ref: Given}}
";

fn stacks(rehearsal: &mut Rehearsal) {
    let parameters = json!({"StackName": "net", "TemplateBody": TEMPLATE, "DisableRollback": false,
        "Parameters": [{"ParameterKey": "Given", "ParameterValue": "x"}]});
    let id = rehearsal.try_in("ROS", "CreateStack", parameters.clone()).unwrap()["StackId"].clone();
    let one = json!({"StackId": id});
    let code = rehearsal.try_in("ROS", "CreateStack", parameters).unwrap_err().code;
    assert_eq!(code, "StackExists");
    let early = rehearsal.try_in("ros", "GetStack", one.clone()).unwrap();
    assert_eq!((&early["Status"], &early["Outputs"]), (&json!("CREATE_IN_PROGRESS"), &json!([])));
    rehearsal.pass(20);
    let stack = rehearsal.try_in("ROS", "GetStack", one.clone()).unwrap();
    assert_eq!(stack["Status"], "CREATE_COMPLETE");
    let outputs: Vec<_> = stack["Outputs"].as_array().unwrap().iter().collect();
    let keys: Vec<_> = outputs.iter().map(|output| output["OutputKey"].as_str().unwrap()).collect();
    assert_eq!(keys, ["SecurityGroupId", "VSwitchId", "Again", "Zone", "Given"]);
    let value = |index: usize| outputs[index]["OutputValue"].as_str().unwrap();
    assert!(value(0).starts_with("sg-sim") && value(1).starts_with("vsw-sim"));
    assert_eq!((value(2), value(3), value(4)), (value(0), "a", "x"));
    assert_eq!(rehearsal.left().len(), 1);
    rehearsal.try_in("ROS", "DeleteStack", one.clone()).unwrap();
    assert_eq!(rehearsal.left().len(), 1);
    rehearsal.pass(20);
    assert_eq!(rehearsal.left(), []);
    assert_eq!(rehearsal.try_in("ROS", "DeleteStack", one).unwrap_err().code, "StackNotFound");
    for body in ["", "[", "a: 1", "Resources: {A: {}}\nOutputs: {O: {Value: {Ref: B}}}"] {
        let bad = json!({"StackName": "bad", "TemplateBody": body});
        let code = rehearsal.try_in("ROS", "CreateStack", bad).unwrap_err().code;
        assert!(["StackValidationFailed", "MissingParameter"].contains(&code.as_str()), "{code}");
    }
}

#[test]
fn a_stack_that_fails_is_rolled_back_unless_that_is_off() {
    for (off, status) in [(false, "ROLLBACK_COMPLETE"), (true, "CREATE_FAILED")] {
        let mut rehearsal = Rehearsal::of("faults: [{resource: stack, ends: failed}]");
        let parameters = json!({"StackName": "net", "TemplateBody": "{\"Resources\": {\"A\": {}}}",
            "DisableRollback": off});
        let id = rehearsal.try_in("ROS", "CreateStack", parameters).unwrap()["StackId"].clone();
        rehearsal.pass(40);
        let stack = rehearsal.try_in("ROS", "GetStack", json!({"StackId": id})).unwrap();
        assert_eq!(stack["Status"], status);
    }
}

fn scaling(rehearsal: &mut Rehearsal) {
    let modify = |image: &str| json!({"ScalingConfigurationId": "asc-1", "ImageId": image});
    rehearsal.try_in("ESS", "ModifyScalingConfiguration", modify("m-own")).unwrap();
    let all = rehearsal.try_in("ESS", "DescribeScalingConfigurations", json!({})).unwrap();
    let image = all.pointer("/ScalingConfigurations/ScalingConfiguration/0/ImageId");
    assert_eq!(image, Some(&json!("m-own")));
    let fault = rehearsal.try_in("ESS", "ModifyScalingConfiguration", modify("m-none"));
    assert_eq!(fault.unwrap_err().code, "InvalidImageId.NotFound");
    let none = json!({"ScalingConfigurationId": "asc-none"});
    let fault = rehearsal.try_in("ESS", "ModifyScalingConfiguration", none).unwrap_err();
    assert_eq!(fault.code, "InvalidScalingConfigurationId.NotFound");
}

fn regions(rehearsal: &mut Rehearsal) {
    let regions = rehearsal.call("DescribeRegions", json!({"RegionId": "anything"}));
    assert_eq!(regions.pointer("/Regions/Region/0/RegionId"), Some(&json!("cn-hangzhou")));
    let zones = rehearsal.call("DescribeZones", json!({}));
    assert_eq!(zones.pointer("/Zones/Zone/1/ZoneId"), Some(&json!("cn-hangzhou-b")));
}
