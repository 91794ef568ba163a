"""Tables on a terminal."""

from __future__ import annotations

from sdviz.archive.table import text_table


def test_chinese_takes_two_places_and_the_columns_stay_in_line() -> None:
    first, second, third = text_table(
        ["prompt", "seed"], [["雪地里的房子", 1], ["a house", 2]]
    ).splitlines()
    assert first == "prompt        seed" and third == "a house       2"
    assert second == "雪地里的房子  1"


def test_what_is_too_wide_is_cut_but_for_paths() -> None:
    line = text_table(
        ["prompt", "image"], [["雪地里的房子", "outputs/a/image.png"]], widest=6, whole=["image"]
    ).splitlines()[1]
    assert line == "雪地…   outputs/a/image.png"
    assert text_table(["a"], [["é" * 6]], widest=6).splitlines()[1] == "é" * 6
