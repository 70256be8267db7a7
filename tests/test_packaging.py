from pathlib import Path

import resdet


def test_every_folder_of_modules_is_a_package_that_is_installed() -> None:
    folders = {path.parent for path in Path(resdet.__file__).parent.rglob("*.py")}
    assert len(folders) > 10
    assert [folder for folder in sorted(folders) if not (folder / "__init__.py").is_file()] == []
