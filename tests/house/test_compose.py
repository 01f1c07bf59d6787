"""compose.yaml: real settings, secrets from files, published on this machine only, no default password."""

import re
from typing import Any

import pytest
import yaml

from app.settings import PREFIX, Settings
from tests.house.dockerfile import stages
from tests.house.tree import read

Service = dict[str, Any]


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    loaded = yaml.safe_load(read("compose.yaml"))
    assert isinstance(loaded, dict)
    return loaded


@pytest.fixture(scope="module")
def services(document: dict[str, Any]) -> dict[str, Service]:
    found: dict[str, Service] = document["services"]
    return found


def test_there_is_the_service_its_database_and_a_gpu_profile(services: dict[str, Service]) -> None:
    assert set(services) == {"app", "app-gpu", "database"}
    assert services["app-gpu"]["profiles"] == ["gpu"]
    assert not services["app"].get("profiles")
    assert services["app-gpu"]["environment"]["LIGHTTRAP_PROVIDER"] == "cuda"
    assert services["app-gpu"]["deploy"]["resources"]["reservations"]["devices"][0]["capabilities"] == ["gpu"]


def test_postgresql_is_15_or_newer(services: dict[str, Service]) -> None:
    version = re.fullmatch(r"postgres:(\d+)-\w+", services["database"]["image"])
    assert version is not None
    assert int(version.group(1)) >= 15


def test_every_variable_is_a_setting_of_the_service(services: dict[str, Service]) -> None:
    known = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields}
    for name in ("app", "app-gpu"):
        assert set(services[name]["environment"]) <= known


def test_passwords_come_from_a_file_and_have_no_default(
    document: dict[str, Any], services: dict[str, Service]
) -> None:
    assert document["secrets"] == {"database_password": {"file": "./secrets/database_password"}}
    for service in services.values():
        assert service["secrets"] == ["database_password"]
        for name, value in service["environment"].items():
            if "PASSWORD" in name:
                assert name.endswith("_FILE")
                assert value == "/run/secrets/database_password"
    urls = re.findall(r"postgresql://\S+", read("compose.yaml"))
    assert urls == ["postgresql://lighttrap@database:5432/lighttrap"]
    assert "/secrets/" in read(".gitignore").splitlines()


def test_nothing_is_published_beyond_this_machine(services: dict[str, Service]) -> None:
    assert "ports" not in services["database"]
    for name in ("app", "app-gpu"):
        assert all(port.startswith("127.0.0.1:") for port in services[name]["ports"])


def test_containers_write_only_to_their_volumes(services: dict[str, Service]) -> None:
    assert all(service["read_only"] is True for service in services.values())
    for name in ("app", "app-gpu"):
        assert services[name]["cap_drop"] == ["ALL"]
    assert all("no-new-privileges:true" in service["security_opt"] for service in services.values())


def test_every_volume_is_declared_and_the_image_knows_its_place(
    document: dict[str, Any], services: dict[str, Service]
) -> None:
    named = {volume.split(":")[0] for service in services.values() for volume in service["volumes"]}
    assert named == set(document["volumes"])
    serve = stages(read("Dockerfile"))["serve"]
    (workdir,) = serve.of("WORKDIR")
    (data,) = serve.of("VOLUME")
    assert services["app"]["volumes"] == [f"data:{data}", f"store:{workdir}/models/store"]


def test_the_service_waits_for_a_healthy_database(services: dict[str, Service]) -> None:
    assert "pg_isready" in services["database"]["healthcheck"]["test"]
    assert services["app"]["depends_on"] == {"database": {"condition": "service_healthy"}}
    assert stages(read("Dockerfile"))["serve"].of("HEALTHCHECK")


def test_a_stop_waits_longer_than_running_requests_may_take(services: dict[str, Service]) -> None:
    grace = re.fullmatch(r"(\d+)s", services["app"]["stop_grace_period"])
    assert grace is not None
    fields = Settings.model_fields
    assert float(grace.group(1)) > fields["drain_notice_s"].default + fields["drain_s"].default
