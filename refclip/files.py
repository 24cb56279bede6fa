"""A file that is there whole or not at all, and a folder that one run writes to at a time."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


@contextmanager
def whole_file(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Write a file under another name in its folder, which is made if need be, and rename it when all is written.

    No reader ever sees half of it, and an error or Ctrl-C leaves what was there before.

    Raises
    ------
    OSError
        The folder or the file cannot be written, and it names which; nothing is left behind.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{secrets.token_hex(8)}.part")
    try:
        with partial.open("xb") as file:
            yield file
        partial.replace(path)
    except OSError as error:
        if error.errno is None or error.filename not in (None, str(partial)):
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error  # a full disk does not say which file
    finally:
        partial.unlink(missing_ok=True)  # gone already after the rename


@contextmanager
def claimed(folder: str | os.PathLike[str], *, wait: bool = False) -> Iterator[None]:
    """Keep other runs that claim it out of a folder, which is made if need be. A run that was killed claims no more.

    Where the system cannot lock a folder (Windows, some network disks), nobody is kept out.

    Parameters
    ----------
    folder : path
    wait : bool
        Wait until the other run is done; else it is an error.

    Raises
    ------
    OSError
        Another run has claimed it, or it cannot be made.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    try:
        import fcntl
    except ImportError:
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError as error:
            what = "another run is writing there; wait until it is done, or write elsewhere"
            raise OSError(error.errno, what, str(folder)) from error
        except OSError:  # no locks on this disk
            pass
        yield
    finally:
        os.close(handle)
