//! What the image service refuses, in the codes and texts of the API.

use kiln_ecs::error::ApiError;
use kiln_factory::images::Refusal;

/// The action that was refused: some refusals have another code with another action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Of {
    Import,
    Copy,
    CancelCopy,
    Export,
    Delete,
    CancelTask,
}

/// The error of a refusal.
pub(super) fn api_error(of: Of, refusal: &Refusal) -> ApiError {
    let told = refusal.to_string();
    let (status, code, message) = match refusal {
        Refusal::BucketNotFound { .. }
        | Refusal::BucketElsewhere { .. }
        | Refusal::BucketForbidden { .. }
        | Refusal::ObjectNotFound { .. }
        | Refusal::ObjectEmpty { .. }
        | Refusal::ObjectBusy { .. } => object(refusal),
        Refusal::Format(_) => (403, "InvalidImageFormat.Malformed", told.as_str()),
        Refusal::VhdSize => (
            403,
            "InvalidVHDImage.IncorrectSize",
            "The specified size of the VHD image does not meet the \
             'header.MaxTableEntries * header.BlockSize' specification.",
        ),
        Refusal::BlockSize(_) => (403, "InvalidBlockSize.NotSupport", told.as_str()),
        Refusal::ImageSize(_) => (400, "InvalidImageSize", told.as_str()),
        Refusal::NameTaken => {
            (400, "InvalidImageName.Duplicated", "The destination image is exist.")
        }
        Refusal::Quota { .. } => (403, "QuotaExceed.Image", "The Image Quota exceeds."),
        Refusal::TokenInUse => {
            (403, "IdempotentProcessing", "The previous idempotent request(s) is still processing.")
        }
        Refusal::ImageNotFound { .. } => {
            (404, "InvalidImageId.NotFound", "The specified ImageId does not exist.")
        }
        Refusal::TaskNotFound { .. } => {
            (400, "InvalidTaskId.NotFound", "The specified \"TaskId\" is not found.")
        }
        Refusal::Store(error) if error.is_transient() => {
            tracing::error!(%error, "the store failed");
            (
                503,
                "ServiceUnavailable",
                "The request has failed due to a temporary failure of the server.",
            )
        }
        other => return state(of, other),
    };
    ApiError::new(status, code, message)
}

fn object(refusal: &Refusal) -> (u16, &'static str, &str) {
    match refusal {
        Refusal::BucketNotFound { .. } => (
            400,
            "InvalidOSSBucket.NotFound",
            "The specified OSS bucket does not exist in this region.",
        ),
        Refusal::BucketElsewhere { .. } => (
            400,
            "InvalidOSSBucket.NotMatched",
            "The specified OSS bucket is incorrect, it is in another region than the one of the \
             request.",
        ),
        Refusal::BucketForbidden { .. } => (
            403,
            "InvalidOSS.NotAuthorized",
            "The specified OSS bucket or object is not allowed to access.",
        ),
        Refusal::ObjectEmpty { .. } => {
            (400, "InvalidOSSObject.Size", "The specified OSS object size is zero.")
        }
        Refusal::ObjectBusy { .. } => {
            (403, "ImageIsImporting", "The specified Image is importing.")
        }
        _ => (
            400,
            "InvalidOSSObject.NotFound",
            "The specified OSS object does not exist in this region.",
        ),
    }
}

/// What an image or a task is not in the state for.
fn state(of: Of, refusal: &Refusal) -> ApiError {
    let told = refusal.to_string();
    let (status, code, message) = match (refusal, of) {
        (Refusal::NotAvailable, Of::Export) => {
            (400, "IncorrectImageStatus", "The specified Image is not available.")
        }
        (Refusal::NotAvailable, _) => (400, "IncorrectImageStatus", "The image not available."),
        (Refusal::Importing, _) => (403, "ImageIsImporting", "The specified Image is importing."),
        (Refusal::Exporting, Of::Export) => (
            403,
            "ImageIsExporting",
            "The specified Image is being exported. You can use the DescribeTasks API to check the \
             status of existing tasks.",
        ),
        (Refusal::Exporting, _) => {
            (403, "ImageIsExporting", "The specified Image is being exported.")
        }
        (Refusal::Copying, _) => {
            (403, "OperationDenied.ImageCopying", "The specified image is being copied.")
        }
        (Refusal::Shared, _) => (
            403,
            "ImageUseShared",
            "The specified image has been shared to others, please remove shared accounts first.",
        ),
        (Refusal::Public, _) => {
            (403, "ImageIsPublic", "You can not delete public image, please modify it to private.")
        }
        (Refusal::SameRegionOnly, _) => (
            403,
            "OperationDenied.SameRegionOnly",
            "The image shared from others can not be copied to another region directly.",
        ),
        (Refusal::License, _) => (
            403,
            "InvalidImageLicense.NotSupported",
            "The specified image has a license that does not support export.",
        ),
        (Refusal::TooLarge(_), _) => (400, "InvalidImage.DiskAmountOrSize", told.as_str()),
        (Refusal::NotCopied, _) => (
            400,
            "ImageCreatedNotFromCopy",
            "The specified image is not the target image of a copy action.",
        ),
        (Refusal::Ended, Of::CancelCopy) => {
            (400, "IncorrectImageStatus", "The image has completed copy.")
        }
        (Refusal::Ended, _) => {
            (403, "InvalidTaskId.IncorrectTaskStatus", "The specified task status is not invalid.")
        }
        (other, _) => {
            tracing::error!(error = %other, "an action failed");
            return ApiError::internal();
        }
    };
    ApiError::new(status, code, message)
}
