"""An array in host memory that keeps CuPy's rules, so that code for the GPU is tested without one.

`DeviceArray` holds a NumPy array and refuses what CuPy refuses: becoming a NumPy array unasked, meeting a host array
in an operator or a function, lists where CuPy wants arrays, keywords and names that only NumPy has. `devicexp` is its
namespace, as `cupy` is that of a CuPy array: ``devicexp.asarray(host)`` uploads (always a copy), ``.get()`` downloads.

The rules were read in CuPy's sources (`cupy/_core/`: `core.pyx`, `_kernel.pyx`, `_scalar.pyx`,
`_routines_indexing.pyx`, `_routines_manipulation.pyx`); names and keywords come from its wheel, see `cupy_names.py`.

Where it is not CuPy. Stricter: ``np.sum(device)`` and ``np.exp(device)`` raise (CuPy answers them; the library's rule
is to call ``xp``); an index out of bounds raises (CuPy wraps round in silence); a host array is no value to assign,
also through an index array (CuPy uploads it there). Laxer: sums round as NumPy's do; an array of no dimensions used as
an index gives a view (CuPy copies); no kernel is compiled, so nothing is said of speed or memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from tests.cupy_names import SUBMODULES, cupy_names, shared, unknown_keywords

UPLOADS = ("array", "asarray", "asanyarray", "ascontiguousarray", "asfortranarray")
JOINS = ("concatenate", "concat", "stack", "vstack", "hstack", "dstack", "column_stack")
# NumPy answers these with a Python number, CuPy with an array of no dimensions (no wait for the GPU)
LAZY_SCALARS = ("allclose", "array_equal", "array_equiv", "count_nonzero")
# first parameters of these names take an array and nothing else, but for functions that ask about any object
ARRAY_PARAMETERS = ("a", "x", "m", "v", "arr", "ary", "array", "prototype")
ANY_OBJECT = ("ndim", "shape", "array_repr", "array_str")
# what CuPy wants as Python numbers: an array here would have to be fetched from the GPU first
HOST_PARAMETERS = ("shape", "newshape", "axis", "axes", "axis1", "axis2", "repeats", "reps", "pad_width", "shift")
# the one place for host arrays of no dimensions: np.float32(2) < x reaches x as such an array (numpy issue 12142)
COMPARISONS = (np.less, np.less_equal, np.greater, np.greater_equal, np.equal, np.not_equal)


def _lower(value: Any, name: str) -> Any:
    """The host arrays behind the device arrays in an argument; a host array is refused."""
    if isinstance(value, DeviceArray):
        return value._host
    if isinstance(value, np.ndarray):
        raise TypeError(
            f"{name}: found a NumPy array {value.shape} {value.dtype}, expected an array on the device or a number "
            "(CuPy: Unsupported type <class 'numpy.ndarray'>); upload it first with xp.asarray"
        )
    if type(value) in (list, tuple):
        return type(value)(_lower(item, name) for item in value)
    return value


def _lift(value: Any) -> Any:
    """Results on the device: also NumPy's scalars, which CuPy never returns."""
    if isinstance(value, np.ndarray | np.generic):
        return DeviceArray(np.asarray(value))
    if isinstance(value, list | tuple):
        return (list if isinstance(value, list) else tuple)(_lift(item) for item in value)
    return value


def _check(function: Any, name: str, args: tuple, kwargs: dict) -> None:
    """Refuse keywords that CuPy lacks, and lists and numbers where CuPy wants arrays."""
    if extra := unknown_keywords(name, kwargs):
        raise TypeError(f"xp.{name}: found {', '.join(extra)}, which CuPy's function does not take")
    first = (cupy_names()[name] or ("",))[:1]
    if isinstance(function, np.ufunc):
        wrong = [a for a in args if isinstance(a, list | tuple)]
    elif name in JOINS:
        wrong = [a for a in args[0] if not isinstance(a, DeviceArray)]
    elif first and first[0] in ARRAY_PARAMETERS and name not in ANY_OBJECT and not name.startswith("ndarray."):
        wrong = [a for a in args[:1] if not isinstance(a, DeviceArray | np.ndarray)]
    else:
        wrong = []
    for a in wrong:
        _lower(a if isinstance(a, np.ndarray) else None, name)  # a host array has a message of its own
        raise TypeError(f"xp.{name}: found {type(a).__qualname__}, expected an array on the device; use xp.asarray")


def _upload(source: Any, name: str) -> np.ndarray:
    if isinstance(source, DeviceArray):
        return source._host
    leaves = list(_leaves(source))
    on_device = sum(isinstance(leaf, DeviceArray) for leaf in leaves)
    if 0 < on_device < len(leaves):
        raise TypeError(
            f"{name}: found {on_device} arrays on the device among {len(leaves)} items, expected all or none"
        )
    return np.array(_lower(source, name) if on_device else source)  # a copy, as over the bus


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, list | tuple):
        for item in value:
            yield from _leaves(item)
    else:
        yield value


