//! What becomes of an execution after its start: other parameters, steps with other properties, what
//! lists tell of it, and how it is forgotten.

use super::*;

fn timer() -> Value {
    json!({
        "Name": "at", "Action": "ACS::TimerTrigger",
        "Properties": {"Type": "rate", "Expression": "{{ every }}", "EndDate": "2099-01-01"},
    })
}

/// A timer whose firings give back the word.
fn fires() -> Value {
    let mut own = template(json!([timer(), sleep(1)]));
    own["Parameters"] = json!({
        "word": {"Type": "String", "AllowedPattern": "[a-z]+"},
        "every": {"Type": "String", "Default": "1 day"},
        "hidden": {"Type": "String", "Default": "secret word", "NoEcho": true},
    });
    own["Outputs"] = json!({"said": {"Value": "{{ word }} {{ hidden }} {{ oos-secret:hush }}"}});
    own
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trigger_that_waits_takes_other_parameters_for_its_next_firing() {
    let site = Asked::open().await;
    site.ask("CreateSecretParameter", &[("Name", "hush"), ("Value", "s3cret-text")]).await;
    let id = site.start(&fires(), &[("Parameters", r#"{"word":"old"}"#)]).await;
    let waits = site.until(&id, &["Waiting"]).await;
    assert_eq!(
        (&waits["LastTriggerOutputs"], &waits["ResourceStatus"]),
        (&json!("{}"), &json!("{}"))
    );
    let next = waits["NextScheduleTime"].clone();
    for (parameters, status, code) in [
        (r#"{"word":"NO"}"#, 400, "InvalidParameter"),
        (r#"{"other":"x"}"#, 400, "InvalidParameter"),
        (r#"{"every":"soon"}"#, 400, "InvalidParameter"),
        ("[]", 400, "InvalidParameter"),
    ] {
        let pairs = [("ExecutionId", id.as_str()), ("Parameters", parameters)];
        let refused = site.refused("UpdateExecution", &pairs).await;
        assert_eq!(refused, (status, code.to_owned()), "{parameters}");
    }
    let other = [
        ("ExecutionId", id.as_str()),
        ("Parameters", r#"{"WORD":"new","every":"2 days"}"#),
        ("ClientToken", "once"),
    ];
    site.ask("UpdateExecution", &other).await;
    site.ask("UpdateExecution", &other).await;
    let is_new =
        |own: &Value| own["Parameters"]["word"] == "new" && own["NextScheduleTime"] != next;
    let renewed = site.until_it(&id, "renewed", is_new).await;
    assert_eq!(
        (&renewed["Status"], &renewed["Parameters"]["every"]),
        (&json!("Waiting"), &json!("2 days"))
    );
    let fire = [("ExecutionId", id.as_str()), ("Type", "Timer"), ("RegionId", "cn-a")];
    site.ask("TriggerExecution", &fire).await;
    let fired = site.until_it(&id, "fired", |own| own["LastTriggerStatus"] == "Success").await;
    assert_eq!(fired["LastTriggerOutputs"], r#"{"said":"new **** ****"}"#);
    let children = site.ask("ListExecutions", &[("ParentExecutionId", &id)]).await;
    assert_eq!(children["Executions"][0]["Parameters"]["word"], "new", "{children}");

    let child = children["Executions"][0]["ExecutionId"].as_str().unwrap();
    let pairs = [("ExecutionId", child), ("Parameters", r#"{"word":"x"}"#)];
    let refused = site.refused("UpdateExecution", &pairs).await;
    assert_eq!(refused, (400, "OperationDenied.ExecutionStatus".to_owned()));

    let plain = site.start(&template(json!([sleep(300)])), &[]).await;
    let pairs = [("ExecutionId", plain.as_str()), ("Parameters", r#"{"a":1}"#)];
    let refused = site.refused("UpdateExecution", &pairs).await;
    assert_eq!(refused, (400, "OperationDenied.ExecutionStatus".to_owned()));
}

/// Faults planted: what a timer can make nothing of, before it fired for the first time; a timer whose
/// time is in the store.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_timer_takes_no_parameters_that_would_end_it() {
    let site = Asked::open().await;
    site.ask("CreateParameter", &[("Name", "zone"), ("Type", "String"), ("Value", "UTC")]).await;
    for zone in ["UTC", "{{ oos:zone }}"] {
        let at = json!({
            "Name": "at", "Action": "ACS::TimerTrigger",
            "Properties": {"Type": "at", "Expression": "{{ when }}", "EndDate": "2099-01-01",
                           "TimeZone": zone},
        });
        let mut own = template(json!([at, sleep(1)]));
        own["Parameters"] =
            json!({"when": {"Type": "String"}, "more": {"Type": "Number", "Default": 1}});
        let id = site.start(&own, &[("Parameters", r#"{"when":"2098-01-01"}"#)]).await;
        site.until(&id, &["Waiting"]).await;
        let give = |parameters| [("ExecutionId", id.as_str()), ("Parameters", parameters)];
        if zone == "UTC" {
            let refused = site.refused("UpdateExecution", &give(r#"{"when":"soon"}"#)).await;
            assert_eq!(refused, (400, "InvalidParameter".to_owned()));
        }
        site.ask("UpdateExecution", &give(r#"{"more":2}"#)).await;
        site.ask("UpdateExecution", &give(r#"{"when":"2098-01-02"}"#)).await;
        let is_later = |own: &Value| own["NextScheduleTime"] == "2098-01-02T00:00:00Z";
        assert_eq!(site.until_it(&id, "set anew", is_later).await["Status"], "Waiting");
        site.ask("CancelExecution", &[("ExecutionId", &id)]).await;
    }
}

/// The template's own duration would outlive the test.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_step_runs_with_the_properties_that_it_is_given() {
    let site = Asked::open().await;
    let choose = json!({"Name": "choose", "Action": "ACS::Choice", "Properties": {
        "DefaultTask": "ACS::END", "Choices": [{"When": true, "NextTask": "sleep"}]}});
    let own = template(json!([choose, sleep(3000)]));
    let id =
        site.start(&own, &[("Mode", "Debug"), ("SafetyCheck", "ConfirmEveryHighRiskAction")]).await;
    site.until(&id, &["Waiting"]).await;
    let step = |task: &'static str, parameters: &'static str| {
        [
            ("ExecutionId", id.as_str()),
            ("NotifyType", "ExecuteTask"),
            ("TaskName", task),
            ("Parameters", parameters),
        ]
    };
    let refused = site.refused("NotifyExecution", &step("choose", r#"{"a":1}"#)).await;
    assert_eq!(refused, (400, "OperationDenied.ExecutionStatus".to_owned()));
    let refused = site.refused("NotifyExecution", &step("none", r#"{"a":1}"#)).await;
    assert_eq!(refused, (400, "OperationDenied.ExecutionStatus".to_owned()));
    site.ask("NotifyExecution", &step("sleep", r#"{"duration":"PT1S"}"#)).await;
    assert_eq!(site.ended(&id).await["Status"], "Success");
    let tasks = site.ask("ListTaskExecutions", &[("ExecutionId", &id)]).await;
    assert_eq!(tasks["TaskExecutions"][0]["Properties"], r#"{"duration":"PT1S"}"#, "{tasks}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn resources_are_counted_by_how_their_items_went() {
    let site = Asked(Site::of([sound("m-1"), sound("m-2")]).await);
    let id = site.start(&images(), &[]).await;
    assert_eq!(site.ended(&id).await["ResourceStatus"], r#"{"Success":2}"#);
    let words = json!({"Name": "each", "Action": "ACS::ExecuteAPI",
        "Properties": {"Service": "ECS", "API": "DescribeImages",
                       "Parameters": {"ImageName": "{{ ACS::TaskLoopItem }}"}},
        "Loop": {"Items": ["one", "two"]}});
    let id = site.start(&template(json!([words])), &[]).await;
    assert_eq!(site.ended(&id).await["ResourceStatus"], "{}", "words are no resources");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn outputs_read_the_parameter_store() {
    let site = Asked::open().await;
    let word = [("Name", "word"), ("Type", "String"), ("Value", "abc")];
    site.ask("CreateParameter", &word).await;
    let mut own = template(json!([sleep(1)]));
    own["Outputs"] = json!({"word": {"Value": "<{{ oos:word }}>"}, "none": {"Type": "List", "Value": "{{ oos:none }}"}});
    let id = site.start(&own, &[]).await;
    let ended = site.ended(&id).await;
    let outputs: Value = serde_json::from_str(ended["Outputs"].as_str().unwrap()).unwrap();
    assert_eq!(outputs, json!({"word": "<abc>", "none": [null]}));
    let logs = site.ask("ListExecutionLogs", &[("ExecutionId", &id)]).await.to_string();
    assert!(logs.contains("there is no parameter `none`"), "{logs}");
}

#[tokio::test]
async fn constraints_are_all_that_a_parameter_declares() {
    let site = Asked::open().await;
    let mut own = template(json!([sleep(1)]));
    own["Parameters"] = json!({
        "name": {"Type": "String", "AllowedPattern": "a+", "MinLength": 1, "MaxLength": 9},
        "size": {"Type": "Number", "MinValue": 1, "MaxValue": 2.5, "AllowedValues": [1, 2]},
        "free": {"Type": "String"},
    });
    let text = own.to_string();
    let told = site.ask("GetTemplateParameterConstraints", &[("TemplateContent", &text)]).await;
    assert_eq!(
        told["ParameterConstraints"],
        json!({
            "name": {"AllowedPattern": "a+", "MinLength": 1, "MaxLength": 9},
            "size": {"MinValue": 1, "MaxValue": 2.5, "AllowedValues": [1, 2]},
        })
    );
}

/// The names of the templates that are marked, in order.
async fn marked(site: &Asked) -> Vec<String> {
    let listed = site.ask("ListTemplates", &[("IsFavorite", "true")]).await;
    let names = listed["Templates"].as_array().unwrap().iter();
    let mut names: Vec<String> =
        names.map(|own| own["TemplateName"].as_str().unwrap().to_owned()).collect();
    names.sort();
    names
}

#[tokio::test]
async fn favorites_are_marked_listed_and_gone_with_their_template() {
    let site = Asked::open().await;
    let text = template(json!([sleep(1)])).to_string();
    let make = [("TemplateName", "Mine"), ("Content", text.as_str())];
    site.ask("CreateTemplate", &make).await;
    let mark = |name: &'static str, is: &'static str| [("TemplateName", name), ("IsFavorite", is)];
    site.ask("UpdateTemplateAttributes", &mark("mine", "true")).await;
    site.ask("UpdateTemplateAttributes", &mark("ACS-ECS-RepairImage", "true")).await;
    assert_eq!(marked(&site).await, ["ACS-ECS-RepairImage", "Mine"]);
    site.ask("UpdateTemplateAttributes", &mark("ACS-ECS-RepairImage", "false")).await;
    assert_eq!(marked(&site).await, ["Mine"]);
    let others = site.0.oos(OTHER, "ListTemplates", &[("IsFavorite", "true")]).await.unwrap();
    assert_eq!(others["Templates"], json!([]));
    let unmarked =
        site.ask("ListTemplates", &[("IsFavorite", "false"), ("ShareType", "Private")]).await;
    assert_eq!(unmarked["Templates"], json!([]));
    site.ask("DeleteTemplate", &[("TemplateName", "Mine")]).await;
    site.ask("CreateTemplate", &make).await;
    assert_eq!(marked(&site).await, [""; 0], "a template of the same name is another one");
    for (pairs, status, code) in [
        (vec![("IsFavorite", "true")], 400, "MissingParameter"),
        (vec![("TemplateName", "none"), ("IsFavorite", "true")], 404, "EntityNotExists.Template"),
        (vec![("TemplateName", "Mine"), ("AccountIds", "1")], 400, "InvalidParameter"),
    ] {
        let refused = site.refused("UpdateTemplateAttributes", &pairs).await;
        assert_eq!(refused, (status, code.to_owned()), "{pairs:?}");
    }
}

/// What has ended goes from the journal, what has not stays and can still be decided about.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_journal_keeps_the_orchestrations_of_executions_that_have_not_ended() {
    let site = Asked::open().await;
    let oos = &site.0.service.oos;
    // Only what rests has an orchestration.
    let ended = site.start(&approve(), &[]).await;
    let waits = site.start(&approve(), &[]).await;
    for id in [&ended, &waits] {
        site.until(id, &["Waiting"]).await;
    }
    site.ask("NotifyExecution", &[("ExecutionId", &ended), ("NotifyType", "Approve")]).await;
    assert_eq!(site.ended(&ended).await["Status"], "Success");
    let deadline = std::time::Instant::now() + Duration::from_secs(30);
    let mut n_gone = 0;
    while n_gone == 0 {
        assert!(std::time::Instant::now() < deadline, "the orchestration does not go");
        assert_eq!(oos.engine.tidy(Duration::from_secs(3600)).await.unwrap(), 0, "too early");
        n_gone += oos.engine.tidy(Duration::ZERO).await.unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(n_gone, 1);
    assert_eq!(site.execution(&ended).await["Status"], "Success", "its record stays");
    // It is not begun anew by the next round.
    oos.engine.resume().await.unwrap();
    site.ask("NotifyExecution", &[("ExecutionId", &waits), ("NotifyType", "Approve")]).await;
    assert_eq!(site.ended(&waits).await["Status"], "Success");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn old_executions_are_forgotten() {
    let site = Asked::open().await;
    let oos = &site.0.service.oos;
    let old = site.start(&template(json!([sleep(1)])), &[]).await;
    let waits = site.start(&approve(), &[]).await;
    site.ended(&old).await;
    site.until(&waits, &["Waiting"]).await;
    let hour = jiff::SignedDuration::from_hours(1);
    let now = jiff::Timestamp::now();
    assert_eq!(oos.executions.forget_before(now - hour).await.unwrap(), 0);
    assert_eq!(oos.executions.forget_before(now + hour).await.unwrap(), 1);
    let listed = site.ask("ListExecutions", &[]).await;
    assert_eq!(
        (&listed["TotalCount"], &listed["Executions"][0]["ExecutionId"]),
        (&json!(1), &json!(waits))
    );
}
