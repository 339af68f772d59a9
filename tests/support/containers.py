"""The compose project under test: started under a name, volumes and ports of its own, and always taken down."""

import json
import os
import subprocess
from typing import Any

from local.ports import free_port
from tests.support.servers import ROOT
from yadtq import SETTINGS

PROJECT = "yadtq-test"
CLIENT = "client"
PORT_VARIABLES = {"kafka": "KAFKA_PORT", "redis": "REDIS_PORT", "monitor": "MONITOR_PORT"}
COMPOSE_VARIABLES = {*PORT_VARIABLES.values(), "MANAGER_MIN", "MANAGER_MAX"}


class StackBusy(Exception):
    """Something that the test did not start is in the way."""


class CommandFailed(Exception):
    """A command that had to succeed did not; the message holds what it printed."""


def missing_engine() -> str:
    """Why no containers can be run here, in one line; '' when they can."""
    for command in (["docker", "version", "--format", "{{.Server.Version}}"], ["docker", "compose", "version"]):
        try:
            done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=30)
        except FileNotFoundError:
            return "no container engine: docker is not installed"
        except subprocess.TimeoutExpired:
            return f"no container engine: {' '.join(command[:2])} did not answer in 30 s"
        if done.returncode:
            reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
            return f"no container engine: {' '.join(command[:2])}: {reason}"
    return ""


def run(*command: str, environment: dict[str, str] | None = None, seconds: float = 60.0) -> str:
    """Runs a command, in the checkout, to its end and returns what it printed, errors last. Raises CommandFailed."""
    done = subprocess.run(
        command, check=False, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=seconds
    )
    if done.returncode:
        raise CommandFailed(f"{' '.join(command)}: exit code {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done.stdout + done.stderr


def undisturbed_environment() -> dict[str, str]:
    """This process' environment without anything that docker-compose.yml would take from it."""
    taken = {variable for setting in SETTINGS for variable in setting.variables} | COMPOSE_VARIABLES
    return {name: value for name, value in os.environ.items() if name not in taken and not name.startswith("COMPOSE_")}


def refuse_to_disturb() -> None:
    """Raises StackBusy when a test would collide with, or remove, containers or volumes that it did not make."""
    owner = run("docker", "ps", "--all", "--filter", f"name=^/{CLIENT}$",
                "--format", '{{.Label "com.docker.compose.project"}}|').strip()  # fmt: skip
    if owner not in ("", f"{PROJECT}|"):
        project = owner.rstrip("|")
        stop = f"docker compose -p {project} down" if project else f"docker rm -f {CLIENT}"
        raise StackBusy(f"a container named {CLIENT!r} is there, and the test needs that name; stop it with: {stop}")
    label = f"label=com.docker.compose.project={PROJECT}"
    if run("docker", "ps", "--all", "--quiet", "--filter", label) + run(
        "docker", "volume", "ls", "--quiet", "--filter", label
    ):
        remove = f"docker compose -p {PROJECT} down -v"
        raise StackBusy(f"a container test is running, or one was killed; if none is running, remove it with: {remove}")


def shipped_config() -> dict[str, Any]:
    """docker-compose.yml, all profiles, as docker compose understands it on a machine where nothing is set."""
    command = ("docker", "compose", "--env-file", os.devnull, "--profile", "elastic", "config", "--format", "json")
    config: dict[str, Any] = json.loads(run(*command, environment=undisturbed_environment()))
    return config


class Stack:
    """One run of docker-compose.yml, with free ports of this machine instead of the usual ones."""

    def __init__(self, settings: dict[str, str]) -> None:
        """settings: variables of the environment that docker compose passes on to the programs."""
        self.ports = {service: free_port() for service in PORT_VARIABLES}
        ports = {PORT_VARIABLES[service]: str(port) for service, port in self.ports.items()}
        self._environment = {**undisturbed_environment(), **settings, **ports}

    def compose(self, *arguments: str, seconds: float = 120.0) -> str:
        """docker compose, for the project of the tests and without the checkout's .env. Raises CommandFailed."""
        command = ("docker", "compose", "--env-file", os.devnull, "--project-name", PROJECT, *arguments)
        return run(*command, environment=self._environment, seconds=seconds)

    def up(self, *arguments: str, seconds: float = 600.0) -> None:
        """docker compose up -d: returns when Kafka and Redis are healthy and the rest is started."""
        try:
            self.compose("up", "-d", *arguments, seconds=seconds)
        except CommandFailed as error:
            raise CommandFailed(f"{error}\n{self.compose('logs', '--tail=40')}") from None

    def remove(self) -> None:
        """Stops everything and removes what the test made, volumes and images included."""
        self.compose(
            "--profile", "elastic", "down", "--volumes", "--rmi", "local", "--remove-orphans", "--timeout", "5"
        )

    def containers(self, service: str) -> list[str]:
        """The ids of a service's running containers, as short as docker shows them (and as their host names are)."""
        return [identifier[:12] for identifier in self.compose("ps", "--quiet", service).split()]

    def health(self) -> dict[str, str]:
        """What docker compose ps says of each container: name → starting, healthy or unhealthy; '' without a check."""
        shown = self.compose("--profile", "elastic", "ps", "--format", "{{.Name}}={{.Health}}")
        return {name: state for name, _, state in (line.partition("=") for line in shown.splitlines())}


def inspect(container: str) -> dict[str, Any]:
    """What docker inspect tells of one container."""
    found: list[dict[str, Any]] = json.loads(run("docker", "inspect", container))
    return found[0]


def execute(container: str, *command: str, seconds: float = 60.0) -> str:
    """docker exec without a terminal. Raises CommandFailed."""
    return run("docker", "exec", container, *command, seconds=seconds)


def log_lines(container: str) -> list[str]:
    """What a container has printed so far."""
    return run("docker", "logs", container).splitlines()
