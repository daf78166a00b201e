"""The OOS API, by its official clients: templates, executions, decisions, parameters, tags."""

import json

import conftest as kiln
import pytest
import sdk as sdks

FINAL = ("Success", "Failed", "Cancelled")


@pytest.fixture
def oos(site, kind):
    """Each client in turn, with the key of the account that most tests use."""
    return site.connect(kind, product="oos")


@pytest.fixture
def other(site):
    """A client of another account."""
    return site.connect("new", key="other", product="oos")


def template(*tasks, **more):
    return json.dumps({"FormatVersion": "OOS-2019-06-01", **more, "Tasks": list(tasks)})


def sleep(seconds=1, name="rest"):
    return {"Name": name, "Action": "ACS::Sleep", "Properties": {"Duration": f"PT{seconds}S"}}


def api(name, action, parameters, service="ECS", **more):
    properties = {"Service": service, "API": action, "Parameters": parameters}
    return {"Name": name, "Action": "ACS::ExecuteAPI", "Properties": properties, **more}


def approve():
    hook = {"URI": "http://nobody.invalid/", "Headers": {}, "Content": {}}
    properties = {"NotifyType": "WebHook", "WebHook": hook, "Approvers": []}
    return template({"Name": "ask", "Action": "ACS::Approve", "Properties": properties})


def start(client, content, **more):
    answer = client.call("StartExecution", TemplateContent=content, **more)["Execution"]
    assert answer["ExecutionId"].startswith("exec-")
    assert answer["Status"] in ("Started", "Queued", "Running")
    return answer["ExecutionId"]


def execution(client, execution_id):
    found = client.call("ListExecutions", ExecutionId=execution_id)["Executions"]
    assert [one["ExecutionId"] for one in found] == [execution_id]
    return found[0]


def until(client, execution_id, *states):
    ask = lambda: execution(client, execution_id)  # noqa: E731
    return kiln.until(ask, lambda one: one["Status"] in states, f"{execution_id} in {states}")


def ended(client, execution_id):
    return until(client, execution_id, *FINAL)


@pytest.mark.short
def test_a_stored_template_runs(site, oos):
    """Sleep, Choice, a call of ECS, a loop over what it found, outputs; polled until its end."""
    name = kiln.fresh("template")
    content = template(
        sleep(),
        {
            "Name": "choose",
            "Action": "ACS::Choice",
            "Properties": {
                "DefaultTask": "ACS::END",
                "Choices": [{"When": {"Fn::Equals": ["go", "{{ word }}"]}, "NextTask": "find"}],
            },
        },
        api(
            "find",
            "DescribeRegions",
            {},
            Outputs={"ids": {"Type": "List", "ValueSelector": ".Regions.Region[].RegionId"}},
        ),
        api(
            "each",
            "DescribeImages",
            {"RegionId": "{{ ACS::TaskLoopItem }}", "ImageId": "m-none"},
            Loop={
                "Items": "{{ find.ids }}",
                "RateControl": {"Mode": "Concurrency", "MaxErrors": 0, "Concurrency": 2},
                "Outputs": {"counts": {"AggregateType": "Fn::ListJoin", "AggregateField": "n"}},
            },
            Outputs={"n": {"Type": "Number", "ValueSelector": ".TotalCount"}},
        ),
        Parameters={"word": {"Type": "String", "Default": "stop"}},
        Outputs={
            "regions": {"Type": "List", "Value": "{{ find.ids }}"},
            "counts": {"Type": "List", "Value": "{{ each.counts }}"},
        },
    )
    made = oos.call("CreateTemplate", TemplateName=name, Content=content)["Template"]
    assert (made["TemplateName"], made["TemplateVersion"]) == (name, "v1")
    assert made["TemplateFormat"] == "JSON" and made["ShareType"] == "Private"
    started = oos.call(
        "StartExecution", TemplateName=name, Parameters=json.dumps({"word": "go"}), Description="d"
    )["Execution"]
    assert json.loads(started["Parameters"]) == {"word": "go"}
    found = ended(oos, started["ExecutionId"])
    assert found["Status"] == "Success", found["StatusMessage"]
    outputs = json.loads(found["Outputs"])
    assert outputs == {"regions": [site.region, site.other_region], "counts": [0, 0]}
    assert found["Parameters"] == {"word": "go"}
    assert found["Counters"]["Success"] == found["Counters"]["Total"] == 4
    assert (found["TemplateName"], found["TemplateVersion"]) == (name, "v1")

    tasks = oos.call("ListTaskExecutions", ExecutionId=found["ExecutionId"])["TaskExecutions"]
    assert [task["TaskName"] for task in reversed(tasks)] == ["rest", "choose", "find", "each"]
    assert {task["TaskAction"] for task in tasks} >= {"ACS::Sleep", "ACS::ExecuteAPI"}
    loop = next(task for task in tasks if task["TaskName"] == "each")
    items = oos.call(
        "ListTaskExecutions",
        ExecutionId=found["ExecutionId"],
        ParentTaskExecutionId=loop["TaskExecutionId"],
    )["TaskExecutions"]
    assert sorted(item["LoopItem"] for item in items) == sorted([site.region, site.other_region])

    logs = []
    own = {"ExecutionId": found["ExecutionId"], "MaxResults": 3}
    for page in kiln.pages(oos, "ListExecutionLogs", **own):
        logs += page["ExecutionLogs"]
        assert bool(page.get("NextToken")) == page["IsTruncated"]
    assert len(logs) > 4 and {entry["LogType"] for entry in logs} == {"System"}
    assert [entry["Timestamp"] for entry in logs] == sorted(entry["Timestamp"] for entry in logs)
    text = oos.call("GetExecutionTemplate", ExecutionId=found["ExecutionId"])
    assert text["Content"] == content
    oos.call("DeleteTemplate", TemplateName=name, AutoDeleteExecutions=True)
    assert oos.call("ListExecutions", ExecutionId=found["ExecutionId"])["Executions"] == []


