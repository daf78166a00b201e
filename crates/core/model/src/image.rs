//! An image as a record: what is known of it, who may see it, where its disks are.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The processor that an image is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Architecture {
    /// 32-bit x86.
    #[serde(rename = "i386")]
    I386,
    /// 64-bit x86.
    #[serde(rename = "x86_64")]
    X86_64,
    /// 64-bit ARM.
    #[serde(rename = "arm64")]
    Arm64,
}

/// The family of operating systems.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum OsType {
    /// Any Linux.
    #[serde(rename = "linux")]
    Linux,
    /// Any Windows.
    #[serde(rename = "windows")]
    Windows,
}

/// How the firmware starts an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum BootMode {
    /// Legacy BIOS.
    #[serde(rename = "BIOS")]
    Bios,
    /// UEFI.
    #[serde(rename = "UEFI")]
    Uefi,
    /// Both; UEFI where the machine has it.
    #[serde(rename = "UEFI-Preferred")]
    UefiPreferred,
}

/// How the operating system is licensed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum LicenseType {
    /// Decided by platform.
    Auto,
    /// By the cloud.
    Aliyun,
    /// Brought by the owner.
    #[serde(rename = "BYOL")]
    Byol,
}

/// Whether something is supported, in the word of the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Support {
    /// It is.
    Supported,
    /// It is not.
    Unsupported,
}

/// Which version of the metadata service an instance of the image must use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ImdsSupport {
    /// Either version.
    V1,
    /// Only the hardened one.
    V2,
}

/// Where an image is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum ImageStatus {
    /// An import, a copy or a creation writes its disks.
    Creating,
    /// It waits for another operation to end.
    Waiting,
    /// It can be used.
    Available,
    /// It cannot be used for now.
    UnAvailable,
    /// The operation that made it failed.
    CreateFailed,
    /// It can be used, but is no longer offered.
    Deprecated,
}

/// A disk's part in an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DiskKind {
    /// The one that is booted from.
    System,
    /// Any other.
    Data,
}

/// The bytes of a disk in the store of its region: a qcow2 file named by its hash.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Blob {
    /// SHA-256 of the file, 64 lower-case hexadecimal digits.
    pub hash: String,
    /// Length of the file in bytes.
    pub size: u64,
}

/// An object in a bucket.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ObjectName {
    /// Name of the bucket.
    pub bucket: String,
    /// Key of the object.
    pub object: String,
}

/// One disk of an image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disk {
    /// System or data.
    pub kind: DiskKind,
    /// Name of the device in an instance, such as `/dev/xvda`.
    pub device: String,
    /// Size in GiB that instances get.
    pub size_gib: u64,
    /// Size in bytes that the disk itself has; nothing before it was read.
    pub virtual_size: Option<u64>,
    /// The format that was imported, lower case.
    pub format: Option<String>,
    /// The format that the caller of an import declared, upper case.
    pub declared_format: Option<String>,
    /// Where it was imported from.
    pub source: Option<ObjectName>,
    /// Size in bytes of that object when the import was accepted: another one is read by then if it
    /// has changed.
    #[serde(default)]
    pub source_size: Option<u64>,
    /// Identifier of the snapshot that stands for the disk.
    pub snapshot: String,
    /// Its bytes. Set as soon as the hash is known, so that no blob is ever without a record that names
    /// it; the bytes are there for certain once `is_stored`.
    pub blob: Option<Blob>,
    /// Whether the bytes are in the region's store.
    pub is_stored: bool,
    /// How much of the disk is done, 0 to 100.
    pub progress: u8,
}

/// Whether the check of an image is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum DetectionStatus {
    /// It runs.
    Processing,
    /// Its result is there.
    Finished,
}

/// What one item of a check found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DetectionItem {
    /// Name of the item, such as `Nvme`.
    pub name: String,
    /// What was found, such as `Supported`.
    pub value: String,
    /// `High` or `Medium`, where there is a risk.
    pub risk_level: Option<String>,
    /// Which risk, such as `Fstab.InvalidDevice`.
    pub risk_code: Option<String>,
}

/// The check of an image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Detection {
    /// Whether it is under way.
    pub status: DetectionStatus,
    /// Its results, once finished.
    pub items: Vec<DetectionItem>,
    /// Why it could not be made, if so.
    pub fault: Option<String>,
}

/// What a copy was made from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CopySource {
    /// Region of the source.
    pub region: String,
    /// Identifier of the source.
    pub image: String,
}

/// An image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    /// `m-…`.
    pub id: String,
    /// Region that it is in.
    pub region: String,
    /// Account that owns it.
    pub owner: String,
    /// Name, unique among the owner's images of the region.
    pub name: String,
    /// Free text.
    pub description: String,
    /// Image family, if any.
    pub family: Option<String>,
    /// Version within the family.
    pub version: String,
    /// Processor.
    pub architecture: Architecture,
    /// Kind of operating system.
    pub os_type: OsType,
    /// Distribution, in the word of the wire (`Red Hat` as `RedHat`).
    pub platform: String,
    /// Name of the operating system for people.
    pub os_name: String,
    /// Firmware.
    pub boot_mode: BootMode,
    /// Licence.
    pub license_type: LicenseType,
    /// Where it is in its life.
    pub status: ImageStatus,
    /// How much of its creation is done, 0 to 100.
    pub progress: u8,
    /// When it was made, to the second.
    pub created: Timestamp,
    /// The system disk first.
    pub disks: Vec<Disk>,
    /// Its check, if one was asked for.
    pub detection: Option<Detection>,
    /// Whether it starts from an NVMe disk.
    pub nvme: Support,
    /// Metadata service.
    pub imds: ImdsSupport,
    /// Whether it has cloud-init.
    pub has_cloud_init: bool,
    /// Tags of the owner and of kiln (`acs:…`).
    pub tags: BTreeMap<String, String>,
    /// Resource group, if any.
    pub resource_group: Option<String>,
    /// Accounts that it is shared with, and since when.
    pub shared: BTreeMap<String, Timestamp>,
    /// Whether every account may see it.
    pub is_public: bool,
    /// What it is a copy of.
    pub copied_from: Option<CopySource>,
    /// The import or copy that makes it, while it is under way.
    pub task: Option<String>,
    /// Exports that are under way.
    pub exports: Vec<String>,
}

impl Image {
    /// Size in GiB of the system disk.
    #[must_use]
    pub fn size_gib(&self) -> u64 {
        self.disks.first().map_or(0, |disk| disk.size_gib)
    }
}
