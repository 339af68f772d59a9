"""The tasks that come with it, called as plain functions."""

import base64
import math
import subprocess
import sys
import zlib
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from cryptography.fernet import Fernet
from hypothesis import given
from hypothesis import strategies as st

import tasks
from tests.support.servers import ROOT
from yadtq import BadArguments, SettingError, decode, encode, registered_tasks

D = Decimal
anything: Any = tasks  # for calls that the types forbid
KEY = Fernet.generate_key().decode()
FIRST_TOO_LARGE = 10**tasks.DIGITS

whole_numbers = st.integers(-(10**60), 10**60)
with_point = st.decimals(allow_nan=False, allow_infinity=False, places=12, min_value=-(10**15), max_value=10**15)
numbers = st.lists(whole_numbers | with_point, min_size=2, max_size=8)


def written(value: object) -> str:
    return encode(value)


# -- arithmetic


@pytest.mark.parametrize(
    ("function", "operands", "result"),
    [
        (tasks.add, (2, 3), "5"),
        (tasks.add, ([1, 2, 3],), "6"),
        (tasks.add, (D("0.1"), D("0.2")), "0.3"),
        (tasks.add, (D("1.50"), D("1.50")), "3"),
        (tasks.add, (7,), "7"),
        (tasks.add, (D("-0.0"),), "0"),
        (tasks.add, (10**30, D("1e-30")), "1000000000000000000000000000000.000000000000000000000000000001"),
        (tasks.sub, (5, 2), "3"),
        (tasks.sub, ([10, 4],), "6"),
        (tasks.sub, (10, 1, 2, 3), "4"),
        (tasks.mul, (4, 5), "20"),
        (tasks.mul, ([2, 3, 4],), "24"),
        (tasks.mul, (D("2.50"), 4), "10"),
        (tasks.mul, (10**2000, 10**2000), "1" + "0" * 4000),
        (tasks.multiply, (4, 5), "20"),
        (tasks.div, (6, 3), "2"),
        (tasks.div, (1, 2), "0.5"),
        (tasks.div, (10, 4), "2.5"),
        (tasks.div, (100, 2, 5), "10"),
        (tasks.div, (1, 3), "0." + "3" * 34),
        (tasks.div, (10**40 + 1, 10), "1" + "0" * 39 + ".1"),
        (tasks.div, (D("0.6"), D("0.3")), "2"),
        (tasks.div, (0, 5), "0"),
        (tasks.divide, (-7, 2), "-3.5"),
        (tasks.add, (0.1, 0.2), "0.3"),
    ],
)
def test_results_are_exact_and_written_plainly(
    function: Callable[..., Any], operands: tuple[Any, ...], result: str
) -> None:
    assert written(function(*operands)) == result


@given(numbers)
def test_add_sub_and_mul_agree_with_fractions(operands: list[int | Decimal]) -> None:
    fractions = [Fraction(each) for each in operands]
    assert Fraction(tasks.add(*operands)) == sum(fractions)
    assert Fraction(tasks.sub(*operands)) == fractions[0] - sum(fractions[1:])
    assert Fraction(tasks.mul(*operands)) == math.prod(fractions)


@given(numbers.filter(lambda operands: all(operands[1:])))
def test_div_is_exact_or_rounded_once(operands: list[int | Decimal]) -> None:
    exact = Fraction(operands[0]) / math.prod(Fraction(each) for each in operands[1:])
    found = Fraction(tasks.div(*operands))
    assert abs(found - exact) <= abs(exact) / 10**33
    if exact.denominator == 1:
        assert found == exact
        assert isinstance(tasks.div(*operands), int)


@given(numbers)
def test_results_survive_json(operands: list[int | Decimal]) -> None:
    result = tasks.add(*operands)
    assert decode(written(result)) == result


