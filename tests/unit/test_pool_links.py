"""Between a pool and one child, without a child: jobs and the right to begin them one way, reports the other."""

import os
import resource
import socket
import struct
import threading
from collections.abc import Iterator

import pytest

from _yadtq import packets
from _yadtq.jobs import Job
from _yadtq.process import ChildProcess
from _yadtq.reports import Reports, Telling
from _yadtq.starts import MOST_NUMBERS, Permits, Starts


def jobs(count: int, args: str = "[]", first: int = 1) -> list[tuple[int, Job]]:
    return [
        (number, Job(f"c{number}", f"id-{number}", "täsk", args, "{}", 2)) for number in range(first, first + count)
    ]


# -- packets of jobs


def test_jobs_share_packets_and_arrive_as_they_are() -> None:
    sent = [*jobs(100), *jobs(1, '["half \ud83d"]', 101), *jobs(1, '"' + "x" * 50_000 + '"', 102), *jobs(3, first=103)]
    found = list(packets.pack_jobs(sent))
    assert sum(count for count, _ in found) == len(sent)
    assert len(found) < 10
    received = [work for _, packet in found for work in packets.unpack_jobs(packet)]
    assert received == [(n, job.attempt, job.task_id, job.task, job.args, job.kwargs) for n, job in sent]


def test_shared_packets_need_no_memory_file_whatever_the_characters() -> None:
    shared = [packet for count, packet in packets.pack_jobs(jobs(300, '["' + "\U0001f600" * 400 + '"]')) if count > 1]
    assert shared
    assert max(map(len, shared)) <= packets.INLINE_BYTES


# -- the right to begin


@pytest.fixture
def starts() -> Iterator[Starts]:
    found = Starts()
    yield found
    found.close()


def test_a_number_is_read_by_the_child_or_taken_back(starts: Starts) -> None:
    permits = Permits(starts.far_end)
    assert starts.permit([5, 6, 7, 2**40])
    assert [permits.next(), permits.next()] == [5, 6]
    assert starts.take_back() == {7, 2**40}
    assert starts.take_back() == set()
    assert starts.permit([8])
    assert permits.next() == 8


def test_numbers_are_told_all_or_none(starts: Starts) -> None:
    numbers, told = list(range(1, MOST_NUMBERS + 1)), 0
    while starts.permit(numbers):
        told += 1
    assert told > 1
    assert starts.take_back() == set(numbers)
    assert starts.permit(numbers)


def test_a_child_that_makes_its_end_wait_does_not_make_the_pool_wait(starts: Starts) -> None:
    os.set_blocking(starts.far_end, True)
    found: list[set[int]] = []
    taking = threading.Thread(target=lambda: found.append(starts.take_back()), daemon=True)
    taking.start()
    taking.join(5.0)
    assert found == [set()]


def test_the_pool_takes_back_after_it_has_handed_over_the_end_of_the_child(starts: Starts) -> None:
    permits = Permits(os.dup(starts.far_end))
    starts.handed_over()
    starts.permit([3, 4])
    assert permits.next() == 3
    assert starts.take_back() == {4}
    os.close(permits._descriptor)


def test_the_end_of_the_pool_is_the_end_of_the_numbers() -> None:
    starts = Starts()
    descriptor = os.dup(starts.far_end)
    starts.permit([9])
    starts.close()
    permits = Permits(descriptor)
    assert [permits.next(), permits.next()] == [9, 0]
    os.close(descriptor)


# -- reports


class Line:
    """Both sides of one child's reports."""

    def __init__(self) -> None:
        self.near, self.far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.near.setblocking(False)
        self.reports = Reports(self.near)
        self.telling = Telling(self.reports.far_end, self.far)

    def close(self) -> None:
        for each in (self.near, self.far, self.reports):
            each.close()


@pytest.fixture
def line() -> Iterator[Line]:
    found = Line()
    yield found
    found.close()


def test_packets_of_all_sizes_arrive_in_order_and_many_at_once(line: Line) -> None:
    told = [bytes([kind]) * size for kind, size in enumerate((1, 4094, 4095, 20, 31_000, 9), start=65)]
    told += [packets.pack_note(packets.OUTCOME, 1, "x" * 300_000)]
    for packet in told:
        line.telling.tell(packet)
    assert list(line.reports.heard()) == told
    assert list(line.reports.heard()) == []


def test_a_packet_may_come_in_pieces(line: Line) -> None:
    framed = b"".join(struct.pack("<H", len(packet)) + packet for packet in (b"one", b"second", b"3"))
    found: list[bytes] = []
    for number in range(len(framed)):
        os.write(line.reports.far_end, framed[number : number + 1])
        found += line.reports.heard()
    assert found == [b"one", b"second", b"3"]


