//! `TagResources`, `UntagResources` and `ListTagResources`.
//!
//! Only images have records so far: of every other type of resource that the API knows, no
//! resource is found.

use kiln_ecs::{error::ApiError, types::Tag};
use kiln_model::Image;
use kiln_store::{ImageQuery, Scope};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    check::{self, MAX_TAGS, Twice, given},
    errors, owned, paging,
};
use crate::ecs::Call;

/// Most resources of one request.
const MAX_RESOURCES: usize = 50;
/// Tags on one page of `ListTagResources`.
const PAGE: usize = 50;

const TYPES: [&str; 21] = [
    "instance",
    "disk",
    "snapshot",
    "image",
    "securitygroup",
    "volume",
    "eni",
    "ddh",
    "ddhcluster",
    "keypair",
    "launchtemplate",
    "reservedinstance",
    "snapshotpolicy",
    "elasticityassurance",
    "capacityreservation",
    "command",
    "invocation",
    "activation",
    "managedinstance",
    "imagepipeline",
    "imagecomponent",
];

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Request {
    all: Option<bool>,
    next_token: Option<String>,
    region_id: Option<String>,
    resource_id: Vec<String>,
    resource_type: Option<String>,
    tag: Vec<Tag>,
    tag_key: Vec<String>,
}

/// What the three requests have in common.
struct Target<'a> {
    region: &'a str,
    kind: &'a str,
    ids: Vec<&'a str>,
}

/// Put tags on resources; the same key is overwritten. All of the resources or none.
pub(super) async fn tag_resources(call: &Call<'_>) -> Result<Value, ApiError> {
    let request: Request = call.parse()?;
    authorize(call, "ecs:TagResources", &request)?;
    let target = target(call, &request)?;
    needs_ids(&target)?;
    if request.tag.is_empty() {
        return Err(absent("Tags"));
    }
    not_too_many("Tags", request.tag.len(), MAX_TAGS)?;
    let tags = check::tags(&request.tag, Twice::Exactly)?;
    is_kept(&target)?;
    let put = |image: &mut Image| {
        image.tags.extend(tags.clone());
        let n_own = image.tags.keys().filter(|key| !key.starts_with("acs:")).count();
        if n_own > MAX_TAGS {
            let message = "The quota of tags on resource is beyond permitted range.";
            return Err(ApiError::new(400, "OperationDenied.QuotaExceed", message));
        }
        Ok(())
    };
    owned::change(call, target.region, &target.ids, put).await.map_err(no_resource)?;
    Ok(json!({}))
}

/// Take tags away, by their keys or all of them. Those that kiln set stay.
pub(super) async fn untag_resources(call: &Call<'_>) -> Result<Value, ApiError> {
    let request: Request = call.parse()?;
    authorize(call, "ecs:UntagResources", &request)?;
    let target = target(call, &request)?;
    needs_ids(&target)?;
    not_too_many("Tags", request.tag_key.len(), MAX_TAGS)?;
    let is_all = request.tag_key.is_empty() && request.all == Some(true);
    if request.tag_key.is_empty() && !is_all {
        return Err(absent("Tags"));
    }
    is_kept(&target)?;
    let take = |image: &mut Image| {
        let is_meant = |key: &String| is_all || request.tag_key.contains(key);
        image.tags.retain(|key, _| key.starts_with("acs:") || !is_meant(key));
        Ok(())
    };
    owned::change(call, target.region, &target.ids, take).await.map_err(no_resource)?;
    Ok(json!({}))
}

/// The tags of the caller's resources, 50 on a page.
pub(super) async fn list_tag_resources(call: &Call<'_>) -> Result<Value, ApiError> {
    let request: Request = call.parse()?;
    authorize(call, "ecs:ListTagResources", &request)?;
    let target = target(call, &request)?;
    not_too_many("Tags", request.tag.len(), MAX_TAGS)?;
    let tag = |tag: &Tag| match given(tag.key.as_ref()) {
        Some(key) => Ok((key.to_owned(), tag.value.clone())),
        None => {
            let message = "The specified Tag.n.Value has no Tag.n.Key.";
            Err(ApiError::new(400, "InvalidParameter.TagValue", message))
        }
    };
    let tags = request.tag.iter().map(tag).collect::<Result<Vec<_>, _>>()?;
    if target.ids.is_empty() && tags.is_empty() {
        return Err(absent("ResourceIds"));
    }
    let list = filters(call);
    let list: Vec<&str> = list.iter().map(String::as_str).collect();
    let at = match given(request.next_token.as_ref()) {
        None => [0, 0],
        Some(token) => paging::place(&list, token).ok_or_else(|| {
            let message = "The specified NextToken is not valid.";
            ApiError::new(400, "InvalidParameter.NextToken", message)
        })?,
    };
    if target.kind != "image" {
        return Ok(json!({ "NextToken": "", "TagResources": { "TagResource": [] } }));
    }
    let (found, next) = page(call, &target, tags, at).await?;
    let next = next.map(|at| paging::token(&list, at)).unwrap_or_default();
    Ok(json!({ "NextToken": next, "TagResources": { "TagResource": found } }))
}

