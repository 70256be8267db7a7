"""``resdet info --weights W --images DIR``: the table, the verdict, what to do about it."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from stripes import folded, trained, write_folder

from resdet.cli import main
from resdet.models.backbones.weights.read import read_weights
from resdet.models.model_file import read_card
from resdet.structures import PIXEL_CONVENTIONS

BOTTLENECK = "cifar_preact_bottleneck11"


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("pictures"), 128, classes=True)


def _info(capsys: pytest.CaptureFixture[str], *arguments: object) -> list[str]:
    capsys.readouterr()
    assert main(["info", *map(str, arguments)]) == 0
    return capsys.readouterr().out.splitlines()


def _rows(lines: list[str]) -> list[list[str]]:
    start = next(index for index, line in enumerate(lines) if line.startswith("stride  "))
    return [line.split() for line in lines[start:] if re.match(r"(stride|1x1|3x3|-) ", line)]


@pytest.mark.slow
def test_the_table_and_the_verdict_and_what_follows(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Folded weights: the advice, followed, makes a file whose card is what the images say."""
    monkeypatch.chdir(tmp_path)
    state = folded(trained(BOTTLENECK, PIXEL_CONVENTIONS["msra"], stride_in_1x1=True).state_dict())
    torch.save(state, "my weights.pth")
    lines = _info(capsys, "--weights", "my weights.pth", "--images", pictures)
    assert f"conventions on 128 images of {pictures}, 32x32 pixels:" in lines
    head, *rows = _rows(lines)
    assert head == ["stride", "pixels", "clarity", "imbalance", "error"]
    assert len(rows) == 12
    assert rows[0][:4] == ["1x1", "msra,", "detectron,", "detectron2"]
    clear = [float(row[-3]) for row in rows if row[-3] != "-"]
    assert clear == sorted(clear, reverse=True)
    assert all(row[-1] == "-" for row in rows if row[-3] == "-")
    (verdict,) = [line for line in lines if line.startswith("plausible:")]
    assert re.fullmatch(
        r"plausible: stride in the 1x1, pixels msra \(or detectron, detectron2: too near to tell\) "
        r"\(its clarity is \d+\.\d standard errors above the next\)",
        verdict,
    )
    assert "in a run:   model.backbone.pixels=msra model.backbone.stride_in_1x1=true" in lines
    (advice,) = [line.removeprefix("to keep it: resdet ") for line in lines if line.startswith("to keep it: ")]
    assert main(shlex.split(advice)) == 0
    card = read_card("DST.safetensors")
    assert card.pixels == PIXEL_CONVENTIONS["msra"].to_dict()
    assert card.architecture["backbone"]["stride_in_1x1"]
    lines = _info(capsys, "--weights", "DST.safetensors", "--images", pictures)
    assert lines[-1] == "its card says so"
    assert [row[-2:] for row in _rows(lines)[1:] if "card's" in row] == [["its", "card's"]]


@pytest.mark.slow
@pytest.mark.parametrize("change", [{"stride_in_1x1": True}, {"pixels": "msra"}], ids=["stride", "pixels"])
def test_a_card_that_is_wrong_is_told(
    pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], change: dict[str, Any]
) -> None:
    torch.save(folded(trained(BOTTLENECK, PIXEL_CONVENTIONS["torchvision"]).state_dict()), tmp_path / "w.pth")
    options = ["--stride", "1x1" if "stride_in_1x1" in change else "3x3", "--pixels", change.get("pixels", "torchvision")]
    assert main(["convert", str(tmp_path / "w.pth"), str(tmp_path / "wrong.safetensors"), *options]) == 0
    lines = _info(capsys, "--weights", tmp_path / "wrong.safetensors", "--images", pictures)
    assert any(line.startswith("plausible: stride in the 3x3, pixels torchvision (") for line in lines)
    assert lines[-1] == "its card says otherwise"


