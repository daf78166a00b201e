//! Laws of the whole world: faults, tokens, refusals, bounds.

use serde_json::{Value, json};

use crate::{World, WorldError, operations, testing::Rehearsal};

fn count(rehearsal: &mut Rehearsal, api: &str) -> Value {
    rehearsal.call(api, json!({}))["TotalCount"].clone()
}

fn one_disk() -> Value {
    json!({"Size": 20})
}

#[test]
fn each_kind_of_fault_strikes_the_calls_it_names() {
    for (fault, codes, n_disks) in [
        ("{api: CreateDisk}", [Some("InternalError"), None, None], 2),
        (
            "{api: createdisk, service: ecs, nth: 2, code: X.Y, status: 403}",
            [None, Some("X.Y"), None],
            2,
        ),
        ("{api: CreateDisk, nth: every}", [Some("InternalError"); 3], 0),
        ("{api: CreateDisk, effect: true}", [Some("ServiceUnavailable"), None, None], 3),
        (
            "{api: CreateDisk, nth: 2, throttle: 2}",
            [None, Some("Throttling.User"), Some("Throttling.User")],
            1,
        ),
        ("{api: CreateImage}", [None; 3], 3),
    ] {
        let mut rehearsal = Rehearsal::of(&format!("faults: [{fault}]"));
        let found = [(); 3].map(|()| rehearsal.try_in("ECS", "CreateDisk", one_disk()).err());
        let found = found.map(|fault| fault.map(|fault| fault.code));
        assert_eq!(found.each_ref().map(Option::as_deref), codes, "{fault}");
        assert_eq!(count(&mut rehearsal, "DescribeDisks"), json!(n_disks), "{fault}");
        let records = rehearsal.world.calls().iter().take(3);
        let recorded: Vec<_> = records.map(|call| (call.nth, call.code.as_deref())).collect();
        assert_eq!(recorded, [(1, codes[0]), (2, codes[1]), (3, codes[2])], "{fault}");
    }
}

#[test]
fn the_nth_resource_of_a_kind_ends_badly() {
    let mut rehearsal = Rehearsal::small(
        "faults:\n- {resource: snapshot, nth: 2, ends: failed}\n- {resource: image, nth: every, ends: failed}\n\
         - {resource: invocation, ends: failed}\n",
    );
    let disk =
        rehearsal.text("DescribeDisks", json!({"InstanceId": "i-own"}), "/Disks/Disk/0/DiskId");
    for status in ["accomplished", "failed", "accomplished"] {
        let id = rehearsal.text("CreateSnapshot", json!({"DiskId": disk}), "/SnapshotId");
        let one = json!({"SnapshotIds": [id]});
        let pointer = "/Snapshots/Snapshot/0/Status";
        assert_eq!(rehearsal.text("DescribeSnapshots", one.clone(), pointer), "progressing");
        rehearsal.pass(30);
        assert_eq!(rehearsal.text("DescribeSnapshots", one, pointer), status);
    }
    let id = rehearsal.text("CreateImage", json!({"InstanceId": "i-own"}), "/ImageId");
    rehearsal.pass(60);
    let one = json!({"ImageId": id, "Status": "CreateFailed,Available"});
    assert_eq!(rehearsal.text("DescribeImages", one, "/Images/Image/0/Status"), "CreateFailed");
    assert_eq!(rehearsal.call("DescribeImages", json!({"ImageId": id}))["TotalCount"], json!(0));

    let command =
        json!({"CommandContent": "x", "Type": "RunShellScript", "InstanceIds": ["i-own"]});
    let id = rehearsal.text("RunCommand", command, "/InvokeId");
    rehearsal.pass(5);
    let results = rehearsal.call("DescribeInvocationResults", json!({"InvokeId": id}));
    let result = results.pointer("/Invocation/InvocationResults/InvocationResult/0").unwrap();
    assert_eq!((&result["InvokeRecordStatus"], &result["ExitCode"]), (&json!("Failed"), &json!(1)));
}

