"""Random graphs of one operation, by kind: what the file is tested with, and the layer that computes the same."""

import numpy as np
from hypothesis import strategies as st

from tests.tflite.random_graphs import clips, grids, one_operation, spread_scale, weights
from tfmp.graph.integer_graph import FIXED_GRIDS, Grid

SHAPES = [(5, 4, 3), (17,), (1, 1, 1), (7, 6), (2, 3, 2, 5)]
TIES = [0.5, 1.0, 1.5, 0.25, 3.0]


@st.composite
def scaled_grids(draw, scale, ratios):
    """Grids whose scale is some multiple of another."""
    ratio = draw(st.one_of(st.sampled_from(TIES), ratios))
    return draw(grids(scale=scale * ratio))


@st.composite
def pairs(draw, kind):
    """Two tensors, one of which may have sizes of 1 that the other has not."""
    shape = draw(st.sampled_from(SHAPES))
    shapes = [tuple(draw(st.sampled_from([size, size, 1])) for size in shape), shape]
    shapes = draw(st.permutations(shapes))
    first = draw(grids())
    second = draw(scaled_grids(first.scale, st.floats(2**-5, 2**5)))
    scale = first.scale * (second.scale if kind == "multiply" else 1)
    grid = draw(scaled_grids(scale, st.floats(2**-3, 2**10) if kind == "multiply" else st.floats(2**-2, 2**4)))
    return one_operation(kind, shapes, [first, second], shape, grid, attributes=draw(clips(grid)))


@st.composite
def activations(draw, function):
    """A function of codes, near its bend and far from it."""
    shape, source = draw(st.sampled_from(SHAPES)), draw(grids())
    attributes, grid = {"function": function}, FIXED_GRIDS.get(function)
    if grid is None:
        scale = source.scale ** (2 if function == "square" else 1)
        grid = draw(scaled_grids(scale, st.floats(2**-3, 2**3)))
    if function == "leaky_relu":
        attributes["negative_slope"] = draw(st.sampled_from([0.1, 0.2, 0.3, 0.5, 1.5, -0.25]))
    elif function == "gelu":
        attributes["approximate"] = draw(st.booleans())
    attributes.update(draw(clips(grid)))
    return one_operation("activation", [shape], [source], shape, grid, attributes=attributes)


@st.composite
def lookups(draw):
    """A table of random outputs."""
    shape, source, grid = draw(st.sampled_from(SHAPES)), draw(grids()), draw(grids())
    attributes = draw(clips(grid))
    low, high = attributes.get("low", grid.low), attributes.get("high", grid.high)
    codes = np.random.default_rng(draw(st.integers(0, 999))).integers(low, high, 256, endpoint=True)
    codes = np.clip(codes, grid.low, grid.high)  # a clip may be at a code that is not stored
    constants = {"table": (codes + grid.zero_point).astype(np.int8)}
    return one_operation("lookup", [shape], [source], shape, grid, attributes=attributes, constants=constants)


@st.composite
def transposed_convolutions(draw):
    """Kernels smaller and larger than the strides, which may differ."""
    window, strides, size = (draw(st.tuples(st.integers(1, n), st.integers(1, n))) for n in (4, 3, 5))
    inputs, filters = draw(st.sampled_from([(3, 4), (1, 1), (8, 5), (17, 9)]))
    padding, bits, ties = draw(st.sampled_from(["same", "valid"])), draw(st.integers(1, 8)), draw(st.booleans())
    reach = [max(0, each - stride) if padding == "valid" else 0 for each, stride in zip(window, strides, strict=True)]
    output = tuple(each * stride + more for each, stride, more in zip(size, strides, reach, strict=True))
    rng = np.random.default_rng(draw(st.integers(0, 999)))
    constants = weights(rng, (*window, filters, inputs), filters, bits=bits, ties=ties)
    source, grid = draw(grids()), draw(grids(scale=1.0))
    grid = Grid(spread_scale(source, constants, np.prod(window) * inputs, grid, ties=ties), grid.low, grid.high)
    return one_operation(
        "conv2d_transpose",
        [(*size, inputs)],
        [source],
        (*output, filters),
        grid,
        attributes={"strides": strides, "padding": padding, **draw(clips(grid))},
        constants=constants,
    )


@st.composite
def resizes(draw):
    """From any size to any, mostly by whole factors as layers do."""
    size = draw(st.tuples(st.integers(1, 7), st.integers(1, 7)))
    target = tuple(each * draw(st.integers(1, 5)) if draw(st.booleans()) else draw(st.integers(1, 20)) for each in size)
    grid, channels = draw(grids()), draw(st.sampled_from([1, 3, 16]))
    shapes = [(*size, channels)], (*target, channels)
    return one_operation("resize", shapes[0], [grid], shapes[1], grid, attributes=draw(clips(grid)))


@st.composite
def slices(draw):
    """A box within the tensor."""
    shape, grid = draw(st.sampled_from(SHAPES)), draw(grids())
    begin = tuple(draw(st.integers(0, size - 1)) for size in shape)
    size = tuple(draw(st.integers(1, whole - start)) for whole, start in zip(shape, begin, strict=True))
    attributes = {"begin": begin, "size": size, **draw(clips(grid))}
    return one_operation("slice", [shape], [grid], size, grid, attributes=attributes)


