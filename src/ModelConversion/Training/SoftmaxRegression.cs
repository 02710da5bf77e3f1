using System.Numerics.Tensors;
using Whatsit.ModelConversion.Graphs;

namespace Whatsit.ModelConversion.Training;

/// <summary>The last layer of a classifier: logits = weights · embedding + bias.</summary>
/// <param name="Weights">[classes, features] row-major.</param>
/// <param name="Bias">One per class.</param>
public sealed record DenseHead(float[] Weights, float[] Bias)
{
    /// <summary>How many classes it tells apart.</summary>
    public int Classes => Bias.Length;

    /// <summary>How many numbers an embedding has.</summary>
    public int Features => Weights.Length / Bias.Length;

    /// <summary>The logits of an embedding.</summary>
    public float[] LogitsOf(ReadOnlySpan<float> embedding)
    {
        var logits = new float[Classes];
        for (var index = 0; index < logits.Length; index++)
        {
            logits[index] = Bias[index] + TensorPrimitives.Dot(Weights.AsSpan(index * Features, Features), embedding);
        }

        return logits;
    }
}

/// <summary>Embeddings with their classes: what a head learns from.</summary>
/// <param name="Embeddings">One per photo, all of one length.</param>
/// <param name="Labels">The class of each, from 0.</param>
/// <param name="Classes">How many classes there are, with photos or without.</param>
public sealed record LabelledEmbeddings(IReadOnlyList<float[]> Embeddings, IReadOnlyList<int> Labels, int Classes)
{
    /// <summary>How much the loss of each class weighs; without it all weigh 1.</summary>
    public IReadOnlyList<float>? ClassWeights { get; init; }

    /// <summary>Weights with which every class counts the same, however many photos it has: n ÷ (classes · photos of the class).</summary>
    public static float[] Balanced(IReadOnlyList<int> labels, int classes)
    {
        var photos = new int[classes];
        foreach (var label in labels)
        {
            photos[label]++;
        }

        var present = photos.Count(count => count > 0);
        return Array.ConvertAll(photos, count => count > 0 ? (float)labels.Count / (present * count) : 0);
    }
}

/// <summary>
/// Softmax regression, also called multinomial logistic regression: finds the head with the least
/// <code>
///   1/n · Σ weight(class) · −log p(class | embedding)  +  λ/2 · |weights|²
/// </code>
/// by <see cref="Lbfgs"/>. With C = 1 ÷ (λ · n) this is scikit-learn's <c>LogisticRegression</c>. The bias is not held small.
/// </summary>
/// <remarks>
/// Within, embeddings are centred and brought to a mean length of 1, which moves the bias and the unit of λ and nothing else, and makes the search several
/// times shorter. Both products of an iteration, logits and gradient, go over blocks of photos on all processors.
/// </remarks>
public sealed class SoftmaxRegression
{
    private readonly int _classes;
    private readonly int _features;
    private readonly int _count;
    private readonly float[] _mean;
    private readonly double _scale;
    private readonly Block[] _blocks;

    /// <summary>Prepares the embeddings.</summary>
    public SoftmaxRegression(LabelledEmbeddings data)
    {
        (_classes, _count, _features) = (data.Classes, data.Embeddings.Count, data.Embeddings[0].Length);
        _mean = new float[_features];
        double squares = 0;
        foreach (var embedding in data.Embeddings)
        {
            TensorPrimitives.MultiplyAdd(embedding, 1f / _count, _mean, _mean);
        }

        foreach (var embedding in data.Embeddings)
        {
            squares += Math.Pow(TensorPrimitives.Distance(embedding, _mean), 2);
        }

        _scale = squares > 0 ? Math.Sqrt(_count / squares) : 1;
        // Enough blocks for all processors, few enough that their gradients are soon added; the same on every machine, as their sum shall be.
        var rows = Math.Clamp(_count / 16, 256, 2048);
        _blocks = new Block[(_count + rows - 1) / rows];
        Parallel.For(0, _blocks.Length, block =>
        {
            var first = block * rows;
            _blocks[block] = new Block(this, data, first, Math.Min(rows, _count - first));
        });
    }

    /// <summary>The unit of λ for embeddings as they are: λ here is λ / <see cref="Unit"/> in the loss over them.</summary>
    public double Unit => _scale * _scale;

    /// <summary>Finds the best head.</summary>
    /// <param name="lambda">How much small weights are preferred, in the loss over centred embeddings of a mean length of 1.</param>
    /// <param name="start">Where to begin: a head for nearly the same loss, or zero.</param>
    /// <param name="tolerance">Ends where the largest part of the gradient is at most this.</param>
    /// <param name="maxIterations">Ends after so many directions.</param>
    /// <param name="cancellationToken">Nobody waits for it any more.</param>
    /// <returns>The head for embeddings as they are, its loss with the part for small weights, and how many directions it took.</returns>
    public (DenseHead Head, double Loss, int Iterations) Fit(double lambda, DenseHead? start = null, double tolerance = 1e-7, int maxIterations = 1000,
        CancellationToken cancellationToken = default)
    {
        // [classes, features] and then the bias.
        var point = new double[_classes * (_features + 1)];
        if (start is not null)
        {
            Enter(start, point);
        }

        var (loss, iterations) = Lbfgs.Minimize((at, gradient) => Loss(at, gradient, lambda), point, tolerance, maxIterations, cancellationToken);
        return (Leave(point), loss, iterations);
    }

