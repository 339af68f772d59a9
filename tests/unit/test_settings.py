"""The table of settings: from defaults, environment, files and flags, and back again."""

import argparse
import os
import socket
from dataclasses import fields
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from _yadtq.errors import SettingError
from _yadtq.settings import SETTINGS, TABLE, Settings, add_flags, given_flags


def test_the_table_and_the_fields_are_the_same() -> None:
    assert [field.name for field in fields(Settings)] == [setting.name for setting in SETTINGS]
    variables = [variable for setting in SETTINGS for variable in setting.variables]
    assert len(variables) == len(set(variables))


def test_the_defaults_are_those_of_the_issue() -> None:
    s = Settings.load({})
    assert (s.kafka_broker, s.redis_host, s.redis_port) == ("localhost:9092", "localhost", 6379)
    assert (s.worker_timeout, s.task_max_retries, s.task_max_crashes, s.concurrency) == (30.0, 3, 3, 3)
    assert (s.result_ttl, s.drain_seconds, s.partitions) == (604800.0, 25.0, 12)
    assert s.worker_id == f"{socket.gethostname()}-{os.getpid()}"


def test_what_is_given_comes_before_the_environment_and_that_before_the_defaults() -> None:
    environment = {"REDIS_PORT": "7000", "REDIS_HOST": "there", "WORKER_TIMEOUT": ""}
    s = Settings.load(environment, redis_port=8000, redis_host=None)
    assert (s.redis_port, s.redis_host, s.worker_timeout) == (8000, "there", 30.0)


def test_claim_stale_seconds_is_another_name() -> None:
    assert Settings.load({"CLAIM_STALE_SECONDS": "12"}).worker_timeout == 12
    assert Settings.load({"CLAIM_STALE_SECONDS": "12", "WORKER_TIMEOUT": "9"}).worker_timeout == 9


@pytest.mark.parametrize(
    ("variable", "value", "reason"),
    [
        ("KAFKA_BROKER", "localhost", "host:port"),
        ("KAFKA_BROKER", "localhost:abc", "host:port"),
        ("KAFKA_BROKER", "a:1,:2", "host:port"),
        ("KAFKA_BROKER", "a:1,", "host:port"),
        ("KAFKA_BROKER", "a:65536", "host:port"),
        ("REDIS_PORT", "0", "a whole number from 1 to 65535"),
        ("REDIS_PORT", "x", "a number"),
        ("REDIS_PORT", "6379.0", "a number"),
        ("WORKER_TIMEOUT", "1", "seconds from 2 to 3600"),
        ("WORKER_TIMEOUT", "nan", "seconds from 2"),
        ("WORKER_TIMEOUT", "soon", "a number"),
        ("DRAIN_SECONDS", "inf", "seconds from 0"),
        ("REDIS_TLS", "perhaps", "yes or no"),
        ("KAFKA_SECURITY_PROTOCOL", "HTTP", "one of PLAINTEXT"),
        ("LOG_LEVEL", "loud", "one of DEBUG"),
        ("YADTQ_NAMESPACE", "a b", "1 to 60 letters"),
        ("YADTQ_NAMESPACE", "a{b}", "1 to 60 letters"),
        ("YADTQ_NAMESPACE", "x" * 61, "1 to 60 letters"),
        ("WORKER_ID", "a~b", "1 to 100 bytes"),
        ("WORKER_ID", "a b", "1 to 100 bytes"),
        ("WORKER_ID", "\x1b[31m", "1 to 100 bytes"),
        ("TASK_MAX_RETRIES", "-1", "a whole number from 0"),
        ("TASK_MAX_CRASHES", "0", "a whole number from 1"),
    ],
)
def test_what_cannot_be_used_is_said_with_the_variable(variable: str, value: str, reason: str) -> None:
    with pytest.raises(SettingError, match=rf"^{variable}: .* cannot be used: expected {reason}") as caught:
        Settings.load({variable: value})
    assert str(caught.value).isprintable()


def test_a_wrong_flag_is_said_as_a_flag_and_an_unknown_field_by_name() -> None:
    with pytest.raises(SettingError, match=r"^--redis-port: '99999' cannot be used"):
        Settings.load({}, redis_port=99999)
    with pytest.raises(SettingError, match="no setting is named redis_prot"):
        Settings.load({}, redis_prot=1)


