//! The actions of OOS against a server's state, with executions that really run.

mod later;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use kiln_ecs::error::ApiError;
use kiln_factory::executions::StartSpec;
use kiln_oos::run::{Context, Found, Loaded, Mode, SafetyCheck};
use serde_json::{Map, Value, json};

use crate::ecs::testing::{OWNER, Site, sound};

const OTHER: &str = "1000000000000002";

/// A site, asked as [`OWNER`].
struct Asked(Site);

impl Asked {
    async fn open() -> Self {
        Self(Site::open().await)
    }

    async fn ask(&self, action: &str, pairs: &[(&str, &str)]) -> Value {
        match self.0.oos(OWNER, action, pairs).await {
            Ok(answer) => answer,
            Err(error) => panic!("{action} {pairs:?}: {error}"),
        }
    }

    async fn refused(&self, action: &str, pairs: &[(&str, &str)]) -> (u16, String) {
        told(self.0.oos(OWNER, action, pairs).await.unwrap_err())
    }

    /// Start a template and give its execution's identifier.
    async fn start(&self, template: &Value, more: &[(&str, &str)]) -> String {
        let text = template.to_string();
        let mut pairs = vec![("TemplateContent", text.as_str())];
        pairs.extend(more);
        let started = self.ask("StartExecution", &pairs).await;
        started["Execution"]["ExecutionId"].as_str().unwrap().to_owned()
    }

    async fn execution(&self, id: &str) -> Value {
        let listed = self.ask("ListExecutions", &[("ExecutionId", id)]).await;
        assert_eq!(listed["TotalCount"], 1, "{listed}");
        listed["Executions"][0].clone()
    }

    /// The execution once it is in one of these states.
    async fn until(&self, id: &str, states: &[&str]) -> Value {
        let is = |own: &Value| states.contains(&own["Status"].as_str().unwrap());
        self.until_it(id, &format!("{states:?}"), is).await
    }

