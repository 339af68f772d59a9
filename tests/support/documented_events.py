"""What docs/protocol.md says of the events: the fields of each action."""

import re

from tests.support.servers import ROOT


def documented_fields() -> dict[str, set[str]]:
    """Action of a task → the fields of its entry in an event."""
    table = (ROOT / "docs/protocol.md").read_text(encoding="utf-8").partition("| Action | Further fields |")[2]
    rows = [line.split("|", 2)[1:] for line in table.partition("\n\n")[0].splitlines() if line.startswith("| `")]
    return {
        action: {"action", "id", *re.findall(r"`(\w+)`", fields)}
        for actions, fields in rows
        for action in re.findall(r"`(\w+)`", actions)
    }
