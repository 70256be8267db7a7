"""A JPEG's upper rows against the whole of it, and what is wrong with a file against what is told."""

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from resdet.data.images import jpeg
from resdet.data.images.jpeg import START_OF_PIXELS, decode_jpeg, jpeg_size, segments

simplejpeg = pytest.importorskip("simplejpeg")
KINDS = {
    "full colour": {"subsampling": 0},
    "halved colour": {"subsampling": 1},
    "quartered colour": {"subsampling": 2},
    "restart markers": {"restart_marker_rows": 1},
    "progressive": {"progressive": True},
    "own tables": {"optimize": True},
}


def encoded(height: int, width: int, grey: bool = False, **options: object) -> bytes:
    noise = np.random.default_rng(height * 999 + width).integers(0, 256, (height, width, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noise).convert("L" if grey else "RGB").save(buffer, "JPEG", quality=90, **options)
    return buffer.getvalue()


def whole(content: bytes, shrink: int) -> np.ndarray:
    height, width = jpeg_size(content)
    return simplejpeg.decode_jpeg(
        content, "RGB", fastdct=True, fastupsample=True, min_height=-(-height // shrink), min_width=-(-width // shrink)
    )


@settings(max_examples=150)
@given(
    st.integers(1, 150),
    st.integers(1, 80),
    st.sampled_from([1, 2, 4, 8]),
    st.sampled_from(sorted(KINDS)),
    st.booleans(),
    st.data(),
)
def test_upper_rows_are_those_of_the_whole(
    height: int, width: int, shrink: int, kind: str, grey: bool, data: st.DataObject
) -> None:
    content = encoded(height, width, grey, **KINDS[kind])
    rows = data.draw(st.integers(1, height))
    found, expected = decode_jpeg(content, (height, width), rows, shrink), whole(content, shrink)
    assert expected.shape == (-(-height // shrink), -(-width // shrink), 3)
    assert rows / shrink <= len(found) <= len(expected)
    assert np.array_equal(found, expected[: len(found)])


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_no_more_than_is_wanted_is_decoded(kind: str) -> None:
    content = encoded(400, 40, **KINDS[kind])
    for rows, shrink in ((100, 1), (97, 2), (128, 4)):
        found = decode_jpeg(content, (400, 40), rows, shrink)
        assert len(found) == (400 if kind in ("progressive", "restart markers") else 128) // shrink


@pytest.mark.parametrize("kind", ["full colour", "restart markers", "progressive"])
@pytest.mark.parametrize("rows", [50, 400])
def test_a_cut_file_is_broken_wherever_it_is_cut(kind: str, rows: int) -> None:
    content = encoded(400, 40, **KINDS[kind])
    for end in (len(content) // 20, len(content) // 3, len(content) - 2):
        assert decode_jpeg(content[:end], (400, 40), rows) is None


def test_damage_among_the_wanted_rows_is_told() -> None:
    content = encoded(400, 40)
    *_, (_, start, _) = segments(content)
    broken = content[: start + 200] + b"\xff\xd9" + content[start + 202 :]  # an end in the first rows
    assert decode_jpeg(broken, (400, 40), 50) is None
    late = len(content) - 200
    assert decode_jpeg(content[:late] + b"\xff\x01" + content[late + 2 :], (400, 40), 400) is None


def test_another_complaint_than_of_more_rows_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    content = encoded(400, 40)

    def complain(data: bytes, *_args: object, **_options: object) -> np.ndarray:
        raise ValueError("Corrupt JPEG data: bad Huffman code")

    monkeypatch.setattr(jpeg.simplejpeg, "decode_jpeg", complain)
    assert decode_jpeg(content, (400, 40), 50) is None


def test_segments_end_with_the_start_of_the_pixels() -> None:
    content = encoded(8, 8)
    found = list(segments(content))
    assert found[0][1] == 2
    assert [end for _, _, end in found[:-1]] == [place for _, place, _ in found[1:]]
    assert found[-1][0] == START_OF_PIXELS
    cut = found[2][1]
    assert list(segments(content[:cut] + b"junk")) == found[:2]
    assert list(segments(b"")) == []


@pytest.mark.parametrize(
    "content",
    [b"", b"\xff\xd8", b"GIF89a", encoded(8, 8)[:30], encoded(8, 8)[1:]],
    ids=["empty", "start", "gif", "cut", "shifted"],
)
def test_what_is_no_jpeg_has_no_size(content: bytes) -> None:
    assert jpeg_size(content) is None


def test_pixels_of_print_are_left_to_pil() -> None:
    buffer = io.BytesIO()
    Image.new("CMYK", (9, 7)).save(buffer, "JPEG")
    assert jpeg_size(buffer.getvalue()) is None
    assert jpeg_size(encoded(7, 9)) == (7, 9)
    assert jpeg_size(encoded(7, 9, grey=True)) == (7, 9)
