"""The stream of what has changed on a page, as server-sent events. A browser opens it anew when it ends."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from functools import partial

from dashboard.web.audience import Audience
from dashboard.web.readings import Reading

PULSE_SECONDS = 5.0
"""After which something is sent, so that a browser notices a stream that is no more."""
RETRY_MILLISECONDS = 1_000
"""After which a browser opens the stream anew."""

Look = Callable[[], Awaitable[Reading]]


async def events(audience: Audience, look: Look) -> AsyncIterator[str]:
    """The parts of a page, when the stream begins and then those that have changed. look: the page as it is now."""
    loop, news = asyncio.get_running_loop(), asyncio.Event()
    with audience.stream(partial(loop.call_soon_threadsafe, news.set)) as room:
        if not room:
            yield event("full", {})
            return
        yield f"retry: {RETRY_MILLISECONDS}\n\n"
        sent: Mapping[str, str] = {}
        while not audience.closing:
            news.clear()
            reading = await look()
            changed = {name: text for name, text in reading.parts.items() if sent.get(name) != text}
            if changed:
                yield event("parts", {"parts": changed, "said": reading.said})
            sent = reading.parts
            if not await _within(news.wait(), PULSE_SECONDS):
                yield event("pulse", {})


def event(name: str, data: object) -> str:
    """One event. JSON in ASCII has no line ends that could end it early."""
    return f"event: {name}\ndata: {json.dumps(data)}\n\n"


async def _within(done: Awaitable[object], seconds: float) -> bool:
    try:
        await asyncio.wait_for(done, seconds)
    except TimeoutError:
        return False
    return True