/// The tags from the place `at` (images and then tags that are left out), and where to go on.
async fn page(
    call: &Call<'_>,
    target: &Target<'_>,
    tags: Vec<(String, Option<String>)>,
    [n_images, n_tags]: [u64; 2],
) -> Result<(Vec<Value>, Option<[u64; 2]>), ApiError> {
    let query = ImageQuery {
        region: target.region.to_owned(),
        caller: call.account().to_owned(),
        scope: Scope { own: true, shared: false, public: false },
        ids: target.ids.iter().map(|id| (*id).to_owned()).collect(),
        tags,
        skip: usize::try_from(n_images).unwrap_or(usize::MAX),
        // Every one of them has a tag, unless it was named, and no more can be named.
        take: PAGE + 1,
        ..ImageQuery::default()
    };
    let images = call.service.records.images(&query).await.map_err(errors::store)?;
    let mut found = Vec::new();
    let first = usize::try_from(n_tags).unwrap_or(usize::MAX);
    for (n, image) in images.items.iter().enumerate() {
        let skip = if n == 0 { first } else { 0 };
        for (m, (key, value)) in image.tags.iter().enumerate().skip(skip) {
            if found.len() == PAGE {
                let at = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
                return Ok((found, Some([n_images.saturating_add(at(n)), at(m)])));
            }
            found.push(json!({
                "ResourceId": image.id,
                "ResourceType": target.kind,
                "TagKey": key,
                "TagValue": value,
            }));
        }
    }
    Ok((found, None))
}

/// What a token of this list is tied to.
fn filters(call: &Call<'_>) -> Vec<String> {
    let is_filter = |name: &str| {
        name.starts_with("ResourceId") || name.starts_with("Tag.") || name == "ResourceType"
    };
    let mut list = vec![call.account().to_owned(), call.action.to_owned()];
    let region = call.pairs.iter().filter(|(name, _)| name == "RegionId" || is_filter(name));
    let mut filters: Vec<String> = region.map(|(name, value)| format!("{name}={value}")).collect();
    filters.sort();
    list.extend(filters);
    list
}

fn authorize(call: &Call<'_>, action: &str, request: &Request) -> Result<(), ApiError> {
    let region = given(request.region_id.as_ref()).unwrap_or("*");
    let kind = given(request.resource_type.as_ref()).unwrap_or("*");
    // More than can be meant are refused later; until then each one is a question.
    let ids = request.resource_id.iter().map(String::as_str).take(MAX_RESOURCES);
    let any = request.resource_id.is_empty().then_some("*");
    ids.chain(any)
        .try_for_each(|id| call.authorize(action, &call.resource(region, &format!("{kind}/{id}"))))
}

fn target<'a>(call: &Call<'_>, request: &'a Request) -> Result<Target<'a>, ApiError> {
    let region = given(request.region_id.as_ref()).ok_or_else(|| absent("RegionId"))?;
    call.region(region)?;
    let kind = given(request.resource_type.as_ref()).ok_or_else(|| absent("ResourceType"))?;
    if !TYPES.contains(&kind) {
        let message = "The specified ResourceType is not found in our records.";
        return Err(ApiError::new(404, "InvalidResourceType.NotFound", message));
    }
    not_too_many("ResourceIds", request.resource_id.len(), MAX_RESOURCES)?;
    let ids = request.resource_id.iter().map(String::as_str).filter(|id| !id.is_empty()).collect();
    Ok(Target { region, kind, ids })
}

/// 404 `MissingParameter.…`, as these actions say it.
fn absent(name: &str) -> ApiError {
    let message = format!("The parameter - {name} should not be null");
    ApiError::new(404, format!("MissingParameter.{name}"), message)
}

fn not_too_many(name: &str, count: usize, max: usize) -> Result<(), ApiError> {
    if count > max {
        let message = format!("The {name} parameter's number is exceed , Valid : {max}");
        return Err(ApiError::new(400, format!("NumberExceed.{name}"), message));
    }
    Ok(())
}

fn needs_ids(target: &Target<'_>) -> Result<(), ApiError> {
    if target.ids.is_empty() { Err(absent("ResourceIds")) } else { Ok(()) }
}

fn unknown_resource() -> ApiError {
    let message = "The specified ResourceIds are not found in our records.";
    ApiError::new(404, "InvalidResourceId.NotFound", message)
}

