//! Templates: an account's own, with their versions, and the public ones that kiln ships.

use std::collections::BTreeMap;

use jiff::Timestamp;
use kiln_ecs::error::ApiError;
use kiln_factory::executions::Kept;
use kiln_oos::run::{Found, digest};
use kiln_oos::template::Template;
use kiln_store::{ExecutionQuery, PageOf, TemplateQuery, TemplateRow, TemplateVersion};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::library::{self, version_number};
use super::request::{self, needed, needed_list, put, read, stored_time};
use super::view::template_id;
use super::{caller, errors, executions};
use crate::ecs::Call;

/// Templates that an account may have: few enough to be sorted together with the public ones.
pub(super) const MAX_TEMPLATES: usize = 1000;

/// Templates that one request deletes.
const MAX_DELETED: usize = 100;

/// What names of one's own may not begin with.
const RESERVED: [&str; 4] = ["ALIYUN", "ACS", "ALIBABA", "ALICLOUD"];

/// The type that all templates have which kiln runs.
pub(super) const KIND: &str = "Automation";

/// Whether a name is one of the service's own.
pub(super) fn is_reserved(name: &str) -> bool {
    let upper = name.to_ascii_uppercase();
    RESERVED.iter().any(|prefix| upper.starts_with(prefix))
}

/// A name that an account may give.
///
/// # Errors
///
/// `InvalidParameter`.
fn own_name(name: &str) -> Result<(), ApiError> {
    let is_good = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    let refused = |told: &str| Err(ApiError::invalid_parameter("TemplateName", told));
    if name.len() > 200 || !name.bytes().all(is_good) {
        return refused("It has 1 to 200 letters, digits, - and _.");
    }
    if is_reserved(name) {
        return refused("It may not begin with ALIYUN, ACS, ALIBABA or ALICLOUD.");
    }
    Ok(())
}

/// `JSON` or `YAML`.
pub(super) fn format_of(text: &str) -> &'static str {
    if text.trim_start().starts_with('{') { "JSON" } else { "YAML" }
}

/// A description as answers have it: text, or a map of languages as JSON text.
pub(super) fn description(value: Value) -> String {
    match value {
        Value::String(text) => text,
        other => other.to_string(),
    }
}

/// What is kept of a version beside its text.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Record {
    format: String,
    description: String,
    has_trigger: bool,
}

impl Record {
    fn of(text: &str, template: &Template) -> Self {
        let own = template.description.clone();
        Self {
            format: format_of(text).to_owned(),
            description: own.map(description).unwrap_or_default(),
            has_trigger: category(template) != "Other",
        }
    }

    pub(super) fn read(text: &str) -> Self {
        serde_json::from_str(text).unwrap_or_default()
    }
}

/// What starts a template, by its first task.
pub(super) fn category(template: &Template) -> &str {
    match template.tasks.first() {
        Some(task) if task.action.is_trigger() => task.action.name().trim_start_matches("ACS::"),
        _ => "Other",
    }
}

/// A template of an account in one of its versions.
fn own(row: &TemplateRow, version: &TemplateVersion) -> Map<String, Value> {
    let record = Record::read(&version.record);
    let mut fields = head(row, version.version, &record);
    put(&mut fields, "VersionName", Some(version.name.as_str()));
    put(&mut fields, "Hash", Some(version.digest.as_str()));
    put(&mut fields, "UpdatedBy", Some(version.updated_by.as_str()));
    put(&mut fields, "UpdatedDate", Some(stored_time(version.updated)));
    fields
}

pub(super) fn head(row: &TemplateRow, version: i64, record: &Record) -> Map<String, Value> {
    let fields = json!({
        "TemplateId": template_id(&row.account, &row.name, ""),
        "TemplateName": row.name,
        "TemplateVersion": format!("v{version}"),
        "TemplateFormat": record.format,
        "TemplateType": row.kind,
        "Description": record.description,
        "HasTrigger": record.has_trigger,
        "ShareType": "Private",
        "Tags": row.tags,
        "ResourceGroupId": row.resource_group,
        "CreatedBy": row.created_by,
        "CreatedDate": stored_time(row.created),
        "UpdatedBy": row.updated_by,
        "UpdatedDate": stored_time(row.updated),
    });
    object(fields)
}

