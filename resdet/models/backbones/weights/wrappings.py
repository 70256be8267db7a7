"""What programs wrap a network's tensors in: dictionaries of several sets, prefixes, heads of their own, other names.

Each step returns what is left and what was decided, in sentences for people. A network is recognized by torchvision's names:
``conv1.weight`` (or ResNet-D's ``conv1.0.weight``) beside ``layer1.0.…``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from torch import Tensor

from resdet.errors import ConfigError
from resdet.wording import first_few

# sets of tensors by what they are, each under the names that checkpoints give it; the first set that is there is taken
_SETS = {
    "": (
        *("state_dict", "model", "model_state_dict", "model_state", "net", "network", "weights", "params", "blobs"),
        *("module", "online_network_state_dict"),  # DeepSpeed's, and a BYOL's
    ),
    "ema": ("state_dict_ema", "model_ema", "ema", "ema_state_dict", "model_ema_state_dict"),
    "teacher": ("teacher",),
    "student": ("student",),
}
SETS = tuple(name for name in _SETS if name)
# of several networks in one set the first that is there: MoCo's queries, DINO's and BYOL's teachers and students
_NETWORKS = (
    *("encoder_q", "base_encoder", "encoder", "online_encoder", "teacher", "student"),
    *("backbone", "momentum_encoder", "encoder_k"),
)
_ROOT = re.compile(r"(.*?)conv1\.(?:0\.)?weight")
# what self-supervised training and other toolkits put behind or beside a network
_OTHER_HEADS = re.compile(r"(projection_head|projector|prototypes|predictor|head|fc\.\d|queue)(\.|_|$)")
_OF_QUERIES = re.compile(f"fc\\.|{_OTHER_HEADS.pattern}")  # MoCo v1 projects by a layer of a classifier's name
# what of a network lies beside its "backbone.": mmpretrain's classifier, and conv5 of mmdetection's detectors on C4
_BESIDE = re.compile(r"(?:head|roi_head\.shared_head)\.((?:fc|layer4)\..+)")
# the children of a ResNet in an nn.Sequential; the two that are missing have no tensors
IN_SEQUENCE = {"0": "conv1", "1": "bn1", "4": "layer1", "5": "layer2", "6": "layer3", "7": "layer4"}
# where torchvision's FasterRCNN has conv5: anywhere in its box head
CONV5 = re.compile(r"(roi_heads\.box_head\.(?:\w+\.)*?)0\.conv1\.weight")
# what torch puts into names where a part of a network is wrapped: for checkpointed activations, FSDP, or compiled
_INSIDE = re.compile(r"(?:_checkpoint_wrapped_module|_fsdp_wrapped_module|_orig_mod)\.")
_COUNTER = "n_averaged"  # of torch's AveragedModel
_SHOWN = 3

_HUGGING_FACE = re.compile(
    r"(?:resnet\.)?(?:(?P<stem>embedder\.embedder)|encoder\.stages\.(?P<S>[0-3])\.layers\.(?P<B>\d+)\."
    r"(?:layer\.(?P<N>[012])|(?P<shortcut>shortcut)))\.(?P<part>convolution|normalization)\.(?P<kind>\w+)"
)


def chosen_set(content: Any, take: str = "") -> tuple[Any, list[str]]:
    """The set of tensors in a checkpoint, and a sentence where there are several.

    Args:
        content: what a checkpoint holds; containers in containers are opened.
        take: one of ``SETS`` to take it instead of the first.

    Raises:
        ConfigError: when the checkpoint has no such set.
    """
    notes: list[str] = []
    wanted = take
    while isinstance(content, Mapping):
        there = {
            kind: name for kind, names in _SETS.items() for name in reversed(names) if isinstance(content.get(name), Mapping)
        }
        if not there:
            name = _only_set(content)
            if name is None:
                break
            notes.append(f"taken: {name}")
            content = content[name]
            continue
        kind = wanted if wanted in there else next(iter(there))
        wanted = "" if kind == wanted else wanted
        if len(there) > 1:
            others = ", ".join(f"{name} (--take {other})" if other else name for other, name in there.items() if other != kind)
            notes.append(f"taken: {there[kind]}; also there: {others}")
        content = content[there[kind]]
    if wanted:
        raise ConfigError(f"--take {take}: the file has no such set of tensors")
    return content, notes


def _only_set(content: Mapping[Any, Any]) -> Any:
    """The name of the one entry of a checkpoint that holds a network's tensors, at whatever depth; None: there is none.

    Raises:
        ConfigError: when there are several.
    """
    if any(isinstance(value, Tensor) for value in content.values()):
        return None
    found = [name for name, value in content.items() if _holds_weights(value, 5)]
    if len(found) > 1:
        names = ", ".join(map(str, found))
        raise ConfigError(f"holds several sets of tensors, under {names}: save the state dict of one of them alone")
    return found[0] if found else None


def _holds_weights(value: Any, depth: int) -> bool:
    """Whether a mapping holds tensors under names like a layer's, itself or in what it holds; an optimizer's has none."""
    return (
        isinstance(value, Mapping)
        and depth > 0
        and any(
            (isinstance(each, Tensor) and isinstance(key, str) and key.endswith(".weight")) or _holds_weights(each, depth - 1)
            for key, each in value.items()
        )
    )


def network_of(state: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], list[str]]:
    """The tensors of the residual network in a state dict, without the prefix of its names; the state itself where none is.

    Torchvision's detectors on C4 stay whole: conv5 is not under the same prefix.

    Raises:
        ConfigError: for several networks of which none is the usual choice.
    """
    state = {_INSIDE.sub("", key): value for key, value in state.items()}
    if is_torchvision_detector(whole := without_shared_prefix(state)):
        return whole, []
    renamed = _from_sequence(_from_hugging_face({key: value for key, value in state.items() if key != _COUNTER}))
    prefix = _prefix(renamed)
    inside = {key.removeprefix(prefix): value for key, value in renamed.items() if key.startswith(prefix)}
    left = [key for key in renamed if not key.startswith(prefix)]
    parts = {key: part[1] for key in left if (part := _BESIDE.fullmatch(key.removeprefix(prefix.removesuffix("backbone."))))}
    inside |= {part: renamed[key] for key, part in parts.items()}
    left = [key for key in left if key not in parts]
    heads = _OF_QUERIES if prefix.endswith("encoder_q.") else _OTHER_HEADS
    foreign = [key for key in inside if heads.match(key)] if _is_network(inside) else []
    inside = {key: value for key, value in inside.items() if key not in foreign}
    inside = {f"fc.{key.removeprefix('linear.')}" if key.startswith("linear.") else key: value for key, value in inside.items()}
    return inside, [*_cut(prefix, left), *([f"left out: {first_few(foreign, _SHOWN)}"] if foreign else [])]


def is_torchvision_detector(state: Mapping[str, Tensor]) -> bool:
    """Whether a state dict is one of torchvision's FasterRCNN with conv5 on its regions."""
    return "rpn.head.cls_logits.weight" in state and any(map(CONV5.fullmatch, state))


