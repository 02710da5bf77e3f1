/** Answers the function at a point, and writes its gradient there. */
export type Objective = (point: Float64Array, gradient: Float64Array) => number;

const memory = 10;
const maxSteps = 25;
// Nocedal and Wright's values for quasi-Newton directions, page 62.
const sufficientDecrease = 1e-4;
const curvature = 0.9;

interface Pair {
  step: Float64Array;
  change: Float64Array;
  inverse: number;
}

/**
 * Finds the lowest point of a smooth function by its gradient, as `Lbfgs` of the command does: limited-memory BFGS. Nocedal and Wright, "Numerical
 * Optimization", 2nd edition: the two loops of algorithm 7.4, and the step by algorithms 3.5 and 3.6. `point` becomes the lowest point found.
 */
export function minimize(objective: Objective, point: Float64Array, { tolerance = 1e-7, maxIterations = 1000 } = {}): { value: number; iterations: number } {
  const gradient = new Float64Array(point.length);
  const direction = new Float64Array(point.length);
  const pairs: Pair[] = [];
  let value = objective(point, gradient);
  for (let iteration = 0; iteration < maxIterations; iteration++) {
    if (gradient.every((part) => Math.abs(part) <= tolerance)) return { value, iterations: iteration };
    direct(gradient, pairs, direction);
    let slope = dot(gradient, direction);
    if (!(slope < 0)) {
      // Rounding spoilt the memory: begin anew, straight down.
      pairs.length = 0;
      gradient.forEach((part, at) => (direction[at] = -part));
      slope = dot(gradient, direction);
    }
    const start = point.slice();
    const before = gradient.slice();
    const first = pairs.length === 0 ? Math.min(1, 1 / gradient.reduce((sum, part) => sum + Math.abs(part), 0)) : 1;
    const found = stepAlong(objective, start, direction, first, slope, value, point, gradient);
    if (found === undefined) {
      // No step leads further down: what is left is rounding.
      point.set(start);
      return { value, iterations: iteration };
    }
    value = found;
    remember(pairs, start, point, before, gradient);
  }
  return { value, iterations: maxIterations };
}

/** Algorithm 7.4: the inverse Hessian, as far as it is remembered, times the gradient; downhill. */
function direct(gradient: Float64Array, pairs: readonly Pair[], direction: Float64Array): void {
  gradient.forEach((part, at) => (direction[at] = -part));
  const alphas = new Float64Array(pairs.length);
  for (let pair = pairs.length - 1; pair >= 0; pair--) {
    alphas[pair] = pairs[pair]!.inverse * dot(pairs[pair]!.step, direction);
    addTimes(direction, pairs[pair]!.change, -alphas[pair]!);
  }
  const last = pairs.at(-1);
  if (last) {
    const scale = 1 / (last.inverse * dot(last.change, last.change));
    for (let at = 0; at < direction.length; at++) direction[at] = direction[at]! * scale;
  }
  for (const [pair, { step, change, inverse }] of pairs.entries()) addTimes(direction, step, alphas[pair]! - inverse * dot(change, direction));
}

function remember(pairs: Pair[], start: Float64Array, point: Float64Array, before: Float64Array, gradient: Float64Array): void {
  const step = point.map((value, at) => value - start[at]!);
  const change = gradient.map((value, at) => value - before[at]!);
  const product = dot(step, change);
  if (product <= 1e-12 * dot(change, change)) return;
  if (pairs.length === memory) pairs.shift();
  pairs.push({ step, change, inverse: 1 / product });
}

/** A step that satisfies the strong Wolfe conditions, by bracketing and bisecting; the first one mostly does. */
function stepAlong(
  objective: Objective,
  start: Float64Array,
  direction: Float64Array,
  first: number,
  slope: number,
  before: number,
  point: Float64Array,
  gradient: Float64Array,
): number | undefined {
  let [low, high, length] = [0, Infinity, first];
  let best = { length: 0, value: before };
  const at = (distance: number) => {
    for (let part = 0; part < point.length; part++) point[part] = start[part]! + distance * direction[part]!;
    return objective(point, gradient);
  };
  for (let trial = 0; trial < maxSteps; trial++) {
    const value = at(length);
    if (value < best.value) best = { length, value };
    if (!(value <= before + sufficientDecrease * length * slope)) high = length;
    else if (dot(gradient, direction) < curvature * slope) low = length;
    else return value;
    length = high === Infinity ? 2 * length : (low + high) / 2;
  }
  // Near the end the function's own rounding is larger than what is left to gain: the lowest point that was seen will do.
  return best.length === 0 ? undefined : at(best.length);
}

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let at = 0; at < a.length; at++) sum += a[at]! * b[at]!;
  return sum;
}

function addTimes(target: Float64Array, other: Float64Array, factor: number): void {
  for (let at = 0; at < target.length; at++) target[at] = target[at]! + factor * other[at]!;
}
