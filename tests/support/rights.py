"""What each program must be allowed in Redis, from the scripts that it calls, as docs/security.md has it."""

import re
from collections.abc import Iterable

from _yadtq.scripts import LUA, script

# What programs send besides scripts.
CONNECTING = {"CLIENT|SETINFO", "PING", "INFO", "EVALSHA", "EVAL"}
LISTENING = {"SUBSCRIBE", "UNSUBSCRIBE"}
OF_WORKERS = {"take", "settle", "beat", "confirm", "leave", "reposition"}
OF_WORKERS |= {"tidy", "unpublished", "unfinished", "bookmark"}  # while they are the relay
OF_WORKERS |= {"coordinate", "resign", "bury"}  # manager.py has the rights of a worker
OF_SERVERS = {"coordinate", "resign", "tidy", "unpublished", "unfinished", "bookmark", "trim", "begin", "apply", "open"}
OF_SERVERS |= {"stats", "standing", "overview", "workers", "view", "statuses"}  # they look
OF_READERS = {"view", "list", "stats", "workers", "overview", "match", "statuses", "places"}
OPENING = {"HMGET", "TIME"}  # what the beginning of each script does, before it does its own


def redis_rights() -> str:
    """A line for each kind of program, as redis-cli takes it."""
    every = {path.stem for path in LUA.glob("*.lua")}
    worker = _commands(script(name)[0] for name in every) | CONNECTING | LISTENING | {"XREAD"}
    server = _commands(script(name)[0] for name in OF_SERVERS) | CONNECTING | {"XREAD"}
    client = _commands(script(name)[0] for name in every - OF_WORKERS) | CONNECTING | LISTENING | {"XREAD", "ZSCAN"}
    reader = _commands((LUA / f"{name}.lua").read_text(encoding="utf-8") for name in OF_READERS) | OPENING
    lines = [
        _line("yadtq-worker", worker, channels=True),
        _line("yadtq-server", server, channels=True),
        _line("yadtq-client", client, channels=True),
        _line("yadtq-reader", reader | CONNECTING | {"ZSCAN"}, channels=False),
    ]
    return "\n".join(["```text", *lines, "```"])


def _commands(texts: Iterable[str]) -> set[str]:
    calls = (call for text in texts for call in re.findall(r"redis\.p?call\(([^,)]*)", text))
    return {word for call in calls for word in re.findall(r"'([A-Z]+)'", call)}


def _line(user: str, commands: set[str], *, channels: bool) -> str:
    rights = ["-@all", *(f"+{command.lower()}" for command in sorted(commands))]
    scope = ["~{yadtq}:*", *(["&{yadtq}:*"] if channels else [])]
    return " ".join(["ACL SETUSER", user, "reset on >PASSWORD", *scope, *rights])
