//! `ListTemplates`: an account's own templates and the public ones, sorted together.
//!
//! Public templates are in memory and have no dates, tags or counts; an account has so few of its
//! own that all of them are read, and a page is cut from the whole.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use kiln_ecs::error::ApiError;
use kiln_factory::executions::Kept;
use kiln_store::{PageOf, TemplateQuery, TemplateRow, TemplateSort};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::errors;
use super::request::{self, SortOrder, bound, put, read, slice};
use super::templates::{KIND, MAX_TEMPLATES, Record, category, format_of, head, shipped};
use crate::ecs::Call;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
enum Sort {
    #[default]
    TotalExecutionCount,
    Popularity,
    TemplateName,
    CreatedDate,
    UpdatedDate,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct List {
    category: Option<String>,
    created_by: Option<String>,
    created_date_after: Option<String>,
    created_date_before: Option<String>,
    has_trigger: Option<bool>,
    is_example: bool,
    is_favorite: Option<bool>,
    resource_group_id: Option<String>,
    share_type: Option<String>,
    sort_field: Sort,
    sort_order: SortOrder,
    tags: BTreeMap<String, String>,
    template_format: Option<String>,
    template_name: Option<String>,
    template_type: Option<String>,
}

impl List {
    /// Whether templates of a share type are asked for at all.
    fn wants(&self, share: &str) -> bool {
        !self.is_example && self.share_type.as_deref().is_none_or(|own| own == share)
    }

    fn query(&self, account: &str) -> Result<TemplateQuery, ApiError> {
        Ok(TemplateQuery {
            account: account.to_owned(),
            name: self.template_name.clone(),
            created_by: self.created_by.clone(),
            format: self.template_format.clone(),
            kind: self.template_type.clone(),
            category: self.category.clone(),
            has_trigger: self.has_trigger,
            resource_group: self.resource_group_id.clone(),
            tags: self.tags.clone(),
            created_from: bound("CreatedDateAfter", self.created_date_after.as_ref(), false)?,
            created_to: bound("CreatedDateBefore", self.created_date_before.as_ref(), true)?,
            sort: TemplateSort::Name,
            is_ascending: true,
            page: PageOf { after: None, limit: MAX_TEMPLATES },
        })
    }

    /// Whether a shipped template is meant. It has no tags, no resource group and no date.
    fn means(&self, kept: &Kept) -> bool {
        let template = &kept.loaded.template;
        let same = |wanted: Option<&String>, is: &str| wanted.is_none_or(|own| own == is);
        let name = self.template_name.as_ref().map(|name| name.to_ascii_lowercase());
        !kept.is_action
            && name.is_none_or(|part| kept.name.to_ascii_lowercase().contains(&part))
            && same(self.created_by.as_ref(), "ACS")
            && same(self.template_format.as_ref(), format_of(&kept.loaded.text))
            && same(self.template_type.as_ref(), KIND)
            && same(self.category.as_ref(), category(template))
            && self.has_trigger.is_none_or(|wanted| wanted == (category(template) != "Other"))
            && self.resource_group_id.is_none()
            && self.tags.is_empty()
            && self.created_date_after.is_none()
            && self.created_date_before.is_none()
    }
}

/// A template in a list, with what lists are sorted by.
struct Listed {
    name: String,
    executions: i64,
    popularity: i64,
    created: i64,
    updated: i64,
    is_favorite: bool,
    fields: Map<String, Value>,
}

impl Listed {
    fn own(row: &TemplateRow) -> Self {
        let mut fields = head(row, row.latest, &Record::read(&row.record));
        fields.insert("Category".to_owned(), Value::from(row.category.as_str()));
        Self {
            name: row.name.to_ascii_lowercase(),
            executions: row.executions,
            popularity: -1,
            created: row.created,
            updated: row.updated,
            is_favorite: false,
            fields,
        }
    }

    fn shipped(kept: &Kept) -> Self {
        let mut fields = shipped(kept);
        fields.insert("Category".to_owned(), Value::from(category(&kept.loaded.template)));
        fields.insert("Publisher".to_owned(), Value::from("ACS"));
        let name = kept.name.to_ascii_lowercase();
        let (executions, popularity, is_favorite) = (-1, 1, false);
        Self { name, executions, popularity, created: 0, updated: 0, is_favorite, fields }
    }

    fn order(&self, other: &Self, by: Sort) -> Ordering {
        let first = match by {
            Sort::TotalExecutionCount => self.executions.cmp(&other.executions),
            Sort::Popularity => self.popularity.cmp(&other.popularity),
            Sort::TemplateName => Ordering::Equal,
            Sort::CreatedDate => self.created.cmp(&other.created),
            Sort::UpdatedDate => self.updated.cmp(&other.updated),
        };
        first.then_with(|| self.name.cmp(&other.name))
    }

    fn shown(mut self) -> Value {
        self.fields.insert("IsFavorite".to_owned(), Value::from(self.is_favorite));
        self.fields.insert("Popularity".to_owned(), Value::from(self.popularity));
        self.fields.insert("TotalExecutionCount".to_owned(), Value::from(self.executions));
        Value::Object(self.fields)
    }
}

/// `ListTemplates`.
pub(super) async fn list_templates(call: &Call<'_>) -> Result<Value, ApiError> {
    let request: List = read(call)?;
    call.allowed("", "template/*")?;
    let paging = request::paging(call)?;
    let limit = paging.size(10)?;
    let mut found = Vec::new();
    if request.wants("Private") {
        let query = request.query(call.account())?;
        let own = call.oos().templates.list(&query).await.map_err(errors::store)?;
        found.extend(own.items.iter().map(Listed::own));
    }
    if request.wants("Public") {
        let all = call.oos().shelf.iter();
        found.extend(all.filter(|kept| request.means(kept)).map(Listed::shipped));
    }
    let favorites = call.oos().templates.favorites(call.account()).await.map_err(errors::store)?;
    for own in &mut found {
        own.is_favorite = favorites.contains(&own.name);
    }
    found.retain(|own| request.is_favorite.is_none_or(|wanted| wanted == own.is_favorite));
    found.sort_by(|a, b| a.order(b, request.sort_field));
    if request.sort_order == SortOrder::Descending {
        found.reverse();
    }
    let (page, next) = slice(found, &paging, limit)?;
    let mut answer = Map::new();
    let templates: Vec<Value> = page.into_iter().map(Listed::shown).collect();
    answer.insert("Templates".to_owned(), Value::from(templates));
    answer.insert("MaxResults".to_owned(), Value::from(limit));
    put(&mut answer, "NextToken", next);
    Ok(Value::Object(answer))
}
