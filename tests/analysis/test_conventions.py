"""What weights want, measured: the formulas by other means, the verdict on made-up numbers, small trained networks."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from stripes import folded, striped, trained
from torch import Tensor, nn
from torch.distributions import Categorical, Normal, kl_divergence

from resdet.analysis.convention_images import ImageSample
from resdet.analysis.convention_subject import find_subject
from resdet.analysis.conventions import (
    Candidate,
    Measurement,
    Verdict,
    candidates,
    clarity,
    divergence,
    imbalance,
    judge,
    measure,
    nearly_equal,
)
from resdet.models.backbones.weights.read import WeightsFile
from resdet.models.convert import CONVENTIONS
from resdet.ops.moments import Moments
from resdet.structures import PIXEL_CONVENTIONS, PixelConvention

TORCHVISION = PIXEL_CONVENTIONS["torchvision"]


# -------------------------------------------------------------------------------------------------------------- measures


def test_clarity_is_the_entropy_of_the_mean_less_twice_the_mean_entropy() -> None:
    torch.manual_seed(0)
    predicted = (torch.randn(40, 7, dtype=torch.float64) * 3).softmax(1)
    expected = Categorical(predicted.mean(0)).entropy() - 2 * Categorical(predicted).entropy().mean()
    assert float(clarity(predicted).mean()) == pytest.approx(float(expected))
    each = kl_divergence(Categorical(predicted), Categorical(predicted.mean(0))) - Categorical(predicted).entropy()
    torch.testing.assert_close(clarity(predicted), each)


@pytest.mark.parametrize(
    ("predicted", "expected"),
    [
        (torch.eye(4), math.log(4)),  # sure, and different of each image
        (torch.eye(4)[[0, 0, 0]], 0.0),  # sure, and the same of each
        (torch.full((3, 4), 0.25), -math.log(4)),  # not sure
    ],
)
def test_clarity_at_its_ends(predicted: Tensor, expected: float) -> None:
    assert float(clarity(predicted.double()).mean()) == pytest.approx(expected, abs=1e-9)


def _norm(channels: int = 5) -> nn.BatchNorm2d:
    norm = nn.BatchNorm2d(channels)
    for tensor in (norm.weight.data, norm.bias.data, norm.running_mean, norm.running_var):
        tensor.uniform_(0.5, 2)
    return norm


def _moments(x: Tensor) -> Moments:
    seen = Moments.of(x.shape[1])
    seen.add(x)
    return seen


def test_divergence_is_that_of_normal_distributions() -> None:
    torch.manual_seed(1)
    norm, x = _norm(), torch.randn(6, 5, 4, 4) * torch.arange(1, 6).view(5, 1, 1) + 2
    mean, variance = x.double().mean((0, 2, 3)), x.double().var((0, 2, 3), correction=0)
    kept = Normal(norm.running_mean.double(), norm.running_var.double().sqrt())
    expected = kl_divergence(Normal(mean, variance.sqrt()), kept).median()
    assert divergence(_moments(x), norm) == pytest.approx(float(expected), rel=1e-6)
    x = (x - x.mean((0, 2, 3), keepdim=True)) / x.std((0, 2, 3), keepdim=True, correction=0)
    matched = norm.running_var.sqrt().view(5, 1, 1) * x + norm.running_mean.view(5, 1, 1)
    assert divergence(_moments(matched), norm) == pytest.approx(0, abs=1e-6)


def test_dead_channels_do_not_count() -> None:
    torch.manual_seed(1)
    norm, x = _norm(), torch.randn(6, 5, 4, 4)
    expected = divergence(_moments(x[:, :3]), _like(norm, 3))
    assert norm.running_var is not None
    norm.running_var[3:] = 1e-9
    assert divergence(_moments(x), norm) == pytest.approx(expected)
    norm.running_var.zero_()
    assert divergence(_moments(x), norm) == 0


def _like(norm: nn.BatchNorm2d, channels: int) -> nn.BatchNorm2d:
    part = nn.BatchNorm2d(channels)
    part.load_state_dict({k: v[:channels] if v.ndim else v for k, v in norm.state_dict().items()})
    return part


def test_imbalance_is_that_of_the_layer_s_output() -> None:
    torch.manual_seed(2)
    norm, x = _norm().eval(), torch.randn(6, 5, 4, 4) * 30
    norm.eps = 0
    spread = norm(x).std((0, 2, 3), correction=0)
    expected = abs(float((spread / norm.bias).detach().log().median()))
    assert imbalance(_moments(x), norm) == pytest.approx(expected, rel=1e-5)
    assert imbalance(_moments(x * 58), norm) == pytest.approx(expected + math.log(58), rel=1e-5)


# ------------------------------------------------------------------------------------------------------------ candidates


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ("msra", "detectron", True),
        ("detectron", "detectron2", True),
        ("msra", "msra_rgb", False),
        ("torchvision", "torchvision_bgr", False),
        ("unit", "symmetric", False),
    ],
)
def test_conventions_that_are_too_near_to_tell(first: str, second: str, expected: bool) -> None:
    assert nearly_equal(CONVENTIONS[first], CONVENTIONS[second]) == expected


def _subject_candidates(name: str, pixels: PixelConvention | None = None) -> list[Candidate]:
    card = None
    state = trained(name, TORCHVISION, steps=0).state_dict()
    if pixels is not None:
        backbone = {"name": name, "width": 8}
        card = {"task": "classification", "architecture": {"backbone": backbone}, "pixels": pixels.to_dict(), "test": {}}
    return candidates(find_subject(WeightsFile(Path("w.pth"), state, card)), CONVENTIONS)


def test_near_conventions_are_one_candidate_and_bottlenecks_have_two_strides() -> None:
    basic, bottleneck = _subject_candidates("cifar_resnet8"), _subject_candidates("cifar_preact_bottleneck11")
    assert [each.names for each in basic] == [
        ("torchvision",),
        ("msra", "detectron", "detectron2"),
        ("torchvision_bgr",),
        ("unit",),
        ("symmetric",),
        ("msra_rgb",),
    ]
    assert {each.stride_in_1x1 for each in basic} == {None}
    assert [each.stride_in_1x1 for each in bottleneck] == [True] * 6 + [False] * 6


def test_the_card_s_convention_is_a_candidate_too() -> None:
    own = PixelConvention("RGB", (0.3, 0.2, 0.1), (0.2, 0.2, 0.2), 1)
    assert _subject_candidates("cifar_resnet8", own)[-1] == Candidate(("its card's",), own, None)
    assert len(_subject_candidates("cifar_resnet8", CONVENTIONS["detectron"])) == 6


# --------------------------------------------------------------------------------------------------------------- verdict


def _measured(
    clear: float | None = None, misfit: float | None = None, off: float | None = None, loss: float = 0
) -> Measurement:
    """Of 25 images, whose values spread by 1 around the mean: one standard error is 0.2."""
    name = f"{clear} {misfit} {off} {loss}"
    spread = torch.linspace(-1, 1, 25, dtype=torch.float64)
    return Measurement(
        Candidate((name,), TORCHVISION, None),
        clarity=None if clear is None else clear + (spread if clear == 2 else -spread) / 1.2,
        misfit=misfit,
        imbalance=off,
        loss=spread + loss if loss else None,
        error=min(loss / 4, 1) if loss else None,
    )


def _best(*measured: Measurement) -> list[int]:
    return [measured.index(each) for each in judge(measured).plausible]


@pytest.mark.parametrize(
    ("measured", "plausible"),
    [
        # clarity alone
        ([_measured(2), _measured(0.5), _measured(0.1)], [0]),
        ([_measured(0.5), _measured(2), _measured(1.9)], [1, 2]),
        ([_measured(1.9), _measured(2), _measured(-3)], [1, 0]),
        # grossly off statistics, however clear the predictions are
        ([_measured(9, misfit=3), _measured(2, misfit=0.1), _measured(0.5, misfit=0.1)], [1]),
        ([_measured(9, off=5), _measured(2, off=0.4), _measured(0.5, off=0)], [1]),
        # a little off: only where clarity does not tell
        ([_measured(2, misfit=0.15), _measured(0.5, misfit=0.1)], [0]),
        ([_measured(2, misfit=0.15), _measured(1.9, misfit=0.1)], [1]),
        ([_measured(2, misfit=0.11), _measured(1.9, misfit=0.1)], [0, 1]),
        # without a classifier
        ([_measured(misfit=0.1), _measured(misfit=0.11), _measured(misfit=0.13)], [0, 1]),
        ([_measured(misfit=0.2), _measured(misfit=0.1)], [1]),
        ([_measured(off=0.2), _measured(off=1.9), _measured(off=4)], [0, 1]),
        # labels
        ([_measured(2, loss=3), _measured(0.5, loss=1)], [1]),
        # labels that no candidate knows are of other classes
        ([_measured(2, loss=5), _measured(0.5, loss=3)], [0]),
        # gross ones were not run on
        ([_measured(2, misfit=0.1), _measured(misfit=5)], [0]),
        ([_measured(2)], [0]),
    ],
)
def test_the_verdict(measured: list[Measurement], plausible: list[int]) -> None:
    assert _best(*measured) == plausible


def test_margins_of_the_verdict() -> None:
    verdict = judge([_measured(2, misfit=0.1), _measured(0.5, misfit=0.12), _measured(misfit=3)])
    assert isinstance(verdict, Verdict)
    spread = (2 * torch.linspace(-1, 1, 25) / 1.2).std()
    assert verdict.errors == pytest.approx(1.5 / (float(spread) / 5), rel=1e-5)
    assert verdict.ratio == pytest.approx(1.2)
    assert judge([_measured(2)]).errors is None


# ---------------------------------------------------------------------------------------------- small networks, trained

NETWORKS = [
    ("cifar_preact_bottleneck11", "torchvision", False),
    ("cifar_preact_bottleneck11", "torchvision", True),
    ("cifar_preact_bottleneck11", "msra", True),
    ("cifar_resnet8", "torchvision", None),
    ("cifar_resnet8", "msra", None),
]


@pytest.mark.slow
@pytest.mark.parametrize("labelled", [False, True], ids=["without labels", "with labels"])
@pytest.mark.parametrize("fold", [False, True], ids=["statistics", "folded"])
@pytest.mark.parametrize(("name", "pixels", "stride"), NETWORKS)
def test_the_convention_of_training_is_found(name: str, pixels: str, stride: bool | None, fold: bool, labelled: bool) -> None:
    network = trained(name, CONVENTIONS[pixels], bool(stride))
    state = folded(network.state_dict()) if fold else network.state_dict()
    images, labels = striped(128, 2)
    subject = find_subject(WeightsFile(Path("w.pth"), state, None))
    measured = measure(subject, candidates(subject, CONVENTIONS), ImageSample(images, labels if labelled else None))
    (best,) = judge(measured).plausible
    assert best.candidate.names[0] == pixels
    assert best.candidate.stride_in_1x1 == stride
    assert (best.misfit is None, best.imbalance is None) == (fold, not fold)
    if labelled:  # it is the better one in truth
        assert best.error == min(each.error for each in measured if each.error is not None)


@pytest.mark.slow
@pytest.mark.parametrize("stride", [False, True])
def test_a_trunk_s_statistics_show_scale_and_stride(stride: bool) -> None:
    """Without its classifier; of folded ones scale alone."""
    network = trained("cifar_preact_bottleneck11", TORCHVISION, stride)
    whole = {key: value for key, value in network.state_dict().items() if not key.startswith("fc.")}
    images, _ = striped(64, 3)
    for state in (whole, folded(whole)):
        subject = find_subject(WeightsFile(Path("w.pth"), state, None))
        measured = measure(subject, candidates(subject, CONVENTIONS), ImageSample(images, None))
        assert all(each.clarity is None for each in measured)
        plausible = [each.candidate for each in judge(measured).plausible]
        assert "torchvision" in [each.names[0] for each in plausible]
        assert not any(each.pixels.range == 255 for each in plausible)
        assert {each.stride_in_1x1 for each in plausible} == ({stride} if state is whole else {True, False})


@pytest.mark.slow
def test_the_network_is_run_under_the_candidate() -> None:
    """The error under the true convention is that of the network itself."""
    network = trained("cifar_resnet8", CONVENTIONS["msra"])
    images, labels = striped(64, 5)
    subject = find_subject(WeightsFile(Path("w.pth"), network.state_dict(), None))
    (found,) = measure(subject, [Candidate(("msra",), CONVENTIONS["msra"], None)], ImageSample(images, labels))
    with torch.no_grad():
        views = [network(CONVENTIONS["msra"].normalize(view)).double().softmax(1) for view in (images, images.flip(-1))]
    predicted = (views[0] + views[1]) / 2
    assert found.error == pytest.approx(float((predicted.argmax(1) != labels).double().mean()))
    assert found.clarity is not None
    torch.testing.assert_close(found.clarity, clarity(predicted), rtol=1e-4, atol=1e-6)
    assert found.loss is not None
    torch.testing.assert_close(found.loss, -predicted.gather(1, labels[:, None])[:, 0].log(), rtol=1e-4, atol=1e-6)
