"""From a JPEG to a training view: 640×480 photos to 224×224 crops, ours against PIL with torchvision's transforms.

Each way begins with the file's bytes and ends with a uint8 tensor (3, 224, 224): decoding, a crop of a random area and shape,
its resizing, a flip of every other image; ours leaves normalization to the device. The photos are made, seeded: noise of many
sizes, as JPEGs of quality 90 with colour at half the resolution, about 60 kB each; those of ``--photos`` are taken instead,
brought to 640×480.

    python benchmarks/input.py [--photos FOLDER]
"""

from __future__ import annotations

import io
import os
from dataclasses import replace
from pathlib import Path

from measure import Claim, arguments, compare
from reporting import report

# threads of a loader's worker: one; set before the libraries start
os.environ.setdefault("OMP_NUM_THREADS", "1")

CLAIM = Claim("640×480 JPEG to a training crop of 224", 1 / 2.5)
PEER, FAST, EXACT = "PIL + torchvision v2", "resdet, data.decode fast", "resdet, data.decode exact"


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--photos", type=Path, metavar="FOLDER", help="JPEGs to take in place of made ones")
    args = parser.parse_args()

    import torch
    from PIL import Image
    from torchvision.transforms import v2

    from resdet.data.images.photo import Photo
    from resdet.data.transforms.classification import ClassificationTrainTransform
    from resdet.images import read_image

    photos = shown(args.photos, 4 if args.quick else 64)
    ours = ClassificationTrainTransform(224, (), 0, 0.5, 0.0, crop_from="area")
    theirs = v2.Compose([v2.RandomResizedCrop(224, antialias=True), v2.RandomHorizontalFlip(0.5), v2.PILToTensor()])
    name = Path("photo.jpg")

    def peer() -> None:
        torch.manual_seed(0)
        for photo in photos:
            theirs(Image.open(io.BytesIO(photo)).convert("RGB"))

    def fast() -> None:
        torch.manual_seed(0)
        for photo in photos:
            ours(Photo(name, photo))

    def exact() -> None:
        torch.manual_seed(0)
        for photo in photos:
            ours(read_image(name, photo))

    check(ours, theirs, photos)
    results = []
    for threads in args.threads:
        ways = {FAST: fast, EXACT: exact, PEER: peer}
        result = compare(CLAIM, ways, ours=FAST, peer=PEER, repeats=args.repeats, threads=threads)
        results += [result, replace(result, claim=Claim(f"{CLAIM.name}, by PIL", None), ours=EXACT)]
        for way in ways:
            seconds = sorted(result.values(way, "CPU s"))
            print(f"{way}: {len(photos) / seconds[len(seconds) // 2]:.0f} images per CPU second")
    report("Input", results, json_path=args.output, quick=args.quick)


def check(ours, theirs, photos) -> None:  # type: ignore[no-untyped-def]
    """The ways must show the same windows: nearly the same pixels, at the same places."""
    import torch
    from PIL import Image

    from resdet.data.images.photo import Photo

    for number, photo in enumerate(photos[:8]):
        torch.manual_seed(number)
        found = ours(Photo(Path("photo.jpg"), photo)).float()
        torch.manual_seed(number)
        image = theirs.transforms[0](Image.open(io.BytesIO(photo)).convert("RGB"))
        flipped = torch.rand(()) < 0.5  # ours draws flips as torch.rand(()), torchvision as torch.rand(1)
        expected = theirs.transforms[2](image).float()
        distance = float((found - (expected.flip(-1) if flipped else expected)).abs().mean())
        if distance > 12:
            raise SystemExit(f"photo {number}: the views differ by {distance:.1f} of 255 on average")


def shown(folder: Path | None, count: int) -> list[bytes]:
    """JPEGs of 640×480 pixels."""
    import cv2
    import numpy as np
    from PIL import Image

    if folder:
        files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg"))[:count]
        images = [Image.open(file).convert("RGB").resize((640, 480), Image.Resampling.LANCZOS) for file in files]
    else:
        draw = np.random.default_rng(0)
        images = []
        for _ in range(count):
            canvas = np.full((480, 640, 3), 128, np.float32)
            for cells in (4, 16, 64, 160):
                noise = draw.normal(0, 60 / cells**0.4, (cells * 3 // 4, cells, 3)).astype(np.float32)
                canvas += cv2.resize(noise, (640, 480), interpolation=cv2.INTER_CUBIC)
            images.append(Image.fromarray(canvas.clip(0, 255).astype(np.uint8)))
    photos = []
    for image in images:
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=90)
        photos.append(buffer.getvalue())
    return photos


if __name__ == "__main__":
    main()
