from __future__ import annotations

import numpy as np
import pytest

from sparcl_ref.layers.checks import as_count, as_float_dtype, as_pair, expect_dtype, expect_shape


def test_expect_shape_takes_named_axes_of_any_size() -> None:
    expect_shape("Layer", (3, 0), 3, "L")


@pytest.mark.parametrize("shape", [(4, 2), (3,), (3, 2, 1), ()])
def test_expect_shape_names_layer_expected_and_given(shape) -> None:
    with pytest.raises(ValueError, match=r"^Layer: input must have shape \(N, 3, L\), got \(") as error:
        expect_shape("Layer", shape, 3, "L")
    assert str(error.value).endswith(f"got ({', '.join(map(str, ('N', *shape)))})")


def test_expect_dtype() -> None:
    expect_dtype("Layer", np.empty(2), np.dtype(np.float64))
    with pytest.raises(TypeError, match=r"^Layer: input is float64 but the parameters are float32"):
        expect_dtype("Layer", np.empty(2), np.dtype(np.float32))


@pytest.mark.parametrize("dtype", ["float32", np.float64])
def test_as_float_dtype(dtype) -> None:
    assert as_float_dtype("Layer", dtype) == np.dtype(dtype)


@pytest.mark.parametrize("dtype", [np.float16, np.int64, bool])
def test_as_float_dtype_refuses_others(dtype) -> None:
    with pytest.raises(TypeError, match=r"^Layer: dtype must be float32 or float64, got"):
        as_float_dtype("Layer", dtype)


def test_counts_and_pairs_take_numpy_integers() -> None:
    assert as_count("Layer", "size", np.int64(3)) == 3
    assert as_pair("Layer", "size", 3) == (3, 3)
    assert as_pair("Layer", "size", [np.int8(0), 2], minimum=0) == (0, 2)


def test_counts_and_pairs_refuse_what_is_no_size() -> None:
    with pytest.raises(TypeError, match=r"^Layer: size must be an integer, got 1\.5$"):
        as_count("Layer", "size", 1.5)
    with pytest.raises(ValueError, match=r"^Layer: size must be at least 1, got 0$"):
        as_count("Layer", "size", 0)
    with pytest.raises(ValueError, match=r"^Layer: size must be at least 0, got -1$"):
        as_pair("Layer", "size", (0, -1), minimum=0)
    with pytest.raises(ValueError, match=r"^Layer: size must be an integer or a pair of integers, got \(1, 2, 3\)$"):
        as_pair("Layer", "size", (1, 2, 3))
    with pytest.raises(TypeError, match=r"^Layer: size must be an integer, got None$"):
        as_pair("Layer", "size", None)