/// Only images are.
fn is_kept(target: &Target<'_>) -> Result<(), ApiError> {
    if target.kind == "image" { Ok(()) } else { Err(unknown_resource()) }
}

/// An image that is not there, in the words of these actions.
fn no_resource(error: ApiError) -> ApiError {
    if error.code == "InvalidImageId.NotFound" { unknown_resource() } else { error }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ecs::actions::testing::{Site, sound};

    const IMAGE: (&str, &str) = ("ResourceType", "image");

    fn tagged(id: &str, n_tags: usize) -> Image {
        let mut image = sound(id);
        image.tags = (0..n_tags).map(|n| (format!("k{n:02}"), n.to_string())).collect();
        image.tags.insert("acs:ecs:image:osVersion".to_owned(), "9".to_owned());
        image
    }

    async fn site() -> Site {
        let mut other = tagged("m-other", 1);
        other.owner = "2".to_owned();
        Site::of([tagged("m-a", 0), tagged("m-b", 19), tagged("m-c", 20), other]).await
    }

    async fn tags(site: &Site, id: &str) -> String {
        let tags = site.image(id).await.tags;
        let tags: Vec<String> = tags
            .iter()
            .filter(|(key, _)| !key.starts_with("acs:"))
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        tags.join(" ")
    }

    #[tokio::test]
    async fn tags_are_put_overwritten_and_taken_away() {
        let site = site().await;
        let a = ("ResourceId.1", "m-a");
        let ask = async |action, pairs: &[(&str, &str)]| {
            assert_eq!(site.ask(action, pairs).await, Ok(json!({})), "{pairs:?}");
            tags(&site, "m-a").await
        };
        let put = [IMAGE, a, ("Tag.1.Key", "x"), ("Tag.1.Value", "1"), ("Tag.2.Key", "y")];
        assert_eq!(ask("TagResources", &put).await, "x=1 y=");
        let over = [IMAGE, a, ("Tag.1.Key", "x"), ("Tag.1.Value", "2")];
        assert_eq!(ask("TagResources", &over).await, "x=2 y=");
        let take = [IMAGE, a, ("TagKey.1", "x"), ("TagKey.2", "acs:ecs:image:osVersion")];
        assert_eq!(ask("UntagResources", &take).await, "y=");
        assert_eq!(ask("UntagResources", &[IMAGE, a, ("All", "true")]).await, "");
        assert_eq!(site.image("m-a").await.tags.len(), 1, "kiln's own stay");
    }

    #[tokio::test]
    async fn all_resources_get_their_tags_or_none() {
        let site = site().await;
        let both = [IMAGE, ("ResourceId.1", "m-a"), ("ResourceId.2", "m-c"), ("Tag.1.Key", "x")];
        let full = Err((400, "OperationDenied.QuotaExceed".to_owned()));
        assert_eq!(site.ask("TagResources", &both).await, full);
        let other = [both[0], both[1], ("ResourceId.2", "m-other"), both[3]];
        let unknown = Err((404, "InvalidResourceId.NotFound".to_owned()));
        assert_eq!(site.ask("TagResources", &other).await, unknown);
        assert_eq!(tags(&site, "m-a").await, "");
        let fits = [both[0], both[1], ("ResourceId.2", "m-b"), both[3]];
        assert_eq!(site.ask("TagResources", &fits).await, Ok(json!({})));
        assert_eq!(tags(&site, "m-a").await, "x=");
    }

    #[tokio::test]
    async fn changes_at_the_same_time_are_all_kept() {
        let site = site().await;
        let put = async |key| {
            let pairs = [IMAGE, ("ResourceId.1", "m-a"), ("Tag.1.Key", key)];
            assert_eq!(site.ask("TagResources", &pairs).await, Ok(json!({})));
        };
        tokio::join!(put("w"), put("x"), put("y"), put("z"));
        assert_eq!(tags(&site, "m-a").await, "w= x= y= z=");
    }

    #[tokio::test]
    async fn a_list_goes_on_where_its_token_says() {
        let site = site().await;
        let list = async |more: &[(&str, &str)]| {
            let mut pairs = vec![IMAGE];
            pairs.extend(more);
            let answer = site.ask("ListTagResources", &pairs).await.unwrap();
            let found = answer["TagResources"]["TagResource"].as_array().unwrap().clone();
            (found, answer["NextToken"].as_str().unwrap().to_owned())
        };
        let named = [("ResourceId.1", "m-a"), ("ResourceId.2", "m-other")];
        let (found, next) = list(&named).await;
        let expected = json!([{
            "ResourceId": "m-a", "ResourceType": "image",
            "TagKey": "acs:ecs:image:osVersion", "TagValue": "9",
        }]);
        assert_eq!((json!(found), next.as_str()), (expected, ""));

        // 1 + 20 + 21 tags fit on one page; twelve more images do not.
        let more: Vec<Image> = (0..12).map(|n| tagged(&format!("m-x{n}"), 1)).collect();
        let changes = more.into_iter().map(kiln_store::Change::InsertImage).collect();
        site.records.apply(changes).await.unwrap();
        let by_tag = ("Tag.1.Key", "acs:ecs:image:osVersion");
        let (first, next) = list(&[by_tag]).await;
        let (second, end) = list(&[by_tag, ("NextToken", &next)]).await;
        assert_eq!((first.len(), second.len(), end.as_str()), (50, 16, ""));
        let mut seen: Vec<String> = first.iter().chain(&second).map(Value::to_string).collect();
        seen.sort();
        seen.dedup();
        assert_eq!(seen.len(), 66);
        let (found, _) = list(&[("Tag.1.Key", "k00"), ("Tag.1.Value", "1")]).await;
        assert!(found.is_empty());
        let other = [IMAGE, ("Tag.1.Key", "k00"), ("NextToken", &next)];
        let refused = Err((400, "InvalidParameter.NextToken".to_owned()));
        assert_eq!(site.ask("ListTagResources", &other).await, refused);
    }

    #[tokio::test]
    async fn each_fault_has_its_code() {
        let site = site().await;
        let names = |prefix: &str, n, suffix: &str| -> Vec<String> {
            (1..=n).map(|n| format!("{prefix}.{n}{suffix}")).collect()
        };
        let (ids, keys, tags) =
            (names("ResourceId", 51, ""), names("TagKey", 21, ""), names("Tag", 21, ".Key"));
        fn with<'a>(first: &[(&'a str, &'a str)], names: &'a [String]) -> Vec<(&'a str, &'a str)> {
            let more = names.iter().map(|name| (name.as_str(), name.as_str()));
            first.iter().copied().chain(more).collect()
        }
        let a = ("ResourceId.1", "m-a");
        let x = ("Tag.1.Key", "x");
        let (tag, untag, list) = ("TagResources", "UntagResources", "ListTagResources");
        for (action, parameters, status, code) in [
            (tag, vec![a, x], 404, "MissingParameter.ResourceType"),
            (tag, vec![IMAGE, a], 404, "MissingParameter.Tags"),
            (tag, vec![IMAGE, x], 404, "MissingParameter.ResourceIds"),
            (tag, vec![IMAGE, a, x, ("RegionId", "")], 404, "MissingParameter.RegionId"),
            (tag, vec![IMAGE, a, x, ("RegionId", "mars")], 404, "InvalidRegionId.NotFound"),
            (tag, with(&[IMAGE, x], &ids), 400, "NumberExceed.ResourceIds"),
            (tag, with(&[IMAGE, a], &tags), 400, "NumberExceed.Tags"),
            (tag, vec![IMAGE, a, x, ("Tag.2.Key", "x")], 400, "Duplicate.TagKey"),
            (tag, vec![IMAGE, a, ("Tag.1.Key", "acs:x")], 400, "InvalidTagKey.Malformed"),
            (tag, vec![IMAGE, a, x, ("Tag.1.Value", "acs:")], 400, "InvalidTagValue.Malformed"),
            (tag, vec![("ResourceType", "pet"), a, x], 404, "InvalidResourceType.NotFound"),
            (tag, vec![("ResourceType", "disk"), a, x], 404, "InvalidResourceId.NotFound"),
            (tag, vec![IMAGE, ("ResourceId.1", "m-zz"), x], 404, "InvalidResourceId.NotFound"),
            (untag, vec![IMAGE, a], 404, "MissingParameter.Tags"),
            (untag, with(&[IMAGE, a], &keys), 400, "NumberExceed.Tags"),
            (untag, vec![IMAGE, ("All", "true")], 404, "MissingParameter.ResourceIds"),
            (list, vec![IMAGE], 404, "MissingParameter.ResourceIds"),
            (list, vec![IMAGE, ("Tag.1.Value", "x")], 400, "InvalidParameter.TagValue"),
            (list, vec![IMAGE, a, ("NextToken", "x")], 400, "InvalidParameter.NextToken"),
        ] {
            let found = site.ask(action, &parameters).await;
            assert_eq!(found, Err((status, code.to_owned())), "{action} {parameters:?}");
        }
        for action in [tag, untag, list] {
            let denied = site.call("nobody", action, &[("RegionId", "cn-a"), IMAGE, a]).await;
            assert_eq!(denied.unwrap_err().code, "Forbidden.RAM");
        }
        let empty = site.ask(list, &[("ResourceType", "disk"), a]).await.unwrap();
        assert_eq!(empty["TagResources"]["TagResource"], json!([]));
    }
}
