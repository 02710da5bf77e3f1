using System.Text.Json;
using Whatsit.Inference;
using Whatsit.Inference.Preprocessing;
using Whatsit.ModelConversion.Graphs;

namespace Whatsit.ModelConversion.Formats.Keras;

/// <summary>
/// Converts the description of a network that Keras 2, Keras 3 and TensorFlow.js (layers models) share, <c>{"class_name": …, "config": …}</c>,
/// with its weights into the common graph.
/// </summary>
public static class KerasNetwork
{
    // Models called as layers repeat their nodes, so that a short file can ask for any number; ten times the largest network of keras.applications.
    private const int MostCalls = 20_000;

    /// <summary>Converts a whole network; what the description knows about preprocessing comes with it.</summary>
    /// <param name="modelConfig">The attribute <c>model_config</c>, <c>config.json</c>, or <c>modelTopology</c> with or without its
    /// <c>model_config</c>.</param>
    /// <param name="weights">Looks weights up by layer.</param>
    /// <param name="kerasVersion">What wrote the file: <c>2.2.4-tf</c>, <c>3.5.0</c>, <c>tfjs-layers 1.3.1</c>; a few layers changed their arithmetic with
    /// Keras 3.</param>
    /// <param name="tensorFlowJs">The file is TensorFlow.js', whose layers differ from Keras' in a few numbers.</param>
    /// <param name="options">What the file does not say itself.</param>
    /// <exception cref="ModelFormatException">A layer is not supported, a weight is missing, or the description is malformed.</exception>
    public static ImportedModel Import(JsonElement modelConfig, IKerasWeights weights, string? kerasVersion = null, bool tensorFlowJs = false,
        ReadingOptions? options = null)
    {
        try
        {
            return Import(KerasTopology.Parse(modelConfig), weights, kerasVersion, tensorFlowJs, options);
        }
        catch (OverflowException exception)
        {
            throw new ModelFormatException("The model's description asks for shapes that overflow.", exception);
        }
    }

    internal static ImportedModel Import(KerasTopology topology, IKerasWeights weights, string? kerasVersion, bool tensorFlowJs = false,
        ReadingOptions? options = null, string? backend = null)
    {
        if (topology.Inputs is not [var input])
        {
            var names = string.Join(", ", topology.Inputs.Select(reference => reference.Layer));
            throw new ModelFormatException(
                $"The model '{topology.Name}' has {Counted.Of(topology.Inputs.Count, "input")} ({names}); models with one input are supported.");
        }

        var conversion = new KerasConversion(new GraphBuilder(topology.Name), weights, !tensorFlowJs
            && kerasVersion?.StartsWith('3') == true)
        {
            TensorFlowJs = tensorFlowJs,
            TurnedKernels = backend == "theano",
            Lambdas = options?.Lambdas ?? new Dictionary<string, string>(),
        };
        if (backend is null && topology.Layers.Exists(layer => layer.Config["keras1"] is not null && layer.Config.Text("data_format") == "channels_first"))
        {
            conversion.Notes.Add("Warning: Keras 1 does not say whether TensorFlow or Theano computed, and Theano keeps kernels turned by half a turn; " +
                "TensorFlow is assumed.");
        }

        var shape = InputShape(topology);
        var pixels = new KerasTensor(conversion.Builder.AddInput(input.Layer, ElementType.Float32, shape), shape);
        conversion.Raw.Add(pixels.Value);
        var callsLeft = MostCalls;
        var outputs = Run(topology, [pixels], [], conversion, ref callsLeft);
        if (conversion.Lambdas.Keys.FirstOrDefault(layer => !conversion.LambdasUsed.Contains(layer)) is { } unknown)
        {
            throw new ModelFormatException($"The model has no layer 'Lambda' called '{unknown}'" +
                $"{(conversion.LambdasUsed.Count == 0 ? "" : $", only {string.Join(", ", conversion.LambdasUsed)}")}.");
        }

        var named = new HashSet<string>(StringComparer.Ordinal) { pixels.Value };
        for (var index = 0; index < outputs.Length; index++)
        {
            // Each output is a value of its own, produced by a node.
            var value = named.Add(outputs[index].Value) ? outputs[index].Value
                : conversion.Builder.AddNode("Identity", $"{topology.Outputs[index].Layer}", [outputs[index].Value]);
            conversion.Builder.AddOutput(value, ElementType.Float32, outputs[index].Shape);
        }

        return new ImportedModel(conversion.Builder.Graph)
        {
            Notes = conversion.Notes,
            Preprocessing = conversion.TakesPixels ? new PreprocessingSpec { Resample = "tf-bilinear" } : null,
        };
    }

