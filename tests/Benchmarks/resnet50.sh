#!/usr/bin/env bash
# What a ResNet50 costs: a full-size one with random weights is written as Keras writes it (Debian: python3-h5py, python3-torch), imported, and served.
# Needs ../shared for the network's description. More arguments go to the benchmarks: tests/Benchmarks/resnet50.sh --effort 0.2
set -euo pipefail
cd "$(dirname "$0")/../.."
folder=artifacts/resnet50
mkdir -p "$folder"
if [ ! -e "$folder/models/resnet50/model.json" ]; then
  /usr/bin/python3 tests/data/keras/networks.py ../shared/models/topologies/keras-resnet50.tfjs-layers.json "$folder/resnet50.h5"
  dotnet run -c Release --project src/ModelTools -- import "$folder/resnet50.h5" --name resnet50 --preset keras-resnet50 --models "$folder/models"
fi
./build.sh bench --model "$folder/models/resnet50" --parts endurance closed --sizes 348 --connections 8 --rounds 3 --effort 0.2 "$@"
