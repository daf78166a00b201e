//! From the parameters of `ImportImage` to what is to be done, with every fault that the
//! parameters alone can show.
//!
//! Buckets, objects, roles, resource groups, quotas and names that are taken need a look at what
//! there is; they are judged after this. The order is that of the documentation's table as far as
//! one request can have several faults: what is missing, what is malformed, what does not fit
//! together.

use std::collections::{BTreeMap, BTreeSet};

use kiln_ecs::{
    error::ApiError,
    types::import_image::{DiskDeviceMapping, ImportImageRequest},
};
use kiln_model::{Architecture, BootMode, ImdsSupport, LicenseType, OsType, Support};

use crate::ecs::actions::check::{self, Twice};

/// Most disks of one import; further ones are passed over, as the documentation says.
pub(crate) const MAX_DISKS: usize = 17;
/// Most GiB of a disk.
pub(crate) const MAX_SIZE_GIB: u64 = 2048;

/// Suffixes of objects that are no disk. `.raw.tar.gz`, which an export writes, is one.
const NO_DISKS: [&str; 16] = [
    ".iso", ".tar", ".gz", ".tgz", ".zip", ".rar", ".7z", ".bz2", ".tbz2", ".xz", ".txz", ".zst",
    ".lz4", ".lzma", ".ova", ".ovf",
];

/// An import, as asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ImportSpec {
    /// Region of the bucket and of the image.
    pub region: String,
    /// Name; without one the image gets its identifier as name.
    pub name: Option<String>,
    /// Free text, maybe empty.
    pub description: String,
    /// Processor.
    pub architecture: Architecture,
    /// Kind of operating system.
    pub os_type: OsType,
    /// Distribution, `RedHat` without a blank.
    pub platform: String,
    /// Firmware.
    pub boot_mode: BootMode,
    /// Licence.
    pub license_type: LicenseType,
    /// Role that reads the bucket, if one is named.
    pub role_name: Option<String>,
    /// Resource group, if one is named.
    pub resource_group: Option<String>,
    /// One to [`MAX_DISKS`], the system disk first.
    pub disks: Vec<ImportDisk>,
    /// Tags of the image.
    pub tags: BTreeMap<String, String>,
    /// Whether the image is checked once it is there.
    pub is_checked: bool,
    /// Whether it starts from an NVMe disk.
    pub nvme: Support,
    /// Metadata service.
    pub imds: ImdsSupport,
    /// Makes a repeated request the same one.
    pub client_token: Option<String>,
    /// Only judge the request.
    pub dry_run: bool,
}

/// One disk of an import.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ImportDisk {
    /// Name of the bucket.
    pub bucket: String,
    /// Key of the object.
    pub object: String,
    /// Declared format, upper case; nothing is to be detected.
    pub format: Option<String>,
    /// Size in GiB, 1 to [`MAX_SIZE_GIB`]; nothing is that of the object.
    pub size_gib: Option<u64>,
    /// Name of the device, such as `/dev/xvda`.
    pub device: String,
}

/// Judge a request. `is_region` tells whether there is such a region.
///
/// # Errors
///
/// Those of the action's table that need no look at a bucket, with their status, code and text.
pub(crate) fn validate(
    request: &ImportImageRequest,
    is_region: impl Fn(&str) -> bool,
) -> Result<ImportSpec, ApiError> {
    let region = check::given(request.region_id.as_ref()).ok_or_else(|| missing("RegionId"))?;
    if !is_region(region) {
        return Err(check::unknown_region(400));
    }
    if request.disk_device_mapping.is_empty() {
        let message = "The specified parameter DiskDeviceMapping is not supplied.";
        return Err(ApiError::new(403, "MissingParameter.DiskDeviceMapping", message));
    }
    if check::given(request.storage_location_arn.as_ref()).is_some() {
        let code = "InvalidOperation.CloudBoxImageImportUnsupported";
        let message = "Importing an image to a CloudBox is not supported.";
        return Err(ApiError::new(403, code, message));
    }
    let client_token = check::client_token(request.client_token.as_ref())?.map(str::to_owned);
    let (name, description) = texts(request)?;
    let System { architecture, os_type, platform, boot_mode, license_type } = system(request)?;
    let (nvme, imds) = features(request)?;
    let is_checked = is_checked(request, platform)?;
    check::tag_count(&request.tag)?;
    Ok(ImportSpec {
        region: region.to_owned(),
        name,
        description,
        architecture,
        os_type,
        platform: platform.to_owned(),
        boot_mode,
        license_type,
        role_name: check::given(request.role_name.as_ref()).map(str::to_owned),
        resource_group: check::given(request.resource_group_id.as_ref()).map(str::to_owned),
        disks: disks(&request.disk_device_mapping)?,
        tags: check::tags(&request.tag, Twice::AnyCase)?,
        is_checked,
        nvme,
        imds,
        client_token,
        dry_run: request.dry_run.unwrap_or(false),
    })
}