def test_versions(oos, other):
    name = kiln.fresh("template")
    first, second = template(sleep(1)), template(sleep(2))
    oos.call("CreateTemplate", TemplateName=name, Content=first, Tags={"k": "v"})
    kiln.refused(
        oos, "CreateTemplate", 409, "EntityAlreadyExists.Template", TemplateName=name, Content=first
    )
    changed = oos.call("UpdateTemplate", TemplateName=name, Content=second)["Template"]
    assert changed["TemplateVersion"] == "v2"
    assert oos.call("GetTemplate", TemplateName=name)["Content"] == second
    old = oos.call("GetTemplate", TemplateName=name, TemplateVersion="v1")
    assert old["Content"] == first and old["Template"]["Tags"] == {"k": "v"}
    versions = oos.call("ListTemplateVersions", TemplateName=name)["TemplateVersions"]
    assert [version["TemplateVersion"] for version in versions] == ["v2", "v1"]
    listed = oos.call("ListTemplates", TemplateName=name, ShareType="Private")["Templates"]
    assert [one["TemplateName"] for one in listed] == [name]
    kiln.refused(other, "GetTemplate", 404, "EntityNotExists.Template", TemplateName=name)
    assert other.call("ListTemplates", TemplateName=name)["Templates"] == []
    absent = {"TemplateName": name, "TemplateVersion": "v3"}
    kiln.refused(oos, "GetTemplate", 404, "EntityNotExists.TemplateVersion", **absent)
    oos.call("DeleteTemplates", TemplateNames=json.dumps([name]))
    kiln.refused(oos, "GetTemplate", 404, "EntityNotExists.Template", TemplateName=name)


def test_public_templates_and_actions(oos):
    found = oos.call("ListTemplates", ShareType="Public", MaxResults=100)["Templates"]
    names = {one["TemplateName"] for one in found}
    assert {"ACS-ECS-RepairImage", "ACS-ECS-UpdateImage"} <= names
    assert {one["CreatedBy"] for one in found} == {"ACS"}
    own = oos.call("GetTemplate", TemplateName="ACS-ECS-RepairImage")
    assert "FormatVersion" in own["Content"] and own["Template"]["ShareType"] == "Public"
    public = {"TemplateName": "ACS-ECS-RepairImage"}
    kiln.refused(oos, "DeleteTemplate", 400, "OperationDenied.PublicTemplate", **public)
    actions = [a for page in kiln.pages(oos, "ListActions", MaxResults=20) for a in page["Actions"]]
    names = [action["OOSActionName"] for action in actions]
    assert len(names) == len(set(names))
    assert {"ACS::ExecuteAPI", "ACS::ECS::RunCommand"} <= set(names)
    # What it deletes it has made itself, and says so.
    assert oos.call("ListExecutionRiskyTasks", **public)["RiskyTasks"] == []
    policy = json.loads(oos.call("GenerateExecutionPolicy", **public)["Policy"])
    assert "ecs:RunInstances" in policy["Statement"][0]["Action"]


