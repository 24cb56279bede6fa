"""What the words of a command line mean: which files, which options of a method, which scale."""

from __future__ import annotations

import glob
import math
import os
import types
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Union, get_args, get_origin, get_type_hints

from refclip.decode import SUFFIXES
from refclip.methods import METHODS
from refclip.prompts import States

OVERLAY, MAP = ".overlay.png", ".map.npy"  # what `refclip score --out` adds to an image's name


def find_images(arguments: Sequence[str]) -> list[Path]:
    """Files that arguments of the command line mean, each once: files, folders, patterns.

    Overlays and maps that we have written are no images, unless they are named themselves: an output folder may lie
    among the images. What a pattern reaches over a link to a folder it reaches once.

    Raises
    ------
    ValueError
        An argument that means no file; the text says which.
    """
    found: dict[str, Path] = {}
    for argument in arguments:
        if not argument:  # Path("") is the current folder
            raise ValueError("an empty word among the paths; expected an image, a folder or a pattern")
        here = shown(argument)
        if Path(argument).exists():  # first, as a name may look like a pattern
            matches = [argument]
        elif glob.has_magic(argument):
            matches = glob.glob(argument, recursive=True)  # noqa: PTH207  (Path's takes no absolute pattern)
            matches = sorted(match for match in matches if not match.endswith((OVERLAY, MAP)))
            if not matches:
                raise ValueError(f"{here}: no file matches this pattern; ** stands for any subfolders")
        else:
            raise ValueError(f"{here}: no such file or folder; expected an image, a folder or a pattern")
        files = [file for match in matches for file in _files_of(Path(match))]
        if "**" in argument:  # a link back to a folder above would make it many
            files = list({file.parent.resolve() / file.name: file for file in reversed(files)}.values())[::-1]
        if not files:
            raise ValueError(
                f"{here}: no image directly inside (none of {', '.join(SUFFIXES)}); for those in subfolders give a "
                f"pattern in quotes: '{shown(str(Path(argument, '**', '*.png')))}'"
            )
        for file in files:
            found.setdefault(os.path.normcase(_absolute(file)), file)
    return list(found.values())


def not_empty(context: Any, parameter: Any, value: Any) -> Any:
    """For click, of a path: refuse an empty word, which would mean the current folder.

    Raises
    ------
    ValueError
        There is one; the text says after which option.
    """
    if "" in (value if isinstance(value, tuple) else (value,)):
        name = parameter.opts[0] if parameter.opts[0].startswith("-") else parameter.human_readable_name
        raise ValueError(f"{name}: an empty word; expected a path (is a variable not set?)")
    return value


