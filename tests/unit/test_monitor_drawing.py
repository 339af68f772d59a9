"""What the monitor's page looks like: at every size, with everything that a queue can be."""

from dataclasses import replace

import pytest

from dashboard.blocks import Column, Row, table, widths
from dashboard.body import Size, share
from dashboard.curves import bars, merged, rate_text, seconds_text, top
from dashboard.drawing import SMALLEST, draw
from dashboard.lists import filtered
from dashboard.picture import Moment
from dashboard.rows import brief, in_order
from dashboard.view import SECTIONS, Filters, Shown, View, press
from shell.width import width
from tests.support.queue_pictures import (
    NOW,
    SMALL,
    WIDE,
    counts,
    lost_worker,
    picture,
    pressed,
    screen,
    served,
    snapshot,
    task,
    text,
    worker,
)
from yadtq import Casualty, Failure, Health, Page, Server, Snapshot, Task

MIXED = [
    *(task(number, "queued") for number in range(1, 4)),
    *(task(number, "processing") for number in range(4, 8)),
    *(task(number) for number in range(8, 60)),
    *(task(number, "failed") for number in range(60, 64)),
    task(64, "rejected", message=b'{"no": "task"}', error=Failure("Rejected", "it has no task-id", "")),
]
COUNTS = counts(queued=3, processing=4, success=52, failed=4, rejected=1)
HOSTILE = "\x1b[2J\r\n\u202e日本語" + "x" * 300
SIZES = [SMALL, WIDE, SMALLEST, Size(130, 20), Size(129, 50), Size(300, 100)]
NASTY = picture(
    snapshot(
        counts(queued=10**9, processing=10**9, success=10**12, failed=10**9, rejected=10**9),
        workers=(
            worker(HOSTILE, host=HOSTILE, tasks_executed=10**12, running=(HOSTILE,) * 50),
            worker("worker2", state="offline"),
        ),
        servers=(Server(HOSTILE, "leading", NOW, NOW, HOSTILE, 1),),
        failures=(lost_worker(worker=HOSTILE, worker_id=HOSTILE, host=HOSTILE, reason=HOSTILE),),
        relay=HOSTILE, lag=dict.fromkeys(range(100), 10**9), health=Health(kafka=HOSTILE), waiting_seconds=1e9,
        quarantine=True,
    ),
    trouble=HOSTILE,
)  # fmt: skip
FOREIGN = [
    task(
        number, status, id=f"{HOSTILE}{number}", task=HOSTILE, args=[HOSTILE], worker_id=HOSTILE, message=b"\x1b[2J\xff"
    )
    for number, status in enumerate(("queued", "processing", "success", "failed", "rejected") * 3)
]


OPENED = [
    ("task", FOREIGN[3].id), ("worker", f"{HOSTILE}~abcdefgh"), ("lost", HOSTILE),
    ("task", "gone"), ("worker", "gone"), ("lost", "gone"),
]  # fmt: skip


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("section", SECTIONS)
def test_every_section_fills_every_screen_exactly(section: str, size: Size) -> None:
    for before, tasks in ((NASTY, FOREIGN), (picture(), MIXED), (picture(snapshot(counts(), workers=())), [])):
        drawn = screen(before, View(section=section), size, tasks)
        assert len(drawn.lines) == size.lines
        for line in drawn.lines:
            words = "".join(part for _, part in line)
            assert width(words) == size.columns
            assert words.isprintable()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("key", OPENED)
def test_every_opened_page_fills_every_screen_exactly(key: tuple[str, str], size: Size) -> None:
    for scroll in (0, 3, 1000):
        drawn = screen(NASTY, View(opened=(key,), scroll=scroll), size, FOREIGN)
        assert {width("".join(part for _, part in line)) for line in drawn.lines} == {size.columns}
        assert "".join(part for line in drawn.lines for _, part in line).isprintable()
        assert len(drawn.lines) == size.lines


@pytest.mark.parametrize("size", [Size(20, 5), Size(1, 1), Size(59, 14), Size(60, 13), Size(0, 0)])
def test_a_small_terminal_is_told(size: Size) -> None:
    drawn = screen(picture(), View(), size)
    assert len(drawn.lines) == size.lines
    assert drawn.wanted.selections == ()
    if size.columns >= 20:
        assert text(drawn).startswith(f"{size.columns}×{size.lines} is too small")


# -- the header


def header(now: Snapshot) -> list[str]:
    return text(screen(picture(now), View())).split("\n")[:5]


