"""Every setting, in one table. Only this file reads the environment.

`--help` of every program, docs/settings.md and the errors come from `SETTINGS`.
"""

import argparse
import os
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from _yadtq.errors import SettingError
from _yadtq.log import visible

TRUE_WORDS = frozenset({"1", "true", "yes", "on"})
FALSE_WORDS = frozenset({"0", "false", "no", "off", ""})


def text(value: str) -> str:
    return value


def host(value: str) -> str:
    if not value.isprintable() or " " in value:
        raise ValueError("expected a name or an address")
    return value


def flag(value: str) -> bool:
    word = value.strip().lower()
    if word in TRUE_WORDS | FALSE_WORDS:
        return word in TRUE_WORDS
    raise ValueError("expected yes or no")


def whole(low: int, high: int) -> Callable[[str], int]:
    def parse(value: str) -> int:
        number = int(value)
        if not low <= number <= high:
            raise ValueError(f"expected a whole number from {low} to {high}")
        return number

    return parse


def seconds(low: float, high: float) -> Callable[[str], float]:
    def parse(value: str) -> float:
        number = float(value)
        if not low <= number <= high:
            raise ValueError(f"expected seconds from {low:g} to {high:g}")
        return number

    return parse


def one_of(*words: str) -> Callable[[str], str]:
    def parse(value: str) -> str:
        for word in words:
            if value.lower() == word.lower():
                return word
        raise ValueError(f"expected one of {', '.join(words)}")

    return parse


def servers(value: str) -> str:
    for server in value.split(","):
        name, _, port = server.strip(" ").rpartition(":")
        if not host(name) or not port.isascii() or not port.isdecimal() or not 1 <= int(port[:6]) <= 65535:
            raise ValueError("expected host:port, several separated by commas")
    return value


def namespace(value: str) -> str:
    if not value or len(value) > 60 or not all(c.isascii() and (c.isalnum() or c in "_.-") for c in value):
        raise ValueError("expected 1 to 60 letters, digits, '_', '.' or '-'")
    return value


def identifier(value: str) -> str:
    if not value.isprintable() or " " in value or "~" in value or not 1 <= len(value.encode()) <= 100:
        raise ValueError("expected 1 to 100 bytes of printable text without spaces and '~'")
    return value


def certificates(value: str) -> str:
    try:
        found = value == "" or "CERTIFICATE-----" in Path(value).read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise ValueError(f"expected a file of certificates (PEM), which can be read: {_reason(error)}") from None
    if not found:
        raise ValueError("expected a file of certificates (PEM)")
    return value


@dataclass(frozen=True, slots=True)
class Setting:
    """One row of the table.

    name: field of `Settings` and, with dashes, the flag. variables: environment, the first one set wins.
    default: as it would be written in the environment. unit: '' where the value has none.
    """

    name: str
    variables: tuple[str, ...]
    parse: Callable[[str], Any]
    default: str
    unit: str
    help: str
    secret: bool = False


HOUR, DAY = 3600, 86400
PORT = whole(1, 65535)

