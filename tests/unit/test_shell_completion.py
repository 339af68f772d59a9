"""What Tab offers, and what the lines at the bottom say. Both come from the table and from Live alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prompt_toolkit.completion import CompleteEvent
from prompt_toolkit.document import Document

from shell.completion import WordCompleter, candidates
from shell.live import ASKING, DOWN, WORKS, Live
from shell.toolbar import IDLE, hint, toolbar
from shell.width import width
from tests.support.memory_client import SIGNATURES, signature, worker

LIVE = Live(
    kafka=WORKS,
    redis=WORKS,
    counts={"queued": 1234, "processing": 2},
    workers=(worker(), worker("gone", state="offline")),
    recent=(("krv3ux7q", "add 2 3 · completed"), ("abcd1234", "sleep 5 · queued")),
    signatures={each.name: each for each in SIGNATURES},
)


def offered(text: str, live: Live = LIVE) -> list[str]:
    return [word for word, _ in candidates(text, live)]


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("sho", ["Show-Tasks"]),
        ("s", ["Submit", "Show-Tasks", "Stats", "sleep", "sub"]),
        ("SL", ["SLEEP"]),
        ("show-tasks f", ["failed"]),
        ("Show-Tasks --l", ["--limit"]),
        ("Show-Tasks --status ", ["queued", "in-progress", "completed", "failed", "rejected"]),
        ("Show-Tasks --status fail", ["failed"]),
        ("view k", ["krv3ux7q"]),
        ("View ", ["_", "krv3ux7q", "abcd1234", "--no-wait", "--json"]),
        ("Wait krv3ux7q a", ["abcd1234"]),
        ("help wo", ["Workers"]),
        ("help di", ["div"]),
        ("greet ", ["name=", "greeting=", "loud=", "--no-wait", "--json"]),
        ("GREET name=x lo", ["loud="]),
        ("greet name=x n", []),
        ("Submit gr", ["greet"]),
        ("Submit greet l", ["loud="]),
        ("add ", ["--no-wait", "--json"]),
        ("Workers --json ", ["--no-wait"]),
        ("Exit x y", []),
    ],
)
def test_what_fits_is_offered(typed: str, expected: list[str]) -> None:
    assert offered(typed) == expected


def test_everything_is_offered_on_an_empty_line() -> None:
    assert {"Enter", "Show-Tasks", "View", "Reset", "Exit", "add", "greet"} <= set(offered(""))


def test_a_completion_replaces_what_was_begun_and_is_shown_harmless() -> None:
    live = Live(recent=(("abc", "add \x1b[31m"), ("a b", ""), ("a\x1b", "")))
    completer = WordCompleter(lambda text: candidates(text, live))
    [found] = completer.get_completions(Document("view a"), CompleteEvent())
    assert (found.text, found.start_position, found.display_meta_text) == ("abc", -1, r"add \x1b[31m")


@given(st.text())
def test_no_line_breaks_completion_or_hint(text: str) -> None:
    offered(text)
    shown = toolbar(LIVE, hint(LIVE, text), 60)
    assert all(part.isprintable() or part == "\n" for _, part, *_ in shown)


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("", IDLE),
        ("view", "View <id> [--no-wait] [--json] · everything"),
        ("GREET Ann", "greet <name> [greeting] [loud=…] · A greeting."),
        ("Submit greet", "greet <name>"),
        ("Submit", "Submit <task> [operands…]"),
        ("quit", "Exit"),
        ("gre", "greet <name>"),
        ("s", IDLE),
        ("nothing", IDLE),
    ],
)
def test_the_hint_is_about_what_is_being_typed(typed: str, expected: str) -> None:
    assert hint(LIVE, typed).startswith(expected)


def test_the_hint_says_what_is_wrong_with_a_server() -> None:
    assert hint(Live(redis_trouble="Redis wants a password"), "") == "Redis wants a password"


def lines(live: Live, columns: int) -> list[str]:
    return "".join(text for _, text, *_ in toolbar(live, hint(live, ""), columns)).split("\n")


def test_the_bottom_line_shows_the_queue() -> None:
    assert lines(LIVE, 80)[1] == " queued 1,234 · in progress 2 · workers 1 · kafka ok · redis ok"


def test_the_bottom_line_says_what_is_unreachable_or_unknown() -> None:
    live = Live(kafka=DOWN, redis=ASKING)
    assert lines(live, 80)[1] == " queued ? · in progress ? · workers ? · kafka unreachable · redis …"
    assert ("class:down", "unreachable") in toolbar(live, "", 80)


@pytest.mark.parametrize("columns", [1, 10, 40, 80])
def test_the_bottom_lines_fit(columns: int) -> None:
    live = Live(signatures={"x": signature("x", about="日本語" * 50)}, redis_trouble="x" * 200)
    shown = "".join(text for _, text, *_ in toolbar(live, hint(live, "x"), columns)).split("\n")
    assert len(shown) == 2
    assert all(width(line) <= columns for line in shown)