/// An answer that was lost is given again to the same token, and nothing is made twice.
#[test]
fn a_token_gives_its_answer_again_and_has_one_effect() {
    let mut rehearsal = Rehearsal::small("faults: [{api: RunInstances, effect: true}]");
    let parameters = |name: &str| json!({"ImageId": "base", "InstanceType": "t", "ClientToken": "t-1", "InstanceName": name});
    assert_eq!(rehearsal.refused("RunInstances", parameters("a")), "ServiceUnavailable");
    let first = rehearsal.call("RunInstances", parameters("a"));
    let second = rehearsal.call("RunInstances", parameters("a"));
    assert_eq!(first["InstanceIdSets"], second["InstanceIdSets"]);
    assert_ne!(first["RequestId"], second["RequestId"]);
    assert_eq!(count(&mut rehearsal, "DescribeInstances"), json!(2));
    assert_eq!(rehearsal.refused("RunInstances", parameters("b")), "IdempotentParameterMismatch");
    rehearsal.pass(24 * 3600);
    rehearsal.call("RunInstances", parameters("b"));
    assert_eq!(count(&mut rehearsal, "DescribeInstances"), json!(3));

    let image =
        |name: &str| json!({"InstanceId": "i-own", "ClientToken": "t-1", "ImageName": name});
    rehearsal.call("CreateImage", image("aa"));
    rehearsal.call("CreateImage", image("aa"));
    assert_eq!(rehearsal.refused("CreateImage", image("bb")), "IdempotenceParamNotMatch");
    let long = json!({"Size": 20, "ClientToken": "x".repeat(65)});
    assert_eq!(rehearsal.refused("CreateDisk", long), "InvalidClientToken.Malformed");
}

#[test]
fn a_failed_call_is_not_remembered_for_its_token() {
    let mut rehearsal = Rehearsal::of("faults: [{api: CreateDisk}]");
    let parameters = json!({"Size": 20, "ClientToken": "t"});
    rehearsal.refused("CreateDisk", parameters.clone());
    rehearsal.call("CreateDisk", parameters);
    assert_eq!(count(&mut rehearsal, "DescribeDisks"), json!(1));
}

#[test]
fn a_dry_run_is_refused_as_one_and_has_no_effect() {
    let mut rehearsal = Rehearsal::small("");
    let parameters = json!({"InstanceId": "i-own", "Force": "True", "DryRun": true});
    assert_eq!(rehearsal.refused("DeleteInstance", parameters), "DryRunOperation");
    let parameters = json!({"InstanceId": "i-none", "DryRun": true});
    assert_eq!(rehearsal.refused("DeleteInstance", parameters), "InvalidInstanceId.NotFound");
    assert_eq!(count(&mut rehearsal, "DescribeInstances"), json!(1));
}

#[test]
fn unknown_operations_services_and_regions_are_refused_as_the_cloud_does() {
    let mut rehearsal = Rehearsal::small("");
    for (service, api) in
        [("ECS", "DescribeNothing"), ("OSS", "GetBucket"), ("ROS", "RunInstances")]
    {
        let fault = rehearsal.try_in(service, api, json!({})).unwrap_err();
        assert_eq!((fault.status, fault.code.as_str()), (404, "InvalidAction.NotFound"));
    }
    assert!(rehearsal.try_in("ecs", "describeregions", json!({})).is_ok());
    let elsewhere = json!({"RegionId": "eu-nowhere-1"});
    assert_eq!(rehearsal.refused("DescribeImages", elsewhere), "InvalidRegionId.NotFound");
}

