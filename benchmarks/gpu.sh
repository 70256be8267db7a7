#!/bin/bash
# Everything that is measured on a GPU, in stages by priority, in eight minutes: benchmarks/gpu.sh [--help]
# A stage that has ended is not repeated: start it again after an interruption, or with --again STAGE.
exec "${PYTHON:-python3}" "$(dirname "$0")/gpu/run.py" "$@"