@st.composite
def transpositions(draw):
    """Axes in another order."""
    shape, grid = draw(st.sampled_from(SHAPES)), draw(grids())
    order = draw(st.permutations(range(len(shape))))
    attributes = {"permutation": (0, *(axis + 1 for axis in order)), **draw(clips(grid))}
    return one_operation(
        "transpose", [shape], [grid], tuple(shape[axis] for axis in order), grid, attributes=attributes
    )


@st.composite
def concatenations(draw):
    """Up to five tensors, which XNNPACK joins at once, along any axis."""
    shape, grid = list(draw(st.sampled_from(SHAPES))), draw(grids())
    axis, sizes = draw(st.integers(0, len(shape) - 1)), draw(st.lists(st.integers(1, 3), min_size=2, max_size=5))
    shapes = [tuple([*shape[:axis], size, *shape[axis + 1 :]]) for size in sizes]
    shape[axis] = sum(sizes)
    attributes = {"axis": draw(st.sampled_from([axis + 1, axis - len(shape)])), **draw(clips(grid))}
    return one_operation("concatenate", shapes, [grid] * len(sizes), tuple(shape), grid, attributes=attributes)


@st.composite
def paddings(draw):
    """Zeros around the axes between batch and channels."""
    shape, grid = draw(st.sampled_from([(4, 5, 3), (6, 3), (2, 3, 4, 2)])), draw(grids())
    widths = tuple((draw(st.integers(0, 3)), draw(st.integers(0, 3))) for _ in shape[:-1])
    result = (*(size + sum(width) for size, width in zip(shape, widths, strict=False)), shape[-1])
    attributes = {"paddings": widths, **draw(clips(grid))}
    return one_operation("pad", [shape], [grid], result, grid, attributes=attributes)


@st.composite
def gathers(draw):
    """Some positions of an axis, in any order."""
    shape, grid = draw(st.sampled_from(SHAPES)), draw(grids())
    axis = draw(st.integers(1, len(shape)))
    indices = draw(st.lists(st.integers(0, shape[axis - 1] - 1), min_size=1, max_size=5))
    result = (*shape[: axis - 1], len(indices), *shape[axis:])
    attributes = {"axis": axis, "indices": tuple(indices), **draw(clips(grid))}
    return one_operation("gather", [shape], [grid], result, grid, attributes=attributes)


@st.composite
def extremes(draw, kind):
    """Two tensors on one grid, one of which may be broadcast."""
    shape, grid = draw(st.sampled_from(SHAPES)), draw(grids())
    other = tuple(draw(st.sampled_from([size, 1])) for size in shape)
    shapes = draw(st.permutations([shape, other]))
    return one_operation(kind, shapes, [grid] * 2, shape, grid, attributes=draw(clips(grid)))


@st.composite
def blocks(draw, kind):
    """Blocks of 2 or 3 pixels in each direction."""
    size, grid = draw(st.sampled_from([2, 3])), draw(grids())
    few = tuple(draw(st.integers(1, 4)) for _ in range(3))
    images, deep = (few[0] * size, few[1] * size, few[2]), (few[0], few[1], few[2] * size**2)
    source, result = (deep, images) if kind == "depth_to_space" else (images, deep)
    attributes = {"block_size": size, **draw(clips(grid))}
    return one_operation(kind, [source], [grid], result, grid, attributes=attributes)


@st.composite
def reductions(draw, kind):
    """Over any axes."""
    shape, source = draw(st.sampled_from(SHAPES)), draw(grids())
    axes = tuple(sorted(draw(st.sets(st.integers(1, len(shape)), min_size=1))))
    keepdims = draw(st.booleans())
    sizes = [1 if axis in axes else size for axis, size in enumerate(shape, 1)]
    result = tuple(sizes) if keepdims else tuple(size for axis, size in enumerate(shape, 1) if axis not in axes)
    count = np.prod([shape[axis - 1] for axis in axes]) if kind == "reduce_sum" else 1
    grid = (
        source
        if kind in ("reduce_max", "reduce_min")
        else draw(scaled_grids(source.scale, st.floats(0.2, 2.0 * count)))
    )
    attributes = {"axes": axes, "keepdims": keepdims, **draw(clips(grid))}
    return one_operation(kind, [shape], [source], result, grid, attributes=attributes)


GRAPHS = {
    "add": pairs("add"),
    "subtract": pairs("subtract"),
    "multiply": pairs("multiply"),
    **{name: activations(name) for name in ("sigmoid", "tanh", "elu", "leaky_relu", "gelu", "square")},
    "lookup": lookups(),
    "conv2d_transpose": transposed_convolutions(),
    "resize": resizes(),
    "slice": slices(),
    "gather": gathers(),
    **{name: extremes(name) for name in ("maximum", "minimum")},
    **{name: blocks(name) for name in ("depth_to_space", "space_to_depth")},
    **{name: reductions(name) for name in ("reduce_sum", "reduce_mean", "reduce_max", "reduce_min")},
    "transpose": transpositions(),
    "concatenate": concatenations(),
    "pad": paddings(),
}
