"""What could come next on the line, from the table of commands and from Live. Does no input or output."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document

from shell.arguments import Command, Word
from shell.commands import BY_NAME, COMMANDS, SUBMIT
from shell.live import Live
from yadtq import Signature, visible

MOST = 200


@dataclass(frozen=True, slots=True)
class Place:
    """Where on the line the cursor is: the words before it, and the beginning of the word at it."""

    words: tuple[str, ...]
    begun: str

    @classmethod
    def of(cls, text: str) -> "Place":
        words = text.split()
        begun = words.pop() if words and not text[-1].isspace() else ""
        return cls(tuple(words), begun)


def candidates(text: str, live: Live) -> list[Word]:
    """The words that fit the end of `text`, each with what it means."""
    place = Place.of(text)
    return [(word, about) for word, about in _all(place, live) if word.lower().startswith(place.begun.lower())]


def _all(place: Place, live: Live) -> Iterable[Word]:
    if not place.words:
        names = [(command.name, command.about) for command in COMMANDS]
        return names + [(_in_case(name, place.begun), s.about) for name, s in sorted(live.signatures.items())]
    command = BY_NAME.get(place.words[0].lower())
    if command is None:
        return _of_task(place.words[0], place.words[1:], live)
    if command is SUBMIT and len(place.words) > 1:
        return _of_task(place.words[1], place.words[2:], live)
    return _of_command(command, place, live)


def _of_task(name: str, given: tuple[str, ...], live: Live) -> Iterable[Word]:
    signature = _task(name, live)
    named = {word.partition("=")[0] for word in given if "=" in word}
    parameters = signature.parameters if signature else ()
    kinds = ("positional", "keyword")
    words = [(f"{p.name}=", p.annotation) for p in parameters if p.kind in kinds and p.name not in named]
    return words + _options(SUBMIT, given)


def _of_command(command: Command, place: Place, live: Live) -> Iterable[Word]:
    given = place.words[1:]
    before = next((o for o in command.options if given and o.flag == given[-1].lower() and o.kind), None)
    if before is not None and before.kind is not None:
        return before.kind.words(live)
    if place.begun.startswith("-"):
        return _options(command, given)
    count = len([word for word in given if not word.startswith("--")])
    argument = next((a for i, a in enumerate(command.arguments) if i == count or (a.many and i <= count)), None)
    return [*(argument.kind.words(live) if argument else ()), *_options(command, given)]


def _options(command: Command, given: tuple[str, ...]) -> list[Word]:
    return [(option.flag, option.about) for option in command.options if option.flag not in given]


def _task(name: str, live: Live) -> Signature | None:
    exact = live.signatures.get(name)
    return exact or next((s for other, s in live.signatures.items() if other.lower() == name.lower()), None)


def _in_case(name: str, begun: str) -> str:
    """A task's name in the case in which the person has begun to type it."""
    return name.upper() if begun.isupper() else name


class WordCompleter(Completer):
    """Offers words that are handed in, by the text before the cursor."""

    def __init__(self, words: Callable[[str], list[Word]]) -> None:
        self._words = words

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterator[Completion]:
        text = document.text_before_cursor
        for word, about in self._words(text)[:MOST]:
            if word.isprintable() and " " not in word:
                start = -len(Place.of(text).begun)
                yield Completion(word, start, display=visible(word), display_meta=visible(about))