    private static int[] InputShape(KerasTopology topology)
    {
        if (topology.InputShape is not { ValueKind: JsonValueKind.Array } shape || shape.GetArrayLength() is < 2 or > 8)
        {
            throw new ModelFormatException($"The model '{topology.Name}' does not say what shape its input '{topology.Inputs[0].Layer}' has.");
        }

        // The batch is free whatever the file says; the sides of the picture may be.
        return
        [
            -1,
            .. shape.EnumerateArray().Skip(1).Select(side => side.ValueKind == JsonValueKind.Null ? -1
                : side.ValueKind == JsonValueKind.Number && side.TryGetInt32(out var length) && length is > 0 and < 1 << 20 ? length
                : throw new ModelFormatException($"The model '{topology.Name}' has an input of the shape {shape}.")),
        ];
    }

    // Converts what the outputs need, each call after the calls that it needs.
    private static KerasTensor[] Run(KerasTopology topology, IReadOnlyList<KerasTensor> inputs, IReadOnlyList<string> path,
        KerasConversion conversion, ref int callsLeft)
    {
        if (inputs.Count != topology.Inputs.Count)
        {
            throw new ModelFormatException($"The model '{topology.Name}' has {Counted.Of(topology.Inputs.Count, "input")} and is called with {inputs.Count}.");
        }

        var layers = new Dictionary<string, KerasLayer>(StringComparer.Ordinal);
        foreach (var layer in topology.Layers)
        {
            layers[layer.Name] = layer;
        }

        var results = new Dictionary<(string Layer, int Call), KerasTensor[]>();
        foreach ((var reference, var tensor) in topology.Inputs.Zip(inputs))
        {
            results[(reference.Layer, reference.Call)] = [tensor];
        }

        // Depth first with a stack of our own: a network of thousands of layers must not overflow the thread's.
        var pending = new Stack<(KerasReference Reference, bool Ready)>(topology.Outputs.AsEnumerable().Reverse().Select(reference => (reference, false)));
        var open = new HashSet<(string, int)>();
        while (pending.TryPop(out var next))
        {
            (var reference, var ready) = next;
            var key = (reference.Layer, reference.Call);
            if (results.ContainsKey(key))
            {
                continue;
            }

            var call = layers.TryGetValue(reference.Layer, out var layer) && reference.Call >= 0 && reference.Call < layer.Calls.Count
                ? layer.Calls[reference.Call]
                : throw new ModelFormatException(
                    $"The model '{topology.Name}' refers to call {reference.Call} of the layer '{reference.Layer}', which does not exist.");
            if (!ready)
            {
                if (!open.Add(key))
                {
                    throw new ModelFormatException($"The layer '{reference.Layer}' of the model '{topology.Name}' depends on itself.");
                }

                pending.Push((reference, true));
                foreach (var needed in call.References.Reverse())
                {
                    if (!results.ContainsKey((needed.Layer, needed.Call)))
                    {
                        pending.Push((needed, false));
                    }
                }

                continue;
            }

            if (--callsLeft < 0)
            {
                throw new ModelFormatException($"The model has more than {MostCalls} layers.");
            }

            KerasTensor Resolve(KerasReference needed) =>
                results[(needed.Layer, needed.Call)] is var tensors && needed.Output >= 0 && needed.Output < tensors.Length
                ? tensors[needed.Output]
                : throw new ModelFormatException($"The layer '{needed.Layer}' of the model '{topology.Name}' has no output {needed.Output}.");

            results[key] = layer.Network is { } network
                ? Run(network, [.. call.Inputs.Select(Resolve)], [.. path, layer.Name], conversion, ref callsLeft)
                : [conversion.Convert(layer, call, [.. path, layer.Name], Resolve)];
        }

        return [.. topology.Outputs.Select(reference => results[(reference.Layer, reference.Call)] is var tensors && reference.Output >= 0
            && reference.Output < tensors.Length
            ? tensors[reference.Output]
            : throw new ModelFormatException($"The model '{topology.Name}' has no output {reference.Output} of the layer '{reference.Layer}'."))];
    }
}
