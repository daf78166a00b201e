//! `kiln images`: a client of any endpoint of the ECS image API, kiln's own or another.

pub(crate) mod args;
mod print;
mod wait;

use std::io::{self, BufRead, IsTerminal, Write};
use std::process::ExitCode;

use anyhow::Result;
use kiln_ecs::client::{CallError, Client, Credentials, Endpoint, VERSION};
use kiln_ecs::error::new_request_id;
use serde_json::{Value, json};

use crate::Hinted;
use args::{ImagesArgs, ImagesCommand, ImportArgs, WaitArgs};
use print::Printer;

/// Images or tasks asked for at a time.
const PAGE: usize = 100;
/// Most pages of one list.
const MAX_PAGES: usize = 1000;

/// Do one thing with images.
pub(crate) fn run(args: &ImagesArgs) -> Result<ExitCode> {
    let variable = |name: &str| std::env::var(name).ok();
    let endpoint = Endpoint::find(args.endpoint.as_deref(), variable);
    let endpoint = endpoint.map_err(|e| hinted(e, "name it by --endpoint or KILN_ENDPOINT"))?;
    let credentials = Credentials::find(args.access_key_id.as_deref(), variable);
    let credentials = credentials.map_err(|error| {
        hinted(error, "set ALIBABA_CLOUD_ACCESS_KEY_ID and ALIBABA_CLOUD_ACCESS_KEY_SECRET")
    })?;
    let images = Images {
        client: Client::new(endpoint, credentials, &args.region),
        print: Printer { format: args.format },
    };
    images.run(&args.command)
}

struct Images {
    client: Client,
    print: Printer,
}

impl Images {
    fn run(&self, command: &ImagesCommand) -> Result<ExitCode> {
        match command {
            ImagesCommand::List { name, family, status, owner, tags } => {
                self.print.images(&self.pages(
                    "DescribeImages",
                    "/Images/Image",
                    json!({
                        "ImageName": name, "ImageFamily": family, "Status": status,
                        "ImageOwnerAlias": owner, "Tag": wire_tags(tags),
                    }),
                )?)
            }
            ImagesCommand::Show { image } => self.show(image),
            ImagesCommand::Import(args) => self.import(args),
            ImagesCommand::Export { image, bucket, prefix, image_format, wait } => {
                let answer = self.ask(
                    "ExportImage",
                    &json!({
                        "ImageId": image, "OSSBucket": bucket, "OSSPrefix": prefix,
                        "ImageFormat": image_format,
                    }),
                )?;
                self.started(&answer, *wait)
            }
            ImagesCommand::Copy { image, to, name } => {
                let answer = self.ask(
                    "CopyImage",
                    &json!({
                        "ImageId": image, "DestinationRegionId": to, "DestinationImageName": name,
                        "ClientToken": new_request_id(),
                    }),
                )?;
                self.print.fields(&answer, &["ImageId"])
            }
            ImagesCommand::Share { image, accounts } => self.change(
                "ModifyImageSharePermission",
                json!({ "ImageId": image, "AddAccount": accounts }),
            ),
            ImagesCommand::Unshare { image, accounts } => self.change(
                "ModifyImageSharePermission",
                json!({ "ImageId": image, "RemoveAccount": accounts }),
            ),
            ImagesCommand::Tag { image, tags } => self.change(
                "TagResources",
                json!({
                    "ResourceType": "image", "ResourceId": [image], "Tag": wire_tags(tags),
                }),
            ),
            ImagesCommand::Untag { image, keys, all } => self.change(
                "UntagResources",
                json!({
                    "ResourceType": "image", "ResourceId": [image], "TagKey": keys,
                    "All": all.then_some(true),
                }),
            ),
            ImagesCommand::Delete { image, force, yes } => self.delete(image, *force, *yes),
            ImagesCommand::Deprecate { image, undo } => {
                let status = if *undo { "Available" } else { "Deprecated" };
                self.change("ModifyImageAttribute", json!({ "ImageId": image, "Status": status }))
            }
            ImagesCommand::Tasks { status } => self.print.tasks(&self.pages(
                "DescribeTasks",
                "/TaskSet/Task",
                json!({ "TaskStatus": status }),
            )?),
            ImagesCommand::Cancel { id } if id.starts_with("m-") => {
                self.change("CancelCopyImage", json!({ "ImageId": id }))
            }
            ImagesCommand::Cancel { id } => self.change("CancelTask", json!({ "TaskId": id })),
        }
    }

    /// Call an action; `request` has its parameters under their names on the wire.
    fn ask(&self, action: &str, request: &Value) -> Result<Value> {
        let params = kiln_ecs::params::to_params(request)?;
        self.client.call(action, VERSION, &params).map_err(|error| {
            let hint = hint(&error);
            hinted(error, hint)
        })
    }

