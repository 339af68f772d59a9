"""A queue on servers that let nobody in without a password, with the rights that docs/security.md gives."""

import argparse
import secrets
import shlex
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import kafka
from kafka.admin import (
    ACL,
    ACLOperation,
    ACLPermissionType,
    ResourcePattern,
    ResourceType,
    ScramMechanism,
    UserScramCredentialUpsertion,
)

from _yadtq.settings import Settings
from tests.support.certificates import Certificates, made_certificates
from tests.support.pages import code_blocks
from tests.support.secure_servers import ADMIN, SecureKafka, SecureRedis, secure_kafka, secure_redis

PAGE = "docs/security.md"
PROGRAMS = ("yadtq-worker", "yadtq-client", "yadtq-reader", "yadtq-server", "yadtq-logger")
STRANGER = "somebody-else"  # may log in, and nothing more


@dataclass(frozen=True, slots=True)
class SecuredQueue:
    """passwords: of each user, the same on both servers; each begins with `secret`."""

    certificates: Certificates
    kafka: SecureKafka
    redis: SecureRedis
    passwords: dict[str, str]
    namespace: str = "yadtq"  # the pages' examples use it

    def settings(self, user: str, **changed: object) -> Settings:
        """What a program of this user is given. changed: by field name, what is other than that."""
        given: dict[str, object] = {
            "kafka_broker": f"127.0.0.1:{self.kafka.place.port}",
            "kafka_security_protocol": "SASL_SSL",
            "kafka_sasl_mechanism": "SCRAM-SHA-512",
            "kafka_username": user,
            "kafka_password": self.passwords[user],
            "kafka_ca_file": str(self.certificates.authority),
            "redis_host": "127.0.0.1",
            "redis_port": self.redis.port,
            "redis_username": user,
            "redis_password": self.passwords[user],
            "redis_tls": True,
            "redis_ca_file": str(self.certificates.authority),
            "namespace": self.namespace,
            "worker_timeout": 5,
            "retry_delay": 0.1,
        }
        return Settings.load({}, **(given | changed))

    def refused_by_kafka(self) -> list[str]:
        """What Kafka's authorizer has refused, from its log."""
        log = self.kafka.place.log.read_text(encoding="utf-8", errors="replace")
        return [line for line in log.splitlines() if " is Denied " in line]

    def refused_by_redis(self) -> list[dict[str, Any]]:
        """What Redis has refused for want of a right, not of a password."""
        with self.redis.admin() as admin:
            rows: list[dict[str, Any]] = admin.acl_log()
        return [row for row in rows if row["reason"] != "auth"]

    def kept_by_redis(self) -> str:
        """All keys, fields and values of Redis, as one text."""
        with self.redis.admin() as admin:
            return "\n".join(repr((key, _contents(admin, key))) for key in admin.scan_iter(count=1000))


def _contents(admin: Any, key: str) -> object:
    readers = {
        "hash": admin.hgetall,
        "stream": admin.xrange,
        "set": admin.smembers,
        "string": admin.get,
        "list": lambda name: admin.lrange(name, 0, -1),
        "zset": lambda name: admin.zrange(name, 0, -1),
    }
    return readers[admin.type(key)](key)


@contextmanager
def secured_queue(folder: Path) -> Iterator[SecuredQueue]:
    """Starts the servers, and gives each program the rights of the page. They are stopped in the end."""
    certificates = made_certificates(folder)
    passwords = {user: f"secret-{secrets.token_hex(8)}" for user in (ADMIN, *PROGRAMS, STRANGER)}
    queue = SecuredQueue(
        certificates,
        secure_kafka(folder, certificates, passwords),
        secure_redis(folder, certificates, passwords[ADMIN]),
        passwords,
    )
    try:
        for server in (queue.kafka, queue.redis):
            server.start()
        for server in (queue.kafka, queue.redis):
            server.wait_ready()
        _make_users(queue)
        yield queue
    finally:
        queue.redis.stop()
        queue.kafka.stop()


def redis_lines() -> list[str]:
    """The page's commands that make users in Redis."""
    return [line for block in code_blocks(PAGE, "text") for line in block.splitlines() if line.startswith("ACL ")]


def kafka_lines() -> list[str]:
    """The page's commands that give rights in Kafka."""
    return [line for block in code_blocks(PAGE, "sh") for line in block.splitlines() if line.startswith("kafka-acls")]


def _make_users(queue: SecuredQueue) -> None:
    settings = queue.settings(ADMIN)
    admin = kafka.KafkaAdminClient(
        bootstrap_servers=settings.kafka_broker,
        security_protocol="SASL_SSL",
        sasl_mechanism="PLAIN",
        sasl_plain_username=ADMIN,
        sasl_plain_password=queue.passwords[ADMIN],
        ssl_cafile=str(queue.certificates.authority),
    )
    try:
        refused = admin.alter_user_scram_credentials(
            [UserScramCredentialUpsertion(u, ScramMechanism.SCRAM_SHA_512, p) for u, p in queue.passwords.items()]
        )
        assert not any(refused.values()), refused
        given = admin.create_acls([acl for line in kafka_lines() for acl in acls_of(line)])
        assert not given["failed"], given
    finally:
        admin.close()
    with queue.redis.admin() as redis_admin:
        nobody = f"ACL SETUSER {STRANGER} reset on >PASSWORD -@all +ping"
        for line in (*redis_lines(), nobody):
            words = line.replace("PASSWORD", queue.passwords[line.split()[2]]).split()
            assert redis_admin.execute_command(*words) in ("OK", True)
        redis_admin.acl_save()


@dataclass
class _Right:
    add: bool = False
    allow_principal: str = ""
    operation: list[str] = field(default_factory=list)
    topic: list[str] = field(default_factory=list)
    group: list[str] = field(default_factory=list)


def acls_of(line: str) -> Iterable[ACL]:
    """What one command of kafka-acls.sh gives: each operation on each resource. It fails on what it does not know."""
    parser = argparse.ArgumentParser(allow_abbrev=False)
    for name in ("--bootstrap-server", "--command-config", "--allow-principal"):
        parser.add_argument(name, required=True)
    parser.add_argument("--add", action="store_true", required=True)
    for name in ("--operation", "--topic", "--group"):
        parser.add_argument(name, action="append", default=[])
    right = parser.parse_args(shlex.split(line)[1:], namespace=_Right())
    resources = [(ResourceType.TOPIC, name) for name in right.topic] + [(ResourceType.GROUP, n) for n in right.group]
    for kind, name in resources:
        for operation in right.operation:
            yield ACL(
                principal=right.allow_principal,
                host="*",
                operation=ACLOperation[operation.upper()],
                permission_type=ACLPermissionType.ALLOW,
                resource_pattern=ResourcePattern(kind, name),
            )
