"""The page in a terminal: keys go to the view, the drawing goes to the screen. Nothing here asks a server."""

import asyncio
import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from prompt_toolkit.application import Application
from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.keys import Keys
from prompt_toolkit.layout import FormattedTextControl, Layout, Window
from prompt_toolkit.output import ColorDepth
from prompt_toolkit.styles import Style

from dashboard.body import Size
from dashboard.drawing import Screen, draw
from dashboard.source import Source
from dashboard.view import BY_KEY, TYPING, View, paste, press
from shell.render import wants_colour
from yadtq import Operator, Settings

REDRAW_SECONDS = 1.0
ESCAPE_SECONDS = 0.05
"""How long an Escape may be the beginning of another key."""
STYLE = Style.from_dict(
    {
        "title": "bold",
        "dim": "ansibrightblack",
        "good": "ansigreen",
        "warm": "ansiyellow",
        "cold": "ansicyan",
        "bad": "ansired",
        "tab": "",
        "here": "bold",
        "cursor": "reverse",
    }
)


class Page:
    """What the person sees and does. size: of the terminal; now: monotonic seconds, as the source's."""

    def __init__(self, source: Source, size: Callable[[], Size], now: Callable[[], float] = time.monotonic) -> None:
        self.view = View()
        self._source, self._size, self._now = source, size, now

    def draw(self) -> Screen:
        """The screen as it is now. What it needs and has not is fetched, and drawn when it has come."""
        picture = self._source.picture
        screen = draw(picture, self.view, self._size(), max(0.0, self._now() - picture.read_at))
        self._source.want(screen.wanted)
        return screen

    def press(self, key: str) -> None:
        """Obeys a key. It is about what the view shows by now: earlier keys may not have been drawn yet."""
        self.view = press(self.view, key, self.draw().shown)
        self._source.pause(self.view.paused)

    def paste(self, words: str) -> None:
        self.view = paste(self.view, words)

    def fragments(self) -> StyleAndTextTuples:
        """The screen as prompt_toolkit takes it."""
        found: StyleAndTextTuples = []
        for number, line in enumerate(self.draw().lines):
            found += [("", "\n")] * bool(number)
            found += [(" ".join(f"class:{name}" for name in style.split()), words) for style, words in line]
        return found


def bindings(page: Page) -> KeyBindings:
    """All keys of the page. Those that mean something only while a filter is typed come with the characters."""
    keys = KeyBindings()

    def obey(key: str, event: KeyPressEvent) -> None:
        page.press(key)
        if page.view.leaving:
            event.app.exit()

    for key in sorted({*BY_KEY, *TYPING}):
        keys.add(key)(partial(obey, key))

    @keys.add(Keys.Any)
    def character(event: KeyPressEvent) -> None:
        page.press(event.data)

    @keys.add(Keys.BracketedPaste)
    def pasted(event: KeyPressEvent) -> None:
        page.paste(event.data)

    @keys.add("c-l")
    def redraw(event: KeyPressEvent) -> None:
        event.app.renderer.clear()

    @keys.add("c-z")
    def suspend(event: KeyPressEvent) -> None:
        event.app.suspend_to_background()

    return keys


def application(page: Page) -> Application[None]:
    """The page as a full screen, drawn anew every second and after every key."""
    control = FormattedTextControl(page.fragments, show_cursor=False)
    app: Application[None] = Application(
        layout=Layout(Window(control, always_hide_cursor=True)),
        key_bindings=bindings(page),
        style=STYLE,
        include_default_pygments_style=False,
        full_screen=True,
        refresh_interval=REDRAW_SECONDS,
        color_depth=None if wants_colour(os.environ) else ColorDepth.DEPTH_1_BIT,
    )
    app.ttimeoutlen = ESCAPE_SECONDS
    return app


def run(settings: Settings) -> int:
    """The page, until the person leaves or the terminal goes away. Returns the exit code, which is always 0."""
    with Operator(settings) as operator:
        source = Source(operator, settings.namespace, lambda: None)
        page = Page(source, lambda: Size(*reversed(app.output.get_size())))
        app = application(page)
        source.changed = partial(_drawn_anew, app)
        source.start()
        try:
            app.run(pre_run=partial(_left_by_signals, app))
        except (EOFError, KeyboardInterrupt):
            return 0
        finally:
            source.close()
    return 0


def _drawn_anew(app: Application[None]) -> None:
    """Called by the thread of the source."""
    with suppress(RuntimeError):  # the page was left meanwhile
        app.invalidate()


def _left_by_signals(app: Application[None]) -> None:
    """Whoever ends the page gets the terminal back as it was."""

    def leave() -> None:
        if app.is_running and not app.is_done:
            app.exit()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, leave)
