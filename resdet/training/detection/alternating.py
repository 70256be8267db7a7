"""The paper's 4-step alternating training (Faster R-CNN, section 3.2; ResNet paper, appendix A).

1. The trunk and the RPN, from the backbone's weights.
2. A fresh trunk and the region classifier, from the backbone's weights, on step 1's proposals.
3. The RPN again, on step 2's trunk, which is fixed from here on.
4. The region classifier again, on step 3's proposals.

The detector is step 3's RPN, step 2's trunk and step 4's region classifier. Each step is a run folder of its own.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import torch

from resdet.config import config_to_yaml
from resdet.config.schema import DetectionRunConfig
from resdet.data.loading.views import DetectionView
from resdet.data.proposals import Proposals
from resdet.data.transforms.detection import DetectionTestTransform
from resdet.distributed.ranks import Ranks
from resdet.engine.proposal_cache import cached_proposals, dataset_fingerprint
from resdet.engine.run import Run
from resdet.engine.run_folder import open_run
from resdet.engine.seed import seed_everything, step_seed
from resdet.errors import ConfigError, DataError
from resdet.files import read_json, sha256_of, write_json
from resdet.inference.mode import evaluating
from resdet.models.build import load_model, start_detector
from resdet.models.detection.faster_rcnn import FasterRCNN
from resdet.training.detection.images import TrainingImages, read_training_images
from resdet.training.detection.task import DetectionTask, evaluation_of
from resdet.training.how import ANEW, How
from resdet.training.report import write_run_report
from resdet.training.start import assembled, train_task

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Step:
    """One of the four steps.

    Attributes:
        name: the name of its run folder.
        part: the part that is trained, "rpn" or "roi".
        start: the step whose network it continues, with the trunk fixed; "": the config's weights, and the trunk trains too.
        proposals: the step whose RPN proposes the regions; "": it needs none.
    """

    name: str
    part: str
    start: str = ""
    proposals: str = ""


STEPS = (
    Step("step1_rpn", "rpn"),
    Step("step2_roi", "roi", proposals="step1_rpn"),
    Step("step3_rpn", "rpn", start="step2_roi"),
    Step("step4_roi", "roi", start="step3_rpn", proposals="step3_rpn"),
)
_FINISHED = "steps.json"  # the SHA-256 of the model of every finished step


def train_alternating(config: DetectionRunConfig, device: torch.device, how: How = ANEW) -> Run:
    """Take the four steps, continuing each one where it stopped, then evaluate the detector.

    Args:
        config: the result of ``load_config``; regions that its data names replace the RPN's proposals in steps 2 and 4.
        device: the device to train on.
        how: whether the run in the folder is continued, with what hooks, which are called in every step, and so on.

    Returns:
        The finished run of the whole detector, in the output folder.

    Raises:
        ConfigError: when the model of a finished step is missing or has changed. All errors of ``train_task`` are possible too.
    """
    ranks, images = how.ranks, read_training_images(config.data)
    evaluation = evaluation_of(config, images, ranks=ranks)
    with ranks.entered(open_run(config.output, config_to_yaml(config), how.resume)) as files:
        folder = files.folder
        finished = ranks.once(lambda: _finished(folder))
        for number, step in enumerate(STEPS):
            if step.name in finished:
                continue
            if ranks.first:
                _log.info("%s: step %d of %d", folder / step.name, number + 1, len(STEPS))
            own = _step_config(config, folder, step, number)
            task = _step_task(own, step, images, finished, device, ranks)
            # the step belongs to the run that was opened above, whether the step has begun or not
            train_task(own, task, device, replace(how, resume=True))
            finished = ranks.once(functools.partial(_finish, folder, step, finished))
        detector = DetectionTask(config, images, _load(folder, STEPS[-1].name, config).to(device), evaluation, ranks=ranks)
        if ranks.first:
            detector.save(detector.model, files.model)
        results = detector.finish(detector.model, folder)
        if ranks.first:
            write_run_report(files, config, detector)
    # after the evaluation, for it compiles and averages what a run is to train
    run = assembled(config, detector, device, ranks)
    return replace(run, iteration=run.iterations, files=files, results=results, metrics=results.metrics)


def _step_task(
    config: DetectionRunConfig,
    step: Step,
    images: TrainingImages,
    finished: Mapping[str, str],
    device: torch.device,
    ranks: Ranks,
) -> DetectionTask:
    """The training task of a step, with the network and the proposals of the steps before."""
    folder = Path(config.output).parent
    origin = {"start": finished[step.start]} if step.start else {}
    proposals = images.proposals if step.proposals else None
    if step.proposals and proposals is None:
        proposals = _proposals_of(step.proposals, folder, config, images, finished, device, ranks)
        origin |= {"proposals": finished[step.proposals]}
    seed_everything(config.run.seed)
    if step.start:
        model = _load(folder, step.start, config)
        model.trunk.requires_grad_(False)
    else:
        model = start_detector(config.model, images.dataset.names)
    # the parts that do not train are saved unchanged, for the later steps
    (model.roi_heads if step.part == "rpn" else model.rpn).requires_grad_(False)
    return DetectionTask(config, images, model.to(device), proposals=proposals, parts=(step.part,), origin=origin, ranks=ranks)


def _proposals_of(
    name: str,
    folder: Path,
    config: DetectionRunConfig,
    images: TrainingImages,
    finished: Mapping[str, str],
    device: torch.device,
    ranks: Ranks,
) -> Proposals:
    """The proposals of the RPN of step ``name`` on the training images, after its filter for training."""
    model = _load(folder, name, config).to(device)
    sizes = {"short_side": config.data.test_short_side, "max_side": config.data.max_side}
    view = DetectionView(images.dataset, DetectionTestTransform(**sizes))
    keep = model.rpn.train_filter
    provenance = {
        "model": finished[name],
        # the words are those of earlier releases, because a resumed run keeps their files
        "filter": {
            "pre_nms": keep.pre_nms_top_n,
            "post_nms": keep.post_nms_top_n,
            "nms_iou": keep.nms_thresh,
            "min_size": keep.min_size,
        },
        "resize": sizes,
        "source": images.dataset.source,
        "data": dataset_fingerprint(images.dataset),
    }
    network = model.prepare_for_training()  # gives the numbers of a training step to the last digit
    with evaluating(network):
        return cached_proposals(
            folder / "proposals" / name, network.propose, view, provenance, workers=config.data.workers, ranks=ranks
        )


def _step_config(config: DetectionRunConfig, folder: Path, step: Step, number: int) -> DetectionRunConfig:
    """The config of one step, with the batch and schedule of its phase, and its own random numbers and folder."""
    phase = config.alternating.rpn if step.part == "rpn" else config.alternating.roi
    schedule = config.schedule
    if phase.iterations:
        schedule = replace(schedule, iterations=phase.iterations, epochs=0.0)
    if phase.milestones:
        schedule = replace(schedule, milestones=phase.milestones, milestone_epochs=[])
    run = replace(config.run, batch=phase.batch or config.run.batch, seed=step_seed(config.run.seed, number))
    return replace(config, schedule=schedule, run=run, output=str(folder / step.name))


def _finish(folder: Path, step: Step, finished: Mapping[str, str]) -> dict[str, str]:
    """Note that a step is finished."""
    now = {**finished, step.name: sha256_of(_model_file(folder, step.name))}
    write_json(folder / _FINISHED, now)
    return now


def _finished(folder: Path) -> dict[str, str]:
    """The finished steps and the SHA-256 of their models, which must exist unchanged."""
    path = folder / _FINISHED
    finished: dict[str, str] = read_json(path) if path.exists() else {}
    if not isinstance(finished, dict) or finished.keys() - {step.name for step in STEPS}:
        raise DataError(f"{path}: must map the names of steps to SHA-256 sums, got {finished!r:.200}")
    changed = [
        f"{model}: is not the model that the finished step left there ({path}); put it back, or choose another --output"
        for name, digest in finished.items()
        if not (model := _model_file(folder, name)).is_file() or sha256_of(model) != digest
    ]
    if changed:
        raise ConfigError(changed)
    return finished


def _load(folder: Path, name: str, config: DetectionRunConfig) -> FasterRCNN:
    return cast(FasterRCNN, load_model(_model_file(folder, name), config.model)[0])


def _model_file(folder: Path, name: str) -> Path:
    return folder / name / "model.safetensors"
