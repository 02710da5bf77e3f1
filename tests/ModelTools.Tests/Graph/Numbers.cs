using Whatsit.ModelConversion.Graphs;

namespace Whatsit.ModelTools.Tests.Graphs;

/// <summary>Random tensors that are the same in every run, and how two tensors are compared.</summary>
internal static class Numbers
{
    public static Tensor Random(int seed, params int[] shape) => Random(seed, -1, 1, shape);

    public static Tensor Random(int seed, float least, float most, int[] shape)
    {
        var random = new Random(seed);
        var values = new float[shape.Aggregate(1, (product, side) => product * side)];
        for (var i = 0; i < values.Length; i++)
        {
            values[i] = least + ((most - least) * random.NextSingle());
        }

        return Tensor.Float32(shape, values);
    }

    /// <summary>The largest difference, relative where the expected number is larger than 1.</summary>
    public static float LargestDifference(Tensor expected, Tensor actual)
    {
        Assert.Equal(expected.Type, actual.Type);
        Assert.Equal(expected.Shape, actual.Shape);
        var a = expected.ToDoubles();
        var b = actual.ToDoubles();
        double largest = 0;
        for (var i = 0; i < a.Length; i++)
        {
            var difference = (double.IsNaN(a[i]) && double.IsNaN(b[i])) || a[i] == b[i] ? 0 : Math.Abs(a[i] - b[i]) / Math.Max(1, Math.Abs(a[i]));
            largest = double.IsNaN(difference) ? double.PositiveInfinity : Math.Max(largest, difference);
        }

        return (float)largest;
    }
}
