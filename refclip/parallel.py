"""A batch split over threads, BLAS held to one thread each.

For a batch this beats BLAS's own threads by 10 to 15%: the work between the matrix products (softmax, GELU, layer norm)
is then parallel too, and each thread's temporaries stay in its own core's cache. NumPy releases Python's lock inside
its loops, so threads suffice.
"""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from refclip.autograd import Var
from refclip.backend import Array, on_host, xp_of

ROWS = 512  # tokens that one piece of a batch should hold: fewer, and BLAS repacks the weights too often
SPLIT_FROM = 64  # tokens a thread should have: with fewer, each product costs more than the threads save


class _Blas:
    """The BLAS libraries of this process, and how many callers want each of them on one thread.

    Their thread count is a setting of the whole process. Callers may overlap (a server's threads), so the first to come
    sets it and the last to leave restores it; restoring one by one would leave it at 1.
    """

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.callers = 0
        self.limiter: Any = None

    @functools.cached_property
    def libraries(self) -> Any:
        from threadpoolctl import ThreadpoolController  # finding the libraries takes milliseconds: once

        return ThreadpoolController()

    def __enter__(self) -> None:
        with self.lock:
            if self.callers == 0:
                self.limiter = self.libraries.limit(limits=1, user_api="blas")
            self.callers += 1

    def __exit__(self, *_: object) -> None:
        with self.lock:
            self.callers -= 1
            if self.callers == 0:
                self.limiter.restore_original_limits()


one_blas_thread = _Blas()


def default_threads() -> int:
    """Processors this process may use: those it may run on, or fewer if the variables that BLAS obeys say so."""
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    for name in ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS"):
        limit = os.environ.get(name, "")
        if limit.isdecimal() and int(limit) > 0:
            return min(available, int(limit))
    return available


def map_batch(f: Callable[..., Any], *arrays: Array, size: int = 1, threads: int | None = None) -> Any:
    """f(*arrays), computed in pieces along the first axis.

    Parameters
    ----------
    f : callable
        Takes arrays with a first axis of length b, returns an array, or nested tuples and dicts of arrays, each with a
        first axis of length b. It must treat the items of a batch independently.
    *arrays : array [b, ...]
    size : int
        Items in one piece. Small pieces stay in cache, but BLAS repacks the weights for each.
    threads : int, optional
        At most this many at a time; all available processors by default.

    Returns
    -------
    The results, concatenated along the first axis.
    """
    b = arrays[0].shape[0]
    pieces = -(-b // size)
    if pieces <= 1 or any(type(a) is Var for a in arrays):  # a tape is one computation: it is not split
        return f(*arrays)
    spans = [slice(i, i + size) for i in range(0, b, size)]
    return join(map_jobs(lambda span: f(*(a[span] for a in arrays)), spans, arrays[0], threads))


def map_jobs(f: Callable[[Any], Any], jobs: Sequence[Any], like: Array, threads: int | None = None) -> list[Any]:
    """[f(job) for job in jobs], over threads if `like`, an array the jobs work on, lives on the host."""
    threads = min(default_threads() if threads is None else threads, len(jobs))
    if threads <= 1 or type(like) is Var or not on_host(like):
        return [f(job) for job in jobs]
    with one_blas_thread, ThreadPoolExecutor(threads) as pool:
        return list(pool.map(f, jobs))


def whole(f: Callable[[Array], Any], x: Array) -> Any:
    """f(x): the way not to split tokens."""
    return f(x)


@contextmanager
def token_threads(tokens: int, like: Array, threads: int) -> Iterator[Callable[[Callable[[Array], Any], Array], Any]]:
    """A way to compute f(x), x [b, n, ...], with the tokens shared out over threads: for a batch too small to split.

    Yields
    ------
    callable
        Takes f and x. f must treat tokens independently and return arrays [b, n, ...], or tuples of them. Where
        threads would not pay (a GPU, few tokens), it is `whole`, and BLAS's own threads do what they can.
    """
    if threads <= 1 or tokens < SPLIT_FROM * threads or type(like) is Var or not on_host(like):
        yield whole
        return
    with one_blas_thread, ThreadPoolExecutor(threads) as pool:

        def split(f: Callable[[Array], Any], x: Array) -> Any:
            step = -(-x.shape[1] // threads)
            return join(list(pool.map(f, [x[:, i : i + step] for i in range(0, x.shape[1], step)])), axis=1)

        yield split


def join(parts: list[Any], axis: int = 0) -> Any:
    """Concatenate the arrays inside equally built results along `axis`."""
    first = parts[0]
    if isinstance(first, dict):
        return {key: join([part[key] for part in parts], axis) for key in first}
    if isinstance(first, tuple):
        joined = [join([part[i] for part in parts], axis) for i in range(len(first))]
        return type(first)(*joined) if hasattr(first, "_fields") else tuple(joined)
    if first is None:
        return None
    return xp_of(first).concatenate(parts, axis=axis)


def piece(items: int, rows: int, like: Array, threads: int) -> int:
    """Items of a batch to compute at once, each of them `rows` tokens: about `ROWS` on the host, all on a GPU."""
    return even(items, max(1, ROWS // rows), threads) if on_host(like) else items


def even(items: int, most: int, pieces: int) -> int:
    """Items in one piece: at most `most`, and few enough that each of `pieces` threads gets its share."""
    count = max(-(-items // most), min(pieces, items), 1)
    count = -(-count // pieces) * pieces if count < items else count  # a multiple, so that no thread idles at the end
    return -(-items // count)
