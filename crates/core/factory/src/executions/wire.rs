//! Parameters as templates write them, as the parameters of RPC requests.
//!
//! A template leaves out the dots of names and writes lists and maps; an operation wants
//! `SystemDisk.Category`, `InstanceId.1`, or a JSON text. Which of these depends on the operation:
//! where its schema is not known here, the habits of the products decide.

use serde_json::{Map, Value};

use kiln_oos::value::text;

/// Parameters that take a JSON array as text instead of numbered parameters: operation, parameter.
const JSON_LISTS: &[(&str, &str)] = &[
    ("DescribeInstances", "InstanceIds"),
    ("DescribeInstances", "PrivateIpAddresses"),
    ("DescribeInstances", "PublicIpAddresses"),
    ("DescribeInstances", "EipAddresses"),
    ("DescribeInstances", "InnerIpAddresses"),
    ("DescribeInstances", "VpcIds"),
    ("DescribeDisks", "DiskIds"),
    ("DescribeSnapshots", "SnapshotIds"),
    ("DescribeSecurityGroups", "SecurityGroupIds"),
    ("DescribeInvocations", "InstanceIds"),
    ("DescribeDisksFullStatus", "DiskIds"),
    ("ModifyPrepayInstanceSpec", "InstanceIds"),
    ("ModifyInstanceChargeType", "InstanceIds"),
];

/// Names of ECS that are plural on the wire, too.
const PLURALS: &[&str] = &["SecurityGroupIds", "Ipv6Addresses", "PrivateIpAddresses"];

/// What stands before a dot on the wire, of products that have such names.
const GROUPS: &[&str] = &["SystemDisk", "Temporary", "HibernationOptions", "SchedulerOptions"];

/// Lists whose items may be written flat: `Filter2Key`.
const NUMBERED: &[&str] = &["Filter", "Tag", "DataDisk"];

/// The parameters of a request, in the order of the template.
#[must_use]
pub fn pairs(service: &str, api: &str, parameters: &Map<String, Value>) -> Vec<(String, String)> {
    let mut pairs = Vec::new();
    for (name, value) in parameters {
        let is_empty = value.is_null() || value.as_str() == Some("");
        if !is_empty {
            put(service, api, name, value, &mut pairs);
        }
    }
    pairs
}

fn put(service: &str, api: &str, name: &str, value: &Value, pairs: &mut Vec<(String, String)>) {
    let has_tags = !service.eq_ignore_ascii_case("OOS");
    match value {
        Value::Array(items) if has_tags && name.eq_ignore_ascii_case("Tags") => {
            numbered("Tag", items, pairs);
        }
        Value::Object(map) if has_tags && name.eq_ignore_ascii_case("Tags") => {
            for (at, (key, value)) in (1..).zip(map) {
                pairs.push((format!("Tag.{at}.Key"), key.clone()));
                pairs.push((format!("Tag.{at}.Value"), text(value).into_owned()));
            }
        }
        Value::Array(_) if is_json_list(service, api, name) => {
            pairs.push((name.to_owned(), value.to_string()));
        }
        Value::Array(items) => numbered(&singular(service, name), items, pairs),
        Value::Object(_) => pairs.push((name.to_owned(), value.to_string())),
        other => pairs.push((dotted(service, name), text(other).into_owned())),
    }
}

fn is_json_list(service: &str, api: &str, name: &str) -> bool {
    let listed = |(own_api, own): &(&str, &str)| {
        own_api.eq_ignore_ascii_case(api) && own.eq_ignore_ascii_case(name)
    };
    service.eq_ignore_ascii_case("OOS")
        || service.eq_ignore_ascii_case("ECS") && JSON_LISTS.iter().any(listed)
}

/// `Name.1`, `Name.2.Key`, ...
fn numbered(name: &str, items: &[Value], pairs: &mut Vec<(String, String)>) {
    for (at, item) in (1..).zip(items) {
        match item {
            Value::Object(map) => {
                for (key, value) in map.iter().filter(|(_, value)| !value.is_null()) {
                    match value {
                        Value::Array(inner) => {
                            numbered(&format!("{name}.{at}.{key}"), inner, pairs)
                        }
                        other => {
                            pairs.push((format!("{name}.{at}.{key}"), text(other).into_owned()))
                        }
                    }
                }
            }
            Value::Null => {}
            other => pairs.push((format!("{name}.{at}"), text(other).into_owned())),
        }
    }
}

/// Templates write `InstanceIds` where the operation has `InstanceId.N`.
fn singular(service: &str, name: &str) -> String {
    let is_plural = name.len() > 3
        && name.ends_with("Ids")
        && service.eq_ignore_ascii_case("ECS")
        && !PLURALS.iter().any(|own| own.eq_ignore_ascii_case(name));
    match name.strip_suffix('s') {
        Some(single) if is_plural => single.to_owned(),
        _ => name.to_owned(),
    }
}

/// The name with the dots that templates leave out.
fn dotted(service: &str, name: &str) -> String {
    if !service.eq_ignore_ascii_case("ECS") && !service.eq_ignore_ascii_case("ESS") {
        return name.to_owned();
    }
    for group in GROUPS {
        if let Some(rest) = name.strip_prefix(group)
            && rest.starts_with(|first: char| first.is_ascii_uppercase())
        {
            return format!("{group}.{rest}");
        }
    }
    for list in NUMBERED {
        if let Some(rest) = name.strip_prefix(list)
            && let Some(end) = rest.find(|letter: char| !letter.is_ascii_digit())
            && end > 0
        {
            return format!("{list}.{}.{}", &rest[..end], &rest[end..]);
        }
    }
    name.to_owned()
}

