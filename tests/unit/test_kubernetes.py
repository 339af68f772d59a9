"""deploy/kubernetes: what a cluster would refuse, what it would accept and could not work, and what would be unsafe.

The schemas are those of Kubernetes itself, of the oldest and the newest release that the manifests are for. What is of
KEDA is held to the fields that its documentation names.
"""

import re
import shutil
import subprocess
import sys
from collections.abc import Hashable, Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from _yadtq.keys import Keys
from tests.support.pages import code_blocks
from tests.support.servers import ROOT
from yadtq import SETTINGS, Settings

FOLDER = ROOT / "deploy" / "kubernetes"
BASE, KEDA, EXAMPLE = FOLDER / "base", FOLDER / "keda", FOLDER / "example"
RELEASES = ("1.28.0", "1.37.0")
Object = dict[str, Any]

# The fields that KEDA's documentation names, of those kinds and of the kafka trigger.
SCALED_OBJECT = {
    "scaleTargetRef", "pollingInterval", "cooldownPeriod", "initialCooldownPeriod", "idleReplicaCount", "fallback",
    "minReplicaCount", "maxReplicaCount", "advanced", "triggers",
}  # fmt: skip
SCALE_TARGET = {"apiVersion", "kind", "name", "envSourceContainerName"}
FALLBACK_BEHAVIORS = {"static", "currentReplicas", "currentReplicasIfHigher", "currentReplicasIfLower"}
TRIGGER = {"type", "name", "metadata", "authenticationRef", "useCachedMetrics", "metricType"}
KAFKA_TRIGGER = {
    "bootstrapServers", "bootstrapServersFromEnv", "consumerGroup", "topic", "lagThreshold", "activationLagThreshold",
    "offsetResetPolicy", "allowIdleConsumers", "scaleToZeroOnInvalidOffset", "excludePersistentLag",
    "limitToPartitionsWithLag", "version", "partitionLimitation", "sasl", "tls", "unsafeSsl",
}  # fmt: skip
AUTHENTICATION = {"env": {"parameter", "name", "containerName"}, "secretTargetRef": {"parameter", "name", "key"},
                  "configMapTargetRef": {"parameter", "name", "key"}}  # fmt: skip
KAFKA_LOGIN = {"sasl", "tls", "username", "password", "ca", "cert", "key", "keyPassword"}


