"""Files that are there whole or not at all, and folders that one run writes to at a time."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys

import pytest

from refclip.files import claimed, whole_file


def test_what_could_not_be_written_is_named(tmp_path):
    """A write to a full disk does not say which file it was."""
    (tmp_path / "a").write_text("before")
    with pytest.raises(OSError, match="No space left") as caught, whole_file(tmp_path / "a") as file:
        file.write(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")
    assert (caught.value.errno, caught.value.filename) == (errno.ENOSPC, str(tmp_path / "a"))
    assert (tmp_path / "a").read_text() == "before"
    with pytest.raises(OSError, match="File name too long") as caught, whole_file(tmp_path / ("a" * 999)):
        pass
    assert caught.value.filename == str(tmp_path / ("a" * 999))
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_the_error_of_another_file_stays_its_own(tmp_path):
    with pytest.raises(FileNotFoundError) as caught, whole_file(tmp_path / "a") as file:
        file.write((tmp_path / "other").read_bytes())
    assert caught.value.filename == str(tmp_path / "other")
    assert not list(tmp_path.iterdir())


needs_locks = pytest.mark.skipif(
    sys.platform == "win32", reason="Windows cannot lock a folder; `claimed` says that it keeps nobody out there"
)


@needs_locks
def test_a_folder_is_claimed_by_one_at_a_time(tmp_path):
    folder = tmp_path / "new" / "folder"
    refused = pytest.raises(OSError, match="another run is writing there; wait until")
    with claimed(folder), refused as caught, claimed(folder):
        pytest.fail("claimed twice")
    assert caught.value.filename == str(folder)
    with claimed(folder), claimed(tmp_path):
        assert list(folder.iterdir()) == []  # nothing of ours in it


@needs_locks
def test_a_killed_run_claims_no_more(tmp_path):
    code = f"from refclip.files import claimed\nwith claimed({str(tmp_path)!r}):\n print(flush=True)\n input()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        with pytest.raises(OSError, match="another run"), claimed(tmp_path):
            pytest.fail("claimed twice")
        os.kill(child.pid, signal.SIGKILL)
    with claimed(tmp_path):
        pass
