//! `ModifyImageAttribute`: what can be changed of an image that is there.

use kiln_ecs::error::ApiError;
use kiln_model::{Architecture, BootMode, Image, ImageStatus, ImdsSupport, LicenseType, Support};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    check::{self, given},
    owned,
};
use crate::ecs::Call;

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Request {
    boot_mode: Option<String>,
    description: Option<String>,
    dry_run: Option<bool>,
    features: Option<Features>,
    image_family: Option<String>,
    image_id: Option<String>,
    image_name: Option<String>,
    license_type: Option<String>,
    region_id: Option<String>,
    status: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Features {
    imds_support: Option<String>,
    nvme_support: Option<String>,
}

/// A request whose words are all good. `None` leaves as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Wanted {
    name: Option<String>,
    description: Option<String>,
    /// Empty leaves the family.
    family: Option<String>,
    boot_mode: Option<BootMode>,
    license: Option<LicenseType>,
    /// Only `Deprecated` and `Available`.
    status: Option<ImageStatus>,
    nvme: Option<Support>,
    imds: Option<ImdsSupport>,
}

/// Change an own image.
pub(super) async fn modify_image_attribute(call: &Call<'_>) -> Result<Value, ApiError> {
    let request: Request = call.parse()?;
    let region = given(request.region_id.as_ref()).unwrap_or("*");
    let rest = format!("image/{}", given(request.image_id.as_ref()).unwrap_or("*"));
    call.authorize("ecs:ModifyImageAttribute", &call.resource(region, &rest))?;
    let region = &call.region(check::needed("RegionId", request.region_id.as_ref())?)?.id;
    let id = check::needed("ImageId", request.image_id.as_ref())?;
    let wanted = wanted(&request)?;
    if request.dry_run == Some(true) {
        let mut image = owned::own(call, region, id).await?.value;
        wanted.put_into(&mut image)?;
        return Err(check::dry_run());
    }
    owned::change(call, region, &[id], |image| wanted.put_into(image)).await?;
    Ok(json!({}))
}

fn wanted(request: &Request) -> Result<Wanted, ApiError> {
    let bad = |code: &str, message: &str| ApiError::new(400, code, message);
    let text = |text: &Option<String>| given(text.as_ref()).map(str::to_owned);
    let name = text(&request.image_name);
    if let Some(Err(fault)) = name.as_deref().map(kiln_model::image_name) {
        let message = format!(
            "Image names must be between 2 and 128 characters long, start with a letter, and hold \
             letters, digits, periods, colons, underscores and hyphens only; this one {fault}."
        );
        return Err(bad("InvalidImageName.Malformed", &message));
    }
    let description = text(&request.description);
    if let Some(Err(fault)) = description.as_deref().map(kiln_model::description) {
        let message = format!("The specified Image description is wrongly formed: it {fault}.");
        return Err(bad("InvalidDescription.Malformed", &message));
    }
    if let Some(Err(fault)) = given(request.image_family.as_ref()).map(kiln_model::family) {
        let message = format!("The specified ImageFamily is wrongly formed: it {fault}.");
        return Err(bad("InvalidImageFamily.Malformed", &message));
    }
    let license = match given(request.license_type.as_ref()) {
        None => None,
        Some("BYOL") => Some(LicenseType::Byol),
        Some(_) => {
            let message = "The specified LicenseType is not supported.";
            return Err(bad("InvalidLicenseType.NotSupported", message));
        }
    };
    let status = match given(request.status.as_ref()) {
        None => None,
        Some("Deprecated") => Some(ImageStatus::Deprecated),
        Some("Available") => Some(ImageStatus::Available),
        Some(_) => {
            let why = "It is `Deprecated` or `Available`.";
            return Err(ApiError::invalid_parameter("Status", why));
        }
    };
    let boot_mode = given(request.boot_mode.as_ref())
        .map(|word| check::boot_mode(word).ok_or_else(wrong_boot_mode))
        .transpose()?;
    let (nvme, imds) = features(request.features.as_ref())?;
    let family = request.image_family.clone();
    Ok(Wanted { name, description, family, boot_mode, license, status, nvme, imds })
}