/// This action's own wording of a parameter that is not there.
fn missing(name: &str) -> ApiError {
    let message = format!(
        "An input parameter \"{name}\" that is mandatory for processing the request is not supplied."
    );
    ApiError::new(400, "MissingParameter", message)
}

/// 400 with a code of the form `Invalid….Malformed` and the wording that goes with it.
fn malformed(code: &str, what: &str) -> ApiError {
    let message = format!("The specified {what} is wrongly formed.");
    ApiError::new(400, format!("{code}.Malformed"), message)
}

fn texts(request: &ImportImageRequest) -> Result<(Option<String>, String), ApiError> {
    let name = check::given(request.image_name.as_ref());
    if name.is_some_and(|name| kiln_model::image_name(name).is_err()) {
        return Err(malformed("InvalidImageName", "Image name"));
    }
    let description = check::given(request.description.as_ref());
    if description.is_some_and(|text| kiln_model::description(text).is_err()) {
        return Err(malformed("InvalidDescription", "Image description"));
    }
    Ok((name.map(str::to_owned), description.unwrap_or_default().to_owned()))
}

/// What the operating system is said to be.
struct System {
    architecture: Architecture,
    os_type: OsType,
    platform: &'static str,
    boot_mode: BootMode,
    license_type: LicenseType,
}

fn system(request: &ImportImageRequest) -> Result<System, ApiError> {
    let architecture = match check::given(request.architecture.as_ref()) {
        None => Architecture::X86_64,
        Some(word) => check::architecture(word)
            .ok_or_else(|| malformed("InvalidArchitecture", "Architecture"))?,
    };
    let (os_type, platform) = os(request)?;
    let boot_mode = boot_mode(request, architecture)?;
    let has_no_such_release = match architecture {
        Architecture::Arm64 => os_type == OsType::Windows,
        // The last Windows Server for 32 bits was 2008.
        Architecture::I386 => {
            ["Windows Server 2012", "Windows Server 2016", "Windows Server 2019"]
                .contains(&platform)
                || platform == "Windows Server 2022"
        }
        Architecture::X86_64 => false,
    };
    if has_no_such_release {
        let message = "The OS platform you selected does not support the specified architecture.";
        return Err(ApiError::new(403, "InvalidArchitecture.PlatformUnsupported", message));
    }
    let license_type = license_type(request, platform)?;
    Ok(System { architecture, os_type, platform, boot_mode, license_type })
}

/// The kind of system and the distribution. A distribution alone tells the kind.
fn os(request: &ImportImageRequest) -> Result<(OsType, &'static str), ApiError> {
    let wrong_type = || malformed("InvalidOSType", "OSType");
    let platform = match check::given(request.platform.as_ref()) {
        None => None,
        Some(word) => {
            Some(check::platform(word).ok_or_else(|| malformed("InvalidPlatform", "Platform"))?)
        }
    };
    let os_type = match check::given(request.os_type.as_ref()) {
        None => None,
        Some(word) => Some(check::os_type(word).ok_or_else(wrong_type)?),
    };
    match (os_type, platform) {
        (Some(asked), Some((_, told))) if asked != told => Err(wrong_type()),
        (_, Some((platform, os_type))) => Ok((os_type, platform)),
        (Some(OsType::Windows), None) => Ok((OsType::Windows, "Other Windows")),
        (Some(OsType::Linux) | None, None) => Ok((OsType::Linux, "Others Linux")),
    }
}

