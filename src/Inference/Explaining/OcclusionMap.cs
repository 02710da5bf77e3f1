using System.Runtime.InteropServices;
using Whatsit.Inference.Catalog;
using Whatsit.Inference.Preprocessing;

namespace Whatsit.Inference.Explaining;

/// <summary>
/// Where the evidence for a class lies in a picture, of any model: what makes the class less likely when it is covered. Zeiler and Fergus 2014, "Visualizing and
/// Understanding Convolutional Networks", section 4.2.
/// <code>
///   cells    0   1   2   3        a patch covers two cells each way with the picture's mean colour;
///   patch 0  ├───────┤            a cell is worth the mean of what the patches over it took away
///   patch 1      ├───────┤
///   patch 2          ├───────┤
/// </code>
/// What a patch takes away is measured in log odds: a probability of 0.9999 hardly falls.
/// </summary>
internal sealed class OcclusionMap
{
    private readonly InputSpec _input;
    private readonly OutputKind _kind;
    private readonly int _patches;
    private readonly byte[] _picture;
    private readonly float[] _mean;
    private readonly int[] _classes;
    private readonly double[] _whole;
    private readonly double[] _covered;
    private readonly float[][] _lost;

    /// <summary>Begins the maps of one picture.</summary>
    /// <param name="input">What the model's input looks like.</param>
    /// <param name="kind">What its main output holds.</param>
    /// <param name="runs">As <see cref="RunsWithin"/> gives them.</param>
    /// <param name="picture">The input tensor.</param>
    /// <param name="scores">The main output for it, as it is.</param>
    /// <param name="classes">The classes that are explained.</param>
    public OcclusionMap(InputSpec input, OutputKind kind, int runs, ReadOnlySpan<byte> picture, ReadOnlySpan<float> scores, int[] classes)
    {
        _input = input;
        _kind = kind;
        _patches = (int)Math.Sqrt(runs);
        _picture = picture.ToArray();
        _mean = input.ElementType == InputElementType.UInt8 ? MeanOf(picture) : MeanOf(MemoryMarshal.Cast<byte, float>(picture));
        _classes = classes;
        _whole = new double[classes.Length];
        _covered = new double[classes.Length];
        _lost = [.. classes.Select(_ => new float[Cells * Cells])];
        LogOdds(scores, _whole);
    }

    /// <summary>How many runs are left of a budget when each patch shall be run once; 0 where it is too small for a map.</summary>
    public static int RunsWithin(int budget, InputSpec input)
    {
        var patches = Math.Min((int)Math.Sqrt(budget), Math.Min(input.Width, input.Height) - 1);
        return patches < 2 ? 0 : patches * patches;
    }

    /// <summary>Cells of a row, and rows.</summary>
    public int Cells => _patches + 1;

    /// <summary>Fills the tensor of one run: the picture with one patch covered.</summary>
    public void Cover(int run, Span<byte> tensor)
    {
        _picture.CopyTo(tensor);
        var x = (Start(run % _patches, _input.Width), Start((run % _patches) + 2, _input.Width));
        var y = (Start(run / _patches, _input.Height), Start((run / _patches) + 2, _input.Height));
        if (_input.ElementType == InputElementType.UInt8)
        {
            Cover(tensor, [.. _mean.Select(value => (byte)MathF.Round(value))], x, y);
        }
        else
        {
            Cover(MemoryMarshal.Cast<byte, float>(tensor), _mean, x, y);
        }
    }

    /// <summary>Takes what the model says to it: the main output, as it is.</summary>
    public void Take(int run, ReadOnlySpan<float> scores)
    {
        LogOdds(scores, _covered);
        for (var index = 0; index < _classes.Length; index++)
        {
            var lost = (float)(_whole[index] - _covered[index]);
            var first = ((run / _patches) * Cells) + (run % _patches);
            foreach (var cell in (ReadOnlySpan<int>)[first, first + 1, first + Cells, first + Cells + 1])
            {
                _lost[index][cell] += lost;
            }
        }
    }

    /// <summary>The finished map of one of the classes, by its place among them.</summary>
    public float[][] Of(int place)
    {
        var cells = _lost[place];
        for (var row = 0; row < Cells; row++)
        {
            for (var column = 0; column < Cells; column++)
            {
                cells[(row * Cells) + column] /= PatchesOver(row) * PatchesOver(column);
            }
        }

        return Explanation.ToMap(cells, Cells, Cells);

        // The outermost cells lie under one patch each way, the others under two.
        int PatchesOver(int cell) => cell == 0 || cell == Cells - 1 ? 1 : 2;
    }

    private int Start(int cell, int length) => cell * length / Cells;

    private void Cover<T>(Span<T> tensor, ReadOnlySpan<T> color, (int From, int To) x, (int From, int To) y)
    {
        for (var row = y.From; row < y.To; row++)
        {
            if (_input.Layout == TensorLayout.Nhwc)
            {
                for (var column = x.From; column < x.To; column++)
                {
                    color.CopyTo(tensor[(((row * _input.Width) + column) * 3)..]);
                }
            }
            else
            {
                for (var channel = 0; channel < 3; channel++)
                {
                    tensor.Slice((((channel * _input.Height) + row) * _input.Width) + x.From, x.To - x.From).Fill(color[channel]);
                }
            }
        }
    }

    private float[] MeanOf<T>(ReadOnlySpan<T> tensor)
        where T : IConvertible
    {
        var sums = new double[3];
        var pixels = tensor.Length / 3;
        for (var index = 0; index < tensor.Length; index++)
        {
            sums[_input.Layout == TensorLayout.Nhwc ? index % 3 : index / pixels] += tensor[index].ToSingle(null);
        }

        return [.. sums.Select(sum => (float)(sum / pixels))];
    }

    /// <summary>log(p ÷ (1 − p)) of each class, without the digits that 1 − p would lose.</summary>
    private void LogOdds(ReadOnlySpan<float> scores, Span<double> logOdds)
    {
        const double Least = 1e-30;
        if (_kind == OutputKind.MultiLabel)
        {
            for (var index = 0; index < _classes.Length; index++)
            {
                var probability = (double)scores[_classes[index]];
                logOdds[index] = Math.Log(Math.Max(probability, Least)) - Math.Log(Math.Max(1 - probability, Least));
            }

            return;
        }

        var best = 0;
        for (var index = 1; index < scores.Length; index++)
        {
            best = scores[index] > scores[best] ? index : best;
        }

        var others = 0.0;
        for (var index = 0; index < scores.Length; index++)
        {
            others += index == best ? 0 : Weight(scores, index);
        }

        for (var index = 0; index < _classes.Length; index++)
        {
            var own = Weight(scores, _classes[index]);
            var rest = _classes[index] == best ? others : others - own + Weight(scores, best);
            logOdds[index] = Math.Log(Math.Max(own, Least)) - Math.Log(Math.Max(rest, Least));
        }

        // Probabilities but for a factor, which odds do not see.
        double Weight(ReadOnlySpan<float> values, int index) =>
            _kind == OutputKind.Logits ? Math.Exp((double)values[index] - values[best]) : Math.Max(0, values[index]);
    }
}
