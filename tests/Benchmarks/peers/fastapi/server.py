"""A peer for the benchmarks: the same network as TorchScript behind FastAPI, with Pillow; one worker per processor.

Usage: MODEL=model.onnx LABELS=labels.txt uvicorn server:app --workers 2 --loop uvloop --http httptools
"""
import io
import os
import sys
from pathlib import Path

import numpy as np
import torch
from fastapi import FastAPI, HTTPException, Request
from PIL import Image, ImageOps, UnidentifiedImageError

sys.path.insert(0, str(Path(__file__).resolve().parents[4] / 'models/grocery/training'))
from mobilenet_v2 import MobileNetV2  # noqa: E402
from onnx_weights import load_onnx  # noqa: E402

SIZE = 224
# One worker per processor: threads of PyTorch's own would only compete.
torch.set_num_threads(1)
labels = [line.split('\t')[0] for line in Path(os.environ['LABELS']).read_text('utf-8').splitlines()]


class Classifier(torch.nn.Module):
    """Pixels in, probabilities out, as the ONNX file does it."""

    def __init__(self):
        super().__init__()
        self.network = MobileNetV2(len(labels))
        load_onnx(self.network, os.environ['MODEL'])

    def forward(self, pixels):
        x = pixels.permute(0, 3, 1, 2).to(torch.float32) * (1 / 127.5) - 1
        return torch.softmax(self.network(x), 1)


@torch.inference_mode()
def compile_model():
    example = torch.zeros(1, SIZE, SIZE, 3, dtype=torch.uint8)
    traced = torch.jit.freeze(torch.jit.trace(Classifier().eval(), example))
    return torch.jit.optimize_for_inference(traced)


model = compile_model()
app = FastAPI()


@app.get('/ready')
async def ready():
    return {}


@app.post('/predict')
async def predict(request: Request):
    body = await request.body()
    try:
        image = Image.open(io.BytesIO(body))
        # Scaled decoding where JPEG offers it, with the margin that keeps the resizer's filter in charge.
        image.draft('RGB', (2 * SIZE, 2 * SIZE))
        image = ImageOps.exif_transpose(image).convert('RGB').resize((SIZE, SIZE), Image.Resampling.BILINEAR)
    except (UnidentifiedImageError, OSError) as error:
        raise HTTPException(422, str(error))
    with torch.inference_mode():
        scores, indices = model(torch.from_numpy(np.array(image)).unsqueeze(0))[0].topk(5)
    return {'predictions': [
        {'label': labels[index], 'index': index, 'confidence': score}
        for score, index in zip(scores.tolist(), indices.tolist())]}
