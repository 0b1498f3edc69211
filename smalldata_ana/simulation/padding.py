"""Clear what psana's writer leaves as it finds it: places in a datagram with no use.

They hold whatever was in the memory before.  Nobody reads them, but files with the same
content would differ, and carry bits of other data.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import starmap

from smalldata_ana.sources.datagrams import HEADER

_PART = struct.Struct("<IHHI")
"""Header of each part: source, damage, type, extent (which counts the header)."""
_SHAPES_DATA, _SHAPES, _DATA, _NAMES = 1, 2, 3, 4
_SHAPE = struct.Struct("<5I")
_TEXT_LENGTH = 256
_DETECTOR_TEXTS = (16, 272, 528)
"""Where a Names part has the detector's type, name and serial number."""
_FIRST_FIELD, _FIELD_SIZE = 1048, 524
_FIELD_TEXT, _FIELD_TYPE = 260, 516
"""Where a field of a Names part has its name, and its type and rank."""
_TEXT = 10
_BYTES = (1, 2, 4, 8, 1, 2, 4, 8, 4, 8, 1)
"""Size of an element, by type: integers without and with sign, floats, text."""


@dataclass(frozen=True)
class _Field:
    datatype: int
    rank: int


class Padding:
    """The unused places in the datagrams of one stream.

    Parameters
    ----------
    configuration : the stream's first datagram, which says what the others hold
    """

    def __init__(self, configuration: memoryview) -> None:
        self._fields = {
            source: _fields(configuration[begin:end])
            for source, kind, begin, end in _parts_of(configuration)
            if kind == _NAMES
        }

    def clear(self, datagram: memoryview) -> None:
        """Set the unused places of a datagram to zero."""
        clear_names(datagram)
        for source, kind, begin, end in _parts_of(datagram):
            if kind == _SHAPES_DATA:
                inside = _parts(datagram, begin + _PART.size, end)
                parts = {k: datagram[b + _PART.size : e] for _, k, b, e in inside}
                lengths = self._clear_shapes(source, parts.get(_SHAPES))
                self._clear_texts(source, parts[_DATA], lengths)

    def _clear_shapes(self, source: int, shapes: memoryview | None) -> list[int]:
        """Clear the dimensions that there are not; return the lengths of all fields."""
        lengths, place = [], 0
        for field in self._fields[source]:
            length = _BYTES[field.datatype]
            if field.rank and shapes is not None:
                shape = _SHAPE.unpack_from(shapes, place)[: field.rank]
                _SHAPE.pack_into(shapes, place, *shape, *[0] * (5 - field.rank))
                place += _SHAPE.size
                for size in shape:
                    length *= size
            lengths.append(length)
        return lengths

    def _clear_texts(self, source: int, data: memoryview, lengths: list[int]) -> None:
        place = 0
        for field, length in zip(self._fields[source], lengths, strict=True):
            if field.datatype == _TEXT:
                _clear_text(data[place : place + length])
            place += length


def clear_names(datagram: memoryview) -> None:
    """Set to zero what follows the names in the declarations of a first datagram."""
    for _, kind, begin, end in _parts_of(datagram):
        if kind == _NAMES:
            fields = range(_FIRST_FIELD + _FIELD_TEXT, end - begin, _FIELD_SIZE)
            for text in (*_DETECTOR_TEXTS, *fields):
                _clear_text(datagram[begin + text : begin + text + _TEXT_LENGTH])


def _parts_of(datagram: memoryview) -> Iterator[tuple[int, int, int, int]]:
    return _parts(datagram, HEADER.size, len(datagram))


def _parts(
    content: memoryview, begin: int, end: int
) -> Iterator[tuple[int, int, int, int]]:
    """Yield source, type, begin and end of each part."""
    while begin < end:
        source, _, kind, extent = _PART.unpack_from(content, begin)
        yield source, kind, begin, begin + extent
        begin += extent


def _fields(names: memoryview) -> list[_Field]:
    places = range(_FIRST_FIELD + _FIELD_TYPE, len(names), _FIELD_SIZE)
    pairs = (struct.unpack_from("<2I", names, place) for place in places)
    return list(starmap(_Field, pairs))


def _clear_text(text: memoryview) -> None:
    used = bytes(text).index(0)
    text[used:] = bytes(len(text) - used)