@pytest.mark.slow
def test_a_backbone_s_statistics_do_not_show_colours(
    pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state = trained(BOTTLENECK, PIXEL_CONVENTIONS["torchvision"]).state_dict()
    body = {key: value for key, value in state.items() if not key.startswith("fc.")}
    torch.save(body, tmp_path / "body.pth")
    lines = _info(capsys, "--weights", tmp_path / "body.pth", "--images", pictures)
    head, *rows = _rows(lines)
    assert head == ["stride", "pixels", "misfit"]
    # of so short a training the place of the stride is no more certain than the order of the colours
    assert rows[0][1] == "torchvision"
    torch.save(folded(body), tmp_path / "folded.pth")
    lines = _info(capsys, "--weights", tmp_path / "folded.pth", "--images", pictures)
    assert _rows(lines)[0] == ["stride", "pixels", "imbalance"]
    verdict = lines[-1].removesuffix(" (without a classifier the order of the colours hardly shows)")
    assert verdict != lines[-1]
    plausible = verdict.removeprefix("no candidate stands out: ").split("; ")
    assert {"stride in the 3x3, pixels torchvision", "stride in the 1x1, pixels torchvision"} < set(plausible)
    assert "msra" not in verdict


def test_mistakes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    state = trained("cifar_resnet8", PIXEL_CONVENTIONS["torchvision"], steps=0).state_dict()
    torch.save(state, tmp_path / "w.pth")
    save_file({"w": torch.zeros(2)}, tmp_path / "other.safetensors")
    empty = tmp_path / "empty"
    empty.mkdir()
    few = write_folder(tmp_path / "few", 5, classes=False)
    rows = [
        (["--images", few], 2, "--images measures what the weights of --weights want: give both"),
        (["--weights", tmp_path / "w.pth", "--images", tmp_path / "gone"], 2, "--images: no such folder: "),
        (["--weights", tmp_path / "w.pth", "--images", empty], 2, "empty: must hold 8 images or more, got none"),
        (["--weights", tmp_path / "w.pth", "--images", few], 2, "few: must hold 8 images or more, got 5"),
        (["--weights", tmp_path / "other.safetensors", "--images", few], 2, "names like no source that is known"),
        (["--weights", tmp_path / "gone.pth", "--images", few], 2, "no such file"),
    ]
    for arguments, status, message in rows:
        assert main(["info", *map(str, arguments)]) == status, message
        errors = capsys.readouterr().err
        assert message in errors
        assert "Traceback" not in errors


# ------------------------------------------------------------------------------------------------------------- real data


@pytest.mark.real
@pytest.mark.slow
@pytest.mark.parametrize("images", ["imagenet_val100", "coco_mini/val2017"])
def test_the_folded_resnet18(shared_data: Path, images: str, capsys: pytest.CaptureFixture[str]) -> None:
    weights = shared_data / "weights" / "resnet18_imagenet_pq.fp16.pth"
    lines = _info(capsys, "--weights", weights, "--images", shared_data / images)
    assert any(line.startswith("plausible: pixels torchvision (its clarity is ") for line in lines)


@pytest.fixture(scope="module")
def some(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """ImageNet's layout with 24 of its 100 pictures: a deep network takes two seconds for each of them."""
    source, folder = shared_data / "imagenet_val100", tmp_path_factory.mktemp("imagenet_val24")
    (folder / "val").mkdir()
    pictures = sorted((source / "ILSVRC/Data/CLS-LOC/val").iterdir())[::4][:24]
    for file in pictures:
        shutil.copy(file, folder / "val")
    shutil.copy(source / "LOC_synset_mapping.txt", folder)
    head, *rows = (source / "LOC_val_solution.csv").read_text().splitlines()
    kept = {file.stem for file in pictures}
    (folder / "LOC_val_solution.csv").write_text("\n".join([head, *(row for row in rows if row.partition(",")[0] in kept)]))
    return folder


@pytest.mark.real
@pytest.mark.slow
@pytest.mark.parametrize("fold", [False, True], ids=["statistics", "folded"])
def test_the_authors_resnet50(
    shared_data: Path, some: Path, tmp_path: Path, fold: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = shared_data / "weights" / "resnet50_msra_bgr_stride_in_1x1.fp16.pth"
    if fold:
        torch.save(folded(read_weights(weights).state), tmp_path / "folded.pth")
        weights = tmp_path / "folded.pth"
    lines = _info(capsys, "--weights", weights, "--images", some)
    assert any(line.startswith("plausible: stride in the 1x1, pixels msra (or ") for line in lines)
    assert _rows(lines)[0][-1] == "error"  # the folder's tables tell the classes


@pytest.mark.real
@pytest.mark.slow
def test_the_folded_resnet18_is_doubted_where_it_is_loaded(
    shared_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = shared_data / "weights" / "resnet18_imagenet_pq.fp16.pth"
    root = shared_data / "imagenet_val100" / "ILSVRC" / "Data" / "CLS-LOC"
    options = [
        "model.backbone.pixels=msra",
        f"data.val.root={root}",
        "data.workers=0",
        "data.crop=32",
        "data.test_short_side=32",
    ]
    command = ["eval", "--config", "imagenet_r18", "--weights", str(weights), "--output", str(tmp_path)]
    assert main([*command, *options]) == 0
    warned = [line for line in capsys.readouterr().err.splitlines() if "shows what these weights want" in line]
    assert len(warned) == 1
    assert "Taken: pixels msra (BGR 0 … 255" in warned[0]
    assert "stride" not in warned[0]
