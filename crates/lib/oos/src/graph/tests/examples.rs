//! Flows that show what pictures have to cope with.

use serde_json::json;

use super::{and, call, choice, equals, not, or, output, parameter, product, sleep, task};
use super::{template, text, to};
use crate::template::{Action, Next, Task, Template};

/// All of them with their names.
pub(super) fn all() -> Vec<(&'static str, Template)> {
    vec![
        ("repair", repair()),
        ("long", long()),
        ("branches", branches()),
        ("loop", looped()),
        ("backward", backward()),
        ("kinds", kinds()),
        ("hostile", hostile()),
    ]
}

/// An image is repaired on a machine of its own: most failures go to one of two clean-up tasks.
pub(super) fn repair() -> Template {
    let wait = |name: &str, api: &str| {
        task(name, Action::WaitFor).properties(json!({"Service": "ECS", "API": api}))
    };
    let check = |name: &str, api: &str| {
        task(name, Action::CheckFor).properties(json!({"Service": "ECS", "API": api}))
    };
    let architecture = || output("checkImage", "architecture");
    let known =
        or(vec![equals(text("x86_64"), architecture()), equals(text("arm64"), architecture())]);
    template(vec![
        check("checkImage", "DescribeImages")
            .described("Whether the image can be repaired at all."),
        choice("checkImageArchitecture", vec![(known, to("runInstances"))], Next::End),
        call("runInstances", "RunInstances").described("Starts a machine for the repair."),
        wait("untilInstanceReady", "DescribeInstances"),
        check("checkForCreatedDiskReady", "DescribeDisks").on_error("stopInstances"),
        product("runCommandOpenselinux", "ACS::ECS::RunCommand").on_error("stopInstances"),
        product("rebootInstance", "ACS::ECS::RebootInstance").on_error("stopInstances"),
        product("runCommand", "ACS::ECS::InvokeCommand").on_error("stopInstances"),
        sleep("waitDiskFlush", "1M"),
        product("createSnapshot", "ACS::ECS::CreateSnapshot").on_error("deleteInstance"),
        call("createImage", "CreateImage").on_error("deleteSnapshot").on_success("deleteInstance"),
        call("deleteSnapshot", "DeleteSnapshot").on_error("deleteInstance"),
        sleep("stopInstances", "1M"),
        call("deleteInstance", "DeleteInstance"),
    ])
}

/// 33 tasks; two of three go to one of three clean-up tasks.
pub(super) fn long() -> Template {
    let middle = (1..=29).map(|n| {
        let own = call(&format!("step{n:02}OfTheMigration"), "DescribeInstances");
        match n % 3 {
            0 => own,
            _ => own.on_error(["detachDisks", "deleteDisks", "deleteInstances"][n / 10]),
        }
    });
    let mut tasks: Vec<Task> = middle.collect();
    tasks.push(call("finish", "ModifyInstanceAttribute").on_success("ACS::END"));
    tasks.push(call("detachDisks", "DetachDisk").on_error("ACS::NEXT"));
    tasks.push(call("deleteDisks", "DeleteDisk").on_error("ACS::NEXT"));
    tasks.push(call("deleteInstances", "DeleteInstances"));
    template(tasks)
}

/// A choice of four with conditions that are longer than a label.
pub(super) fn branches() -> Template {
    let platform = |name: &str| equals(output("look", "platform"), text(name));
    let choices = vec![
        (and(vec![platform("Alibaba Cloud Linux"), parameter("withAgent")]), to("installAgent")),
        (or(vec![platform("CentOS"), platform("Red Hat"), platform("Rocky Linux")]), to("yum")),
        (or(vec![platform("Ubuntu"), equals(output("look", "family"), text("debian"))]), to("apt")),
        (not(equals(output("look", "osType"), text("linux"))), Next::End),
    ];
    template(vec![
        call("look", "DescribeInstances"),
        choice("whichPlatform", choices, to("report")),
        product("installAgent", "ACS::ECS::InstallPackage").on_success("report"),
        product("yum", "ACS::ECS::RunCommand").on_success("report").on_error("undo"),
        product("apt", "ACS::ECS::RunCommand").on_error("undo").on_success("report"),
        call("undo", "RevokeSecurityGroup"),
        task("report", Action::Notify).when(not(equals(parameter("webhook"), text("")))),
    ])
}

/// Tasks in a loop, one of them a loop itself.
pub(super) fn looped() -> Template {
    let inner = vec![
        call("createSnapshot", "CreateSnapshot").on_error("tell"),
        task("untilDone", Action::WaitFor).properties(json!({"API": "DescribeSnapshots"})),
        call("tell", "AddTags").for_each(parameter("tags"), Some(json!({"Concurrency": 1}))),
    ];
    template(vec![
        task("select", Action::SelectTargets),
        task("eachDisk", Action::Loop { tasks: inner })
            .for_each(output("select", "diskIds"), Some(json!({"Concurrency": 10})))
            .on_error("cleanUp"),
        call("copyAll", "CopySnapshot")
            .for_each(parameter("regions"), Some(json!({"Mode": "Batch", "Batch": [1, 5]}))),
        call("cleanUp", "DeleteSnapshot"),
    ])
}

/// Jumps back, and a task that goes to itself.
pub(super) fn backward() -> Template {
    let ready = equals(output("look", "status"), text("Running"));
    template(vec![
        call("prepare", "StartInstance"),
        call("look", "DescribeInstances").on_error("look"),
        choice("isReady", vec![(ready, to("use"))], to("pause")),
        sleep("pause", "30S").on_success("look"),
        call("use", "RunCommand").on_error("prepare").on_cancel("leave"),
        call("forgotten", "DeleteInstance").on_success("ACS::END"),
        call("leave", "StopInstance"),
    ])
    .with_use_ending()
}

impl Template {
    /// Nothing leads to the task `forgotten`.
    fn with_use_ending(mut self) -> Self {
        self.tasks[4].on_success = Next::End;
        self
    }
}

/// Each kind of node, and a skip that leads elsewhere than success.
pub(super) fn kinds() -> Template {
    template(vec![
        task("everyNight", Action::TimerTrigger),
        task("ask", Action::Approve),
        task("child", Action::Template { content: None })
            .properties(json!({"TemplateName": "my-template"}))
            .when(parameter("isWanted"))
            .on_success("hook"),
        sleep("rest", "PT5M"),
        task("hold", Action::Pause).on_cancel("hook"),
        task("hook", Action::ExecuteHttpRequest)
            .properties(json!({"URL": "https://example.com/a?b=c"}))
            .on_error("ACS::NEXT"),
    ])
}

/// Names and texts that would like to be something else than text.
pub(super) fn hostile() -> Template {
    let long = "unreasonably".repeat(40);
    let mut odd = call("\"]; end %% {init}", "</text><script>alert(1)</script>")
        .described("</title><script>alert(1)</script>")
        .when(equals(parameter("a\"|b"), text("]]> <!-- --> \u{0} \\N \\\" `x` #quot;")));
    odd.on_success = Next::Task("nowhere".to_owned());
    let to_long = vec![(text("\" onload=\"alert(1)"), Next::Task(long.clone()))];
    template(vec![odd, choice("图片的架构检查", to_long, Next::Next), call(&long, &long)])
}