class OnceEach(yaml.SafeLoader):
    """Refuses a key that is written twice in one place; YAML's readers take the last one without a word."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        keys = [key.value for key, _ in node.value if key.tag != "tag:yaml.org,2002:merge"]
        assert len(keys) == len(set(keys)), f"written twice: {sorted(keys)}{node.start_mark}"
        return super().construct_mapping(node, deep)


def documents(text: str) -> list[Object]:
    return [each for each in yaml.load_all(text, OnceEach) if each is not None]


def files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("*.yaml") if path.name != "kustomization.yaml")


def objects(*folders: Path) -> list[Object]:
    return [each for folder in folders for path in files(folder) for each in documents(path.read_text("utf-8"))]


def kustomization(folder: Path) -> Object:
    (found,) = documents((folder / "kustomization.yaml").read_text("utf-8"))
    return found


def name_of(each: Object) -> str:
    return f"{each['kind']}/{each['metadata']['name']}"


EVERYTHING = objects(BASE, KEDA, EXAMPLE)
RUNNING = [each for each in EVERYTHING if each["kind"] in ("Deployment", "StatefulSet")]
of_each = pytest.mark.parametrize("running", RUNNING, ids=name_of)


def pod(running: Object) -> Object:
    found: Object = running["spec"]["template"]["spec"]
    return found


def container(running: Object) -> Object:
    (found,) = pod(running)["containers"]
    assert isinstance(found, dict)
    return found


def variables(running: Object) -> dict[str, str]:
    """What a container has in its environment of its own, beside the settings that all share."""
    return {each["name"]: each.get("value", "") for each in container(running)["env"]}


def shared_settings(*folders: Path) -> dict[str, str]:
    """The settings in the ConfigMap: of the base, then those that components and overlays merge into it."""
    found: list[str] = []
    for folder in folders:
        for generated in kustomization(folder).get("configMapGenerator", []):
            found += generated.get("literals", [])
            for file in generated.get("envs", []):
                lines = (folder / file).read_text("utf-8").splitlines()
                found += [line for line in lines if line and not line.startswith("#")]
    pairs = [line.partition("=") for line in found]
    return {name: value for name, _, value in pairs}


# -- what the cluster accepts


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("each", [one for one in EVERYTHING if "keda.sh" not in one["apiVersion"]], ids=name_of)
def test_the_schema_of_kubernetes_holds(each: Object, release: str) -> None:
    kubernetes_validate.validate(each, release, strict=True)


@pytest.mark.parametrize("folder", [BASE, KEDA, EXAMPLE], ids=lambda folder: str(folder.name))
def test_a_kustomization_names_every_file_beside_it(folder: Path) -> None:
    given = kustomization(folder)
    assert not given.keys() - {
        "apiVersion", "kind", "namespace", "resources", "components", "images", "configMapGenerator", "patches",
    }  # fmt: skip
    assert given["kind"] == ("Component" if folder == KEDA else "Kustomization")
    named = given["resources"] + given.get("components", [])
    assert sorted(name for name in named if "/" not in name) == [path.name for path in files(folder)]
    assert not [name for name in named if not (folder / name).exists()]


def test_images_are_those_that_the_dockerfiles_make() -> None:
    used = {container(running)["image"] for running in RUNNING}
    assert used == {f"yadtq-{path.suffix[1:]}" for path in ROOT.glob("Dockerfile.*")}
    assert used == {each["name"] for each in kustomization(EXAMPLE)["images"]}


@pytest.mark.skipif(not shutil.which("kubectl"), reason="no kubectl is installed")
@pytest.mark.parametrize("folder", [BASE, EXAMPLE], ids=lambda folder: str(folder.name))
def test_kustomize_makes_valid_objects(folder: Path) -> None:
    made = subprocess.run(["kubectl", "kustomize", folder], check=True, capture_output=True, text=True, timeout=60)
    found = documents(made.stdout)
    assert len({name_of(each) for each in found}) == len(found)
    for each in found:
        if "keda.sh" not in each["apiVersion"]:
            kubernetes_validate.validate(each, RELEASES[-1], strict=True)
    scaled = [each for each in found if name_of(each) == "Deployment/yadtq-worker" and "replicas" not in each["spec"]]
    assert len(scaled) == (folder == EXAMPLE)


# -- what could not work


def test_settings_exist_and_their_values_can_be_used() -> None:
    for folders in ((BASE,), (BASE, KEDA), (BASE, KEDA, EXAMPLE)):
        given = shared_settings(*folders)
        known = {variable for setting in SETTINGS for variable in setting.variables}
        known |= {f"{setting.variables[0]}_FILE" for setting in SETTINGS if setting.secret}
        assert not given.keys() - known
        Settings.load({name: value for name, value in given.items() if not name.endswith("_FILE")})


@of_each
def test_variables_of_one_program_are_settings(running: Object) -> None:
    known = {variable for setting in SETTINGS for variable in setting.variables} | {"XDG_STATE_HOME"}
    known |= {f"{setting.variables[0]}_FILE" for setting in SETTINGS if setting.secret}
    assert not variables(running).keys() - known
    assert container(running)["envFrom"] == [{"configMapRef": {"name": "yadtq"}}]


@of_each
def test_files_that_settings_name_are_mounted(running: Object) -> None:
    mounts = {each["name"]: each["mountPath"] for each in container(running)["volumeMounts"]}
    volumes = {each["name"]: each for each in pod(running)["volumes"]}
    claims = {each["metadata"]["name"] for each in running["spec"].get("volumeClaimTemplates", [])}
    assert mounts.keys() == volumes.keys() | claims
    (secret,) = [each["secret"] for each in volumes["secrets"]["projected"]["sources"] if "secret" in each]
    there = {f"{mounts['secrets']}/{item['path']}" for item in secret["items"]} | {f"{mounts['secrets']}/ca.crt"}
    wanted = shared_settings(BASE, KEDA, EXAMPLE) | variables(running)
    assert {value for name, value in wanted.items() if name.endswith("_FILE") and name != "READY_FILE"} <= there
    writable = {value for name, value in variables(running).items() if name in ("READY_FILE", "LOG_FOLDER")}
    assert all(any(path.startswith(mount) for mount in mounts.values()) for path in writable)


@of_each
def test_commands_exist_in_their_image(running: Object) -> None:
    command = container(running)["command"]
    if command[0] != "python":
        assert running["metadata"]["name"] == "yadtq-client"
        return
    dockerfile = (ROOT / f"Dockerfile.{container(running)['image'].removeprefix('yadtq-')}").read_text("utf-8")
    assert re.search(rf"^COPY .*\b{re.escape(command[1])}\b", dockerfile, re.MULTILINE)
    shown = subprocess.run(
        [sys.executable, command[1], "--help"], check=True, cwd=ROOT, capture_output=True, text=True, timeout=30
    )
    assert not [word for word in command if word.startswith("--") and word not in shown.stdout]


@of_each
def test_probes_ask_what_is_there(running: Object) -> None:
    ports = {each["name"] for each in container(running).get("ports", [])}
    for kind in ("startupProbe", "readinessProbe", "livenessProbe"):
        probe = container(running)[kind]
        if "httpGet" in probe:
            assert probe["httpGet"]["port"] in ports
        elif "READY_FILE" in variables(running):
            assert variables(running)["READY_FILE"] in " ".join(probe["exec"]["command"])


@pytest.mark.parametrize(
    ("age", "ready", "alive"), [(0, True, True), (60, False, True), (300, False, False), (None, False, True)]
)
def test_a_file_that_is_gone_is_no_reason_to_start_anew(
    tmp_path: Path, age: int | None, ready: bool, alive: bool
) -> None:
    """The probes' own commands, on a file of that age in seconds, or on none."""
    file = tmp_path / "ready"
    if age is not None:
        subprocess.run(["touch", "-d", f"{age} seconds ago", file], check=True)

    def passes(running: Object, kind: str) -> bool:
        command = [word.replace("/tmp/ready", str(file)) for word in container(running)[kind]["exec"]["command"]]
        return subprocess.run(command, check=False, capture_output=True).returncode == 0

    for running in (each for each in RUNNING if "READY_FILE" in variables(each)):
        assert passes(running, "readinessProbe") == ready
        assert passes(running, "livenessProbe") == alive