    /// The execution once it is `what`.
    async fn until_it(&self, id: &str, what: &str, is: impl Fn(&Value) -> bool) -> Value {
        let deadline = std::time::Instant::now() + Duration::from_secs(30);
        loop {
            let execution = self.execution(id).await;
            if is(&execution) {
                return execution;
            }
            assert!(std::time::Instant::now() < deadline, "not {what}: {execution}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn ended(&self, id: &str) -> Value {
        self.until(id, &["Success", "Failed", "Cancelled"]).await
    }
}

fn told(error: ApiError) -> (u16, String) {
    (error.status, error.code)
}

fn template(tasks: Value) -> Value {
    json!({"FormatVersion": "OOS-2019-06-01", "Tasks": tasks})
}

fn sleep(seconds: u32) -> Value {
    json!({
        "Name": "sleep", "Action": "ACS::Sleep", "Properties": {"Duration": format!("PT{seconds}S")},
    })
}

fn approve() -> Value {
    template(json!([
        {"Name": "ask", "Action": "ACS::Approve",
         "Properties": {"NotifyType": "WebHook", "Approvers": [],
                        "WebHook": {"URI": "http://nobody.invalid/", "Content": {}}}},
    ]))
}

/// The images of the account, found by a template in the account's name.
fn images() -> Value {
    let mut own = template(json!([
        {"Name": "find", "Action": "ACS::ExecuteAPI",
         "Properties": {"Service": "ECS", "API": "DescribeImages",
                        "Parameters": {"ImageOwnerAlias": "self"}},
         "Outputs": {"ids": {"Type": "List", "ValueSelector": ".Images.Image[].ImageId"}}},
        {"Name": "each", "Action": "ACS::ExecuteAPI",
         "Properties": {"Service": "ECS", "API": "DescribeImages",
                        "Parameters": {"ImageId": "{{ ACS::TaskLoopItem }}"}},
         "Loop": {"Items": "{{ find.ids }}", "RateControl":
             {"Mode": "Concurrency", "MaxErrors": 0, "Concurrency": 5}}},
    ]));
    own["Parameters"] = json!({"word": {"Type": "String", "Default": "x"}});
    own["Outputs"] = json!({"ids": {"Type": "List", "Value": "{{ find.ids }}"}});
    own
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_template_calls_ecs_in_the_name_of_its_account() {
    let site = Asked(Site::of([sound("m-1"), sound("m-2")]).await);
    let id = site.start(&images(), &[("Tags", r#"{"k":"v"}"#), ("Description", "d")]).await;
    let ended = site.ended(&id).await;
    assert_eq!(ended["Status"], "Success", "{ended}");
    let outputs: Value = serde_json::from_str(ended["Outputs"].as_str().unwrap()).unwrap();
    assert_eq!(outputs["ids"].as_array().unwrap().len(), 2, "{outputs}");
    assert_eq!(ended["Parameters"], json!({"word": "x"}));
    assert_eq!(ended["Counters"], json!({"Failed": 0, "Success": 2, "Total": 2}));
    assert_eq!((&ended["Tags"], &ended["Description"]), (&json!({"k": "v"}), &json!("d")));

    let tasks = site.ask("ListTaskExecutions", &[("ExecutionId", &id)]).await;
    assert_eq!(tasks["TaskExecutions"].as_array().unwrap().len(), 2, "{tasks}");
    let all = [("ExecutionId", id.as_str()), ("IncludeChildTaskExecution", "true")];
    let items = site.ask("ListTaskExecutions", &all).await;
    assert_eq!(items["TaskExecutions"].as_array().unwrap().len(), 4, "{items}");
    let resources = site.ask("ListResourceExecutionStatus", &[("ExecutionId", &id)]).await;
    assert_eq!(resources["ResourceExecutionStatus"].as_array().unwrap().len(), 2, "{resources}");

    let logs = site.ask("ListExecutionLogs", &[("ExecutionId", &id), ("MaxResults", "1")]).await;
    assert_eq!(logs["IsTruncated"], true);
    let next = logs["NextToken"].as_str().unwrap();
    let more = [("ExecutionId", id.as_str()), ("MaxResults", "1"), ("NextToken", next)];
    let more = site.ask("ListExecutionLogs", &more).await;
    assert_ne!(logs["ExecutionLogs"], more["ExecutionLogs"]);

    // A caller of another account sees nothing of it.
    for (action, pairs) in [
        ("ListExecutionLogs", vec![("ExecutionId", id.as_str())]),
        ("CancelExecution", vec![("ExecutionId", id.as_str())]),
        ("GetExecutionTemplate", vec![("ExecutionId", id.as_str())]),
        ("NotifyExecution", vec![("ExecutionId", id.as_str()), ("NotifyType", "Approve")]),
    ] {
        let refused = site.0.oos(OTHER, action, &pairs).await.unwrap_err();
        assert_eq!(told(refused), (404, "EntityNotExists.Execution".to_owned()), "{action}");
    }
    let listed = site.0.oos(OTHER, "ListExecutions", &[("ExecutionId", &id)]).await.unwrap();
    assert_eq!(listed["Executions"], json!([]));
    let tasks = site.0.oos(OTHER, "ListTaskExecutions", &[("ExecutionId", &id)]).await.unwrap();
    assert_eq!(tasks["TaskExecutions"], json!([]));
}

/// Faults planted: what kiln has no action for, and a product that it does not know.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_that_nobody_answers_fail_with_the_code_of_an_unknown_action() {
    let site = Asked::open().await;
    for (service, api) in [("ECS", "RunInstances"), ("XYZ", "DescribeImages")] {
        let call = json!({"Name": "call", "Action": "ACS::ExecuteAPI",
            "Properties": {"Service": service, "API": api, "Parameters": {"ImageId": "m-1"}}});
        let id = site.start(&template(json!([call])), &[]).await;
        let ended = site.ended(&id).await;
        assert_eq!(ended["Status"], "Failed", "{ended}");
        let message = ended["StatusMessage"].as_str().unwrap();
        assert!(message.contains("InvalidAction.NotFound"), "{message}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_template_calls_oos_itself() {
    let site = Asked::open().await;
    let own = template(json!([
        {"Name": "look", "Action": "ACS::ExecuteAPI",
         "Properties": {"Service": "OOS", "API": "ListExecutions",
                        "Parameters": {"ExecutionId": "{{ ACS::ExecutionId }}"}},
         "Outputs": {"status": {"Type": "String", "ValueSelector": ".Executions[0].Status"}}},
    ]));
    let id = site.start(&own, &[]).await;
    assert_eq!(site.ended(&id).await["Status"], "Success");
    let tasks = site.ask("ListTaskExecutions", &[("ExecutionId", &id)]).await;
    assert_eq!(tasks["TaskExecutions"][0]["Outputs"], r#"{"status":"Running"}"#);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn executions_that_wait_are_approved_rejected_and_cancelled() {
    let site = Asked::open().await;
    for (note, status) in [("Approve", "Success"), ("Reject", "Cancelled")] {
        let id = site.start(&approve(), &[]).await;
        let waits = site.until(&id, &["Waiting"]).await;
        assert_eq!(waits["WaitingStatus"], "Approve");
        let pairs = [("ExecutionId", id.as_str()), ("NotifyType", note), ("NotifyNote", "seen")];
        site.ask("NotifyExecution", &pairs).await;
        assert_eq!(site.ended(&id).await["Status"], status);
        let again = site.refused("NotifyExecution", &pairs).await;
        assert_eq!(again, (400, "OperationDenied.ExecutionStatus".to_owned()));
    }
    let id = site.start(&approve(), &[]).await;
    site.until(&id, &["Waiting"]).await;
    let kept =
        site.refused("DeleteExecutions", &[("ExecutionIds", &json!([id]).to_string())]).await;
    assert_eq!(kept, (400, "OperationDenied.ExecutionStatus".to_owned()));
    site.ask("CancelExecution", &[("ExecutionId", &id)]).await;
    assert_eq!(site.ended(&id).await["Status"], "Cancelled");
    let again = site.refused("CancelExecution", &[("ExecutionId", &id)]).await;
    assert_eq!(again, (400, "OperationDenied.ExecutionStatus".to_owned()));

    let long = site.start(&template(json!([sleep(3000)])), &[]).await;
    let forced = [("ExecutionIds", &*json!([id, long]).to_string()), ("Force", "true")];
    site.ask("DeleteExecutions", &forced).await;
    let gone = site.ask("ListExecutions", &[("ExecutionId", &long)]).await;
    assert_eq!(gone["Executions"], json!([]));
}

/// An execution that rests is let go of, and found again by whoever decides about it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_execution_that_nobody_drives_is_woken_by_a_decision() {
    let site = Asked::open().await;
    let id = site.start(&template(json!([sleep(3000)])), &[]).await;
    site.until(&id, &["Running"]).await;
    // Longer than it takes to see that nothing is to be done for an hour.
    tokio::time::sleep(Duration::from_secs(1)).await;
    site.ask("CancelExecution", &[("ExecutionId", &id)]).await;
    assert_eq!(site.ended(&id).await["Status"], "Cancelled");
}

/// As after a crash between the record and the journal.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_recorded_and_not_begun_begins_with_the_next_round() {
    let site = Asked::open().await;
    let oos = &site.0.service.oos;
    let text = template(json!([sleep(1)])).to_string();
    let spec = StartSpec {
        template: Found {
            name: String::new(),
            version: String::new(),
            template: Arc::new(Loaded::new(&text).unwrap()),
        },
        parameters: Map::new(),
        context: Context {
            region: "cn-a".to_owned(),
            account: OWNER.to_owned(),
            user: "u".to_owned(),
            mode: Mode::Automatic,
            loop_mode: None,
            safety_check: SafetyCheck::Skip,
        },
        description: String::new(),
        resource_group: String::new(),
        tags: BTreeMap::new(),
    };
    let id = "exec-00000000000000000001";
    oos.executions.create(id, spec).await.unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(site.execution(id).await["Status"], "Started", "nobody was told of it");
    oos.engine.resume().await.unwrap();
    assert_eq!(site.ended(id).await["Status"], "Success");
}

#[tokio::test]
async fn bad_requests_are_refused_and_leave_nothing_behind() {
    let site = Asked::open().await;
    let good = template(json!([sleep(1)])).to_string();
    let typed = {
        let mut own = template(json!([sleep(1)]));
        own["Parameters"] = json!({"n": {"Type": "Number"}});
        own.to_string()
    };
    let unknown = template(json!([{"Name": "a", "Action": "ACS::Fly", "Properties": {}}]));
    let unknown = unknown.to_string();
    for (pairs, status, code) in [
        (vec![], 400, "MissingParameter"),
        (vec![("TemplateName", "none")], 404, "EntityNotExists.Template"),
        (
            vec![("TemplateName", "ACS-ECS-RepairImage"), ("TemplateVersion", "v2")],
            404,
            "EntityNotExists.TemplateVersion",
        ),
        (vec![("TemplateContent", "{")], 400, "InvalidTemplate.Syntax"),
        (vec![("TemplateContent", "{}")], 400, "InvalidTemplate.Structure"),
        (vec![("TemplateContent", &unknown)], 400, "InvalidTemplate.Action"),
        (vec![("TemplateContent", &good), ("Parameters", "[]")], 400, "InvalidParameter"),
        (vec![("TemplateContent", &good), ("Parameters", r#"{"x":1}"#)], 400, "InvalidParameter"),
        (vec![("TemplateContent", &typed)], 400, "InvalidParameter"),
        (
            vec![("TemplateContent", &typed), ("Parameters", r#"{"n":"x"}"#)],
            400,
            "InvalidParameter",
        ),
        (vec![("TemplateContent", &good), ("Mode", "Fast")], 400, "InvalidParameter"),
        (
            vec![("TemplateContent", &good), ("Mode", "Debug"), ("SafetyCheck", "Skip")],
            400,
            "InvalidParameter",
        ),
        (vec![("TemplateContent", &good), ("Tags", "x")], 400, "InvalidParameter"),
        (vec![("TemplateContent", &good), ("ClientToken", "a b")], 400, "InvalidParameter"),
        (
            vec![("TemplateContent", &good), ("ParentExecutionId", "exec-0")],
            404,
            "EntityNotExists.Execution",
        ),
        (vec![("TemplateURL", "http://nobody.invalid/x")], 400, "InvalidParameter"),
        (vec![("TemplateContent", &good), ("RegionId", "mars")], 404, "InvalidRegionId.NotFound"),
    ] {
        let refused = site.refused("StartExecution", &pairs).await;
        assert_eq!(refused, (status, code.to_owned()), "{pairs:?}");
    }
    let listed = site.ask("ListExecutions", &[]).await;
    assert_eq!(listed["TotalCount"], 0);
    for (pairs, name) in [
        ([("MaxResults", "9")], "MaxResults"),
        ([("MaxResults", "101")], "MaxResults"),
        ([("NextToken", "zz")], "NextToken"),
        ([("Status", "Fast")], "Status"),
        ([("StartDateAfter", "today")], "StartDateAfter"),
        ([("Depth", "Deep")], "Depth"),
        ([("SortField", "Size")], "SortField"),
    ] {
        let error = site.0.oos(OWNER, "ListExecutions", &pairs).await.unwrap_err();
        assert_eq!((error.status, &*error.code), (400, "InvalidParameter"), "{pairs:?}");
        assert!(error.message.contains(name), "{}", error.message);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_token_starts_one_execution() {
    let site = Asked::open().await;
    let text = template(json!([sleep(1)])).to_string();
    let pairs = [("TemplateContent", text.as_str()), ("ClientToken", "t-1")];
    let first = site.ask("StartExecution", &pairs).await;
    assert_eq!(site.ask("StartExecution", &pairs).await, first);
    let other = [pairs[0], pairs[1], ("Description", "another")];
    let refused = site.refused("StartExecution", &other).await;
    assert_eq!(refused, (400, "IdempotentParameterMismatch".to_owned()));
    assert_eq!(site.ask("ListExecutions", &[]).await["TotalCount"], 1);
}

#[tokio::test]
async fn templates_have_versions_and_public_ones_stay_as_they_are() {
    let site = Asked::open().await;
    let one = template(json!([sleep(1)])).to_string();
    let two = template(json!([sleep(2)])).to_string();
    let made = [("TemplateName", "Mine"), ("Content", &one), ("Tags", r#"{"k":"v"}"#)];
    let created = site.ask("CreateTemplate", &made).await;
    assert_eq!(created["Template"]["TemplateVersion"], "v1");
    assert_eq!(site.refused("CreateTemplate", &made).await.1, "EntityAlreadyExists.Template");
    let changed = [("TemplateName", "mine"), ("Content", &two), ("VersionName", "second")];
    let updated = site.ask("UpdateTemplate", &changed).await;
    assert_eq!(updated["Template"]["TemplateVersion"], "v2");
    assert_eq!(updated["Template"]["TemplateName"], "Mine");
    let got = site.ask("GetTemplate", &[("TemplateName", "Mine"), ("TemplateVersion", "v1")]).await;
    assert_eq!(got["Content"], one.as_str());
    let versions = site.ask("ListTemplateVersions", &[("TemplateName", "Mine")]).await;
    let names: Vec<&Value> = versions["TemplateVersions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|version| &version["TemplateVersion"])
        .collect();
    assert_eq!(names, ["v2", "v1"]);

    let own = site.ask("ListTemplates", &[("ShareType", "Private")]).await;
    assert_eq!(own["Templates"].as_array().unwrap().len(), 1);
    assert_eq!(own["Templates"][0]["Tags"], json!({"k": "v"}));
    let public = site.ask("ListTemplates", &[("ShareType", "Public")]).await;
    let is_public = |own: &Value| own["CreatedBy"] == "ACS" && own["ShareType"] == "Public";
    let public = public["Templates"].as_array().unwrap();
    assert!(!public.is_empty() && public.iter().all(is_public));
    assert!(public.iter().any(|own| own["TemplateName"] == "ACS-ECS-RepairImage"));
    let sorted = [("SortField", "TemplateName"), ("SortOrder", "Ascending")];
    let all = site.ask("ListTemplates", &sorted).await;
    assert_eq!(all["Templates"].as_array().unwrap().len(), public.len() + 1);

    let repair = ("TemplateName", "ACS-ECS-RepairImage");
    for (action, pairs, code) in [
        ("UpdateTemplate", vec![repair, ("Content", &one)], "OperationDenied.PublicTemplate"),
        ("DeleteTemplate", vec![repair], "OperationDenied.PublicTemplate"),
        ("CreateTemplate", vec![("TemplateName", "acs-x"), ("Content", &one)], "InvalidParameter"),
        (
            "CreateTemplate",
            vec![("TemplateName", "b"), ("Content", "{}")],
            "InvalidTemplate.Structure",
        ),
        ("CreateTemplate", vec![("TemplateName", "b")], "MissingParameter"),
        (
            "UpdateTemplate",
            vec![("TemplateName", "b"), ("Content", &one)],
            "EntityNotExists.Template",
        ),
        ("GetTemplate", vec![("TemplateName", "b")], "EntityNotExists.Template"),
        (
            "GetTemplate",
            vec![("TemplateName", "Mine"), ("TemplateVersion", "v3")],
            "EntityNotExists.TemplateVersion",
        ),
        ("DeleteTemplates", vec![("TemplateNames", r#"["Mine","b"]"#)], "EntityNotExists.Template"),
    ] {
        assert_eq!(site.refused(action, &pairs).await.1, code, "{action} {pairs:?}");
    }
    assert!(site.0.oos(OTHER, "GetTemplate", &[("TemplateName", "Mine")]).await.is_err());
    site.ask("DeleteTemplate", &[("TemplateName", "MINE")]).await;
    let own = site.ask("ListTemplates", &[("ShareType", "Private")]).await;
    assert_eq!(own["Templates"], json!([]));

    let action = site.ask("GetTemplate", &[("TemplateName", "ACS::ECS::RunCommand")]).await;
    assert!(action["Content"].as_str().unwrap().contains("FormatVersion"));
    let valid = site.ask("ValidateTemplateContent", &[("Content", &two)]).await;
    assert_eq!(valid["Tasks"][0]["Type"], "ACS::Sleep");
    assert_eq!(valid["Tasks"][0]["Properties"], r#"{"Duration":"PT2S"}"#);
    assert_eq!(
        site.refused("ValidateTemplateContent", &[("Content", "{}")]).await.1,
        "InvalidTemplate.Structure"
    );
}

#[tokio::test]
async fn actions_and_regions_are_listed() {
    let site = Asked::open().await;
    let actions = site.ask("ListActions", &[("OOSActionName", "execute")]).await;
    let names: Vec<&str> = actions["Actions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|action| action["OOSActionName"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["ACS::ExecuteAPI", "ACS::ExecuteHttpRequest"]);
    let products = site.ask("ListActions", &[("OOSActionName", "ACS::ECS::RunCommand")]).await;
    assert_eq!(products["Actions"][0]["ActionType"], "Product.ECS");
    let first = site.ask("ListActions", &[("MaxResults", "20")]).await;
    assert_eq!(first["Actions"].as_array().unwrap().len(), 20);
    assert_eq!(first["NextToken"], "20");
    let regions = site.ask("DescribeRegions", &[]).await;
    assert_eq!(regions["Regions"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn tags_and_resource_groups_are_kept_with_everything() {
    let site = Asked::open().await;
    let text = template(json!([sleep(1)])).to_string();
    site.ask("CreateTemplate", &[("TemplateName", "Mine"), ("Content", &text)]).await;
    let pairs = [("Name", "p"), ("Type", "String"), ("Value", "1")];
    site.ask("CreateParameter", &pairs).await;
    let region = ("RegionId", "cn-a");
    let mine = [region, ("ResourceType", "template"), ("ResourceIds", r#"["Mine"]"#)];
    let tagged = [mine[0], mine[1], mine[2], ("Tags", r#"{"a":"1","b":"2"}"#)];
    site.ask("TagResources", &tagged).await;
    let both = [region, ("ResourceType", "template"), ("ResourceIds", r#"["Mine","none"]"#)];
    let both = [both[0], both[1], both[2], ("Tags", r#"{"c":"3"}"#)];
    assert_eq!(site.refused("TagResources", &both).await, (404, "EntityNotExists.Template".into()));
    let kept = site.ask("ListTagResources", &mine).await;
    let tags = kept["TagResources"]["TagResource"].as_array().unwrap();
    assert_eq!(tags.len(), 2, "all or nothing: {kept}");
    assert_eq!(tags[0]["ResourceId"], "Mine");
    assert_eq!(site.ask("ListTagKeys", &[]).await["Keys"], json!(["a", "b"]));
    assert_eq!(site.ask("ListTagValues", &[("Key", "b")]).await["Values"], json!(["2"]));
    let fewer = [mine[0], mine[1], mine[2], ("TagKeys", r#"["a"]"#)];
    site.ask("UntagResources", &fewer).await;
    assert_eq!(site.ask("ListTagKeys", &[]).await["Keys"], json!(["b"]));
    let none = [mine[0], mine[1], mine[2], ("All", "true")];
    site.ask("UntagResources", &none).await;
    assert_eq!(site.ask("ListTagKeys", &[]).await["Keys"], json!([]));
    assert_eq!(site.refused("UntagResources", &mine).await.1, "MissingParameter");

    for (kind, id) in [("template", "Mine"), ("parameter", "p")] {
        let moved = [("ResourceType", kind), ("ResourceId", id), ("NewResourceGroupId", "rg-1")];
        site.ask("ChangeResourceGroup", &moved).await;
        let unknown = [moved[0], ("ResourceId", "none"), moved[2]];
        assert_eq!(site.refused("ChangeResourceGroup", &unknown).await.0, 404, "{kind}");
    }
    let found = site.ask("ListTemplates", &[("ResourceGroupId", "rg-1")]).await;
    assert_eq!(found["Templates"].as_array().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parameters_are_kept_and_read_by_templates() {
    let site = Asked::open().await;
    let hint = r#"{"AllowedPattern":"[a-z,]+","MaxLength":5}"#;
    let made = [("Name", "path/word"), ("Type", "String"), ("Value", "abc"), ("Constraints", hint)];
    let created = site.ask("CreateParameter", &made).await;
    assert_eq!(created["Parameter"]["ParameterVersion"], 1);
    assert!(created["Parameter"].get("Value").is_none());
    assert_eq!(site.refused("CreateParameter", &made).await.1, "EntityAlreadyExists.Parameter");
    for bad in ["ABC", "abcdef"] {
        let changed = [("Name", "path/word"), ("Value", bad)];
        assert_eq!(site.refused("UpdateParameter", &changed).await.1, "InvalidParameter", "{bad}");
    }
    let updated = site.ask("UpdateParameter", &[("Name", "path/word"), ("Value", "xyz")]).await;
    assert_eq!(updated["Parameter"]["ParameterVersion"], 2);
    let got = site.ask("GetParameter", &[("Name", "path/word"), ("ParameterVersion", "1")]).await;
    assert_eq!(got["Parameter"]["Value"], "abc");
    let several = site.ask("GetParameters", &[("Names", r#"["path/word","none"]"#)]).await;
    assert_eq!(several["InvalidParameters"], json!(["none"]));
    let below = site.ask("GetParametersByPath", &[("Path", "/path")]).await;
    assert_eq!(
        (&below["TotalCount"], &below["Parameters"][0]["Value"]),
        (&json!(1), &json!("xyz"))
    );
    let versions = site.ask("ListParameterVersions", &[("Name", "path/word")]).await;
    assert_eq!(versions["ParameterVersions"].as_array().unwrap().len(), 2);
    let listed = site.ask("ListParameters", &[]).await;
    assert_eq!(listed["Parameters"][0]["ParameterVersion"], "2");

    site.ask("CreateSecretParameter", &[("Name", "hush"), ("Value", "s3cret-text")]).await;
    let hidden = site.ask("GetSecretParameter", &[("Name", "hush")]).await;
    assert!(hidden["Parameter"].get("Value").is_none());
    let shown = [("Name", "hush"), ("WithDecryption", "true")];
    let shown = site.ask("GetSecretParameter", &shown).await;
    assert_eq!(shown["Parameter"]["Value"], "s3cret-text");

    let own = template(json!([
        {"Name": "look", "Action": "ACS::ExecuteAPI",
         "Properties": {"Service": "OOS", "API": "GetParameters",
                        "Parameters": {"Names": ["{{ oos:path/word }}", "{{ oos-secret:hush }}"]}},
         "Outputs": {"unknown": {"Type": "List", "ValueSelector": ".InvalidParameters[]"}}},
    ]));
    let id = site.start(&own, &[]).await;
    let ended = site.ended(&id).await;
    assert_eq!(ended["Status"], "Success", "{ended}");
    let tasks = site.ask("ListTaskExecutions", &[("ExecutionId", &id)]).await;
    // The values reached the call, and the secret one is told to nobody.
    assert_eq!(tasks["TaskExecutions"][0]["Outputs"], r#"{"unknown":["xyz","****"]}"#);
    assert!(!tasks.to_string().contains("s3cret-text"), "{tasks}");

    for (name, code) in [("oosx", "InvalidParameter"), ("a b", "InvalidParameter")] {
        let bad = [("Name", name), ("Type", "String"), ("Value", "1")];
        assert_eq!(site.refused("CreateParameter", &bad).await.1, code, "{name}");
    }
    site.ask("DeleteParameter", &[("Name", "path/word")]).await;
    let gone = site.refused("GetParameter", &[("Name", "path/word")]).await;
    assert_eq!(gone, (404, "EntityNotExists.Parameter".to_owned()));
}

#[tokio::test]
async fn policies_and_risks_are_told_before_a_template_runs() {
    let site = Asked::open().await;
    let inner = template(json!([
        {"Name": "drop", "Action": "ACS::ExecuteAPI",
         "Properties": {"Service": "ECS", "API": "DeleteInstance", "Parameters": {}}},
    ]));
    let outer = template(json!([
        {"Name": "look", "Action": "ACS::ExecuteAPI",
         "Properties": {"Service": "ECS", "API": "DescribeImages", "Parameters": {}}},
        {"Name": "child", "Action": "ACS::Template", "Properties": {"TemplateName": "Inner"}},
    ]));
    for (name, text) in [("Inner", inner.to_string()), ("Outer", outer.to_string())] {
        site.ask("CreateTemplate", &[("TemplateName", name), ("Content", &text)]).await;
    }
    let policy = site.ask("GenerateExecutionPolicy", &[("TemplateName", "Outer")]).await;
    let needed: Value = serde_json::from_str(policy["Policy"].as_str().unwrap()).unwrap();
    assert_eq!(
        needed["Statement"][0]["Action"],
        json!(["ecs:DeleteInstance", "ecs:DescribeImages"])
    );
    assert_eq!(policy["MissingPolicy"], r#"{"Version":"1","Statement":[]}"#);
    let risky = site.ask("ListExecutionRiskyTasks", &[("TemplateName", "Outer")]).await;
    assert_eq!(
        risky["RiskyTasks"],
        json!([{"Service": "ECS", "API": "DeleteInstance", "Task": ["drop"], "Template": ["Inner"]}])
    );
    let mut typed = template(json!([sleep(1)]));
    typed["Parameters"] = json!({"size": {"Type": "String", "AllowedValues": ["a", "b"]}});
    let pairs = [("TemplateContent", &*typed.to_string())];
    let told = site.ask("GetTemplateParameterConstraints", &pairs).await;
    assert_eq!(told["ParameterConstraints"], json!({"size": {"AllowedValues": ["a", "b"]}}));
}

#[tokio::test]
async fn who_may_nothing_is_refused_by_each_action() {
    let site = Asked::open().await;
    let text = template(json!([sleep(1)])).to_string();
    let id = site.start(&template(json!([sleep(1)])), &[]).await;
    for (action, pairs) in [
        ("StartExecution", vec![("TemplateContent", text.as_str())]),
        ("ListExecutions", vec![]),
        ("ListTaskExecutions", vec![]),
        ("CreateTemplate", vec![("TemplateName", "a"), ("Content", &text)]),
        ("GetTemplate", vec![("TemplateName", "ACS-ECS-RepairImage")]),
        ("ListTemplates", vec![]),
        ("ValidateTemplateContent", vec![("Content", &text)]),
        ("ListActions", vec![]),
        ("CreateParameter", vec![("Name", "a"), ("Type", "String"), ("Value", "1")]),
        ("GetParameters", vec![("Names", "a")]),
        ("ListTagKeys", vec![]),
        ("DescribeRegions", vec![]),
        ("GenerateExecutionPolicy", vec![("TemplateContent", &text)]),
    ] {
        let refused = site.0.oos("nobody", action, &pairs).await.unwrap_err();
        assert_eq!((refused.status, &*refused.code), (403, "Forbidden.RAM"), "{action}");
    }
    assert!(site.execution(&id).await["Status"].is_string());
}
