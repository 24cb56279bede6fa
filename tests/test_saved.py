"""Learned parameters as files: the same nest back, the same bytes, and a clear error for anything else."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

import numpy as np
import pytest
from safetensors.numpy import save_file

import refclip
from refclip import saved
from refclip.checkpoint import WeightsError
from refclip.nn import Linear


class Nest(NamedTuple):
    """Every kind of branch, and leaves that are no arrays."""

    layers: dict[int, Linear]
    pair: tuple[Any, ...]
    name: str | None
    count: int


def nest(scale=1.0, dtype=np.float32):
    rng = np.random.default_rng(0)

    def some(*shape):
        return (scale * rng.normal(size=shape)).astype(dtype)

    return Nest({6: Linear(some(3, 2), some(3)), 12: Linear(some(1, 2), some(1))}, (some(4), None, [some()]), None, 7)


NAMES = ["layers.6.weight", "layers.6.bias", "layers.12.weight", "layers.12.bias", "pair.0", "pair.2.0"]


def test_a_nest_comes_back(tmp_path):
    tree, about = nest(), {"options": Linear((1, 2), "ü"), "curve": [0.1, 1 / 3]}
    assert [name for name, _ in saved.named(tree)] == NAMES
    saved.save(tmp_path / "a", tree, about)
    tensors, told = saved.read(tmp_path / "a")
    assert told == {"options": {"weight": [1, 2], "bias": "ü"}, "curve": [0.1, 1 / 3]}
    assert set(tensors) == set(NAMES)
    back = saved.filled(nest(0.0, np.float64), tensors, "a")
    assert (type(back), type(back.layers[6]), back.name, back.count) == (Nest, Linear, None, 7)
    for (name, x), (_, y) in zip(saved.named(back), saved.named(tree), strict=True):
        assert x.dtype == np.float64
        np.testing.assert_array_equal(x, y, err_msg=name)
    (tmp_path / "a").unlink()
    assert back.pair[0].flags.writeable  # and does not live on the file


def test_the_same_makes_the_same_bytes(tmp_path):
    about = {f"key {i}": i for i in range(20)}
    for i, (tree, told) in enumerate([(nest(), about), (nest(), dict(reversed(about.items()))), (nest(2.0), about)]):
        saved.save(tmp_path / f"{i}", tree, told)
    assert (tmp_path / "0").read_bytes() == (tmp_path / "1").read_bytes() != (tmp_path / "2").read_bytes()


def test_what_does_not_fit_is_named(tmp_path):
    saved.save(tmp_path / "a", nest(), {})
    tensors, _ = saved.read(tmp_path / "a")
    wrong = nest()._replace(pair=(np.zeros(5), None, [np.zeros(())]))
    with pytest.raises(WeightsError, match=r"here: pair\.0: found shape \(4,\), expected shape \(5,\)"):
        saved.filled(wrong, tensors, "here")
    more = nest()._replace(pair=(*nest().pair, np.zeros(2)))
    with pytest.raises(WeightsError, match=r"pair\.3: found no such tensor"):
        saved.filled(more, tensors, "here")


@pytest.mark.parametrize(
    ("metadata", "match"),
    [
        (None, "has no 'refclip'"),
        ({"format": "np"}, "has no 'refclip'"),
        ({"refclip": "{"}, "not valid JSON"),
        ({"refclip": "[1]"}, "is list"),
    ],
)
def test_other_files_are_refused(tmp_path, metadata, match):
    save_file({"x": np.ones(3)}, tmp_path / "a", metadata=metadata)
    with pytest.raises(WeightsError, match=match):
        saved.read(tmp_path / "a")


def test_broken_files_are_refused(tmp_path):
    saved.save(tmp_path / "a", nest(np.inf), {})
    with pytest.raises(WeightsError, match="NaN or infinity"):
        saved.read(tmp_path / "a")
    (tmp_path / "b").write_bytes(b"PK\x03\x04 a pickle, for one")
    with pytest.raises(WeightsError):
        saved.read(tmp_path / "b")
    with pytest.raises(ValueError, match="not JSON compliant"):
        saved.save(tmp_path / "c", nest(), {"loss": float("nan")})
    assert not (tmp_path / "c").exists()


def test_a_name_that_is_no_text_in_the_metadata_is_no_crash(tmp_path):
    """The safetensors library refuses it with an error of its own kind."""
    header = b'{"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"__metadata__":{"\\ud800":"a"}}'
    (tmp_path / "x").write_bytes(len(header).to_bytes(8, "little") + header + b"\0\0\0\0")
    with pytest.raises(WeightsError, match="its metadata has no"):
        saved.read(tmp_path / "x")


def test_a_model_is_known_in_any_type(small, small_folder, mini):
    single = refclip.load(small_folder, dtype="float32")
    assert saved.mark(small) == saved.mark(single) != saved.mark(mini)
    about = json.loads(json.dumps(saved.about_model(single, "vand")))
    saved.check_model(small, about, "vand", "here")
    with pytest.raises(WeightsError, match="here: learned by 'vand', expected 'coop'"):
        saved.check_model(small, about, "coop", "here")
    with pytest.raises(WeightsError, match="not those of 'refclip-mini'"):
        saved.check_model(mini, about, "vand", "here")
