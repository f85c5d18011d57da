"""JSON schemas of the original's answers: its field names, and what stands under them."""

from __future__ import annotations

from typing import Any

_TEXT = {"type": "string"}
_TEXT_OR_NULL = {"type": ["string", "null"]}
_NUMBER = {"type": "number"}
_COUNT = {"type": "integer"}
_FLAG = {"type": "boolean"}
_ANY: dict[str, Any] = {}


def _record(**fields: Any) -> dict[str, Any]:
    """An object with exactly these fields."""
    return {"type": "object", "properties": fields, "required": list(fields), "additionalProperties": False}


def _or_null(schema: dict[str, Any]) -> dict[str, Any]:
    return {"anyOf": [schema, {"type": "null"}]}


def _list(schema: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": schema}


SUCCESS = _record(success={"const": True})

_INSTANCE = _record(
    uuid=_TEXT,
    instance_name=_TEXT,
    state={"type": "integer", "minimum": 0, "maximum": 7},
    ip=_TEXT_OR_NULL,
    dns_name=_TEXT_OR_NULL,
    vcpu_number=_COUNT,
    flavor=_TEXT_OR_NULL,
    key_name=_TEXT_OR_NULL,
    security_groups=_ANY,
    availability_zone=_TEXT_OR_NULL,
    image_uuid=_TEXT_OR_NULL,
    subnet_id=_TEXT_OR_NULL,
    creation_time=_NUMBER,
    cloud_resource=_TEXT,
    last_update_time=_NUMBER,
    tasked=_FLAG,
    last_task_result=_COUNT,
    spot_id=_TEXT_OR_NULL,
    spot_state=_TEXT_OR_NULL,
    spot_price=_NUMBER,
)

WORKER_NODE = _record(
    hostname=_TEXT,
    type={"enum": ["Virtual", "Physical"]},
    jobs=_list(_TEXT),
    state={"type": "integer", "minimum": 0, "maximum": 7},
    state_start_time=_NUMBER,
    num_proc=_COUNT,
    extra_attributes=_record(
        node_id=_TEXT, memory_mib=_COUNT, gpus=_COUNT, scheduler_state=_TEXT_OR_NULL, reason=_TEXT
    ),
    time_in_current_state=_NUMBER,
    instance=_or_null(_INSTANCE),
)
WORKER_NODES = _list(WORKER_NODE)

JOB = _record(
    jobid=_TEXT,
    priority=_NUMBER,
    name=_TEXT,
    owner=_TEXT,
    state={"type": "integer", "minimum": 0, "maximum": 2},
    queue=_TEXT_OR_NULL,
    property=_or_null(_list(_TEXT)),
    account=_TEXT_OR_NULL,
    requested_cores=_COUNT,
    cores_per_node=_COUNT,
    requested_mem=_TEXT_OR_NULL,
    requested_walltime=_TEXT_OR_NULL,
    creation_time=_NUMBER,
    extra_attributes=_record(reason=_TEXT, wait=_TEXT, tasks=_COUNT),
)
JOBS = _list(JOB)

RESOURCE = _record(
    name=_TEXT,
    priority=_COUNT,
    type=_TEXT,
    min_num=_COUNT,
    max_num=_COUNT,
    current_num=_COUNT,
    cores_per_node=_COUNT,
    flag={"type": "integer", "minimum": 0, "maximum": 3},
    reservation_queue=_TEXT_OR_NULL,
    reservation_account=_TEXT_OR_NULL,
    reservation_property=_TEXT_OR_NULL,
    config={"type": "object"},
    worker_nodes=WORKER_NODES,
)
RESOURCES = _list(RESOURCE)

CONFIG: dict[str, Any] = {"type": "object"}
SERVER_STATUS = _record(auto_mode=_FLAG, cluster=_record(torque=_FLAG, maui=_FLAG))
SERVER_QUEUES = _record(tasks=_COUNT, results=_COUNT)
LOCATION = _record(location=_TEXT)
