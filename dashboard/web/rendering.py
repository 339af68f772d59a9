"""Templates. Whatever a template prints is made visible and escaped, without its asking for it."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import simplejson
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from dashboard.curves import rate_text, seconds_text
from shell.descriptions import age, call_text, instant_text, length, outcome_text, run_time, short, worker_name
from yadtq import SHOWN, visible

LONGEST_CELL = 160
"""Characters of a call or a result in a table; a task's own page shows more."""
LONGEST_LINE = 80
"""Characters of a JSON value that stands in one line."""
LONGEST_VALUE = 20_000
"""Characters of one value on a task's page."""
SIGNS = {
    **{"queued": "○", "processing": "◐", "success": "✓", "failed": "✕", "rejected": "⊘", "gone": "–"},
    **{"online": "●", "draining": "◐", "offline": "○", "leading": "●", "standby": "◐", "running": "◐"},
    **{"retry": "↻", "crash": "✕", "reclaim": "↻", "release": "↻", "refused": "⊘"},
}


def environment() -> Environment:
    """The templates, with the filters that they use."""
    made = Environment(
        loader=PackageLoader("dashboard.web"),
        autoescape=True,
        finalize=shown,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(
        age=age,
        call=lambda task: cut(call_text(task)),
        cut=cut,
        duration=length,
        figure="{:,}".format,
        instant=instant,
        json=json_lines,
        lines=lines,
        outcome=lambda task: cut(outcome_text(task)),
        rate=rate_text,
        run_time=run_time,
        scale=seconds_text,
        short=short,
        sign=lambda word: SIGNS.get(word, "·"),
        word=lambda word: SHOWN.get(word, word),
        worker=worker_name,
    )
    made.globals.update(link=link, offset=offset)
    return made


class Pages:
    """Renders the templates of a queue's pages.

    acting: there is a token, and so there are actions. sections: name, title and path of each page in the navigation.
    """

    def __init__(self, queue: str, acting: bool, sections: Sequence[Mapping[str, str]]) -> None:
        self.queue = queue
        self._environment = environment()
        self._environment.globals.update(queue=queue, acting=acting, sections=sections)

    def page(self, name: str, values: Mapping[str, Any]) -> str:
        """A whole page."""
        return self._environment.get_template(f"{name}.html").render(values)

    def part(self, name: str, values: Mapping[str, Any]) -> Markup:
        """A part of a page, which is sent anew when it changes."""
        return escape(self._environment.get_template(f"parts/{name}.html").make_module(dict(values)))


def shown(value: object) -> object:
    """What a template prints: text with its control characters written out, everything else as it is."""
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def link(path: str, /, **parameters: object) -> str:
    """The address of a page. Parameters that are empty are left out."""
    given = {name: value for name, value in parameters.items() if value not in ("", None)}
    return f"{path}?{urlencode(given, errors='backslashreplace')}" if given else path


def instant(at: float) -> str:
    """A point in time, to the millisecond; '' for one that never was. The page says its offset once."""
    return instant_text(at)[:-6]


def offset() -> str:
    """The offset of all times of a page."""
    return datetime.now(UTC).astimezone().isoformat()[-6:]


def cut(text: str, most: int = LONGEST_CELL) -> str:
    """The beginning of a text."""
    return text if len(text) <= most else text[:most] + "…"


def lines(text: str) -> Markup:
    """A text of several lines, each made visible, for a place that keeps its line ends."""
    return Markup("\n").join(escape(visible(line)) for line in cut(text, LONGEST_VALUE).split("\n"))


def json_lines(value: object) -> Markup:
    """A JSON value, indented when it is long; text in it as people read it."""
    try:
        line = simplejson.dumps(value, use_decimal=True, ensure_ascii=False)
        if len(line) > LONGEST_LINE:
            line = simplejson.dumps(value, use_decimal=True, ensure_ascii=False, indent=2)
        return lines(line)
    except RecursionError:
        return Markup("nested too deeply to be shown here")
