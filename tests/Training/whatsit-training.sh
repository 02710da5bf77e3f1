#!/usr/bin/env bash
# The training program as it was built here, where it can run: WHATSIT_TRAINING=tests/Training/whatsit-training.sh whatsit train … --fine-tune
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
exec "$here/debian13.sh" "$here/../../artifacts/bin/Training/release/whatsit-training" "$@"
