"""However a prepared detector computes its products, it gives the plain one's results; it names them, is copied, and stays."""

from __future__ import annotations

import copy
import io
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from close_detections import Edges, assert_close_detections
from rounding import growth, network
from test_prepared_detectors import BOTTLENECK, IN_1X1, with_statistics
from tiny_detectors import picture, same, tiny_detector
from torch import Tensor, nn

from resdet.models.detection.faster_rcnn import FasterRCNN
from resdet.ops import products
from resdet.ops.kernels import Kernels, remembered_answers
from resdet.ops.products import OneDNNProduct, Packed, TorchProduct, has_bfloat16, onednn_works
from resdet.ops.winograd import winograd_transforms
from resdet.structures import ImageBatch

CPU = torch.device("cpu")
ONEDNN = onednn_works(torch.float32, CPU)
PINS = ["torch", pytest.param("onednn", marks=pytest.mark.skipif(not ONEDNN, reason="torch has no oneDNN product here"))]
IMAGES = [picture(1, 96, 128), picture(2, 70, 100)]
EDGES = Edges(score=0.05, nms=0.5, limit=100)


def detector(**changes: dict[str, Any]) -> FasterRCNN:
    return with_statistics(tiny_detector(**(changes or BOTTLENECK)))


class Named(Kernels):
    """Answers by the words of the question."""

    def __init__(self, **answers: str) -> None:
        super().__init__("torch")
        self.words = answers

    def fastest(self, question: str, ways: Any, trial: Any) -> str:
        for word, answer in self.words.items():
            if word in question and answer in ways:
                self.answers[question] = answer
        return super().fastest(question, ways, trial)


@pytest.mark.parametrize("pin", PINS)
@pytest.mark.parametrize("kind", [BOTTLENECK, IN_1X1, {"roi": {"pooled_size": 7}, **IN_1X1}, {}], ids=str)
def test_detections(kind: dict[str, Any], pin: str) -> None:
    plain = detector(**kind) if kind else detector(backbone={"name": "resnet18"})
    prepared = plain.prepare(kernels=Kernels(pin))
    for found, expected in zip(prepared.detect(IMAGES), plain.detect(IMAGES), strict=True):
        assert len(expected) > 2
        assert_close_detections(found, expected, scores=1e-4, boxes=1e-3, edges=EDGES)


@pytest.mark.parametrize(
    "ways", [{"maps": "winograd"}, {"maps": "direct"}, {"regions": "fourier"}, {"regions": "direct"}], ids=str
)
@pytest.mark.parametrize("products", PINS)
def test_every_way_of_a_3x3(products: str, ways: dict[str, str]) -> None:
    plain = detector()
    kernels = Named(**ways, product=products, sum=products)
    prepared = plain.prepare(kernels=kernels)
    word, way = next(iter(ways.items()))
    assert {answer for question, answer in kernels.answers.items() if word in question and "stride 1" in question} == {way}
    batch = ImageBatch.from_images(IMAGES, plain.pixels)
    boxes = [torch.tensor([[0.0, 0, 60, 60], [20, 30, 128, 96]]), torch.tensor([[5.0, 5, 50, 65]])]
    with torch.no_grad():
        exact = copy.deepcopy(plain).double()
        features = plain.trunk(batch.tensor)
        pairs = [
            (prepared.trunk(batch.tensor), exact.trunk(batch.tensor.double())),
            *zip(prepared.rpn.head(features), exact.rpn.head(features.double()), strict=True),
            (
                prepared.roi_heads.region_features(features, boxes),
                exact.roi_heads.region_features(features.double(), [each.double() for each in boxes]),
            ),
        ]
    # at most 40 layers, of sums of at most 9 * 512 numbers, by transforms that multiply rounding by less than Winograd's
    allowed = network(40, 9 * 512, torch.float32, amplified=growth(winograd_transforms(), 9))
    for found, expected in pairs:
        assert (found.double() - expected).norm() <= allowed * expected.norm()


def kinds(model: nn.Module) -> set[type[nn.Module]]:
    return {type(part) for part in model.modules() if isinstance(part, (TorchProduct, OneDNNProduct))}