def test_dangerous_calls_wait_for_somebody(oos):
    name = kiln.fresh("template")
    content = template(api("drop", "DeleteImage", {"ImageId": "m-none"}))
    oos.call("CreateTemplate", TemplateName=name, Content=content)
    risks = oos.call("ListExecutionRiskyTasks", TemplateName=name)["RiskyTasks"]
    assert risks == [{"Service": "ECS", "API": "DeleteImage", "Task": ["drop"], "Template": [name]}]
    started = oos.call(
        "StartExecution", TemplateName=name, SafetyCheck="ConfirmEveryHighRiskAction"
    )["Execution"]
    waits = until(oos, started["ExecutionId"], "Waiting")
    assert waits["WaitingStatus"] == "HighRisk"
    oos.call("NotifyExecution", ExecutionId=started["ExecutionId"], NotifyType="Approve")
    assert ended(oos, started["ExecutionId"])["Status"] == "Success"
    oos.call("DeleteTemplate", TemplateName=name)


@pytest.mark.parametrize(
    "content, code",
    [
        ("{", "InvalidTemplate.Syntax"),
        ("FormatVersion: OOS-2019-06-01", "InvalidTemplate.Structure"),
        (template({"Name": "a", "Action": "ACS::Fly"}), "InvalidTemplate.Action"),
        (template(sleep(), sleep()), "InvalidTemplate.Name"),
        (template({**sleep(), "OnError": "none"}), "InvalidTemplate.Jump"),
        (
            template({**sleep(), "Properties": {"Duration": "{{ none }}"}}),
            "InvalidTemplate.Reference",
        ),
    ],
)
def test_bad_templates(oos, content, code):
    name = kiln.fresh("template")
    kiln.refused(oos, "CreateTemplate", 400, code, TemplateName=name, Content=content)
    kiln.refused(oos, "ValidateTemplateContent", 400, code, Content=content)
    kiln.refused(oos, "StartExecution", 400, code, TemplateContent=content)
    kiln.refused(oos, "GetTemplate", 404, "EntityNotExists.Template", TemplateName=name)


def test_bad_parameters(oos):
    typed = template(sleep(), Parameters={"n": {"Type": "Number", "MaxValue": 3}})
    for given in ({}, {"n": "x"}, {"n": 4}, {"n": 1, "m": 2}):
        kiln.refused(
            oos,
            "StartExecution",
            400,
            "InvalidParameter",
            TemplateContent=typed,
            Parameters=json.dumps(given),
        )
    kiln.refused(oos, "StartExecution", 400, "MissingParameter")
    kiln.refused(oos, "StartExecution", 404, "EntityNotExists.Template", TemplateName="none")
    kiln.refused(oos, "ListExecutions", 400, "InvalidParameter", "^.*MaxResults", MaxResults=5)
    kiln.refused(oos, "ListExecutionLogs", 404, "EntityNotExists.Execution", ExecutionId="exec-0")
    assert oos.call("ListExecutions", ExecutionId="exec-0")["Executions"] == []


@pytest.mark.parametrize("decision, status", [("Approve", "Success"), ("Reject", "Cancelled")])
def test_decisions(oos, other, decision, status):
    execution_id = start(oos, approve())
    waits = until(oos, execution_id, "Waiting")
    assert waits["WaitingStatus"] == "Approve"
    assert waits["CurrentTasks"][0]["TaskName"] == "ask"
    notice = {"ExecutionId": execution_id, "NotifyType": decision, "NotifyNote": "seen"}
    kiln.refused(other, "NotifyExecution", 404, "EntityNotExists.Execution", **notice)
    wrong = {**notice, "NotifyType": "RetryTask"}
    kiln.refused(oos, "NotifyExecution", 400, "OperationDenied.ExecutionStatus", **wrong)
    oos.call("NotifyExecution", **notice)
    assert ended(oos, execution_id)["Status"] == status
    kiln.refused(oos, "NotifyExecution", 400, "OperationDenied.ExecutionStatus", **notice)


