//! `kiln images` against a server with an answer for each action, which keeps what it was asked.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Output;
use std::sync::{Arc, Mutex};

use kiln_ecs::params::parse;
use serde_json::Value;

use crate::run::{kiln, stderr, stdout};

/// Action and parameters of each call.
type Calls = Arc<Mutex<Vec<(String, BTreeMap<String, String>)>>>;

struct Server {
    url: String,
    calls: Calls,
}

impl Server {
    /// Answers of an action come one after the other; the last one is repeated.
    fn start(answers: &[(&'static str, u16, String)]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (calls, answers) = (Calls::default(), answers.to_vec());
        let kept = Arc::clone(&calls);
        // It ends with the process: the tests know when they have what they want.
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                answer(stream.unwrap(), &answers, &kept);
            }
        });
        Self { url, calls }
    }

    fn run(&self, line: &str) -> Output {
        kiln(Path::new("."))
            .args(["images", "--endpoint", &self.url])
            .args(line.split_whitespace())
            .env("ALIBABA_CLOUD_ACCESS_KEY_ID", "id")
            .env("ALIBABA_CLOUD_ACCESS_KEY_SECRET", "secret")
            .env_remove("ALIBABA_CLOUD_SECURITY_TOKEN")
            .output()
            .unwrap()
    }

    /// The calls as `Action Name=value ...`, without tokens.
    fn calls(&self) -> Vec<String> {
        let line = |(action, params): &(String, BTreeMap<String, String>)| {
            let params = params.iter().filter(|(name, _)| *name != "ClientToken");
            let params: String = params.map(|(name, value)| format!(" {name}={value}")).collect();
            format!("{action}{params}")
        };
        self.calls.lock().unwrap().iter().map(line).collect()
    }
}

fn answer(mut stream: TcpStream, answers: &[(&'static str, u16, String)], calls: &Calls) {
    let mut reader = BufReader::new(&stream);
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    let mut pairs = Vec::new();
    parse(line.split(' ').nth(1).unwrap().strip_prefix("/?").unwrap(), &mut pairs).unwrap();
    let mut action = String::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        match line.split_once(':') {
            Some((name, value)) if name.eq_ignore_ascii_case("x-acs-action") => {
                action = value.trim().to_owned();
            }
            Some(_) => {}
            None => break,
        }
    }
    let mut calls = calls.lock().unwrap();
    let n_before = calls.iter().filter(|(other, _)| *other == action).count();
    let mut fitting = answers.iter().filter(|(of, ..)| *of == action);
    let last = fitting.clone().next_back();
    let unknown = ("", 404, r#"{"Code":"InvalidAction.NotFound","Message":"No."}"#.to_owned());
    let (_, status, body) = fitting.nth(n_before).or(last).unwrap_or(&unknown);
    calls.push((action, pairs.into_iter().collect()));
    let length = body.len();
    let head =
        format!("HTTP/1.1 {status} -\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n");
    stream.write_all(format!("{head}{body}").as_bytes()).unwrap();
}

fn ok(action: &'static str, body: &str) -> (&'static str, u16, String) {
    (action, 200, body.to_owned())
}

fn task(status: &str, process: &str, error: &str) -> (&'static str, u16, String) {
    let body = format!(
        r#"{{"TaskId":"t-1","TaskStatus":"{status}","TaskProcess":"{process}","OperationProgressSet":
        {{"OperationProgress":[{{"ErrorCode":"{error}","ErrorMsg":"It is damaged."}}]}}}}"#
    );
    ("DescribeTaskAttribute", 200, body)
}

const ONE_IMAGE: &str = r#"{"RequestId":"R","Images":{"Image":[{"ImageId":"m-1","ImageName":"debian",
    "Status":"Available","Progress":"100%","Size":20,"Architecture":"x86_64","Platform":"Debian",
    "CreationTime":"2026-01-02T03:04:05Z","DiskDeviceMappings":{"DiskDeviceMapping":[{"Type":"system",
    "Device":"/dev/xvda","Size":"20","Format":"qcow2"}]}}]}}"#;

#[test]
fn lists_images_as_a_table_and_as_they_came() {
    let server = Server::start(&[ok("DescribeImages", ONE_IMAGE)]);
    let output = server.run("list --name deb* --tag a=b --region r-1");
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_eq!(
        stdout(&output),
        "IMAGE  NAME    STATUS     PROGRESS  GIB  ARCH    PLATFORM  CREATED\n\
         m-1    debian  Available  100%      20   x86_64  Debian    2026-01-02T03:04:05Z\n"
    );
    let asked = "DescribeImages ImageName=deb* PageNumber=1 PageSize=100 RegionId=r-1 \
                 Tag.1.Key=a Tag.1.Value=b";
    assert_eq!(server.calls(), [asked]);
    let output = server.run("list --format json");
    let printed: Value = serde_json::from_str(stdout(&output)).unwrap();
    assert_eq!(printed, serde_json::from_str::<Value>(ONE_IMAGE).unwrap());
    let output = server.run("show m-1");
    assert!(stdout(&output).contains("ImageName               debian\n"), "{}", stdout(&output));
    assert!(stdout(&output).contains("/dev/xvda  system  20   qcow2\n"), "{}", stdout(&output));
}

