"""Apache Kafka's jars: fetched once from Maven Central, kept in a folder, then used without a network."""

import fcntl
import shutil
import zipfile
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from local import packages
from local.errors import StartFailed

KAFKA = "org.apache.kafka:kafka_2.13:4.3.1"
# Without it Kafka logs nothing. Resolved apart: asked for together, the resolver mixes versions and Kafka cannot start.
LOGGING = "org.apache.logging.log4j:log4j-slf4j-impl:2.25.4"
LOGGING_JAR = "log4j-slf4j-impl"


def kafka_jars(cache: Path, on_fetch: Callable[[], None] = lambda: None) -> Path:
    """The folder that holds all jars of Kafka, fetched into `cache` when they are not there yet.

    on_fetch: called before something is fetched (45 MB). Raises StartFailed when that fails.
    Several processes may ask at the same time: one fetches, the others wait for it.
    """
    jars = cache / f"kafka-{KAFKA.rpartition(':')[2]}"
    if jars.exists():
        return jars
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "lock").open("w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not jars.exists():
            on_fetch()
            _fetch(cache / "fetching", jars)
    return jars


def _fetch(work: Path, jars: Path) -> None:
    """All or nothing: a file that an interrupted fetch left half-written must never be taken for a jar."""
    shutil.rmtree(work, ignore_errors=True)
    found = work / "found"
    found.mkdir(parents=True)
    try:
        for jar in [*_resolve(work, KAFKA), *(jar for jar in _resolve(work, LOGGING) if LOGGING_JAR in jar.name)]:
            shutil.copyfile(jar, found / jar.name)
            _check(found / jar.name)
    except ModuleNotFoundError:
        raise StartFailed(f"the package jgo is missing: {packages.REMEDY}") from None
    except Exception as error:  # the resolver lets pass whatever its many parts raise
        raise StartFailed(
            f"Kafka's jars could not be fetched from Maven Central ({type(error).__name__}: {error}): "
            f"check the network and start again, or set KAFKA_BROKER to use a Kafka that runs already"
        ) from error
    found.rename(jars)
    shutil.rmtree(work)


def _resolve(work: Path, endpoint: str) -> list[Path]:
    """The jars of one Maven artifact and of all that it needs."""
    context = import_module("jgo.maven").MavenContext(repo_cache=work / "repository", timeout=30)
    builder = import_module("jgo.env").EnvironmentBuilder(context=context, cache_dir=work / "environments")
    jars: list[Path] = builder.from_endpoint(endpoint).all_jars
    return jars


def _check(jar: Path) -> None:
    with zipfile.ZipFile(jar) as archive:
        damaged = archive.testzip()
    if damaged:
        raise zipfile.BadZipFile(f"{jar.name} arrived damaged")
