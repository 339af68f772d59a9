"""A million finished tasks do not slow a page of the monitor."""

import time
import urllib.request
from functools import partial
from pathlib import Path

import redis

from _yadtq.keys import Keys
from _yadtq.settings import Settings
from tests.integration.conftest import Figure
from tests.support.waiting import eventually
from tests.support.web_pages import Monitor
from yadtq import TaskClient

MILLION, STEP = 1_000_000, 20_000
PATHS = (
    "/",
    "/tasks?first={}",
    "/tasks?status=success&first=50000{}",
    "/workers",
    "/failures?first={}",
    "/rejected?first={}",
)
ALLOWED_SECONDS = 0.2
# Entries of the indexes; their records would only take memory.
FILL = """
for start = tonumber(ARGV[1]), tonumber(ARGV[2]), 500 do
  local pairs = {}
  for number = start, start + 499 do
    pairs[#pairs + 1] = number
    pairs[#pairs + 1] = 'filler' .. number
  end
  for key = 1, #KEYS do redis.call('ZADD', KEYS[key], unpack(pairs)) end
end
"""


def seconds(address: str) -> float:
    """How long a page takes at most, of several that share nothing but the picture."""

    def once(number: int) -> float:
        begin = time.monotonic()
        with urllib.request.urlopen(address.format(number), timeout=30) as answer:
            answer.read()
        return time.monotonic() - begin

    return max(once(number) for number in range(7))


def quick(address: str) -> float:
    took = seconds(address)
    assert took <= ALLOWED_SECONDS, f"{took:.3f} s"
    return took


def test_a_million_finished_tasks_do_not_slow_a_page(
    client: TaskClient, settings: Settings, environment: dict[str, str], tmp_path: Path, figure: Figure
) -> None:
    ids = [client.submit("add", number) for number in range(60)]
    keys = Keys(settings.namespace)
    epoch = client.stats().epoch
    with redis.Redis(settings.redis_host, settings.redis_port) as connection:
        indexes = [f"{keys.prefix}{epoch}:{name}" for name in ("all", "success")]
        assert connection.zcard(indexes[0]) == len(ids)
        fill = connection.register_script(FILL)
        for start in range(0, MILLION, STEP):
            fill(keys=indexes, args=[start, start + STEP - 1])
    monitor = Monitor(tmp_path / "monitor.log", environment)
    monitor.start()
    for path in (*PATHS, f"/task?id={ids[0]}"):
        took = eventually(partial(quick, monitor.address + path), 60, path)
        figure(f"{path}: {took * 1000:.0f} ms with a million finished tasks")
    with urllib.request.urlopen(f"{monitor.address}/tasks?id=zzz", timeout=30) as answer:
        shown = answer.read().decode()
    assert "Time was over after" in shown
    assert "Go on looking" in shown
    assert monitor.stop() == 0