fn features(
    features: Option<&Features>,
) -> Result<(Option<Support>, Option<ImdsSupport>), ApiError> {
    let Some(features) = features else { return Ok((None, None)) };
    let nvme = given(features.nvme_support.as_ref()).map(|word| {
        let why = "It is `supported` or `unsupported`.";
        check::support(word).ok_or_else(|| ApiError::invalid_parameter("Features.NvmeSupport", why))
    });
    let imds = given(features.imds_support.as_ref()).map(|word| {
        let message = "The specified parameter Features.ImdsSupport is not supported.";
        check::imds(word)
            .ok_or_else(|| ApiError::new(400, "InvalidParameter.FeaturesImdsSupport", message))
    });
    Ok((nvme.transpose()?, imds.transpose()?))
}

fn wrong_boot_mode() -> ApiError {
    let message = "The specified parameter BootMode is not supported for current image.";
    ApiError::new(400, "InvalidBootMode.NotSupport", message)
}

impl Wanted {
    /// Change the record, if the image is in a state for it.
    fn put_into(&self, image: &mut Image) -> Result<(), ApiError> {
        if matches!(image.status, ImageStatus::Creating | ImageStatus::Waiting) {
            let message = "The operation cannot be performed because the image is creating. Try \
                           again when it is available.";
            return Err(ApiError::new(403, "InvalidStatus.ImageIsCreating", message));
        }
        if let Some(mode) = self.boot_mode {
            if image.architecture == Architecture::Arm64 && mode != BootMode::Uefi {
                return Err(wrong_boot_mode());
            }
            image.boot_mode = mode;
        }
        if let Some(imds) = self.imds {
            if (image.imds, imds) == (ImdsSupport::V2, ImdsSupport::V1) {
                let code = "InvalidOperation.FeaturesImdsSupportNotMatch";
                let message =
                    "The specified parameter Features.ImdsSupport can not be set to v1 from v2.";
                return Err(ApiError::new(403, code, message));
            }
            image.imds = imds;
        }
        if let Some(status) = self.status {
            image.status = moved(image, status)?;
        }
        image.name = self.name.clone().unwrap_or_else(|| image.name.clone());
        image.description = self.description.clone().unwrap_or_else(|| image.description.clone());
        if let Some(family) = &self.family {
            image.family = Some(family.clone()).filter(|family| !family.is_empty());
        }
        image.license_type = self.license.unwrap_or(image.license_type);
        image.nvme = self.nvme.unwrap_or(image.nvme);
        Ok(())
    }
}

