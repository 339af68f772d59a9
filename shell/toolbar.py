"""The two lines at the bottom: a hint for what is being typed, and the queue as Live has it. Pure functions."""

from prompt_toolkit.formatted_text import StyleAndTextTuples

from shell.commands import BY_NAME, COMMANDS, SUBMIT
from shell.live import ASKING, DOWN, WORKS, Live
from shell.operands import usage
from shell.width import cut, width
from yadtq import visible

IDLE = "Help lists the commands · Tab completes · Ctrl-D leaves"
STYLES = {WORKS: "class:ok", DOWN: "class:down", ASKING: "class:asking"}

Fragments = StyleAndTextTuples


def toolbar(live: Live, about: str, columns: int) -> Fragments:
    """Both lines as styled text, the hint first, cut to the width of the screen."""
    return [*_fitted([("class:hint", f" {about}")], columns), ("", "\n"), *_fitted(_status(live), columns)]


def hint(live: Live, text: str) -> str:
    """How the command or task that is being typed is called; else what is wrong; else what one could do."""
    words = text.split()
    if not words:
        return visible(live.trouble) or IDLE
    command = BY_NAME.get(words[0].lower())
    if command is SUBMIT and len(words) > 1:
        return _known(words[1], live) or f"{command.usage} · {command.about}"
    return _known(words[0], live) or visible(live.trouble) or IDLE


def _known(word: str, live: Live) -> str:
    """What a word names, when it is a name, or the beginning of only one."""
    hints = {command.name.lower(): f"{command.usage} · {command.about}" for command in COMMANDS}
    for name, signature in live.signatures.items():
        about = f" · {visible(signature.about)}" if signature.about else ""
        hints.setdefault(name.lower(), usage(signature) + about)
    word = word.lower()
    word = BY_NAME[word].name.lower() if word in BY_NAME else word
    begun = [name for name in hints if name.startswith(word)]
    return hints.get(word) or (hints[begun[0]] if len(begun) == 1 else "")


def _status(live: Live) -> Fragments:
    known = bool(live.counts)
    fragments: Fragments = [
        ("", f" queued {live.counts.get('queued', 0):,}" if known else " queued ?"),
        ("", f" · in progress {live.counts.get('processing', 0):,}" if known else " · in progress ?"),
        ("", f" · workers {live.workers_up:,}" if known else " · workers ?"),
    ]
    for name, word in (("kafka", live.kafka), ("redis", live.redis)):
        fragments += [("", f" · {name} "), (STYLES[word], word)]
    return fragments


def _fitted(fragments: Fragments, columns: int) -> Fragments:
    fitted: Fragments = []
    room = columns
    for style, text, *_ in fragments:
        part = cut(text, room)
        fitted.append((style, part))
        room -= width(part)
    return fitted