@pytest.mark.parametrize("function", [tasks.div, tasks.divide])
def test_division_by_zero(function: Callable[..., Any]) -> None:
    for operands in ((1, 0), (0, 0), (1, D("0.0")), ([5, 2, 0],)):
        with pytest.raises(ZeroDivisionError, match=r"^division by zero$"):
            function(*operands)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: anything.add(True, 1), "operand 1 is true, not a number"),
        (lambda: anything.add(1, "2"), "operand 2 is the text '2', not a number"),
        (lambda: anything.mul(1, None), "operand 2 is null, not a number"),
        (lambda: anything.mul([1, [2]]), "operand 2 is a list, not a number"),
        (lambda: anything.add([1], 2), "operand 1 is a list, not a number"),
        (lambda: anything.add({"a": 1}), "operand 1 is an object, not a number"),
        (lambda: anything.add("\x1b[2J"), r"operand 1 is the text '\x1b[2J', not a number"),
        (lambda: anything.add(float("nan")), "operand 1 is nan, which is no number"),
        (lambda: anything.add(D("-Infinity")), "operand 1 is -Infinity, which is no number"),
        (anything.add, "at least 1 number is needed, not 0"),
        (lambda: anything.add([]), "at least 1 number is needed, not 0"),
        (lambda: anything.sub(1), "at least 2 numbers are needed, not 1"),
        (lambda: anything.div([6]), "at least 2 numbers are needed, not 1"),
    ],
)
def test_what_is_no_number_is_said(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(BadArguments) as raised:
        call()
    assert str(raised.value) == message


@pytest.mark.parametrize(
    "call",
    [
        lambda: tasks.mul(FIRST_TOO_LARGE // 10, 10),
        lambda: tasks.mul([10] * 100_000),
        lambda: tasks.add(FIRST_TOO_LARGE - 1, 1),
        lambda: tasks.add(FIRST_TOO_LARGE, 0),
        lambda: tasks.add(D("1e999999999"), 1),
        lambda: tasks.add(D("1e4000"), D("1e-4000")),
        lambda: tasks.div(D("1e4000"), D("1e-4000")),
        lambda: tasks.div(1, 3, D("1e4000"), D("1e4000")),
    ],
)
def test_a_number_that_is_too_long_is_refused_at_once(call: Callable[[], Any]) -> None:
    with pytest.raises(BadArguments, match=r"more than 4,300 digits"):
        call()


def test_the_longest_number_can_be_written_and_read() -> None:
    longest = tasks.add(FIRST_TOO_LARGE - 2, 1)
    assert decode(written(longest)) == FIRST_TOO_LARGE - 1


# -- time


def test_sleep_and_slow_task_say_how_long(capsys: pytest.CaptureFixture[str]) -> None:
    assert tasks.sleep(D("0.001")) == "slept 0.001 s"
    assert capsys.readouterr().out == ""
    assert tasks.slow_task(0) == "finished after 0 s"
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == "10 % of 0 s"
    assert printed[-1] == "100 % of 0 s"


@pytest.mark.parametrize("function", [tasks.sleep, tasks.slow_task])
@pytest.mark.parametrize("seconds", [-1, "5", True, None, 10**12, D("-0.1"), D("NaN"), float("inf")])
def test_seconds_that_make_no_sense(function: Callable[..., Any], seconds: Any) -> None:
    with pytest.raises(BadArguments, match=r"^seconds (is|must be) "):
        function(seconds)


# -- text


@given(st.text())
def test_decompress_undoes_compress(text: str) -> None:
    packed = tasks.compress(text)
    assert zlib.decompress(base64.b64decode(packed)).decode() == text
    assert tasks.decompress(packed) == text


def packed_bytes(data: bytes) -> str:
    return base64.b64encode(zlib.compress(data)).decode()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hello",
        "aGVsbG8=",
        "not base64!",
        "é",
        packed_bytes(b"hello")[:-8],
        base64.b64encode(zlib.compress(b"hello") + b"more").decode(),
        packed_bytes(b"\xff\xfe"),
        5,
    ],
)
def test_decompress_refuses_what_compress_did_not_return(text: Any) -> None:
    with pytest.raises(BadArguments, match=r"not what compress returned|a text is needed"):
        tasks.decompress(text)


def test_decompress_is_bounded() -> None:
    assert len(tasks.decompress(packed_bytes(b"a" * 1_000_000))) == 1_000_000
    for size in (1_000_001, 200_000_000):
        with pytest.raises(BadArguments, match=r"more than 1,000,000 bytes"):
            tasks.decompress(packed_bytes(b"a" * size))


def test_half_a_character_is_refused() -> None:
    with pytest.raises(BadArguments, match="lone surrogate"):
        tasks.compress("\ud800")


@pytest.fixture
def key(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("ENCRYPTION_KEY", KEY)
    return KEY


@pytest.mark.usefixtures("key")
@pytest.mark.parametrize("text", ["", "secret", "zwölf Boxkämpfer", "x" * 100_000])
def test_decrypt_undoes_encrypt(text: str) -> None:
    token = tasks.encrypt(text)
    assert Fernet(KEY).decrypt(token).decode() == text
    assert tasks.decrypt(token) == text


def test_the_key_may_be_in_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.delenv("ENCRYPTION_KEY", raising=False)
    (tmp_path / "key").write_text(KEY + "\n", encoding="ascii")
    monkeypatch.setenv("ENCRYPTION_KEY_FILE", str(tmp_path / "key"))
    assert tasks.decrypt(tasks.encrypt("secret")) == "secret"


@pytest.mark.usefixtures("key")
@pytest.mark.parametrize("token", ["", "nonsense", "é", Fernet(Fernet.generate_key()).encrypt(b"x").decode()])
def test_a_token_of_another_key_is_refused(token: str) -> None:
    with pytest.raises(BadArguments, match="not encrypted with the key of this worker"):
        tasks.decrypt(token)


@pytest.mark.parametrize(("value", "says"), [("", "has no encryption key"), ("too-short", "is not 32 bytes")])
def test_without_a_good_key_it_says_how_to_make_one(monkeypatch: pytest.MonkeyPatch, value: str, says: str) -> None:
    monkeypatch.setenv("ENCRYPTION_KEY", value)
    for function in (tasks.encrypt, tasks.decrypt):
        with pytest.raises(SettingError) as raised:
            function("x")
        assert says in str(raised.value)
        assert "Fernet.generate_key()" in str(raised.value)
        assert raised.value.__cause__ is None
        assert "too-short" not in str(raised.value)


# -- what a worker makes of them


def test_they_are_registered_and_described() -> None:
    known = {signature.name: signature for signature in registered_tasks()}
    assert {"add", "sub", "mul", "multiply", "div", "divide", "sleep", "slow_task"} <= known.keys()
    assert {"compress", "decompress", "encrypt", "decrypt"} <= known.keys()
    assert known["divide"].about == known["div"].about != ""
    assert {p.annotation for p in known["add"].parameters} == {"Number | list[Number]"}
    assert [(p.name, p.required) for p in known["slow_task"].parameters] == [("seconds", False)]


def test_a_worker_that_never_encrypts_does_not_load_cryptography() -> None:
    code = "import sys, tasks; sys.exit('cryptography' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
