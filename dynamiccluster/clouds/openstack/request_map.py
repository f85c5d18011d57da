"""From a resource's keys and one node to nova's request for a server. Pure."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from typing import Any

from dynamiccluster.errors import BadConfigError

USER_DATA_CHARACTERS = 65535
"""Of the encoded text (Compute API reference, "Create Server")."""


def create_server(
    config: Mapping[str, Any],
    *,
    name: str,
    metadata: Mapping[str, str],
    user_data: str,
    flavor: str,
    image: str,
    networks: Sequence[str],
    server_group: str = "",
) -> dict[str, Any]:
    """The body of POST /servers. ``flavor``, ``image``, ``networks`` and ``server_group`` are ids.

    :raises BadConfigError: the user data is too long.
    """
    server: dict[str, Any] = {
        "name": name,
        "metadata": dict(metadata),
        "flavorRef": flavor,
        "imageRef": "" if config["boot_volume_gb"] else image,
        "networks": [{"uuid": network} for network in networks] or "auto",
        "key_name": config["key_name"],
        "availability_zone": config["availability_zone"],
        "security_groups": [{"name": group} for group in config["security_groups"]],
        "user_data": encoded(user_data),
        "config_drive": config["config_drive"],
        "block_device_mapping_v2": [_boot_volume(config, image)] if config["boot_volume_gb"] else [],
    }
    kept = {key: value for key, value in server.items() if value or key == "imageRef"}
    hints = {key: _hint(value) for key, value in config["scheduler_hints"].items()}
    if server_group:
        hints["group"] = server_group
    return {"server": kept, **({"os:scheduler_hints": hints} if hints else {})}


def encoded(user_data: str) -> str:
    """As nova takes it.

    :raises BadConfigError: it is too long.
    """
    script = b64encode(user_data.encode()).decode()
    if len(script) > USER_DATA_CHARACTERS:
        raise BadConfigError(f"the user data is longer than the {USER_DATA_CHARACTERS * 3 // 4} bytes that nova takes")
    return script


def _boot_volume(config: Mapping[str, Any], image: str) -> dict[str, Any]:
    volume = {
        "boot_index": 0,
        "uuid": image,
        "source_type": "image",
        "destination_type": "volume",
        "volume_size": config["boot_volume_gb"],
        "delete_on_termination": True,
        "volume_type": config["boot_volume_type"],
    }
    return {key: value for key, value in volume.items() if value is not None}


def _hint(value: str | tuple[str, ...]) -> str | list[str]:
    return value if isinstance(value, str) else list(value)