# fmt: off
SETTINGS: tuple[Setting, ...] = (
    Setting("kafka_broker", ("KAFKA_BROKER",), servers, "localhost:9092", "",
            "Kafka brokers, host:port, comma-separated"),
    Setting("redis_host", ("REDIS_HOST",), host, "localhost", "", "Redis host"),
    Setting("redis_port", ("REDIS_PORT",), PORT, "6379", "", "Redis port"),
    Setting("redis_db", ("REDIS_DB",), whole(0, 1000), "0", "", "Redis database number"),
    Setting("redis_username", ("REDIS_USERNAME",), text, "", "", "Redis ACL user"),
    Setting("redis_password", ("REDIS_PASSWORD",), text, "", "", "Redis password", secret=True),
    Setting("redis_tls", ("REDIS_TLS",), flag, "no", "", "speak TLS with Redis"),
    Setting("redis_ca_file", ("REDIS_CA_FILE",), certificates, "", "",
            "CA certificates that Redis is checked against (PEM)"),
    Setting("kafka_security_protocol", ("KAFKA_SECURITY_PROTOCOL",),
            one_of("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"), "PLAINTEXT", "", "how to speak with Kafka"),
    Setting("kafka_sasl_mechanism", ("KAFKA_SASL_MECHANISM",),
            one_of("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"), "PLAIN", "", "how to log in at Kafka"),
    Setting("kafka_username", ("KAFKA_USERNAME",), text, "", "", "Kafka user"),
    Setting("kafka_password", ("KAFKA_PASSWORD",), text, "", "", "Kafka password", secret=True),
    Setting("kafka_ca_file", ("KAFKA_CA_FILE",), certificates, "", "",
            "CA certificates that Kafka is checked against (PEM)"),
    Setting("namespace", ("YADTQ_NAMESPACE",), namespace, "yadtq", "",
            "name of the queue: prefix of its topics and keys; another one is another queue"),
    Setting("partitions", ("KAFKA_PARTITIONS",), whole(1, 1000), "12", "",
            "partitions of the task topic, when it is created"),
    Setting("replication", ("KAFKA_REPLICATION",), whole(1, 10), "1", "",
            "copies that Kafka keeps of each topic, when it is created"),
    Setting("worker_id", ("WORKER_ID",), identifier, "", "", "name of this worker; empty: host and process number"),
    Setting("worker_timeout", ("WORKER_TIMEOUT", "CLAIM_STALE_SECONDS"), seconds(2, HOUR), "30", "s",
            "a worker that was not heard of for so long is offline, and its tasks start again elsewhere"),
    Setting("concurrency", ("WORKER_CONCURRENCY",), whole(1, 256), "3", "tasks", "tasks that one worker runs at once"),
    Setting("drain_seconds", ("DRAIN_SECONDS",), seconds(0, DAY), "25", "s",
            "time that running tasks have to end after SIGTERM"),
    Setting("tasks", ("YADTQ_TASKS",), text, "tasks", "", "modules with tasks, comma-separated"),
    Setting("task_max_retries", ("TASK_MAX_RETRIES",), whole(0, 1000), "3", "", "retries of a task that raised"),
    Setting("task_max_crashes", ("TASK_MAX_CRASHES",), whole(1, 1000), "3", "",
            "crashes of its process or worker after which a task is failed"),
    Setting("task_time_limit", ("TASK_TIME_LIMIT",), seconds(0, 30 * DAY), "3600", "s",
            "time limit of a task that has none of its own; 0: none"),
    Setting("retry_delay", ("TASK_RETRY_DELAY",), seconds(0, HOUR), "1", "s",
            "wait before the first retry; doubled each time, up to 60 times, half of it at random"),
    Setting("result_ttl", ("RESULT_TTL",), seconds(1, 3650 * DAY), str(7 * DAY), "s",
            "how long an ended task and its result are kept"),
    Setting("rebuild_window", ("REBUILD_WINDOW",), seconds(0, 3650 * DAY), str(7 * DAY), "s",
            "how long Kafka keeps the message of a task at least, also when the task has ended"),
    Setting("ready_tasks", ("READY_TASKS",), whole(1, 1_000_000), "10000", "tasks",
            "tasks read ahead from Kafka; more stay there"),
    Setting("ready_bytes", ("READY_BYTES",), whole(1, 1 << 40), str(64 << 20), "bytes", "bytes read ahead from Kafka"),
    Setting("outbox_entries", ("OUTBOX_ENTRIES",), whole(1, 10_000_000), "100000", "entries",
            "events that wait in Redis for Kafka; at the bound submissions are refused"),
    Setting("encryption_key", ("ENCRYPTION_KEY",), text, "", "",
            "key of the tasks encrypt and decrypt: 32 bytes in URL-safe base64 (Fernet)", secret=True),
    Setting("monitor_token", ("MONITOR_TOKEN",), text, "", "",
            "token that the monitor's web page asks for to change anything (empty: it only reads)", secret=True),
    Setting("ready_file", ("READY_FILE",), text, "", "",
            "file that a worker touches each second while it is ready, for a supervisor (empty: none)"),
    Setting("log_folder", ("LOG_FOLDER",), text, "logs", "", "folder of the files that server.py and logger.py write"),
    Setting("log_level", ("LOG_LEVEL",), one_of("DEBUG", "INFO", "WARNING", "ERROR"), "INFO", "", "least level logged"),
)
# fmt: on
TABLE = {setting.name: setting for setting in SETTINGS}