def test_the_header_says_how_the_queue_is() -> None:
    standby = Server("b", "standby", NOW, NOW, "b", 1)
    leading = replace(standby, id="a", state="leading")
    lines = header(snapshot(counts(queued=12345, success=1), servers=(leading, standby)))
    assert lines[0].startswith("YADTQ  queue yadtq")
    assert "live  " in lines[0]
    assert lines[0].endswith(", 0.5 s old")
    assert lines[1] == "kafka ok  redis ok  workers 1  busy 1/3  coordinators 1 leading, 1 standby  eve…"
    assert lines[2] == "queued 12,345  in-progress 0  completed 1  failed 0  rejected 0"
    assert lines[3].startswith("[1 Overview] 2 Tasks ")


def test_what_is_missing_is_said() -> None:
    lines = header(snapshot(servers=(), relay="", workers=()))
    assert lines[1] == "kafka ok  redis ok  workers 0  busy 0/0  coordinators none  events by nobody"


def test_an_old_picture_says_so_and_why() -> None:
    before = picture(trouble="Redis does not answer at 127.0.0.1:6379", away=True)
    lines = text(screen(before, View(), WIDE, MIXED, age=75.0)).split("\n")
    assert "OLD: of " in lines[0]
    assert lines[0].endswith(", 1 min 15 s old")
    assert "redis unreachable" in lines[1]
    assert lines[4].startswith("! Redis does not answer at 127.0.0.1:6379. The last picture stays")
    assert "task0008" in "\n".join(lines)  # what was known is still there
    restarted = text(screen(picture(trouble="Redis was restarted"), View(), WIDE, MIXED))
    assert "redis not ready" in restarted


def test_a_warning_and_another_size_take_nothing_from_the_screen() -> None:
    """They change how many rows there is room for, and with Redis away no more can be fetched."""
    for view, row in ((View(), "task0007"), (View(section="Tasks"), "task0001")):
        before = served(picture(snapshot(COUNTS)), view, SMALL, MIXED)
        for size in (SMALL, Size(80, 20), Size(80, 30)):
            old = text(draw(replace(before, trouble="Redis does not answer"), view, size, 9.0))
            assert "looking …" not in old
            assert row in old


def test_a_picture_that_does_not_come_is_old_too() -> None:
    assert "OLD: of " in text(screen(picture(), View(), age=4.0))
    assert "OLD" not in text(screen(picture(), View(), age=1.5))


def test_kafka_and_quarantine_are_warned_of() -> None:
    before = picture(snapshot(health=Health(kafka="Kafka does not answer at k:9092"), quarantine=True, lag=None))
    lines = text(screen(before, View())).split("\n")
    assert "kafka unreachable" in lines[1]
    assert lines[4:6] == [
        "! Kafka does not answer at k:9092",
        "! Redis was restarted: tasks wait until every worker has said what it holds",
    ]
    assert "unknown while Kafka does not answer" in text(screen(before, View(section="Servers")))


def test_before_the_first_picture() -> None:
    empty = replace(picture(), snapshot=None, trouble="Redis does not answer at r:1")
    lines = text(screen(empty, View())).split("\n")
    assert lines[1] == "asking the servers …"
    assert "! Redis does not answer at r:1. Trying again …" in lines
    assert text(screen(empty, View(opened=(("task", "a"),)))).count("Nothing is known yet.") == 1


def test_a_pause_is_said() -> None:
    assert "PAUSED at " in text(screen(picture(), View(paused=True), age=9.0))


def test_what_is_typed_stands_in_the_last_line() -> None:
    assert text(screen(picture(), View(typing="prefix", typed="ab\x1b"))).endswith("leaves it")
    assert "id begins with: ab\\x1b" in text(screen(picture(), View(typing="prefix", typed="ab\x1b")))


# -- the sections


def test_the_overview_shows_all_at_once_on_a_wide_screen() -> None:
    before = picture(snapshot(COUNTS, failures=(lost_worker(),)))
    shown = text(screen(before, View(), WIDE, MIXED))
    for words in ("Throughput", "Oldest waiting", "Workers 1", "In progress 4", "Waiting 3", "Completed 52", "Failed 4",
                  "Lost workers 1", "36/s now, 19,831 in 10 min", "2.0 s now"):  # fmt: skip
        assert words in shown


def test_the_curves_reach_over_ten_minutes_or_an_hour() -> None:
    for reach, words in ((600.0, "10 min ago"), (3600.0, "1 h ago")):
        lines = text(screen(picture(), View(reach=reach), SMALL)).split("\n")
        assert lines[8].count(words) == 2
        assert len(lines[8]) == 80
        assert "·" in lines[7]  # nothing is known of the time before
        assert "█" in lines[7][10:39]
    hour = View(reach=3600.0)
    assert "64,986 in 1 h" in text(screen(picture(), hour, SMALL))
    assert press(press(hour, "c", Shown()), "c", Shown()) == hour


