//! `ACS::SelectTargets`: the resources that filters name.

use std::collections::{BTreeSet, VecDeque};

use serde_json::{Map, Value, json};

use super::Run;
use super::poll::Partial;
use super::request::{ApiError, Request};
use super::scope::get_any_case;
use crate::value::{kind, text};

/// Identifiers in one request at most: the limit of the operations.
const IDS_IN_A_REQUEST: usize = 100;

/// How resources of a type are asked for, and where they stand in the answer.
#[derive(Debug)]
pub(super) struct Kind {
    resource: &'static str,
    service: &'static str,
    api: &'static str,
    /// The parameter that takes identifiers.
    ids: &'static str,
    /// The two keys that hold the list; the second is empty where the first holds it.
    list: (&'static str, &'static str),
    id: &'static str,
}

const KINDS: &[Kind] = &[
    Kind {
        resource: "ALIYUN::ECS::Instance",
        service: "ECS",
        api: "DescribeInstances",
        ids: "InstanceIds",
        list: ("Instances", "Instance"),
        id: "InstanceId",
    },
    Kind {
        resource: "ALIYUN::ECS::Disk",
        service: "ECS",
        api: "DescribeDisks",
        ids: "DiskIds",
        list: ("Disks", "Disk"),
        id: "DiskId",
    },
    Kind {
        resource: "ALIYUN::ECS::Image",
        service: "ECS",
        api: "DescribeImages",
        ids: "ImageId",
        list: ("Images", "Image"),
        id: "ImageId",
    },
    Kind {
        resource: "ALIYUN::ECS::Snapshot",
        service: "ECS",
        api: "DescribeSnapshots",
        ids: "SnapshotIds",
        list: ("Snapshots", "Snapshot"),
        id: "SnapshotId",
    },
    Kind {
        resource: "ALIYUN::RDS::DBInstance",
        service: "RDS",
        api: "DescribeDBInstances",
        ids: "DBInstanceId",
        list: ("Items", "DBInstance"),
        id: "DBInstanceId",
    },
    Kind {
        resource: "ALIYUN::REDIS::Instance",
        service: "R-kvstore",
        api: "DescribeInstances",
        ids: "InstanceIds",
        list: ("Instances", "KVStoreInstance"),
        id: "InstanceId",
    },
    Kind {
        resource: "ALIYUN::ECD::Desktop",
        service: "ECD",
        api: "DescribeDesktops",
        ids: "DesktopId",
        list: ("Desktops", ""),
        id: "DesktopId",
    },
];

impl Run {
    pub(super) fn select_targets(&mut self, id: &str, properties: &Map<String, Value>) {
        match self.target_requests(id, properties) {
            Ok((kind, requests)) => {
                let (found, seen) = (Vec::new(), BTreeSet::new());
                self.keep_partial(id, Partial::Targets { requests, found, seen, kind });
                self.next_target(id);
            }
            Err(error) => self.fail(id, &error),
        }
    }

    fn target_requests(
        &self,
        id: &str,
        properties: &Map<String, Value>,
    ) -> Result<(&'static Kind, VecDeque<Request>), String> {
        let resource = match get_any_case(properties, "ResourceType") {
            None | Some(Value::Null) => "ALIYUN::ECS::Instance".to_owned(),
            Some(resource) => text(resource).into_owned(),
        };
        let kind = KINDS.iter().find(|kind| kind.resource.eq_ignore_ascii_case(&resource));
        let kind = kind.ok_or_else(|| {
            let known: Vec<_> = KINDS.iter().map(|kind| kind.resource).collect();
            format!("ResourceType `{resource}` is not supported; known are {}", known.join(", "))
        })?;
        let filters = match get_any_case(properties, "Filters") {
            Some(Value::Array(filters)) => filters.clone(),
            Some(filter @ Value::Object(_)) => vec![filter.clone()],
            None | Some(Value::Null) => vec![json!({"Type": "All"})],
            Some(other) => {
                return Err(format!(
                    "Filters must be a list, and is {}",
                    crate::value::kind(other)
                ));
            }
        };
        let region = get_any_case(properties, "RegionId").filter(|region| !region.is_null());
        let mut requests = VecDeque::new();
        for filter in &filters {
            // A filter may come from a parameter that was given as text.
            let filter = match filter {
                Value::String(text) => serde_json::from_str(text).unwrap_or_default(),
                other => other.clone(),
            };
            let Value::Object(filter) = &filter else {
                return Err("each of Filters must be a map with Type".to_owned());
            };
            for parameters in parameters_of(kind, filter, region)? {
                let (service, api) = (kind.service.to_owned(), kind.api.to_owned());
                requests.push_back(self.request_of(id, service, api, parameters, None)?);
            }
        }
        Ok((kind, requests))
    }

