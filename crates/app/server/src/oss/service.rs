//! What is asked of the service and of a bucket as a whole.

use axum::body::Body;
use axum::http::{HeaderValue, Method};
use axum::response::Response;
use jiff::Timestamp;
use kiln_oss::documents::{
    AccessControlList, BucketDetails, BucketEntry, BucketInfo, Buckets, Code,
    ListAllMyBucketsResult, LocationConstraint, Owner,
};
use kiln_store::Bucket;

use super::{Answered, Call, document};

/// `GET /`: the buckets that the caller may know of.
pub(super) fn service(call: &Call<'_>) -> Answered {
    if call.asked.method != Method::GET {
        return Err(Code::MethodNotAllowed.into());
    }
    if !call.may("oss:ListBuckets", "*", None) {
        return Err(Code::AccessDenied.into());
    }
    let prefix = call.asked.parameter("prefix").unwrap_or_default();
    let all = call.state.buckets.iter();
    let bucket = all.filter(|bucket| bucket.settings.name.starts_with(prefix)).map(|bucket| {
        let (extranet_endpoint, location) = (call.state.endpoint.clone(), location_of(bucket));
        BucketEntry {
            creation_date: Timestamp::UNIX_EPOCH,
            intranet_endpoint: extranet_endpoint.clone(),
            extranet_endpoint,
            location,
            name: bucket.settings.name.clone(),
            region: bucket.settings.region.clone(),
            storage_class: "Standard".into(),
        }
    });
    document(&ListAllMyBucketsResult {
        owner: owner(call),
        buckets: Buckets { bucket: bucket.collect() },
    })
}

/// `GET ?location`.
pub(super) fn location(call: &Call<'_>, bucket: &Bucket) -> Answered {
    call.authorize("oss:GetBucketLocation", bucket, None)?;
    document(&LocationConstraint { location: location_of(bucket) })
}

/// `GET ?bucketInfo`.
pub(super) fn info(call: &Call<'_>, bucket: &Bucket) -> Answered {
    call.authorize("oss:GetBucketInfo", bucket, None)?;
    document(&BucketInfo {
        bucket: BucketDetails {
            creation_date: Timestamp::UNIX_EPOCH,
            extranet_endpoint: call.state.endpoint.clone(),
            intranet_endpoint: call.state.endpoint.clone(),
            location: location_of(bucket),
            name: bucket.settings.name.clone(),
            storage_class: "Standard".into(),
            data_redundancy_type: "LRS".into(),
            owner: owner(call),
            access_control_list: AccessControlList { grant: "private" },
        },
    })
}

/// `HEAD`: whether the bucket is there.
pub(super) fn head(call: &Call<'_>, bucket: &Bucket) -> Answered {
    call.authorize("oss:GetBucketInfo", bucket, None)?;
    let mut response = Response::new(Body::empty());
    if let Ok(region) = HeaderValue::from_str(&location_of(bucket)) {
        response.headers_mut().insert("x-oss-bucket-region", region);
    }
    Ok(response)
}

/// `PUT` of a bucket that is there already: OSS answers its owner so, too.
pub(super) fn put(call: &Call<'_>, bucket: &Bucket) -> Answered {
    call.authorize("oss:PutBucket", bucket, None)?;
    Ok(Response::new(Body::empty()))
}

/// Policies know no owner of a bucket: whoever may ask is told to be it.
fn owner(call: &Call<'_>) -> Owner {
    Owner { id: call.access_key_id.into(), display_name: call.access_key_id.into() }
}

fn location_of(bucket: &Bucket) -> String {
    format!("oss-{}", bucket.settings.region)
}
