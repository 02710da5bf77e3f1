#!/usr/bin/env bash
# From the photos to a bundle like this one by the command whatsit alone:
#   ./fine-tune.sh [data folder] [initial weights .tflite] [photos of other things]
# Needs the .NET SDK and the training program (./build.sh training). It goes on where it was ended, if WORK names the same folder. It takes
# an hour, and answers 86.5 % of the validation photos rightly, so the weights that are shipped are still those of train.sh.
set -euo pipefail
cd "$(dirname "$0")/../../.."
data=$(realpath "${1:-../shared/data/grocery}")
initial=$(realpath "${2:-../shared/models/imagenet/tf2_mobilenet_v2_1.0_224_ptq.tflite}")
work=${WORK:-$(mktemp -d)}
mkdir -p "$work/models" "$work/things"
echo "Checkpoints go to $work."

# One photo of each ImageNet class that is none of ours, all but squash, pepper, orange, jackfruit and earthstar.
others=${3:-$work/things}
[ -n "${3:-}" ] || find "$(realpath ../shared/photos/imagenet)" -type f | grep -viE 'squash|pepper|orange|jackfruit|earthstar' | xargs ln -sf -t "$others"

dotnet build src/ModelTools -c Release --nologo -v quiet
whatsit() { artifacts/bin/ModelTools/release/whatsit "$@" --models "$work/models"; }

# The base, prepared as groceries are best seen; the bundle as it is, for its sample pictures and its version.
whatsit import "$initial" --name mobilenet_v2 --dequantize
whatsit set mobilenet_v2 preprocessing.crop=resize-then-center preprocessing.resize_shortest=256 preprocessing.resample=pil-bilinear
[ -d "$work/models/grocery" ] || cp -r models/grocery "$work/models/grocery"

whatsit train --images "$data/train.txt" --validation "$data/val.txt" --labels models/grocery/labels.txt --name grocery --base mobilenet_v2 \
  --keep-preprocessing --fine-tune --cycles 2 --epochs 24 --cutmix 0.5 --mixup 0.2 --patience 0 --checkpoints "$work/checkpoints" --others "$others" --refuse 4.2% \
  --to fp16 int8 --title Groceries --license Apache-2.0
whatsit set grocery \
  description='Names fruit, vegetables and cartons of juice, milk and yoghurt in photos taken with a phone in a shop.' \
  source='MobileNetV2 (Google, Apache-2.0) fine-tuned on the GroceryStoreDataset (Klasson et al. 2019, MIT)'
whatsit export grocery --fp16
whatsit evaluate grocery --images "$data/val.txt" --compare fp32 fp16 int8 --record 'validation split of GroceryStoreDataset'

echo "The bundle is $work/models/grocery."
