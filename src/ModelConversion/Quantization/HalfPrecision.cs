using Whatsit.ModelConversion.Graphs;

namespace Whatsit.ModelConversion.Quantization;

/// <summary>
/// Halves a file: weights are stored as 16-bit floats and cast to 32 bits at their place. ONNX Runtime computes the casts once, when it loads the file,
/// so that answers cost what they cost before, on every processor and in the browser (whose kernels for float16 are few).
/// </summary>
internal static class HalfPrecision
{
    // Below this, a constant is no weight: limits, scales, means. They save nothing and may need their digits.
    private const int SmallestWeight = 64;

    /// <summary>Rewrites the constants; answers the number that became smaller.</summary>
    public static int Apply(Graph graph)
    {
        string[] weights = [.. graph.Constants.Where(constant => constant.Value is { Type: ElementType.Float32, Length: >= SmallestWeight }
            && Fits(constant.Value)).Select(constant => constant.Key)];
        var builder = new GraphBuilder(graph);
        var casts = new List<Node>();
        foreach (var name in weights)
        {
            // Whoever reads the weight reads the cast's result, which takes over the name.
            var weight = graph.Constants[name];
            graph.Constants.Remove(name);
            var half = builder.AddConstant(name + "_fp16", Tensor.FromDoubles(ElementType.Float16, weight.Shape, weight.ToDoubles()));
            var cast = new Node("Cast", name + "_cast", [half], [name]);
            cast.Attributes["to"] = (long)ElementType.Float32;
            casts.Add(cast);
        }

        graph.Nodes.InsertRange(0, casts);
        return casts.Count > 0 ? casts.Count : throw new ModelFormatException("The model has no 32-bit weights that could be halved.");
    }

    /// <summary>A weight beyond 65504 would become infinite.</summary>
    private static bool Fits(Tensor tensor)
    {
        foreach (var value in tensor.As<float>())
        {
            if (!(Math.Abs(value) <= (float)Half.MaxValue))
            {
                return false;
            }
        }

        return true;
    }
}