def test_what_is_older_than_the_curve_is_not_on_it() -> None:
    before = picture(moments=(Moment(NOW - 700, 99.0), Moment(NOW - 3700, 99.0), Moment(NOW, 4.0)))
    assert text(screen(before, View(), SMALL)).split("\n")[5].split("│")[1].endswith(" 4 s ")
    assert "1.67 min │" in text(screen(before, View(reach=3600.0), SMALL))


def test_the_overview_of_a_small_screen_shows_the_present() -> None:
    shown = text(screen(picture(snapshot(COUNTS)), View(), SMALL, MIXED))
    for words in ("Throughput", "Workers 1", "In progress 4", "Waiting 3", "3.2/s", "36/s now"):
        assert words in shown
    assert "worker1" in shown


def test_tasks_are_listed_with_their_place() -> None:
    shown = text(screen(picture(snapshot(COUNTS)), View(section="Tasks"), SMALL, MIXED))
    assert "Tasks: all" in shown
    assert "1–17 of 64" in shown
    assert "▸ task0001" in shown


def test_a_sought_list_says_how_far_it_looked() -> None:
    view = View(section="Tasks", filters=Filters("failed", "add", "w1", "ab\x1b"))
    assert filtered(view.filters) == "failed · name add · worker w1 · id ab\\x1b…"
    assert "no task is like that" in text(screen(picture(), view, SMALL, []))


@pytest.mark.parametrize("found", [(), (task(1),)])
def test_a_page_that_took_too_long_goes_on_when_asked(found: tuple[Task, ...]) -> None:
    view = View(section="Tasks", filters=Filters(task="rare"))
    (selection,) = draw(picture(), view, SMALL, 0.5).wanted.selections
    before = picture(pages={selection: Page(found, 123_456, 123_456, complete=False)})
    drawn = draw(before, view, SMALL, 0.5)
    assert "123,456 tasks were compared; PgDn goes on" in text(drawn)
    assert press(view, "pagedown", drawn.shown).first == 123_456


def test_what_is_not_there_yet_is_looked_for() -> None:
    assert "looking …" in text(draw(picture(), View(section="Tasks"), SMALL, 0.5))
    assert "looking …" in text(draw(picture(), View(opened=(("task", "a"),)), SMALL, 0.5))


def test_rejected_messages_are_shown_with_their_reason() -> None:
    shown = text(screen(picture(snapshot(COUNTS)), View(section="Rejected"), WIDE, MIXED))
    assert "Rejected: it has no task-id" in shown
    assert '{"no": "task"}' in shown


def test_failures_show_lost_workers_and_failed_tasks() -> None:
    lost = lost_worker(
        count=30, tasks=(Casualty("a", True, "success"), Casualty("b", True, ""), Casualty("c", False, "queued"))
    )
    shown = text(screen(picture(snapshot(COUNTS, failures=(lost,))), View(section="Failures"), WIDE, MIXED))
    assert "1 completed, 1 gone, 1 queued, 27 more" in shown
    assert "ZeroDivisionError: division by zero" in shown
    assert "1m ago" in shown


def test_many_lost_workers_leave_room_for_failed_tasks() -> None:
    lost = tuple(lost_worker(worker=f"w{number}~abcdefgh", worker_id=f"w{number}") for number in range(20))
    before = picture(snapshot(COUNTS, failures=lost))
    shown = text(screen(before, View(section="Failures"), SMALL, MIXED))
    assert "task0060" in shown
    down = pressed(before, View(section="Failures"), ["down"] * 19, SMALL, MIXED)
    assert "▸ w19" in text(screen(before, down, SMALL, MIXED))
    assert "▸ task0060" in text(screen(before, pressed(before, down, ["down"], SMALL, MIXED), SMALL, MIXED))


def test_workers_are_in_the_order_in_which_a_person_counts() -> None:
    known = [worker(f"worker{number}") for number in (10, 9, 1)] + [worker("worker2", state="offline")]
    assert [each.worker_id for each in in_order(known)] == ["worker1", "worker9", "worker10", "worker2"]


def test_more_workers_than_lines_are_turned_by_pages() -> None:
    before = picture(snapshot(workers=tuple(worker(f"w{number}") for number in range(50))))
    view = pressed(before, View(section="Workers"), ["end"], SMALL)
    shown = text(screen(before, view, SMALL))
    assert "▸ w49" in shown
    assert "35–50 of 50" in shown


