//! `DescribeImages` and `DescribeImageFromFamily`: which images there are.

use jiff::Timestamp;
use kiln_ecs::{
    error::ApiError,
    types::{
        Tag,
        describe_images::{DescribeImagesRequest, DescribeImagesResponse, Images},
    },
};
use kiln_model::ImageStatus;
use kiln_store::{ImageQuery, Scope};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Answer,
    check::{self, given},
    errors,
    paging::{self, Page},
    wire,
};
use crate::ecs::{Call, instance_types};

/// Most filters of one request; there are only seven keys.
const MAX_FILTERS: usize = 20;

/// The images that the caller may see and asks for, newest first.
pub(super) async fn describe_images(call: &Call<'_>) -> Result<Answer, ApiError> {
    let request: DescribeImagesRequest = call.parse()?;
    let region = given(request.region_id.as_ref()).unwrap_or("*");
    call.authorize("ecs:DescribeImages", &call.resource(region, "image/*"))?;
    let region = &call.region(check::needed("RegionId", request.region_id.as_ref())?)?.id;
    let page = Page::of(request.page_number, request.page_size)?;
    let query = query(&request, region, call.account(), page)?;
    if request.dry_run == Some(true) {
        return Err(check::dry_run());
    }
    let found = match query {
        None => kiln_store::Page { total: 0, items: Vec::new() },
        Some(query) => call.service.records.images(&query).await.map_err(errors::store)?,
    };
    let now = Timestamp::now();
    let image = found.items.iter().map(|image| wire::image(image, call.account(), now)).collect();
    Ok(Answer::Images(Box::new(DescribeImagesResponse {
        images: Some(Images { image }),
        page_number: Some(page.number),
        page_size: Some(page.size),
        region_id: Some(region.clone()),
        total_count: Some(paging::count(found.total)),
    })))
}

/// 404 `Invalid…` where a filter's word is none.
fn wrong(what: &str) -> ApiError {
    ApiError::new(404, format!("Invalid{what}"), format!("The specified {what} is not valid."))
}

/// The code is spelt like this.
fn wrong_parameter() -> ApiError {
    ApiError::new(400, "InvalidParamter", "Invalid Parameter.")
}

/// What is to be looked for; `None` where nothing can be found: kiln has no system images, for
/// one.
fn query(
    request: &DescribeImagesRequest,
    region: &str,
    caller: &str,
    page: Page,
) -> Result<Option<ImageQuery>, ApiError> {
    let text = |text: &Option<String>| given(text.as_ref()).map(str::to_owned);
    let ids = check::ids("ImageId", request.image_id.as_ref())?;
    let (scope, owner) = scope(request, !ids.is_empty())?;
    let mut query = ImageQuery {
        region: region.to_owned(),
        caller: caller.to_owned(),
        scope,
        owner,
        ids,
        name: text(&request.image_name),
        family: text(&request.image_family),
        statuses: statuses(request)?,
        architecture: None,
        os_type: None,
        snapshot: text(&request.snapshot_id),
        resource_group: text(&request.resource_group_id),
        tags: tags(&request.tag)?,
        created_from: None,
        created_to: None,
        has_cloud_init: request.is_support_cloudinit,
        skip: page.skip(),
        take: page.take(),
    };
    if let Some(word) = given(request.os_type.as_ref()) {
        query.os_type = Some(check::os_type(word).ok_or_else(|| wrong("OSType"))?);
    }
    let is_possible = [
        by_architecture(request, &mut query)?,
        by_filters(request, &mut query)?,
        by_use(request)?,
        query.scope != Scope::default(),
        query.statuses.as_ref().is_none_or(|statuses| !statuses.is_empty()),
    ];
    Ok(is_possible.iter().all(|is_possible| *is_possible).then_some(query))
}

