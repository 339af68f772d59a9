"""One look at the queue serves all who look at the monitor's pages, and the stream tells them what has changed."""

import asyncio
import json
import threading
import time
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import pytest

from dashboard.curves import top
from dashboard.picture import Moment
from dashboard.web import audience as audience_module
from dashboard.web import curves, live
from dashboard.web.audience import MOST_STREAMS, Audience
from dashboard.web.readings import Readings
from dashboard.web.rendering import Pages
from dashboard.web.views import VIEWS
from tests.support.memory_operator import MemoryOperator
from tests.support.queue_pictures import NOW, picture, spans, task
from tests.support.waiting import eventually
from tests.support.web_site import QUEUE
from yadtq import Page, Span


@pytest.fixture
def operator() -> MemoryOperator:
    return MemoryOperator()


@pytest.fixture
def readings(operator: MemoryOperator) -> Readings:
    return Readings(operator, Pages(QUEUE, acting=False, sections=[]))


@pytest.fixture
def audience(operator: MemoryOperator) -> Iterator[Audience]:
    opened = Audience(operator, QUEUE)
    opened.start()
    yield opened
    opened.end_streams()
    opened.close()


# -- readings


def test_many_viewers_of_one_page_cost_one_reading(operator: MemoryOperator, readings: Readings) -> None:
    now = picture()
    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(lambda _: readings.read(VIEWS["tasks"], {"status": "failed"}, now), range(64)))
    assert operator.asked["page"] == 1
    assert all(each is found[0] for each in found)


def test_other_parameters_are_another_page(operator: MemoryOperator, readings: Readings) -> None:
    now = picture()
    for status in ("failed", "queued", "failed"):
        readings.read(VIEWS["tasks"], {"status": status, "unknown": "1"}, now)
    assert operator.asked["page"] == 2


def test_what_took_long_is_not_read_again_at_once(
    operator: MemoryOperator, readings: Readings, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = operator.page

    def slow(**given: Any) -> Page:
        begin = time.monotonic()
        while time.monotonic() < begin + 0.05:
            pass
        return usual(**given)

    monkeypatch.setattr(operator, "page", slow)
    for _ in range(3):
        readings.read(VIEWS["tasks"], {"task": "rare"}, picture())
    assert operator.asked["page"] == 1


def test_readings_are_bounded(readings: Readings) -> None:
    now = picture()
    for number in range(200):
        readings.read(VIEWS["tasks"], {"id": f"{number}"}, now)
    assert len(readings._kept) <= 64


def test_a_picture_that_none_follows_is_old(readings: Readings) -> None:
    reading = readings.read(VIEWS["overview"], {}, picture(read_at=time.monotonic() - 60))
    assert "none has come since" in reading.parts["notes"]


# -- the audience


def test_the_queue_is_looked_at_often_only_while_somebody_looks(
    operator: MemoryOperator, audience: Audience, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audience_module, "LINGER_SECONDS", 0.0)
    audience.came()
    with audience.stream(lambda: None) as room:
        assert room
        asked = operator.asked["snapshot"]
        eventually(lambda: operator.asked["snapshot"] >= asked + 3, 5)
        assert audience._source._interval == audience_module.QUICK_SECONDS
    eventually(lambda: audience._source._interval == audience_module.SLOW_SECONDS, 5)


def test_a_page_begins_with_a_fresh_picture(operator: MemoryOperator, audience: Audience) -> None:
    assert audience.came().snapshot is not None


def test_streams_are_bounded(audience: Audience) -> None:
    with ExitStack() as streams:
        wakes = [threading.Event() for _ in range(MOST_STREAMS + 1)]
        rooms = [streams.enter_context(audience.stream(wake.set)) for wake in wakes]
        assert rooms == [True] * MOST_STREAMS + [False]
    with audience.stream(wakes[0].set) as room:
        assert room


# -- the stream


def told(text: str) -> tuple[str, Any]:
    """An event's name and data."""
    name, _, data = text.removeprefix("event: ").partition("\ndata: ")
    assert data.endswith("\n\n")
    return name, json.loads(data)


async def next_parts(stream: AsyncIterator[str]) -> dict[str, str]:
    """The parts of the next event that has some."""
    while True:
        name, data = told(await asyncio.wait_for(anext(stream), 10))
        if name == "parts":
            parts: dict[str, str] = data["parts"]
            return parts


def test_a_stream_tells_what_has_changed_and_ends(
    operator: MemoryOperator, audience: Audience, readings: Readings
) -> None:
    async def follow() -> None:
        async def look() -> Any:
            return await asyncio.to_thread(readings.read, VIEWS["tasks"], {}, audience.picture)

        stream = live.events(audience, look)
        assert (await anext(stream)).startswith("retry: ")
        await next_parts(stream)
        operator.memory.put(task(7))
        begin = time.monotonic()
        while "add 7 1" not in (changed := await next_parts(stream)).get("tasks", ""):
            pass
        assert time.monotonic() - begin < 1.0
        assert "notes" not in changed
        audience.end_streams()
        async for text in stream:  # it ends
            assert told(text)[0] in ("parts", "pulse")

    asyncio.run(follow())


def test_an_event_cannot_be_ended_from_outside() -> None:
    text = live.event("parts", {"x": "a\n\nevent: y\rdata: z\u2028"})
    assert text.count("\n") == 3
    assert text.isascii()


# -- curves


def test_bars_stand_on_each_other_and_reach_the_scale() -> None:
    drawn = curves.throughput([Span(0, 60, 30, 10), Span(60, 120, 0, 0), Span(120, 180, 1, 0)])
    assert (drawn.most, drawn.best, drawn.success, drawn.failed, drawn.seconds) == (top(40), 40, 31, 10, 60)
    first, empty, small = drawn.bars
    assert first.success + first.failed == pytest.approx(curves.HEIGHT * 40 / drawn.most)
    assert (empty.success, empty.failed) == (0, 0)
    assert small.success >= curves.LEAST
    assert small.x + small.width <= curves.WIDTH


def test_many_spans_become_sixty_bars() -> None:
    drawn = curves.throughput(spans(180, 20.0))
    assert len(drawn.bars) == 60
    assert drawn.seconds == 60
    assert drawn.success == sum(range(1, 181))


def test_no_spans_are_no_bars() -> None:
    assert curves.throughput([]).bars == ()


def test_the_line_of_waiting_ages_keeps_its_peaks() -> None:
    moments = [Moment(NOW - 4000, 99.0), *(Moment(NOW - at, 8.0 if at == 1000 else 1.0) for at in range(3000, 0, -1))]
    drawn = curves.waiting(moments, NOW, 3600)
    assert (drawn.longest, drawn.most) == (8.0, top(8.0))
    heights = [float(point.split(",")[1]) for point in drawn.points.split()]
    assert min(heights) == pytest.approx(curves.HEIGHT * (1 - 8.0 / drawn.most))
    assert len(heights) <= curves.POINTS + 1
    assert curves.waiting([], NOW, 3600).points == ""
