"""A backend that asks Hairpin for credentials as its documentation says: with curl and a key."""

import json
import re
import subprocess
from dataclasses import dataclass
from urllib.parse import quote

import servers

CURL_LIMIT = 10


@dataclass(frozen=True)
class Key:
    """A key, and the lines of the configuration that let it in."""

    text: str
    config: str

    @classmethod
    def made(cls, name, more=""):
        """As `hairpin api-key` makes it."""
        command = [servers.HAIRPIN, "api-key", "--id", name]
        printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        key = re.search(r"^ +(hairpin_\S+)$", printed, re.MULTILINE)[1]
        return cls(key, printed[printed.index("[[http.keys]]") :] + more + "\n")

    @property
    def header(self):
        return f"Authorization: Bearer {self.text}"


@dataclass(frozen=True)
class Answer:
    status: int
    body: str

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def turn(self):
        """The entry with the credential, in an answer for RTCPeerConnection."""
        return self.json["iceServers"][-1]


def curl(url, *options):
    command = ["curl", "-sS", "--max-time", CURL_LIMIT, "-w", "\n%{http_code}", *options, url]
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=True)
    body, _, status = done.stdout.rpartition("\n")
    return Answer(int(status), body)


def revoke(site, key, username):
    return curl(f"{site}/api/v1/credentials/{quote(username, safe='')}/revoke", "-X", "POST", "-H", key.header)