/// Whose images are meant.
fn scope(
    request: &DescribeImagesRequest,
    is_named: bool,
) -> Result<(Scope, Option<String>), ApiError> {
    let alias = given(request.image_owner_alias.as_ref());
    let is_public = request.is_public == Some(true);
    if is_public && alias != Some("others") {
        let code = "InvalidImageOwnerAlias.PublicImageUnsupported";
        let message = "When querying images, the parameter ImageOwnerAlias should be others while \
                       specified parameter IsPublic is true.";
        return Err(ApiError::new(400, code, message));
    }
    let scope = match alias {
        // Whoever names an image need not say that it is a public one.
        None => Scope { own: true, shared: true, public: is_named },
        Some("self") => Scope { own: true, shared: false, public: false },
        Some("others") if is_public => Scope { own: false, shared: false, public: true },
        Some("others") => Scope { own: false, shared: true, public: is_named },
        Some("system" | "marketplace") => Scope::default(),
        Some(_) => {
            let code = "InvalidImageOwnerAlias.ValueNotSupported";
            let message = "The specified ImageOwnerAlias value is not supported.";
            return Err(ApiError::new(400, code, message));
        }
    };
    if request.image_owner_id.is_some() && alias != Some("others") {
        let code = "InvalidOperation.ImageOwnerIdUnsupported";
        let message = "The parameter \"ImageOwnerId\" is not supported in this context, it is only \
                       valid when querying shared images or community images.";
        return Err(ApiError::new(400, code, message));
    }
    Ok((scope, request.image_owner_id.map(|owner| owner.to_string())))
}

/// Where the images are in their lives: what can be used, unless the request says otherwise.
fn statuses(request: &DescribeImagesRequest) -> Result<Option<Vec<ImageStatus>>, ApiError> {
    let listed = match given(request.status.as_ref()) {
        None if request.usable.is_some() => return Err(ApiError::missing_parameter("Status")),
        None => vec![ImageStatus::Available],
        Some("ALL") => match request.usable {
            None => return Ok(None),
            Some(_) => vec![
                ImageStatus::Creating,
                ImageStatus::Waiting,
                ImageStatus::Available,
                ImageStatus::UnAvailable,
                ImageStatus::CreateFailed,
                ImageStatus::Deprecated,
            ],
        },
        Some(words) => words
            .split(',')
            .take(check::MAX_IDS)
            .map(|word| wire::status_of(word.trim()).ok_or_else(wrong_parameter))
            .collect::<Result<_, _>>()?,
    };
    let is_meant = |status: &ImageStatus| {
        request.usable.is_none_or(|usable| usable == wire::is_usable(*status))
    };
    Ok(Some(listed.into_iter().filter(is_meant).collect()))
}

fn tags(tags: &[Tag]) -> Result<Vec<(String, Option<String>)>, ApiError> {
    check::tag_count(tags)?;
    let tag = |tag: &Tag| match given(tag.key.as_ref()) {
        Some(key) => Ok((key.to_owned(), tag.value.clone())),
        None => {
            let message = "The specified Tag.n.Key and Tag.n.Value are not match.";
            Err(ApiError::new(400, "InvalidTag.Mismatch", message))
        }
    };
    tags.iter().map(tag).collect()
}

/// By the processor, or by a type of instance that the image has to fit. Whether there can be such
/// an image.
fn by_architecture(
    request: &DescribeImagesRequest,
    query: &mut ImageQuery,
) -> Result<bool, ApiError> {
    if let Some(word) = given(request.architecture.as_ref()) {
        query.architecture = Some(check::architecture(word).ok_or_else(|| wrong("Architecture"))?);
    }
    let Some(id) = given(request.instance_type.as_ref()) else { return Ok(true) };
    let Some(known) = instance_types::find(id) else {
        let message = format!(
            "The specified instance type {} does not exist. DescribeInstanceTypes lists those that \
             do.",
            id.chars().take(64).collect::<String>()
        );
        return Err(ApiError::new(400, "InvalidInstanceType.ValueNotSupported", message));
    };
    let is_possible = query.architecture.is_none_or(|asked| known.starts(asked));
    query.architecture.get_or_insert(known.image());
    Ok(is_possible)
}

