"""Images and annotation files of ImageNet's layouts, and what a reader finds in them."""

from pathlib import Path

from PIL import Image

from resdet.data.localization import UNLABELLED, LocalizedImages

A, B = "n01440764", "n01443537"  # two classes


def picture(path: Path, size: tuple[int, int] = (40, 30)) -> None:
    """Write an image of one color; ``size`` is (width, height)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (90, 120, 30)).save(path)


def xml(path: Path, *objects: tuple[str, tuple[float, ...]], size: tuple[int, int] = (40, 30)) -> None:
    """Write an annotation file of objects (class, (xmin, ymin, xmax, ymax))."""
    path.parent.mkdir(parents=True, exist_ok=True)
    tags = ("xmin", "ymin", "xmax", "ymax")
    body = "".join(
        f"<object><name>{name}</name><bndbox>"
        + "".join(f"<{tag}>{value}</{tag}>" for tag, value in zip(tags, box, strict=True))
        + "</bndbox></object>"
        for name, box in objects
    )
    size_xml = f"<size><width>{size[0]}</width><height>{size[1]}</height><depth>3</depth></size>"
    path.write_text(f"<annotation>{size_xml}{body}</annotation>")


def content(dataset: LocalizedImages) -> dict[str, tuple[str, list]]:
    """Image name -> (class name, or "?" without one; its boxes, as corners)."""
    return {
        dataset.path(index).stem: (
            dataset.names[dataset.label(index)] if dataset.label(index) != UNLABELLED else "?",
            dataset.boxes(index).tolist(),
        )
        for index in range(len(dataset))
    }