def test_a_failed_task_is_tried_again(oos):
    failing = template(api("call", "DescribeImages", {"RegionId": "mars"}), sleep())
    execution_id = start(oos, failing, Mode="FailurePause")
    assert until(oos, execution_id, "Waiting")["WaitingStatus"] == "FailurePause"
    oos.call("NotifyExecution", ExecutionId=execution_id, NotifyType="SkipTask")
    assert ended(oos, execution_id)["Status"] == "Success"


def test_cancel_and_delete(oos):
    execution_id = start(oos, template(sleep(3000)))
    until(oos, execution_id, "Running")
    ids = json.dumps([execution_id])
    kiln.refused(
        oos, "DeleteExecutions", 400, "OperationDenied.ExecutionStatus", ExecutionIds=ids
    )
    oos.call("CancelExecution", ExecutionId=execution_id)
    assert ended(oos, execution_id)["Status"] == "Cancelled"
    kiln.refused(
        oos, "CancelExecution", 400, "OperationDenied.ExecutionStatus", ExecutionId=execution_id
    )
    oos.call("DeleteExecutions", ExecutionIds=ids)
    assert oos.call("ListExecutions", ExecutionId=execution_id)["Executions"] == []


@pytest.mark.short
def test_a_client_token_starts_one_execution(oos):
    token = kiln.fresh("token")
    first = start(oos, template(sleep()), ClientToken=token)
    assert start(oos, template(sleep()), ClientToken=token) == first
    kiln.refused(
        oos,
        "StartExecution",
        400,
        "IdempotentParameterMismatch",
        TemplateContent=template(sleep(2)),
        ClientToken=token,
    )


def test_pages_are_whole_and_others_see_nothing(oos, other):
    tag = {kiln.fresh("tag"): "1"}
    started = {start(oos, template(sleep()), Tags=tag) for _ in range(12)}
    found = []
    for page in kiln.pages(oos, "ListExecutions", Tags=tag, MaxResults=10):
        assert page["TotalCount"] == 12
        found += [one["ExecutionId"] for one in page["Executions"]]
    assert len(found) == 12 and set(found) == started
    assert other.call("ListExecutions", Tags=tag)["Executions"] == []
    assert other.call("ListExecutions", ExecutionId=found[0])["Executions"] == []
    tasks = other.call("ListTaskExecutions", ExecutionId=found[0])["TaskExecutions"]
    assert tasks == []


def test_parameters(oos, other):
    name = kiln.fresh("parameter")
    made = oos.call("CreateParameter", Name=name, Type="String", Value="abc")["Parameter"]
    assert made["ParameterVersion"] == 1
    kiln.refused(
        oos, "CreateParameter", 409, "EntityAlreadyExists.Parameter",
        Name=name, Type="String", Value="abc",
    )
    changed = oos.call("UpdateParameter", Name=name, Value="xyz")["Parameter"]
    assert changed["ParameterVersion"] == 2
    assert oos.call("GetParameter", Name=name)["Parameter"]["Value"] == "xyz"
    kiln.refused(other, "GetParameter", 404, "EntityNotExists.Parameter", Name=name)
    reading = template(
        api(
            "look",
            "GetParameters",
            {"Names": ["{{ oos:%s }}" % name]},
            service="OOS",
            Outputs={"unknown": {"Type": "List", "ValueSelector": ".InvalidParameters[]"}},
        ),
        Outputs={"word": {"Type": "List", "Value": "{{ look.unknown }}"}},
    )
    found = ended(oos, start(oos, reading))
    assert json.loads(found["Outputs"]) == {"word": ["xyz"]}, found
    oos.call("DeleteParameter", Name=name)
    kiln.refused(oos, "GetParameter", 404, "EntityNotExists.Parameter", Name=name)


def test_secrets_are_told_when_asked_for(oos):
    name = kiln.fresh("secret")
    oos.call("CreateSecretParameter", Name=name, Type="Secret", Value="s3cret")
    assert "Value" not in oos.call("GetSecretParameter", Name=name)["Parameter"]
    shown = oos.call("GetSecretParameter", Name=name, WithDecryption=True)
    assert shown["Parameter"]["Value"] == "s3cret"
    oos.call("DeleteSecretParameter", Name=name)


