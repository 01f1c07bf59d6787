"""The pins: exact, complete, from no named place, and the serving ones without torch."""

import re
import tomllib
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distribution, distributions
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.house.tree import read, tracked_texts

# Joined here, so that this file does not name what no file may name.
REGISTRY_HOSTS = tuple(
    ".".join(parts)
    for parts in (
        ("pypi", "org"),
        ("pythonhosted", "org"),
        ("npmjs", "org"),
        ("npmjs", "com"),
        ("deb", "debian", "org"),
        ("download", "pytorch", "org"),
        ("docker", "io"),
        ("nvcr", "io"),
        ("ghcr", "io"),
        ("quay", "io"),
    )
)


def pins() -> dict[str, Requirement]:
    lines = (line.strip() for line in read("constraints.txt").splitlines())
    found = [Requirement(line) for line in lines if line and not line.startswith("#")]
    return {canonicalize_name(requirement.name): requirement for requirement in found}


def project() -> dict[str, Any]:
    data: dict[str, Any] = tomllib.loads(read("pyproject.toml"))["project"]
    return data


def applies(requirement: Requirement, extras: set[str]) -> bool:
    marker = requirement.marker
    return marker is None or any(marker.evaluate({"extra": extra}) for extra in extras | {""})


def closure(wanted: list[str]) -> Iterator[str]:
    """Names of everything that the wanted requirements bring along, as far as it is installed here."""
    waiting = [Requirement(line) for line in wanted]
    seen: set[tuple[str, frozenset[str]]] = set()
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        key = (name, frozenset(requirement.extras))
        if key in seen or not applies(requirement, set()):
            continue
        seen.add(key)
        yield name
        try:
            lines = distribution(name).requires or []
        except PackageNotFoundError:
            continue
        needed = [Requirement(line) for line in lines]
        for child in needed:
            if applies(child, requirement.extras):
                child.marker = None
                waiting.append(child)


def test_every_pin_is_one_exact_version_and_nothing_else() -> None:
    for line in read("constraints.txt").splitlines():
        assert line.startswith("#") or re.fullmatch(r"[a-z0-9-]+==[0-9][0-9a-z.]*( ; .+)?", line), line


def test_everything_that_is_installed_is_pinned() -> None:
    data = project()
    wanted = [
        *data["dependencies"],
        *(line for lines in data["optional-dependencies"].values() for line in lines),
    ]
    missing = set(closure(wanted)) - set(pins())
    assert not missing, f"constraints.txt does not pin {sorted(missing)}"


def test_the_pins_satisfy_what_the_project_asks_for() -> None:
    data = project()
    for lines in (data["dependencies"], *data["optional-dependencies"].values()):
        for requirement in map(Requirement, lines):
            (pin,) = pins()[canonicalize_name(requirement.name)].specifier
            assert requirement.specifier.contains(pin.version), requirement


def test_what_is_installed_here_is_what_is_pinned() -> None:
    pinned = pins()
    for installed in distributions():
        pin = pinned.get(canonicalize_name(installed.metadata["Name"]))
        if pin is None or not applies(pin, set()) or pin.name in {"pip", "setuptools"}:
            continue
        assert pin.specifier.contains(installed.version), f"{pin} is pinned, {installed.version} is installed"


def test_a_serving_install_carries_no_torch_and_no_cuda_packages() -> None:
    heavy = [
        name for name in closure(project()["dependencies"]) if name.startswith(("torch", "nvidia", "timm"))
    ]
    assert heavy == []


def test_training_takes_torch_as_the_registry_gives_it() -> None:
    pinned = pins()
    assert str(pinned["torch"].specifier) == "==2.15.0"
    assert str(pinned["torchvision"].specifier) == "==0.29.2"
    assert "torch>=2.11" in project()["optional-dependencies"]["training"]


@pytest.mark.parametrize("host", REGISTRY_HOSTS)
def test_no_file_names_a_registry(host: str) -> None:
    naming = [name for name, text in tracked_texts().items() if host in text]
    assert naming == [], f"{naming} name {host}"


def test_no_lock_file_records_download_addresses() -> None:
    locks = {"uv.lock", "poetry.lock", "pdm.lock", "Pipfile.lock", "package-lock.json", "pylock.toml"}
    assert not [name for name in tracked_texts() if name.rpartition("/")[2] in locks]
    for option in ("index-url", "find-links", "trusted-host"):
        assert option not in read("constraints.txt") + read("Makefile") + read("Dockerfile") + read(
            "pyproject.toml"
        )
