//! What `kiln images` can be asked.

use clap::{Parser, Subcommand, ValueEnum, value_parser};

/// Manage the images of an endpoint of the ECS image API
///
/// The secret of the access key comes from ALIBABA_CLOUD_ACCESS_KEY_SECRET, and the token of a
/// temporary key from ALIBABA_CLOUD_SECURITY_TOKEN: arguments can be seen by every user of a machine.
///
/// Exit status: 0 done, 1 a task that was waited for did not succeed, 2 it could not be done
/// (standard error says why).
#[derive(Debug, Parser)]
#[command(after_help = "\
Examples:
  export KILN_ENDPOINT=http://127.0.0.1:8080
  kiln images list --status Available
  kiln images import images/disks/debian.qcow2 --name debian-13 --check --wait
  kiln images share m-1 1234567890123456
  kiln images export m-1 backups --image-format qcow2 --wait
  kiln images list --format json | jq -r '.Images.Image[].ImageId'")]
pub(crate) struct ImagesArgs {
    /// The endpoint, as http(s)://host or http(s)://host:port [default: KILN_ENDPOINT or ALIBABA_CLOUD_ECS_ENDPOINT]
    #[arg(long, global = true, value_name = "URL")]
    pub(crate) endpoint: Option<String>,
    /// The region
    #[arg(long, global = true, value_name = "ID", default_value = "cn-hangzhou")]
    pub(crate) region: String,
    /// The id of the access key [default: ALIBABA_CLOUD_ACCESS_KEY_ID]
    #[arg(long, global = true, value_name = "ID")]
    pub(crate) access_key_id: Option<String>,
    /// How to print the answer
    #[arg(long, global = true, value_enum, default_value_t = ImagesFormat::Table)]
    pub(crate) format: ImagesFormat,
    #[command(subcommand)]
    pub(crate) command: ImagesCommand,
}

/// How an answer is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ImagesFormat {
    /// For people
    Table,
    /// For programs: what the endpoint answered
    Json,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ImagesCommand {
    /// List images
    List {
        /// Only images of this name; * stands for anything
        #[arg(long)]
        name: Option<String>,
        /// Only images of this family
        #[arg(long)]
        family: Option<String>,
        /// Only images of these states, separated by commas
        #[arg(long)]
        status: Option<String>,
        /// Whose images: self, others or system
        #[arg(long, value_name = "WHO")]
        owner: Option<String>,
        /// Only images with this tag (repeatable)
        #[arg(long = "tag", value_name = "KEY=VALUE", value_parser = tag)]
        tags: Vec<(String, String)>,
    },
    /// Show one image with its disks and what its check found
    Show { image: String },
    /// Make an image of a file in a bucket
    Import(ImportArgs),
    /// Write an image to a bucket
    Export {
        image: String,
        bucket: String,
        /// What the names of the files begin with
        #[arg(long)]
        prefix: Option<String>,
        /// The format of the files
        #[arg(long, value_name = "FORMAT")]
        image_format: Option<String>,
        #[command(flatten)]
        wait: WaitArgs,
    },
    /// Copy an image to a region
    Copy {
        image: String,
        /// The region of the copy
        #[arg(long, value_name = "REGION")]
        to: String,
        /// The name of the copy
        #[arg(long)]
        name: Option<String>,
    },
    /// Let accounts use an image
    Share {
        image: String,
        #[arg(required = true, value_name = "ACCOUNT")]
        accounts: Vec<String>,
    },
    /// Let accounts use an image no longer
    Unshare {
        image: String,
        #[arg(required = true, value_name = "ACCOUNT")]
        accounts: Vec<String>,
    },
    /// Give tags to an image
    Tag {
        image: String,
        #[arg(required = true, value_name = "KEY=VALUE", value_parser = tag)]
        tags: Vec<(String, String)>,
    },
    /// Take tags from an image
    Untag {
        image: String,
        #[arg(required_unless_present = "all", conflicts_with = "all", value_name = "KEY")]
        keys: Vec<String>,
        /// Take all of them
        #[arg(long)]
        all: bool,
    },
    /// Delete an image
    Delete {
        image: String,
        /// Delete it though instances use it
        #[arg(long)]
        force: bool,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
    },
    /// Leave an image out of its family and of what can be shared
    Deprecate {
        image: String,
        /// Make it available again
        #[arg(long)]
        undo: bool,
    },
    /// List the tasks that import and export images
    Tasks {
        /// Only tasks of this state, for example Processing
        #[arg(long)]
        status: Option<String>,
    },
    /// Stop a task, or the making of a copy
    Cancel {
        /// The id of the task (t-...), or of the copy (m-...)
        id: String,
    },
}

#[derive(Debug, Parser)]
pub(crate) struct ImportArgs {
    /// The file, as BUCKET/OBJECT
    #[arg(value_name = "BUCKET/OBJECT", value_parser = object)]
    pub(crate) object: (String, String),
    /// The name of the image
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// The distribution, for example Debian
    #[arg(long)]
    pub(crate) platform: Option<String>,
    /// x86_64 or arm64
    #[arg(long, value_name = "ARCH")]
    pub(crate) architecture: Option<String>,
    /// BIOS or UEFI
    #[arg(long, value_name = "MODE")]
    pub(crate) boot_mode: Option<String>,
    /// The size of the disk, in GiB
    #[arg(long, value_name = "GIB", value_parser = value_parser!(u32).range(1..=65_536))]
    pub(crate) size: Option<u32>,
    /// Have the image checked once it is there
    #[arg(long)]
    pub(crate) check: bool,
    #[command(flatten)]
    pub(crate) wait: WaitArgs,
}

/// Whether to wait for a task
#[derive(Clone, Copy, Debug, Parser)]
pub(crate) struct WaitArgs {
    /// Wait until the task has ended
    #[arg(long)]
    pub(crate) wait: bool,
    /// Longest wait, in seconds; the task goes on after it
    #[arg(long, value_name = "S", default_value_t = 7200, value_parser = value_parser!(u32).range(1..=604_800))]
    pub(crate) timeout: u32,
}

/// `KEY=VALUE`, or `KEY` for an empty value.
fn tag(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').unwrap_or((text, ""));
    if key.is_empty() {
        return Err("KEY=VALUE is expected".to_owned());
    }
    Ok((key.to_owned(), value.to_owned()))
}

fn object(text: &str) -> Result<(String, String), String> {
    let text = text.strip_prefix("oss://").unwrap_or(text);
    match text.split_once('/') {
        Some((bucket, object)) if !bucket.is_empty() && !object.is_empty() => {
            Ok((bucket.to_owned(), object.to_owned()))
        }
        _ => Err("BUCKET/OBJECT is expected".to_owned()),
    }
}
