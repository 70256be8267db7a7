"""Trained detectors, ready to run: one, or an ensemble, with or without the improvements of the paper's appendix B."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast, overload

import torch
from PIL import Image
from torch import Tensor, nn

from resdet.data.loading.batches import DetectionBatch
from resdet.data.transforms.detection import DetectionTestTransform
from resdet.errors import ConfigError
from resdet.inference.exported.networks import ExportedDetector
from resdet.inference.finite import about
from resdet.inference.mode import evaluating
from resdet.inference.multi_scale import ImagePyramid
from resdet.inference.refinement import refine
from resdet.inference.regions import Ensemble, NetworkScorer, RegionScorer, WithMirrorImage
from resdet.inference.runnable import runnable
from resdet.inference.sources import ImageSource, OpenedImage, shaped, stream_results
from resdet.inference.tiles import Tiles, detect_in_tiles
from resdet.models.detection.faster_rcnn import FasterRCNN
from resdet.models.model_file import FileVersion
from resdet.structures import Detections, Target, clip_boxes
from resdet.structures.choosing import share_problems
from resdet.structures.pictures import ImageInput

_PER_PROPOSAL = 20  # anchors that enter NMS for each proposal that is kept; the paper's 6,000 for 300


@dataclass(frozen=True)
class Improvements:
    """What is done at test time beyond one pass (paper, appendix B); box voting and soft NMS are the network's postprocessing.

    Attributes:
        refine: pool each region's regressed box again, and join the new boxes with the old.
        flip: average with the mirror image.
        short_sides: the shorter sides of a pyramid, increasing, pixels; empty: one scale.

    Raises:
        ConfigError: from the constructor, when the scales do not increase.
    """

    refine: bool = False
    flip: bool = False
    short_sides: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if list(self.short_sides) != sorted(set(self.short_sides)):
            raise ConfigError(f"option 'model.test.short_sides' must increase, got {list(self.short_sides)}")

    def pyramid(self, short_side: int, max_side: int) -> ImagePyramid | None:
        """What makes the pyramid of a picture that the data resizes to ``short_side`` and ``max_side``; None: no pyramid."""
        return ImagePyramid(self.short_sides, short_side, max_side) if self.short_sides else None


class Detector:
    """Finds objects in pictures.

    Args:
        models: the networks, of the same classes; several are an ensemble, of which the first does the postprocessing. They are
            set to eval mode. Or one exported network.
        short_side: pictures are resized to this shorter side, pixels …
        max_side: … unless the longer side would exceed this, pixels.
        improvements: what is done beyond one pass.
        tiles: windows in which pictures larger than one are searched too.
        file: the model file of a network that was loaded and prepared. Preparing changes the tensors, so ``save`` reads them
            from the file.
    """

    def __init__(
        self,
        *models: FasterRCNN | ExportedDetector,
        short_side: int,
        max_side: int,
        improvements: Improvements | None = None,
        tiles: Tiles | None = None,
        file: FileVersion | None = None,
    ) -> None:
        self.models = [runnable(model) for model in models]
        self.improvements = improvements or Improvements()
        self.tiles = tiles
        self.file = file
        self.transform = DetectionTestTransform(short_side, max_side)
        self.pyramid = self.improvements.pyramid(short_side, max_side)

    @property
    def names(self) -> tuple[str, ...]:
        """The class names, in label order."""
        return self.models[0].names

    @property
    def score_thresh(self) -> float:
        """The score that all detections are above, in [0, 1]."""
        first = self.models[0]
        return first.score_thresh if isinstance(first, ExportedDetector) else first.roi_heads.postprocess.score_thresh

    def propose_at_least(self, count: int) -> int:
        """Have each network propose at least so many regions of a picture, or of a window of one.

        Returns:
            How many the first one proposed before; exported networks go on with theirs.
        """
        networks = [model.rpn for model in self.models if not isinstance(model, ExportedDetector)]
        before = networks[0].test_filter.post_nms_top_n if networks else count
        for rpn in networks:
            if rpn.test_filter.post_nms_top_n < count:
                pre_nms_top_n = max(rpn.test_filter.pre_nms_top_n, _PER_PROPOSAL * count)
                rpn.test_filter = replace(rpn.test_filter, pre_nms_top_n=pre_nms_top_n, post_nms_top_n=count)
        return before

    @overload
    def predict(self, images: ImageInput, *, score_thresh: float = 0.0, color: str = "rgb") -> Detections: ...
    @overload
    def predict(
        self, images: list[Any] | tuple[Any, ...], *, score_thresh: float = 0.0, color: str = "rgb"
    ) -> list[Detections]: ...
    @overload
    def predict(self, images: Iterator[Any], *, score_thresh: float = 0.0, color: str = "rgb") -> Iterator[Detections]: ...
    def predict(
        self, images: ImageSource, *, score_thresh: float = 0.0, color: str = "rgb"
    ) -> Detections | list[Detections] | Iterator[Detections]:
        """Detect the objects of one picture, or of each of several.

        Args:
            images: a path, a PIL image, an array uint8 (H, W, 3) or a tensor uint8 (3, H, W), see ``to_image``; a folder or a
                video; or an iterable of all these.
            score_thresh: detections below this score, in [0, 1], are left out.
            color: order of an array's or tensor's channels, ``"rgb"`` or ``"bgr"``.

        Returns:
            Detections on the CPU, boxes in pixels of the original picture (of a file: upright, by its EXIF orientation), best
            first; a list for a list. For a folder, a video and other iterables the iterator of ``stream``, which computes each
            result when it is asked for. Type checkers cannot see where a path leads and expect one picture there: write
            ``stream`` for folders and videos.

        Raises:
            ConfigError: a folder without pictures, another ``color``, or a ``score_thresh`` out of range.
            DataError: files that are missing or no image; where there are others too, after these.
            TypeError: something that is no picture.
        """
        return shaped(images, self.stream(images, score_thresh=score_thresh, color=color))

    def stream(self, images: ImageSource, *, score_thresh: float = 0.0, color: str = "rgb") -> Iterator[Detections]:
        """As ``predict``, but always an iterator; see ``stream_results``."""
        if problems := share_problems("score_thresh", score_thresh):
            raise ConfigError(problems)
        # One at a time: with a ResNet-50 a picture of 600 x 800 takes 0.54 seconds of a processor core. In batches of four it
        # takes 0.61, and 0.80 where two of the four are upright, for all are padded to one size.
        return stream_results(
            images,
            lambda some: [self._detect(each).above(score_thresh) for each in some],
            color=color,
            windows=self.tiles is not None,
        )

    def _detect(self, opened: OpenedImage) -> Detections:
        with about(opened.path or opened.image_id):
            image = opened.image
            found = detect_in_tiles(self._search, image, self.tiles, opened.large) if self.tiles else self._search(image)
        return replace(found, image_id=opened.image_id, path=opened.path, image=opened.kept)

    def _search(self, image: Image.Image) -> Detections:
        size = (image.height, image.width)
        empty = Target(torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64), size)
        pixels, _ = self.transform(image, empty)
        pyramid = self.pyramid(image) if self.pyramid else []
        return _on_original(detect_image(self.models, pixels, self.improvements, pyramid=pyramid), size)


def detect_batches(
    models: Sequence[FasterRCNN | ExportedDetector],
    batches: Iterable[DetectionBatch],
    improvements: Improvements | None = None,
    shares: Sequence[float] | None = None,
) -> Iterator[Detections]:
    """Detections of every image of ``batches``, in order, in pixels of the original images, on the CPU.

    Args:
        models: as for ``detect_image``.
        batches: images, with a pyramid where the improvements want one; where a batch has proposals, they take the place of the
            RPNs'.
        improvements: what is done beyond one pass.
        shares: as for ``detect_image``.
    """
    improvements = improvements or Improvements()
    for batch in batches:
        for index, (image, target) in enumerate(zip(batch.images, batch.targets, strict=True)):
            with about(target.path or target.image_id):
                found = detect_image(
                    models,
                    image,
                    improvements,
                    shares=shares,
                    pyramid=batch.pyramid[index] if batch.pyramid else [],
                    proposals=batch.proposals[index] if batch.proposals else None,
                )
            yield replace(_on_original(found, batch.original_sizes[index]), image_id=target.image_id)


def detect_image(
    models: Sequence[FasterRCNN | ExportedDetector],
    image: Tensor,
    improvements: Improvements,
    *,
    shares: Sequence[float] | None = None,
    pyramid: Sequence[Tensor] = (),
    proposals: Tensor | None = None,
) -> Detections:
    """Detections of one image, in its pixels, best first; ``FasterRCNN.detect`` where there is one network and nothing more.

    Args:
        models: at least one, of the same classes and on the same device, each with its own pixel convention; several are an
            ensemble, of which the first does the postprocessing. Each of their modules keeps its mode.
        image: uint8 (3, H, W), RGB.
        improvements: refinement, and the mirror image.
        shares: the weight of each network in the mean; equal ones when not given.
        pyramid: the same picture at increasing sizes, uint8 (3, H_i, W_i); empty: one scale, the image's.
        proposals: regions float32 (R, 4) ``xyxy`` in pixels of the image; those of the networks' RPNs when None.

    Raises:
        PredictionError: when scores are NaN or infinite.
    """
    if exported := [model for model in models if isinstance(model, ExportedDetector)]:
        if len(models) > 1 or improvements != Improvements() or pyramid or proposals is not None:
            raise ConfigError(f"{exported[0].program.path}: an exported detector proposes and decides by itself, in one pass")
        return exported[0].detect([image])[0]
    networks = cast("Sequence[FasterRCNN]", models)
    first, size = networks[0], (int(image.shape[-2]), int(image.shape[-1]))
    with evaluating(nn.ModuleList(networks)):
        scorer = Ensemble([_scorer(model, image, pyramid, flip=improvements.flip) for model in networks], shares)
        found = scorer.score(scorer.propose() if proposals is None else proposals.to(first.device))
        if improvements.refine:
            found = refine(scorer, found, size)
        (detections,) = first.roi_heads.postprocess.of_all(found.boxes, found.scores, [len(found.scores)], [size], first.names)
        return detections


def _scorer(model: FasterRCNN, image: Tensor, pyramid: Sequence[Tensor], *, flip: bool) -> RegionScorer:
    scorer = NetworkScorer(model, image, pyramid)
    if not flip:
        return scorer
    return WithMirrorImage(scorer, NetworkScorer(model, image.flip(-1), [level.flip(-1) for level in pyramid]), image.shape[-1])


def _on_original(found: Detections, size: tuple[int, int]) -> Detections:
    """``found`` on the CPU, in pixels of the original image of ``size`` (height, width); boxes that get no area are dropped."""
    resized = found.to("cpu").resized(size)
    boxes = clip_boxes(resized.boxes, size)  # once more: scaling rounds a box past the edge
    there = (boxes[:, 2:] > boxes[:, :2]).all(1)
    return replace(resized, boxes=boxes)[there]
