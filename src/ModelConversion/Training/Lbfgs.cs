using System.Numerics.Tensors;

namespace Whatsit.ModelConversion.Training;

/// <summary>
/// Finds the lowest point of a smooth function by its gradient: limited-memory BFGS. Nocedal and Wright, "Numerical Optimization", 2nd edition: the two loops
/// of algorithm 7.4, and a step that satisfies the Wolfe conditions, (3.6).
/// </summary>
public static class Lbfgs
{
    private const int Memory = 10;
    private const int MaxSteps = 25;

    // Nocedal and Wright's values for quasi-Newton directions, page 62.
    private const double SufficientDecrease = 1e-4;
    private const double Curvature = 0.9;

    /// <summary>Answers the function at a point, and writes its gradient there.</summary>
    public delegate double Objective(ReadOnlySpan<double> point, Span<double> gradient);

    /// <summary>Walks downhill from <paramref name="point"/>, which becomes the lowest point found.</summary>
    /// <param name="objective">The function.</param>
    /// <param name="point">Where to begin.</param>
    /// <param name="tolerance">Ends where the largest part of the gradient is at most this.</param>
    /// <param name="maxIterations">Ends after so many directions.</param>
    /// <param name="cancellationToken">Nobody waits for the result any more.</param>
    /// <returns>The function's value there, and how many directions it took.</returns>
    public static (double Value, int Iterations) Minimize(Objective objective, Span<double> point, double tolerance = 1e-7, int maxIterations = 1000,
        CancellationToken cancellationToken = default)
    {
        var gradient = new double[point.Length];
        var direction = new double[point.Length];
        var start = new double[point.Length];
        var startGradient = new double[point.Length];
        var pairs = new List<(double[] Step, double[] Change, double Inverse)>();
        var value = objective(point, gradient);
        for (var iteration = 0; iteration < maxIterations; iteration++)
        {
            cancellationToken.ThrowIfCancellationRequested();
            if (Math.Abs(TensorPrimitives.MaxMagnitude<double>(gradient)) <= tolerance)
            {
                return (value, iteration);
            }

            Direct(gradient, pairs, direction);
            var slope = TensorPrimitives.Dot<double>(gradient, direction);
            if (!(slope < 0))
            {
                // Rounding spoilt the memory: begin anew, straight down.
                pairs.Clear();
                TensorPrimitives.Negate<double>(gradient, direction);
                slope = -TensorPrimitives.SumOfSquares<double>(gradient);
            }

            point.CopyTo(start);
            gradient.CopyTo(startGradient, 0);
            var first = pairs.Count == 0 ? Math.Min(1, 1 / TensorPrimitives.SumOfMagnitudes<double>(gradient)) : 1;
            var before = value;
            if (!Step(objective, start, direction, first, slope, point, gradient, ref value))
            {
                // No step leads further down: what is left is rounding.
                start.CopyTo(point);
                return (before, iteration);
            }

            Remember(pairs, start, point, startGradient, gradient);
        }

        return (value, maxIterations);
    }

    /// <summary>Algorithm 7.4: the inverse Hessian, as far as it is remembered, times the gradient; downhill.</summary>
    private static void Direct(double[] gradient, List<(double[] Step, double[] Change, double Inverse)> pairs, double[] direction)
    {
        TensorPrimitives.Negate<double>(gradient, direction);
        Span<double> alphas = stackalloc double[Memory];
        for (var pair = pairs.Count - 1; pair >= 0; pair--)
        {
            alphas[pair] = pairs[pair].Inverse * TensorPrimitives.Dot<double>(pairs[pair].Step, direction);
            TensorPrimitives.MultiplyAdd<double>(pairs[pair].Change, -alphas[pair], direction, direction);
        }

        if (pairs.Count > 0)
        {
            var (_, change, inverse) = pairs[^1];
            TensorPrimitives.Divide<double>(direction, inverse * TensorPrimitives.SumOfSquares<double>(change), direction);
        }

        for (var pair = 0; pair < pairs.Count; pair++)
        {
            var beta = pairs[pair].Inverse * TensorPrimitives.Dot<double>(pairs[pair].Change, direction);
            TensorPrimitives.MultiplyAdd<double>(pairs[pair].Step, alphas[pair] - beta, direction, direction);
        }
    }

    private static void Remember(List<(double[] Step, double[] Change, double Inverse)> pairs, double[] start, ReadOnlySpan<double> point,
        double[] startGradient, double[] gradient)
    {
        var step = new double[start.Length];
        var change = new double[start.Length];
        TensorPrimitives.Subtract<double>(point, start, step);
        TensorPrimitives.Subtract<double>(gradient, startGradient, change);
        var product = TensorPrimitives.Dot<double>(step, change);
        if (product <= 1e-12 * TensorPrimitives.SumOfSquares<double>(change))
        {
            return;
        }

        if (pairs.Count == Memory)
        {
            pairs.RemoveAt(0);
        }

        pairs.Add((step, change, 1 / product));
    }

    /// <summary>A step that satisfies the Wolfe conditions (not the strong ones), by bracketing and bisecting; the first one mostly does.</summary>
    private static bool Step(Objective objective, double[] start, double[] direction, double first, double slope, Span<double> point,
        double[] gradient, ref double value)
    {
        var (before, low, high, length) = (value, 0d, double.PositiveInfinity, first);
        var best = (Length: 0d, Value: before);
        for (var trial = 0; trial < MaxSteps; trial++)
        {
            TensorPrimitives.MultiplyAdd<double>(direction, length, start, point);
            value = objective(point, gradient);
            var along = TensorPrimitives.Dot<double>(gradient, direction);
            if (value < best.Value)
            {
                best = (length, value);
            }

            if (!(value <= before + (SufficientDecrease * length * slope)))
            {
                high = length;
            }
            else if (along < Curvature * slope)
            {
                low = length;
            }
            else
            {
                return true;
            }

            length = double.IsPositiveInfinity(high) ? 2 * length : (low + high) / 2;
        }

        // Near the end the function's own rounding is larger than what is left to gain: the lowest point that was seen will do.
        if (best.Length == 0)
        {
            return false;
        }

        TensorPrimitives.MultiplyAdd<double>(direction, best.Length, start, point);
        value = objective(point, gradient);
        return true;
    }
}
