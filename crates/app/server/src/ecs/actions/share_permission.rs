//! `ModifyImageSharePermission` and `DescribeImageSharePermission`: who else may use an image.

use jiff::Timestamp;
use kiln_ecs::error::ApiError;
use kiln_model::{Image, ImageStatus};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    check::{self, given, to_second},
    owned,
    paging::Page,
};
use crate::ecs::Call;

/// Accounts of one request that are looked at; further ones are passed over, as documented.
const MAX_ACCOUNTS: usize = 10;

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct ModifyRequest {
    add_account: Vec<String>,
    dry_run: Option<bool>,
    image_id: Option<String>,
    is_public: Option<bool>,
    region_id: Option<String>,
    remove_account: Vec<String>,
}

/// A request whose accounts are all good.
#[derive(Clone, Debug)]
struct Wanted {
    add: Vec<String>,
    remove: Vec<String>,
    is_public: Option<bool>,
    /// Most accounts that an image is shared with.
    max: u64,
    now: Timestamp,
}

/// Share an own image with accounts, take that back, or make it public or private.
pub(super) async fn modify_image_share_permission(call: &Call<'_>) -> Result<Value, ApiError> {
    let request: ModifyRequest = call.parse()?;
    let region = given(request.region_id.as_ref()).unwrap_or("*");
    let rest = format!("image/{}", given(request.image_id.as_ref()).unwrap_or("*"));
    call.authorize("ecs:ModifyImageSharePermission", &call.resource(region, &rest))?;
    let region = &call.region(check::needed("RegionId", request.region_id.as_ref())?)?.id;
    let id = check::needed("ImageId", request.image_id.as_ref())?;
    let wanted = wanted(&request, call)?;
    if request.dry_run == Some(true) {
        wanted.put_into(&mut owned::own(call, region, id).await?.value)?;
        return Err(check::dry_run());
    }
    owned::change(call, region, &[id], |image| wanted.put_into(image)).await?;
    Ok(json!({}))
}

fn wanted(request: &ModifyRequest, call: &Call<'_>) -> Result<Wanted, ApiError> {
    let is_empty = request.add_account.is_empty() && request.remove_account.is_empty();
    if request.is_public.is_some() && !is_empty {
        let message = "The parameter IsPublic cannot be set together with AddAccount or \
                       RemoveAccount.";
        return Err(ApiError::new(403, "InvalidParameter.IsPublic", message));
    }
    if request.is_public.is_none() && is_empty {
        return Err(ApiError::missing_parameter("AddAccount"));
    }
    let first = |accounts: &[String]| -> Vec<String> {
        accounts.iter().take(MAX_ACCOUNTS).cloned().collect()
    };
    let (add, remove) = (first(&request.add_account), first(&request.remove_account));
    let known = &call.accounts.accounts;
    for (account, is_added) in
        add.iter().map(|it| (it, true)).chain(remove.iter().map(|it| (it, false)))
    {
        // An account that is gone from the configuration can still be taken away.
        let is_account =
            (1..=32).contains(&account.len()) && account.bytes().all(|b| b.is_ascii_digit());
        if !is_account || (is_added && !known.contains(account)) {
            let message = format!(
                "The specified account {} in parameter \"AddAccount.n\" or \"RemoveAccount.n\" \
                 does not exist.",
                account.chars().take(32).collect::<String>()
            );
            return Err(ApiError::new(404, "InvalidAccount.NotFound", message));
        }
    }
    if add.iter().any(|account| account == call.account()) {
        let message = "The specified Account does not yourself.";
        return Err(ApiError::new(404, "InvalidAccount.Forbbiden", message));
    }
    let (is_public, max) = (request.is_public, call.service.quotas.shares);
    Ok(Wanted { add, remove, is_public, max, now: Timestamp::now() })
}

impl Wanted {
    /// Change the record. Removing comes first, so that one request can exchange accounts of an
    /// image that is shared with as many as it may be.
    fn put_into(&self, image: &mut Image) -> Result<(), ApiError> {
        if let Some(is_public) = self.is_public {
            if is_public == image.is_public {
                let (code, word) = if is_public {
                    ("Image.Public", "public")
                } else {
                    ("Image.NotPublic", "private")
                };
                let message = format!("The specified image is {word} already.");
                return Err(ApiError::new(403, code, message));
            }
            if is_public {
                may_be_shared(image)?;
            }
            image.is_public = is_public;
        }
        for account in &self.remove {
            image.shared.remove(account);
        }
        if !self.add.is_empty() {
            may_be_shared(image)?;
        }
        for account in &self.add {
            image.shared.entry(account.clone()).or_insert(self.now);
        }
        let n_shared = u64::try_from(image.shared.len()).unwrap_or(u64::MAX);
        if !self.add.is_empty() && n_shared > self.max {
            let message = "The shared Image user Quota exceeds.";
            return Err(ApiError::new(403, "QuotaExceed.ShareImageUser", message));
        }
        Ok(())
    }
}