def _files_of(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    return sorted(
        file
        for file in path.iterdir()
        if file.name.lower().endswith(SUFFIXES)
        and not file.name.startswith(".")
        and not file.name.endswith(OVERLAY)
        and not file.is_dir()  # a broken link too: whoever reads it says so
    )


def _absolute(path: Path) -> Path:
    return Path(os.path.abspath(path))  # noqa: PTH100  (resolve() would take two links to one file for one image)


def output_names(paths: Sequence[Path]) -> list[str]:
    """Name of each image's results below the output folder, without suffix, no two alike.

    It is the image's path below the deepest folder that holds all of them, so that test/good/000.png and
    test/bad/000.png become good/000 and bad/000. Where a.png and a.jpg lie side by side, they keep their suffixes.
    """
    absolute = [_absolute(path) for path in paths]
    try:
        top = os.path.commonpath([path.parent for path in absolute])
        files = [path.relative_to(top) for path in absolute]
    except ValueError:  # on two drives
        files = [Path(path.name) for path in absolute]
    alike = Counter(str(file.with_suffix("")).casefold() for file in files)
    names: dict[str, str] = {}  # as a file system that ignores case tells them apart -> as they are
    for file in files:
        plain = str(file.with_suffix(""))
        name = first = plain if alike[plain.casefold()] == 1 else str(file)
        count = 1
        while name.casefold() in names:
            count += 1
            name = f"{first}-{count}"
        names[name.casefold()] = name
    return list(names.values())


def names_of(texts: Sequence[str]) -> list[str] | None:
    """Categories from "a,b" texts; None, which means all, only if there is no text.

    Raises
    ------
    ValueError
        A text names none: an empty one, of a variable that was not set, must not mean all.
    """
    found = [[part for part in text.split(",") if part] for text in texts]
    if not all(found):
        raise ValueError("--categories: no name in it; expected NAME or NAME,NAME, or leave it out for all")
    return [part for parts in found for part in parts] or None


def parse_options(method: str, pairs: Sequence[str]) -> dict[str, Any]:
    """Options of a method from "key=value" texts, each by its type in the method's `Options`.

    Raises
    ------
    ValueError
        No such option, or no value of its type; the text lists what there is.
    """
    module, preset = METHODS[method]
    hints = {key: hint for key, hint in get_type_hints(module.Options).items() if key not in preset}
    options: dict[str, Any] = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        key = key.strip().replace("-", "_")
        if not equals or key not in hints:
            defaults = module.Options._field_defaults
            known = ", ".join(f"{k}={_typed(defaults[k])}" for k in hints)
            found = f"{method} has no option {key!r}" if equals else f"--option {pair!r} has no '='"
            raise ValueError(f"{found}; expected KEY=VALUE with one of these, here with their defaults: {known}")
        put(options, key, parse(key, text.strip(), hints[key]), f"--option {key}")
    return options


def parse(key: str, text: str, hint: Any) -> Any:
    """Read a text as one of the types that an option's annotation names; plain text is the last resort.

    Raises
    ------
    ValueError
        It is none of them; the message names the option and says what was expected.
    """
    kinds = get_args(hint) if get_origin(hint) in (types.UnionType, Union) else (hint,)
    expected = []
    if type(None) in kinds:
        if text.lower() == "none":
            return None
        expected.append("none")
    if bool in kinds:
        if text.lower() in ("true", "yes", "on", "1", "false", "no", "off", "0"):
            return text.lower() in ("true", "yes", "on", "1")
        expected.append("true or false")
    readers: tuple[tuple[Any, str, Callable[[str], Any]], ...] = (
        (int, "a whole number", int),
        (float, "a number", _finite),
        (tuple[int, ...], "whole numbers with commas between", _whole_numbers),
        (tuple[float, float], "two numbers with a comma between", _two_numbers),
    )
    for kind, what, read in readers:
        if kind in kinds:
            expected.append(what)
            try:
                return read(text)
            except ValueError:
                continue
    if str in kinds:
        return text
    if States in kinds:
        expected.append("words from a file: --states FILE")
    raise ValueError(f"--option {key}={text!r}: expected {' or '.join(expected)}")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(text)
    return value


def _whole_numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.strip("()").split(",") if part.strip())


def _two_numbers(text: str) -> tuple[float, float]:
    first, second = (_finite(part) for part in text.strip("()").split(","))
    return first, second


def _typed(value: Any) -> str:
    """Write a default as one would type it."""
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    return str(value).lower() if value is None or isinstance(value, bool) else str(value)


def put(options: dict[str, Any], key: str, value: Any, where: str) -> None:
    """Set an option that nothing has set before; `where` says who asks, if it must be refused."""
    if key in options:
        raise ValueError(f"{where}: {key} is given twice; expected it once, drop one")
    options[key] = value


def parse_scale(text: str, *, signed: bool = False, bounded: bool = True) -> tuple[float, float] | None:
    """Ends of the colours: None for "run", which the run must tell; [-1, 1] or [0, 1] for "fixed"; or two numbers.

    Raises
    ------
    ValueError
        It is none of these; or "fixed", where scores are not `bounded`.
    """
    if text == "run":
        return None
    if text == "fixed" and not bounded:
        raise ValueError("--scale fixed: the scores of this method have no fixed ends; give run, or two numbers")
    if text == "fixed":
        return (-1.0 if signed else 0.0), 1.0
    try:
        low, high = (float(part) for part in text.split(","))
    except ValueError:
        low = high = math.nan
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise ValueError(f"--scale {text!r}: expected run, fixed, or two numbers such as 0.1,0.6, the lower one first")
    return low, high


def shown(text: str) -> str:
    """Escape control characters: a file's name must neither break a line nor steer the terminal."""
    return "".join(c if c >= " " and not "\x7f" <= c <= "\x9f" else c.encode("unicode_escape").decode() for c in text)