@dataclass(frozen=True, slots=True)
class Settings:
    """The values, one field a row of `SETTINGS`. Made by `Settings.load`."""

    kafka_broker: str
    redis_host: str
    redis_port: int
    redis_db: int
    redis_username: str
    redis_password: str
    redis_tls: bool
    redis_ca_file: str
    kafka_security_protocol: str
    kafka_sasl_mechanism: str
    kafka_username: str
    kafka_password: str
    kafka_ca_file: str
    namespace: str
    partitions: int
    replication: int
    worker_id: str
    worker_timeout: float
    concurrency: int
    drain_seconds: float
    tasks: str
    task_max_retries: int
    task_max_crashes: int
    task_time_limit: float
    retry_delay: float
    result_ttl: float
    rebuild_window: float
    ready_tasks: int
    ready_bytes: int
    outbox_entries: int
    encryption_key: str
    monitor_token: str
    ready_file: str
    log_folder: str
    log_level: str

    @classmethod
    def load(cls, environment: Mapping[str, str] | None = None, **given: object) -> "Settings":
        """Reads defaults, then the environment, then what is `given` (None: not given).

        Raises SettingError, which names the variable or field, on a value that cannot be used or an unknown field.
        """
        unknown = given.keys() - TABLE.keys()
        if unknown:
            raise SettingError(f"no setting is named {', '.join(sorted(unknown))}; see docs/settings.md")
        environment = os.environ if environment is None else environment
        values = {setting.name: _value(setting, environment, given.get(setting.name)) for setting in SETTINGS}
        if values["kafka_security_protocol"].startswith("SASL") and not values["kafka_username"]:
            protocol = values["kafka_security_protocol"]
            raise SettingError(
                f"KAFKA_SECURITY_PROTOCOL: {protocol} asks for a login: set KAFKA_USERNAME and KAFKA_PASSWORD"
            )
        values["worker_id"] = values["worker_id"] or f"{socket.gethostname()}-{os.getpid()}"
        return cls(**values)

    def hand_down(self) -> None:
        """Puts what tasks read of the settings where a child process of this one finds it."""
        if self.encryption_key:
            os.environ[TABLE["encryption_key"].variables[0]] = self.encryption_key

    def environment(self) -> dict[str, str]:
        """The settings as environment variables, for a process that this one starts."""
        return {TABLE[field.name].variables[0]: _written(getattr(self, field.name)) for field in fields(self)}

    def __repr__(self) -> str:
        shown = (f"{s.name}={'***' if s.secret else repr(getattr(self, s.name))}" for s in SETTINGS)
        return f"Settings({', '.join(shown)})"


def add_flags(parser: argparse.ArgumentParser, *names: str) -> None:
    """Adds a flag for each named setting (all but secrets, when none is named) to an argument parser."""
    for setting in SETTINGS:
        if setting.secret:  # else the error about an unknown flag would show its value
            parser.add_argument(_flag(setting), nargs="?", action=_SecretFlag, help=argparse.SUPPRESS)
        if setting.secret or (names and setting.name not in names):
            continue
        default = f"default {setting.default}{' ' + setting.unit if setting.unit else ''}" if setting.default else ""
        about = "; ".join(part for part in (setting.help, "/".join(setting.variables), default) if part)
        parser.add_argument(_flag(setting), metavar=setting.unit or "X", help=about)


def given_flags(arguments: argparse.Namespace) -> dict[str, object]:
    """The settings among parsed arguments, as `Settings.load` takes them."""
    return {name: value for name, value in vars(arguments).items() if name in TABLE and value is not None}


class _SecretFlag(argparse.Action):
    """Refuses a secret among the arguments, where every user of the machine can see it, and does not repeat it."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        (variable,) = TABLE[self.dest].variables
        parser.error(f"{self.option_strings[0]}: a secret is no argument: set {variable} or {variable}_FILE")


def _flag(setting: Setting) -> str:
    return f"--{setting.name.replace('_', '-')}"


def _value(setting: Setting, environment: Mapping[str, str], given: object) -> Any:
    if given is not None:
        return _parsed(setting, _flag(setting), _written(given))
    for variable in setting.variables:
        if environment.get(variable, "") != "":
            return _parsed(setting, variable, environment[variable])
        if setting.secret and environment.get(variable + "_FILE"):
            return _parsed(setting, variable + "_FILE", _secret_file(variable, environment[variable + "_FILE"]))
    return setting.parse(setting.default) if setting.default else (False if setting.parse is flag else "")


def _parsed(setting: Setting, source: str, value: str) -> Any:
    try:
        return setting.parse(value)
    except ValueError as error:
        reason = str(error) if str(error).startswith("expected") else "expected a number"
        shown = "the given value" if setting.secret else f"'{visible(value, 60)}'"
        raise SettingError(f"{source}: {shown} cannot be used: {reason} ({setting.help})") from None


def _secret_file(variable: str, path: str) -> str:
    """A secret from a file. What is no full path is not shown: it may be the secret itself, in the wrong variable."""
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as error:
        shown = visible(path, 200) if os.path.isabs(path) else "the given file"
        raise SettingError(f"{variable}_FILE: cannot read {shown}: {_reason(error)}") from None


def _reason(error: OSError | ValueError) -> str:
    return str(error.strerror) if isinstance(error, OSError) else "it is not text"


def _written(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (list, tuple)):
        return ",".join(str(item) for item in value)
    return str(value).removesuffix(".0") if isinstance(value, float) else str(value)