fn boot_mode(
    request: &ImportImageRequest,
    architecture: Architecture,
) -> Result<BootMode, ApiError> {
    let is_arm = architecture == Architecture::Arm64;
    let Some(word) = check::given(request.boot_mode.as_ref()) else {
        return Ok(if is_arm { BootMode::Uefi } else { BootMode::Bios });
    };
    match check::boot_mode(word) {
        Some(BootMode::Bios) if is_arm => {
            let code = "InvalidBootMode.NotSupport";
            let message = "The specified parameter BootMode is not supported for current image \
                           architecture.";
            Err(ApiError::new(400, code, message))
        }
        Some(mode @ (BootMode::Bios | BootMode::Uefi)) => Ok(mode),
        // `UEFI-Preferred` is a word of other actions.
        Some(BootMode::UefiPreferred) | None => {
            let message = "The specified parameter \"BootMode\" is malformed.";
            Err(ApiError::new(400, "InvalidBootMode.Malformed", message))
        }
    }
}

fn license_type(request: &ImportImageRequest, platform: &str) -> Result<LicenseType, ApiError> {
    let Some(word) = check::given(request.license_type.as_ref()) else {
        return Ok(LicenseType::Auto);
    };
    let license = check::license_type(word).ok_or_else(|| {
        let message = "The specified LicenseType is not supported.";
        ApiError::new(400, "InvalidLicenseType.NotSupported", message)
    })?;
    if license == LicenseType::Aliyun && platform == "Other Windows" {
        let message = "Only BYOL LicenseType is supported for the current platform provided.";
        return Err(ApiError::new(400, "InvalidLicenseType.BYOLOnly", message));
    }
    Ok(license)
}

fn features(request: &ImportImageRequest) -> Result<(Support, ImdsSupport), ApiError> {
    let features = request.features.clone().unwrap_or_default();
    let nvme = match check::given(features.nvme_support.as_ref()) {
        None => Support::Unsupported,
        Some(word) => check::support(word).ok_or_else(|| {
            let why = "It is `supported` or `unsupported`.";
            ApiError::invalid_parameter("Features.NvmeSupport", why)
        })?,
    };
    let imds = match check::given(features.imds_support.as_ref()) {
        None => ImdsSupport::V1,
        Some(word) => check::imds(word).ok_or_else(|| {
            let message = "The specified parameter Features.ImdsSupport is not supported.";
            ApiError::new(400, "InvalidParameter.FeaturesImdsSupport", message)
        })?,
    };
    Ok((nvme, imds))
}

/// Whether a check is asked for. There is none for the two oldest Windows.
fn is_checked(request: &ImportImageRequest, platform: &str) -> Result<bool, ApiError> {
    match check::given(request.detection_strategy.as_ref()) {
        None => Ok(false),
        Some("Standard") if ["Windows Server 2003", "Windows Server 2008"].contains(&platform) => {
            let message = "Image check is unsupported for windows image.";
            Err(ApiError::new(403, "ImageCheckUnsupported.WindowsImage", message))
        }
        Some("Standard") => Ok(true),
        Some(_) => {
            let message = "The specified parameter DetectionStrategy is invalid.";
            Err(ApiError::new(400, "InvalidParameter.DetectionStrategy", message))
        }
    }
}

fn disks(mappings: &[DiskDeviceMapping]) -> Result<Vec<ImportDisk>, ApiError> {
    let mut devices = BTreeSet::new();
    let mut disks = Vec::new();
    for (mapping, n) in mappings.iter().take(MAX_DISKS).zip(1_u8..) {
        let disk = disk(mapping, n)?;
        if !devices.insert(disk.device.clone()) {
            return Err(wrong_device());
        }
        disks.push(disk);
    }
    Ok(disks)
}

