use super::*;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Tag {
    key: String,
    value: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Options {
    #[serde(default)]
    tags: Vec<Tag>,
    nvme: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
enum BootMode {
    #[serde(rename = "BIOS")]
    Bios,
    #[serde(rename = "UEFI")]
    Uefi,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Request {
    name: String,
    size: Option<i64>,
    dry_run: Option<bool>,
    boot_mode: Option<BootMode>,
    #[serde(default)]
    region: Vec<String>,
    #[serde(default)]
    tag: Vec<Tag>,
    options: Option<Options>,
    #[serde(default, skip_serializing)]
    parameters: BTreeMap<String, serde_json::Value>,
}

fn pairs(text: &str) -> Vec<(String, String)> {
    let mut pairs = Vec::new();
    parse(text, &mut pairs).unwrap();
    pairs
}

fn read(text: &str) -> Result<Request, ParamError> {
    from_params(&pairs(text))
}

fn sound() -> Request {
    Request {
        name: "a b+&=é".to_owned(),
        size: Some(-5),
        dry_run: Some(true),
        boot_mode: Some(BootMode::Uefi),
        region: (1..=11).map(|n| format!("r{n}")).collect(),
        tag: vec![
            Tag { key: "k".to_owned(), value: Some(String::new()) },
            Tag { key: "l".to_owned(), value: None },
        ],
        options: Some(Options {
            tags: vec![Tag { key: "deep".to_owned(), value: Some("v".to_owned()) }],
            nvme: Some("auto".to_owned()),
        }),
        parameters: BTreeMap::new(),
    }
}

/// Eleven regions: sorted as text, `Region.10` would come before `Region.2`.
#[test]
fn a_request_comes_back_as_it_was() {
    let sent = to_params(&sound()).unwrap();
    assert!(sent.contains(&("Options.Tags.1.Key".to_owned(), "deep".to_owned())), "{sent:?}");
    assert!(sent.contains(&("Tag.1.Value".to_owned(), String::new())), "{sent:?}");
    assert_eq!(read(&encode(&sent)), Ok(sound()));
}

#[test]
fn what_sdks_really_send_is_read() {
    let got = read(
        "Name=a+b%2B%e4%bd%a0&DryRun=True&Region.7=y&Region.3=x&Tag.2.Key=k&Unknown.1.X=1\
         &Name=last&Parameters=%7B%22a%22%3A%22b%22%2C%22n%22%3A1%7D&&RegionId=cn",
    )
    .unwrap();
    assert_eq!((got.name.as_str(), got.dry_run), ("last", Some(true)));
    assert_eq!(got.region, ["x", "y"]);
    assert_eq!(got.tag, [Tag { key: "k".to_owned(), value: None }]);
    assert_eq!(got.parameters["n"], 1);
    assert_eq!(read("Name=a+b%2B%e4%bd%a0").unwrap().name, "a b+你");
    assert_eq!(read("Name=&Region=[\"i-1\",\"i-2\"]").unwrap().region, ["i-1", "i-2"]);
    assert_eq!(read("Name=100%").unwrap().name, "100%");
}

#[test]
fn each_fault_names_its_parameter() {
    assert!(read("Name=a").is_ok()); // or the cases below would prove nothing
    for (text, message) in [
        ("Size=1", "Name is mandatory"),
        ("Name=a&Tag.2.Value=v", "Tag.2.Key is mandatory"),
        ("Name=a&Options.Tags.1.Value=v", "Options.Tags.1.Key is mandatory"),
        ("Name=a&Size=1.5", "Size: A number is expected (i64)."),
        ("Name=a&Size=%2B5", "Size: A number is expected (i64)."),
        ("Name=a&Size=9223372036854775808", "Size: A number is expected (i64)."),
        ("Name=a&Size=", "Size: A number is expected (i64)."),
        ("Name=a&DryRun=yes", "DryRun: True or false is expected."),
        ("Name=a&BootMode=BSD", "BootMode: Unknown variant `BSD`, expected `BIOS` or `UEFI`."),
        ("Name.1=a", "Name: One value is expected here."),
        ("Name=a&Region.x=b", "Region.x: Items of a list are numbered from 1."),
        ("Name=a&Region.0=b", "Region.0: Items of a list are numbered from 1."),
        ("Name=a&Region.-1=b", "Region.-1: Items of a list are numbered from 1."),
        ("Name=a&Region.1=b&Region.01=c", "Region.1: This item is given twice."),
        ("Name=a&Region=b", "Region: A list as Name.N or a JSON array is expected."),
        ("Name=a&Parameters={'a': 'b'}", "Parameters: A JSON object is expected."),
        ("Name=a&Options=x", "Options: Fields as Name.Field are expected."),
        ("Name=a&Tag.1=x", "Tag.1: Fields as Name.Field are expected."),
    ] {
        assert_eq!(read(text).unwrap_err().to_string(), message, "{text}");
    }
}

#[test]
fn limits_hold_at_their_edges() {
    let refused = |text: &str| parse(text, &mut Vec::new()).err();
    let many = |n: usize| vec!["a=b"; n].join("&");
    assert_eq!(refused(&many(MAX_COUNT)), None);
    assert_eq!(refused(&many(MAX_COUNT + 1)), Some(ParamError::TooMany));
    assert_eq!(refused(&"n".repeat(MAX_NAME_LEN)), None);
    let name = "n".repeat(MAX_NAME_LEN + 1);
    assert_eq!(refused(&name), Some(ParamError::Name { name: "n".repeat(MAX_QUOTED) }));
    assert_eq!(refused(&["a"; MAX_DEPTH].join(".")), None);
    assert!(matches!(refused(&["a"; MAX_DEPTH + 1].join(".")), Some(ParamError::Name { .. })));
    assert_eq!(refused(&format!("a={}", "v".repeat(MAX_VALUE_LEN))), None);
    let long = format!("a={}", "v".repeat(MAX_VALUE_LEN + 1));
    assert_eq!(refused(&long), Some(ParamError::TooLong { name: "a".to_owned() }));
    assert_eq!(refused("a=%ff"), Some(ParamError::NotUtf8 { name: "a".to_owned() }));
    assert!(matches!(refused("=x"), Some(ParamError::Name { .. })));
}

#[test]
fn faults_become_the_codes_of_the_api() {
    let error = |text: &str| ApiError::from(read(text).unwrap_err());
    assert_eq!(error(""), ApiError::missing_parameter("Name"));
    assert_eq!(
        error("Name=a&DryRun=x").message,
        "The specified parameter DryRun is not valid. True or false is expected."
    );
}
