import json
import re
import shutil
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from app import cli
from app.settings import Settings, load_settings
from tests.serving import Server
from tests.tiny_bundle import write_tiny_bundle

PASSWORD = "a sentence about moths"


@pytest.fixture
def database_url(tmp_path: Path) -> str:
    """Commands are tried on SQLite alone; what they call is tested on both."""
    return f"sqlite:///{tmp_path / 'cli.db'}"


@pytest.fixture
def command(new_server: Callable[..., Server]) -> Server:
    """Settings to run commands with; nothing is started."""
    return new_server()


@pytest.fixture
def registered(command: Server, tmp_path: Path) -> Server:
    """A service that was started once, so that its models are registered."""
    command.start().kill()
    return command


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("PORT", "eighty", "valid integer"),
        ("PORT", "70000", "less than or equal to 65535"),
        ("DATABASE_URL", "mysql://root:secret@db/x", "postgresql:// or sqlite://"),
        ("PROVIDER", "gpu", "'auto', 'cpu', 'cuda' or 'tensorrt'"),
        ("DEFAULT_MODEL", "../etc", "pattern"),
        ("LOGIN_RATE", "many", "expected a rate such as '10/minute'"),
        ("BASE_URL", "moths.example.org", "https://moths.example.org"),
        ("MAX_BODY_BYTES", "2000", "at least LIGHTTRAP_MAX_PHOTO_BYTES"),
    ],
)
def test_a_wrong_setting_stops_the_start_with_its_name_value_and_what_was_expected(
    command: Server, name: str, value: str, expected: str
) -> None:
    command.settings[name] = value
    refused = command.run("serve")
    assert refused.returncode == 2
    assert f"LIGHTTRAP_{name}" in refused.stderr
    assert expected in refused.stderr
    assert (value in refused.stderr) is (name != "DATABASE_URL")
    assert "Traceback" not in refused.stderr


def test_a_misspelt_setting_is_named(command: Server) -> None:
    command.settings["PROT"] = "8000"
    refused = command.run("serve")
    assert refused.returncode == 2
    assert "LIGHTTRAP_PROT" in refused.stderr
    assert "expected LIGHTTRAP_PORT" in refused.stderr


