using Whatsit.Inference;

namespace Whatsit.ModelConversion.Graphs;

/// <summary>
/// The reference: runs a <see cref="Graph"/> node by node as the ONNX specification says, in 32-bit float, without fusing or rewriting
/// anything. Slow but plain; what the converter writes is compared with it. Operators stand in the table <see cref="Operators"/>.
/// </summary>
public sealed class Interpreter(Graph graph)
{
    private readonly Dictionary<string, int> _lastUse = LastUses(graph);

    /// <summary>Sees every node's inputs and outputs as they are computed: shape inference, calibration, statistics.</summary>
    internal Action<Node, Tensor?[], Tensor[]>? Observer { get; init; }

    /// <summary>Convolutions and matrix products answer zeros of the right shape: what is left is cheap enough to learn every shape.</summary>
    internal bool ShapesOnly { get; init; }

    /// <summary>Computes every output from every input.</summary>
    /// <exception cref="ModelFormatException">An operator is not supported or does not fit its inputs; the message names the node.</exception>
    public IReadOnlyDictionary<string, Tensor> Run(IReadOnlyDictionary<string, Tensor> inputs)
    {
        var values = new Dictionary<string, Tensor>(graph.Constants, StringComparer.Ordinal);
        foreach (var input in graph.Inputs)
        {
            var value = inputs.TryGetValue(input.Name, out var given) ? given : throw new ModelFormatException($"The input '{input.Name}' is missing.");
            if (value.Type != input.Type || value.Shape.Length != input.Shape.Length || value.Shape.Zip(input.Shape)
                .Any(side => side.Second >= 0 && side.First != side.Second))
            {
                throw new ModelFormatException(
                    $"The input '{input.Name}' is {input.Type} [{string.Join(", ", input.Shape)}]; {value.Type} [{string.Join(", ", value.Shape)}] was given.");
            }

            values[input.Name] = value;
        }

        var garbage = new Garbage();
        for (var index = 0; index < graph.Nodes.Count; index++)
        {
            var node = graph.Nodes[index];
            garbage.CollectIfMuch();
            Tensor?[] arguments = [.. node.Inputs.Select(name => name.Length == 0 ? null
                : values.TryGetValue(name, out var value) ? value
                : throw new ModelFormatException($"{node} reads '{name}', which nothing before it writes."))];
            var results = Operators.Run(node, arguments, ShapesOnly);
            for (var output = 0; output < node.Outputs.Count && output < results.Length; output++)
            {
                values[node.Outputs[output]] = results[output];
            }

            Observer?.Invoke(node, arguments, results);
            foreach (var name in node.Inputs.Concat(node.Outputs))
            {
                if (_lastUse.GetValueOrDefault(name, index) == index)
                {
                    values.Remove(name); // activations of a large network do not fit in memory together
                }
            }
        }

        return graph.Outputs.ToDictionary(output => output.Name, output => values.TryGetValue(output.Name, out var value)
            ? value
            : throw new ModelFormatException($"The output '{output.Name}' is written by no node."));
    }

    /// <summary>Computes the outputs of a graph with one input.</summary>
    public IReadOnlyDictionary<string, Tensor> Run(Tensor input) =>
        Run(new Dictionary<string, Tensor>
        {
            [graph.Inputs.Count == 1 ? graph.Inputs[0].Name
            : throw new ModelFormatException($"The model has {Counted.Of(graph.Inputs.Count, "input")}.")] = input
        });

    private static Dictionary<string, int> LastUses(Graph graph)
    {
        var lastUse = new Dictionary<string, int>(StringComparer.Ordinal);
        for (var index = 0; index < graph.Nodes.Count; index++)
        {
            foreach (var name in graph.Nodes[index].Inputs)
            {
                lastUse[name] = index;
            }
        }

        foreach (var output in graph.Outputs)
        {
            lastUse[output.Name] = int.MaxValue;
        }

        return lastUse;
    }
}
