"""Inputs of a network and the ranges of their dimensions, one a profile, as the real ones check them."""

from collections import OrderedDict


class DimRange:
    def __init__(self, shape, names):
        assert len(names) == len(shape)
        self.min, self.opt, self.max = [], [], []
        self.dimension_names = names
        for dim in shape:
            if isinstance(dim, int):
                dim = (dim, dim, dim)
            if not isinstance(dim, (list, tuple)):
                raise TypeError(f"Dimension should be [min, opt, max] or int, got {type(dim)}")
            assert len(dim) == 3
            assert 0 <= dim[0] <= dim[1] <= dim[2]
            for kept, value in zip((self.min, self.opt, self.max), dim, strict=True):
                kept.append(value)


class Tensor:
    def __init__(self, name=None, dtype=None, shape=None, dim_range=None):
        assert isinstance(dim_range, OrderedDict)
        assert len({len(ranges) for ranges in dim_range.values()}) == 1
        self.name, self.dtype, self.shape = name, dtype, shape
        count = len(next(iter(dim_range.values())))
        self.profiles = [
            DimRange([ranges[index] for ranges in dim_range.values()], list(dim_range)) for index in range(count)
        ]
