"""The store: what it makes of a Redis that is down, silent, strange or forgetful; many threads; channels."""

import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from _yadtq.errors import QueueMissing, ServerUnreachable
from _yadtq.settings import Settings
from _yadtq.store import Store
from local.ports import free_port
from tests.support.script_queue import ScriptQueue

PATIENCE = 10.0  # seconds until a person must have been told
CALLS: dict[str, Callable[[Store], object]] = {
    "script": lambda store: store.stats(),
    "ping": lambda store: store.ping(),
    "events": lambda store: store.events("0-0", 0.01, 1),
    "matching": lambda store: store.matching("a", 1),
    "check": lambda store: store.check(),
    "subscription": lambda store: store.subscription().open(),
}


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port where something accepts connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def store_at(port: int, **given: object) -> Store:
    return Store(Settings.load({}, redis_host="127.0.0.1", redis_port=port, **given))


def line_of(store: Store, call: Callable[[Store], object]) -> str:
    """The one line that a person is told."""
    began = time.monotonic()
    with pytest.raises(ServerUnreachable) as caught:
        call(store)
    assert time.monotonic() - began < PATIENCE
    assert caught.value.server == "redis"
    line = str(caught.value)
    assert line.isprintable()
    return line


@pytest.fixture
def setting(queue: ScriptQueue) -> Iterator[Callable[[str, str], None]]:
    """Changes a setting of the shared server, and changes it back."""
    before: dict[str, str] = {}

    def change(name: str, value: str) -> None:
        before.setdefault(name, queue.redis.config_get(name)[name])
        queue.redis.config_set(name, value)

    yield change
    for name, value in before.items():
        queue.redis.config_set(name, value)


# -- a Redis that does not answer


@pytest.mark.parametrize("call", CALLS)
def test_a_redis_that_is_down_is_said_in_one_line(call: str) -> None:
    port = free_port()
    store = store_at(port)
    line = line_of(store, CALLS[call])
    assert line.startswith(f"Redis does not answer at 127.0.0.1:{port} (")
    assert line.endswith("): start it, or set REDIS_HOST and REDIS_PORT")
    assert store.problem().startswith(f"Redis does not answer at 127.0.0.1:{port} (")
    store.close()


def test_a_redis_that_is_silent_is_said_in_time(silent_port: int) -> None:
    store = store_at(silent_port)
    assert line_of(store, CALLS["script"]).startswith(f"Redis does not answer at 127.0.0.1:{silent_port} (Timeout")
    store.close()


def test_a_name_that_does_not_exist() -> None:
    store = Store(Settings.load({}, redis_host="no.such.host.invalid"))
    assert "no.such.host.invalid:6379" in line_of(store, CALLS["script"])
    store.close()


def test_a_connection_that_was_cut_is_made_anew(queue: ScriptQueue) -> None:
    for _ in range(3):
        queue.store.stats()
        queue.redis.client_kill_filter(_type="normal", skipme=True)
    assert queue.register(queue.task("a")) == ["publish"]
    assert queue.store.problem() == ""


def test_scripts_that_redis_forgot_are_sent_again(queue: ScriptQueue) -> None:
    queue.register(queue.task("a"))
    queue.redis.script_flush()
    assert queue.register(queue.task("b")) == ["publish"]
    assert queue.counts()["queued"] == 2


# -- a Redis that refuses


def test_wrong_credentials_are_said(queue: ScriptQueue) -> None:
    s = queue.settings
    user = f"user-{s.namespace}"
    queue.redis.acl_setuser(
        user, enabled=True, passwords=["+a right one"], commands=["+@connection", "+info"], keys=["*"]
    )
    try:
        wrong = store_at(s.redis_port, redis_username=user, redis_password="a wrong one")
        line = line_of(wrong, CALLS["ping"])
        assert line.endswith("refuses this user or password: set REDIS_USERNAME and REDIS_PASSWORD")
        assert "a wrong one" not in line
        wrong.close()
        right = store_at(s.redis_port, redis_username=user, redis_password="a right one")
        right.ping()
        line = line_of(right, CALLS["script"])
        assert f"lacks rights for the user '{user}' (" in line
        assert line.endswith("give it those of docs/security.md, or set REDIS_USERNAME and REDIS_PASSWORD")
        assert "a right one" not in line
        right.close()
    finally:
        queue.redis.acl_deluser(user)


def test_a_redis_that_evicts_is_refused(queue: ScriptQueue, setting: Callable[[str, str], None]) -> None:
    queue.store.check()
    setting("maxmemory-policy", "allkeys-lru")
    line = line_of(queue.store, CALLS["check"])
    assert "maxmemory-policy allkeys-lru" in line
    assert line.endswith("set maxmemory-policy noeviction")


