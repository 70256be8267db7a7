"""What programs wrap a residual network's tensors in: one row for each style, of which docs/weights.md has the table."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

State = Mapping[str, Tensor]


@dataclass(frozen=True)
class Wrapping:
    """A style of checkpoints.

    Attributes:
        source: who writes it, in words.
        looks: what its names look like, in words.
        wrap: from a state dict under torchvision's names and another one to what the file holds.
        said: what is said of it, as a regular expression; "" for nothing.
        take: of ``read_weights``.
        other: whether the other one is what is taken.
        headless: whether its ``fc`` is no classifier.
    """

    source: str
    looks: str
    wrap: Callable[[State, State], Any]
    said: str = ""
    take: str = ""
    other: bool = False
    headless: bool = False


def under(prefix: str) -> Callable[[State, State], Any]:
    return lambda state, other: {f"{prefix}{key}": value for key, value in state.items()}


def beside(prefix: str, *others: str) -> Callable[[State, State], Any]:
    def wrap(state: State, other: State) -> Any:
        return {**{f"{prefix}{key}": value for key, value in state.items()}, **dict.fromkeys(others, torch.zeros(2))}

    return wrap


def two(first: str, second: str) -> Callable[[State, State], Any]:
    return lambda state, other: {first: dict(state), second: dict(other), "epoch": 3}


def two_networks(first: str, second: str) -> Callable[[State, State], Any]:
    def wrap(state: State, other: State) -> Any:
        return {
            **{f"{first}{key}": each for key, each in state.items()},
            **{f"{second}{key}": each for key, each in other.items()},
        }

    return wrap


def hugging_face(state: State, other: State) -> Any:
    """The names of ``transformers.ResNetForImageClassification``."""
    renamed = {}
    for key, value in state.items():
        name = re.sub(r"^conv1\.", "resnet.embedder.embedder.convolution.", key)
        name = re.sub(r"^bn1\.", "resnet.embedder.embedder.normalization.", name)
        name = re.sub(r"^fc\.", "classifier.1.", name)
        block = re.match(r"layer(\d)\.(\d+)\.(conv|bn|downsample\.)(\d)\.(.*)", name)
        if block:
            part = {"conv": "convolution", "bn": "normalization"}.get(block[3]) or ("convolution", "normalization")[
                int(block[4])
            ]
            place = "shortcut" if block[3] == "downsample." else f"layer.{int(block[4]) - 1}"
            name = f"resnet.encoder.stages.{int(block[1]) - 1}.layers.{block[2]}.{place}.{part}.{block[5]}"
        renamed[name] = value
    return renamed


def in_sequence(key: str) -> str:
    """The name in an ``nn.Sequential`` of a network's children."""
    part, _, rest = key.partition(".")
    return f"{['conv1', 'bn1', 'relu', 'maxpool', 'layer1', 'layer2', 'layer3', 'layer4'].index(part)}.{rest}"


class Log:
    """An object of a program's own."""

    def __init__(self) -> None:
        self.history = [1.0, 2.0]


