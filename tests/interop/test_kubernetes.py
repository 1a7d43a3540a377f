"""packaging/kubernetes/hairpin.yaml fits together: its configuration is valid, and what it mounts, asks and waits for exists."""

import os
import re
import shutil
import subprocess
import tomllib

import pytest
import yaml

import certificate
import servers

pytestmark = pytest.mark.hairpin_only

FILE = servers.ROOT / "packaging/kubernetes/hairpin.yaml"
IMAGE_USER = re.search(r"^USER (\d+):", (servers.ROOT / "packaging/docker/Dockerfile").read_text(), re.MULTILINE)[1]


@pytest.fixture(scope="module")
def manifest():
    """The objects of the file, by kind."""
    return {part["kind"]: part for part in yaml.safe_load_all(FILE.read_text())}


@pytest.fixture(scope="module")
def pod(manifest):
    return manifest["DaemonSet"]["spec"]["template"]["spec"]


@pytest.fixture(scope="module")
def container(pod):
    [container] = pod["containers"]
    return container


@pytest.fixture(scope="module")
def config(manifest):
    return tomllib.loads(manifest["ConfigMap"]["data"]["config.toml"])


def check(text, secret, directory):
    """`hairpin check-config` of the configuration, with the files of the pod in `directory`."""
    files = {"config/config.toml": text.replace("/etc/hairpin", str(directory)), "secret/secret": secret}
    for name, content in files.items():
        file = directory / name
        file.parent.mkdir()
        file.touch(0o640)
        file.write_text(content)
    (directory / "tls").mkdir()
    for source, name in zip(certificate.made(), ("tls.crt", "tls.key"), strict=True):
        shutil.copy(source, directory / "tls" / name)
    command = [servers.HAIRPIN, "check-config", directory / "config/config.toml"]
    return subprocess.run(command, capture_output=True, text=True)


def test_its_configuration_is_valid(manifest, tmp_path):
    done = check(manifest["ConfigMap"]["data"]["config.toml"], servers.SECRET, tmp_path)

    assert done.returncode == 0, done.stderr
    assert servers.warnings(done.stdout) == []


def test_the_secret_that_it_shows_is_refused(manifest, tmp_path):
    done = check(manifest["ConfigMap"]["data"]["config.toml"], manifest["Secret"]["stringData"]["secret"], tmp_path)

    assert done.returncode != 0 and "openssl rand -base64 32" in done.stderr, done.stderr


def test_every_file_of_the_configuration_is_mounted(manifest, pod, container, config):
    mounted = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    assert mounted.keys() == volumes.keys()
    assert volumes["config"]["configMap"]["name"] == manifest["ConfigMap"]["metadata"]["name"]
    assert volumes["secret"]["secret"]["secretName"] == manifest["Secret"]["metadata"]["name"]
    assert set(manifest["Secret"]["stringData"]) == {"secret"}

    assert container["args"] == ["--config", f"{mounted['config']}/config.toml"]
    assert config["credentials"]["secrets_file"] == f"{mounted['secret']}/secret"
    assert [config["tls"][key] for key in ("certificate", "key")] == [f"{mounted['tls']}/tls.{end}" for end in ("crt", "key")]


def test_only_the_group_of_the_program_reads_the_secrets(pod):
    user = pod["securityContext"]
    assert str(user["runAsUser"]) == IMAGE_USER and user["fsGroup"] == user["runAsGroup"] == user["runAsUser"]
    modes = [volume["secret"]["defaultMode"] for volume in pod["volumes"] if "secret" in volume]
    assert modes == [0o440, 0o440]


def test_it_has_no_privilege(pod, container):
    assert pod["securityContext"]["runAsNonRoot"] and not pod["automountServiceAccountToken"]
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def test_the_kubelet_asks_where_the_daemon_answers(pod, container, config):
    asked = [container[probe]["httpGet"] for probe in ("livenessProbe", "readinessProbe")]
    assert pod["hostNetwork"], "the kubelet reaches the loopback of the pod"
    assert {f"{at['host']}:{at['port']}" for at in asked} == set(config["http"]["listen"])
    assert [at["path"] for at in asked] == ["/healthz", "/readyz"]


def test_the_kubelet_waits_until_the_drain_is_over(pod, config):
    assert config["relay"]["drain_timeout"] == "1h"
    assert pod["terminationGracePeriodSeconds"] >= 3600 + 30


def test_the_daemon_set_selects_its_own_pods(manifest):
    spec = manifest["DaemonSet"]["spec"]
    assert spec["selector"]["matchLabels"].items() <= spec["template"]["metadata"]["labels"].items()
    namespaces = {part["metadata"].get("namespace") for kind, part in manifest.items() if kind != "Namespace"}
    assert namespaces == {manifest["Namespace"]["metadata"]["name"]}
