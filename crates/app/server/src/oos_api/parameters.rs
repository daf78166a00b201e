//! The parameter store: values by name, secret ones apart.

use std::collections::BTreeMap;

use jiff::Timestamp;
use kiln_ecs::error::ApiError;
use kiln_oos::template::{Parameter, Type};
use kiln_store::{
    ParameterChange, ParameterQuery, ParameterRow, ParameterSort, ParameterVersion, StoreError,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::once::{self, Attempt};
use super::request::{
    self, SortOrder, client_token, needed, needed_list, object, put, read, region, stored_time,
};
use super::templates::is_reserved;
use super::{caller, errors};
use crate::ecs::Call;

/// Characters of a value, and of a description.
const MAX_VALUE: usize = 4096;
const MAX_DESCRIPTION: usize = 200;

/// Names of one request: of secrets, and of others.
const MAX_SECRETS: usize = 10;
const MAX_NAMES: usize = 100;

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Request {
    client_token: Option<String>,
    constraints: Option<String>,
    #[serde(rename = "DKMSInstanceId")]
    dkms_instance_id: Option<String>,
    description: Option<String>,
    key_id: Option<String>,
    name: Option<String>,
    names: Option<String>,
    parameter_version: Option<i64>,
    path: Option<String>,
    recursive: bool,
    region_id: Option<String>,
    resource_group_id: Option<String>,
    share_type: Option<String>,
    sort_field: Sort,
    sort_order: SortOrder,
    tags: Option<BTreeMap<String, String>>,
    #[serde(rename = "Type")]
    kind: Option<String>,
    value: Option<String>,
    with_decryption: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
enum Sort {
    Name,
    #[default]
    CreatedDate,
}

/// What is kept of a parameter beside its value.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Record {
    id: String,
    description: String,
    constraints: String,
    created_by: String,
    updated_by: String,
    updated: i64,
    key_id: String,
    dkms_instance_id: String,
}

impl Record {
    fn of(row: &ParameterRow) -> Self {
        serde_json::from_str(&row.record).unwrap_or_default()
    }

    fn text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

fn now() -> i64 {
    i64::try_from(Timestamp::now().as_nanosecond()).unwrap_or(i64::MAX)
}

/// `acs:oos:…:parameter/<name>` or `secretparameter/<name>`.
fn allowed(call: &Call<'_>, is_secret: bool, name: &str) -> Result<(), ApiError> {
    let kind = if is_secret { "secretparameter" } else { "parameter" };
    call.allowed("", &format!("{kind}/{name}"))
}

/// A name that an account may give.
fn own_name(name: &str, is_secret: bool) -> Result<(), ApiError> {
    let most = if is_secret { 180 } else { 200 };
    let is_good = |byte: u8| byte.is_ascii_alphanumeric() || b"-_/".contains(&byte);
    let first = name.trim_start_matches('/');
    let told = if name.len() > most || first.is_empty() || !name.bytes().all(is_good) {
        format!("It has 1 to {most} letters, digits, -, _ and /.")
    } else if is_reserved(first) || first.to_ascii_uppercase().starts_with("OOS") {
        "It may not begin with ALIYUN, ACS, ALIBABA, ALICLOUD or OOS.".to_owned()
    } else {
        return Ok(());
    };
    Err(ApiError::invalid_parameter("Name", &told))
}

/// Whether a value is one, by length and by the constraints of its parameter.
fn check_value(kind: &str, value: &str, constraints: &str) -> Result<(), ApiError> {
    let refused = |told: &str| Err(ApiError::invalid_parameter("Value", told));
    if value.chars().count() > MAX_VALUE {
        return refused("It has 1 to 4096 characters.");
    }
    let constraints = object("Constraints", Some(&constraints.to_owned()))?;
    let length = |name: &str| match constraints.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => match kiln_oos::value::text(value).parse() {
            Ok(length) => Ok(Some(length)),
            Err(_) => {
                let told = format!("{name} is no whole number.");
                Err(ApiError::invalid_parameter("Constraints", &told))
            }
        },
    };
    let is_list = kind == "StringList";
    let parameter = Parameter {
        name: "Value".to_owned(),
        span: 0..0,
        kind: if is_list { Type::List } else { Type::String },
        default: None,
        allowed_values: constraints.get("AllowedValues").and_then(Value::as_array).cloned(),
        allowed_pattern: constraints
            .get("AllowedPattern")
            .and_then(Value::as_str)
            .map(str::to_owned),
        min_length: length("MinLength")?,
        max_length: length("MaxLength")?,
        min_value: None,
        max_value: None,
        no_echo: true,
        constraint_description: None,
        label: None,
        description: None,
        association: None,
    };
    let text = Value::from(value);
    let items: Vec<&str> = value.split(',').map(str::trim).collect();
    let whole = if is_list { Value::from(items) } else { text };
    match kiln_oos::parameters::check(&parameter, &whole) {
        Ok(()) => Ok(()),
        // The message has the value in it, which may be a secret.
        Err(_) => refused("It does not meet the constraints of the parameter."),
    }
}

fn check_description(text: Option<&String>) -> Result<(), ApiError> {
    if text.is_some_and(|text| text.chars().count() > MAX_DESCRIPTION) {
        return Err(ApiError::invalid_parameter("Description", "It has 1 to 200 characters."));
    }
    Ok(())
}

/// A parameter without its value.
fn shown(row: &ParameterRow, version: i64) -> Map<String, Value> {
    let record = Record::of(row);
    let mut fields = Map::new();
    let mut set = |name: &str, value: Value| {
        fields.insert(name.to_owned(), value);
    };
    set("Id", Value::from(record.id));
    set("Name", Value::from(row.name.as_str()));
    set("Type", Value::from(row.kind.as_str()));
    set("ParameterVersion", Value::from(version));
    set("Description", Value::from(record.description));
    set("Constraints", Value::from(record.constraints));
    set("ShareType", Value::from("Private"));
    set("Tags", json!(row.tags));
    set("ResourceGroupId", Value::from(row.resource_group.as_str()));
    set("CreatedBy", Value::from(record.created_by));
    set("CreatedDate", Value::from(stored_time(row.created)));
    set("UpdatedBy", Value::from(record.updated_by));
    set("UpdatedDate", Value::from(stored_time(record.updated)));
    if row.is_secret {
        set("KeyId", Value::from(record.key_id));
        set("DKMSInstanceId", Value::from(record.dkms_instance_id));
    }
    fields
}

/// A parameter with its value; that of a secret only where it is asked for.
fn with_value(row: &ParameterRow, version: i64, value: &str, is_shown: bool) -> Value {
    let mut fields = shown(row, version);
    if is_shown {
        fields.insert("Value".to_owned(), Value::from(value));
    }
    Value::Object(fields)
}

/// `CreateParameter`, `CreateSecretParameter`.
pub(super) async fn create(call: &Call<'_>, is_secret: bool) -> Result<Value, ApiError> {
    let request: Request = read(call)?;
    let name = needed("Name", request.name.as_ref())?;
    allowed(call, is_secret, name)?;
    let region = region(call, request.region_id.as_ref())?;
    own_name(name, is_secret)?;
    let kind = match (is_secret, request.kind.as_deref()) {
        (true, None | Some("Secret")) => "Secret",
        (false, Some("String")) => "String",
        (false, Some("StringList")) => "StringList",
        (false, None) => return Err(ApiError::missing_parameter("Type")),
        (_, Some(_)) => {
            let told = if is_secret { "Secret is expected." } else { "String or StringList." };
            return Err(ApiError::invalid_parameter("Type", told));
        }
    };
    let value = needed("Value", request.value.as_ref())?;
    let constraints = request.constraints.clone().unwrap_or_else(|| "{}".to_owned());
    check_value(kind, value, &constraints)?;
    check_description(request.description.as_ref())?;
    let tags = request.tags.unwrap_or_default();
    request::tags(&tags)?;
    let (at, user) = (now(), caller::starter(call.caller));
    let hex = uuid::Uuid::new_v4().simple().to_string();
    let record = Record {
        id: format!("p-{}", hex.get(..20).unwrap_or(&hex)),
        description: request.description.unwrap_or_default(),
        constraints,
        created_by: user.clone(),
        updated_by: user.clone(),
        updated: at,
        key_id: request.key_id.unwrap_or_default(),
        dkms_instance_id: request.dkms_instance_id.unwrap_or_default(),
    };
    let row = ParameterRow {
        account: call.account().to_owned(),
        is_secret,
        name: name.to_owned(),
        kind: kind.to_owned(),
        resource_group: request.resource_group_id.unwrap_or_default(),
        tags,
        created: at,
        latest: 1,
        record: record.text(),
    };
    let first =
        ParameterVersion { version: 1, value: value.to_owned(), updated_by: user, updated: at };
    let answer = json!({"Parameter": shown(&row, 1)});
    let attempt = Attempt::of(call, &region, client_token(request.client_token.as_ref())?);
    let token = attempt.map(|attempt| attempt.with(answer.clone()));
    let made = call.oos().parameters.create(&row, &first, token.as_ref()).await;
    once::answered(made.map_err(errors::store)?, |is_new| match is_new {
        true => Ok(answer),
        false => Err(errors::exists("Parameter", name)),
    })
}

/// A parameter that a request names, in its latest version or in one of a number.
async fn known(
    call: &Call<'_>,
    is_secret: bool,
    name: &str,
    number: Option<i64>,
) -> Result<(ParameterRow, ParameterVersion), ApiError> {
    let found = call.oos().parameters.get(call.account(), is_secret, name, number).await;
    match found.map_err(errors::store)? {
        Some((row, Some(version))) => Ok((row, version)),
        _ => Err(errors::absent("Parameter", name)),
    }
}

/// `UpdateParameter`, `UpdateSecretParameter`: the next version.
pub(super) async fn update(call: &Call<'_>, is_secret: bool) -> Result<Value, ApiError> {
    let request: Request = read(call)?;
    let name = needed("Name", request.name.as_ref())?;
    allowed(call, is_secret, name)?;
    let value = needed("Value", request.value.as_ref())?;
    let (row, _) = known(call, is_secret, name, None).await?;
    let old = Record::of(&row);
    check_value(&row.kind, value, &old.constraints)?;
    check_description(request.description.as_ref())?;
    if let Some(tags) = &request.tags {
        request::tags(tags)?;
    }
    let (at, user) = (now(), caller::starter(call.caller));
    let record = Record {
        description: request.description.unwrap_or(old.description),
        updated_by: user.clone(),
        updated: at,
        ..old
    };
    let version =
        ParameterVersion { version: 0, value: value.to_owned(), updated_by: user, updated: at };
    let change = ParameterChange {
        record: Some(record.text()),
        tags: request.tags,
        resource_group: request.resource_group_id,
    };
    let store = &call.oos().parameters;
    match store.update(call.account(), is_secret, name, &version, &change).await {
        Err(StoreError::NotFound { .. }) => Err(errors::absent("Parameter", name)),
        Err(error) => Err(errors::store(error)),
        Ok(number) => {
            let (row, _) = known(call, is_secret, name, None).await?;
            Ok(json!({"Parameter": shown(&row, number)}))
        }
    }
}

/// `GetParameter`, `GetSecretParameter`.
pub(super) async fn get(call: &Call<'_>, is_secret: bool) -> Result<Value, ApiError> {
    let request: Request = read(call)?;
    let name = needed("Name", request.name.as_ref())?;
    allowed(call, is_secret, name)?;
    let (row, version) = known(call, is_secret, name, request.parameter_version).await?;
    let is_shown = !is_secret || request.with_decryption;
    Ok(json!({"Parameter": with_value(&row, version.version, &version.value, is_shown)}))
}

/// `GetParameters`, `GetSecretParameters`.
pub(super) async fn get_several(call: &Call<'_>, is_secret: bool) -> Result<Value, ApiError> {
    let request: Request = read(call)?;
    let most = if is_secret { MAX_SECRETS } else { MAX_NAMES };
    let names = needed_list("Names", request.names.as_ref(), most)?;
    let is_shown = !is_secret || request.with_decryption;
    let (mut found, mut unknown) = (Vec::new(), Vec::new());
    for name in names {
        allowed(call, is_secret, &name)?;
        let own = call.oos().parameters.get(call.account(), is_secret, &name, None).await;
        match own.map_err(errors::store)? {
            Some((row, Some(version))) => {
                found.push(with_value(&row, version.version, &version.value, is_shown));
            }
            _ => unknown.push(name),
        }
    }
    Ok(json!({"Parameters": found, "InvalidParameters": unknown}))
}

impl Request {
    fn query(&self, call: &Call<'_>, is_secret: bool, limit: usize) -> ParameterQuery {
        ParameterQuery {
            account: call.account().to_owned(),
            is_secret,
            name: self.name.clone(),
            path: self.path.clone(),
            is_recursive: self.recursive,
            kind: self.kind.clone(),
            resource_group: self.resource_group_id.clone(),
            tags: self.tags.clone().unwrap_or_default(),
            sort: match self.sort_field {
                Sort::Name => ParameterSort::Name,
                Sort::CreatedDate => ParameterSort::Created,
            },
            is_ascending: self.sort_order == SortOrder::Ascending,
            page: kiln_store::PageOf { after: None, limit },
        }
    }
}

/// `GetParametersByPath`, `GetSecretParametersByPath`.
pub(super) async fn by_path(call: &Call<'_>, is_secret: bool) -> Result<Value, ApiError> {
    let request: Request = read(call)?;
    let path = needed("Path", request.path.as_ref())?;
    allowed(call, is_secret, &format!("{}/*", path.trim_matches('/')))?;
    let paging = request::paging(call)?;
    let limit = paging.size_up_to(1, if is_secret { 10 } else { 100 })?;
    let mut query = request.query(call, is_secret, limit);
    query.page.after = paging.token().map(str::to_owned);
    let found = call.oos().parameters.list(&query).await.map_err(errors::store)?;
    let is_shown = !is_secret || request.with_decryption;
    let item = |(row, value): &(ParameterRow, String)| with_value(row, row.latest, value, is_shown);
    let items: Vec<Value> = found.items.iter().map(item).collect();
    Ok(page("Parameters", items, limit, found.total, found.next))
}

/// `ListParameters`, `ListSecretParameters`.
pub(super) async fn list(call: &Call<'_>, is_secret: bool) -> Result<Value, ApiError> {
    let request: Request = read(call)?;
    allowed(call, is_secret, "*")?;
    let paging = request::paging(call)?;
    let limit = paging.size(10)?;
    // kiln ships no parameters.
    if request.share_type.as_deref().is_some_and(|share| share != "Private") {
        return Ok(page("Parameters", Vec::new(), limit, 0, None));
    }
    let mut query = request.query(call, is_secret, limit);
    query.page.after = paging.token().map(str::to_owned);
    let found = call.oos().parameters.list(&query).await.map_err(errors::store)?;
    let item = |(row, _): &(ParameterRow, String)| {
        let mut fields = shown(row, row.latest);
        // The one place where the service tells the number as text.
        fields.insert("ParameterVersion".to_owned(), Value::from(row.latest.to_string()));
        Value::Object(fields)
    };
    let items: Vec<Value> = found.items.iter().map(item).collect();
    Ok(page("Parameters", items, limit, found.total, found.next))
}

fn page(name: &str, items: Vec<Value>, limit: usize, total: u64, next: Option<String>) -> Value {
    let mut answer = Map::new();
    answer.insert(name.to_owned(), Value::from(items));
    answer.insert("MaxResults".to_owned(), Value::from(limit));
    answer.insert("TotalCount".to_owned(), Value::from(total));
    put(&mut answer, "NextToken", next);
    Value::Object(answer)
}

/// `ListParameterVersions`, `ListSecretParameterVersions`, newest first.
pub(super) async fn versions(call: &Call<'_>, is_secret: bool) -> Result<Value, ApiError> {
    let request: Request = read(call)?;
    let name = needed("Name", request.name.as_ref())?;
    allowed(call, is_secret, name)?;
    let (row, _) = known(call, is_secret, name, None).await?;
    let asked = request::paging(call)?.page(10)?;
    let store = &call.oos().parameters;
    let found = store.versions(call.account(), is_secret, name, &asked).await;
    let found = found.map_err(errors::store)?;
    let is_shown = !is_secret || request.with_decryption;
    let item = |version: &ParameterVersion| {
        let mut fields = Map::new();
        put(&mut fields, "ParameterVersion", Some(version.version));
        put(&mut fields, "Value", is_shown.then_some(version.value.as_str()));
        put(&mut fields, "UpdatedBy", Some(version.updated_by.as_str()));
        put(&mut fields, "UpdatedDate", Some(stored_time(version.updated)));
        Value::Object(fields)
    };
    let items: Vec<Value> = found.items.iter().map(item).collect();
    let mut answer = page("ParameterVersions", items, asked.limit, found.total, found.next);
    if let Value::Object(fields) = &mut answer {
        let mut head = shown(&row, row.latest);
        head.remove("ParameterVersion");
        fields.extend(head);
    }
    Ok(answer)
}

/// `DeleteParameter`, `DeleteSecretParameter`.
pub(super) async fn delete(call: &Call<'_>, is_secret: bool) -> Result<Value, ApiError> {
    let request: Request = read(call)?;
    let name = needed("Name", request.name.as_ref())?;
    allowed(call, is_secret, name)?;
    let deleted = call.oos().parameters.delete(call.account(), is_secret, name).await;
    match deleted.map_err(errors::store)? {
        true => Ok(json!({})),
        false => Err(errors::absent("Parameter", name)),
    }
}
