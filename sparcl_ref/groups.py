"""Parameters that share a budget of living weights: their arrays joined, and taken apart again."""

from __future__ import annotations

import numpy as np

from sparcl_ref.layers import Parameter


def joined(arrays: list[np.ndarray]) -> np.ndarray:
    """The arrays of a group as one: a single array as it is, several flattened one behind the other."""
    return arrays[0] if len(arrays) == 1 else np.concatenate([array.reshape(-1) for array in arrays])


def parts(group: list[Parameter], array: np.ndarray) -> list[np.ndarray]:
    """What `joined` has made of a group's arrays, taken apart."""
    ends = np.cumsum([parameter.value.size for parameter in group])
    split = np.split(array.reshape(-1), ends[:-1])
    return [part.reshape(parameter.value.shape) for parameter, part in zip(group, split, strict=True)]


def mask_of(group: list[Parameter]) -> np.ndarray:
    """The masks of a group, joined like its values; a parameter without a mask lives everywhere."""
    return joined([np.ones(p.value.shape, dtype=bool) if p.mask is None else p.mask for p in group])


def frozen_of(group: list[Parameter]) -> np.ndarray:
    """Entries of earlier tasks, joined like the values."""
    return joined([np.zeros(p.value.shape, dtype=bool) if p.frozen is None else p.frozen for p in group])


def with_joining(parameter: Parameter, mask: np.ndarray, flat: np.ndarray) -> np.ndarray:
    """A parameter's mask with the given dead entries alive.

    Raises
    ------
    ValueError
        If an index is out of range, or its entry alive already.
    """
    mask, flat = mask.copy(), np.asarray(flat)
    if flat.size and (flat.min() < 0 or flat.max() >= mask.size or mask.flat[flat].any()):
        raise ValueError(f"{parameter.name}: the given growth must name dead entries in 0..{mask.size - 1}")
    mask.flat[flat] = True
    return mask
