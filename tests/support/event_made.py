"""Events of the event log, made by hand for tests."""

import json
from typing import Any

from _yadtq.events import Event


def event_with(*tasks: dict[str, Any], actor: str = "worker1~x7yp23ab", action: str = "", **fields: Any) -> Event:
    """An event in which this happened to tasks. fields: what else it has."""
    return Event(
        offset=7,
        generation=1,
        seq=2,
        token="1-2",
        epoch=0,
        at=1_755_103_784.0,
        script="take",
        actor=actor,
        action=action,
        tasks=tuple(tasks),
        fields=fields,
        text=json.dumps(fields, default=str),
    )
