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
    rows = [[random.gauss(1, 1) for _ in range(FEATURES)] for _ in range(CLASSES if score == 'class-mean' else 12)]
    rows = [[value / math.sqrt(sum(x * x for x in row)) for value in row] for row in rows]
    certainty = {
        'probability': max(softmax(logits)),
        'logit': max(logits),
        'energy': math.log(sum(math.exp(logit) for logit in logits)),
        'class-mean': max(cosine(row, embedding) for row in rows),
        'nearest': max(cosine(row, embedding) for row in rows),
    }[score]
    compares = score in ('class-mean', 'nearest')
    entry = {
        'score': score, 'kind': kind, 'temperature': temperature,
        'scores': logits if kind == 'logits' else softmax(logits),
        'certainty': certainty,
        'confidences': softmax([logit / temperature for logit in logits]),
    }
    if compares:
        entry['evidence'] = embedding
        entry['vectors'] = [value for row in rows for value in row]
    elif kind == 'probabilities' and score != 'probability':
        entry['evidence'] = logits
    return entry


cases = [case(score, kind, temperature) for score in ('probability', 'logit', 'energy', 'class-mean', 'nearest')
         for kind in ('logits', 'probabilities') for temperature in (1, 0.6, 2.5)]
with open(os.path.join(os.path.dirname(__file__), 'cases.json'), 'w') as file:
    json.dump(cases, file, indent=1)
    file.write('\n')