def _places(parameters: tuple[str, ...] | None, count: int) -> list[str]:
    """The parameter that each of `count` positional arguments fills, or '' where that is unknown."""
    places: list[str] = []
    for parameter in parameters or ():
        if parameter.startswith("*"):
            places += [parameter[1:]] * count
            break
        places.append(parameter)
    return (places + [""] * count)[:count]


def _wrap(function: Callable[..., Any], name: str) -> Callable[..., Any]:
    """A NumPy function, or a method of a NumPy array, under CuPy's rules."""

    def call(*args: Any, **kwargs: Any) -> Any:
        if name in UPLOADS and args:
            _check(function, name, (), kwargs)
            return _lift(function(_upload(args[0], name), *args[1:], **kwargs))
        _check(function, name, args, kwargs)
        places = _places(cupy_names()[name], len(args))
        low = [a if p in HOST_PARAMETERS else _lower(a, name) for p, a in zip(places, args, strict=True)]
        keywords = {k: v if k in HOST_PARAMETERS else _lower(v, name) for k, v in kwargs.items()}
        with np.errstate(all="ignore"):  # CuPy never warns
            result = function(*low, **keywords)
        if isinstance(kwargs.get("out"), DeviceArray):
            return kwargs["out"]
        return _lift(np.asarray(result) if name in LAZY_SCALARS else result)

    return call


def _binary(ufunc: np.ufunc, left: Any, right: Any, out: Any = None) -> Any:
    other = right if isinstance(left, DeviceArray) else left
    known = isinstance(other, DeviceArray | np.ndarray | np.generic | bool | int | float | complex)
    # a class that says so computes the result itself (a tape's variable does), as with NumPy and CuPy
    if not known and getattr(other, "__array_ufunc__", "absent") is None and out is None:
        return NotImplemented
    if ufunc in COMPARISONS:
        left, right = (v.item() if isinstance(v, np.ndarray) and v.ndim == 0 else v for v in (left, right))
    if not known:
        found = type(other).__qualname__
        raise TypeError(f"{ufunc.__name__}: found {found}, expected an array on the device or a number")
    keywords = {} if out is None else {"out": out._host}
    with np.errstate(all="ignore"):
        result = ufunc(_lower(left, ufunc.__name__), _lower(right, ufunc.__name__), **keywords)
    return _lift(result) if out is None else out


def _operators(ufunc: np.ufunc) -> tuple[Callable[..., Any], Callable[..., Any], Callable[..., Any]]:
    """``x + y``, ``y + x`` from the right, ``x += y``."""
    return (
        lambda self, other: _binary(ufunc, self, other),
        lambda self, other: _binary(ufunc, other, self),
        lambda self, other: _binary(ufunc, self, other, self),
    )


def _unary(ufunc: np.ufunc) -> Callable[..., Any]:
    return lambda self: _lift(ufunc(self._host))


def _property(name: str) -> Any:
    return property(lambda self: getattr(self._host, name))


