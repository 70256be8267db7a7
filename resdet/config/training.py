"""Options of optimization and of the run."""

from __future__ import annotations

from dataclasses import dataclass

from resdet.config.option import option


@dataclass
class OptimizerConfig:
    """SGD with momentum."""

    lr: float = option(0.01, "learning rate after the warm-up", low=0)
    base_batch: int = option(
        0,
        "the batch that lr is for: with another run.batch the rate is lr * run.batch / base_batch; 0: lr with any batch. A run "
        "file or argument that gives lr and no base_batch sets this to 0",
        low=0,
    )
    momentum: float = option(0.9, "momentum", low=0, high=1)
    weight_decay: float = option(1e-4, "L2 penalty", low=0)
    decay_norm_and_bias: bool = option(True, "the L2 penalty is also on BN's scale and shift and on biases (paper)")
    clip_norm: float = option(0.0, "gradients longer than this are shortened to it; 0: never", low=0)


@dataclass
class ScheduleConfig:
    """How the learning rate changes, in iterations, or in epochs where these are given."""

    iterations: int = option(90000, "optimizer steps", low=1, high=10**9)
    epochs: float = option(0.0, "instead of iterations: passes over the training images; 0: none", low=0, high=10**6)
    policy: str = option(
        "steps",
        "steps: times gamma at every milestone; plateau: times gamma when the validation score stops rising; cosine: to 0 "
        "along half a cosine; the latter two leave milestones aside",
        choices=("steps", "plateau", "cosine"),
    )
    milestones: list[int] = option([], "iterations at which the learning rate is multiplied by gamma", low=1)
    milestone_epochs: list[float] = option([], "instead of milestones: the same in epochs", low=0)
    gamma: float = option(0.1, "factor at a milestone or plateau", low=0, high=1)
    patience: int = option(5, "plateau: evaluations without a gain before the rate falls", low=1)
    threshold: float = option(0.001, "plateau: the least rise of the score that is a gain; 0.001: 0.1 points", low=0)
    warmup_iterations: int = option(
        0, "linear warm-up over the first iterations; -1, for detectors: over a tenth of them, at most 500", low=-1
    )
    warmup_factor: float = option(0.001, "learning rate at iteration 0, as a share of lr", low=0, high=1)
    warmup_until_error: float = option(
        0.0,
        "instead of the linear warm-up: stay at warmup_factor * lr until the training error, averaged over 100 iterations, is "
        "below this (ResNet-110: 0.8); 0: off",
        low=0,
        high=1,
    )


@dataclass
class PhaseConfig:
    """How long one half of alternating training takes; what is 0 or empty is that of ``run`` and ``schedule``."""

    batch: int = option(0, "images an optimizer step", low=0, high=10**6)
    iterations: int = option(0, "optimizer steps", low=0, high=10**9)
    milestones: list[int] = option([], "iterations at which the learning rate is multiplied by gamma", low=1)


@dataclass
class AlternatingConfig:
    """The paper's 4-step training: RPN, region classifier, RPN again on its trunk, region classifier again."""

    rpn: PhaseConfig = option(factory=PhaseConfig, text="steps 1 and 3")
    roi: PhaseConfig = option(factory=PhaseConfig, text="steps 2 and 4")


@dataclass
class RegularizationConfig:
    """What keeps a classifier from being too sure; the paper uses none of it."""

    label_smoothing: float = option(0.0, "share of the target spread over all classes", low=0, high=1)
    mixup: float = option(0.0, "alpha of MixUp; 0: none; with cutmix, one of them is drawn for each batch", low=0)
    cutmix: float = option(0.0, "alpha of CutMix; 0: none", low=0)
    stochastic_depth: float = option(
        0.0,
        "probability that the last residual block is dropped in a step, and is its shortcut alone; that of the others is in "
        "proportion to their depth (Huang et al. 2016: 0.5); 0: none is",
        low=0,
        high=0.99,
    )


@dataclass
class RunConfig:
    """The run itself."""

    batch: int = option(16, "images an optimizer step", low=1, high=10**6)
    accumulate: int = option(1, "parts that a batch is computed in, one after the other, to save memory", low=1)
    seed: int = option(0, "seed of everything random", low=0, high=2**63 - 1)
    log_every: int = option(20, "iterations between log lines", low=1)
    loggers: list[str] = option(
        ["tensorboard"],
        "who shows the run while it trains, beside log.jsonl: losses and evaluations, and at each evaluation pictures, "
        "precision-recall curves and histograms; all but tensorboard are extras to install",
        choices=("tensorboard", "wandb", "mlflow", "trackio"),
    )
    checkpoint_every: int = option(1000, "iterations between checkpoints", low=1)
    eval_every: int = option(0, "iterations between evaluations; 0: only at the end", low=0)
    val_loss: bool = option(
        False, "each evaluation also computes the loss on the validation set, val_loss of metrics.json (detectors, classifiers)"
    )
    best: str = option(
        "",
        "the number of metrics.json by which best.safetensors is chosen, such as bbox.AP50, per_class.cat.AP or val_loss.loss; "
        "losses and errors count negatively; empty: COCO's AP or VOC's mAP, or the least error",
    )
    early_stopping: int = option(0, "end the run when so many evaluations in a row did not beat the best one; 0: never", low=0)
    ema: float = option(
        0.0, "decay of a moving average of the weights, which is then what is evaluated and saved; 0: none", low=0, high=1
    )
    sync_bn: bool = option(
        False,
        "training of a classifier in several processes: BN normalizes by the whole batch, as in one process, and not by the "
        "images of each process",
    )
    precision: str = option("fp32", "number format of the convolutions (autocast)", choices=("fp32", "bf16", "fp16"))
    channels_last: bool = option(False, "memory layout of images and weights: channels innermost")
    compile: bool = option(False, "let torch.compile fuse the network's operations; the first steps take minutes")
    cuda_graphs: bool = option(
        False,
        "classifiers and detectors on a GPU, in one process: record the passes through the network and replay them, so that "
        "the host starts fewer kernels; of a detector those of conv1-conv4, for padded sizes of a batch that come a third time "
        "(8 sizes at most), and of conv5",
    )
    checkpoint_activations: bool = option(
        False, "keep only the residual blocks' inputs for the way back, and run the blocks once more: less memory, more time"
    )
    kernels: str = option(
        "auto",
        "how a CPU computes matrix products in training: torch, onednn, or auto: the faster one here, which the run then keeps",
        choices=("auto", "torch", "onednn"),
    )