/// Whether an operation takes a `ClientToken`, with which it is done once however often it is asked
/// for.
#[must_use]
pub fn takes_token(service: &str, api: &str) -> bool {
    /// Operations of ECS that make something and take a token.
    const ECS: &[&str] = &[
        "AllocateDedicatedHosts",
        "CopyImage",
        "CreateDisk",
        "CreateImage",
        "CreateInstance",
        "CreateSnapshot",
        "ExportImage",
        "ImportImage",
        "InvokeCommand",
        "ReplaceSystemDisk",
        "RunCommand",
        "RunInstances",
    ];
    let is = |own: &&str| own.eq_ignore_ascii_case(api);
    match service.to_ascii_uppercase().as_str() {
        "ECS" => ECS.iter().any(is),
        "ROS" => ["CreateStack", "DeleteStack", "UpdateStack"].iter().any(is),
        "OOS" => ["StartExecution", "TriggerExecution"].iter().any(is),
        _ => false,
    }
}

/// The version of the API of a product, where it is known.
#[must_use]
pub fn version(service: &str) -> Option<&'static str> {
    const VERSIONS: &[(&str, &str)] = &[
        ("ALIDNS", "2015-01-09"),
        ("BSSOPENAPI", "2017-12-14"),
        ("CDN", "2018-05-10"),
        ("CMS", "2019-01-01"),
        ("CS", "2015-12-15"),
        ("DDS", "2015-12-01"),
        ("ECD", "2020-09-30"),
        ("ECS", "2014-05-26"),
        ("ELASTICSEARCH", "2017-06-13"),
        ("ENS", "2017-11-10"),
        ("ESS", "2014-08-28"),
        ("HBR", "2017-09-08"),
        ("KMS", "2016-01-20"),
        ("NAS", "2017-06-26"),
        ("OOS", "2019-06-01"),
        ("OSS", "2019-05-17"),
        ("POLARDB", "2017-08-01"),
        ("R-KVSTORE", "2015-01-01"),
        ("RAM", "2015-05-01"),
        ("RDS", "2014-08-15"),
        ("REDIS", "2015-01-01"),
        ("RESOURCEMANAGER", "2020-03-31"),
        ("ROS", "2019-09-10"),
        ("SAE", "2019-05-06"),
        ("SLB", "2014-05-15"),
        ("STS", "2015-04-01"),
        ("TAG", "2018-08-28"),
        ("VPC", "2016-04-28"),
    ];
    VERSIONS
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(service))
        .map(|(_, version)| *version)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(service: &str, api: &str, parameters: Value) -> Vec<(String, String)> {
        let Value::Object(map) = parameters else { panic!("a map") };
        pairs(service, api, &map)
    }

    #[test]
    fn parameters_become_those_of_the_wire() {
        for (service, api, parameters, wire) in [
            (
                "ECS",
                "RunInstances",
                json!({"SystemDiskCategory": "x"}),
                vec![("SystemDisk.Category", "x")],
            ),
            (
                "ECS",
                "RunInstances",
                json!({"A": null, "B": "", "C": 1, "D": true}),
                vec![("C", "1"), ("D", "true")],
            ),
            (
                "ECS",
                "RunInstances",
                json!({"SecurityGroupIds": ["a"]}),
                vec![("SecurityGroupIds.1", "a")],
            ),
            (
                "ecs",
                "RunCommand",
                json!({"InstanceIds": ["a", "b"]}),
                vec![("InstanceId.1", "a"), ("InstanceId.2", "b")],
            ),
            (
                "ECS",
                "RunCommand",
                json!({"Parameters": {"a": 1}}),
                vec![("Parameters", r#"{"a":1}"#)],
            ),
            (
                "ECS",
                "describeinstances",
                json!({"InstanceIds": ["a"]}),
                vec![("InstanceIds", r#"["a"]"#)],
            ),
            (
                "ECS",
                "DescribeInstances",
                json!({"InstanceIds": "[\"a\"]"}),
                vec![("InstanceIds", r#"["a"]"#)],
            ),
            (
                "ECS",
                "RunInstances",
                json!({"DataDisk": [{"Size": 20, "Category": null, "SnapshotId": "s"}]}),
                vec![("DataDisk.1.Size", "20"), ("DataDisk.1.SnapshotId", "s")],
            ),
            (
                "ECS",
                "CreateImage",
                json!({"Tags": [{"Key": "k", "Value": "v"}]}),
                vec![("Tag.1.Key", "k"), ("Tag.1.Value", "v")],
            ),
            ("ECS", "DescribeImages", json!({"Filter2Key": "k"}), vec![("Filter.2.Key", "k")]),
            (
                "ECS",
                "X",
                json!({"Filters": "k", "SystemDisk": "s"}),
                vec![("Filters", "k"), ("SystemDisk", "s")],
            ),
            ("OOS", "StartExecution", json!({"Tags": {"k": "v"}}), vec![("Tags", r#"{"k":"v"}"#)]),
            (
                "RDS",
                "X",
                json!({"SystemDiskCategory": "x", "Ids": ["a"]}),
                vec![("SystemDiskCategory", "x"), ("Ids.1", "a")],
            ),
        ] {
            let wire: Vec<_> = wire
                .iter()
                .map(|(a, b): &(&str, &str)| ((*a).to_owned(), (*b).to_owned()))
                .collect();
            assert_eq!(of(service, api, parameters.clone()), wire, "{api} {parameters}");
        }
    }
}