/// By the list `Filter`. Whether there can be such an image.
fn by_filters(request: &DescribeImagesRequest, query: &mut ImageQuery) -> Result<bool, ApiError> {
    if request.filter.len() > MAX_FILTERS {
        return Err(wrong_parameter());
    }
    let mut is_possible = true;
    for filter in &request.filter {
        let value = given(filter.value.as_ref());
        let time = || {
            value.map(|text| check::minute(text).ok_or_else(|| wrong("FilterValue"))).transpose()
        };
        match given(filter.key.as_ref()) {
            Some("CreationStartTime") => query.created_from = time()?,
            Some("CreationEndTime") => query.created_to = time()?,
            Some("NetworkType") => match value {
                Some("vpc" | "classic") | None => {}
                Some(_) => {
                    let code = "InvalidFilterValue.NetworkType";
                    let message = "The specified NetworkType is not valid.";
                    return Err(ApiError::new(400, code, message));
                }
            },
            Some(
                "CpuOnlineUpgrade"
                | "CpuOnlineDowngrade"
                | "MemoryOnlineUpgrade"
                | "MemoryOnlineDowngrade",
            ) => match value {
                Some("unsupported") | None => {}
                // No image is told to support it.
                Some("supported") => is_possible = false,
                Some(_) => return Err(wrong("FilterValue")),
            },
            _ => {
                let message = "The specified FilterKey is not valid.";
                return Err(ApiError::new(404, "InvalidFilterKey.NotFound", message));
            }
        }
    }
    Ok(is_possible)
}