def test_a_marker_may_come_in_pieces(line: Line) -> None:
    large = packets.pack_note(packets.OUTCOME, 1, "x" * 10_000)
    packets.send(line.far, large)
    found: list[bytes] = []
    for byte in struct.pack("<H", 0) + large[: packets.HEAD.size]:
        assert found == []
        os.write(line.reports.far_end, bytes([byte]))
        found += line.reports.heard()
    assert found == [large]


@pytest.mark.parametrize("size", [10_000, 100_000])
def test_a_large_packet_that_was_never_announced_comes_with_the_next_one(line: Line, size: int) -> None:
    printed = packets.pack_printed(1, 1, ["x" * size])
    outcomes = [packets.pack_note(packets.OUTCOME, number, "y" * size) for number in (1, 2)]
    packets.send(line.far, printed)
    line.telling.tell(outcomes[0])
    assert list(line.reports.heard()) == [printed, outcomes[0]]
    line.telling.tell(outcomes[1])
    assert list(line.reports.heard()) == outcomes[1:]


def test_a_marker_that_comes_after_its_packet_brings_no_other_before_its_turn(line: Line) -> None:
    late, sooner, last = [packets.pack_note(packets.PRINTED, number, "x" * 10_000) for number in (1, 2, 3)]
    packets.send(line.far, late)
    line.telling.tell(sooner)  # a signal handler comes in between
    os.write(line.reports.far_end, struct.pack("<H", 0) + late[: packets.HEAD.size])
    line.telling.tell(b"small")
    line.telling.tell(last)
    assert list(line.reports.heard()) == [late, sooner, b"small", last]


def test_a_marker_of_a_packet_that_was_not_sent_is_garbage(line: Line) -> None:
    os.write(line.reports.far_end, struct.pack("<H", 0) + packets.pack_note(packets.OUTCOME, 1))
    with pytest.raises(packets.BadPacket, match="was not sent"):
        list(line.reports.heard())


def test_what_comes_before_garbage_counts_and_what_comes_after_it_does_not(line: Line) -> None:
    line.telling.tell(b"good")
    os.write(line.reports.far_end, b"\xff\xffgarbage")
    found: list[bytes] = []
    with pytest.raises(packets.BadPacket):
        found.extend(line.reports.heard())
    assert found == [b"good"]
    assert list(line.reports.heard()) == []
    line.telling.tell(b"next")
    assert list(line.reports.heard()) == [b"next"]


def test_a_reader_that_stops_at_a_packet_has_the_next_ones_still_before_it(line: Line) -> None:
    line.telling.tell(b"one")
    line.telling.tell(b"two")
    assert next(line.reports.heard()) == b"one"
    assert list(line.reports.heard()) == [b"two"]


def test_a_large_packet_whose_sender_died_before_it_could_announce_it_is_among_the_last_words(line: Line) -> None:
    packets.send(line.far, b"O" * 10_000)
    assert list(line.reports.heard()) == []
    assert list(line.reports.last_words()) == [b"O" * 10_000]


# -- a child's socket


def test_what_was_taken_back_is_cleared_away_where_nothing_else_is_left() -> None:
    child = ChildProcess(1, packets.pack_note(packets.SETUP))
    sent = 0
    while child.send(jobs(1, '["' + "x" * 6000 + '"]', first=sent + 1)):
        sent += 1
    assert child.take_back() == set(range(1, sent + 1))
    assert child.send(jobs(1)) == 0
    child.clear()
    assert child.send(jobs(3)) == 3
    child.close()


def test_of_many_large_jobs_as_many_are_handed_over_as_fit() -> None:
    child = ChildProcess(1, packets.pack_note(packets.SETUP))
    sent = child.send(jobs(300, '["' + "x" * 6000 + '"]'))
    assert 0 < sent < 300
    assert child.take_back() == set(range(1, sent + 1))
    child.close()


def open_descriptors() -> set[str]:
    with os.scandir("/proc/self/fd") as entries:
        return {entry.name for entry in entries if os.path.exists(entry.path)}


def test_a_child_that_finds_no_descriptor_free_leaves_none_open() -> None:
    before, failures = open_descriptors(), 0
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit, child = 0, None
    try:
        while not child:
            limit += 1
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
            try:
                child = ChildProcess(1, packets.pack_note(packets.SETUP, 0, "x" * packets.INLINE_BYTES))
            except OSError:
                failures += 1
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    child.close()
    assert failures > 10
    assert open_descriptors() == before
