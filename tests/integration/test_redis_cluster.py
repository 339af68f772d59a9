"""Queues on a Redis Cluster: each lies on one node as a whole, and its programs speak to that node."""

import secrets
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import redis

from _yadtq.keys import Keys
from local.embedded_server import Place
from local.ports import free_port
from local.redis_server import RedisServer
from tests.support.servers import remove_queue, start_for_run
from tests.support.waiting import eventually
from yadtq import ServerUnreachable, Settings, TaskClient

HALF = 8192  # of the slots of a cluster


class ClusterNode(RedisServer):
    """One node of a cluster."""

    def prepare(self) -> list[str]:
        return [*super().prepare(), "--cluster-enabled", "yes", "--cluster-port", str(free_port())]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[int]]:
    """The ports of two nodes; the first has the lower half of the slots."""
    folder = tmp_path_factory.mktemp("cluster")
    nodes = [ClusterNode(Place(folder / str(n), folder / f"{n}.log", free_port())) for n in range(2)]
    ports = [node.place.port for node in nodes]
    try:
        for node in nodes:
            start_for_run(node)
        join(ports)
        yield ports
    finally:
        for node in nodes:
            node.stop()


def connected(port: int) -> Any:
    """A connection to one node; its types allow for every kind of reply."""
    return redis.Redis("127.0.0.1", port, decode_responses=True)


def join(ports: Sequence[int]) -> None:
    """Makes a cluster of two nodes; each gets half of the slots."""
    with connected(ports[0]) as first, connected(ports[1]) as second:
        first.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, HALF - 1)
        second.execute_command("CLUSTER", "ADDSLOTSRANGE", HALF, 2 * HALF - 1)
        for number, node in enumerate((first, second)):
            node.execute_command("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
        bus = first.config_get("cluster-port")["cluster-port"]
        second.execute_command("CLUSTER", "MEET", "127.0.0.1", ports[0], bus)
        for node in (first, second):
            eventually(partial(is_complete, node), 30, "a cluster that has all its slots")


def is_complete(node: Any) -> bool:
    return "cluster_state:ok" in node.execute_command("CLUSTER", "INFO")


@pytest.fixture
def namespaces(cluster: list[int], kafka_broker: str) -> Iterator[list[str]]:
    """A namespace on each node, in the order of the ports."""
    found: dict[bool, str] = {}
    with connected(cluster[0]) as node:
        while len(found) < len(cluster):
            name = f"t{secrets.token_hex(5)}"
            found.setdefault(node.execute_command("CLUSTER", "KEYSLOT", Keys(name).meta) >= HALF, name)
    yield [found[False], found[True]]
    for port, name in zip(cluster, (found[False], found[True]), strict=True):
        remove_queue(name, kafka_broker, ("127.0.0.1", port))


def on(settings: Settings, namespace: str, port: int) -> Settings:
    return replace(settings, namespace=namespace, redis_host="127.0.0.1", redis_port=port)


def test_each_queue_works_on_its_node(
    cluster: list[int], namespaces: list[str], settings: Settings, worker_process: Callable[..., object], tmp_path: Path
) -> None:
    for port, name in zip(cluster, namespaces, strict=True):
        worker_process(namespace=name, redis_port=port, worker_id=name)
    for port, name in zip(cluster, namespaces, strict=True):
        with TaskClient(on(settings, name, port)) as client:
            ids = [client.submit("add", number, 1) for number in range(20)]
            assert [client.wait_for_result(task_id, 30).result for task_id in ids] == list(range(1, 21))
            assert client.reset() == 20


def test_another_node_names_the_one_that_has_the_queue(
    cluster: list[int], namespaces: list[str], settings: Settings
) -> None:
    with TaskClient(on(settings, namespaces[0], cluster[1])) as client, pytest.raises(ServerUnreachable) as refused:
        client.counts()
    assert f"127.0.0.1:{cluster[0]}" in str(refused.value)
    assert "set REDIS_HOST and REDIS_PORT" in str(refused.value)
