"""Train an object detector: `resdet train-det`, from a checkout that need not be installed."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from resdet.cli import main

if __name__ == "__main__":
    sys.exit(main(["train-det", *sys.argv[1:]]))
