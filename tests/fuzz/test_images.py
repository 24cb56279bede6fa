"""A thousand damaged picture files: each is read whole or refused with an ImageError, and nothing else happens.

`python -m tests.fuzz.test_images 100000 42` tries as many as you like from another seed, and prints the outcomes.
"""

from __future__ import annotations

import collections
import io
import json
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path

import numpy as np
from PIL import Image

from refclip.decode import ImageError, read_image
from refclip.preprocess import Preprocess, preprocess

KINDS = ("flip bits", "truncate", "edit header", "swap", "delete", "repeat", "join", "extreme integer")
FORMATS = [
    ("PNG", "RGB", {}),
    ("PNG", "P", {"transparency": 3}),
    ("PNG", "I;16", {}),
    ("PNG", "LA", {}),
    ("JPEG", "RGB", {}),
    ("JPEG", "L", {"progressive": True}),
    ("JPEG", "CMYK", {}),
    ("GIF", "P", {}),
    ("BMP", "RGB", {}),
    ("BMP", "P", {}),
    ("TIFF", "RGB", {}),
    ("TIFF", "L", {"compression": "tiff_lzw"}),
    ("TIFF", "I;16", {"compression": "tiff_adobe_deflate"}),
    ("TIFF", "F", {}),
    ("WEBP", "RGB", {}),
    ("WEBP", "RGBA", {"lossless": True}),
]


def originals(rng: np.random.Generator) -> list[tuple[str, bytes]]:
    """Small sound files: half ramp, half noise, with EXIF where the format carries it."""
    ramp = np.linspace(0, 255, 24 * 31 * 3).reshape(24, 31, 3)
    picture = Image.fromarray(
        np.where(rng.random((24, 31, 3)) < 0.5, ramp, rng.uniform(0, 255, ramp.shape)).astype(np.uint8)
    )
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "maker"
    files = []
    for format, mode, options in FORMATS:
        if mode == "I;16":
            image = Image.fromarray(np.asarray(picture.convert("L"), np.uint16) * 257)
        elif mode == "F":
            image = Image.fromarray(np.asarray(picture.convert("L"), np.float32) / 255)
        else:
            image = picture.convert(mode)
        tagged = {"exif": exif} if format in ("JPEG", "PNG", "TIFF", "WEBP") else {}
        buffer = io.BytesIO()
        image.save(buffer, format, **options, **tagged)
        files.append((f"{format} {mode}", buffer.getvalue()))
    return files


def mutate(data: bytes, other: bytes, kind: str, rng: np.random.Generator) -> bytes:
    """Damage a file in one of the ways that files get damaged, or that somebody damages them."""
    out = bytearray(data)
    start, stop = sorted(int(i) for i in rng.integers(0, len(out) + 1, 2))
    header = min(96, len(out))
    if kind == "flip bits":
        for _ in range(int(rng.integers(1, 9))):
            out[rng.integers(len(out))] ^= 1 << int(rng.integers(8))
    elif kind == "truncate":
        del out[start:]
    elif kind == "edit header":
        for _ in range(int(rng.integers(1, 5))):
            out[rng.integers(header)] = int(rng.choice([0, 1, 0x7F, 0x80, 0xFF, int(rng.integers(256))]))
    elif kind == "swap":
        middle = (start + stop) // 2
        out[start:stop] = out[middle:stop] + out[start:middle]
    elif kind == "delete":
        del out[start : min(stop, start + 40)]
    elif kind == "repeat":
        out[stop:stop] = out[start:stop]
    elif kind == "join":
        out[start:] = other[int(rng.integers(len(other))) :]
    else:
        value = int(rng.choice([0, 1, 0x7FFF, 0xFFFF, 20_000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF]))
        width = 2 if value < 0x10000 and rng.random() < 0.5 else 4
        at = int(rng.integers(header - width))
        out[at : at + width] = value.to_bytes(width, "little" if rng.random() < 0.5 else "big")
    return bytes(out)


def attempt(path: Path) -> str:
    """Name what becomes of a file."""
    try:
        image = read_image(path)
        pixels, (geometry,) = preprocess(image, Preprocess((16, 16)))
    except ImageError as error:
        named = str(error).startswith((str(path), "images[0]"))
        return "refused" if named else f"an error that names no file: {error}"
    except Exception:
        return f"another error: {traceback.format_exc(limit=-4)}"
    if not (pixels.shape == (1, 3, 16, 16) and np.isfinite(pixels).all() and geometry.original == image.size[::-1]):
        return "wrong pixels"
    levels = np.asarray(image.convert("RGB"))
    return "read" if levels.dtype == np.uint8 and levels.shape == (*geometry.original, 3) else "no uint8 picture"


def run(count: int, seed: int) -> dict:
    """Outcomes of `count` damaged files, the slowest file's seconds, and up to five surprises."""
    rng = np.random.default_rng(seed)
    files = originals(rng)
    outcomes: dict[str, collections.Counter[str]] = collections.defaultdict(collections.Counter)
    surprises, slowest = [], 0.0
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "picture"
        for i in range(count):
            name, data = files[i % len(files)]
            kind = KINDS[i // len(files) % len(KINDS)]
            path.write_bytes(mutate(data, files[rng.integers(len(files))][1], kind, rng))
            start = time.perf_counter()
            outcome = attempt(path)
            slowest = max(slowest, time.perf_counter() - start)
            if outcome not in ("read", "refused"):
                surprises.append(f"file {i} ({name}, {kind}): {outcome}")
                outcome = "surprise"
            outcomes[name.split()[0]][outcome] += 1
            outcomes["all"][outcome] += 1
    return {"outcomes": outcomes, "slowest": slowest, "surprises": surprises[:5]}


def test_damaged_files_are_read_or_refused():
    # In a process of its own: a crash or a hang of a decoder must fail this test, not end the whole run. A Python
    # warning that leaks is an error there.
    command = [sys.executable, "-W", "error", "-m", "tests.fuzz.test_images", "1000", "0"]
    root = Path(__file__).parents[2]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    report = json.loads(done.stdout)
    print(json.dumps(report["outcomes"], indent=1))
    assert report["surprises"] == []
    assert sum(report["outcomes"]["all"].values()) == 1000
    # Both must happen, or the mutations were too tame or too wild to test anything.
    assert report["outcomes"]["all"]["refused"] >= 150 and report["outcomes"]["all"]["read"] >= 150
    assert report["slowest"] < 10


def test_sound_files_are_read(tmp_path):
    files = originals(np.random.default_rng(0))
    for name, data in files:
        (tmp_path / "picture").write_bytes(data)
        assert attempt(tmp_path / "picture") == "read", name
    assert len(files) == len(FORMATS)


if __name__ == "__main__":
    print(json.dumps(run(int(sys.argv[1]), int(sys.argv[2])), indent=1))
