"""The parts of docs/ that are made from the code: `python -m tests.support.generated_docs` writes them anew.

Each lies between two markers, `<!-- generated: name -->` and `<!-- end: name -->`; the rest is written by hand.
(The reference in docs/shell.md is made by `python -m shell.manual`.)
"""

from collections.abc import Callable, Iterable
from pathlib import Path

from _yadtq.scripts import LUA
from _yadtq.settings import SETTINGS, Setting
from _yadtq.states import SHOWN, TRANSITIONS
from dashboard.view import KEYS
from tests.support.rights import redis_rights

ROOT = Path(__file__).resolve().parents[2]
SHARED = ("prelude", "opened", "leading", "transitions", "sweep", "quarantine", "places")  # parts of other scripts


def table(titles: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A table in Markdown."""
    titles = list(titles)
    lines = [titles, ["---"] * len(titles), *(list(row) for row in rows)]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)


def settings_table() -> str:
    titles = ("Variable", "Flag", "Default", "What it is")
    return table(titles, (_setting_row(setting) for setting in SETTINGS))


def _setting_row(setting: Setting) -> tuple[str, str, str, str]:
    variables = [f"`{name}`" for name in setting.variables]
    flag = f"`--{setting.name.replace('_', '-')}`"
    if setting.secret:
        variables += [f"`{setting.variables[0]}_FILE`"]
        flag = "none: a secret"
    default = f"`{setting.default}`{f' {setting.unit}' if setting.unit else ''}" if setting.default else "empty"
    return ", ".join(variables), flag, default, setting.help


def diagram() -> str:
    """The states and their transitions, for Mermaid."""
    arrows = [f"    {t.before or '[*]'} --> {t.after or '[*]'}: {t.action}" for t in TRANSITIONS]
    return "\n".join(["```mermaid", "stateDiagram-v2", *dict.fromkeys(arrows), "```"])


def transitions_table() -> str:
    rows = (
        (
            f"`{t.before}`" if t.before else "–",
            f"`{t.after}`" if t.after else "–",
            f"`{t.action}`",
            f"`{t.script}`",
            t.cause,
        )
        for t in TRANSITIONS
    )
    return table(("From", "To", "Action", "Script", "What causes it"), rows)


def shown_table() -> str:
    return table(("Stored", "Shown"), ((f"`{stored}`", f"`{shown}`") for stored, shown in SHOWN.items()))


def monitor_keys() -> str:
    return table(("Key", ""), ((binding.written, binding.about) for binding in KEYS))


def scripts() -> str:
    """What the head of each Lua file says of it: whole scripts first, then what they share."""
    names = sorted(path.stem for path in LUA.glob("*.lua"))
    ordered = [name for name in names if name not in SHARED] + [name for name in SHARED if name in names]
    return "\n\n".join(_script(name) for name in ordered)


def _script(name: str) -> str:
    head = []
    for line in (LUA / f"{name}.lua").read_text(encoding="utf-8").splitlines():
        if not line.startswith("--"):
            break
        head.append(line.removeprefix("--").removeprefix(" "))
    about, _, details = "\n".join(head).partition("\n\n")
    about = about.removeprefix(f"{name}: ")
    block = f"\n\n```text\n{details.strip(chr(10))}\n```" if details.strip() else ""
    return f"#### {name}\n\n{about[:1].upper()}{about[1:]}{block}"


PARTS: dict[str, tuple[str, Callable[[], str]]] = {
    "settings": ("docs/settings.md", settings_table),
    "diagram": ("docs/states.md", diagram),
    "transitions": ("docs/states.md", transitions_table),
    "monitor-keys": ("docs/monitor.md", monitor_keys),
    "shown": ("docs/states.md", shown_table),
    "scripts": ("docs/protocol.md", scripts),
    "redis-rights": ("docs/security.md", redis_rights),
}
"""Name of a part → its page and what makes it."""


def rewritten(page: str, name: str, content: str) -> str:
    """A page with one part replaced. ValueError when its markers are missing."""
    begin, end = f"<!-- generated: {name} -->\n", f"<!-- end: {name} -->"
    before, found, rest = page.partition(begin)
    _, closed, after = rest.partition(end)
    if not found or not closed:
        raise ValueError(f"the markers of {name} are missing")
    return f"{before}{begin}\n{content}\n\n{end}{after}"


def main() -> None:
    """Writes every generated part anew."""
    for name, (path, content) in PARTS.items():
        page = ROOT / path
        page.write_text(rewritten(page.read_text(encoding="utf-8"), name, content()), encoding="utf-8")


if __name__ == "__main__":
    main()