/// A template that kiln ships.
pub(super) fn shipped(kept: &Kept) -> Map<String, Value> {
    let record = Record::of(&kept.loaded.text, &kept.loaded.template);
    object(json!({
        "TemplateId": template_id("ACS", &kept.name, ""),
        "TemplateName": kept.name,
        "TemplateVersion": "v1",
        "TemplateFormat": record.format,
        "TemplateType": KIND,
        "Description": record.description,
        "Hash": kept.loaded.digest,
        "HasTrigger": record.has_trigger,
        "ShareType": "Public",
        "Tags": {},
        "CreatedBy": "ACS",
        "UpdatedBy": "ACS",
    }))
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Written {
    content: Option<String>,
    resource_group_id: Option<String>,
    tags: Option<BTreeMap<String, String>>,
    template_name: Option<String>,
    version_name: Option<String>,
}

impl Written {
    /// The rows of the version that the request brings.
    fn rows(&self, call: &Call<'_>) -> Result<(TemplateRow, TemplateVersion), ApiError> {
        let name = needed("TemplateName", self.template_name.as_ref())?;
        let content = needed("Content", self.content.as_ref())?;
        if let Some(tags) = &self.tags {
            request::tags(tags)?;
        }
        let found = library::inline(call, content)?;
        let template = &found.template.template;
        let record = Record::of(content, template);
        let now = i64::try_from(Timestamp::now().as_nanosecond()).unwrap_or(i64::MAX);
        let user = caller::starter(call.caller);
        let text = serde_json::to_string(&record).unwrap_or_default();
        let row = TemplateRow {
            account: call.account().to_owned(),
            name: name.to_owned(),
            format: record.format,
            kind: KIND.to_owned(),
            category: category(template).to_owned(),
            has_trigger: record.has_trigger,
            resource_group: self.resource_group_id.clone().unwrap_or_default(),
            tags: self.tags.clone().unwrap_or_default(),
            created_by: user.clone(),
            created: now,
            updated_by: user.clone(),
            updated: now,
            latest: 1,
            executions: 0,
            record: text.clone(),
        };
        let version = TemplateVersion {
            version: 1,
            name: self.version_name.clone().unwrap_or_default(),
            digest: digest(content),
            content: content.to_owned(),
            updated_by: user,
            updated: now,
            record: text,
        };
        Ok((row, version))
    }
}

/// `CreateTemplate`.
pub(super) async fn create_template(call: &Call<'_>) -> Result<Value, ApiError> {
    let request: Written = read(call)?;
    let name = needed("TemplateName", request.template_name.as_ref())?;
    call.allowed("", &format!("template/{name}"))?;
    own_name(name)?;
    let (row, version) = request.rows(call)?;
    let store = &call.oos().templates;
    let one = PageOf { after: None, limit: 1 };
    let all =
        TemplateQuery { account: call.account().to_owned(), page: one, ..TemplateQuery::default() };
    let most = u64::try_from(MAX_TEMPLATES).unwrap_or(u64::MAX);
    if store.list(&all).await.map_err(errors::store)?.total >= most {
        return Err(errors::quota("Template", most));
    }
    if !store.create(&row, &version).await.map_err(errors::store)? {
        return Err(errors::exists("Template", name));
    }
    Ok(json!({"Template": own(&row, &version), "TemplateType": row.kind}))
}

/// `UpdateTemplate`: the next version.
pub(super) async fn update_template(call: &Call<'_>) -> Result<Value, ApiError> {
    let request: Written = read(call)?;
    let name = needed("TemplateName", request.template_name.as_ref())?;
    call.allowed("", &format!("template/{name}"))?;
    not_public(call, name)?;
    let (row, mut version) = request.rows(call)?;
    let store = &call.oos().templates;
    let known = store.get(call.account(), name, None).await.map_err(errors::store)?;
    if known.is_none() {
        return Err(errors::absent("Template", name));
    }
    let tags = request.tags.as_ref();
    let group = request.resource_group_id.as_deref();
    let added = store.add_version(&row, &version, tags, group).await.map_err(errors::store)?;
    let most = u64::try_from(kiln_store::TEMPLATE_VERSIONS).unwrap_or_default();
    version.version = added.ok_or_else(|| errors::quota("TemplateVersion", most))?;
    let now = store.get(call.account(), name, Some(version.version)).await;
    match now.map_err(errors::store)? {
        Some((row, Some(version))) => Ok(json!({"Template": own(&row, &version)})),
        _ => Err(errors::absent("Template", name)),
    }
}

fn not_public(call: &Call<'_>, name: &str) -> Result<(), ApiError> {
    match call.oos().shelf.find(name) {
        Some(kept) => Err(errors::public(&kept.name)),
        None => Ok(()),
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Attributes {
    account_ids: Option<String>,
    is_favorite: Option<bool>,
    share_permission_action: Option<String>,
    share_template_version: Option<String>,
    template_name: Option<String>,
}

/// `UpdateTemplateAttributes`: mark a template, one's own or a public one, as a favourite of the
/// account.
pub(super) async fn update_template_attributes(call: &Call<'_>) -> Result<Value, ApiError> {
    let request: Attributes = read(call)?;
    let name = needed("TemplateName", request.template_name.as_ref())?;
    call.allowed("", &format!("template/{name}"))?;
    for (field, value) in [
        ("AccountIds", &request.account_ids),
        ("SharePermissionAction", &request.share_permission_action),
        ("ShareTemplateVersion", &request.share_template_version),
    ] {
        if value.is_some() {
            return Err(errors::unsupported(field, "templates are not shared between accounts"));
        }
    }
    let store = &call.oos().templates;
    let is_public = call.oos().shelf.find(name).is_some_and(|kept| !kept.is_action);
    let known = store.get(call.account(), name, None).await.map_err(errors::store)?;
    if !is_public && known.is_none() {
        return Err(errors::absent("Template", name));
    }
    if let Some(is_favorite) = request.is_favorite {
        let marked = store.set_favorite(call.account(), name, is_favorite).await;
        marked.map_err(errors::store)?;
    }
    Ok(json!({}))
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct One {
    auto_delete_executions: bool,
    content: Option<String>,
    share_type: Option<String>,
    template_name: Option<String>,
    template_names: Option<String>,
    #[serde(rename = "TemplateURL")]
    template_url: Option<String>,
    template_version: Option<String>,
}

/// `GetTemplate`; also of a cloud product action, by its name.
pub(super) async fn get_template(call: &Call<'_>) -> Result<Value, ApiError> {
    let request: One = read(call)?;
    let name = needed("TemplateName", request.template_name.as_ref())?;
    call.allowed("", &format!("template/{name}"))?;
    let version = request.template_version.as_deref();
    let number = version.map(|version| {
        version_number(version).ok_or_else(|| errors::absent("TemplateVersion", version))
    });
    let number = number.transpose()?;
    let no_version = || errors::absent("TemplateVersion", version.unwrap_or_default());
    if let Some(kept) = call.oos().shelf.find(name) {
        if number.is_some_and(|number| number != 1) {
            return Err(no_version());
        }
        return Ok(json!({"Content": kept.loaded.text, "Template": shipped(kept)}));
    }
    let found = call.oos().templates.get(call.account(), name, number).await;
    match found.map_err(errors::store)? {
        None => Err(errors::absent("Template", name)),
        Some((_, None)) => Err(no_version()),
        Some((row, Some(version))) => {
            Ok(json!({"Content": version.content, "Template": own(&row, &version)}))
        }
    }
}

/// `ListTemplateVersions`, newest first.
pub(super) async fn list_template_versions(call: &Call<'_>) -> Result<Value, ApiError> {
    let request: One = read(call)?;
    let name = needed("TemplateName", request.template_name.as_ref())?;
    call.allowed("", &format!("template/{name}"))?;
    let page = request::paging(call)?.page(10)?;
    let limit = page.limit;
    let version = |number: i64, name: &str, record: &Record, by: &str, at: i64| {
        json!({
            "TemplateVersion": format!("v{number}"),
            "VersionName": name,
            "TemplateFormat": record.format,
            "Description": record.description,
            "UpdatedBy": by,
            "UpdatedDate": stored_time(at),
        })
    };
    if let Some(kept) = call.oos().shelf.find(name) {
        let record = Record::of(&kept.loaded.text, &kept.loaded.template);
        let only = version(1, "", &record, "ACS", 0);
        return Ok(json!({"TemplateVersions": [only], "MaxResults": limit}));
    }
    let store = &call.oos().templates;
    if store.get(call.account(), name, None).await.map_err(errors::store)?.is_none() {
        return Err(errors::absent("Template", name));
    }
    let found = store.versions(call.account(), name, &page).await.map_err(errors::store)?;
    let shown = |own: &TemplateVersion| {
        let record = Record::read(&own.record);
        version(own.version, &own.name, &record, &own.updated_by, own.updated)
    };
    let mut answer = Map::new();
    let versions: Vec<Value> = found.items.iter().map(shown).collect();
    answer.insert("TemplateVersions".to_owned(), Value::from(versions));
    answer.insert("MaxResults".to_owned(), Value::from(limit));
    put(&mut answer, "NextToken", found.next);
    Ok(Value::Object(answer))
}

/// `DeleteTemplate`.
pub(super) async fn delete_template(call: &Call<'_>) -> Result<Value, ApiError> {
    let request: One = read(call)?;
    let name = needed("TemplateName", request.template_name.as_ref())?;
    delete(call, &[name.to_owned()], request.auto_delete_executions).await
}

/// `DeleteTemplates`: all of them, or none.
pub(super) async fn delete_templates(call: &Call<'_>) -> Result<Value, ApiError> {
    let request: One = read(call)?;
    let names = needed_list("TemplateNames", request.template_names.as_ref(), MAX_DELETED)?;
    delete(call, &names, request.auto_delete_executions).await
}

async fn delete(call: &Call<'_>, names: &[String], is_whole: bool) -> Result<Value, ApiError> {
    let oos = call.oos();
    for name in names {
        call.allowed("", &format!("template/{name}"))?;
        not_public(call, name)?;
        let known = oos.templates.get(call.account(), name, None).await;
        if known.map_err(errors::store)?.is_none() {
            return Err(errors::absent("Template", name));
        }
    }
    let mut runs = Vec::new();
    if is_whole {
        for name in names {
            runs.extend(executions_of(call, name).await?);
        }
    }
    // Executions keep a copy of their template's text.
    oos.templates.delete(call.account(), names).await.map_err(errors::store)?;
    oos.executions.records().delete(&runs).await.map_err(errors::store)?;
    Ok(json!({}))
}

/// The executions of a template, all of which must have ended.
async fn executions_of(call: &Call<'_>, name: &str) -> Result<Vec<String>, ApiError> {
    let records = call.oos().executions.records();
    let mut query = ExecutionQuery {
        account: call.account().to_owned(),
        template_name: Some(name.to_owned()),
        page: PageOf { after: None, limit: 1000 },
        ..ExecutionQuery::default()
    };
    let mut found = Vec::new();
    loop {
        let page = records.list(&query).await.map_err(errors::store)?;
        for row in page.items.iter().filter(|row| row.template_name.eq_ignore_ascii_case(name)) {
            if row.ended == 0 {
                return Err(errors::status(&format!("{} of {name} has not ended", row.id)));
            }
            found.push(row.id.clone());
        }
        match page.next {
            Some(next) => query.page.after = Some(next),
            None => return Ok(found),
        }
    }
}

/// `ValidateTemplateContent`: what a template consists of, where it is valid.
pub(super) async fn validate_template_content(call: &Call<'_>) -> Result<Value, ApiError> {
    let request: One = read(call)?;
    call.allowed("", "template/*")?;
    let text = match (&request.content, &request.template_url) {
        (Some(text), _) => text.clone(),
        (None, Some(url)) => executions::fetched(call, url).await?,
        (None, None) => return Err(ApiError::missing_parameter("Content")),
    };
    let found: Found = library::inline(call, &text)?;
    // It was read a moment ago.
    let document = kiln_oos::document::parse(&found.template.text).map(|node| node.to_value());
    let document = document.unwrap_or_default();
    let part = |value: &Value, name: &str| match value.get(name) {
        None | Some(Value::Null) => "{}".to_owned(),
        Some(value) => value.to_string(),
    };
    let task = |task: &Value| {
        json!({
            "Name": task["Name"],
            "Type": task["Action"],
            "Description": task.get("Description").cloned().map(description).unwrap_or_default(),
            "Properties": part(task, "Properties"),
            "Outputs": part(task, "Outputs"),
        })
    };
    let tasks: Vec<Value> = document["Tasks"].as_array().into_iter().flatten().map(task).collect();
    let role = document.get("RamRole").cloned().map(description).unwrap_or_default();
    Ok(json!({
        "Parameters": part(&document, "Parameters"),
        "Outputs": part(&document, "Outputs"),
        "RamRole": role,
        "Tasks": tasks,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_ones_own_have_rules() {
        for (name, is_good) in [
            ("a", true),
            ("My-Template_1", true),
            ("acs-mine", false),
            ("AliYunX", false),
            ("a::b", false),
            ("ä", false),
            (&"a".repeat(200), true),
            (&"a".repeat(201), false),
        ] {
            assert_eq!(own_name(name).is_ok(), is_good, "{name}");
        }
    }
}
