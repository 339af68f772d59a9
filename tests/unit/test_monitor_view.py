"""What keys do on the monitor's page: every row can be reached, and every way leads back."""

from dataclasses import replace

import pytest

from dashboard.view import KEYS, SECTIONS, TYPING, Filters, Shown, View, paste, place, press
from tests.support.queue_pictures import SMALL, WIDE, counts, picture, pressed, screen, snapshot, task, worker

TASKS = [task(number) for number in range(1, 41)]
MANY = picture(snapshot(counts(success=40)))


@pytest.mark.parametrize("number", range(1, len(SECTIONS) + 1))
def test_a_digit_leads_to_its_section(number: int) -> None:
    view = View(section="Tasks", first=17, cursor=3, opened=(("task", "x"),), filters=Filters(task="add"))
    there = press(view, str(number), Shown())
    assert (there.section, there.first, there.cursor, there.opened) == (SECTIONS[number - 1], 0, 0, ())
    assert there.filters == view.filters


def test_tab_goes_round() -> None:
    view = View()
    for section in (*SECTIONS[1:], SECTIONS[0]):
        view = press(view, "tab", Shown())
        assert view.section == section
    assert press(view, "s-tab", Shown()).section == SECTIONS[-1]


def test_no_key_means_two_things() -> None:
    keys = [key for binding in KEYS for key in binding.keys]
    assert len(keys) == len(set(keys))
    assert len({binding.name for binding in KEYS}) == len(KEYS)


def test_down_passes_every_task_of_a_long_list_and_up_comes_back() -> None:
    view, seen = pressed(MANY, View(), ["2"], SMALL, TASKS), []
    for _ in TASKS:
        seen.append(chosen(view))
        view = pressed(MANY, view, ["down"], SMALL, TASKS)
    assert seen == [each.id for each in TASKS]
    assert chosen(view) == TASKS[-1].id  # there is nothing below
    back = []
    for _ in TASKS:
        back.append(chosen(view))
        view = pressed(MANY, view, ["k"], SMALL, TASKS)
    assert back == seen[::-1]


def chosen(view: View) -> str:
    keys = screen(MANY, view, SMALL, TASKS).shown.keys
    return keys[place(view, keys)][1]


PAGES = [
    ("2 pagedown", 18), ("2 end", 40), ("2 end pageup", 7), ("2 end g", 1), ("2 pagedown pageup", 1),
    ("2 pagedown pagedown pagedown", 40),
]  # fmt: skip


@pytest.mark.parametrize(("keys", "there"), PAGES)
def test_pages_of_a_long_list(keys: str, there: int) -> None:
    assert chosen(pressed(MANY, View(), keys.split(), SMALL, TASKS)) == f"task{there:04d}"


def test_a_sought_list_goes_back_by_the_pages_that_it_came_by() -> None:
    sought = [*TASKS, *(task(number, id=f"other{number}") for number in range(9))]
    view = pressed(MANY, View(), [*"/task", "enter", "pagedown", "pagedown"], SMALL, sought)
    assert (view.first, view.before) == (34, (0, 17))
    assert pressed(MANY, view, ["pageup", "pageup"], SMALL, sought).first == 0
    assert pressed(MANY, view, ["end"], SMALL, sought).first == 34  # nobody knows where it ends


def test_a_chosen_task_stays_chosen_when_others_come() -> None:
    view = pressed(MANY, View(), ["2", "down", "down"], SMALL, TASKS)
    more = [task(0), *TASKS]
    keys = screen(MANY, view, SMALL, more).shown.keys
    assert keys[place(view, keys)] == ("task", "task0003")


def test_the_top_follows_what_comes() -> None:
    view = pressed(MANY, View(), ["2", "down", "up"], SMALL, TASKS)
    keys = screen(MANY, view, SMALL, [task(0), *TASKS]).shown.keys
    assert keys[place(view, keys)] == ("task", "task0000")


def test_a_row_that_is_gone_leaves_its_place_chosen() -> None:
    keys = (("task", "a"), ("task", "b"))
    assert place(View(cursor=1, key=("task", "gone")), keys) == 1
    assert place(View(cursor=9, key=("task", "gone")), keys) == 1
    assert place(View(cursor=9), ()) == 0


def test_a_task_that_is_seen_twice_does_not_hold_the_cursor() -> None:
    keys = (("task", "a"), ("task", "b"), ("task", "a"), ("task", "c"))
    view = View(section="Workers", cursor=2, key=("task", "a"))
    assert press(view, "down", Shown(keys)).key == ("task", "c")


def test_enter_opens_and_escape_comes_back_to_the_same_row() -> None:
    view = pressed(MANY, View(), ["2", "down", "down", "enter"], SMALL, TASKS)
    assert view.opened == (("task", "task0003"),)
    back = pressed(MANY, view, ["escape"], SMALL, TASKS)
    assert (back.opened, chosen(back)) == ((), "task0003")
    assert pressed(MANY, back, ["escape"], SMALL, TASKS) == back  # it never leaves by that