    /// Call an action that answers with nothing.
    fn change(&self, action: &str, request: Value) -> Result<ExitCode> {
        let answer = self.ask(action, &request)?;
        self.print.fields(&answer, &[])
    }

    /// All pages of a list in one answer.
    fn pages(&self, action: &str, list: &str, mut request: Value) -> Result<Value> {
        request["PageSize"] = json!(PAGE);
        let mut all: Option<Value> = None;
        for page in 1..=MAX_PAGES {
            request["PageNumber"] = json!(page);
            let mut answer = self.ask(action, &request)?;
            let items = answer.pointer_mut(list).and_then(Value::as_array_mut);
            let mut items = items.map(std::mem::take).unwrap_or_default();
            let is_last = items.len() < PAGE;
            let whole = all.get_or_insert(answer);
            if let Some(list) = whole.pointer_mut(list).and_then(Value::as_array_mut) {
                list.append(&mut items);
            }
            if is_last {
                break;
            }
        }
        Ok(all.unwrap_or_default())
    }

    fn show(&self, image: &str) -> Result<ExitCode> {
        let every = "Creating,Waiting,Available,UnAvailable,CreateFailed,Deprecated";
        let answer = self.ask("DescribeImages", &json!({ "ImageId": image, "Status": every }))?;
        if answer.pointer("/Images/Image/0").is_none() {
            let message = format!("{image}: there is no such image in {}", self.client.region());
            return Err(Hinted::new(message, "kiln images list shows those there are").into());
        }
        self.print.image(&answer)
    }

    fn import(&self, args: &ImportArgs) -> Result<ExitCode> {
        let (bucket, object) = &args.object;
        let answer = self.ask("ImportImage", &json!({
            "ImageName": args.name, "Platform": args.platform, "Architecture": args.architecture,
            "BootMode": args.boot_mode, "ClientToken": new_request_id(),
            "DetectionStrategy": args.check.then_some("Standard"),
            "DiskDeviceMapping": [
                { "OSSBucket": bucket, "OSSObject": object, "DiskImageSize": args.size },
            ],
        }))?;
        self.started(&answer, args.wait)
    }

    /// A task is under way: tell it, or wait for its end.
    fn started(&self, answer: &Value, args: WaitArgs) -> Result<ExitCode> {
        let status = self.print.fields(answer, &["ImageId", "TaskId"])?;
        match answer.get("TaskId").and_then(Value::as_str) {
            Some(task) if args.wait => wait::until_ended(self, task, args.timeout),
            _ => Ok(status),
        }
    }

    fn delete(&self, image: &str, force: bool, yes: bool) -> Result<ExitCode> {
        if !yes {
            confirm(image)?;
        }
        let request = json!({ "ImageId": image, "Force": force.then_some(true) });
        self.change("DeleteImage", request)
    }
}

fn confirm(image: &str) -> Result<()> {
    let not_confirmed = || Hinted::new(format!("{image} is not deleted"), "confirm it with --yes");
    if !io::stdin().is_terminal() {
        return Err(not_confirmed().into());
    }
    write!(io::stderr(), "delete {}? [y/N] ", crate::report::printable(image))?;
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line)?;
    match line.trim() {
        "y" | "Y" | "yes" => Ok(()),
        _ => Err(not_confirmed().into()),
    }
}

fn wire_tags(tags: &[(String, String)]) -> Vec<Value> {
    tags.iter().map(|(key, value)| json!({ "Key": key, "Value": value })).collect()
}

fn hinted(error: CallError, hint: &str) -> anyhow::Error {
    Hinted::new(error.to_string(), hint).into()
}

/// What to do about a failed call.
fn hint(error: &CallError) -> &'static str {
    let code = match error {
        CallError::Transport { .. } => return "is the endpoint running, and is --endpoint right?",
        CallError::Answer { .. } => return "is --endpoint one of the ECS API?",
        error => error.code().unwrap_or_default(),
    };
    match code {
        "SignatureDoesNotMatch" => "is ALIBABA_CLOUD_ACCESS_KEY_SECRET the secret of this key?",
        "InvalidAccessKeyId.NotFound" => "is the access key one of this endpoint?",
        "InvalidTimeStamp.Expired" => "set the clock of this machine",
        "Forbidden.RAM" => "ask for the permission, or use another access key",
        "ImageUsingByInstance" => "--force deletes it all the same",
        "ImageUseShared" => "kiln images unshare it first",
        code if code.starts_with("InvalidImageId") => "kiln images list shows those there are",
        code if code.starts_with("InvalidTaskId") => "kiln images tasks shows those there are",
        code if code.starts_with("InvalidRegionId") => "name another region by --region",
        _ => "kiln images COMMAND --help tells what is expected",
    }
}