WRAPPINGS = (
    Wrapping("torchvision, timm, resdet", "`conv1.weight`", lambda state, other: dict(state)),
    Wrapping("DataParallel, DDP", "`module.`", under("module.")),
    Wrapping("torch.compile", "`_orig_mod.`", under("_orig_mod.")),
    Wrapping("DDP of a compiled network", "`module._orig_mod.`", under("module._orig_mod.")),
    Wrapping("a resdet classifier's tensors", "`backbone.`", under("backbone.")),
    Wrapping("Lightning", "`model.` in `state_dict`", lambda state, other: {"state_dict": under("model.")(state, other)}),
    Wrapping(
        "Lightning, other modules beside it",
        "`net.`, `loss.`",
        beside("net.", "loss.weight"),
        r"taken: the network under net; left out: loss\.weight",
    ),
    Wrapping("one's own wrapper", "`encoder.`", under("encoder.")),
    Wrapping(
        "torchvision's references",
        "`model`, `optimizer`, `args`",
        lambda state, other: {"model": dict(state), "args": argparse.Namespace(lr=0.1, data=[1, "x"])},
    ),
    Wrapping(
        "checkpoints",
        "`model_state_dict`, `net`, `weights`, `params`",
        lambda state, other: {"model_state_dict": dict(state), "loss": 0.5},
    ),
    Wrapping(
        "checkpoints of one's own, at any depth",
        "`best`, `model` in `checkpoint`",
        lambda state, other: {
            "checkpoint": {"best": dict(state), "epoch": 3},
            "optimizer": {"state": {0: {"momentum_buffer": torch.zeros(3)}}},
        },
        "taken: checkpoint; taken: best",
    ),
    Wrapping(
        "FSDP, checkpointed activations, parts that are compiled",
        "`_fsdp_wrapped_module.`, `layer1._checkpoint_wrapped_module.`, `layer2._orig_mod.`",
        lambda state, other: {
            "_fsdp_wrapped_module."
            + key.replace("layer1.", "layer1._checkpoint_wrapped_module.").replace("layer2.", "layer2._orig_mod."): value
            for key, value in state.items()
        },
    ),
    Wrapping(
        "timm, averaged weights beside",
        "`state_dict`, `state_dict_ema`",
        two("state_dict", "state_dict_ema"),
        r"taken: state_dict; also there: state_dict_ema \(--take ema\)",
    ),
    Wrapping(
        "the same, `--take ema`",
        "`state_dict_ema`",
        two("state_dict", "state_dict_ema"),
        r"taken: state_dict_ema; also there: state_dict",
        "ema",
        other=True,
    ),
    Wrapping(
        "torch's AveragedModel",
        "`module.`, `n_averaged`",
        lambda state, other: {"n_averaged": torch.tensor(7), **under("module.")(state, other)},
    ),
    Wrapping(
        "mmpretrain, mmdetection",
        "`backbone.`, `head.fc.`",
        lambda state, other: {
            "state_dict": {
                (f"head.{key}" if key.startswith("fc.") else f"backbone.{key}"): value for key, value in state.items()
            }
        },
    ),
    Wrapping(
        "mmpretrain's averaged weights, `--take ema`",
        "`ema_state_dict` with `module.backbone.`, `module.head.fc.`",
        lambda state, other: {
            "ema_state_dict": {
                (f"module.head.{key}" if key.startswith("fc.") else f"module.backbone.{key}"): value
                for key, value in state.items()
            }
        },
        take="ema",
    ),
    Wrapping(
        "mmdetection's detectors on C4",
        "`backbone.`, `roi_head.shared_head.layer4.`",
        lambda state, other: {
            **{f"{'roi_head.shared_head' if 'layer4' in key else 'backbone'}.{key}": value for key, value in state.items()},
            "rpn_head.rpn_conv.weight": torch.zeros(2),
        },
        r"taken: the network under backbone; left out: rpn_head\.rpn_conv\.weight",
    ),
    Wrapping(
        "an `nn.Sequential` of a network's children (fastai, lightly, some BYOL)",
        "`0.weight`, `4.0.conv1.weight`, also `encoder.0.weight`",
        lambda state, other: {
            "online_network_state_dict": {
                f"encoder.{in_sequence(key)}": value for key, value in state.items() if not key.startswith("fc.")
            }
        },
        headless=True,
    ),
    Wrapping(
        "MoCo and BYOL of mmselfsup, solo-learn",
        "`backbone.`, `encoder_k.0.`, `momentum_backbone.`",
        two_networks("momentum_backbone.", "backbone."),
        r"taken: the network under backbone; left out: momentum_backbone\.conv1\.weight",
        other=True,
    ),
    Wrapping(
        "DeepSpeed",
        "`module`, `ds_config`",
        lambda state, other: {"module": dict(state), "ds_config": {"a": 1}},
    ),
    Wrapping(
        "whoever saves numpy's numbers, paths, or a log beside",
        "`state_dict`, `best`, `message_hub`",
        lambda state, other: {"state_dict": dict(state), "best": np.float64(0.5), "root": Path("data"), "message_hub": Log()},
        "not read:",
    ),
    Wrapping(
        "MoCo v1, v2",
        "`module.encoder_q.`, `module.encoder_k.`, `module.queue`",
        lambda state, other: {
            "state_dict": {
                **two_networks("module.encoder_q.", "module.encoder_k.")(state, other),
                "module.queue": torch.zeros(3),
            }
        },
        r"taken: the network under module\.encoder_q; left out: module\.encoder_k\.conv1\.weight",
        headless=True,
    ),
    Wrapping(
        "MoCo v3",
        "`module.base_encoder.`, `module.momentum_encoder.`",
        two_networks("module.base_encoder.", "module.momentum_encoder."),
        r"taken: the network under module\.base_encoder",
    ),
    Wrapping(
        "DINO",
        "`student`, `teacher`",
        two("student", "teacher"),
        r"taken: teacher; also there: student \(--take student\)",
        other=True,
    ),
    Wrapping(
        "SwAV, SimSiam",
        "`module.`, `module.projection_head.`, `module.prototypes.`",
        beside("module.", "module.projection_head.0.weight", "module.prototypes.weight"),
        r"left out: projection_head\.0\.weight, prototypes\.weight",
    ),
    Wrapping(
        "torchvision's `fasterrcnn_*`, the backbone alone",
        "`backbone.body.`",
        beside("backbone.body.", "rpn.head.conv.0.0.weight", "roi_heads.box_head.fc6.weight"),
        r"taken: the network under backbone\.body; left out: rpn\.head",
    ),
    Wrapping("Hugging Face's ResNet", "`resnet.embedder.embedder.convolution.weight`", hugging_face),
)
