"""Write the annotations of 16 training images of COCO 2017: subset.py COCO OUTPUT.json.

Images without a crowd and without an object under 32 x 32 pixels, 64 objects of 33 classes.
"""

import json
import sys
from pathlib import Path

IDS = {
    *(30752, 37666, 54718, 70133, 72258, 84533, 89232, 100667),
    *(107438, 121647, 133030, 157206, 161846, 163497, 172123, 187334),
}

coco, output = Path(sys.argv[1]), Path(sys.argv[2])
content = json.loads((coco / "annotations" / "instances_train2017.json").read_text())
output.parent.mkdir(parents=True, exist_ok=True)
content["images"] = [image for image in content["images"] if image["id"] in IDS]
content["annotations"] = [annotation for annotation in content["annotations"] if annotation["image_id"] in IDS]
output.write_text(json.dumps(content))
