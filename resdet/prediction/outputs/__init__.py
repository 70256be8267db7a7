"""What ``resdet predict --format`` writes: a file of all pictures, or files beside each."""

from resdet.prediction.outputs.beside import Crops, VocFiles, YoloFiles
from resdet.prediction.outputs.lists import CocoResults, CsvTable, JsonRows, LabelStudioTasks
from resdet.prediction.outputs.output import Output

OUTPUTS: dict[str, type[Output]] = {
    "json": JsonRows,
    "coco": CocoResults,
    "csv": CsvTable,
    "labelstudio": LabelStudioTasks,
    "yolo": YoloFiles,
    "voc": VocFiles,
    "crops": Crops,
}

__all__ = ["OUTPUTS", "Output"]
