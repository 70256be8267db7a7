import shutil
from pathlib import Path

import pytest

from resdet.data.check import undecodable
from resdet.data.formats.imagenet import SOLUTION, SYNSETS, read_imagenet, spoken_names
from resdet.errors import DataError

WNIDS = ["n01440764", "n01443537", "n02000000"]
KEYS = [f"ILSVRC2012_val_{number:08d}" for number in range(1, 7)]
# of each image of the flat val
CLASSES = [WNIDS[index] for index in (2, 0, 0, 1, 2, 0)]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """The published tree: images three folders below the tables."""
    root = tmp_path / "ILSVRC" / "Data" / "CLS-LOC"
    (root / "val").mkdir(parents=True)
    for key in KEYS:
        (root / "val" / f"{key}.JPEG").touch()
    rows = [f"{key},{wnid} 1 2 3 4 {WNIDS[0]} 5 6 7 8 \n" for key, wnid in zip(KEYS, CLASSES, strict=True)]
    (tmp_path / SOLUTION).write_text("ImageId,PredictionString\n" + "".join(reversed(rows)))
    (tmp_path / SYNSETS).write_text("".join(f"{wnid} a thing, a {wnid}\n" for wnid in reversed(WNIDS)))
    return root


def add_train(root: Path, wnids: list[str]) -> None:
    for wnid in wnids:
        (root / "train" / wnid).mkdir(parents=True)
        (root / "train" / wnid / f"{wnid}_1.JPEG").touch()


def rows(dataset: object) -> list[tuple[str, str]]:
    return [(dataset.path(index).stem, dataset.names[dataset.label(index)]) for index in range(len(dataset))]


EXPECTED = list(zip(KEYS, CLASSES, strict=True))


def test_a_flat_val_of_the_published_tree(tree: Path) -> None:
    dataset = read_imagenet(tree, "val")
    assert dataset.names == tuple(WNIDS)
    assert rows(dataset) == EXPECTED
    assert dataset.path(0) == tree / "val" / f"{KEYS[0]}.JPEG"


@pytest.mark.parametrize("place", ["", "val", "../..", "../../..", "elsewhere"])
def test_where_the_tables_may_lie(tree: Path, tmp_path: Path, place: str) -> None:
    folder = tree / place
    folder.mkdir(exist_ok=True)
    for name in (SOLUTION, SYNSETS):
        if folder.resolve() != tmp_path:
            shutil.move(tmp_path / name, folder / name)
    if place == "elsewhere":
        with pytest.raises(DataError) as caught:
            read_imagenet(tree, "val")
        assert caught.value.problems == (
            f"{tree / 'val'}: its images lie in one folder, and there is no {SOLUTION} beside or above it",
            f"{tree / 'val'}: its class names are unknown: there is neither a train folder nor a {SYNSETS}",
        )
        assert rows(read_imagenet(tree, "val", WNIDS, folder / SOLUTION)) == EXPECTED
    else:
        assert rows(read_imagenet(tree, "val")) == EXPECTED


def test_tables_above_a_linked_folder(tree: Path, tmp_path: Path) -> None:
    link = tmp_path / "far" / "away" / "from" / "there"
    link.parent.mkdir(parents=True)
    link.symlink_to(tree)
    assert rows(read_imagenet(link, "val")) == EXPECTED


