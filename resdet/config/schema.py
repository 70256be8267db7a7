"""Every option of every run file: its default, what it means, its unit, its range.

``python -m resdet info --options`` prints this table. Modules never see these objects: builders unpack them.
"""

from __future__ import annotations

from dataclasses import dataclass

from resdet.config.data import (
    ClassificationDataConfig,
    ClassificationSourceConfig,
    ClassificationTestConfig,
    DetectionDataConfig,
    DetectionSourceConfig,
)
from resdet.config.localization import LocalizerConfig, LocalizerTestConfig, PerClassRPNConfig, RegionNetConfig
from resdet.config.localization_data import LocalizationClassesConfig, LocalizationDataConfig, LocalizationSourceConfig
from resdet.config.models import (
    AnchorConfig,
    BackboneConfig,
    ClassifierConfig,
    DetectionTestConfig,
    DetectorConfig,
    RoIConfig,
    RPNConfig,
)
from resdet.config.option import option
from resdet.config.training import (
    AlternatingConfig,
    OptimizerConfig,
    PhaseConfig,
    RegularizationConfig,
    RunConfig,
    ScheduleConfig,
)

__all__ = [
    "RUN_CONFIGS",
    "AlternatingConfig",
    "AnchorConfig",
    "BackboneConfig",
    "ClassificationDataConfig",
    "ClassificationRunConfig",
    "ClassificationSourceConfig",
    "ClassificationTestConfig",
    "ClassifierConfig",
    "DetectionDataConfig",
    "DetectionRunConfig",
    "DetectionSourceConfig",
    "DetectionTestConfig",
    "DetectorConfig",
    "LocalizationClassesConfig",
    "LocalizationDataConfig",
    "LocalizationRunConfig",
    "LocalizationSourceConfig",
    "LocalizerConfig",
    "LocalizerTestConfig",
    "OptimizerConfig",
    "PerClassRPNConfig",
    "PhaseConfig",
    "RPNConfig",
    "RegionNetConfig",
    "RegularizationConfig",
    "RoIConfig",
    "RunConfig",
    "ScheduleConfig",
]


@dataclass
class DetectionRunConfig:
    """A run file of `train-det` and of `eval`."""

    task: str = option("detection", "which task", choices=("detection",))
    model: DetectorConfig = option(factory=DetectorConfig)
    data: DetectionDataConfig = option(factory=DetectionDataConfig)
    training: str = option(
        "joint",
        "joint: RPN and region classifier together (approximate joint training); alternating: the paper's 4 "
        "steps, evaluated at the end only",
        choices=("joint", "alternating"),
    )
    alternating: AlternatingConfig = option(factory=AlternatingConfig)
    from_scratch: bool = option(
        False, "train without pretrained weights, which is refused for ResNet-18 and deeper networks: they diverge"
    )
    optimizer: OptimizerConfig = option(factory=OptimizerConfig)
    schedule: ScheduleConfig = option(factory=lambda: ScheduleConfig(warmup_iterations=-1))
    run: RunConfig = option(factory=RunConfig)
    output: str = option("", "the run folder; empty: runs/<config name>")


@dataclass
class ClassificationRunConfig:
    """A run file of `train-cls` and of `eval`."""

    task: str = option("classification", "which task", choices=("classification",))
    model: ClassifierConfig = option(factory=ClassifierConfig)
    data: ClassificationDataConfig = option(factory=ClassificationDataConfig)
    test: ClassificationTestConfig = option(factory=ClassificationTestConfig)
    regularization: RegularizationConfig = option(factory=RegularizationConfig)
    optimizer: OptimizerConfig = option(factory=OptimizerConfig)
    schedule: ScheduleConfig = option(factory=ScheduleConfig)
    run: RunConfig = option(factory=RunConfig)
    recompute_bn: int = option(
        0,
        "training images over which the BN statistics of model.safetensors are recomputed at the end; 0: not at all; "
        "best.safetensors keeps the moving averages",
        low=0,
    )
    output: str = option("", "the run folder; empty: runs/<config name>")


@dataclass
class LocalizationRunConfig:
    """A run file of `train-loc` and of `eval`."""

    task: str = option("localization", "which task", choices=("localization",))
    model: LocalizerConfig = option(factory=LocalizerConfig)
    data: LocalizationDataConfig = option(factory=LocalizationDataConfig)
    classes: LocalizationClassesConfig = option(factory=LocalizationClassesConfig)
    optimizer: OptimizerConfig = option(factory=OptimizerConfig)
    schedule: ScheduleConfig = option(factory=ScheduleConfig)
    run: RunConfig = option(factory=RunConfig)
    output: str = option("", "the run folder; empty: runs/<config name>")


RUN_CONFIGS: dict[str, type[DetectionRunConfig] | type[ClassificationRunConfig] | type[LocalizationRunConfig]] = {
    "detection": DetectionRunConfig,
    "classification": ClassificationRunConfig,
    "localization": LocalizationRunConfig,
}
