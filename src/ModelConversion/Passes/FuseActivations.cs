using Whatsit.ModelConversion.Graphs;

namespace Whatsit.ModelConversion.Passes;

/// <summary>
/// Writes activations that a format spells out in several operators as the one operator that ONNX Runtime fuses into the convolution before it:
/// ReLU6 as Clip, and MobileNetV3's hard sigmoid and hard swish.
/// </summary>
public static class FuseActivations
{
    private const float Close = 1e-6f;

    /// <summary>Rewrites where the constants say so.</summary>
    public static void Apply(Graph graph)
    {
        var builder = new GraphBuilder(graph);
        var wiring = new Wiring(graph);
        foreach (var node in graph.Nodes.ToArray())
        {
            _ = ReluThenMin(builder, wiring, node) || HardSigmoid(wiring, node) || HardSwish(wiring, node);
        }

        DeadCode.Apply(graph);
    }

    /// <summary>
    /// Clip(x, 0, 6) → Relu(x), to be trained so: ONNX Runtime computes a ReLU within the convolution before it, and a ReLU6 in a pass of its own over what that wrote.
    /// </summary>
    /// <returns>How many there were.</returns>
    public static int WithoutLimit(Graph graph)
    {
        var wiring = new Wiring(graph);
        Node[] limited = [.. graph.Nodes.Where(node => node.Op == "Clip" && Scalar(wiring, node, 1) is 0 && Scalar(wiring, node, 2) is 6)];
        foreach (var node in limited)
        {
            node.Op = "Relu";
            while (node.Inputs.Count > 1)
            {
                node.Inputs.RemoveAt(1);
            }
        }

        DeadCode.Apply(graph);
        return limited.Length;
    }

    /// <summary>Min(Relu(x), 6) → Clip(x, 0, 6), and Relu(Clip(x, …)) likewise.</summary>
    private static bool ReluThenMin(GraphBuilder builder, Wiring wiring, Node node)
    {
        var limit = node.Op == "Min" && node.Inputs.Count == 2 ? Scalar(wiring, node, 1) : node.Op == "Clip" && Scalar(wiring, node, 1) is null or <= 0
            ? Scalar(wiring, node, 2) : null;
        if (limit is not >= 0 || wiring.Producer(node.Inputs[0]) is not { Op: "Relu" } relu || wiring.OnlyConsumer(relu.Outputs[0]) is null)
        {
            return false;
        }

        node.Op = "Clip";
        wiring.SetInput(node, 1, builder.AddConstant("zero", [0f]));
        wiring.SetInput(node, 2, builder.AddConstant("limit", [limit.Value]));
        wiring.Bypass(relu, relu.Inputs[0]);
        return true;
    }

    /// <summary>Clip(x + 3, 0, 6) ÷ 6 → HardSigmoid(1/6, 1/2)(x).</summary>
    private static bool HardSigmoid(Wiring wiring, Node node)
    {
        if (Factor(wiring, node) is not (string product, float factor) || Math.Abs(factor - (1 / 6f)) > Close
            || wiring.Producer(product) is not { Op: "Clip" } clip || Scalar(wiring, clip, 1) is not 0 || Scalar(wiring, clip, 2) is not 6
                || wiring.OnlyConsumer(clip.Outputs[0]) is null
            || wiring.Producer(clip.Inputs[0]) is not { Op: "Add" } add || Scalar(wiring, add, 1) is not 3 || wiring.OnlyConsumer(add.Outputs[0]) is null)
        {
            return false;
        }

        var x = add.Inputs[0];
        while (node.Inputs.Count > 1)
        {
            node.Inputs.RemoveAt(1);
        }

        wiring.SetInput(node, 0, x);
        node.Op = "HardSigmoid";
        node.Attributes.Clear();
        node.Attributes["alpha"] = 1 / 6f;
        node.Attributes["beta"] = 0.5f;
        return true;
    }

    /// <summary>x · HardSigmoid(1/6, 1/2)(x) → HardSwish(x).</summary>
    private static bool HardSwish(Wiring wiring, Node node)
    {
        if (node.Op != "Mul" || node.Inputs.Count != 2)
        {
            return false;
        }

        for (var side = 0; side < 2; side++)
        {
            if (wiring.Producer(node.Inputs[side]) is { Op: "HardSigmoid" } gate && gate.Inputs[0] == node.Inputs[1 - side]
                && Math.Abs(gate.Float("alpha", 0.2f) - (1 / 6f)) < Close && Math.Abs(gate.Float("beta", 0.5f) - 0.5f) < Close)
            {
                node.Op = "HardSwish";
                wiring.SetInput(node, 0, gate.Inputs[0]);
                node.Inputs.RemoveAt(1);
                return true;
            }
        }

        return false;
    }

    /// <summary>Multiplication or division by one number.</summary>
    private static (string Value, float Factor)? Factor(Wiring wiring, Node node) => node.Op switch
    {
        "Mul" when Scalar(wiring, node, 1) is { } factor => (node.Inputs[0], factor),
        "Mul" when Scalar(wiring, node, 0) is { } factor => (node.Inputs[1], factor),
        "Div" when Scalar(wiring, node, 1) is { } divisor => (node.Inputs[0], 1 / divisor),
        _ => null,
    };

    private static float? Scalar(Wiring wiring, Node node, int input) =>
        wiring.Constant(node, input) is { Type: ElementType.Float32, Length: 1, Shape.Length: <= 1 } tensor ? tensor.As<float>()[0] : null;
}