/// By what an image is wanted for. Whether there can be such an image.
fn by_use(request: &DescribeImagesRequest) -> Result<bool, ApiError> {
    if !matches!(given(request.action_type.as_ref()), None | Some("CreateEcs" | "ChangeOS")) {
        return Err(wrong_parameter());
    }
    let is_in_use = match given(request.usage.as_ref()) {
        None | Some("none") => false,
        // No instance runs an image yet.
        Some("instance") => true,
        Some(_) => return Err(wrong("Usage")),
    };
    Ok(!is_in_use && request.is_support_io_optimized != Some(false))
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct FamilyRequest {
    region_id: Option<String>,
    image_family: Option<String>,
}

/// The newest image of a family that can be used and is not deprecated: the caller's own before
/// one that is shared. Without one the answer has no image.
pub(super) async fn describe_image_from_family(call: &Call<'_>) -> Result<Value, ApiError> {
    let request: FamilyRequest = call.parse()?;
    let region = given(request.region_id.as_ref()).unwrap_or("*");
    call.authorize("ecs:DescribeImageFromFamily", &call.resource(region, "image/*"))?;
    let region = &call.region(check::needed("RegionId", request.region_id.as_ref())?)?.id;
    let family = check::needed("ImageFamily", request.image_family.as_ref())?;
    let own = Scope { own: true, shared: false, public: false };
    for scope in [own, Scope { own: false, shared: true, public: true }] {
        let query = ImageQuery {
            region: region.clone(),
            caller: call.account().to_owned(),
            scope,
            family: Some(family.to_owned()),
            statuses: Some(vec![ImageStatus::Available]),
            take: 1,
            ..ImageQuery::default()
        };
        let found = call.service.records.images(&query).await.map_err(errors::store)?;
        if let Some(image) = found.items.first() {
            let mut image = wire::image(image, call.account(), Timestamp::now());
            // Fields that this action does not have.
            image.detection_options = None;
            image.features = None;
            return Ok(json!({ "Image": image }));
        }
    }
    Ok(json!({}))
}

#[cfg(test)]
mod tests {
    use kiln_model::{Architecture, Image, OsType};

    use super::*;
    use crate::ecs::actions::testing::{OWNER, Site, sound};

    fn ids(answer: &Value) -> Vec<&str> {
        let images = answer["Images"]["Image"].as_array().unwrap();
        images.iter().map(|image| image["ImageId"].as_str().unwrap()).collect()
    }

    fn made(id: &str, change: impl FnOnce(&mut Image)) -> Image {
        let mut image = sound(id);
        change(&mut image);
        image
    }

    /// Own images `a` to `f`; of another account: `g` is shared, `h` public, `i` neither.
    async fn site() -> Site {
        let other = |image: &mut Image| image.owner = "2".to_owned();
        Site::of([
            made("m-a", |image| {
                image.created = "2025-07-02T00:00:00Z".parse().unwrap();
                image.tags = [("k".to_owned(), "v".to_owned())].into();
                image.family = Some("fam".to_owned());
            }),
            made("m-b", |image| image.architecture = Architecture::Arm64),
            made("m-c", |image| image.os_type = OsType::Windows),
            made("m-d", |image| image.status = ImageStatus::Creating),
            made("m-e", |image| image.status = ImageStatus::Deprecated),
            made("m-f", |image| image.has_cloud_init = false),
            made("m-g", |image| {
                other(image);
                image.shared.insert(OWNER.to_owned(), image.created);
                image.family = Some("theirs".to_owned());
            }),
            made("m-h", |image| {
                other(image);
                image.is_public = true;
            }),
            made("m-i", other),
        ])
        .await
    }

    #[tokio::test]
    async fn every_filter_leaves_what_it_should() {
        let site = site().await;
        for (filters, expected) in [
            (vec![], "m-a m-b m-c m-f m-g"),
            (vec![("ImageOwnerAlias", "self")], "m-a m-b m-c m-f"),
            (vec![("ImageOwnerAlias", "others")], "m-g"),
            (vec![("ImageOwnerAlias", "others"), ("IsPublic", "True")], "m-h"),
            (vec![("ImageOwnerAlias", "others"), ("ImageOwnerId", "2")], "m-g"),
            (vec![("ImageOwnerAlias", "others"), ("ImageOwnerId", "3")], ""),
            (vec![("ImageOwnerAlias", "system")], ""),
            (vec![("ImageId", "m-c,m-h,m-i,m-zz")], "m-c m-h"),
            (vec![("ImageName", "name-m-b")], "m-b"),
            (vec![("ImageFamily", "fam")], "m-a"),
            (vec![("SnapshotId", "s-m-c")], "m-c"),
            (vec![("Status", "Creating,Deprecated")], "m-d m-e"),
            (vec![("Status", "ALL"), ("ImageOwnerAlias", "self")], "m-a m-b m-c m-d m-e m-f"),
            (vec![("Status", "ALL"), ("Usable", "false")], "m-d"),
            (vec![("Status", "Available"), ("Usable", "false")], ""),
            (vec![("Architecture", "arm64")], "m-b"),
            (vec![("InstanceType", "ecs.g8y.large")], "m-b"),
            (vec![("InstanceType", "ecs.g7.large"), ("Architecture", "arm64")], ""),
            (vec![("OSType", "windows")], "m-c"),
            (vec![("IsSupportCloudinit", "false")], "m-f"),
            (vec![("IsSupportIoOptimized", "false")], ""),
            (vec![("Usage", "instance")], ""),
            (vec![("Usage", "none"), ("ActionType", "ChangeOS"), ("ImageId", "m-a")], "m-a"),
            (vec![("Tag.1.Key", "k")], "m-a"),
            (vec![("Tag.1.Key", "k"), ("Tag.1.Value", "w")], ""),
            (
                vec![
                    ("Filter.1.Key", "CreationStartTime"),
                    ("Filter.1.Value", "2025-07-02T00:00Z"),
                ],
                "m-a",
            ),
            (
                vec![("Filter.1.Key", "CreationEndTime"), ("Filter.1.Value", "2025-07-01T00:00Z")],
                "",
            ),
            (vec![("Filter.1.Key", "CpuOnlineUpgrade"), ("Filter.1.Value", "supported")], ""),
            (
                vec![
                    ("Filter.1.Key", "NetworkType"),
                    ("Filter.1.Value", "vpc"),
                    ("ImageId", "m-b"),
                ],
                "m-b",
            ),
        ] {
            let answer = site.ask("DescribeImages", &filters).await.unwrap();
            assert_eq!(ids(&answer).join(" "), expected, "{filters:?}");
            assert_eq!(answer["TotalCount"], ids(&answer).len(), "{filters:?}");
        }
    }

    #[tokio::test]
    async fn each_fault_has_its_code() {
        let site = site().await;
        let many: Vec<String> = (1..=21).map(|n| format!("Tag.{n}.Key")).collect();
        let many: Vec<(&str, &str)> = many.iter().map(|name| (&**name, "k")).collect();
        let filter = |key, value| vec![("Filter.1.Key", key), ("Filter.1.Value", value)];
        let alias = "InvalidImageOwnerAlias";
        for (parameters, status, code) in [
            (vec![("RegionId", "")], 400, "MissingParameter"),
            (vec![("RegionId", "mars")], 404, "InvalidRegionId.NotFound"),
            (vec![("ImageOwnerAlias", "me")], 400, &format!("{alias}.ValueNotSupported")),
            (vec![("IsPublic", "true")], 400, &format!("{alias}.PublicImageUnsupported")),
            (
                vec![("IsPublic", "true"), ("ImageOwnerAlias", "self")],
                400,
                &format!("{alias}.PublicImageUnsupported"),
            ),
            (vec![("ImageOwnerId", "2")], 400, "InvalidOperation.ImageOwnerIdUnsupported"),
            (vec![("Status", "available")], 400, "InvalidParamter"),
            (vec![("ActionType", "Fly")], 400, "InvalidParamter"),
            (vec![("Usable", "true")], 400, "MissingParameter"),
            (vec![("Tag.1.Value", "v")], 400, "InvalidTag.Mismatch"),
            (many, 400, "InvalidTagCount"),
            (vec![("InstanceType", "ecs.x")], 400, "InvalidInstanceType.ValueNotSupported"),
            (filter("NetworkType", "lan"), 400, "InvalidFilterValue.NetworkType"),
            (filter("Colour", "red"), 404, "InvalidFilterKey.NotFound"),
            (filter("CreationEndTime", "2025-07-02T00:00:00Z"), 404, "InvalidFilterValue"),
            (filter("CpuOnlineUpgrade", "yes"), 404, "InvalidFilterValue"),
            (vec![("Usage", "disk")], 404, "InvalidUsage"),
            (vec![("OSType", "Linux")], 404, "InvalidOSType"),
            (vec![("Architecture", "sparc")], 404, "InvalidArchitecture"),
            (vec![("PageSize", "101")], 400, "InvalidParameter"),
            (vec![("DryRun", "true")], 400, "DryRunOperation"),
        ] {
            let error = site.ask("DescribeImages", &parameters).await.unwrap_err();
            assert_eq!(error, (status, code.to_owned()), "{parameters:?}");
        }
        let denied = site.call("nobody", "DescribeImages", &[("RegionId", "cn-a")]).await;
        assert_eq!(denied.unwrap_err().code, "Forbidden.RAM");
    }

    #[tokio::test]
    async fn a_page_beyond_the_end_is_empty_and_the_total_stays() {
        let site = site().await;
        for (number, n_items) in [("1", 3), ("2", 2), ("3", 0)] {
            let page = [("PageNumber", number), ("PageSize", "3")];
            let answer = site.ask("DescribeImages", &page).await.unwrap();
            assert_eq!((ids(&answer).len(), &answer["TotalCount"]), (n_items, &json!(5)));
            assert_eq!((&answer["PageSize"], &answer["RegionId"]), (&json!(3), &json!("cn-a")));
        }
    }

    #[tokio::test]
    async fn a_family_gives_its_newest_image_that_is_not_deprecated() {
        let site = site().await;
        let family = async |name| {
            site.ask("DescribeImageFromFamily", &[("ImageFamily", name)]).await.unwrap()
        };
        assert_eq!(family("fam").await["Image"]["ImageId"], "m-a");
        assert!(family("fam").await["Image"]["Features"].is_null());
        assert_eq!(family("theirs").await["Image"]["ImageId"], "m-g");
        assert_eq!(family("none").await, json!({}));
        let missing = site.ask("DescribeImageFromFamily", &[]).await.unwrap_err();
        assert_eq!(missing, (400, "MissingParameter".to_owned()));
    }
}
