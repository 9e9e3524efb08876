"""Which number types of HDF5 are standard ones, and what a dataset's numbers are in words.

HDF5 describes a number by its fields, and converts whatever they say. The description has no
checksum: one wrong bit in it, such as in the exponent's bias, changes every number that is read.
"""

from __future__ import annotations

import h5py
from h5py import h5t

OTHER_FLOATS = {(8, 7): "bfloat16", (4, 3): "float8_e4m3", (5, 2): "float8_e5m2"}
"""Names of formats that are no IEEE 754 formats, by bits of exponent and mantissa."""


def _float(exponent: int, mantissa: int, like: h5t.TypeFloatID) -> h5t.TypeFloatID:
    """Return a type of 1 + exponent + mantissa bits, made as IEEE 754 makes its formats."""
    bits = 1 + exponent + mantissa
    made = like.copy()
    made.set_fields(bits - 1, mantissa, exponent, 0, mantissa)
    made.set_precision(bits)
    made.set_size(bits // 8)
    made.set_ebias(2 ** (exponent - 1) - 1)
    return made


STANDARD = (
    *(h5t.STD_U8LE, h5t.STD_U8BE),
    *(h5t.IEEE_F16LE, h5t.IEEE_F32LE, h5t.IEEE_F64LE),
    *(h5t.IEEE_F16BE, h5t.IEEE_F32BE, h5t.IEEE_F64BE),
    h5t.NATIVE_LDOUBLE,
    *(_float(*bits, like) for bits in OTHER_FLOATS for like in (h5t.IEEE_F16LE, h5t.IEEE_F16BE)),
)


def is_standard(dataset: h5py.Dataset) -> bool:
    """Whether a dataset's numbers are uint8 or floats of a known format, to the last field."""
    stored = dataset.id.get_type()
    return any(stored == known for known in STANDARD)


def mantissa_of(dataset: h5py.Dataset) -> int:
    """Return the bits of the mantissa of a dataset of floats."""
    mantissa: int = dataset.id.get_type().get_fields()[4]
    return mantissa


def type_of(dataset: h5py.Dataset) -> str:
    """Return what a dataset's values are, as far as the file says it."""
    stored = dataset.id.get_type()
    kind = dataset.dtype.kind
    if kind == "V" and dataset.dtype.names is None:
        return (
            f"opaque values of {stored.get_size()} bytes: bfloat16 and float8 of other libraries "
            "are stored so, without saying what they are"
        )
    if kind == "u" and not is_standard(dataset):
        return f"{dataset.dtype} of {stored.get_precision()} bits from bit {stored.get_offset()} on"
    if kind != "f":
        return str(dataset.dtype)
    sign, begin, exponent, end, mantissa = stored.get_fields()
    bits = f"{8 * stored.get_size()} bits, {exponent} of exponent and {mantissa} of mantissa"
    name = OTHER_FLOATS.get((exponent, mantissa))
    if is_standard(dataset):
        return f"{name} ({bits})" if name else str(dataset.dtype)
    return (
        f"floats of {bits}, in a format that no standard has: sign at bit {sign}, exponent from "
        f"bit {begin} on with bias {stored.get_ebias()}, mantissa from bit {end} on, "
        f"{stored.get_precision()} bits used from bit {stored.get_offset()} on"
    )
