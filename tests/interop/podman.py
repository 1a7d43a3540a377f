"""Debian's podman, which tests/run unpacks: it builds images, and runs what a compose file says.

All of its files are in one directory in memory, and it shares nothing with a podman of this machine.
"""

import json
import os
import resource
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import servers

PEERS = servers.ROOT / "target/peers"
_PODMAN = PEERS / "podman/usr/bin/podman"
_COMMON = PEERS / "golang-github-containers-common/usr/share/containers"
_POLICY = PEERS / "golang-github-containers-common/etc/containers/policy.json"
_COMPOSE = Path(sys.executable).with_name("podman-compose")
# two copies of a Debian without its documentation, and the image
SIZE = "1g"
COMMAND_LIMIT = 60


# cgroup2 alone, as on a real machine, whatever this machine uses
_HOLD = "mount -t cgroup2 cgroup2 /sys/fs/cgroup && echo ready && exec sleep infinity"


class Podman:
    """podman with its files in `directory`. What is the host for its containers are the mount namespace of the process `host`
    and the network namespace `network`."""

    def __init__(self, directory, host, network):
        self.directory, self.host = directory, host
        self.inside = ["nsenter", f"--target={host}", "--mount", f"--net=/run/netns/{network}"]
        # By itself podman asks for more than a test run may have that is in a container.
        _, files = resource.getrlimit(resource.RLIMIT_NOFILE)
        (directory / "containers.conf").write_text(f"""\
[containers]
cgroups = "disabled"
default_ulimits = ["nofile={files}:{files}", "nproc=4096:4096"]
log_driver = "k8s-file"
seccomp_profile = "{_COMMON}/seccomp.json"
[engine]
cgroup_manager = "cgroupfs"
conmon_path = ["{PEERS}/conmon/usr/bin/conmon"]
events_logger = "none"
lock_type = "file"
runtime = "crun"
tmp_dir = "{directory}/run"
volume_path = "{directory}/volumes"
[engine.runtimes]
crun = ["{PEERS}/crun/usr/bin/crun"]
""")
        (directory / "storage.conf").write_text(f"""\
[storage]
driver = "overlay"
graphroot = "{directory}/graph"
runroot = "{directory}/runroot"
""")
        self.environment = {
            **os.environ,
            "BUILDAH_FORMAT": "docker",  # the other one has no health checks
            "BUILDAH_ISOLATION": "chroot",
            "CONTAINERS_CONF": str(directory / "containers.conf"),
            "CONTAINERS_STORAGE_CONF": str(directory / "storage.conf"),
            "DISABLE_HC_SYSTEMD": "true",
            "TMPDIR": str(directory),
        }

    def __call__(self, *words, check=True):
        return self._run([_PODMAN, *words], check)

    def build(self, tag, file, context, **arguments):
        chosen = [part for name, value in arguments.items() for part in ("--build-arg", f"{name}={value}")]
        policy = ["--signature-policy", _POLICY]
        return self("build", *policy, "--pull=never", "--tag", tag, "--file", file, *chosen, context)

    def compose(self, files, *words):
        """`docker compose` with these files, by podman-compose."""
        chosen = [part for file in files for part in ("--file", file)]
        return self._run([_COMPOSE, f"--podman-path={_PODMAN}", "--in-pod=false", *chosen, *words])

    def files(self, image):
        """The directory with the files of an image."""
        return Path(f"/proc/{self.host}/root") / self("image", "mount", image).stdout.strip().lstrip("/")

    def inspect(self, container):
        return json.loads(self("inspect", container).stdout)[0]

    def _run(self, command, check=True):
        done = subprocess.run(
            [str(part) for part in [*self.inside, *command]],
            cwd=self.directory,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=COMMAND_LIMIT,
        )
        if check and done.returncode != 0:
            raise AssertionError(f"{done.args}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
        return done


@contextmanager
def running(directory, network):
    """podman in `directory`. At the end its containers end, and nothing is left."""
    for file in (_PODMAN, _COMMON, _POLICY, _COMPOSE):
        assert file.exists(), f"{file} is missing: `tests/run prepare` gets it"
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", directory], check=True)
    try:
        with _host() as host:
            podman = Podman(directory, host, network)
            try:
                yield podman
            finally:
                podman("rm", "--all", "--force", "--time=0")
    finally:
        subprocess.run(["umount", directory], check=True)


@contextmanager
def _host():
    """A process with a mount namespace of its own, in which podman mounts what it needs."""
    command = ["setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "--propagation", "private", "sh", "-c", _HOLD]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout.readline() == "ready\n", "the mount namespace cannot be made"
            yield process.pid
        finally:
            process.kill()
