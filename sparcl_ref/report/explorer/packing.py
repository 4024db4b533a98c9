"""A recording as few bytes, and back; the page's script reads the same bytes (``assets/record.js``).

One block, deflated: a number of 4 bytes (little-endian), that many bytes of JSON, and the sections that the JSON places
by name under "sections", each as ``[start, length]`` counted from behind the JSON. What changes little over time is
stored as what changes: each moment's bytes are combined by exclusive or with those of the moment before, which leaves
zeros for the deflating to take away.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np

SIZE = 4
#: Stands for none among numbers of two bytes.
NONE = 0xFFFF


def pack(header: Mapping[str, Any], sections: Mapping[str, bytes]) -> bytes:
    """Everything in one block."""
    places, start = {}, 0
    for name, content in sections.items():
        places[name] = [start, len(content)]
        start += len(content)
    text = json.dumps({**header, "sections": places}, separators=(",", ":"), allow_nan=False).encode("utf-8")
    return zlib.compress(len(text).to_bytes(SIZE, "little") + text + b"".join(sections.values()), 9)


def unpack(block: bytes) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Header and sections of what `pack` made."""
    content = zlib.decompress(block)
    behind = SIZE + int.from_bytes(content[:SIZE], "little")
    header = json.loads(content[SIZE:behind])
    places = header.pop("sections")
    return header, {name: content[behind + start :][:length] for name, (start, length) in places.items()}


def from_flags(flags: np.ndarray) -> bytes:
    """Truth values of T moments, shape (T, n): eight to a byte, a new byte for each moment, as changes."""
    return _changes(np.packbits(flags, axis=1))


def to_flags(content: bytes, moments: int, count: int) -> np.ndarray:
    """What `from_flags` had."""
    rows = _undone(np.frombuffer(content, np.uint8).reshape(moments, -(-count // 8)))
    return np.unpackbits(rows, axis=1, count=count).astype(bool)


def from_numbers(numbers: np.ndarray) -> bytes:
    """Whole numbers of T moments, shape (T, n), 0 .. 65534 or -1 for none: two bytes each, as changes."""
    if numbers.size and not (numbers.min() >= -1 and numbers.max() < NONE):
        raise ValueError(f"numbers must lie in -1..{NONE - 1}, got {numbers.min()}..{numbers.max()}")
    stored = np.where(numbers < 0, NONE, numbers).astype("<u2")
    return _changes(stored.view(np.uint8).reshape(len(numbers), 2 * numbers.shape[1]))


def to_numbers(content: bytes, moments: int, count: int) -> np.ndarray:
    """What `from_numbers` had."""
    rows = _undone(np.frombuffer(content, np.uint8).reshape(moments, 2 * count))
    stored = np.ascontiguousarray(rows).view("<u2").astype(np.int64)
    return np.where(stored == NONE, -1, stored)


def from_living(values: np.ndarray, alive: np.ndarray, *, bits: int) -> bytes:
    """Small numbers of the living entries alone, in order, ``bits`` (1, 2, 4 or 8) each, the first in the highest.

    Parameters
    ----------
    values : ndarray of int, shape (T, n)
        Below 2 to the power of ``bits``; those of dead entries are lost.
    alive : ndarray of bool, shape (T, n)
    """
    lasting = values[alive].astype(np.uint8)[:, None]
    return np.packbits((lasting >> np.arange(bits - 1, -1, -1, dtype=np.uint8)) & 1).tobytes()


def to_living(content: bytes, alive: np.ndarray, *, bits: int) -> np.ndarray:
    """What `from_living` had, with 0 for the dead."""
    count = int(np.count_nonzero(alive))
    each = np.unpackbits(np.frombuffer(content, np.uint8), count=bits * count).reshape(count, bits)
    values = np.zeros(alive.shape, dtype=np.uint8)
    values[alive] = each @ (1 << np.arange(bits - 1, -1, -1))
    return values


def _changes(rows: np.ndarray) -> bytes:
    changed = rows.copy()
    changed[1:] ^= rows[:-1]
    return changed.tobytes()


def _undone(rows: np.ndarray) -> np.ndarray:
    return np.bitwise_xor.accumulate(rows, axis=0)