def test_lists_have_commas_between(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIGHTTRAP_TRUSTED_HOSTS", "moths.example.org, *.example.net")
    assert load_settings().trusted_hosts == ("moths.example.org", "*.example.net")


def test_a_port_that_is_taken_is_told(command: Server) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        command.settings["PORT"] = str(taken.getsockname()[1])
        refused = command.run("serve")
    assert refused.returncode == 1
    assert f"LIGHTTRAP_PORT is {command.settings['PORT']}" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_provider_that_is_not_there_is_told(command: Server) -> None:
    command.settings["PROVIDER"] = "tensorrt"
    refused = command.run("serve")
    assert refused.returncode == 1
    assert "tensorrt" in refused.stderr.lower()
    assert "Traceback" not in refused.stderr


def test_a_data_folder_that_cannot_be_made_is_told(command: Server, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    command.settings["DATA_DIR"] = str(tmp_path / "file" / "var")
    refused = command.run("db", "upgrade")
    assert refused.returncode == 1
    assert str(tmp_path / "file") in refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_database_that_does_not_answer_is_told(command: Server, tmp_path: Path) -> None:
    command.settings["DATABASE_URL"] = f"postgresql:///none?host={tmp_path}"
    refused = command.run("db", "upgrade")
    assert refused.returncode == 1
    assert "cannot be reached" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_the_usual_name_of_the_database_is_understood(command: Server, tmp_path: Path) -> None:
    url = command.settings.pop("DATABASE_URL")
    command.extra["DATABASE_URL"] = url
    assert command.run("db", "upgrade").returncode == 0
    assert (tmp_path / "cli.db").exists()


def test_the_database_is_brought_up_to_date_once(command: Server) -> None:
    assert "(was: empty)" in command.run("db", "upgrade").stdout
    assert "(was" not in command.run("db", "upgrade").stdout


def test_an_admin_made_by_hand_ends_the_set_up(command: Server) -> None:
    link = command.run("admin", "setup-link")
    assert re.fullmatch(r"http://127\.0\.0\.1:8000/setup\?token=\S{43}\n", link.stdout)
    made = command.run("admin", "create", "Ana", given=f"{PASSWORD}\n")
    assert made.stdout == "ana is an admin.\n"
    again = command.run("admin", "create", "ana", given=f"{PASSWORD}\n")
    assert (again.returncode, again.stderr) == (1, "error: There is an account named ana already.\n")
    assert command.run("admin", "setup-link").returncode == 1


def test_people_are_invited_and_given_roles_from_the_shell(command: Server) -> None:
    link = command.run("admin", "invite", "--role", "reviewer")
    assert re.fullmatch(r"http://127\.0\.0\.1:8000/invitation\?token=\S{43}\n", link.stdout)
    command.run("admin", "create", "ana", given=f"{PASSWORD}\n")
    refused = command.run("admin", "role", "ana", "viewer")
    assert (refused.returncode, "ana is the only admin" in refused.stderr) == (1, True)
    assert command.run("admin", "list").stdout == "admin     ana\n"


def test_a_weak_password_is_refused_in_a_sentence(command: Server) -> None:
    refused = command.run("admin", "create", "ana", given="short\n")
    assert refused.returncode == 1
    assert refused.stderr == "error: password: expected 10 to 1024 characters\n"


def test_a_lost_password_is_replaced_from_the_shell(command: Server) -> None:
    command.run("admin", "create", "ana", given=f"{PASSWORD}\n")
    done = command.run("admin", "password", "Ana", given="another sentence about moths\n")
    assert (done.returncode, "logged out everywhere" in done.stdout) == (0, True)
    unknown = command.run("admin", "password", "ben", given="another sentence about moths\n")
    assert (unknown.returncode, unknown.stderr) == (1, "error: There is no account named 'ben'.\n")


def test_a_version_is_promoted_and_rolled_back_from_the_shell(registered: Server) -> None:
    listed = registered.run("model", "list").stdout.splitlines()
    assert [line.endswith("* epoch 1") for line in listed] == [True, True, False]
    promoted = registered.run("model", "promote", "tiny-moths", "1.1.0", "--reason", "Better.")
    assert promoted.stdout == "tiny-moths 1.1.0 is deployed, at epoch 2 (was 1.0.0).\n"
    stale = registered.run(
        "model", "promote", "tiny-moths", "1.0.0", "--reason", "x", "--expected-epoch", "1"
    )
    assert stale.returncode == 1
    assert "which made it epoch 2; you expected epoch 1" in stale.stderr
    back = registered.run("model", "rollback", "tiny-moths", "--reason", "Worse.")
    assert "tiny-moths 1.0.0 is deployed, at epoch 3" in back.stdout
    rows = json.loads(registered.run("model", "list", "--json").stdout)
    assert [(row["version"], row["epoch"]) for row in rows if row["deployed"]] == [("1.0.0", 1), ("1.0.0", 3)]


def test_the_gate_is_asked_and_overridden_from_the_shell(registered: Server, tmp_path: Path) -> None:
    store = Path(shutil.copytree(registered.settings["STORE"], tmp_path / "copy"))
    write_tiny_bundle(store, "tiny-moths", "1.2.0", seed=5)
    registered.settings["STORE"] = str(store)
    registered.start().kill()
    assert registered.run("model", "protect", "tiny-moths", "silentia_lutea").returncode == 0
    assert "silentia_lutea  by command line" in registered.run("model", "protected", "tiny-moths").stdout
    judged = registered.run("model", "judge", "tiny-moths", "1.2.0")
    assert judged.returncode == 1
    assert "refused: Recall of the tail falls from 62.5% to 31.2%" in judged.stdout
    promote = ("model", "promote", "tiny-moths", "1.2.0", "--reason", "Newer.")
    refused = registered.run(*promote)
    assert (refused.returncode, "1.2.0 was not promoted." in refused.stderr) == (1, True)
    assert registered.run(*promote, "--override", "The test photos were wrong.").returncode == 0
    assert "overridden" in registered.run("model", "history", "tiny-moths").stdout
    lines = registered.run("model", "history", "tiny-moths", "--csv").stdout.splitlines()
    promoted = [line for line in lines[1:] if ",added," not in line]
    assert (len(promoted), "The test photos were wrong." in promoted[0]) == (2, True)
    assert len(lines) == 6, "three versions were added"


def test_what_is_not_there_cannot_be_promoted(registered: Server) -> None:
    refused = registered.run("model", "promote", "tiny-moths", "9.9.9", "--reason", "x")
    assert (refused.returncode, "no version '9.9.9'" in refused.stderr) == (1, True)


def test_a_damaged_version_cannot_be_promoted(registered: Server, shared_store: Path, tmp_path: Path) -> None:
    store = shutil.copytree(shared_store, tmp_path / "copy")
    (store / "tiny-moths" / "1.1.0" / "model.onnx").write_bytes(b"")
    registered.settings["STORE"] = str(store)
    refused = registered.run("model", "promote", "tiny-moths", "1.1.0", "--reason", "x")
    assert (refused.returncode, "damaged or gone" in refused.stderr) == (1, True)


def test_a_key_is_shown_once_listed_and_revoked(command: Server) -> None:
    made = command.run("key", "create", "tablet", "--scope", "predict", "--days", "30")
    assert re.fullmatch(r"lt_\S{43}\n", made.stdout)
    (row,) = json.loads(command.run("key", "list", "--json").stdout)
    assert (row["name"], row["scopes"], row["revoked_at"]) == ("tablet", ["predict"], None)
    assert made.stdout.strip() not in command.run("key", "list").stdout
    assert command.run("key", "revoke", row["id"]).stdout == "Revoked.\n"
    assert command.run("key", "revoke", row["id"]).returncode == 1
    assert "revoked" in command.run("key", "list").stdout


@pytest.mark.parametrize(
    "arguments",
    [[], ["no-such-command"], ["model", "promote", "x"], ["key", "revoke", "7"], ["serve", "--fast"]],
)
def test_a_usage_error_has_its_own_exit_code(arguments: list[str]) -> None:
    assert CliRunner().invoke(cli.app, arguments).exit_code == 2


def commands(group: typer.Typer, *path: str) -> Iterator[list[str]]:
    for command in group.registered_commands:
        assert command.callback is not None
        yield [*path, command.name or command.callback.__name__]
    for below in group.registered_groups:
        assert below.typer_instance is not None
        yield from commands(below.typer_instance, *path, str(below.name))


def test_every_command_shows_an_example() -> None:
    found = list(commands(cli.app))
    assert ["serve"] in found
    assert ["model", "promote"] in found
    for command in found:
        shown = CliRunner().invoke(cli.app, [*command, "--help"]).output
        assert f"python -m app {' '.join(command)}" in shown, command
        assert "Example:" in shown


def test_every_setting_says_what_it_is() -> None:
    for name, field in Settings.model_fields.items():
        assert field.description, name


def test_checklists_are_tried_out_added_listed_and_ended(registered: Server, tmp_path: Path) -> None:
    file = tmp_path / "meadow.csv"
    file.write_text("scientific_name,weeks\nAurelia viridis,20-30\nCandela striatta,\n")
    words = ("checklist", "add", "tiny-moths", str(file), "--name", "meadow")
    place = ("--latitude", "47.2", "--longitude", "11.4", "--radius-km", "20")
    tried = registered.run(*words, *place, "--dry-run")
    assert "1 of 2 names are species of tiny-moths 1.0.0 (7 species)." in tried.stdout
    assert "row 3: Candela striatta is not one of them; nearest: Candela striata" in tried.stdout
    assert "Nothing was kept." in tried.stdout
    half = registered.run(*words, "--latitude", "47.2")
    assert half.returncode == 1
    assert "give all three or none" in half.stderr
    assert "revision 1, is in use" in registered.run(*words, *place).stdout
    again = registered.run(*words, *place)
    assert (again.returncode, "already" in again.stderr) == (1, True)
    assert "revision 2, is in use" in registered.run(*words, "--replace").stdout
    (entry,) = json.loads(registered.run("checklist", "list", "tiny-moths", "--json").stdout)
    assert (entry["name"], entry["place"], entry["num_species"]) == ("meadow", None, 2)
    assert entry["created_by"].startswith("command line (")
    assert (
        "20 km around 47.2, 11.4, ended"
        in registered.run("checklist", "list", "tiny-moths", "--ended").stdout
    )
    assert "is not used any more" in registered.run("checklist", "end", "tiny-moths", "meadow").stdout
    assert registered.run("checklist", "end", "tiny-moths", "meadow").returncode == 1
    missing = registered.run("checklist", "add", "tiny-moths", str(tmp_path / "no.csv"), "--name", "x")
    assert (missing.returncode, "Traceback" in missing.stderr) == (1, False)
