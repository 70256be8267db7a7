"""What ``predict`` takes and gives, the same for every task."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from rounding import network
from tiny_classifiers import tiny_classifier
from tiny_detectors import tiny_detector
from tiny_localizers import tiny_rpn
from videos import written_video

from resdet.errors import ConfigError, DataError
from resdet.inference.classifier import ImageClassifier, images_at_once
from resdet.inference.detector import Detector
from resdet.inference.localizer import Localizer
from resdet.inference.localizer_views import LocalizerViews
from resdet.inference.sources import OpenedImage, shaped, stream_results


def pixels(seed: int = 0, height: int = 40, width: int = 60) -> np.ndarray:
    coarse = np.random.default_rng(seed).integers(0, 256, (5, 6, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BILINEAR))


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """A folder of two pictures, a video of two frames and a broken picture between them, and one with nothing to see."""
    root = tmp_path_factory.mktemp("sources")
    folder, empty = root / "folder", root / "empty"
    folder.mkdir()
    empty.mkdir()
    (empty / "notes.txt").write_text("hello")
    for seed, name in enumerate(("a.png", "d.png")):
        Image.fromarray(pixels(seed)).save(folder / name)
    (folder / "b.jpg").write_bytes(b"hello")
    written_video(folder / "c.avi", [pixels(seed) for seed in (3, 4)])
    return SimpleNamespace(folder=folder, empty=empty, a=folder / "a.png", broken=folder / "b.jpg", clip=folder / "c.avi")


@pytest.fixture(scope="module", params=["detection", "classification", "localization"])
def predictor(request: pytest.FixtureRequest) -> Any:
    """``predict`` and ``stream`` of each task, which take the same and give results of their own kind."""
    if request.param == "detection":
        model: Any = Detector(tiny_detector(), short_side=48, max_side=96)
    elif request.param == "classification":
        model = ImageClassifier(tiny_classifier(), short_side=40, crop=32)
    else:
        finder = Localizer(tiny_rpn(), views=LocalizerViews("dense", (64,), 64), proposals=200, nms_thresh=0.7, vote_iou=0.5)
        return SimpleNamespace(
            predict=partial(finder.predict, classes=["emu", "cat"]), stream=partial(finder.stream, classes=["emu", "cat"])
        )
    return model


def numbers(result: Any) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in result]


def test_whatever_shows_one_picture_gives_its_result(predictor: Any, files: SimpleNamespace) -> None:
    image = pixels()
    expected = numbers(predictor.predict(image))
    assert expected
    tensor = torch.from_numpy(image.copy()).permute(2, 0, 1)
    for source in (files.a, str(files.a), Image.fromarray(image), tensor, np.dstack([image, image[:, :, 0]])):
        assert numbers(predictor.predict(source)) == expected
        assert [numbers(result) for result in predictor.stream(source)] == [expected]
    for source in (image[:, :, ::-1], tensor.flip(0)):
        assert numbers(predictor.predict(source)) != expected
        assert numbers(predictor.predict(source, color="bgr")) == expected
        assert [numbers(result) for result in predictor.predict([source], color="bgr")] == [expected]
    grey = image[:, :, 1]
    assert numbers(predictor.predict(grey)) == numbers(predictor.predict(np.dstack([grey] * 3)))


def test_results_know_where_they_are_from(predictor: Any, files: SimpleNamespace) -> None:
    image = pixels()
    results = predictor.predict([files.a, str(files.a), image, files.clip])
    assert [result.image_id for result in results] == [str(files.a), str(files.a), 0, 0, 1]
    assert [result.path for result in results] == [str(files.a), str(files.a), "", str(files.clip), str(files.clip)]
    # a file can be read again, what was in memory is kept
    assert results[0].image is None
    assert np.array_equal(np.asarray(results[2].image), image)
    assert results[4].image.size == (60, 40)
    assert results[0]._repr_png_() == results[2]._repr_png_()


def test_lists_give_lists_and_what_may_be_long_streams(predictor: Any, files: SimpleNamespace) -> None:
    one = predictor.predict(files.a)
    assert isinstance(predictor.predict([files.a]), list)
    assert isinstance(predictor.predict((files.a, files.a)), list)
    assert predictor.predict([]) == []
    for source in (files.clip, str(files.folder), (path for path in [files.a]), map(Path, [files.a]), {files.a}):
        results = predictor.predict(source)
        assert isinstance(results, Iterator)
        assert type(next(results)) is type(one)
    assert list(predictor.predict(iter([]))) == []
    assert [result.image_id for result in predictor.predict(files.clip)] == [0, 1]


def test_a_broken_picture_is_left_out_and_named_at_the_end(predictor: Any, files: SimpleNamespace) -> None:
    results = predictor.predict(files.folder)
    seen = [next(results).image_id for _ in range(4)]
    assert seen == [str(files.a), 0, 1, str(files.folder / "d.png")]
    with pytest.raises(DataError) as caught:
        next(results)
    assert len(caught.value.problems) == 1
    assert caught.value.problems[0].startswith(f"{files.broken}: cannot be read as an image")


def test_every_broken_file_of_a_list_is_named(predictor: Any, files: SimpleNamespace) -> None:
    with pytest.raises(DataError) as caught:
        predictor.predict([files.broken, files.a, "gone.png", "gone.mp4"])
    assert [problem.partition(":")[0] for problem in caught.value.problems] == [str(files.broken), "gone.png", "gone.mp4"]
    with pytest.raises(DataError, match=r"gone\.png: no such image file"):
        predictor.predict("gone.png")


def test_mistakes_are_told_at_once(predictor: Any, files: SimpleNamespace) -> None:
    with pytest.raises(ConfigError, match="empty: holds no image or video"):
        predictor.predict(files.empty)
    with pytest.raises(ConfigError, match="'color' must be one of rgb, bgr, got 'RGB'"):
        predictor.stream([], color="RGB")
    for source, got in (
        (7, "int"),
        (b"a.png", "bytes"),
        (None, "NoneType"),
        ([pixels(), 7.5], "float"),
        ([[pixels()]], "list"),
    ):
        with pytest.raises(TypeError, match=f"an image must be a path, .*, got {got}$"):
            predictor.predict(source)


def test_a_path_that_no_file_system_takes() -> None:
    model = ImageClassifier(tiny_classifier(), short_side=40, crop=32)
    with pytest.raises(DataError, match="cannot be read as an image"):
        model.predict("x" * 5000)


# ------------------------------------------------------------------------------------------------------------------ batches


def asked(images: Any, batch: int) -> list[list[int]]:
    """The widths of the pictures that are asked about together."""
    groups: list[list[int]] = []

    def ask(some: Sequence[OpenedImage]) -> list[int]:
        groups.append([each.image.width for each in some])
        return groups[-1]

    assert list(stream_results(images, ask, color="rgb", batch=batch)) == [width for group in groups for width in group]
    return groups


def test_lists_and_folders_go_in_batches_generators_one_by_one(tmp_path: Path) -> None:
    arrays = [np.zeros((2, width, 3), np.uint8) for width in range(1, 6)]
    assert asked(arrays, 2) == [[1, 2], [3, 4], [5]]
    assert asked(tuple(arrays), 5) == [[1, 2, 3, 4, 5]]
    assert asked(iter(arrays), 2) == [[1], [2], [3], [4], [5]]
    for array in arrays:
        Image.fromarray(array).save(tmp_path / f"{array.shape[1]}.png")
    assert asked(tmp_path, 3) == [[1, 2, 3], [4, 5]]
    assert asked(written_video(tmp_path / "v.avi", [np.zeros((8, 16, 3), np.uint8)] * 3), 2) == [[16, 16], [16]]
    assert asked(arrays[0], 2) == [[1]]


def test_a_generator_is_asked_for_a_picture_when_its_result_is_wanted() -> None:
    given: list[int] = []

    def camera() -> Iterator[np.ndarray]:
        for number in range(10):
            given.append(number)
            yield np.zeros((2, 3, 3), np.uint8)

    results = stream_results(camera(), lambda some: [len(given) for _ in some], color="rgb", batch=4)
    assert given == []
    assert [next(results), next(results)] == [1, 2]
    assert given == [0, 1]


def test_classes_of_a_batch_are_those_of_each_picture() -> None:
    model = ImageClassifier(tiny_classifier(), short_side=40, crop=32)
    images = [pixels(seed) for seed in range(5)]
    together, alone = model.predict(images), [model.predict(image) for image in images]
    assert [each.labels for each in together] == [each.labels for each in alone]
    # as in test_classify: of a probability, which moves by half as much as the logits, which are below 7
    bound = 7 / 2 * network(18, 9 * 32, torch.float32)
    for one, other in zip(together, alone, strict=True):
        assert one.scores == pytest.approx(other.scores, rel=0, abs=bound)
    assert [(len(each), each[0].name) for each in model.predict(images, top=1)] == [(1, each[0].name) for each in alone]
    with pytest.raises(ConfigError, match="'top' must be a whole number of at least 1, got 0"):
        model.predict(images, top=0)


def test_how_many_squares_go_together() -> None:
    assert [images_at_once(side) for side in (32, 112, 224, 448, 4000)] == [128, 128, 32, 8, 1]


def test_results_take_the_shape_of_what_was_given(tmp_path: Path) -> None:
    assert shaped(["a.png"], iter([1])) == [1]
    assert shaped("a.png", iter([1])) == 1
    for several in (tmp_path, "clip.mp4", iter(["a.png"])):
        results = iter([1])
        assert shaped(several, results) is results


def test_a_file_object_and_a_mapping_are_no_lists(predictor: Any, files: SimpleNamespace) -> None:
    content = files.a.read_bytes()
    for source in (io.BytesIO(content), bytearray(content), {"image": files.a}):
        with pytest.raises(TypeError, match=f"got {type(source).__name__}$"):
            predictor.predict(source)


def test_an_opened_picture_that_is_broken_does_not_stop_the_others(
    predictor: Any, files: SimpleNamespace, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(files.a.read_bytes()[:-100])
    results = predictor.predict(each for each in [Image.open(broken), files.a])
    assert len([next(results)]) == 1
    with pytest.raises(DataError, match=r"broken\.png: cannot be read as an image"):
        next(results)


def test_wrong_scores_and_counts_are_told_at_once() -> None:
    detector, classifier = (
        Detector(tiny_detector(), short_side=64, max_side=96),
        ImageClassifier(tiny_classifier(), short_side=40, crop=32),
    )
    for thresh in (50, float("nan"), "x", None):
        with pytest.raises(ConfigError, match=r"'score_thresh' must be in \[0, 1\], got"):
            detector.stream([], score_thresh=thresh)  # type: ignore[arg-type]
    for top in (0, 2.0, "x", None, True):
        with pytest.raises(ConfigError, match="'top' must be a whole number of at least 1, got"):
            classifier.stream([], top=top)  # type: ignore[arg-type]


def test_the_classes_of_a_localizer_may_be_one_name_or_a_generator() -> None:
    views = LocalizerViews("dense", (64,), 64)
    localizer = Localizer(tiny_rpn(), views=views, proposals=5, nms_thresh=0.5, vote_iou=0.0)
    for classes in ("cat", ["cat"], iter(["cat"])):
        assert [each.name for each in localizer.predict(pixels(), classes)] == ["cat"]
    for wrong in (None, [0], b"cat"):
        with pytest.raises(ConfigError, match="unknown class"):
            localizer.predict(pixels(), wrong)  # type: ignore[call-overload]