def test_a_worker_opens_and_its_task_on_top() -> None:
    before = picture(snapshot(workers=(worker(running=("task0001", "task0002")),)))
    view = pressed(before, View(), ["3", "enter", "down", "enter"], SMALL, TASKS)
    assert view.opened == (("worker", "worker1~abcdefgh"), ("task", "task0002"))
    assert pressed(before, view, ["escape"], SMALL, TASKS).opened == (("worker", "worker1~abcdefgh"),)


def test_enter_on_nothing_opens_nothing() -> None:
    assert press(View(section="Tasks"), "enter", Shown()).opened == ()


def test_a_filter_is_typed_and_taken_away() -> None:
    view = pressed(MANY, View(section="Workers"), ["/", "q", " ", "x", "backspace", "backspace", "7"], SMALL, TASKS)
    assert (view.typing, view.typed, view.section) == ("prefix", "q7", "Workers")
    done = press(view, "enter", Shown())
    assert (done.section, done.filters, done.typing) == ("Tasks", Filters(prefix="q7"), "")
    again = press(done, "/", Shown())
    assert again.typed == "q7"  # it is changed, not typed anew
    assert press(press(again, "c-u", Shown()), "enter", Shown()).filters == Filters()
    assert press(again, "escape", Shown()).filters == done.filters
    assert press(done, "escape", Shown()).filters == Filters()


@pytest.mark.parametrize(("key", "field"), [("n", "task"), ("w", "worker")])
def test_other_filters(key: str, field: str) -> None:
    view = View()
    for each in (key, "a", "b", "enter"):
        view = press(view, each, Shown())
    assert view.filters == replace(Filters(), **{field: "ab"})


def test_tasks_of_the_worker_that_is_chosen_or_open() -> None:
    before = picture(snapshot(workers=(worker("a"), worker("b"))))
    assert pressed(before, View(), ["3", "down", "w"]).typed == "b"
    assert pressed(before, View(), ["3", "down", "enter", "w", "enter"]).filters == Filters(worker="b")
    assert pressed(MANY, View(), ["2", "w"], SMALL, TASKS).typed == ""


def test_keys_mean_letters_while_a_filter_is_typed() -> None:
    view = press(View(), "/", Shown())
    for key in ("q", "p", "1", "?", "日", "left", "f5", "\x1b"):
        view = press(view, key, Shown())
    assert view.typed == "qp1?日"
    assert not view.leaving
    assert set(TYPING) <= {key for binding in KEYS for key in binding.keys} | {"c-u"}


def test_what_is_pasted_belongs_to_a_filter() -> None:
    typing = press(View(), "/", Shown())
    assert paste(typing, " abc\n").typed == "abc"
    assert len(paste(typing, "x" * 1000).typed) == 200
    assert paste(View(), "q") == View()


def test_s_goes_through_the_states() -> None:
    view, seen = View(), []
    for _ in range(7):
        view = press(view, "s", Shown())
        seen.append(view.filters.status)
    assert seen == ["", "queued", "processing", "success", "failed", "rejected", ""]
    elsewhere = press(View(filters=Filters(status="failed")), "s", Shown())
    assert (elsewhere.section, elsewhere.filters.status) == ("Tasks", "")


def test_help_closes_with_any_key() -> None:
    helping = press(View(), "?", Shown())
    assert helping.helping
    assert press(helping, "down", Shown(lines=40, height=10)) == replace(helping, scroll=1)
    assert press(helping, "escape", Shown()) == View()
    assert press(helping, "q", Shown()).leaving


def test_a_text_is_scrolled_no_further_than_its_end() -> None:
    view, seen = View(opened=(("task", "a"),)), Shown(height=10, lines=25)
    assert press(view, "end", seen).scroll == 15
    assert press(press(view, "pagedown", seen), "pagedown", seen).scroll == 15
    assert press(view, "up", seen).scroll == 0
    assert press(replace(view, scroll=15), "home", seen).scroll == 0


def test_pause_and_leave() -> None:
    paused = press(View(), "p", Shown())
    assert paused.paused
    assert not press(paused, "p", Shown()).paused
    assert press(View(), "c-c", Shown()).leaving
    assert press(View(), "q", Shown()).leaving


def test_an_unknown_key_changes_nothing() -> None:
    assert press(View(), "f12", Shown()) == View()


def test_every_row_of_the_overview_can_be_reached() -> None:
    mixed = [task(1, "queued"), task(2, "processing"), task(3), task(4, "failed")]
    before = picture(snapshot(counts(queued=1, processing=1, success=1, failed=1)))
    view, seen = View(), []
    for _ in range(6):
        keys = screen(before, view, WIDE, mixed).shown.keys
        seen.append(keys[place(view, keys)][1])
        view = pressed(before, view, ["down"], WIDE, mixed)
    assert sorted(set(seen)) == ["task0001", "task0002", "task0003", "task0004", "worker1~abcdefgh"]
