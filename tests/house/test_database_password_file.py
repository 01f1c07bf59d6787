from pathlib import Path

import pytest
from sqlalchemy import make_url

from app.settings import SettingsError, load_settings

URL = "postgresql://moth@db:5432/lighttrap"


@pytest.fixture
def secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / "database_password"
    monkeypatch.delenv("DATABASE_URL", raising=False)
    monkeypatch.setenv("LIGHTTRAP_DATABASE_URL", URL)
    monkeypatch.setenv("LIGHTTRAP_DATABASE_PASSWORD_FILE", str(file))
    return file


def test_the_password_of_the_database_is_read_from_its_file(secret: Path) -> None:
    secret.write_text("p@ss/w:rd%20 #1\n")
    url = make_url(load_settings().database)
    assert (url.password, url.username, url.host, url.port, url.database) == (
        "p@ss/w:rd%20 #1",
        "moth",
        "db",
        5432,
        "lighttrap",
    )


@pytest.mark.parametrize("content", [None, "", " \n"])
def test_a_missing_or_empty_password_file_stops_the_start(secret: Path, content: str | None) -> None:
    if content is not None:
        secret.write_text(content)
    with pytest.raises(SettingsError, match="LIGHTTRAP_DATABASE_PASSWORD_FILE"):
        load_settings()


@pytest.mark.parametrize("url", ["", "sqlite:///moths.db", "postgresql://moth:other@db/lighttrap"])
def test_a_password_file_beside_a_url_that_cannot_use_it_stops_the_start(
    secret: Path, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    secret.write_text("from-the-file")
    monkeypatch.setenv("LIGHTTRAP_DATABASE_URL", url)
    with pytest.raises(SettingsError, match="without a password") as refusal:
        load_settings()
    assert "other" not in str(refusal.value)
    assert "from-the-file" not in str(refusal.value)
