"""What the pickle of a `.pth` file says, without running it.

A pickle is a program; Python's unpickler runs it, and may be told to call anything. This reader does not run it. It
goes through the opcodes (`pickletools.genops` splits them, and does no more) with a stack of its own, on which there
are numbers, texts, lists, tuples, dicts, and three things that have a name:

    collections.OrderedDict                      called without arguments: an empty dict
    torch.FloatStorage and its like              named, never called
    torch._utils._rebuild_tensor_v2              called: a `Tensor`, which says where numbers are

Every other name, every other opcode and every other call ends the reading with an error.
"""

from __future__ import annotations

import pickletools
import warnings
from typing import Any, NamedTuple, cast

from refclip.checkpoint import shown

# PyTorch's storages -> NumPy's types; bfloat16 as its bits, see `checkpoint`
STORAGES = {
    "DoubleStorage": "<f8", "FloatStorage": "<f4", "HalfStorage": "<f2", "BFloat16Storage": "<u2", "LongStorage": "<i8",
    "IntStorage": "<i4", "ShortStorage": "<i2", "CharStorage": "i1", "ByteStorage": "u1", "BoolStorage": "?",
}  # fmt: skip
NAMES = {"collections OrderedDict", "torch._utils _rebuild_tensor_v2", *(f"torch {name}" for name in STORAGES)}
MAX_AXES = 8


class Named(NamedTuple):
    """A name that is on the list: it stands for itself and is never imported."""

    name: str


class Storage(NamedTuple):
    """Where numbers are."""

    kind: str  # a key of STORAGES
    key: str  # NAME/data/<key>
    length: int


class Tensor(NamedTuple):
    """A view of a storage, in numbers of elements."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class Refused(ValueError):
    """What stands in a pickle and has no business there."""


def run(raw: bytes) -> Any:
    """What a pickle says, as numbers, texts, tuples, lists, dicts and `Tensor`.

    Raises
    ------
    Refused
        It says more than that, or is no pickle.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of an escape that is none, in a damaged text
        return _run(raw)


def _run(raw: bytes) -> Any:
    stack: list[Any] = []
    marks: list[int] = []
    memo: dict[int, Any] = {}

    def since_mark() -> list[Any]:
        start = marks.pop()
        items = stack[start:]
        del stack[start:]
        return items

    try:
        for opcode, found, place in pickletools.genops(raw):
            name, arg = opcode.name, cast(Any, found)
            if marks and len(stack) < marks[-1]:
                raise Refused(f"its pickle is damaged: {name} at byte {place} reaches below a mark")
            if name in ("PROTO", "POP_MARK"):
                if name == "POP_MARK":
                    since_mark()
            elif name == "MARK":
                marks.append(len(stack))
            elif name in CONSTANTS:
                stack.append(CONSTANTS[name])
            elif name in LITERALS:
                stack.append(arg)
            elif name in ("EMPTY_DICT", "EMPTY_LIST"):
                stack.append({} if name == "EMPTY_DICT" else [])
            elif name == "TUPLE":
                stack.append(tuple(since_mark()))
            elif name in TUPLES:
                n = TUPLES[name]
                items = [stack.pop() for _ in range(n)][::-1]
                stack.append(tuple(items))
            elif name in ("APPEND", "APPENDS"):
                items = since_mark() if name == "APPENDS" else [stack.pop()]
                _of(stack[-1], list, name).extend(items)
            elif name in ("SETITEM", "SETITEMS"):
                items = since_mark() if name == "SETITEMS" else [stack.pop() for _ in range(2)][::-1]
                _fill(_of(stack[-1], dict, name), items)
            elif name in ("BINPUT", "LONG_BINPUT", "PUT"):
                memo[int(arg)] = stack[-1]
            elif name in ("BINGET", "LONG_BINGET", "GET"):
                stack.append(memo[int(arg)])
            elif name == "GLOBAL":
                if arg not in NAMES:
                    raise Refused(f"its pickle asks for {shown(str(arg).replace(' ', '.'))}, which is not a tensor")
                stack.append(Named(str(arg)))
            elif name == "BINPERSID":
                stack.append(_storage(stack.pop()))
            elif name == "REDUCE":
                arguments, callee = stack.pop(), stack.pop()
                stack.append(_call(callee, arguments))
            elif name == "BUILD":  # a state_dict's _metadata
                state = stack.pop()
                if not isinstance(stack[-1], dict) or not isinstance(state, dict):
                    raise Refused(f"its pickle changes the state of a {type(stack[-1]).__name__} (BUILD)")
            elif name == "STOP":
                if len(stack) != 1 or marks:
                    raise Refused(f"its pickle ends with {len(stack)} things, expected one")
                return stack[0]
            else:
                raise Refused(f"its pickle has the opcode {name} at byte {place}, which no tensor needs")
    except Refused:
        raise
    except (ValueError, KeyError, IndexError, TypeError, OverflowError, MemoryError) as error:
        raise Refused(f"its pickle is damaged ({shown(str(error))})") from error
    raise Refused("its pickle has no end")


CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}
LITERALS = {"BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "BINUNICODE", "SHORT_BINUNICODE"}
TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


def _of(x: Any, kind: type, name: str) -> Any:
    if type(x) is not kind:
        raise Refused(f"its pickle fills a {type(x).__name__} where a {kind.__name__} belongs ({name})")
    return x


def _fill(into: dict[Any, Any], items: list[Any]) -> None:
    if len(items) % 2 or any(type(key) is not int and not (type(key) is str and len(key) < 1000) for key in items[::2]):
        raise Refused("its pickle has a dict whose keys are no numbers, and no texts of less than 1000 characters")
    into.update(zip(items[::2], items[1::2], strict=True))


def _storage(x: Any) -> Storage:
    """("storage", type, key, device, count), as torch.save writes it."""
    if not (
        isinstance(x, tuple)
        and len(x) == 5
        and x[0] == "storage"
        and type(x[1]) is Named
        and x[1].name.partition(" ")[2] in STORAGES
        and type(x[2]) is str
        and x[2].isascii()
        and x[2].isdigit()
        and _count(x[4])
    ):
        raise Refused(f"its pickle has numbers at a {type(x).__name__}, expected a storage of a known type")
    return Storage(x[1].name.partition(" ")[2], x[2], x[4])


def _call(callee: Any, arguments: Any) -> Any:
    name = callee.name if type(callee) is Named else type(callee).__name__
    if name == "collections OrderedDict" and arguments == ():
        return {}
    if name == "torch._utils _rebuild_tensor_v2" and type(arguments) is tuple and len(arguments) in (6, 7):
        storage, offset, shape, strides = arguments[:4]
        sides = type(shape) is tuple and type(strides) is tuple and len(shape) == len(strides) <= MAX_AXES
        if type(storage) is Storage and sides and all(map(_count, (offset, *shape, *strides))):
            return Tensor(storage, offset, shape, strides)
    raise Refused(f"its pickle calls {shown(name.replace(' ', '.'))} in another way than torch.save writes")


def _count(x: Any) -> bool:
    return type(x) is int and 0 <= x < 2**48
