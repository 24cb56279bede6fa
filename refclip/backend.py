"""Where arrays live: NumPy on the host, CuPy on a GPU. The only file that names CuPy."""

from __future__ import annotations

import contextlib
import sys
from typing import Any

import numpy as np

# An array of either kind. NumPy and CuPy share no base class, so the alias says what a reader needs to know, no more.
Array = Any


def xp_of(x: Array) -> Any:
    """Array namespace of `x`: `numpy`, `cupy`, or whatever its type names through `__array_namespace__`.

    Parameters
    ----------
    x : array
        NumPy or CuPy array, or a recorded variable (`refclip.autograd.Var`) around one.

    Returns
    -------
    module
        The namespace whose functions accept `x`.

    Raises
    ------
    TypeError
        `x` is not an array (a list, a torch tensor, a PIL image).
    """
    if isinstance(x, np.ndarray | np.generic):
        return np
    root = type(x).__module__.partition(".")[0]
    if root == "cupy":  # not through __array_namespace__: CuPy 12 and 13 answer with a stricter namespace there
        return sys.modules["cupy"]
    if root != "torch" and hasattr(x, "__array_namespace__"):
        return x.__array_namespace__()
    raise TypeError(f"expected a NumPy or CuPy array, found {type(x).__module__}.{type(x).__qualname__}")


def on_host(x: Array) -> bool:
    """Whether `x` is a NumPy array, so that host threads may share it."""
    return xp_of(x) is np


def to_device(x: Array, device: str = "cpu") -> Array:
    """Bring an array to `device`, "cpu" or "cuda".

    Raises
    ------
    RuntimeError
        "cuda" was asked for and CuPy or a GPU is missing; the text says which.
    """
    if device == "cpu":
        return to_numpy(x)
    return _cuda(device).asarray(x)


def to_numpy(x: Array) -> np.ndarray:
    """Bring an array to the host. CuPy arrays are copied; NumPy arrays are returned as they are."""
    return x.get() if hasattr(x, "get") else np.asarray(x)


def check_device(device: str) -> str:
    """Refuse a device that does not exist here before any work is done for it. Returns `device`.

    Raises
    ------
    ValueError
        The name is neither "cpu" nor "cuda".
    RuntimeError
        CuPy is not installed, or no GPU answers.
    """
    if device != "cpu":
        _cuda(device)
    return device


def _cuda(device: str) -> Any:
    """CuPy, once it is known to work here."""
    if device != "cuda":
        raise ValueError(
            f"device {device!r}: expected 'cpu' or 'cuda'; CUDA_VISIBLE_DEVICES chooses among several GPUs"
        )
    try:
        import cupy  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise RuntimeError(
            f"device {device!r} needs CuPy, which did not import ({error}); "
            "install it with: pip install 'refclip[cuda]', or use device 'cpu'"
        ) from error
    try:
        count = cupy.cuda.runtime.getDeviceCount()
    except Exception as error:  # cupy raises its own CUDARuntimeError, a class we cannot name without a GPU build
        raise RuntimeError(f"device {device!r}: CuPy finds no usable GPU ({error}); use device 'cpu'") from error
    if not count:
        raise RuntimeError(f"device {device!r}: CuPy finds no GPU; use device 'cpu'")
    return cupy


def erf(x: Array) -> Array:
    """Error function, elementwise; SciPy's on the host, CuPy's on a GPU (float64 GELU needs it)."""
    if type(x).__module__.partition(".")[0] == "cupy":
        from cupyx.scipy.special import erf as cuda_erf  # pyright: ignore[reportMissingImports]

        return cuda_erf(x)
    from scipy.special import erf as host_erf  # here, not above: importing scipy.special takes 0.2 s

    if isinstance(x, np.ndarray | np.generic):
        return host_erf(x)
    return xp_of(x).asarray(host_erf(to_numpy(x)))  # an array type that only behaves like a GPU's


def quiet(xp: Any) -> contextlib.AbstractContextManager[Any]:
    """Silence NumPy's overflow warnings where an overflow to infinity is the right answer. CuPy never warns."""
    return np.errstate(over="ignore") if xp is np else contextlib.nullcontext()