/// Deprecated images are no longer shared, so what is shared is not deprecated.
fn moved(image: &Image, to: ImageStatus) -> Result<ImageStatus, ApiError> {
    match (image.status, to) {
        (ImageStatus::Available, ImageStatus::Deprecated) if !image.shared.is_empty() => {
            let message = "The specified image has been shared to others, please remove shared \
                           accounts first.";
            Err(ApiError::new(403, "ImageUseShared", message))
        }
        (ImageStatus::Available, ImageStatus::Deprecated)
        | (ImageStatus::Deprecated, ImageStatus::Available) => Ok(to),
        (_, ImageStatus::Deprecated) => {
            let message = "The specified image status is not available.";
            Err(ApiError::new(403, "ImageStatus.NotAvailable", message))
        }
        _ => {
            let message = "The specified image status is not deprecated.";
            Err(ApiError::new(403, "ImageStatus.NotDeprecated", message))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ecs::actions::testing::{OWNER, Site, sound};

    async fn site() -> Site {
        let mut images =
            ["m-a", "m-new", "m-old", "m-v2", "m-arm", "m-shared", "m-other"].map(sound);
        images[1].status = ImageStatus::Creating;
        images[2].status = ImageStatus::Deprecated;
        images[3].imds = ImdsSupport::V2;
        images[4].architecture = Architecture::Arm64;
        images[5].shared.insert("2".to_owned(), images[5].created);
        images[6].owner = "2".to_owned();
        Site::of(images).await
    }

    #[tokio::test]
    async fn what_is_given_changes_and_the_rest_stays() {
        let site = site().await;
        let modify = async |pairs: &[(&str, &str)]| {
            assert_eq!(site.ask("ModifyImageAttribute", pairs).await, Ok(json!({})));
            site.image("m-a").await
        };
        let changed = modify(&[
            ("ImageId", "m-a"),
            ("ImageName", "other"),
            ("Description", "words"),
            ("ImageFamily", "fam"),
            ("BootMode", "UEFI-Preferred"),
            ("LicenseType", "BYOL"),
            ("Features.NvmeSupport", "supported"),
            ("Features.ImdsSupport", "v2"),
            ("Status", "Deprecated"),
        ])
        .await;
        let expected = Image {
            name: "other".to_owned(),
            description: "words".to_owned(),
            family: Some("fam".to_owned()),
            boot_mode: BootMode::UefiPreferred,
            license_type: LicenseType::Byol,
            nvme: Support::Supported,
            imds: ImdsSupport::V2,
            status: ImageStatus::Deprecated,
            ..sound("m-a")
        };
        assert_eq!(changed, expected);
        assert_eq!(modify(&[("ImageId", "m-a")]).await, expected);
        let left =
            modify(&[("ImageId", "m-a"), ("ImageFamily", ""), ("Status", "Available")]).await;
        assert_eq!((left.family, left.status), (None, ImageStatus::Available));
    }

    #[tokio::test]
    async fn each_fault_has_its_code_and_changes_nothing() {
        let site = site().await;
        for (id, parameter, value, status, code) in [
            ("", "Status", "", 400, "MissingParameter"),
            ("m-zz", "Description", "words", 404, "InvalidImageId.NotFound"),
            ("m-other", "Description", "words", 404, "InvalidImageId.NotFound"),
            ("m-a", "RegionId", "mars", 404, "InvalidRegionId.NotFound"),
            ("m-a", "RegionId", "cn-b", 404, "InvalidImageId.NotFound"),
            ("m-a", "ImageName", "1st", 400, "InvalidImageName.Malformed"),
            ("m-a", "ImageName", "name-m-old", 400, "InvalidImageName.Duplicated"),
            ("m-a", "Description", "x", 400, "InvalidDescription.Malformed"),
            ("m-a", "ImageFamily", "acs:x", 400, "InvalidImageFamily.Malformed"),
            ("m-a", "LicenseType", "Aliyun", 400, "InvalidLicenseType.NotSupported"),
            ("m-a", "BootMode", "CSM", 400, "InvalidBootMode.NotSupport"),
            ("m-arm", "BootMode", "BIOS", 400, "InvalidBootMode.NotSupport"),
            ("m-a", "Features.ImdsSupport", "v3", 400, "InvalidParameter.FeaturesImdsSupport"),
            ("m-a", "Features.NvmeSupport", "auto", 400, "InvalidParameter"),
            (
                "m-v2",
                "Features.ImdsSupport",
                "v1",
                403,
                "InvalidOperation.FeaturesImdsSupportNotMatch",
            ),
            ("m-a", "Status", "Gone", 400, "InvalidParameter"),
            ("m-old", "Status", "Deprecated", 403, "ImageStatus.NotAvailable"),
            ("m-a", "Status", "Available", 403, "ImageStatus.NotDeprecated"),
            ("m-shared", "Status", "Deprecated", 403, "ImageUseShared"),
            ("m-new", "Description", "words", 403, "InvalidStatus.ImageIsCreating"),
            ("m-a", "DryRun", "true", 400, "DryRunOperation"),
        ] {
            let found =
                site.ask("ModifyImageAttribute", &[("ImageId", id), (parameter, value)]).await;
            assert_eq!(found, Err((status, code.to_owned())), "{id} {parameter}={value}");
        }
        assert_eq!(site.image("m-a").await, sound("m-a"));
        let pairs = [("RegionId", "cn-a"), ("ImageId", "m-a")];
        let denied = site.call("nobody", "ModifyImageAttribute", &pairs).await.unwrap_err();
        assert_eq!((denied.status, &*denied.code), (403, "Forbidden.RAM"));
        assert!(site.call(OWNER, "ModifyImageAttribute", &pairs).await.is_ok());
    }
}