/// One disk, the `n`th from 1.
fn disk(mapping: &DiskDeviceMapping, n: u8) -> Result<ImportDisk, ApiError> {
    let needed = |field: &str, text: &Option<String>| {
        text.clone().ok_or_else(|| missing(&format!("DiskDeviceMapping.{n}.{field}")))
    };
    let bucket = needed("OSSBucket", &mapping.oss_bucket)?;
    let object = needed("OSSObject", &mapping.oss_object)?;
    if !is_bucket(&bucket) {
        return Err(malformed("InvalidOSSBucket", "OSS bucket"));
    }
    if !is_object(&object) {
        return Err(malformed("InvalidOSSObject", "OSS object"));
    }
    if !is_disk(&object) {
        let message = "The specified OSS object suffix is not supported.";
        return Err(ApiError::new(400, "UnsupportedSuffix.OSSObject", message));
    }
    let format = check::given(mapping.format.as_ref());
    if format.is_some_and(|format| !["RAW", "VHD", "QCOW2", "VMDK"].contains(&format)) {
        return Err(malformed("InvalidImageFormat", "Image Format"));
    }
    let size_gib = match mapping.disk_image_size.or(mapping.disk_im_size) {
        None => None,
        Some(size) => Some(
            u64::try_from(size)
                .ok()
                .filter(|size| (1..=MAX_SIZE_GIB).contains(size))
                .ok_or_else(|| wrong_size(n))?,
        ),
    };
    let device = device(check::given(mapping.device.as_ref()), n)?;
    Ok(ImportDisk { bucket, object, format: format.map(str::to_owned), size_gib, device })
}

fn wrong_size(n: u8) -> ApiError {
    if n == 1 {
        let message = "The specified DiskDeviceMapping.1.DiskImageSize is not 1 to 2048 GiB.";
        return ApiError::new(400, "InvalidImageSize", message);
    }
    let message =
        format!("The specified DiskDeviceMapping.{n}.DiskImSize should be in the specified range.");
    ApiError::new(400, "InvalidDataDiskSize", message)
}

/// Letters, digits and inner hyphens, up to 63.
fn is_bucket(name: &str) -> bool {
    let is_allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    (1..=63).contains(&name.len())
        && name.bytes().all(is_allowed)
        && !name.starts_with('-')
        && !name.ends_with('-')
}

/// A key as an object store takes it: up to 1023 bytes, no address, no leading slash.
fn is_object(name: &str) -> bool {
    (1..=1023).contains(&name.len())
        && !["http://", "https://", "/", "\\"].iter().any(|start| name.starts_with(start))
        && !name.chars().any(char::is_control)
}

fn is_disk(object: &str) -> bool {
    let object = object.to_lowercase();
    object.ends_with(".raw.tar.gz") || !NO_DISKS.iter().any(|suffix| object.ends_with(suffix))
}

/// The wording is the documentation's, with its blank.
fn wrong_device() -> ApiError {
    let message = "The specified parameter \"DiskDeviceMapping.n.Device \" is not valid.";
    ApiError::new(403, "InvalidParameter.Malformed", message)
}

/// The device of the `n`th disk: `/dev/xvda` and on, unless the request names one of that form.
fn device(name: Option<&str>, n: u8) -> Result<String, ApiError> {
    let Some(name) = name else {
        return Ok(format!("/dev/xvd{}", char::from(b'a' + n.saturating_sub(1).min(25))));
    };
    let letter = name.strip_prefix("/dev/xvd").or_else(|| name.strip_prefix("/dev/vd"));
    let is_letter = |rest: &str| rest.len() == 1 && rest.bytes().all(|b| b.is_ascii_lowercase());
    if letter.is_some_and(is_letter) { Ok(name.to_owned()) } else { Err(wrong_device()) }
}

#[cfg(test)]
mod tests;