def test_a_full_redis_changes_nothing(queue: ScriptQueue, setting: Callable[[str, str], None]) -> None:
    setting("maxmemory", "1")
    with pytest.raises(ServerUnreachable) as caught:
        queue.register(queue.task("a"))
    assert str(caught.value).startswith(f"Redis at {queue.store.address} refuses writes, nothing was changed: ")
    assert caught.value.nothing_changed
    setting("maxmemory", "0")
    assert queue.counts()["queued"] == 0
    assert queue.register(queue.task("a")) == ["publish"]
    queue.check()


def test_another_type_of_key_is_said(queue: ScriptQueue) -> None:
    queue.redis.delete(f"{queue.prefix}meta")
    queue.redis.set(f"{queue.prefix}meta", "x")
    assert "answers with an error" in line_of(queue.store, CALLS["script"])


# -- isolation


def test_another_namespace_or_database_is_another_queue(queue: ScriptQueue) -> None:
    s = queue.settings
    queue.register(queue.task("a"))
    other = ScriptQueue.at((s.redis_host, s.redis_port), f"{s.namespace}-2")
    assert other.store.ids("", 0, 9) == []
    assert other.register(other.task("a", "[9]")) == ["publish"]
    assert queue.record("a")["args"] == "[]"
    other.remove()
    assert queue.status("a") == "queued"
    elsewhere = store_at(s.redis_port, namespace=s.namespace, redis_db=3)
    with pytest.raises(QueueMissing):
        elsewhere.stats()
    elsewhere.close()


def test_many_threads_may_use_one_store(queue: ScriptQueue) -> None:
    words: list[str] = []

    def work(number: int) -> None:
        for n in range(40):
            words.extend(queue.register(queue.task(f"{number}-{n}")))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert words == ["publish"] * 240
    assert len(set(queue.members("registered"))) == 240
    queue.check()


# -- ids by their beginning


def test_ids_by_their_beginning(queue: ScriptQueue) -> None:
    queue.register(*(queue.task(each) for each in ("abc", "abd", "ab", "xab", "a*c", "a[b", "a\\", "a?", "ABC")))
    assert queue.store.matching("ab", 9) == ["ab", "abc", "abd"]
    assert queue.store.matching("a*", 9) == ["a*c"]
    assert queue.store.matching("a[", 9) == ["a[b"]
    assert queue.store.matching("a\\", 9) == ["a\\"]
    assert queue.store.matching("a?", 9) == ["a?"]
    assert queue.store.matching("zz", 9) == []
    assert len(queue.store.matching("", 4)) == 4


def test_one_among_many_is_found(queue: ScriptQueue) -> None:
    for start in range(0, 6000, 500):
        queue.register(*(queue.task(f"t{n:05}") for n in range(start, start + 500)))
    assert queue.store.matching("t04321", 9) == ["t04321"]
    assert len(queue.store.matching("t04", 2000)) == 1000


# -- the outbox


def test_events_are_waited_for(queue: ScriptQueue) -> None:
    began = time.monotonic()
    assert queue.store.events("0-0", 0.05, 10) == []
    assert time.monotonic() - began >= 0.04
    timer = threading.Timer(0.1, lambda: queue.register(queue.task("a")))
    timer.start()
    ((entry, event),) = queue.store.events("0-0", 4, 10)
    timer.join()
    assert (entry, '"register"' in event) == ("1-1", True)


# -- channels


def test_a_subscription_is_open_before_anything_is_missed(queue: ScriptQueue) -> None:
    subscription = queue.store.subscription("channel-of-this-test")
    subscription.open()
    subscription.open()
    queue.redis.publish("channel-of-this-test", "1")
    queue.redis.publish("channel-of-this-test", "2")
    assert [subscription.get(5), subscription.get(5), subscription.get(0.01)] == ["1", "2", None]
    subscription.close()


def test_a_cut_subscription_listens_again(queue: ScriptQueue) -> None:
    subscription = queue.store.subscription()
    subscription.open()
    queue.redis.client_kill_filter(_type="pubsub")
    assert subscription.get(0.05) is None  # it has subscribed again by itself
    assert queue.redis.publish(subscription.channel, "heard") == 1
    assert subscription.get(5) == "heard"
    subscription.close()


def test_channels_are_ones_own(queue: ScriptQueue) -> None:
    channels = {queue.store.subscription().channel for _ in range(10)}
    assert len(channels) == 10
    assert all(channel.startswith(f"{queue.prefix}ended:") for channel in channels)
