"""Counter-style random numbers: a 64-bit mix of keys, the same in plain Python and in NumPy.

The mix is the output function of splitmix64 (Steele, Lea and Flood 2014, "Fast splittable pseudorandom number generators",
figure 17). A number depends on its keys alone, never on how many were drawn before it.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

Keys = NDArray[np.uint64]
Floats = NDArray[np.float64]

_MASK = (1 << 64) - 1
_STEP = 0x9E3779B97F4A7C15
_FIRST = 0xBF58476D1CE4E5B9
_SECOND = 0x94D049BB133111EB
_UNIT = 2.0**-52

_S12, _S27, _S30, _S31 = (np.uint64(shift) for shift in (12, 27, 30, 31))
_VSTEP, _VFIRST, _VSECOND = np.uint64(_STEP), np.uint64(_FIRST), np.uint64(_SECOND)


def mix(state: int, value: int) -> int:
    """One key more: the next state, 0 to 2**64 - 1."""
    z = ((state ^ value) + _STEP) & _MASK
    z = ((z ^ (z >> 30)) * _FIRST) & _MASK
    z = ((z ^ (z >> 27)) * _SECOND) & _MASK
    return z ^ (z >> 31)


def mix_many(state: Keys | np.uint64, value: Keys | np.uint64) -> Keys:
    """`mix` over arrays; at least one of the two is an array (NumPy's scalars warn where they wrap)."""
    z: Any = np.bitwise_xor(state, value)
    z += _VSTEP
    z ^= z >> _S30
    z *= _VFIRST
    z ^= z >> _S27
    z *= _VSECOND
    z ^= z >> _S31
    return z  # type: ignore[no-any-return]


def uniform(state: int) -> float:
    """Strictly between 0 and 1."""
    return ((state >> 12) + 0.5) * _UNIT


def normal(state: int) -> float:
    """Standard normal, by inversion."""
    return float(ndtri(((state >> 12) + 0.5) * _UNIT))


def normal_many(state: Keys) -> Floats:
    """`normal` over an array."""
    result: Floats = ndtri(((state >> _S12).astype(np.float64) + 0.5) * _UNIT)
    return result


@lru_cache(maxsize=16384)
def text_key(text: str) -> int:
    """A key of a text without regard to white space, 0 to 2**64 - 1."""
    plain = " ".join(text.split())
    return int.from_bytes(
        hashlib.blake2b(plain.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big"
    )


class Luck:
    """Decisions of one call, each by its own name, from one key.

    Args:
        key: of the call: world, prompt, examples and draw.
    """

    __slots__ = ("_key",)

    def __init__(self, key: int) -> None:
        self._key = key

    def uniform(self, purpose: int, number: int = 0) -> float:
        """Strictly between 0 and 1."""
        return uniform(mix(mix(self._key, purpose), number))

    def below(self, size: int, purpose: int, number: int = 0) -> int:
        """0 to size - 1."""
        return int(self.uniform(purpose, number) * size)
