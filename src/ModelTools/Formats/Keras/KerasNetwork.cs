using System.Text.Json;

namespace Whatsit.ModelTools.Formats.Keras;

/// <summary>
/// Converts the description of a network that Keras 2, Keras 3 and TensorFlow.js (layers models) share, <c>{"class_name": …, "config": …}</c>,
/// with its weights into the common graph.
/// </summary>
public static class KerasNetwork
{
    /// <summary>Converts a whole network; what the description knows about preprocessing comes with it.</summary>
    /// <param name="modelConfig">The attribute <c>model_config</c>, <c>config.json</c>, or <c>modelTopology</c> with or without its <c>model_config</c>.</param>
    /// <param name="weights">Looks weights up by layer.</param>
    /// <param name="kerasVersion">What wrote the file: <c>2.2.4-tf</c>, <c>3.5.0</c>, <c>tfjs-layers 1.3.1</c>; a few layers changed their arithmetic with Keras 3.</param>
    /// <exception cref="ModelFormatException">A layer is not supported, a weight is missing, or the description is malformed.</exception>
    public static ImportedModel Import(JsonElement modelConfig, IKerasWeights weights, string? kerasVersion = null) =>
        throw new NotImplementedException();
}
