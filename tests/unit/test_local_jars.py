"""Kafka's jars: fetched whole or not at all, once, and then used without a network."""

import zipfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from local import kafka_jars
from local.errors import StartFailed


class FakeResolver:
    """Stands for the package jgo: lays jars into the folder that it is given."""

    def __init__(self, damage: Callable[[Path], None] = lambda jar: None) -> None:
        self.damage = damage
        self.asked: list[str] = []

    def import_module(self, name: str) -> Any:
        return SimpleNamespace(MavenContext=lambda **given: given, EnvironmentBuilder=self.builder)

    def builder(self, context: dict[str, Any], cache_dir: Path) -> Any:
        def from_endpoint(endpoint: str) -> Any:
            self.asked.append(endpoint)
            names = (
                ["kafka.jar", "slf4j.jar"] if endpoint == kafka_jars.KAFKA else ["log4j-slf4j-impl.jar", "slf4j.jar"]
            )
            return SimpleNamespace(
                all_jars=[self.jar(cache_dir / str(len(self.asked)), name, endpoint) for name in names]
            )

        return SimpleNamespace(from_endpoint=from_endpoint)

    def jar(self, folder: Path, name: str, text: str) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(folder / name, "w") as archive:
            archive.writestr("from", text)
        self.damage(folder / name)
        return folder / name


def fetch_with(resolver: FakeResolver, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(kafka_jars, "import_module", resolver.import_module)
    return kafka_jars.kafka_jars(cache)


def test_the_jars_of_kafka_and_one_more_are_fetched_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    resolver = FakeResolver()
    jars = fetch_with(resolver, tmp_path, monkeypatch)
    assert sorted(jar.name for jar in jars.iterdir()) == ["kafka.jar", "log4j-slf4j-impl.jar", "slf4j.jar"]
    with zipfile.ZipFile(jars / "slf4j.jar") as archive:
        assert archive.read("from").decode() == kafka_jars.KAFKA  # never of the logging package, which has another one
    assert fetch_with(resolver, tmp_path, monkeypatch) == jars
    assert resolver.asked == [kafka_jars.KAFKA, kafka_jars.LOGGING]


def cut(jar: Path) -> None:
    jar.write_bytes(jar.read_bytes()[:-30])


def flip(jar: Path) -> None:
    text = bytearray(jar.read_bytes())
    text[text.index(b"org.apache")] ^= 1
    jar.write_bytes(text)


def refuse(jar: Path) -> None:
    raise ConnectionError("no route to host")


@pytest.mark.parametrize("damage", [cut, flip, refuse])
def test_what_did_not_arrive_whole_is_not_kept(
    damage: Callable[[Path], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(StartFailed, match=r"could not be fetched.*check the network.*KAFKA_BROKER"):
        fetch_with(FakeResolver(damage), tmp_path, monkeypatch)
    assert fetch_with(FakeResolver(), tmp_path, monkeypatch).is_dir()


def test_an_interrupted_fetch_is_begun_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    left = tmp_path / "fetching" / "found" / "half.jar"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"PK")
    jars = fetch_with(FakeResolver(), tmp_path, monkeypatch)
    assert not (jars / "half.jar").exists()
    assert not left.exists()


def test_a_missing_resolver_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> Any:
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(kafka_jars, "import_module", absent)
    with pytest.raises(StartFailed, match=r"package jgo is missing.*make up"):
        kafka_jars.kafka_jars(tmp_path)