def test_workers_have_the_time_to_drain() -> None:
    (worker,) = [each for each in RUNNING if name_of(each) == "Deployment/yadtq-worker"]
    given = shared_settings(BASE, KEDA, EXAMPLE)
    assert pod(worker)["terminationGracePeriodSeconds"] >= float(given["DRAIN_SECONDS"]) + 5


def selectors() -> Iterator[tuple[str, dict[str, str]]]:
    """Every choice of pods by labels: whose it is, and the labels."""
    for each in EVERYTHING:
        spec = each.get("spec", {})
        if each["kind"] == "Service":
            yield name_of(each), spec["selector"]
        elif each["kind"] == "NetworkPolicy":
            yield name_of(each), spec["podSelector"]["matchLabels"]
        elif "selector" in spec:
            yield name_of(each), spec["selector"]["matchLabels"]
        for spread in (each in RUNNING and pod(each).get("topologySpreadConstraints")) or []:
            yield name_of(each), spread["labelSelector"]["matchLabels"]


@pytest.mark.parametrize(("name", "labels"), list(selectors()))
def test_labels_choose_the_pods_that_are_meant(name: str, labels: dict[str, str]) -> None:
    chosen = {
        each["metadata"]["name"]
        for each in RUNNING
        if labels.items() <= each["spec"]["template"]["metadata"]["labels"].items()
    }
    everyone = {each["metadata"]["name"] for each in RUNNING}
    owner = name.partition("/")[2]
    assert chosen == {"yadtq": everyone, "yadtq-metrics": {"yadtq-server"}}.get(owner, {owner})


# -- what would be unsafe