def test_the_servers_and_the_lag() -> None:
    shown = text(screen(picture(snapshot(lag={0: 0, 1: 3, 10: 123456})), View(section="Servers"), WIDE))
    assert "1         3 █" in shown
    assert "10   123,456 ██████" in shown
    assert "host1-11" in shown


# -- what opens


def test_an_opened_task_shows_everything() -> None:
    shown = text(screen(picture(), View(opened=(("task", "task0060"),)), WIDE, MIXED))
    for words in ("Task task0060  failed", "args           [60,1]", "ZeroDivisionError: division by zero", "File x",
                  "submitted by   host1-7~abc123", "worker         worker1~abcdefgh", "attempt  outcome"):  # fmt: skip
        assert words in shown


def test_a_long_result_is_wrapped_and_bounded() -> None:
    big = task(1, result="日" * 5000 + "\n" + "y" * 100_000)
    drawn = screen(picture(), View(opened=(("task", big.id),)), SMALL, [big])
    assert drawn.shown.lines < 700
    end = screen(picture(), View(opened=(("task", big.id),), scroll=drawn.shown.lines - 19), SMALL, [big])
    assert "characters more" in text(end)
    assert "line " in text(end)


def test_a_task_that_is_gone_says_so() -> None:
    shown = text(screen(picture(), View(opened=(("task", "gone"),)), SMALL, MIXED))
    assert "no task has the id gone" in shown


def test_a_lost_worker_shows_what_became_of_its_tasks() -> None:
    before = picture(snapshot(failures=(lost_worker(),)))
    shown = text(screen(before, View(opened=(("lost", "worker9~qqqqqqqq"),)), SMALL))
    for words in ("Lost worker worker9  offline", "silent for     30.0 s", "why            its lease lapsed",
                  "▸ task0001", "completed", "task0002"):  # fmt: skip
        assert words in shown


def test_help_lists_every_key() -> None:
    shown = text(screen(picture(), View(helping=True), Size(80, 50)))
    assert "Ctrl-C" in shown
    assert "PgDn Space" in shown


# -- the parts


def test_neighbours_become_one_where_columns_are_few() -> None:
    assert merged([1, 2, 3, 4, 5], 2, sum) == [3, 12]
    assert merged([1, 2, 3], 10, sum) == [1, 2, 3]
    assert merged([None, None, 1, None], 2, max) == [None, 1]
    assert merged([], 5, max) == []


def test_bars_fill_their_lines_from_below() -> None:
    assert bars([0, 0.01, 4, 8, 16, None], 2, 16) == ["    █ ", " ▁▄██·"]


def test_a_scale_ends_with_a_round_number() -> None:
    assert [top(value) for value in (0, 0.03, 1, 1.1, 4.5, 7, 99, 100)] == [1, 0.03, 1, 1.5, 5, 8, 100, 100]
    assert [rate_text(rate) for rate in (0, 0.05, 3.25, 1234.5)] == ["0/s", "0.05/s", "3.2/s", "1,234/s"]
    assert [seconds_text(each) for each in (0.2, 5, 600, 7200)] == ["0.2 s", "5 s", "10 min", "2 h"]


def test_short_lengths_of_time() -> None:
    lengths = [brief(each) for each in (0, 0.25, 4.89, 59.99, 104, 7380, 363600)]
    assert lengths == ["0ms", "250ms", "4.8s", "59.9s", "1m44s", "2h03m", "4d05h"]


def test_columns_share_what_is_left() -> None:
    columns = (Column("a", 4), Column("b", 4, 8, rank=1), Column("c", 4, 0), Column("d", 4, 0, rank=2))
    assert widths(columns, 60) == [4, 8, 21, 21]
    assert widths(columns, 16) == [4, 4, 4, 0]
    assert widths(columns, 10) == [4, 0, 4, 0]
    assert widths(columns, 2) == [4, 0, 4, 0]


def test_numbers_end_below_their_titles() -> None:
    columns = (Column("name", 6), Column("count", 8, right=True), Column("last", 4))
    rows = [Row(None, (("", "日本"), ("", number), ("", "x"))) for number in ("1", "1,234", "123456789")]
    lines = ["".join(words for _, words in line) for line in table(columns, rows, 30, None)]
    assert lines == [
        "  name       count  last",
        "  日本           1  x   ",
        "  日本       1,234  x   ",
        "  日本    1234567…  x   ",
    ]


def test_lines_are_shared_by_need() -> None:
    assert share(10, [2, 20, 3]) == [2, 5, 3]
    assert share(3, [5, 5, 5]) == [1, 1, 1]
    assert share(100, [1, 2]) == [1, 2]
