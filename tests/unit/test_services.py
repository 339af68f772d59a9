"""Programs that run beside the shell: started again when they die, later and later, and their end is said."""

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from local import process
from local.errors import StartFailed
from local.services import Service, last_line
from tests.support.waiting import eventually

Made = Callable[[str], Service]


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Made]:
    """Makes a service of some Python code."""
    pid_file = tmp_path / "it.pid"

    services = []

    def make(code: str) -> Service:
        program = process.Program([sys.executable, "-S", "-c", code], tmp_path / "it.log", pid_file)
        services.append(Service("the thing", program))
        return services[-1]

    yield make
    for service in services:
        if service._process:
            process.stop(service._process, 5)


def noticed(service: Service) -> str:
    return eventually(lambda: service.keep(time.monotonic()))


def test_a_service_that_ends_is_started_again_and_then_later(made: Made) -> None:
    service = made("print('no more', flush=True)")
    service.start()
    said = noticed(service)
    assert said == f"the thing ended by itself and is started again: no more (log: {service.program.log})"
    now = time.monotonic()
    assert service.keep(now) == ""  # it starts at once
    assert noticed(service)
    log = service.program.log
    assert service.keep(time.monotonic()) == ""  # the second pause has begun
    assert log.read_text(encoding="ascii").count("no more") == 2
    assert service.keep(time.monotonic() + 1.0) == ""
    eventually(lambda: log.read_text(encoding="ascii").count("no more") == 3)


def test_a_service_that_lives_is_left_alone(made: Made) -> None:
    service = made("import time; print('up', flush=True); time.sleep(60)")
    service.start()
    eventually(lambda: "up" in service.program.log.read_text(encoding="ascii"))
    pid = process.running(service.program.pid_file or Path())
    assert pid is not None
    assert service.keep(time.monotonic() + 1000) == ""
    service.require()
    assert process.running(service.program.pid_file or Path()) == pid


def test_an_end_at_the_start_is_said_with_the_last_line(made: Made) -> None:
    service = made("import sys; print('first\\n the port is taken \\n\\n'); sys.exit(3)")
    service.start()

    def ended() -> bool:
        service.require()
        return False

    with pytest.raises(
        StartFailed, match=r"^the thing ended with exit code 3 while it started: the port is taken \(log:"
    ):
        eventually(ended)


def test_a_log_without_a_word(tmp_path: Path) -> None:
    log = tmp_path / "empty.log"
    log.write_text("\n \n", encoding="ascii")
    assert last_line(log) == "it said nothing"
    log.write_bytes(b"x" * 10_000 + b"\n" + b"the end \xff\n")
    assert last_line(log) == "the end �"
