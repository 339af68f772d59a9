"""Kafka and Redis that ask for a user and a password, over TLS, and let each user do only what it was given."""

import contextlib
import selectors
import socket
import ssl
import struct
from collections.abc import Mapping
from pathlib import Path

import redis

from local.embedded_server import Place
from local.kafka_jars import kafka_jars
from local.kafka_server import KafkaServer
from local.ports import free_port
from local.redis_server import RedisServer
from tests.support.certificates import Certificates
from tests.support.front import Front
from tests.support.servers import JARS

CHUNK = 1 << 16
ADMIN = "admin"
PLAIN_LOGIN = "org.apache.kafka.common.security.plain.PlainLoginModule"
SCRAM_LOGIN = "org.apache.kafka.common.security.scram.ScramLoginModule"

# In place of the lines with the same keys. ANONYMOUS is the broker to its own controller, which others cannot reach.
SECURITY = """\
listeners=SASL_SSL://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=SASL_SSL://127.0.0.1:{port}
listener.security.protocol.map=SASL_SSL:SASL_SSL,CONTROLLER:PLAINTEXT
inter.broker.listener.name=SASL_SSL
sasl.mechanism.inter.broker.protocol=PLAIN
sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-512
listener.name.sasl_ssl.plain.sasl.jaas.config={plain} required username="{admin}" password="{password}" {users};
listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config={scram} required;
ssl.keystore.type=PEM
ssl.keystore.location={certificate}
ssl.truststore.type=PEM
ssl.truststore.location={authority}
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:{admin};User:ANONYMOUS
"""


class SecureKafka(KafkaServer):
    """SASL over TLS and nothing else, with an authorizer. Its controller listens on loopback, for itself.

    users: name → password, known by the mechanism PLAIN. `admin` may do everything.
    """

    def __init__(self, place: Place, jars: Path, certificates: Certificates, users: Mapping[str, str]) -> None:
        super().__init__(place, jars)
        self._certificates, self._users = certificates, users
        self.controller = 0  # the port on which it listens for itself, without TLS; known when it was started

    def answers(self) -> bool:
        """Whether it serves requests: it is asked, over TLS, for the API versions that it speaks."""
        body = struct.pack(">hhih", 18, 0, 1, -1)
        context = ssl.create_default_context(cafile=self._certificates.authority)
        try:
            with (
                socket.create_connection(("127.0.0.1", self.place.port), timeout=2) as plain,
                context.wrap_socket(plain, server_hostname="127.0.0.1") as connection,
            ):
                connection.sendall(struct.pack(">i", len(body)) + body)
                return len(connection.recv(10)) > 0
        except OSError:
            return False

    def _write_properties(self, name: str, data: Path) -> Path:
        path = super()._write_properties(name, data)
        lines = path.read_text(encoding="utf-8").splitlines()
        self.controller = int(next(line for line in lines if line.startswith("listeners=")).rpartition(":")[2])
        added = SECURITY.format(
            port=self.place.port,
            controller=self.controller,
            plain=PLAIN_LOGIN,
            scram=SCRAM_LOGIN,
            admin=ADMIN,
            password=self._users[ADMIN],
            users=" ".join(f'user_{user}="{password}"' for user, password in self._users.items()),
            certificate=self._certificates.server,
            authority=self._certificates.authority,
        )
        replaced = {line.partition("=")[0] for line in added.splitlines()}
        kept = [line for line in lines if line.partition("=")[0] not in replaced]
        path.write_text("\n".join(kept) + "\n" + added, encoding="utf-8")
        return path


def secure_kafka(folder: Path, certificates: Certificates, users: Mapping[str, str]) -> SecureKafka:
    """One that is not started yet. Raises StartFailed when its jars cannot be had."""
    return SecureKafka(
        Place(folder / "kafka", folder / "kafka.log", free_port()), kafka_jars(JARS), certificates, users
    )


class SecureRedis(RedisServer):
    """Behind TLS; whoever gives no password may do nothing, `admin` everything.

    The embedded server has no TLS: it ends in front of it, in this process. `port` is where that listens.
    """

    def __init__(self, place: Place, certificates: Certificates, password: str) -> None:
        super().__init__(place)
        self._password = password
        self._front = TlsFront(("127.0.0.1", place.port), certificates)
        self.port = self._front.port

    def prepare(self) -> list[str]:
        users = self.place.home / "users.acl"
        if not users.exists():  # else it has the users that were saved
            users.write_text(f"user default off\nuser {ADMIN} on >{self._password} ~* &* +@all\n", encoding="utf-8")
        return [*super().prepare(), "--aclfile", str(users.resolve())]

    def admin(self) -> "redis.Redis":
        """A connection that may do everything, past the TLS."""
        return redis.Redis("127.0.0.1", self.place.port, username=ADMIN, password=self._password, decode_responses=True)

    def restart(self) -> None:
        """Stops and starts it behind the same front."""
        super().stop()
        self.start()
        self.wait_ready()

    def stop(self) -> None:
        self._front.close()
        super().stop()


def secure_redis(folder: Path, certificates: Certificates, password: str) -> SecureRedis:
    """One that is not started yet."""
    return SecureRedis(Place(folder / "redis", folder / "redis.log", free_port()), certificates, password)


class TlsFront(Front):
    """Takes TLS connections on `port` of loopback and carries what is in them to a server that knows no TLS."""

    def __init__(self, upstream: tuple[str, int], certificates: Certificates) -> None:
        self._upstream = upstream
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificates.server)
        super().__init__("tls-front")

    def serve(self, accepted: socket.socket) -> None:
        """A handshake that fails, or a connection that breaks, is the client's to notice."""
        with accepted, contextlib.suppress(OSError):
            accepted.settimeout(10)
            with self._context.wrap_socket(accepted, server_side=True) as client:
                client.settimeout(None)
                with socket.create_connection(self._upstream) as server:
                    _carry(client, server)


def _carry(client: ssl.SSLSocket, server: socket.socket) -> None:
    """Both ways, until one side closes."""
    with selectors.DefaultSelector() as selector:
        selector.register(client, selectors.EVENT_READ, server)
        selector.register(server, selectors.EVENT_READ, client)
        while True:
            for key, _ in selector.select():
                source = client if key.fileobj is client else server
                data = source.recv(CHUNK)
                if not data:
                    return
                key.data.sendall(data)
                while source is client and client.pending():  # read from the socket already: no event tells of it
                    server.sendall(client.recv(CHUNK))