@of_each
def test_pods_meet_the_strictest_standard_and_more(running: Object) -> None:
    spec, program = pod(running), container(running)
    assert spec["securityContext"]["runAsNonRoot"]
    assert spec["securityContext"]["runAsUser"] == spec["securityContext"]["fsGroup"] == 10001
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert program["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert program["resources"]["limits"].keys() == {"memory"}
    assert program["resources"]["requests"].keys() == {"cpu", "memory"}
    assert spec["serviceAccountName"] == "yadtq"
    assert spec["automountServiceAccountToken"] is False
    assert spec["enableServiceLinks"] is False, "a Service named redis would set REDIS_PORT"
    assert all("sizeLimit" in each["emptyDir"] for each in spec["volumes"] if "emptyDir" in each)


def test_no_secret_is_written_down_and_each_goes_only_where_it_is_needed() -> None:
    assert "Secret" not in {each["kind"] for each in EVERYTHING}
    holders: dict[str, set[str]] = {}
    for running in RUNNING:
        (volume,) = [each for each in pod(running)["volumes"] if each["name"] == "secrets"]
        for item in volume["projected"]["sources"][0]["secret"]["items"]:
            holders.setdefault(item["key"], set()).add(running["metadata"]["name"].removeprefix("yadtq-"))
    everyone = {"client", "worker", "server", "logger", "monitor"}
    assert holders == {
        "kafka-password": everyone,
        "redis-password": everyone,
        "encryption-key": {"worker"},
        "monitor-token": {"monitor"},
    }
    page = (ROOT / "docs" / "kubernetes.md").read_text("utf-8")
    assert not [key for key in holders if f"`{key}`" not in page]


# -- KEDA


def scalers() -> list[Object]:
    """Of the manifests, and of the examples in the documentation."""
    shown = [each for block in code_blocks("docs/kubernetes.md", "yaml") for each in documents(block)]
    return [each for each in EVERYTHING + shown if "keda.sh" in each.get("apiVersion", "")]


@pytest.mark.parametrize("scaler", [each for each in scalers() if each["kind"] == "ScaledObject"], ids=name_of)
def test_a_scaler_has_the_fields_that_keda_documents(scaler: Object) -> None:
    spec = scaler["spec"]
    assert scaler["apiVersion"] == "keda.sh/v1alpha1"
    assert not spec.keys() - SCALED_OBJECT
    assert not spec["scaleTargetRef"].keys() - SCALE_TARGET
    assert spec["scaleTargetRef"]["name"] in {each["metadata"]["name"] for each in RUNNING}
    assert 1 <= spec["minReplicaCount"] <= spec["fallback"]["replicas"] <= spec["maxReplicaCount"]
    assert spec["fallback"]["behavior"] in FALLBACK_BEHAVIORS
    assert spec["fallback"]["failureThreshold"] >= 1
    autoscaler = {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "made-by-keda"},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", **spec["scaleTargetRef"]},
            "maxReplicas": spec["maxReplicaCount"],
            **spec["advanced"]["horizontalPodAutoscalerConfig"],
        },
    }
    kubernetes_validate.validate(autoscaler, RELEASES[-1], strict=True)


@pytest.mark.parametrize("scaler", [each for each in scalers() if each["kind"] == "ScaledObject"], ids=name_of)
def test_the_kafka_trigger_looks_at_the_queue(scaler: Object) -> None:
    (trigger,) = [each for each in scaler["spec"]["triggers"] if each["type"] == "kafka"]
    given = trigger["metadata"]
    names = Keys(shared_settings(BASE)["YADTQ_NAMESPACE"])
    assert not trigger.keys() - TRIGGER
    assert not given.keys() - KAFKA_TRIGGER
    assert all(isinstance(value, str) for value in given.values()), "KEDA takes text only"
    assert given["bootstrapServersFromEnv"] in shared_settings(BASE)
    assert (given["consumerGroup"], given["topic"]) == (names.group, names.tasks_topic)
    assert int(given["lagThreshold"]) > 0
    assert given["offsetResetPolicy"] in ("earliest", "latest")


@pytest.mark.parametrize("login", [each for each in scalers() if each["kind"] == "TriggerAuthentication"], ids=name_of)
def test_a_login_of_keda_has_the_fields_that_it_documents(login: Object) -> None:
    assert not login["spec"].keys() - AUTHENTICATION.keys()
    for source, entries in login["spec"].items():
        for entry in entries:
            assert not entry.keys() - AUTHENTICATION[source]
            assert entry["parameter"] in KAFKA_LOGIN
    named = shared_settings(BASE, KEDA, EXAMPLE)
    assert all(entry["name"] in named for entry in login["spec"]["env"])
