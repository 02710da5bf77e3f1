"""Writes cases.json: what a model's outputs mean, by each abstain score and with a temperature. Python's own arithmetic, nothing of ours."""
import json
import math
import os
import random

random.seed(14)
CLASSES, FEATURES = 5, 7


def softmax(logits):
    exponentials = [math.exp(logit - max(logits)) for logit in logits]
    return [value / sum(exponentials) for value in exponentials]


def cosine(a, b):
    return sum(x * y for x, y in zip(a, b)) / math.sqrt(sum(x * x for x in a)) / math.sqrt(sum(y * y for y in b))


def case(score, kind, temperature):
    logits = [round(random.uniform(-2, 6), 4) for _ in range(CLASSES)]
    embedding = [round(random.uniform(0, 3), 4) for _ in range(FEATURES)]
    rows = [[random.gauss(1, 1) for _ in range(FEATURES)] for _ in range(CLASSES if score in ('class-mean', 'virtual-logit') else 12)]
    rows = [[value / math.sqrt(sum(x * x for x in row)) for value in row] for row in rows]
    weight = 1.75
    basis = []
    if score == 'virtual-logit':
        for row in [[random.gauss(0, 1) for _ in range(FEATURES)] for _ in range(3)]:
            for other in basis:
                row = [x - y * sum(a * b for a, b in zip(row, other)) for x, y in zip(row, other)]
            basis.append([value / math.sqrt(sum(x * x for x in row)) for value in row])
    outside = embedding
    for row in basis:
        outside = [x - y * sum(a * b for a, b in zip(embedding, row)) for x, y in zip(outside, row)]
    certainty = {
        'probability': max(softmax(logits)),
        'logit': max(logits),
        'energy': math.log(sum(math.exp(logit) for logit in logits)),
        'class-mean': max(cosine(row, embedding) for row in rows),
        'nearest': max(cosine(row, embedding) for row in rows),
        'virtual-logit': max(cosine(row, embedding) for row in rows)
        - weight * math.sqrt(sum(x * x for x in outside) / sum(x * x for x in embedding)),
    }[score]
    compares = score in ('class-mean', 'nearest', 'virtual-logit')
    entry = {
        'score': score, 'kind': kind, 'temperature': temperature,
        'scores': logits if kind == 'logits' else softmax(logits),
        'certainty': certainty,
        'confidences': softmax([logit / temperature for logit in logits]),
    }
    if compares:
        entry['evidence'] = embedding
        entry['vectors'] = [value for row in rows + basis for value in row]
        if basis:
            entry['residual_weight'] = weight
    elif kind == 'probabilities' and score != 'probability':
        entry['evidence'] = logits
    return entry


cases = [case(score, kind, temperature) for score in ('probability', 'logit', 'energy', 'class-mean', 'nearest', 'virtual-logit')
         for kind in ('logits', 'probabilities') for temperature in (1, 0.6, 2.5)]
with open(os.path.join(os.path.dirname(__file__), 'cases.json'), 'w') as file:
    json.dump(cases, file, indent=1)
    file.write('\n')
