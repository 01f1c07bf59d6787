from pathlib import Path

import pytest

from app.settings import SettingsError, load_settings


@pytest.fixture
def env_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file that a service started here would read."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DATABASE_URL", raising=False)
    monkeypatch.delenv("LIGHTTRAP_PUBLIC_IDENTIFY", raising=False)
    return tmp_path / ".env"


@pytest.mark.parametrize(
    "line",
    [
        "LIGHTTRAP_PUBLIC_IDENTFY=false",
        "export LIGHTTRAP_PUBLIC_IDENTFY=false",
        "lighttrap_public_identfy=false",
        "LIGHTTRAP_PUBLIC_IDENTFY",
    ],
)
def test_a_misspelt_setting_in_the_env_file_stops_the_start_with_the_name_that_was_meant(
    env_file: Path, line: str
) -> None:
    env_file.write_text(f"LIGHTTRAP_PORT=8001\n{line}\n")
    with pytest.raises(SettingsError) as refusal:
        load_settings()
    assert str(refusal.value) == (
        "LIGHTTRAP_PUBLIC_IDENTFY is set, but there is no such setting: expected LIGHTTRAP_PUBLIC_IDENTIFY"
    )


def test_every_misspelt_setting_is_named_wherever_it_stands(
    env_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    env_file.write_text("LIGHTTRAP_PROT=8001\nLIGHTTRAP_HOTS=0.0.0.0\n")
    monkeypatch.setenv("LIGHTTRAP_PROT", "8002")
    monkeypatch.setenv("LIGHTTRAP_DATADIR", "var")
    with pytest.raises(SettingsError) as refusal:
        load_settings()
    named = [line.split(" ")[0] for line in str(refusal.value).splitlines()]
    assert named == ["LIGHTTRAP_DATADIR", "LIGHTTRAP_HOTS", "LIGHTTRAP_PROT"]


def test_what_is_other_programs_in_the_env_file_is_left_alone(env_file: Path) -> None:
    others = ("COMPOSE_PROJECT_NAME=moths", "PROT=1", "LIGHTTRAP_PUBLISH=8000", "LIGHTTRAP_PUBLISH_GPU=8001")
    env_file.write_text("\n".join((*others, "# LIGHTTRAP_PROT=1", "LIGHTTRAP_PUBLIC_IDENTIFY=false")))
    assert not load_settings().public_identify


def test_an_address_of_the_database_in_the_env_file_wins_over_the_platforms(
    env_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", "sqlite+aiosqlite:///platform.db")
    assert load_settings().database == "sqlite+aiosqlite:///platform.db"
    env_file.write_text("LIGHTTRAP_DATABASE_URL=sqlite+aiosqlite:///ours.db\n")
    assert load_settings().database == "sqlite+aiosqlite:///ours.db"


def test_an_env_file_that_is_no_text_is_refused_in_words(env_file: Path) -> None:
    env_file.write_bytes(b"LIGHTTRAP_PORT=8001 # \xe9\n")
    with pytest.raises(SettingsError, match=r"\.env is not UTF-8"):
        load_settings()