fn may_be_shared(image: &Image) -> Result<(), ApiError> {
    let state = match image.status {
        ImageStatus::Available => return Ok(()),
        ImageStatus::Deprecated => "deprecated",
        ImageStatus::Creating | ImageStatus::Waiting => "being made",
        ImageStatus::UnAvailable | ImageStatus::CreateFailed => "not available",
    };
    let message = format!("The specified image cannot be shared when it is {state}.");
    Err(ApiError::new(403, "OperationDenied.InvalidImageStatus", message))
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct DescribeRequest {
    image_id: Option<String>,
    page_number: Option<i64>,
    page_size: Option<i64>,
    region_id: Option<String>,
}

/// The accounts that an own image is shared with, in the order of their numbers.
pub(super) async fn describe_image_share_permission(call: &Call<'_>) -> Result<Value, ApiError> {
    let request: DescribeRequest = call.parse()?;
    let region = given(request.region_id.as_ref()).unwrap_or("*");
    let rest = format!("image/{}", given(request.image_id.as_ref()).unwrap_or("*"));
    call.authorize("ecs:DescribeImageSharePermission", &call.resource(region, &rest))?;
    let region = &call.region(check::needed("RegionId", request.region_id.as_ref())?)?.id;
    let id = check::needed("ImageId", request.image_id.as_ref())?;
    let page = Page::of(request.page_number, request.page_size)?;
    let image = owned::own(call, region, id).await?.value;
    let accounts: Vec<Value> = image
        .shared
        .iter()
        .skip(page.skip())
        .take(page.take())
        .map(|(account, since)| json!({ "AliyunId": account, "SharedTime": to_second(*since) }))
        .collect();
    let groups = if image.is_public { vec![json!({ "Group": "all" })] } else { Vec::new() };
    Ok(json!({
        "RegionId": region,
        "ImageId": id,
        "PageNumber": page.number,
        "PageSize": page.size,
        "TotalCount": image.shared.len(),
        "Accounts": { "Account": accounts },
        "ShareGroups": { "ShareGroup": groups },
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ecs::actions::testing::{OWNER, Site, sound};

    const MODIFY: &str = "ModifyImageSharePermission";
    const DESCRIBE: &str = "DescribeImageSharePermission";

    async fn site() -> Site {
        let mut images = ["m-a", "m-old", "m-full", "m-other", "m-new"].map(sound);
        images[1].status = ImageStatus::Deprecated;
        images[1].shared.insert("2".to_owned(), images[1].created);
        images[2].shared = (100..150).map(|n: u32| (n.to_string(), images[0].created)).collect();
        images[3].owner = "2".to_owned();
        images[4].status = ImageStatus::Creating;
        Site::of(images).await
    }

    #[tokio::test]
    async fn accounts_come_and_go_and_see_what_they_may() {
        let site = site().await;
        let modify = async |pairs: &[(&str, &str)]| {
            assert_eq!(site.ask(MODIFY, pairs).await, Ok(json!({})), "{pairs:?}");
            let image = site.image("m-a").await;
            image.shared.keys().cloned().collect::<Vec<_>>().join(" ")
        };
        let seen = async || {
            let pairs = [("RegionId", "cn-a"), ("ImageId", "m-a")];
            site.call("5", "DescribeImages", &pairs).await.unwrap()["TotalCount"].clone()
        };
        assert_eq!(seen().await, 0);
        let id = ("ImageId", "m-a");
        let both = [id, ("AddAccount.1", "5"), ("AddAccount.2", "6"), ("AddAccount.3", "5")];
        assert_eq!(modify(&both).await, "5 6");
        assert_eq!(seen().await, 1);
        assert_eq!(modify(&both).await, "5 6", "twice is once");
        let exchange = [id, ("AddAccount.1", "7"), ("RemoveAccount.1", "5")];
        assert_eq!(modify(&exchange).await, "6 7");
        assert_eq!(modify(&[id, ("RemoveAccount.1", "99")]).await, "6 7");
        assert_eq!(seen().await, 0);
        modify(&[id, ("IsPublic", "true")]).await;
        assert_eq!(seen().await, 1);
        let answer = site.ask(DESCRIBE, &[id, ("PageSize", "1")]).await.unwrap();
        assert_eq!(answer["Accounts"]["Account"][0]["AliyunId"], "6");
        assert_eq!(answer["Accounts"]["Account"].as_array().unwrap().len(), 1);
        assert_eq!((&answer["TotalCount"], &answer["ImageId"]), (&json!(2), &json!("m-a")));
        assert_eq!(answer["ShareGroups"]["ShareGroup"][0]["Group"], "all");
        modify(&[id, ("IsPublic", "false")]).await;
        assert_eq!(seen().await, 0);
    }

    #[tokio::test]
    async fn the_eleventh_account_is_passed_over_and_the_fifty_first_refused() {
        let site = site().await;
        let add: Vec<String> = (1..=11).map(|n| format!("AddAccount.{n}")).collect();
        let mut pairs = vec![("ImageId", "m-a")];
        pairs.extend(add.iter().map(|name| (&**name, &name[11..])));
        assert_eq!(site.ask(MODIFY, &pairs).await, Ok(json!({})));
        assert_eq!(site.image("m-a").await.shared.len(), 10);
        let one_more = [("ImageId", "m-full"), ("AddAccount.1", "5")];
        let quota = Err((403, "QuotaExceed.ShareImageUser".to_owned()));
        assert_eq!(site.ask(MODIFY, &one_more).await, quota);
        let exchange = [one_more[0], one_more[1], ("RemoveAccount.1", "100")];
        assert_eq!(site.ask(MODIFY, &exchange).await, Ok(json!({})));
    }

    #[tokio::test]
    async fn each_fault_has_its_code() {
        let site = site().await;
        let add = ("AddAccount.1", "5");
        let a = ("ImageId", "m-a");
        for (action, parameters, status, code) in [
            (MODIFY, vec![add], 400, "MissingParameter"),
            (MODIFY, vec![a], 400, "MissingParameter"),
            (MODIFY, vec![a, add, ("RegionId", "")], 400, "MissingParameter"),
            (MODIFY, vec![a, add, ("RegionId", "mars")], 404, "InvalidRegionId.NotFound"),
            (MODIFY, vec![("ImageId", "m-zz"), add], 404, "InvalidImageId.NotFound"),
            (MODIFY, vec![("ImageId", "m-other"), add], 404, "InvalidImageId.NotFound"),
            (MODIFY, vec![a, add, ("IsPublic", "true")], 403, "InvalidParameter.IsPublic"),
            (MODIFY, vec![a, ("IsPublic", "false")], 403, "Image.NotPublic"),
            (MODIFY, vec![a, ("AddAccount.1", "bob")], 404, "InvalidAccount.NotFound"),
            (MODIFY, vec![a, ("RemoveAccount.1", "")], 404, "InvalidAccount.NotFound"),
            (MODIFY, vec![a, ("AddAccount.1", OWNER)], 404, "InvalidAccount.Forbbiden"),
            (MODIFY, vec![("ImageId", "m-old"), add], 403, "OperationDenied.InvalidImageStatus"),
            (
                MODIFY,
                vec![("ImageId", "m-new"), ("IsPublic", "true")],
                403,
                "OperationDenied.InvalidImageStatus",
            ),
            (MODIFY, vec![a, add, ("DryRun", "true")], 400, "DryRunOperation"),
            (DESCRIBE, vec![], 400, "MissingParameter"),
            (DESCRIBE, vec![("ImageId", "m-other")], 404, "InvalidImageId.NotFound"),
            (DESCRIBE, vec![a, ("PageSize", "101")], 400, "InvalidParameter"),
        ] {
            let found = site.ask(action, &parameters).await;
            assert_eq!(found, Err((status, code.to_owned())), "{action} {parameters:?}");
        }
        assert_eq!(site.image("m-a").await, sound("m-a"));
        let back = [("ImageId", "m-old"), ("RemoveAccount.1", "2")];
        assert_eq!(site.ask(MODIFY, &back).await, Ok(json!({})), "no longer shared, if deprecated");
        for action in [MODIFY, DESCRIBE] {
            let denied = site.call("nobody", action, &[("RegionId", "cn-a")]).await;
            assert_eq!(denied.unwrap_err().code, "Forbidden.RAM");
        }
    }
}
