"""The config of a run for data of one's own: planned, or that of a run that is continued."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from resdet.config import load_config
from resdet.data.found import find_task
from resdet.engine.run_folder import refuse_used
from resdet.errors import ConfigError
from resdet.training.plan.classification import plan_classification
from resdet.training.plan.detection import plan_detection
from resdet.training.plan.run import Plan, run_folder

if TYPE_CHECKING:
    from collections.abc import Sequence

    from resdet.config.check import RunFile

_PLANNERS: dict[str, Callable[..., Plan]] = {"detection": plan_detection, "classification": plan_classification}
_SAID = {
    "detection": "detection, for there are boxes",
    "classification": "classification, for there are classes of whole images and no boxes",
}


def planned_run(
    path: str | Path,
    *,
    task: str | None = None,
    output: str | Path | None = None,
    resume: bool = False,
    overrides: Sequence[str] = (),
    say: Callable[[str], None] = print,
    **options: Any,
) -> RunFile:
    """The config of a planned run: of the run in the folder, when it is to be resumed, or else of ``plan_detection`` and so on.

    Args:
        path: the data.
        task: detection or classification; None: what the data are for, see ``find_task``.
        output: the run folder; None: ``runs/<name of the data>``.
        resume: continue the run in the folder, if there is one.
        overrides: ``key.path=value`` strings.
        say: called with each sentence of the plan as soon as it is known.
        options: the others of ``plan_detection`` and ``plan_classification``.

    Raises:
        ConfigError: an unknown task; or the folder holds a run, of another task or with ``resume`` false, before anything is
            timed. Errors of the plan.
    """
    if task not in (None, *_PLANNERS):
        raise ConfigError(f"'task' must be {' or '.join(_PLANNERS)} for data of your own, got {task!r}")
    folder = run_folder(path, output)
    if resume and (folder / "config.yaml").is_file():
        config = load_config(folder / "config.yaml", [*overrides, f"output={json.dumps(str(folder))}"])
        if task not in (None, config.task):
            raise ConfigError(f"{folder} holds a run of task {config.task}, not of {task}; choose another --output")
        return config
    refuse_used(folder)
    if task is None:
        task = find_task(path)
        say(f"task:  {_SAID[task]}")
    return _PLANNERS[task](path, output=folder, overrides=overrides, say=say, **options).config
