"""Compute targets: this machine, and the named pools on it."""

from __future__ import annotations

from typing import Any

import pytest

from stepwell import (
    AmlCompute,
    AmlComputeStatus,
    ComputeTarget,
    ComputeTargetException,
    LocalTarget,
    PythonScriptStep,
    ScaleSettings,
    Workspace,
)
from stepwell.authoring.later import NotThereYetError
from support.fake_daemon import Asked, FakeDaemon

LOCAL = {"id": "local", "name": "local", "kind": "local", "config": {}, "state": "Succeeded"}
POOL = {
    "id": "c-1",
    "name": "cpu-cluster",
    "kind": "AmlCompute",
    "config": {"vm_size": "STANDARD_D2", "min_nodes": 0, "max_nodes": 4, "idle_seconds_before_scaledown": 1800},
    "state": "Succeeded",
    "created_us": 1_780_000_000_000_000,
}
ROUTE = "/v1/workspaces/ws-1/computes"


@pytest.fixture
def pools(daemon: FakeDaemon, known: Workspace) -> Workspace:
    daemon.on("GET", ROUTE, {"computes": [LOCAL, POOL]})
    daemon.on("POST", ROUTE, lambda asked: {**POOL, "name": asked.body["name"], "config": asked.body["config"]})
    return known


def test_a_name_gives_the_target_as_what_it_is(pools: Workspace) -> None:
    pool, here = ComputeTarget(pools, "cpu-cluster"), ComputeTarget(pools, "local")

    assert type(pool) is AmlCompute
    assert type(here) is LocalTarget
    assert (pool.name, pool.type, pool.provisioning_state, pool.provisioning_errors) == (
        *("cpu-cluster", "AmlCompute", "Succeeded"),
        None,
    )
    assert type(AmlCompute(pools, "cpu-cluster")) is AmlCompute


def test_an_unknown_name_is_a_compute_target_exception_with_those_there_are(pools: Workspace) -> None:
    with pytest.raises(ComputeTargetException) as caught:
        ComputeTarget(pools, "loacl")

    assert str(caught.value) == (
        "no compute target named 'loacl' (there is: cpu-cluster, local)\n  try: did you mean 'local'?"
    )


def test_a_target_of_another_kind_is_told(pools: Workspace) -> None:
    with pytest.raises(ComputeTargetException, match="the compute target 'local' is a Local, not a AmlCompute"):
        AmlCompute(pools, "local")


def test_the_targets_of_a_workspace_are_a_dict_by_name(pools: Workspace) -> None:
    assert list(pools.compute_targets) == ["local", "cpu-cluster"]
    assert [target.name for target in ComputeTarget.list(pools)] == ["local", "cpu-cluster"]
    assert pools.get_default_compute_target("GPU").name == "local"


def test_what_is_provisioned_is_a_pool_that_is_ready_at_once(
    daemon: FakeDaemon, pools: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    wanted = AmlCompute.provisioning_configuration(
        vm_size="STANDARD_NC6", max_nodes=2, admin_username="root", admin_user_password="secret", tags={"a": "b"}
    )

    made = ComputeTarget.create(pools, "gpu", wanted)
    made.wait_for_completion(show_output=True)

    (asked,) = daemon.asked("POST", ROUTE)
    assert asked.body == {
        "name": "gpu",
        "kind": "AmlCompute",
        "config": {
            "vm_size": "STANDARD_NC6",
            "vm_priority": "dedicated",
            "min_nodes": 0,
            "max_nodes": 2,
            "idle_seconds_before_scaledown": 1800,
            "tags": {"a": "b"},
            "description": None,
        },
    }
    assert type(made) is AmlCompute
    assert made.tags == {"a": "b"}
    assert capsys.readouterr().out == "Succeeded\ngpu is ready\n"


def test_waiting_takes_the_cluster_s_own_arguments_and_says_nothing_unasked(
    pools: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    pool = AmlCompute(pools, "cpu-cluster")
    pool.wait_for_completion(show_output=False, min_node_count=None, timeout_in_minutes=20)

    assert capsys.readouterr().out == ""


def test_the_status_is_plain_data_in_the_words_of_the_sdk(pools: Workspace) -> None:
    status = AmlCompute(pools, "cpu-cluster").status
    plain = status.serialize()

    assert plain["scaleSettings"] == {"minNodeCount": 0, "maxNodeCount": 4, "nodeIdleTimeBeforeScaleDown": "PT1800S"}
    assert plain["provisioningState"] == "Succeeded"
    assert plain["creationTime"] == "2026-05-28T20:26:40.000000Z"
    assert (plain["allocationState"], plain["vmSize"], plain["vmPriority"]) == ("Steady", "STANDARD_D2", "Dedicated")
    assert AmlComputeStatus.deserialize(plain).serialize() == plain
    assert ScaleSettings.deserialize(plain["scaleSettings"]).maximum_node_count == 4


def test_the_size_of_a_pool_can_be_changed(daemon: FakeDaemon, pools: Workspace) -> None:
    pool = AmlCompute(pools, "cpu-cluster")
    pool.update(max_nodes=8)

    (asked,) = daemon.asked("POST", ROUTE)
    assert (asked.body["config"]["max_nodes"], asked.body["config"]["vm_size"]) == (8, "STANDARD_D2")
    assert pool.scale_settings.maximum_node_count == 8


def test_a_pool_can_be_deleted_and_is_then_unknown(daemon: FakeDaemon, pools: Workspace) -> None:
    pool = AmlCompute(pools, "cpu-cluster")

    def delete(asked: Asked) -> dict[str, Any]:
        daemon.on("GET", ROUTE, {"computes": [LOCAL]})
        return {}

    daemon.on("DELETE", f"{ROUTE}/cpu-cluster", delete)
    pool.delete()

    with pytest.raises(ComputeTargetException, match="no compute target named 'cpu-cluster'"):
        pool.get_status()


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"max_nodes": 0}, "max_nodes must be a whole number of at least 1, not 0"),
        ({"max_nodes": "4"}, "max_nodes must be a whole number of at least 1, not '4'"),
        ({"min_nodes": -1}, "min_nodes must be a whole number of at least 0, not -1"),
        ({"min_nodes": 3, "max_nodes": 2}, "min_nodes 3 is more than max_nodes 2"),
        ({"vm_priority": "urgent"}, "no vm_priority 'urgent' (there is: dedicated, lowpriority)"),
    ],
)
def test_a_configuration_that_cannot_be_is_refused(pools: Workspace, fields: dict[str, Any], text: str) -> None:
    with pytest.raises(ComputeTargetException) as caught:
        ComputeTarget.create(pools, "x", AmlCompute.provisioning_configuration(**fields))

    assert caught.value.message == text


def test_a_pool_is_made_from_a_configuration_only(pools: Workspace) -> None:
    with pytest.raises(ComputeTargetException, match="cannot provision from a dict"):
        ComputeTarget.create(pools, "x", {"max_nodes": 4})  # type: ignore[arg-type]


def test_a_step_takes_the_target_itself(pools: Workspace) -> None:
    assert PythonScriptStep("a.py", compute_target=ComputeTarget(pools, "cpu-cluster")).compute_target == "cpu-cluster"


def test_attaching_machines_does_not_exist_yet() -> None:
    with pytest.raises(NotThereYetError, match=r"ComputeTarget\.attach does not exist yet"):
        _ = ComputeTarget.attach
