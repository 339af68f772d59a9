"""The monitor in a real terminal, with real servers and real workers: what an operator sees and does."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from _yadtq.settings import Settings
from local.redis_server import RedisServer
from tests.conftest import StartWorker
from tests.support.servers import ROOT, redis_at, start_for_run
from tests.support.terminal import Terminal
from tests.support.waiting import eventually
from yadtq import TaskClient

SMALL, WIDE = (80, 24), (200, 60)
ESCAPE, TAB, ENTER, DOWN, PAGE_DOWN, END = "\x1b", "\t", "\r", "\x1b[B", "\x1b[6~", "\x1b[F"


class MonitorTerminal(Terminal):
    """monitor.py in a terminal of its own."""

    def press(self, keys: str) -> None:
        self._child.send(keys)

    def resize(self, columns: int, lines: int) -> None:
        self._screen.resize(lines, columns)
        self._child.setwinsize(lines, columns)

    def terminate(self) -> None:
        """SIGTERM."""
        self._child.kill(signal.SIGTERM)

    def kill(self) -> None:
        self._child.close(force=True)

    def colours(self) -> set[str]:
        return {cell.fg for row in self._screen.buffer.values() for cell in row.values()}

    @property
    def lines(self) -> list[str]:
        return self.text.split("\n")


Open = Callable[..., MonitorTerminal]


@pytest.fixture
def client(settings: Settings) -> Iterator[TaskClient]:
    with TaskClient(settings) as opened:
        yield opened


@pytest.fixture
def monitor(environment: dict[str, str]) -> Iterator[Open]:
    """Opens monitor.py in a terminal: monitor(size, variable=value) → MonitorTerminal."""
    with ExitStack() as stack:

        def start(size: tuple[int, int] = SMALL, **given: str) -> MonitorTerminal:
            usual = {"PATH": os.environ["PATH"], "TERM": "xterm-256color", "LANG": "C.UTF-8"}
            pairs = [f"{name}={value}" for name, value in (usual | environment | given).items()]
            program = [sys.executable, str(ROOT / "monitor.py")]
            terminal = MonitorTerminal("env", "-i", *pairs, *program, columns=size[0], lines=size[1])
            stack.callback(terminal.kill)
            return terminal

        yield start


def printed(environment: dict[str, str], *arguments: str) -> "subprocess.CompletedProcess[str]":
    """monitor.py without a terminal."""
    program = [sys.executable, str(ROOT / "monitor.py"), *arguments]
    return subprocess.run(
        program, env=os.environ | environment, capture_output=True, text=True, check=False, timeout=60
    )


def online(client: TaskClient) -> None:
    eventually(lambda: [worker for worker in client.workers() if worker.state == "online"], 30, "a worker online")


# -- one picture


def test_one_picture_has_the_ledgers_counts(
    environment: dict[str, str], client: TaskClient, worker_process: StartWorker
) -> None:
    worker_process(concurrency=2)
    ended = [client.submit("add", number, 1) for number in range(4)] + [client.submit("div", 1, 0)]
    for task_id in ended:
        client.wait_for_result(task_id, 30)
    client.submit("sleep", 20)
    eventually(lambda: client.counts()["processing"] == 1)
    eventually(lambda: client.workers()[0].tasks_executed == 5)
    done = printed(environment, "--once")
    assert (done.returncode, done.stderr) == (0, "")
    form = (
        r"=== WORKERS ===\nworker:worker1 state online last_seen \d{10} tasks_executed 5\n"
        r"=== TASKS === \{'queued': 0, 'processing': 1, 'success': 4, 'failed': 1\}\n"
    )
    assert re.fullmatch(form, done.stdout), done.stdout
    assert printed(environment).stdout.startswith("=== WORKERS ===\n")
    data = json.loads(printed(environment, "--json").stdout)
    assert data["counts"] == client.counts()
    assert sum(span[2] for span in data["spans"]) == 4
    assert sum(data["lag"].values()) == 0


def test_servers_that_do_not_answer_are_named(environment: dict[str, str]) -> None:
    done = printed(environment | {"REDIS_PORT": "1"}, "--once")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (3, "", 1)
    assert "Redis" in done.stderr
    assert printed(environment, "--web", "--once").returncode == 2


def test_a_terminal_that_cannot_draw_gets_one_picture(monitor: Open) -> None:
    terminal = monitor(TERM="dumb")
    terminal.see(r"^=== TASKS === \{'queued': 0, ")
    assert terminal.close() == 0


# -- the live page


def test_a_task_goes_through_its_states_on_the_screen(
    monitor: Open, client: TaskClient, worker_process: StartWorker
) -> None:
    terminal = monitor()
    terminal.see(r"kafka ok  redis ok  workers 0")
    task_id = client.submit("sleep", 3)
    terminal.see(r"^queued 1  in-progress 0  completed 0 ")
    terminal.see(rf"^[▸ ] {task_id[:8]} +sleep 3 ")
    worker_process()
    terminal.see(r"^queued 0  in-progress 1  completed 0 ", 30)
    terminal.see(rf"^[▸ ] {task_id[:8]} +sleep 3 +worker1 +\d")
    terminal.see(r"^queued 0  in-progress 0  completed 1 ", 30)
    terminal.press("2")
    terminal.see(rf"^▸ {task_id[:8]} +sleep 3 +completed +slept 3 s +worker1 ")
    terminal.press("q")
    assert terminal.close() == 0


def test_filtering_and_opening(monitor: Open, client: TaskClient, worker_process: StartWorker) -> None:
    worker_process()
    for number in range(40):
        client.submit("add", number, task_id=f"many-{number:02d}")
    client.submit("div", 1, 0, task_id="odd-one")
    terminal = monitor()
    terminal.see(r"completed 40  failed 1 ", 30)
    terminal.press("2")
    terminal.see(r"^Tasks: all +1–17 of 41$")
    terminal.press(END)
    terminal.see(r"▸ many-00 +add 0 ")
    terminal.press("/odd" + ENTER)
    terminal.see(r"^Tasks: all · id odd… +the end$")
    terminal.see(r"▸ odd-one +div 1 0 +failed +Zero")
    terminal.press(ENTER)
    terminal.see(r"^Task odd-one  failed$")
    terminal.see(r"^ +1  failed +worker1 ")
    terminal.press(ESCAPE)
    terminal.see("▸ odd-one")
    terminal.press(ESCAPE + "n")
    terminal.press("div" + ENTER)
    terminal.see(r"^Tasks: all · name div ")
    terminal.press("ssss")
    terminal.see(r"^Tasks: failed · name div +the end$")
    terminal.press("3")
    terminal.see(r"^▸ worker1 +online +0/3 +41 ")
    terminal.press("w" + ENTER)
    terminal.see(r"^Tasks: failed · name div · worker worker1 +the end$")
    terminal.see(r"▸ odd-one ")
    terminal.press("3" + ENTER)
    terminal.see(r"^Worker worker1  online$")
    terminal.see(r"executed +41 tasks")
    terminal.press("6")
    terminal.see(r"unread in Kafka  0 messages")
    terminal.see(r"Messages unread, by partition")


def test_a_pause_holds_the_picture(monitor: Open, client: TaskClient) -> None:
    terminal = monitor()
    terminal.see("queued 0 ")
    terminal.press("p")
    terminal.see("PAUSED at ")
    client.submit("add", 1)
    terminal.see(r"PAUSED at \d\d:\d\d:\d\d, [23]\.\d s old")
    assert "queued 0 " in terminal.text
    terminal.press("p")
    terminal.see("queued 1 ")


def test_a_terminal_may_change_its_size(monitor: Open, client: TaskClient, worker_process: StartWorker) -> None:
    worker_process()
    client.wait_for_result(client.submit("add", 2, 3), 30)
    terminal = monitor(WIDE)
    terminal.see(r"Completed 1 ", 30)
    terminal.see(r"^Throughput .*Oldest waiting ")
    assert len(terminal.lines) == 60
    assert max(map(len, terminal.lines)) > 160
    terminal.resize(*SMALL)
    terminal.see(r"\A.{80}$[^│]+^Throughput")
    assert len(terminal.lines) == 24
    terminal.resize(20, 5)
    terminal.see(r"\A20×5 is too small:")
    terminal.resize(*WIDE)
    terminal.see(r"Completed 1 ")
    terminal.press("q")
    assert terminal.close() == 0


@pytest.mark.parametrize(("variables", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False)])
def test_colours_can_be_turned_off(monitor: Open, variables: dict[str, str], coloured: bool) -> None:
    terminal = monitor(**variables)
    terminal.see("kafka ok  redis ok")
    assert (terminal.colours() > {"default"}) == coloured


# -- when things go wrong


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[RedisServer]:
    """A Redis that the test may stop."""
    server = redis_at(tmp_path)
    start_for_run(server)
    yield server
    server.stop()


def test_an_old_picture_stays_while_redis_is_away(monitor: Open, settings: Settings, own_redis: RedisServer) -> None:
    port = str(own_redis.place.port)
    with TaskClient(replace(settings, redis_host="127.0.0.1", redis_port=int(port))) as client:
        client.submit("add", 2, 3, task_id="kept-in-sight")
    terminal = monitor(REDIS_HOST="127.0.0.1", REDIS_PORT=port)
    terminal.see("queued 1 ")
    terminal.see("kept-in-sight")
    own_redis.stop()
    terminal.see(r"OLD: of \d\d:\d\d:\d\d, .* old$", 30)
    terminal.see(r"^! Redis .*127\.0\.0\.1:\d+")
    assert "redis unreachable" in terminal.text
    assert "kept-in-sight" in terminal.text
    own_redis.start()
    own_redis.wait_ready()
    terminal.see(r"\A.* live ", 30)
    terminal.see("redis ok")
    terminal.press("q")
    assert terminal.close() == 0


def test_kafka_being_away_hides_nothing_of_redis(monitor: Open, client: TaskClient) -> None:
    client.submit("add", 1)
    terminal = monitor(KAFKA_BROKER="127.0.0.1:1")
    terminal.see("kafka unreachable  redis ok", 30)
    terminal.see(r"^! Kafka does not answer at 127\.0\.0\.1:1")
    assert "live " in terminal.text
    assert "queued 1 " in terminal.text


def test_a_lost_worker_is_seen_with_what_became_of_its_tasks(
    monitor: Open, client: TaskClient, worker_process: StartWorker
) -> None:
    lost = worker_process(worker_timeout=2, concurrency=1)
    online(client)
    client.submit("sleep", 2, task_id="orphan")
    eventually(lambda: client.counts()["processing"] == 1)
    lost.kill()
    worker_process(worker_timeout=2)
    terminal = monitor(WIDE)
    terminal.press("4")
    terminal.see(r"^▸ worker1 +\d+s ago +1 +1 in-progress ", 40)
    terminal.press(ENTER)
    terminal.see(r"^Lost worker worker1  offline$")
    terminal.see(r"^▸ orphan +yes +in-progress$")
    terminal.press(ENTER)
    terminal.see(r"^Task orphan  completed$", 30)
    terminal.see(r"^ +1  reclaim +worker1 ")
    terminal.see(r"^ +2  success +worker2 ")


def test_sigterm_leaves_the_terminal_as_it_was(monitor: Open) -> None:
    terminal = monitor()
    terminal.see("redis ok")
    terminal.terminate()
    assert terminal.close() == 0
