"""Other toolkits' weights as resdet's: their names, their conventions, and what is refused."""

from resdet.models.convert.convention import CONVENTIONS
from resdet.models.convert.conversion import SCHEMES, Conversion, convert_weights
from resdet.models.convert.names import default_names

__all__ = ["CONVENTIONS", "SCHEMES", "Conversion", "convert_weights", "default_names"]