class DeviceArray:  # noqa: PLW1641 - == is elementwise, so there is no hash, as with NumPy and CuPy
    """An array that acts as if it lay on a GPU. Made by `devicexp.asarray`; views share memory."""

    __slots__ = ("_host",)
    __array_priority__ = 100

    def __init__(self, host: np.ndarray) -> None:
        if host.dtype.kind not in "biufc" or host.dtype.char in "gG":
            raise TypeError(f"found dtype {host.dtype}, expected bool, int, uint, float or complex: CuPy has no other")
        self._host = host

    def get(self) -> np.ndarray:
        """A copy in host memory: the only way back."""
        return self._host.copy()

    def __array_namespace__(self) -> Any:  # CuPy's has none; `refclip.backend.xp_of` knows CuPy by its module
        return devicexp

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        raise TypeError("an array on the device is not a NumPy array; call .get() to copy it to the host")

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        raise TypeError(
            f"np.{function.__name__} got an array on the device; call xp.{function.__name__}, xp = xp_of(x)"
        )

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        # np.float32(2) * x arrives here; np.multiply(np.float32(2), x) cannot be told from it
        number = isinstance(inputs[0], np.generic)
        number |= ufunc in COMPARISONS and isinstance(inputs[0], np.ndarray) and inputs[0].ndim == 0
        if method == "__call__" and not kwargs and len(inputs) == 2 and number:
            return _binary(ufunc, *inputs)
        if any(isinstance(x, np.ndarray) for x in inputs):
            _lower(inputs, f"np.{ufunc.__name__}")
        raise TypeError(f"np.{ufunc.__name__} got an array on the device; call xp.{ufunc.__name__}, xp = xp_of(x)")

    def __getattr__(self, name: str) -> Any:
        full = f"ndarray.{name}"
        if name == "_host" or full not in cupy_names() or not hasattr(np.ndarray, name):
            raise AttributeError(f"no {name!r} here: NumPy's and CuPy's arrays do not both have that method")
        return _wrap(getattr(self._host, name), full)

    def _index(self, key: Any) -> tuple:
        parts = key if isinstance(key, tuple) else (key,)
        # a list or a host array is uploaded by CuPy, so it passes
        low = tuple(part._host if isinstance(part, DeviceArray) else part for part in parts)
        if sum(getattr(part, "dtype", None) == np.bool_ for part in low) > 1:
            raise IndexError("found several boolean arrays in one index, expected at most one: CuPy takes no more")
        return low if any(part is Ellipsis for part in low) else (*low, ...)  # the dots make x[0] a view, not a copy

    def __getitem__(self, key: Any) -> DeviceArray:
        return DeviceArray(self._host[self._index(key)])

    def __setitem__(self, key: Any, value: Any) -> None:
        if isinstance(value, np.ndarray) and value.ndim == 0:
            value = value.item()
        if isinstance(value, list | tuple):
            raise TypeError("x[...] = value: found a list or tuple, expected an array on the device or a number")
        self._host[self._index(key)] = _lower(value, "x[...] = value")

    def __iter__(self) -> Iterator[DeviceArray]:
        if self.ndim == 0:
            raise TypeError("iteration over an array of no dimensions")
        return (self[i] for i in range(len(self)))

    def __len__(self) -> int:
        return len(self._host)

    def __bool__(self) -> bool:
        return bool(self._host)

    def __int__(self) -> int:
        return int(self._host)

    def __float__(self) -> float:
        return float(self._host)

    def __repr__(self) -> str:
        return f"Device{self._host!r}"

    def __format__(self, spec: str) -> str:
        return format(self._host, spec)

    # properties that both arrays have; methods go through __getattr__
    shape: tuple[int, ...] = _property("shape")
    ndim: int = _property("ndim")
    dtype: np.dtype = _property("dtype")
    size: int = _property("size")
    itemsize: int = _property("itemsize")
    nbytes: int = _property("nbytes")
    strides: tuple[int, ...] = _property("strides")
    T: DeviceArray = property(lambda self: DeviceArray(self._host.T))  # type: ignore[assignment]

    __neg__ = _unary(np.negative)
    __pos__ = _unary(np.positive)
    __abs__ = _unary(np.absolute)
    __invert__ = _unary(np.invert)
    __add__, __radd__, __iadd__ = _operators(np.add)
    __sub__, __rsub__, __isub__ = _operators(np.subtract)
    __mul__, __rmul__, __imul__ = _operators(np.multiply)
    __truediv__, __rtruediv__, __itruediv__ = _operators(np.true_divide)
    __floordiv__, __rfloordiv__, __ifloordiv__ = _operators(np.floor_divide)
    __mod__, __rmod__, __imod__ = _operators(np.remainder)
    __pow__, __rpow__, __ipow__ = _operators(np.power)
    __and__, __rand__, __iand__ = _operators(np.bitwise_and)
    __or__, __ror__, __ior__ = _operators(np.bitwise_or)
    __xor__, __rxor__, __ixor__ = _operators(np.bitwise_xor)
    __lshift__, __rlshift__, __ilshift__ = _operators(np.left_shift)
    __rshift__, __rrshift__, __irshift__ = _operators(np.right_shift)
    __matmul__, __rmatmul__ = _operators(np.matmul)[:2]  # CuPy has no __imatmul__: `x @= y` makes a new array
    __lt__ = _operators(np.less)[0]
    __le__ = _operators(np.less_equal)[0]
    __gt__ = _operators(np.greater)[0]
    __ge__ = _operators(np.greater_equal)[0]
    __eq__ = _operators(np.equal)[0]
    __ne__ = _operators(np.not_equal)[0]


class _Namespace:
    """What NumPy and CuPy both have, for `DeviceArray`."""

    def __init__(self, module: Any, prefix: str = "") -> None:
        self._module, self._prefix = module, prefix
        self.__name__ = f"devicexp.{prefix}".rstrip(".")

    def __getattr__(self, name: str) -> Any:
        full = self._prefix + name
        if any(f"{sub}.".startswith(f"{full}.") for sub in SUBMODULES):
            return _Namespace(getattr(self._module, name), f"{full}.")
        if not shared(full):
            lacks = "CuPy" if hasattr(self._module, name) else "NumPy"
            raise AttributeError(f"xp.{full}: {lacks} has no such name, and `xp` may be either")
        value = getattr(self._module, name)
        if value is np.ndarray:
            return DeviceArray
        if isinstance(value, type):
            if issubclass(value, np.generic | np.dtype | np.finfo | np.iinfo | np.ndindex | Exception):
                return value
        elif callable(value):
            return _wrap(value, full)
        elif value is None or isinstance(value, float) or name in ("s_", "index_exp"):
            return value
        raise AttributeError(f"xp.{full}: not covered by this stand-in; use a plain function, or extend {__file__}")


devicexp = _Namespace(np)


def upload(tree: Any) -> Any:
    """The same nest of tuples, NamedTuples, lists and dicts with each NumPy array on the device: weights, say."""
    if isinstance(tree, np.ndarray):
        return devicexp.asarray(tree)
    if isinstance(tree, dict):
        return {key: upload(value) for key, value in tree.items()}
    if isinstance(tree, list | tuple):
        items = [upload(value) for value in tree]
        return type(tree)(*items) if hasattr(tree, "_fields") else type(tree)(items)
    return tree