def test_the_solution_named_wins(tree: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.csv"
    other.write_text((tmp_path / SOLUTION).read_text().replace(f"{KEYS[0]},{WNIDS[2]}", f"{KEYS[0]},{WNIDS[1]}"))
    assert rows(read_imagenet(tree, "val", annotations=other))[0] == (KEYS[0], WNIDS[1])


def test_train_and_its_names(tree: Path) -> None:
    add_train(tree, [*WNIDS[::-1], "n00000001"])
    names = ("n00000001", *WNIDS)
    train = read_imagenet(tree, "train")
    assert train.names == names
    assert rows(train) == [(f"{wnid}_1", wnid) for wnid in names]
    # val's classes are those of train, and not of the table
    val = read_imagenet(tree, "val")
    assert val.names == names
    assert rows(val) == EXPECTED


def test_names_of_the_caller_win(tree: Path) -> None:
    add_train(tree, WNIDS)
    names = [WNIDS[1], "n09999999", WNIDS[2], WNIDS[0]]
    for split in ("train", "val"):
        dataset = read_imagenet(tree, split, names)
        assert dataset.names == tuple(names)
        assert all(wnid in WNIDS for _, wnid in rows(dataset))
    with pytest.raises(DataError, match="class 'n02000000' is not among the classes asked for"):
        read_imagenet(tree, "val", WNIDS[:2])
    with pytest.raises(DataError, match="class 'n02000000' is not among the classes asked for"):
        read_imagenet(tree, "train", WNIDS[:2])


def test_val_in_class_folders(tree: Path, tmp_path: Path) -> None:
    for key, wnid in EXPECTED:
        (tree / "val" / wnid).mkdir(exist_ok=True)
        (tree / "val" / f"{key}.JPEG").rename(tree / "val" / wnid / f"{key}.JPEG")
    with (tmp_path / SYNSETS).open("a") as file:
        file.write("n00000001 first\n\n")
    dataset = read_imagenet(tree, "val")
    assert dataset.names == ("n00000001", *WNIDS)
    assert sorted(rows(dataset)) == EXPECTED
    (tmp_path / SYNSETS).unlink()
    assert read_imagenet(tree, "val").names == tuple(WNIDS)
    add_train(tree, WNIDS[:2])
    with pytest.raises(DataError, match="class 'n02000000' is not among the classes asked for"):
        read_imagenet(tree, "val")
    (tree / "val" / "loose.JPEG").touch()
    with pytest.raises(DataError, match="val: must hold class folders or images, got 3 folders and 1 images"):
        read_imagenet(tree, "val")


def test_every_disagreement_is_told_at_once(tree: Path, tmp_path: Path) -> None:
    for number in range(1, 9):
        (tree / "val" / f"new_{number}.JPEG").touch()
    (tree / "val" / f"{KEYS[1]}.png").touch()
    (tree / "val" / f"{KEYS[0]}.JPEG").unlink()
    (tree / "val" / ".hidden.JPEG").touch()
    (tree / "val" / "notes.txt").touch()
    lines = (tmp_path / SOLUTION).read_text().splitlines()
    lines[1] = lines[1].replace(WNIDS[0], "n01440765", 1)  # of KEYS[5]
    lines += [f"{KEYS[2]},{WNIDS[0]} 1 2 3 4", f"{KEYS[3]},", "a,b,c", ""]
    (tmp_path / SOLUTION).write_text("\n".join(lines))
    table = tmp_path / SOLUTION
    with pytest.raises(DataError) as caught:
        read_imagenet(tree, "val")
    assert list(caught.value.problems) == [
        f"{tree / 'val'}: images whose name differs from another's in its suffix alone (1): {KEYS[1]}",
        f"{table}: line 10: must have 2 fields as the first line, got 3",
        f"{table}: line 8: {KEYS[2]} has a line already",
        f"{table}: line 9: ImageId and PredictionString must not be empty",
        f"{table}: images of {tree / 'val'} without a line (8): new_1, new_2, new_3, new_4, new_5, …",
        f"{table}: lines without an image in {tree / 'val'} (1): {KEYS[0]}",
        f"{table}: class 'n01440765' is not among the classes asked for (did you mean 'n01440764'?)",
        f"{table}: only in the file: n01440765; only asked for: none",
    ]


def test_broken_tables(tree: Path, tmp_path: Path) -> None:
    (tmp_path / SOLUTION).write_text("Image,Prediction\n")
    with pytest.raises(DataError, match="must name the columns ImageId,PredictionString; ImageId,PredictionString is missing"):
        read_imagenet(tree, "val")
    (tmp_path / SOLUTION).write_bytes(b'ImageId,PredictionString\nx,"y')
    with pytest.raises(DataError, match=r"csv: is not CSV, after line 1: unexpected end of data"):
        read_imagenet(tree, "val")
    (tmp_path / SOLUTION).write_bytes(b"ImageId,PredictionString\n\xff\xfe,x")
    with pytest.raises(DataError, match=r"csv: is not CSV, after line 1: 'utf-8' codec"):
        read_imagenet(tree, "val")
    (tmp_path / SYNSETS).write_text(f"{WNIDS[0]} a\n{WNIDS[1]} b\n{WNIDS[0]} c\n")
    with pytest.raises(DataError, match=rf"{SYNSETS}: wnids that have two lines \(1\): {WNIDS[0]}"):
        read_imagenet(tree, "val")
    (tmp_path / SYNSETS).write_text("\n")
    with pytest.raises(DataError, match=rf"{SYNSETS}: must hold a wnid a line, got none"):
        read_imagenet(tree, "val")
    (tmp_path / SYNSETS).write_bytes(b"\xff")
    with pytest.raises(DataError, match=rf"{SYNSETS}: cannot be read: "):
        read_imagenet(tree, "val")


def test_empty_and_missing_folders(tree: Path) -> None:
    with pytest.raises(DataError, match="train: cannot be read: No such file"):
        read_imagenet(tree, "train")
    (tree / "train").mkdir()
    with pytest.raises(DataError, match="train: must hold one folder a class, got none"):
        read_imagenet(tree, "train")
    assert read_imagenet(tree, "val").names == tuple(WNIDS)  # an empty train folder says nothing
    shutil.rmtree(tree / "val")
    (tree / "val").mkdir()
    with pytest.raises(DataError, match="val: holds no image"):
        read_imagenet(tree, "val")


@pytest.mark.real
def test_the_first_validation_images(shared_data: Path) -> None:
    dataset = read_imagenet(shared_data / "imagenet_val100" / "ILSVRC" / "Data" / "CLS-LOC", "val")
    assert (len(dataset), len(dataset.names)) == (100, 1000)
    assert dataset.names[0] == "n01440764"
    # by the development kit: a sea snake, an alp, a Shetland sheepdog
    assert rows(dataset)[:3] == [(KEYS[0], "n01751748"), (KEYS[1], "n09193705"), (KEYS[2], "n02105855")]
    assert [dataset.label(index) for index in range(3)] == [65, 970, 230]
    assert undecodable(dataset) == []


@pytest.mark.parametrize("table", ["LOC_synset_mapping.txt", "words.txt"])
def test_names_for_people(tmp_path: Path, table: str) -> None:
    lines = ["n01440764 tench, Tinca tinca", "n01443537\tgoldfish", "", "n01484850", "n09999999 other"]
    (tmp_path / table).write_bytes("\r\n".join(lines).encode())
    image = tmp_path / "ILSVRC/Data/CLS-LOC/train/n01440764/a.JPEG"
    names = ("n01443537", "n01440764", "n01484850")
    assert spoken_names(names, image) == ("goldfish (n01443537)", "tench (n01440764)", "n01484850")
    assert spoken_names(names, tmp_path.parent / "elsewhere" / "a.JPEG") == names
    assert spoken_names(("n01440764", "cat"), image) == ("n01440764", "cat")  # not the names of ImageNet
    assert spoken_names((), image) == ()