@pytest.mark.parametrize("servers", ["a:1", "a:1, b:2", "[::1]:9092", "10.0.0.1:9092"])
def test_brokers_are_a_list_of_host_and_port(servers: str) -> None:
    assert Settings.load({"KAFKA_BROKER": servers}).kafka_broker == servers


def test_words_are_read_in_any_case() -> None:
    s = Settings.load({"REDIS_TLS": " Yes ", "LOG_LEVEL": "debug", "KAFKA_SECURITY_PROTOCOL": "ssl"})
    assert (s.redis_tls, s.log_level, s.kafka_security_protocol) == (True, "DEBUG", "SSL")
    assert Settings.load({"REDIS_TLS": "off"}).redis_tls is False


# -- secrets


def test_a_secret_may_stand_in_a_file(tmp_path: Path) -> None:
    path = tmp_path / "password"
    path.write_text("se cret\n")
    assert Settings.load({"REDIS_PASSWORD_FILE": str(path)}).redis_password == "se cret"
    assert Settings.load({"REDIS_PASSWORD_FILE": str(path), "REDIS_PASSWORD": "direct"}).redis_password == "direct"
    assert Settings.load({"REDIS_HOST_FILE": str(path)}).redis_host == "localhost"  # no secret


def test_a_file_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    for name, reason in (("none", "No such file"), ("binary", "it is not text"), ("", "Is a directory")):
        with pytest.raises(SettingError, match=f"^REDIS_PASSWORD_FILE: cannot read .*: {reason}"):
            Settings.load({"REDIS_PASSWORD_FILE": str(tmp_path / name)})


def test_secrets_are_shown_nowhere() -> None:
    secrets = {setting.name: f"hidden-{setting.name}" for setting in SETTINGS if setting.secret}
    assert len(secrets) == 4
    shown = repr(Settings.load({}, **secrets))
    assert "hidden" not in shown
    assert shown.count("***") == 4
    parser = argparse.ArgumentParser()
    add_flags(parser)
    assert not [name for name in secrets if f"--{name.replace('_', '-')}" in parser.format_help()]


# -- there and back


def test_a_child_process_gets_the_same_settings() -> None:
    made = Settings.load(
        {}, worker_timeout=12.5, redis_tls=True, kafka_broker=["a:1", "b:2"], redis_password="p w", task_time_limit=0
    )
    assert made.kafka_broker == "a:1,b:2"
    assert Settings.load(made.environment()) == made


@given(st.floats(2, 3600), st.floats(1, 3650 * 86400), st.integers(1, 1 << 40))
def test_numbers_are_handed_on_exactly(timeout: float, ttl: float, ready: int) -> None:
    made = Settings.load({}, worker_timeout=timeout, result_ttl=ttl, ready_bytes=ready)
    assert (made.worker_timeout, made.result_ttl, made.ready_bytes) == (timeout, ttl, ready)
    assert Settings.load(made.environment()) == made


def test_flags_are_the_settings() -> None:
    parser = argparse.ArgumentParser()
    add_flags(parser)
    parser.add_argument("--other")
    arguments = parser.parse_args(["--redis-port", "7000", "--worker-timeout", "9", "--other", "x"])
    assert given_flags(arguments) == {"redis_port": "7000", "worker_timeout": "9"}
    assert Settings.load({}, **given_flags(arguments)).redis_port == 7000


def test_the_help_tells_variable_default_and_unit() -> None:
    parser = argparse.ArgumentParser()
    add_flags(parser, "worker_timeout", "redis_host")
    shown = " ".join(parser.format_help().split())
    assert "WORKER_TIMEOUT/CLAIM_STALE_SECONDS; default 30 s" in shown
    assert "--redis-host" in shown
    assert "--redis-port" not in shown


def test_the_encryption_key_is_handed_to_children(monkeypatch: pytest.MonkeyPatch) -> None:
    (variable,) = TABLE["encryption_key"].variables
    monkeypatch.setenv(variable, "before")
    Settings.load({}).hand_down()
    assert os.environ[variable] == "before"
    Settings.load({}, encryption_key="given").hand_down()
    assert os.environ[variable] == "given"
