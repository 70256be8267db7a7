"""``python -m resdet`` is the ``resdet`` command."""

import sys

from resdet.cli import main

if __name__ == "__main__":
    sys.exit(main())