def test_tags(oos):
    name, key = kiln.fresh("template"), kiln.fresh("key")
    oos.call("CreateTemplate", TemplateName=name, Content=template(sleep()))
    mine = {"ResourceType": "template", "ResourceIds": [name]}
    oos.call("TagResources", Tags={key: "1", "b": "2"}, **mine)
    tags = oos.call("ListTagResources", **mine)["TagResources"]["TagResource"]
    assert {(tag["TagKey"], tag["TagValue"]) for tag in tags} == {(key, "1"), ("b", "2")}
    listed = oos.call("ListTemplates", Tags={key: "1"})["Templates"]
    assert [one["TemplateName"] for one in listed] == [name]
    assert oos.call("ListTagValues", ResourceType="template", Key=key)["Values"] == ["1"]
    oos.call("UntagResources", TagKeys=[key], **mine)
    tags = oos.call("ListTagResources", **mine)["TagResources"]["TagResource"]
    assert [tag["TagKey"] for tag in tags] == ["b"]


def test_a_trigger_fires_by_hand(site, oos):
    trigger = {
        "Name": "at",
        "Action": "ACS::TimerTrigger",
        "Properties": {"Type": "rate", "Expression": "1 day", "EndDate": "2099-01-01T00:00:00Z"},
    }
    execution_id = start(oos, template(trigger, sleep()))
    waits = until(oos, execution_id, "Waiting")
    assert (waits["Category"], waits["WaitingStatus"]) == ("TimerTrigger", "Trigger")
    fire = {"ExecutionId": execution_id, "Type": "Timer", "RegionId": site.region}
    kiln.refused(oos, "TriggerExecution", 400, "InvalidParameter", **{**fire, "Type": "Alarm"})
    oos.call("TriggerExecution", **fire)
    children = lambda: oos.call("ListExecutions", ParentExecutionId=execution_id)["Executions"]  # noqa: E731
    done = lambda found: found and all(one["Status"] == "Success" for one in found)  # noqa: E731
    kiln.until(children, done, "a firing that succeeded")
    oos.call("CancelExecution", ExecutionId=execution_id)
    assert ended(oos, execution_id)["Status"] == "Cancelled"


def test_a_trigger_takes_other_parameters_and_tells_its_last_outputs(site, oos):
    trigger = {
        "Name": "at",
        "Action": "ACS::TimerTrigger",
        "Properties": {"Type": "rate", "Expression": "1 day", "EndDate": "2099-01-01T00:00:00Z"},
    }
    content = template(
        trigger,
        sleep(),
        Parameters={"word": {"Type": "String"}},
        Outputs={"said": {"Value": "{{ word }}"}},
    )
    execution_id = start(oos, content, Parameters=json.dumps({"word": "old"}))
    assert json.loads(until(oos, execution_id, "Waiting")["LastTriggerOutputs"]) == {}
    more = {"ExecutionId": execution_id, "ClientToken": kiln.fresh("token")}
    oos.call("UpdateExecution", Parameters=json.dumps({"word": "new"}), Description="d", **more)
    kiln.refused(
        oos, "UpdateExecution", 400, "InvalidParameter",
        ExecutionId=execution_id, Parameters=json.dumps({"none": 1}),
    )
    ask = lambda: execution(oos, execution_id)  # noqa: E731
    kiln.until(ask, lambda one: one["Parameters"] == {"word": "new"}, "the new parameters")
    oos.call("TriggerExecution", ExecutionId=execution_id, Type="Timer", RegionId=site.region)
    fired = kiln.until(ask, lambda one: one["LastTriggerStatus"] == "Success", "a firing")
    assert json.loads(fired["LastTriggerOutputs"]) == {"said": "new"}
    assert fired["Description"] == "d"
    oos.call("CancelExecution", ExecutionId=execution_id)
    ended(oos, execution_id)
    kiln.refused(
        oos, "UpdateExecution", 400, "OperationDenied.ExecutionStatus",
        ExecutionId=execution_id, Parameters=json.dumps({"word": "late"}),
    )


def test_resources_are_counted(oos):
    loop = {"Items": ["m-none1", "m-none2"]}
    call = api("each", "DescribeImages", {"ImageId": "{{ ACS::TaskLoopItem }}"}, Loop=loop)
    found = ended(oos, start(oos, template(call)))
    assert json.loads(found["ResourceStatus"]) == {"Success": 2}
    rows = oos.call("ListResourceExecutionStatus", ExecutionId=found["ExecutionId"])
    assert {row["ResourceId"] for row in rows["ResourceExecutionStatus"]} == set(loop["Items"])


