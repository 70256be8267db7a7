"""Any file in the place of Detectron2's config.yaml: settings, or an error that names the file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from detectron2_configs import config
from hypothesis import given
from hypothesis import strategies as st

from resdet.errors import ResdetError
from resdet.models.convert.detectron2_names import SETTINGS
from resdet.models.convert.detectron2_settings import detectron2_settings

scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.just("(1, [2.5])")
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("configs")


def read(folder: Path, content: bytes) -> None:
    """Read a config; nothing but settings or an error of resdet's comes of it."""
    (folder / "config.yaml").write_bytes(content)
    try:
        settings = detectron2_settings(folder / "config.yaml")
    except ResdetError as error:
        said = str(error)
    else:
        said = f"config.yaml: {json.dumps(settings.architecture, allow_nan=False)}"
    assert "config.yaml" in said
    assert len(said) < 10_000


@given(st.dictionaries(st.sampled_from(sorted(SETTINGS)), values, max_size=4), values)
def test_any_values(folder: Path, settings: dict[str, Any], section: Any) -> None:
    read(folder, yaml.safe_dump(config(settings)).encode())
    read(folder, yaml.safe_dump({"MODEL": section, "INPUT": section}).encode())


@given(st.binary(max_size=20), st.integers(0, 400), st.integers(0, 10))
def test_any_bytes(folder: Path, inserted: bytes, place: int, removed: int) -> None:
    whole = yaml.safe_dump(config({name: setting.default for name, setting in SETTINGS.items()})).encode()
    read(folder, whole[:place] + inserted + whole[place + removed :])
    read(folder, inserted)


def test_aliases_that_grow_and_circles(folder: Path) -> None:
    lines = [f"k{number}: &k{number} [{', '.join([f'*k{number - 1}'] * 10)}]" for number in range(1, 12)]
    text = "\n".join(["k0: &k0 [x]", *lines, "MODEL: {PIXEL_MEAN: *k11, RPN: {CONV_DIMS: *k11}}"])
    read(folder, text.encode())
    read(folder, b"MODEL: &a {RPN: {CONV_DIMS: &b [*b]}, ROI_HEADS: *a}")
    read(folder, b"MODEL: {PIXEL_MEAN: '" + b"(" * 900 + b"'}")
