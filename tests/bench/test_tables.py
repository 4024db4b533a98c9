"""Records become tables as their formats say."""

from __future__ import annotations

import pytest

from sparcl_ref.bench.tables import comparison, markdown_table, text_table


@pytest.mark.parametrize(
    ("form", "value", "shown"),
    [
        ("{x}", "conv", "conv"),
        ("{x:.2f}", 1.005e3, "1005.00"),
        ("{x:.1m}", 0.0123, "12.3"),
        ("{x:,.0K}", 1536 * 1024, "1,536"),
        ("{x:,.0M}", 2_345_678_901, "2,346"),
        ("{x:,.0G}", 2_345_678_901, "2"),
        ("{x:.0%}", 0.256, "26 %"),
        ("{x[0][y]:.1f} ms", [{"y": 2}], "2.0 ms"),
        ("{x:.2f}", None, "-"),
    ],
)
def test_numbers_are_shown_in_the_unit_of_their_format(form, value, shown):
    assert text_table({"x": form}, [{"x": value}]).splitlines() == ["x", shown]


def test_text_is_aligned_and_markdown_is_under_its_caption():
    forms, records = (
        {"layer": "{name}", "share": "{share:.0%}"},
        [{"name": "a", "share": 0.5}, {"name": "b", "share": None}],
    )
    assert text_table(forms, records) == "layer  share\na       50 %\nb          -"
    expected = ["**Shares**", "", "| layer | share |", "| --- | ---: |", "| a | 50 % |", "| b |  |"]
    assert markdown_table("Shares", forms, records).splitlines() == expected
    assert markdown_table("Shares", forms, records, missing="?").endswith("| b | ? |")


def test_a_comparison_shows_each_number_under_its_own_header():
    record = {
        "name": "ours", "median_seconds": 2.0, "min_seconds": 1.0, "max_seconds": 9.0, "times_faster": 3.0,
        "useful_gflops_per_second": 4.0, "fraction_of_peak": 0.25,
    }  # fmt: skip
    header, row = text_table(comparison("step", ".1f", "s", ".0%"), [record]).splitlines()
    assert header.split("  ")[0] == "step"
    words = ("step", "median, s", "min", "max", "times faster", "useful GFLOP/s", "of peak")
    assert [header.index(word) for word in words] == sorted(header.index(word) for word in words)
    assert row.split() == ["ours", "2.0", "1.0", "9.0", "3.00", "4.0", "25", "%"]