def test_outputs_read_the_parameter_store(oos):
    name = kiln.fresh("parameter")
    oos.call("CreateParameter", Name=name, Type="String", Value="abc")
    content = template(sleep(), Outputs={"word": {"Value": "<{{ oos:%s }}>" % name}})
    found = ended(oos, start(oos, content))
    assert json.loads(found["Outputs"]) == {"word": "<abc>"}
    oos.call("DeleteParameter", Name=name)


def test_a_step_has_the_properties_it_is_given(oos):
    """The template's own rest would take an hour."""
    execution_id = start(oos, template(sleep(3600)), Mode="Debug")
    until(oos, execution_id, "Waiting")
    given = json.dumps({"Duration": "PT1S"})
    oos.call(
        "NotifyExecution", ExecutionId=execution_id, NotifyType="ExecuteTask", Parameters=given
    )
    until(oos, execution_id, "Running", "Waiting")
    step = lambda: oos.call("ListTaskExecutions", ExecutionId=execution_id)["TaskExecutions"]  # noqa: E731
    done = lambda tasks: [task["Status"] for task in tasks] == ["Success"]  # noqa: E731
    tasks = kiln.until(step, done, "the step")
    assert json.loads(tasks[0]["Properties"]) == {"Duration": "PT1S"}
    assert ended(oos, execution_id)["Status"] == "Success"


def test_constraints_are_those_declared(oos):
    size = {"Type": "Number", "MinValue": 1, "MaxValue": 9, "AllowedValues": [1, 2]}
    name = {"Type": "String", "AllowedPattern": "a+", "MinLength": 1, "MaxLength": 9}
    content = template(sleep(), Parameters={"size": size, "name": name, "free": {"Type": "String"}})
    told = oos.call("GetTemplateParameterConstraints", TemplateContent=content)
    for one in (size, name):
        del one["Type"]
    assert told["ParameterConstraints"] == {"size": size, "name": name}


def test_favorites(site):
    """The older SDK does not have the action."""
    oos = site.connect("new", product="oos")
    name = kiln.fresh("template")
    oos.call("CreateTemplate", TemplateName=name, Content=template(sleep()))
    mine = lambda: oos.call("ListTemplates", TemplateName=name)["Templates"][0]["IsFavorite"]  # noqa: E731
    assert mine() is False
    oos.call("UpdateTemplateAttributes", TemplateName=name, IsFavorite=True)
    assert mine() is True
    listed = oos.call("ListTemplates", IsFavorite=True, TemplateName=name)["Templates"]
    assert [one["TemplateName"] for one in listed] == [name]
    oos.call("UpdateTemplateAttributes", TemplateName=name, IsFavorite=False)
    assert mine() is False
    kiln.refused(
        oos, "UpdateTemplateAttributes", 400, "InvalidParameter",
        TemplateName=name, AccountIds="1000000000000002", SharePermissionAction="Add",
    )
    kiln.refused(
        oos, "UpdateTemplateAttributes", 404, "EntityNotExists.Template",
        TemplateName=kiln.fresh("none"), IsFavorite=True,
    )


def test_policies_deny(site, kind):
    """The user `restricted` may use ECS and nothing of OOS."""
    restricted = site.connect(kind, key="restricted", product="oos")
    for action, parameters in (
        ("StartExecution", {"TemplateContent": template(sleep())}),
        ("ListExecutions", {}),
        ("ListTemplates", {}),
        ("GetTemplate", {"TemplateName": "ACS-ECS-RepairImage"}),
    ):
        kiln.refused(restricted, action, 403, "Forbidden.RAM", **parameters)


def test_what_kiln_has_not_is_an_unknown_action(oos):
    for action in ("ListPatchBaselines", "GetServiceSettings"):
        kiln.refused(oos, action, 404, "InvalidAction.NotFound")


@pytest.mark.parametrize("kind", sdks.CLIENTS)
def test_one_listener_serves_both(site, kind):
    """Actions that both APIs have are told apart by the version."""
    ecs = site.connect(kind).call("DescribeRegions")
    assert {one["RegionId"] for one in ecs["Regions"]["Region"]} == {site.region, site.other_region}
    oos = site.connect(kind, product="oos").call("DescribeRegions")
    assert [one["RegionId"] for one in oos["Regions"]] == [site.region, site.other_region]
