"""The lookout: what two looks find is changed, once, and said once."""

import io
from dataclasses import replace
from typing import cast

from _yadtq.broker import Broker
from _yadtq.log import Log
from _yadtq.lookout import TAIL_LOOKS, Lookout
from _yadtq.store import Store
from _yadtq.topic import Change, Repositioning, Standing, Topic

STANDING = Standing("A", "", 2, {0: 10, 1: 20}, {})
TOPIC = Topic("q_tasks", "A", {0: 0, 1: 0}, {0: 10, 1: 25})
CUT = replace(TOPIC, ends={0: 3, 1: 25})


class Servers:
    """What Kafka and Redis would say. moved: the script's answer."""

    def __init__(self, topic: Topic) -> None:
        self.seen, self.stands, self.is_first = topic, STANDING, True
        self.asked: list[Repositioning] = []
        self.printed = io.StringIO()
        self.lookout = Lookout(cast(Store, self), cast(Broker, self), Log(stream=self.printed))

    def look(self, times: int) -> None:
        for _ in range(times):
            self.lookout.look()

    def topic(self) -> Topic:
        return self.seen

    def standing(self) -> Standing:
        return self.stands

    def reposition(self, change: Repositioning) -> tuple[bool, str]:
        self.asked.append(change)
        return self.is_first, "1-7"


def test_all_is_well() -> None:
    servers = Servers(TOPIC)
    assert servers.lookout.look() == (STANDING, TOPIC)
    assert (servers.lookout.is_uneasy, servers.asked) == (False, [])


def test_what_one_look_finds_is_looked_at_again() -> None:
    servers = Servers(CUT)
    assert servers.lookout.look() == (STANDING, CUT)
    assert (servers.lookout.is_uneasy, servers.asked) == (True, [])
    servers.seen = TOPIC  # an answer of a broker that did not know it all yet
    servers.lookout.look()
    assert (servers.lookout.is_uneasy, servers.asked) == (False, [])
    servers.seen = CUT
    servers.lookout.look()
    assert servers.asked == []


def test_what_two_looks_find_is_changed_and_said() -> None:
    servers = Servers(replace(TOPIC, id="B"))
    assert servers.lookout.look()[0] == STANDING
    standing, _ = servers.lookout.look()
    assert len(servers.asked) == 1
    assert (standing.topic, standing.edition) == ("B", "1-7")


def test_a_cut_tail_is_changed_when_its_reader_had_time_to_say_where() -> None:
    servers = Servers(CUT)
    servers.lookout.look()
    servers.seen = replace(TOPIC, ends={0: 5, 1: 25})  # two more have come meanwhile: they are read
    servers.look(TAIL_LOOKS - 2)
    assert (servers.asked, servers.lookout.is_uneasy) == ([], True)
    standing, _ = servers.lookout.look()
    (change,) = servers.asked
    assert change.changes == (Change("position", 0, 10, 3),)
    assert standing.edition == "1-7"
    assert servers.lookout.is_uneasy is False
    assert servers.printed.getvalue().count("\n") == servers.printed.getvalue().count("action=reposition") == 1


def test_a_floor_is_lowered_to_where_the_log_ended_at_first() -> None:
    servers = Servers(CUT)
    servers.stands = replace(STANDING, floors={0: 4})
    servers.lookout.look()
    servers.seen = replace(TOPIC, ends={0: 5, 1: 25})
    servers.look(TAIL_LOOKS - 1)
    assert set(servers.asked[0].changes) == {Change("position", 0, 10, 3), Change("floor", 0, 4, 3)}


def test_who_comes_second_says_nothing() -> None:
    servers = Servers(CUT)
    servers.is_first = False
    servers.look(TAIL_LOOKS)
    assert len(servers.asked) == 1
    assert servers.printed.getvalue() == ""


def test_a_head_that_is_cut_further_is_passed_over_as_a_whole() -> None:
    servers = Servers(replace(TOPIC, starts={0: 12, 1: 0}, ends={0: 15, 1: 25}))
    servers.lookout.look()
    servers.seen = replace(TOPIC, starts={0: 14, 1: 0}, ends={0: 15, 1: 25})
    servers.lookout.look()
    assert servers.asked[0].changes == (Change("position", 0, 10, 14),)


def test_the_first_look_at_all_needs_no_second_one() -> None:
    servers = Servers(TOPIC)
    servers.stands = Standing("", "", 0, {}, {})
    standing, _ = servers.lookout.look()
    assert (len(servers.asked), servers.printed.getvalue(), standing.topic) == (1, "", "A")


def test_a_log_that_was_cut_and_has_grown_again_is_read_from_where_it_differs() -> None:
    servers = Servers(replace(TOPIC, ends={0: 40, 1: 25}))
    servers.lookout.differs({0: 7, 1: 24})
    servers.lookout.look()
    servers.lookout.look()
    assert servers.asked[0].changes == (Change("position", 0, 10, 7),)
    servers.stands = replace(STANDING, edition="1-7", positions={0: 7, 1: 24})
    servers.lookout.look()
    servers.stands = replace(STANDING, edition="1-7", positions={0: 9, 1: 25})
    servers.lookout.look()
    servers.lookout.look()
    assert len(servers.asked) == 1


def test_a_cut_tail_needs_no_time_when_its_reader_has_said_where() -> None:
    servers = Servers(replace(TOPIC, ends={0: 5, 1: 25}))
    servers.lookout.look()
    servers.lookout.differs({0: 2})
    servers.lookout.look()
    assert servers.asked[0].changes == (Change("position", 0, 10, 2),)


def test_where_it_differs_is_of_no_other_topic() -> None:
    servers = Servers(replace(TOPIC, id="B", ends={0: 40, 1: 25}))
    servers.lookout.differs({0: 7})
    servers.lookout.look()
    servers.lookout.look()
    assert servers.asked[0].changes == (Change("position", 0, 10, 0), Change("position", 1, 20, 0))
