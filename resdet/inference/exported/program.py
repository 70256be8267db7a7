"""An exported file, opened and checked: what it says of itself, and what it computes."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from resdet.errors import ConfigError, DataError
from resdet.inference.exported.runtimes import OF_SUFFIX, Arrays, Session, open_session
from resdet.models.card_network import card_config
from resdet.models.model_file import ModelCard, card_from_text, format_of, object_of
from resdet.structures import PixelConvention
from resdet.wording import shown_briefly

EXPORT_FORMAT = 1
PRECISIONS = ("fp32", "fp16", "int8")
OUTPUTS: Mapping[str, Mapping[str, tuple[str, int]]] = {
    "detection": {"boxes": ("f", 3), "scores": ("f", 2), "labels": ("i", 2), "counts": ("i", 1)},
    "classification": {"logits": ("f", 2), "probabilities": ("f", 2)},
    "localization": {"boxes": ("f", 3), "scores": ("f", 2)},
}
"""Of each task the outputs by name: the kind of their numbers and the number of their sides."""


@dataclass(frozen=True)
class ExportFacts:
    """What an exported file says of itself beside its model card.

    Attributes:
        precision: fp32, fp16 or int8.
        resizes: whether it takes pictures of any size and resizes them.
        checksum: see ``resdet.inference.exported.seal``; "": none.
    """

    precision: str
    resizes: bool
    checksum: str = ""

    def to_text(self) -> str:
        """The facts as JSON, as files hold them."""
        seal = {"checksum": self.checksum} if self.checksum else {}
        return json.dumps({"format": EXPORT_FORMAT, "precision": self.precision, "resizes": self.resizes, **seal})

    @classmethod
    def from_text(cls, path: Path, text: str) -> ExportFacts:
        """What ``to_text`` gave; a ConfigError for a newer format, a DataError for anything else."""
        values = object_of(path, "what it says of its export", text)
        if format_of(path, "what it says of its export", values) > EXPORT_FORMAT:
            raise ConfigError(f"{path}: format {values['format']} of exported files, this version reads up to {EXPORT_FORMAT}")
        try:
            facts = cls(**{name: value for name, value in values.items() if name != "format"})
        except TypeError as error:
            raise DataError(
                f"{path}: what it says of its export cannot be read: must have 'precision' and 'resizes', got {text[:100]!r}"
            ) from error
        if facts.precision not in PRECISIONS or type(facts.resizes) is not bool:
            raise DataError(
                f"{path}: its export: 'precision' must be one of {', '.join(PRECISIONS)} and 'resizes' true or false, "
                f"got {facts.precision!r} and {facts.resizes!r}"
            )
        if not isinstance(facts.checksum, str) or not re.fullmatch("([0-9a-f]{8})?", facts.checksum):
            raise DataError(f"{path}: its export: 'checksum' must be 8 hexadecimal digits, got {shown_briefly(facts.checksum)}")
        return facts


@dataclass(frozen=True)
class Program:
    """An exported file that runs.

    Attributes:
        path: the file.
        card: the card of the model that it was made of.
        config: the card's DetectorConfig, ClassifierConfig or LocalizerConfig.
        facts: what is particular to the file.
        session: the runtime's.
    """

    path: Path
    card: ModelCard
    config: Any
    facts: ExportFacts
    session: Session

    def __call__(self, inputs: Arrays) -> dict[str, NDArray[Any]]:
        """Its outputs by name; a DataError when they are not those of its task."""
        found = self.session.run(inputs)
        expected = OUTPUTS[self.card.task]
        wrong = [
            f"{self.path}: its output {name!r} must be numbers of kind {kind!r} with {sides} sides, "
            f"got {found[name].dtype} {found[name].shape}"
            for name, (kind, sides) in expected.items()
            if found[name].dtype.kind != kind or found[name].ndim != sides
        ]
        if wrong:
            raise DataError(wrong)
        return found


def is_exported(path: str | Path) -> bool:
    """Whether a path has the suffix of an exported file."""
    return Path(path).suffix.lower() in OF_SUFFIX


def open_program(path: str | Path, runtime: str = "auto") -> Program:
    """Open an exported file in a runtime, see ``open_session``, and check what it says of itself.

    Raises:
        ConfigError: no such file, no runtime for it, a file that ``resdet export`` did not write, or one of a newer format.
        DataError: a file that the runtime refuses, or whose facts are wrong.
    """
    path = Path(path)
    session = open_session(path, runtime)
    missing = {"resdet", "resdet_export"} - set(session.metadata)
    if missing:
        raise ConfigError(f"{path}: was not written by `resdet export`: it has no {' and no '.join(sorted(missing))} metadata")
    card = card_from_text(path, session.metadata["resdet"])
    facts = ExportFacts.from_text(path, session.metadata["resdet_export"])
    config = card_config(path, card)
    problems = [
        f"{path}: its {kind}s must be {', '.join(wanted)}, got {', '.join(there)}"
        for kind, wanted, there in (
            ("input", _inputs(card.task, facts), session.inputs),
            ("output", list(OUTPUTS[card.task]), session.outputs),
        )
        if sorted(wanted) != sorted(there)
    ]
    if not card.names or not all(isinstance(name, str) for name in card.names):
        problems.append(f"{path}: its model card: 'names' must be texts, at least one, got {str(card.names)[:100]}")
    try:
        PixelConvention.from_dict(card.pixels)
    except ConfigError as error:
        problems += [f"{path}: its model card: {problem}" for problem in error.problems]
    if problems:
        raise DataError(problems)
    return Program(path, card, config, facts, session)


def _inputs(task: str, facts: ExportFacts) -> Sequence[str]:
    if task == "detection" and not facts.resizes:
        return ["images", "sizes"]
    return ["images", "classes"] if task == "localization" else ["images"]
