"""The folder of visitors' files: the server's own, where the user wants it, swept at start and end, never too full."""

import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
from gradio.utils import get_upload_folder

from wildpdiff.errors import UserError
from wildpdiff.ui import folder
from wildpdiff.ui.folder import PREFIX, VARIABLE, YOUNG, folder_of_its_own, room

HOLD = """
import sys, time
from wildpdiff.ui.folder import folder_of_its_own
with folder_of_its_own() as made:
    (made.path / "photographs.zip").write_bytes(b"seen")
    print(made.path, flush=True)
    time.sleep(60)
"""


def _old(path: Path, *, size: int, age: float) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x" * size)
    os.utime(path, (time.time() - age,) * 2)
    return path


def test_gradio_keeps_files_in_a_folder_of_the_servers_own_until_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    with folder_of_its_own() as made:
        assert get_upload_folder() == str(made.path) and made.path.name.startswith(PREFIX)
        assert stat.S_IMODE(made.path.stat().st_mode) == 0o700
        (made.path / "sent").mkdir()
        (made.path / "sent" / "a.zip").write_bytes(b"seen")
    assert not made.path.exists() and VARIABLE not in os.environ


def test_it_lies_where_the_user_wants_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    wanted = tmp_path / "mine" / "new"
    monkeypatch.setenv(VARIABLE, str(wanted))
    with folder_of_its_own() as made:
        assert made.path.parent == wanted
    assert list(wanted.iterdir()) == [] and os.environ[VARIABLE] == str(wanted)


def test_two_servers_share_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    with folder_of_its_own() as first:
        monkeypatch.setenv(VARIABLE, str(tmp_path))
        with folder_of_its_own() as second:
            assert first.path.exists() and second.path.exists() and first.path != second.path
        assert first.path.exists()


@pytest.mark.slow
def test_what_a_killed_server_left_goes_when_the_next_one_starts(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    root = str(Path(__file__).parent.parent)
    command, given = [sys.executable, "-c", HOLD], {**os.environ, VARIABLE: str(tmp_path), "PYTHONPATH": root}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=given) as server:
        assert server.stdout is not None
        left = Path(server.stdout.readline().strip())
        monkeypatch.setenv(VARIABLE, str(tmp_path))
        with folder_of_its_own():
            assert left.exists()  # it is at work
        os.kill(server.pid, signal.SIGKILL)
    assert (left / "photographs.zip").exists()
    with folder_of_its_own() as made:
        assert not left.exists() and list(tmp_path.iterdir()) == [made.path]


def test_a_folder_of_somebody_else_is_left_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / f"{PREFIX}strange").mkdir()
    (tmp_path / "gradio").mkdir()
    (tmp_path / f"{PREFIX}link").symlink_to(tmp_path / "gradio")
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    with folder_of_its_own():
        pass
    assert {path.name for path in tmp_path.iterdir()} == {f"{PREFIX}strange", f"{PREFIX}link", "gradio"}


def test_where_nothing_can_be_written_the_variable_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv(VARIABLE, str(tmp_path / "file"))
    told = r"^Nothing can be written to .*; set GRADIO_TEMP_DIR to a folder .*\.$"
    with pytest.raises(UserError, match=told), folder_of_its_own():
        pass


def test_for_what_is_new_the_oldest_goes_but_nothing_that_is_young(tmp_path: Path) -> None:
    own = tmp_path / f"{PREFIX}x"
    oldest, old = _old(own / "a/1.zip", size=40, age=900), _old(own / "b/2.zip", size=40, age=600)
    young = _old(own / "c/3.zip", size=40, age=YOUNG / 2)
    assert room(own, 0, cap=120) and oldest.exists()
    assert room(own, 10, cap=120) and not oldest.parent.exists() and old.exists()
    assert not room(own, 100, cap=120) and not old.exists() and young.exists()


def test_a_folder_that_is_not_the_servers_own_is_never_emptied(tmp_path: Path) -> None:
    kept = _old(tmp_path / "a/1.zip", size=40, age=900)
    assert room(tmp_path, 100, cap=50) and kept.exists()


def test_the_cap_is_kept_without_any_further_upload(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    monkeypatch.setattr(folder, "EVERY", 0.05)
    monkeypatch.setattr(folder, "CAP", 50)
    with folder_of_its_own() as made:
        left = [_old(made.path / f"{place}/a.zip", size=40, age=600 - place) for place in range(3)]
        for _ in range(100):
            if sum(path.exists() for path in left) == 1:
                break
            time.sleep(0.05)
        assert [path.exists() for path in left] == [False, False, True]
