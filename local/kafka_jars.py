"""Apache Kafka's jars: fetched once from Maven Central, kept in a folder, then used without a network."""

import fcntl
import importlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from local.errors import StartFailed

KAFKA = "org.apache.kafka:kafka_2.13:4.3.1"
# Without it Kafka logs nothing. Resolved apart: asked for together, the resolver mixes versions and Kafka cannot start.
LOGGING = "org.apache.logging.log4j:log4j-slf4j-impl:2.25.4"


def kafka_jars(cache: Path, on_fetch: Callable[[], None] = lambda: None) -> Path:
    """The folder that holds all jars of Kafka, fetched into `cache` when they are not there yet.

    on_fetch: called before something is fetched. Raises StartFailed when that fails.
    Several processes may ask at the same time: one fetches, the others wait for it.
    """
    jars = cache / "-".join(part.rpartition(":")[2] for part in ("kafka:" + KAFKA, LOGGING))
    if jars.exists():
        return jars
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "lock").open("w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not jars.exists():
            on_fetch()
            _fetch(cache, jars)
    return jars


def _fetch(cache: Path, jars: Path) -> None:
    try:
        jgo = importlib.import_module("jgo")
    except ImportError:
        raise StartFailed(
            "the package jgo is missing: run `make up`, or `pip install -r requirements-local.txt`"
        ) from None
    try:
        found = jgo.build(KAFKA, cache_dir=cache / "jgo").all_jars
        found += [jar for jar in jgo.build(LOGGING, cache_dir=cache / "jgo").all_jars if "log4j-slf4j-impl" in jar.name]
    except Exception as error:  # the resolver raises whatever its parts raise
        raise StartFailed(
            f"Kafka's jars cannot be fetched from Maven Central ({type(error).__name__}: {error}): "
            f"check the network and start again, or set KAFKA_BROKER to use a Kafka that runs already"
        ) from error
    new = cache / "new"
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir()
    for jar in found:
        _place(jar, new / jar.name)
    new.rename(jars)


def _place(source: Path, target: Path) -> None:
    """A hard link where possible, so that 45 MB are not stored twice."""
    try:
        os.link(source.resolve(), target)
    except OSError:
        shutil.copyfile(source, target)