    /// <summary>The loss of any head.</summary>
    /// <param name="head">The head, for embeddings as they are.</param>
    /// <param name="lambda">As in <see cref="Fit"/>.</param>
    public double LossOf(DenseHead head, double lambda)
    {
        var point = new double[_classes * (_features + 1)];
        Enter(head, point);
        return Loss(point, new double[point.Length], lambda);
    }

    private void Enter(DenseHead head, Span<double> point)
    {
        for (var index = 0; index < _classes; index++)
        {
            ReadOnlySpan<float> row = head.Weights.AsSpan(index * _features, _features);
            for (var feature = 0; feature < _features; feature++)
            {
                point[(index * _features) + feature] = row[feature] / _scale;
            }

            point[(_classes * _features) + index] = head.Bias[index] + TensorPrimitives.Dot(row, _mean);
        }
    }

    private DenseHead Leave(double[] point)
    {
        var head = new DenseHead(new float[_classes * _features], new float[_classes]);
        for (var index = 0; index < _classes; index++)
        {
            var row = head.Weights.AsSpan(index * _features, _features);
            for (var feature = 0; feature < _features; feature++)
            {
                row[feature] = (float)(point[(index * _features) + feature] * _scale);
            }

            head.Bias[index] = (float)(point[(_classes * _features) + index] - TensorPrimitives.Dot<float>(row, _mean));
        }

        return head;
    }

    private double Loss(ReadOnlySpan<double> point, Span<double> gradient, double lambda)
    {
        var weights = point[..(_classes * _features)];
        var floats = new float[point.Length];
        TensorPrimitives.ConvertTruncating<double, float>(point, floats);
        // Element (feature, class) of the right side of the logits' product.
        var right = new MatrixProduct(floats.AsSpan(0, weights.Length), [.. Enumerable.Range(0, _features)], _features, _classes);
        var bias = floats.AsMemory(weights.Length);
        Parallel.ForEach(_blocks, block => block.Run(right, bias.Span));
        gradient.Clear();
        double loss = 0;
        // In their order, so that the sum is the same each time.
        foreach (var block in _blocks)
        {
            loss += block.Loss;
            block.AddGradient(gradient);
        }

        TensorPrimitives.Divide(gradient, (double)_count, gradient);
        var weightGradient = gradient[..weights.Length];
        TensorPrimitives.MultiplyAdd(weights, lambda, weightGradient, weightGradient);
        return (loss / _count) + (lambda / 2 * TensorPrimitives.SumOfSquares(weights));
    }

    /// <summary>Some photos: their embeddings in both orders, and room for what an iteration makes of them.</summary>
    private sealed class Block
    {
        private readonly int _classes;
        private readonly int _rows;
        private readonly float[] _embeddings;
        private readonly MatrixProduct _transposed;
        private readonly int[] _labels;
        private readonly float[] _weights;
        private readonly float[] _logits;
        private readonly float[] _residuals;
        private readonly float[] _gradient;
        private readonly double[] _biasGradient;
        private readonly int[] _rowOffsets;
        private readonly int[] _gradientOffsets;

        public Block(SoftmaxRegression owner, LabelledEmbeddings data, int first, int rows)
        {
            var features = owner._features;
            (_classes, _rows) = (owner._classes, rows);
            _embeddings = new float[rows * features];
            _labels = new int[rows];
            _weights = new float[rows];
            for (var row = 0; row < rows; row++)
            {
                var target = _embeddings.AsSpan(row * features, features);
                TensorPrimitives.Subtract(data.Embeddings[first + row], owner._mean, target);
                TensorPrimitives.Multiply(target, (float)owner._scale, target);
                _labels[row] = data.Labels[first + row];
                _weights[row] = data.ClassWeights?[_labels[row]] ?? 1;
            }

            _transposed = new MatrixProduct(_embeddings, [.. Enumerable.Range(0, rows).Select(row => row * features)], 1, features);
            _logits = new float[rows * _classes];
            _residuals = new float[rows * _classes];
            _gradient = new float[_classes * features];
            _biasGradient = new double[_classes];
            _rowOffsets = [.. Enumerable.Range(0, rows).Select(row => row * _classes)];
            _gradientOffsets = [.. Enumerable.Range(0, _classes).Select(index => index * features)];
        }

        public double Loss { get; private set; }

        public void Run(MatrixProduct weights, ReadOnlySpan<float> bias)
        {
            weights.Multiply(_embeddings, _rowOffsets, _logits, 1);
            Array.Clear(_biasGradient);
            Loss = 0;
            for (var row = 0; row < _rows; row++)
            {
                var logits = _logits.AsSpan(row * _classes, _classes);
                TensorPrimitives.Add(logits, bias, logits);
                TensorPrimitives.Subtract(logits, TensorPrimitives.Max<float>(logits), logits);
                var ofLabel = logits[_labels[row]];
                TensorPrimitives.Exp(logits, logits);
                var sum = TensorPrimitives.Sum<float>(logits);
                Loss += _weights[row] * (Math.Log(sum) - ofLabel);
                TensorPrimitives.Multiply(logits, _weights[row] / sum, logits);
                logits[_labels[row]] -= _weights[row];
                for (var index = 0; index < _classes; index++)
                {
                    _residuals[(index * _rows) + row] = logits[index];
                    _biasGradient[index] += logits[index];
                }
            }

            _transposed.Multiply(_residuals, _gradientOffsets, _gradient, 1);
        }

        public void AddGradient(Span<double> gradient)
        {
            for (var at = 0; at < _gradient.Length; at++)
            {
                gradient[at] += _gradient[at];
            }

            var bias = gradient[_gradient.Length..];
            TensorPrimitives.Add(bias, _biasGradient, bias);
        }
    }
}