def without_shared_prefix(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors without a prefix that all their names share, of those that wrap any network."""
    prefix = _shared(state)
    return {key.removeprefix(prefix): value for key, value in state.items()}


def _cut(prefix: str, left: list[str]) -> list[str]:
    if not left:
        return []  # a prefix that all names share says nothing
    return [f"taken: the network under {prefix.removesuffix('.')}; left out: {first_few(left, _SHOWN)}"]


def _prefix(state: Mapping[str, Tensor]) -> str:
    """What stands before the names of the network; "" where nothing does, or there is none."""
    found = list(dict.fromkeys(_prefixes(state)))
    if "" in found or not found:
        return "" if found else _shared(state)
    if len(found) == 1:
        return found[0]
    for name in _NETWORKS:
        if chosen := [prefix for prefix in found if name in prefix.split(".")]:
            return chosen[0]
    raise ConfigError(
        f"holds {len(found)} networks, under {', '.join(prefix.removesuffix('.') for prefix in found)}: "
        "save the state dict of one of them alone"
    )


def _prefixes(state: Mapping[str, Tensor]) -> Iterator[str]:
    for key in state:
        if (root := _ROOT.fullmatch(key)) and any(other.startswith(f"{root[1]}layer1.0.") for other in state):
            yield root[1]


def _shared(state: Mapping[str, Tensor]) -> str:
    """A prefix that all names share, of those that wrap any network."""
    for prefix in ("module._orig_mod.", "_orig_mod.", "module.", "backbone."):
        if state and all(key.startswith(prefix) for key in state):
            return prefix
    return ""


def _is_network(state: Mapping[str, Tensor]) -> bool:
    return any(key.startswith("layer1.0.") for key in state)


def _from_sequence(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The names of a ResNet that is an ``nn.Sequential`` of its children, ``0.weight`` for conv1's, as torchvision's."""
    roots = [root for key in state if (root := key.removesuffix("0.weight")) != key and f"{root}4.0.conv1.weight" in state]
    for root in roots:
        parts = {f"{root}{place}.": f"{root}{name}." for place, name in IN_SEQUENCE.items()}
        state = {_replaced(key, parts): value for key, value in state.items()}
    return state


def _replaced(key: str, starts: Mapping[str, str]) -> str:
    return next((new + key.removeprefix(old) for old, new in starts.items() if key.startswith(old)), key)


def _from_hugging_face(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Hugging Face's names of a ResNet as torchvision's; another state dict as it is."""
    if not any(key.endswith("embedder.embedder.convolution.weight") for key in state):
        return state
    renamed = {}
    for key, value in state.items():
        found = _HUGGING_FACE.fullmatch(key)
        if found is None:
            renamed[key.replace("classifier.1.", "fc.")] = value
            continue
        norm = found["part"] == "normalization"
        if found["stem"]:
            renamed[f"{'bn1' if norm else 'conv1'}.{found['kind']}"] = value
            continue
        block = f"layer{int(found['S']) + 1}.{found['B']}"
        if found["shortcut"]:
            renamed[f"{block}.downsample.{int(norm)}.{found['kind']}"] = value
        else:
            renamed[f"{block}.{'bn' if norm else 'conv'}{int(found['N']) + 1}.{found['kind']}"] = value
    return renamed
