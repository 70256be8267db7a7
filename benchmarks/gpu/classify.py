"""Training and evaluation of a ResNet-50 classifier on 224×224 pictures, channels_last, beside torchvision's."""

from __future__ import annotations

import functools

import torch
from stage import Deadline, Report, arguments, by_turns, device, numbers
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models import resnet50

from resdet.config.schema import BackboneConfig, ClassifierConfig
from resdet.data.loading.batches import ClassificationBatch
from resdet.engine.optimizer import build_sgd
from resdet.models.build import build_classifier
from resdet.models.classifier import Classifier, classification_step

args = arguments(__doc__).parse_args()
where, deadline = device(args.rehearse), Deadline(args.seconds)
report = Report(args.output, "ResNet-50 classification: images a second")
IMAGES, SIDE = (2, 64) if args.rehearse else (256, 224)


def our_step(model: Classifier, optimizer: torch.optim.Optimizer, batch: ClassificationBatch, name: str) -> None:
    optimizer.zero_grad()
    with numbers(name, where):
        measured = classification_step(model, batch)
    measured["loss_cls"].backward()
    optimizer.step()


def their_step(model: nn.Module, optimizer: torch.optim.Optimizer, images: Tensor, labels: Tensor, name: str) -> None:
    optimizer.zero_grad()
    with numbers(name, where):
        loss = F.cross_entropy(model(images), labels)
    loss.backward()
    optimizer.step()


torch.backends.cudnn.benchmark = True
ours = build_classifier(ClassifierConfig(BackboneConfig("resnet50")), [str(label) for label in range(1000)]).to(where)
theirs = resnet50().to(where)
theirs.load_state_dict(ours.backbone.state_dict())
ours, theirs = ours.to(memory_format=torch.channels_last).train(), theirs.to(memory_format=torch.channels_last).train()
rates = build_sgd(ours, 1e-4, 0.9, 1e-4), torch.optim.SGD(theirs.parameters(), lr=1e-4, momentum=0.9, weight_decay=1e-4)
images = torch.randint(256, (IMAGES, 3, SIDE, SIDE), dtype=torch.uint8).to(where)
batch = ClassificationBatch(images, torch.randint(1000, (IMAGES,)).to(where), ("",) * IMAGES)
ready = ours.normalize(images).contiguous(memory_format=torch.channels_last)  # torchvision's begins with this
for name in ("bf16", "tf32", "fp32"):
    if deadline.left < 4:
        report.note(f"{name}: no time left")
        continue
    ways = {
        "resdet": functools.partial(our_step, ours, rates[0], batch, name),
        "torchvision": functools.partial(their_step, theirs, rates[1], ready, batch.labels, name),
    }
    seconds = by_turns(ways, where, rounds=2 if args.rehearse else 10, seconds=min(6.0, deadline.left))
    report.row(
        what=f"training, batch {IMAGES}",
        format=name,
        resdet=f"{IMAGES / seconds['resdet']:.0f}",
        torchvision=f"{IMAGES / seconds['torchvision']:.0f}",
        ratio=f"{seconds['resdet'] / seconds['torchvision']:.2f}",
    )
