using Whatsit.Inference;
using Whatsit.ModelConversion.Graphs;

namespace Whatsit.ModelConversion.Passes;

/// <summary>Gives an input that is open, or shaped otherwise, the shape of pictures, before anything else looks at the graph.</summary>
internal static class InputShape
{
    private const int UsualSize = 224;

    // What is larger is refused later, without a look at its values.
    private const int LargestTried = 4096;

    // Its dense layer would have a million weights for each of its units.
    private const int LargestFlatSide = 1024;

    /// <summary>
    /// Gives a network that takes pictures of any size one size, what everything behind it must know; and one that takes exactly four, say, any number.
    /// </summary>
    public static void Fix(Graph graph, int? size, List<string> notes)
    {
        if (graph.Inputs is [{ Shape: [var batch and > 1, _, _, _] } fixedBatch])
        {
            FoldConstants.Apply(graph); // exporters write a shape as a Concat of numbers
            FreeFixedBatch(graph, fixedBatch, batch);
            notes.Add(Fixed(batch));
        }

        for (var index = 0; index < graph.Inputs.Count; index++)
        {
            var input = graph.Inputs[index];
            if (!input.Shape.Skip(1).Any(side => side < 0))
            {
                continue;
            }

            // Of a channel axis, only the place tells: it is last for TensorFlow, second for PyTorch, and three where the file leaves it open.
            var channelsFirst = input.Shape is [_, 1 or 3, _, _];
            int[] shape = [.. input.Shape.Select((side, axis) => side >= 0 || axis == 0 ? side : input.Shape.Length == 4 && axis == (channelsFirst ? 1 : 3)
                ? 3 : size ?? UsualSize)];
            graph.Inputs[index] = input with { Shape = shape };
            notes.Add($"The network takes pictures of any size; fixed to " +
                $"[{string.Join(", ", shape.Skip(1))}]{(size is null ? " (say --size for another)" : "")}.");
        }

        // An input that takes any number, before a Reshape that takes one alone.
        if (graph.Inputs is [{ Shape: [-1 or 1, _, ..] } open] && open.Shape.All(side => side <= LargestTried)
            && graph.Nodes.Exists(node => node.Op == "Reshape") && !Fits(graph, open.Shape[0]))
        {
            FoldConstants.Apply(graph);
            if (HiddenBatch(graph) is { } hidden)
            {
                FreeFixedBatch(graph, open, hidden);
                notes.Add(Fixed(hidden));
            }
        }
    }

    private static string Fixed(int batch) => $"The file is made for exactly {Counted.Of(batch, "picture")} at a time; the bundle takes any number.";

    /// <summary>The number of pictures that a Reshape is written for, where the whole network fits it.</summary>
    private static int? HiddenBatch(Graph graph)
    {
        const int Tried = 8;
        foreach (var batch in graph.Nodes.Where(node => node.Op == "Reshape" && node.Inputs.Count > 1)
            .Select(node => graph.Constants.GetValueOrDefault(node.Inputs[1])?.ToInts() is [> 1 and < 1 << 12 and var first, _, ..] ? (int)first : 0)
            .Where(first => first > 0).Distinct().Take(Tried))
        {
            if (Fits(graph, batch))
            {
                return batch;
            }
        }

        return null;
    }

    private static bool Fits(Graph graph, int batch)
    {
        var input = graph.Inputs[0];
        graph.Inputs[0] = input with { Shape = [Math.Max(batch, 1), .. input.Shape[1..]] };
        try
        {
            Shapes.Infer(graph);
            return true;
        }
        catch (ModelFormatException)
        {
            return false;
        }
        finally
        {
            graph.Inputs[0] = input;
        }
    }

    /// <summary>
    /// A network on one long row of numbers, flattened outside of it, takes a square picture again where the length is one of a square: [N, 784] becomes
    /// [N, 28, 28], and [N, 3072] becomes 32 × 32 in three colours. (No number is both: the root of three is not rational.)
    /// </summary>
    public static void Unflatten(Graph graph, bool channelsFirst, List<string> notes)
    {
        if (graph.Inputs is not [{ Shape: [var batch, > 0 and var length] } flat])
        {
            return;
        }

        var coloured = length % 3 == 0 && IsSquare(length / 3);
        if (!coloured && !IsSquare(length))
        {
            return;
        }

        var side = (int)Math.Sqrt(coloured ? length / 3 : length);
        int[] shape = !coloured ? [batch, side, side] : channelsFirst ? [batch, 3, side, side] : [batch, side, side, 3];
        if (side is < PictureInput.SmallestSide or > LargestFlatSide)
        {
            return;
        }

        var builder = new GraphBuilder(graph);
        var row = builder.AddNode("Reshape", flat.Name + "_row", [flat.Name, builder.AddInt64Constant(flat.Name + "_row_shape", -1, length)]);
        var reshape = graph.Nodes[^1];
        graph.Nodes.Remove(reshape);
        new Wiring(graph).Redirect(flat.Name, row);
        graph.Nodes.Insert(0, reshape);
        graph.Inputs[0] = flat with { Shape = shape };
        notes.Add($"The network takes rows of {Counted.Of(length, "number")}; assumed to be pictures of {side} × {side} pixels, " +
            $"{(!coloured ? "grey" : channelsFirst ? "in three colours, one after the other" : "the three colours of each pixel together")}.");

        static bool IsSquare(int number) => (int)Math.Round(Math.Sqrt(number)) is var root && root * root == number;
    }

    private static void FreeFixedBatch(Graph graph, GraphValue input, int batch)
    {
        graph.Inputs[0] = input with { Shape = [-1, .. input.Shape[1..]] };
        var builder = new GraphBuilder(graph);
        foreach (var node in graph.Nodes.Where(node => node.Op == "Reshape"))
        {
            if (graph.Constants.GetValueOrDefault(node.Inputs[1])?.ToInts() is [var first, .. var rest] && first == batch)
            {
                node.Inputs[1] = builder.AddInt64Constant(node.Name + "_shape", [rest.Contains(-1) ? 0 : -1, .. rest]);
            }
        }

        for (var output = 0; output < graph.Outputs.Count; output++)
        {
            graph.Outputs[output] = graph.Outputs[output] is { Shape: [var first, ..] shape } value && first == batch
                ? value with { Shape = [-1, .. shape[1..]] } : graph.Outputs[output];
        }
    }

    /// <summary>A graph whose only input is open enough to be a picture.</summary>
    public static GraphValue Only(Graph graph) => graph.Inputs is [var input] ? input
        : throw new ModelFormatException(
            $"The model has {Counted.Of(graph.Inputs.Count, "input")} ({string.Join(", ", graph.Inputs.Select(value => value.Name))}); models with one are supported.");
}
