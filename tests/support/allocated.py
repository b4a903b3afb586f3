"""How much memory of this process's C heap is in use, as glibc counts it: exact where a resident size is noisy."""

import ctypes


class _Mallinfo(ctypes.Structure):
    """`struct mallinfo2` of malloc.h."""

    _fields_ = [
        (name, ctypes.c_size_t)
        for name in (
            *("arena", "ordblks", "smblks", "hblks", "hblkhd"),
            *("usmblks", "fsmblks", "uordblks", "fordblks", "keepcost"),
        )
    ]


def has_mallinfo() -> bool:
    """Tell whether this C library counts."""
    return hasattr(ctypes.CDLL(None), "mallinfo2")


def megabytes_in_use() -> float:
    """Return what is allocated and not freed, of all arenas and of mapped blocks."""
    count = ctypes.CDLL(None).mallinfo2
    count.restype = _Mallinfo
    found = count()
    return float(found.uordblks + found.hblkhd) / 2**20
