"""The picture of a terminal: every character at its column, in its colour."""

import re
from xml.dom.minidom import parseString

from scripts.terminal_picture import BACKGROUND, CELL_WIDTH, COLOURS, EDGE, FOREGROUND, svg
from tests.support.terminal import Cell


def cells(text: str, colour: str = "default", bold: bool = False, reverse: bool = False) -> list[Cell]:
    return [Cell(character, colour, bold, reverse) for character in text]


def test_a_picture_is_a_document_that_says_what_it_is() -> None:
    picture = svg([cells('<a> & "b"')], 'about "<&>"')
    parseString(picture)
    assert "aria-label='about \"&lt;&amp;&gt;\"'" in picture
    assert '>&lt;a&gt; &amp; "b"</text>' in picture


def test_parts_stand_at_their_columns_in_their_colours() -> None:
    picture = svg([[*cells("ab", "green"), *cells("cd", bold=True), *cells("ef", reverse=True)]], "x")
    found = re.findall(r'<text x="([\d.]+)".*? fill="(.*?)"( font-weight="bold")?>(.*?)<', picture)
    assert found == [
        (f"{EDGE:.1f}", COLOURS["green"], "", "ab"),
        (f"{EDGE + 2 * CELL_WIDTH:.1f}", FOREGROUND, ' font-weight="bold"', "cd"),
        (f"{EDGE + 4 * CELL_WIDTH:.1f}", BACKGROUND, "", "ef"),
    ]


def test_bars_are_drawn_without_gaps() -> None:
    picture = svg([cells("▄▄█ ")], "x")
    drawn = re.findall(r'<rect x="([\d.]+)" y="([\d.]+)" width="([\d.]+)" height="([\d.]+)"', picture)
    assert drawn == [
        ("14.0", "23", "16.8", "9"),
        ("30.8", "14", "8.4", "18"),
    ]
    assert "<text" not in picture