#[test]
fn goes_on_to_the_next_page() {
    let page = |n: usize| {
        let items = vec![r#"{"ImageId":"m-1"}"#; n].join(",");
        ok("DescribeImages", &format!(r#"{{"Images":{{"Image":[{items}]}}}}"#))
    };
    let server = Server::start(&[page(100), page(3)]);
    let output = server.run("list");
    assert_eq!(stdout(&output).lines().count(), 1 + 103);
    assert_eq!(server.calls().len(), 2);
}

#[test]
fn waits_for_an_import() {
    let import = ok("ImportImage", r#"{"ImageId":"m-1","TaskId":"t-1"}"#);
    let line = "import b/dir/a.qcow2 --name n --check --wait";
    let tasks = [task("Processing", "30%", ""), task("Finished", "100%", "")];
    let server = Server::start(&[import.clone(), tasks[0].clone(), tasks[1].clone()]);
    let output = server.run(line);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let asked = "ImportImage DetectionStrategy=Standard DiskDeviceMapping.1.OSSBucket=b \
                 DiskDeviceMapping.1.OSSObject=dir/a.qcow2 ImageName=n RegionId=cn-hangzhou";
    assert_eq!(server.calls()[0], asked);
    assert_eq!(
        server.calls()[1..],
        vec!["DescribeTaskAttribute RegionId=cn-hangzhou TaskId=t-1"; 2]
    );

    let server = Server::start(&[import.clone(), task("Failed", "30%", "InvalidImage.Damaged")]);
    let output = server.run(line);
    assert_eq!(output.status.code(), Some(1));
    let told = "the task t-1 ended as Failed: InvalidImage.Damaged: It is damaged.";
    assert!(stderr(&output).contains(told), "{}", stderr(&output));

    let server = Server::start(&[import, task("Processing", "30%", "")]);
    let output = server.run(&format!("{line} --timeout 1"));
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("still Processing after 1 s"), "{}", stderr(&output));
}

#[test]
fn asks_for_what_the_command_says() {
    let actions = [
        "CopyImage",
        "ModifyImageSharePermission",
        "TagResources",
        "UntagResources",
        "DeleteImage",
        "ModifyImageAttribute",
        "CancelTask",
        "CancelCopyImage",
        "ExportImage",
    ];
    let server = Server::start(&actions.map(|action| ok(action, r#"{"RequestId":"R"}"#)));
    for (line, asked) in [
        ("copy m-1 --to r-2", "CopyImage DestinationRegionId=r-2 ImageId=m-1"),
        ("share m-1 1 2", "ModifyImageSharePermission AddAccount.1=1 AddAccount.2=2 ImageId=m-1"),
        ("unshare m-1 1", "ModifyImageSharePermission ImageId=m-1 RemoveAccount.1=1"),
        ("tag m-1 k", "TagResources ResourceId.1=m-1 ResourceType=image Tag.1.Key=k Tag.1.Value="),
        ("untag m-1 k", "UntagResources ResourceId.1=m-1 ResourceType=image TagKey.1=k"),
        ("untag m-1 --all", "UntagResources All=true ResourceId.1=m-1 ResourceType=image"),
        ("delete m-1 --yes", "DeleteImage ImageId=m-1"),
        ("deprecate m-1", "ModifyImageAttribute ImageId=m-1 Status=Deprecated"),
        ("deprecate m-1 --undo", "ModifyImageAttribute ImageId=m-1 Status=Available"),
        ("cancel t-1", "CancelTask TaskId=t-1"),
        ("cancel m-1", "CancelCopyImage ImageId=m-1"),
        ("export m-1 b --prefix p", "ExportImage ImageId=m-1 OSSBucket=b OSSPrefix=p"),
    ] {
        let output = server.run(line);
        assert_eq!(output.status.code(), Some(0), "{line}: {}", stderr(&output));
        let call = server.calls().pop().unwrap().replace(" RegionId=cn-hangzhou", "");
        assert_eq!(call, asked, "{line}");
    }
}

#[test]
fn refusals_are_told_with_a_hint() {
    let body = r#"{"RequestId":"R","Code":"SignatureDoesNotMatch","Message":"No."}"#.to_owned();
    let server = Server::start(&[("DescribeTasks", 400, body)]);
    let output = server.run("tasks");
    assert_eq!(output.status.code(), Some(2));
    let told = stderr(&output);
    assert!(told.contains("SignatureDoesNotMatch: No. (status 400, request R)"), "{told}");
    assert!(told.contains("hint: is ALIBABA_CLOUD_ACCESS_KEY_SECRET"), "{told}");

    let output = server.run("delete m-1");
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("confirm it with --yes"), "{}", stderr(&output));
    assert!(server.calls().iter().all(|call| !call.starts_with("DeleteImage")));
}
