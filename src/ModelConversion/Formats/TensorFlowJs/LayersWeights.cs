using Whatsit.ModelConversion.Formats.Keras;
using Whatsit.ModelConversion.Graphs;

namespace Whatsit.ModelConversion.Formats.TensorFlowJs;

/// <summary>
/// The weights of a layers model, by the names that TensorFlow.js and its converter give them: <c>conv1/kernel</c>, sometimes under the model's own name.
/// </summary>
internal sealed class LayersWeights(IReadOnlyDictionary<string, Tensor> weights) : IKerasWeights
{
    private readonly ILookup<string, string> _byLayer = weights.Keys.SelectMany(name => name.Split('/')[..^1].Select(part => (part, name)))
        .ToLookup(pair => pair.part, pair => pair.name);

    /// <inheritdoc/>
    public Tensor? Find(IReadOnlyList<string> layer, string weight, int index)
    {
        // The path with the models around the layer, outermost first, then without them: names are unique within a model, so they are left out.
        for (var outer = 0; outer < layer.Count; outer++)
        {
            if (weights.TryGetValue($"{string.Join('/', layer.Skip(outer))}/{weight}", out var found))
            {
                return found;
            }
        }

        // Under a scope of the converter's own (model/conv1/kernel, conv1_1/kernel:0): by its end, then by its place.
        string[] candidates = [.. _byLayer[layer[^1]]];
        return candidates.FirstOrDefault(name => name.Split('/')[^1].Split(':')[0] == weight) is string named ? weights[named]
            : index < candidates.Length ? weights[candidates[index]]
            : null;
    }
}
