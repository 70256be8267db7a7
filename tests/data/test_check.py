from pathlib import Path

from resdet.data.check import summary, undecodable
from resdet.data.formats.coco import read_coco
from resdet.data.formats.folder import read_folder
from resdet.data.formats.voc import read_voc


def test_every_bad_image_is_told_in_order(tiny_coco) -> None:
    dataset = read_coco(tiny_coco.images, tiny_coco.annotations)
    assert undecodable(dataset) == []
    dataset.path(1).write_bytes(b"")
    dataset.path(3).write_bytes(dataset.path(0).read_bytes())
    problems = undecodable(dataset)
    assert [Path(problem.split(": ")[0]).name for problem in problems] == ["000002.png", "000004.png"]
    assert "the file is empty" in problems[0]
    assert "is 64 x 48 pixels, its annotation says 48 x 64" in problems[1]


def test_summaries(tiny_coco, shared_data: Path) -> None:
    dataset = read_coco(tiny_coco.images, tiny_coco.annotations)
    assert summary(dataset) == "6 images (1 without objects), 11 objects (1 crowds, 0 difficult), 2 classes"
    assert summary(read_folder(shared_data / "tiny_imagenet_10" / "train")) == "5000 images, 10 classes"


def test_real_folders_are_sound_but_for_the_truncated_photo(shared_data: Path, tmp_path: Path) -> None:
    root = shared_data / "kangaroo_voc"
    for folder in ("Annotations", "JPEGImages"):
        (tmp_path / folder).symlink_to(root / folder)
    (tmp_path / "ImageSets" / "Main").mkdir(parents=True)
    keys = sorted(path.stem for path in (root / "Annotations").glob("*.xml"))
    (tmp_path / "ImageSets" / "Main" / "all.txt").write_text("\n".join(keys))
    dataset = read_voc(tmp_path, "all")
    assert len(dataset) == 164
    (problem,) = undecodable(dataset)
    assert "00090.jpg: cannot be read as an image: image file is truncated" in problem