@pytest.mark.parametrize("pin", PINS)
def test_it_names_what_was_chosen(pin: str) -> None:
    prepared = detector().prepare(kernels=Kernels(pin))
    assert kinds(prepared) == {{"torch": TorchProduct, "onednn": OneDNNProduct}[pin]}
    chosen = dict(prepared.kernels)
    for kind in ("product ", "products ", "sum "):
        answers = {answer for question, answer in chosen.items() if question.startswith(kind)}
        assert answers == {pin}
    assert {chosen[question] for question in chosen if question.startswith("3×3 of maps")} == {"direct"}
    assert {chosen[question] for question in chosen if question.startswith("3×3 of regions 7×7")} == {"fourier"}
    # of a network whose blocks are not bottlenecks only the RPN has a choice
    assert len(detector(backbone={"name": "resnet18"}).prepare(kernels=Kernels(pin)).kernels) == 2


def test_two_preparations_with_the_same_remembered_kernels_are_equal_bit_for_bit(tmp_path: Path) -> None:
    file, plain = tmp_path / "kernels.json", detector()
    first = Kernels(file=file)
    one = plain.prepare(kernels=first)
    answers = next(iter(remembered_answers(file).values()))
    assert answers.items() <= dict(one.kernels).items()
    second = Kernels(file=file)
    other = plain.prepare(kernels=second)
    # who measures also asks for what the slower ways are made of
    assert 10 < len(other.kernels) <= len(one.kernels)
    assert other.kernels.items() <= one.kernels.items()
    for found, expected in zip(other.detect(IMAGES), one.detect(IMAGES), strict=True):
        assert same(found, expected)


def pickled(model: Any) -> Any:
    return pickle.loads(pickle.dumps(model))


def saved(model: Any) -> Any:
    file = io.BytesIO()
    torch.save(model, file)
    file.seek(0)
    return torch.load(file, weights_only=False)


@pytest.mark.parametrize("copying", [copy.deepcopy, copy.copy, pickled, saved])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("pin", PINS)
def test_copies_give_the_same_bit_for_bit(pin: str, dtype: torch.dtype, copying: Any) -> None:
    if dtype == torch.bfloat16 and not has_bfloat16():
        pytest.skip("the processor does not compute with bfloat16")
    prepared = detector().prepare(dtype, kernels=Kernels(pin))
    copied = copying(prepared)
    assert copied is not prepared
    assert copied.kernels == prepared.kernels
    assert kinds(copied) == kinds(prepared)
    for found, expected in zip(copied.detect(IMAGES), prepared.detect(IMAGES), strict=True):
        assert same(found, expected)


@pytest.mark.skipif(not ONEDNN, reason="torch has no oneDNN product here")
def test_packed_weights_are_not_read_where_torch_cannot_use_them(monkeypatch: pytest.MonkeyPatch) -> None:
    prepared = detector().prepare(kernels=Kernels("onednn"))
    assert any(isinstance(part, Packed) for part in prepared.modules())
    written = pickle.dumps(prepared)
    monkeypatch.setattr(products, "onednn_works", lambda *_: False)
    with pytest.raises(RuntimeError, match="prepare the detector where it runs"):
        pickle.loads(written)


@pytest.mark.parametrize("pin", PINS)
@pytest.mark.parametrize(
    "move",
    [
        lambda m: m.double(),
        lambda m: m.half(),
        lambda m: m.to(torch.bfloat16),
        lambda m: m.to("meta"),
        lambda m: m.to_empty(device="meta"),
    ],
)
def test_it_stays_where_it_is(move: Any, pin: str) -> None:
    prepared = detector().prepare(kernels=Kernels(pin))
    expected = prepared.detect(IMAGES)
    with pytest.raises(
        RuntimeError, match=r"stays on cpu, its outputs in torch\.float32, got torch.* prepare it where it runs"
    ):
        move(prepared)
    for unmoved in (prepared.to("cpu"), prepared.float(), prepared.cpu(), prepared.to(torch.float32), prepared.eval()):
        assert unmoved is prepared
    for found, other in zip(prepared.detect(IMAGES), expected, strict=True):
        assert same(found, other)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_it_is_not_moved_to_a_gpu() -> None:
    with pytest.raises(RuntimeError, match=r"got torch\.float32 on cuda"):
        detector().prepare().cuda()
    on_gpu = detector().cuda().prepare()
    assert not on_gpu.kernels
    with pytest.raises(RuntimeError, match="stays on cuda"):
        on_gpu.cpu()


def test_its_state_needs_no_reading_of_packed_weights() -> None:
    state: dict[str, Tensor] = detector().prepare(kernels=Kernels("onednn")).state_dict()
    assert all(tensor.layout == torch.strided for tensor in state.values())