/// Every operation, called without parameters and with hostile ones, refuses or answers an object,
/// and what it refuses has changed nothing.
#[test]
fn no_operation_panics_and_a_refusal_has_no_effect() {
    let mut rehearsal = Rehearsal::small(
        "launchTemplates: [{id: lt-1, name: lt, versions: [{}]}]\nscalingConfigurations: [{id: asc-1}]",
    );
    let ids = [
        "InstanceId",
        "DiskId",
        "ImageId",
        "SnapshotId",
        "InvokeId",
        "StackId",
        "TaskId",
        "LaunchTemplateId",
        "ScalingConfigurationId",
        "CommandId",
        "ResourceId",
    ];
    let hostile = [
        json!("i-own"),
        json!("m-own"),
        json!("s-own"),
        json!("lt-1"),
        json!([]),
        json!({"a": [1]}),
        json!(-1),
        json!("é".repeat(300)),
        json!(["i-own", "i-own"]),
        json!(i64::MAX),
    ];
    let others = [
        "Amount",
        "Size",
        "PageNumber",
        "PageSize",
        "NextToken",
        "Tag",
        "DataDisk",
        "Filter",
        "Parameters",
        "RetentionDays",
        "Force",
        "ImageName",
        "DeleteVersion",
        "TemplateBody",
    ];
    for (service, api) in operations() {
        let mut written = vec![json!({})];
        for value in &hostile {
            let mut all: serde_json::Map<_, _> =
                ids.iter().map(|name| ((*name).to_owned(), value.clone())).collect();
            written.push(Value::Object(all.clone()));
            all.extend(others.iter().map(|name| ((*name).to_owned(), value.clone())));
            written.push(Value::Object(all));
        }
        for parameters in written {
            let mut one = rehearsal.clone();
            let before = one.world.resources(one.now);
            match one.try_in(service, api, parameters.clone()) {
                Ok(answer) => assert!(answer["RequestId"].is_string(), "{api}: {answer}"),
                Err(_) => assert_eq!(one.world.resources(one.now), before, "{api} {parameters}"),
            }
        }
    }
    assert_eq!(count(&mut rehearsal, "DescribeInstances"), json!(1));
}

#[test]
fn lists_come_in_pages_of_either_kind() {
    let mut rehearsal = Rehearsal::of("");
    for _ in 0..25 {
        rehearsal.call("CreateDisk", one_disk());
    }
    for (number, n_items) in [(1, 10), (3, 5), (4, 0)] {
        let page = rehearsal.call("DescribeDisks", json!({"PageNumber": number}));
        let items = page.pointer("/Disks/Disk").unwrap().as_array().unwrap();
        assert_eq!((items.len(), &page["TotalCount"]), (n_items, &json!(25)), "{number}");
    }
    let (mut seen, mut token) = (0, Value::Null);
    loop {
        let page = rehearsal.call("DescribeDisks", json!({"MaxResults": 10, "NextToken": token}));
        seen += page.pointer("/Disks/Disk").unwrap().as_array().unwrap().len();
        token = page["NextToken"].clone();
        if token == "" {
            break;
        }
    }
    assert_eq!(seen, 25);
    for bad in [json!({"PageSize": 101}), json!({"PageNumber": 0}), json!({"PageSize": "x"})] {
        assert_eq!(rehearsal.refused("DescribeDisks", bad), "InvalidParameter");
    }
    let bad = json!({"NextToken": "x"});
    assert_eq!(rehearsal.refused("DescribeDisks", bad), "InvalidParameter.NextToken");
}

#[test]
fn resources_and_records_are_bounded() {
    let mut rehearsal = Rehearsal::small("");
    let many = json!({"ImageId": "base", "InstanceType": "t", "Amount": 100,
        "DataDisk": [{"Size": 20}, {"Size": 20}]});
    for _ in 0..24 {
        rehearsal.call("RunInstances", many.clone());
    }
    rehearsal.call("RunInstances", json!({"ImageId": "base", "InstanceType": "t", "Amount": 98}));
    assert_eq!(rehearsal.refused("RunInstances", many), "QuotaExceed.Resources");
    for _ in 0..20_001 {
        rehearsal.try_in("none", "x", json!({})).unwrap_err();
    }
    assert!((10_000..=20_000).contains(&rehearsal.world.calls().len()));
    let (_, nth) = rehearsal.world.calls().last().map(|call| (&call.api, call.nth)).unwrap();
    assert_eq!(nth, 20_001);
}

#[test]
fn a_state_that_is_none_is_refused() {
    for state in [json!(null), json!({}), json!({"images": 1})] {
        assert!(matches!(World::load(state), Err(WorldError::State { .. })));
    }
}
