using System.Text.Json;
using Whatsit.ModelConversion.Formats.Safetensors;

namespace Whatsit.ModelConversion.Formats.HuggingFace;

/// <summary>Networks whose graph is known from their configuration and the names of their weights.</summary>
/// <param name="Build">Builds the graph behind the input, and answers the logits' name and how many there are.</param>
/// <param name="Input">Channels, height and width of the input; a side is -1 where the network takes any.</param>
internal sealed record NetworkFamily(Func<TorchModules, string, JsonElement, Checkpoint, (string Logits, int Classes)> Build,
    Func<JsonElement, (int Channels, int Height, int Width)> Input)
{
    /// <summary>The graph is told by the weights' names, so that each must have its place.</summary>
    public bool IsToldByNames { get; init; }
}
