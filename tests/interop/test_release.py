"""The release workflow, which only a tag runs, names files that exist, and gives the image what its Dockerfile takes."""

import re

import pytest
import yaml

import servers

pytestmark = pytest.mark.hairpin_only

WORKFLOW = servers.ROOT / ".github/workflows/release.yml"
DOCKERFILE = servers.ROOT / "packaging/docker/Dockerfile"


@pytest.fixture(scope="module")
def jobs():
    return yaml.safe_load(WORKFLOW.read_text())["jobs"]


@pytest.fixture(scope="module")
def commands(jobs):
    return "\n".join(step["run"] for job in jobs.values() for step in job["steps"] if "run" in step)


def test_it_begins_with_a_tag_and_publishes_last(jobs):
    # YAML 1.1 takes `on` for true
    assert yaml.safe_load(WORKFLOW.read_text())[True] == {"push": {"tags": ["v*"]}}
    assert jobs["publish"]["needs"] == ["build", "image"] and jobs["image"]["needs"] == "build"


def test_every_file_of_the_repository_that_it_names_exists(commands):
    named = re.findall(r"(?:packaging|tests)/[\w./-]+", commands)
    assert len(named) > 5
    assert [name for name in named if not (servers.ROOT / name).exists()] == []


def test_it_makes_all_that_the_image_takes_from_the_stage_that_compiles(commands):
    taken = re.findall(r"^COPY --from=build (?:--chown=\S+ )?/(\S+)", DOCKERFILE.read_text(), re.MULTILINE)
    assert len(taken) > 2
    made = re.search(r'mkdir -p "\$stage"/\{(\S+)\}', commands)[1].split(",")
    assert [file for file in taken if file not in made and file.rpartition("/")[0] not in made] == []
