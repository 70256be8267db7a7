"""Model files that go to a hub and come back, over HTTP on this machine."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from fake_hub import fake_hub
from PIL import Image
from tiny_detectors import tiny_detector, written

import resdet
from resdet.cli import main
from resdet.errors import ConfigError, ResdetError
from resdet.inference.hub import local_file
from resdet.inference.hub_card import readme
from resdet.models.model_file import ModelCard, read_card, read_model

PROGRAM = """
import sys
import resdet
import resdet
from resdet.cli import main

def call(*words):
    print(">", main(list(words)), flush=True)

call("push", "model.safetensors", "me/shapes", "--private")
found = resdet.load("hf://me/shapes")
again = resdet.load_detector(["hf://me/shapes/model.safetensors"])
print(found.names, found.models[0].card == again.models[0].card)
call("predict", "--weights", "hf://me/shapes", "photo.png", "--format", "json", "--output", "found")
call("predict", "--weights", "hf://me/nothing", "photo.png")
call("predict", "--weights", "hf://me/shapes/other.safetensors", "photo.png")
"""


def test_a_model_goes_up_and_comes_back(tmp_path: Path) -> None:
    pytest.importorskip("huggingface_hub", reason="the extra 'hub' is not installed")
    written(tmp_path / "model.safetensors", tiny_detector())
    Image.new("RGB", (64, 48)).save(tmp_path / "photo.png")
    with fake_hub() as hub:
        mine = {"HF_ENDPOINT": hub.address, "HF_HOME": str(tmp_path / "hf"), "HF_TOKEN": "hf_secret", "HF_HUB_DISABLE_XET": "1"}
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM],
            cwd=tmp_path,
            env={**os.environ, **mine, "PYTHONPATH": str(Path(__file__).parents[2])},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        asked = [line for line in hub.asked if line.startswith("GET /me/")]
    assert [line for line in done.stdout.splitlines() if line.startswith(">")] == ["> 0", "> 0", "> 2", "> 2"], done.stderr
    assert f'{hub.address}/me/shapes: uploaded; resdet.load("hf://me/shapes")' in done.stdout
    assert "('cat', 'dog', 'emu') True" in done.stdout
    assert hub.files["me/shapes"]["model.safetensors"] == (tmp_path / "model.safetensors").read_bytes()
    assert hub.files["me/shapes"]["README.md"].decode() == readme(read_card(tmp_path / "model.safetensors"), "me/shapes")
    assert hub.private == {"me/shapes": True}
    assert hub.tokens - {None} == {"Bearer hf_secret"}
    assert len(asked) == 1  # the file is in the cache then
    assert "error: hf://me/nothing: no such repository on the Hub, or a private one" in done.stderr
    assert "error: hf://me/shapes/other.safetensors: the repository has no such file" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "address",
    ["hf://", "hf://name", "hf://me/shapes/", "hf://me/shapes/model.bin", "hf://me/shapes/pytorch_model.pkl",
     "hf://me/shapes/../x.safetensors", "hf://me/shapes/model.safetensors?x", "hf://me shapes/x"],
)  # fmt: skip
def test_addresses_that_are_none(address: str) -> None:
    with pytest.raises(ConfigError, match="must be hf://owner/name or hf://owner/name/file"):
        local_file(address)


def test_other_paths_stay() -> None:
    assert [local_file(path) for path in ("a.safetensors", Path("b"), "hf:/me")] == ["a.safetensors", Path("b"), "hf:/me"]


def test_wrong_uploads(tmp_path: Path, capsys) -> None:
    assert main(["push", str(tmp_path / "none.safetensors"), "me/x"]) == 2
    assert capsys.readouterr().err == f"error: {tmp_path / 'none.safetensors'}: no such model file\n"
    for name in ("x", "a/b/c", "me/x y", "hf://me/x"):
        assert main(["push", str(tmp_path / "none.safetensors"), name]) == 2
        assert capsys.readouterr().err == f"error: the repository must be owner/name, got {name!r}\n"


def test_without_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ConfigError, match=r"needs a package that is not installed: pip install 'resdet\[hub\]'"):
        local_file("hf://me/shapes")


def test_the_readme_is_of_the_card_and_names_are_no_markup(tmp_path: Path) -> None:
    written(tmp_path / "model.safetensors", tiny_detector())
    _, card = read_model(tmp_path / "model.safetensors")
    bad = ["<script>alert(1)</script>", "[a](http://b)", "x | y", "two\nlines", "`code`", "# head"]
    text = readme(ModelCard(card.task, card.architecture, bad, card.pixels, card.test, {"data": "a|b\n---\n"}), "me/shapes")
    head = yaml.safe_load(text.split("---\n")[1])
    assert head["pipeline_tag"] == "object-detection"
    assert head["library_name"] == "resdet"
    body = text.partition("---\n")[2].partition("---\n")[2]
    assert 'resdet.load("hf://me/shapes").predict("photo.jpg", score_thresh=0.5)' in body
    assert body.splitlines()[-1] == (
        r"&lt;script&gt;alert(1)&lt;/script&gt;, \[a\](http://b), x \| y, two lines, \`code\`, \# head"
    )
    assert r"| data | a\|b --- |" in body
    rows = [line for line in body.splitlines() if line.startswith("|")]
    assert all(len(line.replace("\\|", "").split("|")) == 4 for line in rows)


def test_a_hub_that_cannot_be_reached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    hub = pytest.importorskip("huggingface_hub", reason="the extra 'hub' is not installed")

    def refuse(*_: object, **__: object) -> None:
        raise hub.errors.HfHubHTTPError.__bases__[0]("nobody\nanswers")

    monkeypatch.setattr(hub.HfApi, "create_repo", refuse)
    monkeypatch.setattr(hub, "hf_hub_download", refuse)
    model = written(tmp_path / "model.safetensors", tiny_detector())
    assert main(["push", str(model), "me/shapes"]) == 1
    assert capsys.readouterr().err == "error: me/shapes: the Hub refuses, or cannot be reached: nobody answers\n"
    with pytest.raises(ResdetError, match="the Hub refuses, or cannot be reached: nobody answers"):
        resdet.load("hf://me/shapes")
