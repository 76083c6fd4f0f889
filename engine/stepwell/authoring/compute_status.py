"""What an AmlCompute is made from, and what it says of itself, in the words of the SDK."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stepwell.api.wire import rfc3339
from stepwell.errors import ComputeTargetException

Json = dict[str, Any]
_PRIORITIES = {"dedicated": "Dedicated", "lowpriority": "LowPriority"}
_NODE_STATES = ("preparing", "running", "idle", "unusable", "leaving", "preempted")


class AmlComputeProvisioningConfiguration:
    """Made by `AmlCompute.provisioning_configuration`. Only what is kept: no password, no key."""

    def __init__(
        self,
        vm_size: str = "",
        vm_priority: str = "dedicated",
        min_nodes: int = 0,
        max_nodes: int | None = None,
        idle_seconds_before_scaledown: int = 1800,
        tags: Mapping[str, str] | None = None,
        description: str | None = None,
    ) -> None:
        self.vm_size = vm_size
        self.vm_priority = vm_priority
        self.min_nodes = min_nodes
        self.max_nodes = max_nodes
        self.idle_seconds_before_scaledown = idle_seconds_before_scaledown
        self.tags = dict(tags or {})
        self.description = description

    def validate(self) -> None:
        """Raise ComputeTargetException for numbers of nodes or a priority that cannot be."""
        if str(self.vm_priority).lower() not in _PRIORITIES:
            raise ComputeTargetException(
                f"no vm_priority {self.vm_priority!r} (there is: {', '.join(_PRIORITIES)})", code="compute_config"
            )
        for name, value, least in (("min_nodes", self.min_nodes, 0), ("max_nodes", self.max_nodes, 1)):
            if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < least):
                raise ComputeTargetException(
                    f"{name} must be a whole number of at least {least}, not {value!r}", code="compute_config"
                )
        if self.max_nodes is not None and self.min_nodes > self.max_nodes:
            raise ComputeTargetException(
                f"min_nodes {self.min_nodes} is more than max_nodes {self.max_nodes}", code="compute_config"
            )

    def to_wire(self) -> Json:
        return dict(vars(self))


class ScaleSettings:
    """How many nodes a pool may have: here, how many of its steps run at a time."""

    def __init__(
        self, minimum_node_count: int, maximum_node_count: int | None, idle_seconds_before_scaledown: int
    ) -> None:
        self.minimum_node_count = minimum_node_count
        self.maximum_node_count = maximum_node_count
        self.idle_seconds_before_scaledown = idle_seconds_before_scaledown

    def serialize(self) -> Json:
        return {
            "minNodeCount": self.minimum_node_count,
            "maxNodeCount": self.maximum_node_count,
            "nodeIdleTimeBeforeScaleDown": f"PT{self.idle_seconds_before_scaledown}S",
        }

    @staticmethod
    def deserialize(object_dict: Mapping[str, Any]) -> ScaleSettings:
        """Return the settings that `serialize` described."""
        idle = str(object_dict["nodeIdleTimeBeforeScaleDown"]).removeprefix("PT").removesuffix("S")
        return ScaleSettings(object_dict["minNodeCount"], object_dict["maxNodeCount"], int(idle))


class AmlComputeStatus:
    """The status of an AmlCompute. This machine is its one node, and it is always there."""

    def __init__(
        self,
        allocation_state: str,
        allocation_state_transition_time: str | None,
        creation_time: str | None,
        current_node_count: int,
        errors: object,
        modified_time: str | None,
        node_state_counts: Mapping[str, int],
        provisioning_state: str,
        provisioning_state_transition_time: str | None,
        scale_settings: ScaleSettings,
        target_node_count: int,
        vm_priority: str,
        vm_size: str,
    ) -> None:
        self.allocation_state = allocation_state
        self.allocation_state_transition_time = allocation_state_transition_time
        self.creation_time = creation_time
        self.current_node_count = current_node_count
        self.errors = errors
        self.modified_time = modified_time
        self.node_state_counts = dict(node_state_counts)
        self.provisioning_state = provisioning_state
        self.provisioning_state_transition_time = provisioning_state_transition_time
        self.scale_settings = scale_settings
        self.target_node_count = target_node_count
        self.vm_priority = vm_priority
        self.vm_size = vm_size

    @classmethod
    def of(cls, row: Json) -> AmlComputeStatus:
        """Return the status of a compute target as the daemon describes it."""
        config, made = row["config"], rfc3339(row.get("created_us"))
        return cls(
            allocation_state="Steady",
            allocation_state_transition_time=made,
            creation_time=made,
            current_node_count=1,
            errors=None,
            modified_time=made,
            node_state_counts={f"{state}NodeCount": int(state == "idle") for state in _NODE_STATES},
            provisioning_state=row["state"],
            provisioning_state_transition_time=None,
            scale_settings=ScaleSettings(
                config.get("min_nodes") or 0,
                config.get("max_nodes"),
                config.get("idle_seconds_before_scaledown") or 0,
            ),
            target_node_count=1,
            vm_priority=_PRIORITIES.get(str(config.get("vm_priority", "dedicated")).lower(), "Dedicated"),
            vm_size=str(config.get("vm_size") or ""),
        )

    def serialize(self) -> Json:
        """Return the status as the SDK prints it: camel case, times in RFC 3339."""
        return {
            "currentNodeCount": self.current_node_count,
            "targetNodeCount": self.target_node_count,
            "nodeStateCounts": dict(self.node_state_counts),
            "allocationState": self.allocation_state,
            "allocationStateTransitionTime": self.allocation_state_transition_time,
            "errors": self.errors,
            "creationTime": self.creation_time,
            "modifiedTime": self.modified_time,
            "provisioningState": self.provisioning_state,
            "provisioningStateTransitionTime": self.provisioning_state_transition_time,
            "scaleSettings": self.scale_settings.serialize(),
            "vmPriority": self.vm_priority,
            "vmSize": self.vm_size,
        }

    @staticmethod
    def deserialize(object_dict: Mapping[str, Any]) -> AmlComputeStatus:
        """Return the status that `serialize` described."""
        data = object_dict
        return AmlComputeStatus(
            data["allocationState"],
            data["allocationStateTransitionTime"],
            data["creationTime"],
            data["currentNodeCount"],
            data["errors"],
            data["modifiedTime"],
            data["nodeStateCounts"],
            data["provisioningState"],
            data["provisioningStateTransitionTime"],
            ScaleSettings.deserialize(data["scaleSettings"]),
            data["targetNodeCount"],
            data["vmPriority"],
            data["vmSize"],
        )