    /// Send the next request, or end where there is none.
    pub(super) fn next_target(&mut self, id: &str) {
        let Some(Partial::Targets { requests, found, kind, .. }) = self.partial.get(id) else {
            // The run was loaded while it waited to try again: from the beginning.
            self.steps.push_back(super::Step::Act(id.to_owned()));
            return;
        };
        match requests.front() {
            Some(request) => {
                let request = request.clone();
                self.send(id, request);
            }
            None => {
                let list = Value::Array(found.clone());
                let result = match kind.list {
                    (outer, "") => json!({ outer: list }),
                    (outer, inner) => json!({ outer: { inner: list } }),
                };
                self.succeed(id, &result);
            }
        }
    }

    pub(super) fn target_called(&mut self, id: &str, result: Result<Value, ApiError>) {
        let body = match result {
            Ok(body) => body,
            Err(error) => {
                if !self.tries_again(id, &error) {
                    self.fail(id, &error.to_string());
                }
                return;
            }
        };
        if let Some(Partial::Targets { requests, found, seen, kind }) = self.partial.get_mut(id) {
            let list = body.get(kind.list.0);
            let list = match kind.list.1 {
                "" => list,
                inner => list.and_then(|list| list.get(inner)),
            };
            for item in list.and_then(Value::as_array).into_iter().flatten() {
                let own = item.get(kind.id).map(|id| text(id).into_owned()).unwrap_or_default();
                if seen.insert(own) {
                    found.push(item.clone());
                }
            }
            let done = requests.pop_front();
            // Pages may be short, and a loop takes no more items than twice as many.
            let n_pages = u32::try_from(found.len() / 100).unwrap_or(u32::MAX);
            match done.map_or(Ok(None), |done| next_page(done, &body, n_pages)) {
                Ok(Some(next)) => requests.push_front(next),
                Ok(None) => {}
                Err(error) => return self.fail(id, &error),
            }
        }
        self.next_target(id);
    }
}

fn next_page(mut done: Request, body: &Value, n_pages: u32) -> Result<Option<Request>, String> {
    done.parameters.shift_remove("PageNumber");
    done.parameters.shift_remove("NextToken");
    super::paging::next(&done, body, n_pages)
}

/// The parameters of the requests that a filter stands for.
fn parameters_of(
    target: &Kind,
    filter: &Map<String, Value>,
    region: Option<&Value>,
) -> Result<Vec<Map<String, Value>>, String> {
    let mut base = Map::new();
    if let Some(Value::Object(more)) = get_any_case(filter, "Parameters") {
        base.extend(more.clone());
    }
    let own = get_any_case(filter, "RegionId").filter(|own| !matches!(own, Value::Null));
    if let Some(region) = own.or(region) {
        base.insert("RegionId".to_owned(), region.clone());
    }
    let kind_of_filter = get_any_case(filter, "Type").map(|kind| text(kind).into_owned());
    let get = |name: &str| get_any_case(filter, name).filter(|value| !value.is_null());
    match kind_of_filter.as_deref() {
        Some("ResourceIds") => {
            let ids = match get("ResourceIds") {
                Some(Value::Array(ids)) => ids.clone(),
                Some(id @ Value::String(_)) => vec![id.clone()],
                None => Vec::new(),
                Some(other) => {
                    return Err(format!("ResourceIds must be a list, and is {}", kind(other)));
                }
            };
            let each = |ids: &[Value]| {
                let mut parameters = base.clone();
                parameters.insert(target.ids.to_owned(), Value::Array(ids.to_vec()));
                parameters
            };
            Ok(ids.chunks(IDS_IN_A_REQUEST).map(each).collect())
        }
        Some("Tags") => {
            if let Some(tags) = get("Tags") {
                base.insert("Tags".to_owned(), tags.clone());
            }
            Ok(vec![base])
        }
        Some("ResourceGroup") => {
            if let Some(group) = get("ResourceGroupId") {
                base.insert("ResourceGroupId".to_owned(), group.clone());
            }
            Ok(vec![base])
        }
        Some("All") => Ok(vec![base]),
        Some(other) => Err(format!(
            "the Type of a filter must be ResourceIds, Tags, ResourceGroup or All, and is `{other}`"
        )),
        None => Err("a filter needs Type: ResourceIds, Tags, ResourceGroup or All".to_owned()),
    }
}
