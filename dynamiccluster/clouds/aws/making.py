"""What a machine was made of, in a word: machines of another word are not what would be made today."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from dynamiccluster.clouds.aws.request_map import ON_DEMAND, run_instances
from dynamiccluster.clouds.userdata import Prepared, UserData
from dynamiccluster.errors import BadConfigError
from dynamiccluster.model.action import NodeSpec
from dynamiccluster.model.capacity import Capacity
from dynamiccluster.model.resource import Resource

CHARACTERS = 8
"""Enough to tell versions apart, and too few to find out a secret of the user data by trying: anybody on a machine may
read its tags."""


def making(config: Mapping[str, Any], user_data: UserData | None) -> str:
    """Of a resource with one machine type, as configured now, and its script as it is now. Zone and tags do not matter:
    the former is looked at by itself, the latter are written anew.

    :raises BadConfigError: the template cannot be read now.
    """
    request = run_instances(
        {**config, "tags": {}, "volume_tags": {}},
        [NodeSpec("n", "n")],
        token="",
        tags={},
        user_data="",
        market=ON_DEMAND,
    )
    script = _script(user_data.prepare()) if user_data else ()
    text = repr((sorted(request.items()), sorted(config["subnets"].items()), config["hyperthreading"], script))
    return hashlib.sha256(text.encode()).hexdigest()[:CHARACTERS]


def _script(template: Prepared) -> tuple[object, ...]:
    """The template, its values, and the texts that it brings in."""
    known = template.text, sorted(template.values.items())
    if template.per_node:
        return known
    try:
        return (*known, template.render("", Resource("", "aws", "", Capacity(0, 0)), None))
    except BadConfigError:  # it needs to know more of its resource than is known here
        return known
