#!/usr/bin/env bash
# Renders the sample pictures of the bundle. Needs Debian's blender (3.4) and python3-pil; some minutes each.
set -euo pipefail
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p ../../samples

for fruit in granny-smith-apple lemon red-bell-pepper aubergine; do
    blender --background --factory-startup --python fruit.py -- "$fruit" "$work/$fruit.png"
    python3 - "$work/$fruit.png" "../../samples/$fruit.jpg" <<'PYTHON'
import sys
from PIL import Image
Image.open(sys.argv[1]).convert('RGB').save(sys.argv[2], quality=88, optimize=True)
PYTHON
done

# The self-test picture: lossless and small.
python3 - "$work/granny-smith-apple.png" ../../sample.png <<'PYTHON'
import sys
from PIL import Image
Image.open(sys.argv[1]).convert('RGB').resize((256, 256), Image.LANCZOS).save(sys.argv[2], optimize=True)
PYTHON
