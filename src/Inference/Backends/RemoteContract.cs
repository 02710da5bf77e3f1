using System.Globalization;
using System.Text.Json;
using Whatsit.Inference.Catalog;
using Whatsit.Inference.Postprocessing;

namespace Whatsit.Inference.Backends;

/// <summary>What another server says of a model, held against what the manifest says.</summary>
internal sealed class RemoteContract
{
    private readonly Dictionary<string, TensorSpec> _outputs;

    private RemoteContract(ModelManifest manifest, IReadOnlyList<TensorSpec> outputs, int maxBatchSize, bool isBinary)
    {
        Manifest = manifest;
        Outputs = outputs;
        MaxBatchSize = maxBatchSize;
        IsBinary = isBinary;
        Scores = manifest.Output.Name;
        Evidence = Certainty.EvidenceOf(manifest);
        Always = Evidence is null ? [Scores] : [Scores, Evidence];
        _outputs = outputs.ToDictionary(output => output.Name);
    }

    public ModelManifest Manifest { get; }

    /// <summary>Outputs whose sides are known, the main one first.</summary>
    public IReadOnlyList<TensorSpec> Outputs { get; }

    /// <summary>How many pictures one call may have.</summary>
    public int MaxBatchSize { get; }

    /// <summary>Whether it takes tensors as bytes behind the JSON.</summary>
    public bool IsBinary { get; }

    public string Scores { get; }

    public string? Evidence { get; }

    /// <summary>The outputs of every call.</summary>
    public IReadOnlyList<string> Always { get; }

    public int InputLength => Manifest.Input.ByteLength;

    /// <summary>Reads a model's metadata.</summary>
    /// <param name="manifest">What must hold.</param>
    /// <param name="metadata">What the server says of the model.</param>
    /// <param name="configuration">Its configuration, where it has one (Triton's extension).</param>
    /// <param name="server">What it says of itself.</param>
    /// <exception cref="InferenceException"><see cref="InferenceError.ModelNotReady"/>: it is another model.</exception>
    public static RemoteContract Read(ModelManifest manifest, JsonElement metadata, JsonElement? configuration, JsonElement? server)
    {
        var input = manifest.Input;
        var type = TensorTypes.Of(input);
        var inputs = Tensors(metadata, "inputs");
        if (inputs is not [var taken] || taken.Name != input.Name || taken.Type != type || !Matches(taken.Shape, input.Shape))
        {
            throw Another($"takes {Describe(inputs)}, the manifest says '{input.Name}' {TensorTypes.OpenInference(type)} [{string.Join(',', input.Shape)}]");
        }

        // An output with a free side cannot be split among pictures before it is there.
        var outputs = Tensors(metadata, "outputs").Where(output => output.Shape.Count > 0 && output.Shape.Skip(1).All(side => side > 0))
            .Select(output => output with { Shape = [-1, .. output.Shape.Skip(1)] })
            .OrderByDescending(output => output.Name == manifest.Output.Name).ToArray();
        var contract = new RemoteContract(manifest, outputs, BatchOf(manifest, taken, configuration), TakesBytes(server));
        foreach (var name in (string?[])[.. contract.Always, manifest.Output.Features])
        {
            if (name is not null && !outputs.Any(output => output.Name == name && output.Type == TensorType.Float32))
            {
                throw Another($"gives {Describe(Tensors(metadata, "outputs"))}, and the manifest needs '{name}' FP32 with sides that are known");
            }
        }

        return contract;

        InferenceException Another(string what) => new(InferenceError.ModelNotReady, $"It {what}.");
    }

    /// <summary>Whether another server has the same model, as far as can be said.</summary>
    public bool IsSame(RemoteContract other) => Outputs.Count == other.Outputs.Count
        && Outputs.Zip(other.Outputs).All(pair => pair.First.Name == pair.Second.Name && pair.First.Type == pair.Second.Type
            && pair.First.Shape.SequenceEqual(pair.Second.Shape));

    /// <summary>An output's sides for one picture.</summary>
    public long[] ShapeOf(string name) => [1, .. _outputs[name].Shape.Skip(1)];

    public TensorType TypeOf(string name) => _outputs[name].Type;

    /// <summary>Bytes of an output for one picture.</summary>
    public int LengthOf(string name) => checked((int)(ElementsOf(name) * TensorTypes.Size(TypeOf(name))));

    public long ElementsOf(string name) => _outputs[name].Shape.Skip(1).Aggregate(1L, (product, side) => checked(product * side));

    /// <summary>A model that takes one picture at a time says so in its shape; how many it takes at most, only its configuration or the manifest.</summary>
    private static int BatchOf(ModelManifest manifest, TensorSpec input, JsonElement? configuration)
    {
        var said = configuration is { ValueKind: JsonValueKind.Object } known && known.TryGetProperty("max_batch_size", out var most)
            && most.ValueKind == JsonValueKind.Number && most.TryGetInt32(out var number) ? number : 1;
        var wanted = manifest.Remote!.MaxBatchSize ?? said;
        return input.Shape[0] > 0 ? 1 : Math.Clamp(wanted, 1, RemoteSpec.MostInOneCall);
    }

    /// <summary>Those that list their extensions without this one get numbers in JSON; those that list none are taken at the protocol's word.</summary>
    private static bool TakesBytes(JsonElement? server) => server is not { ValueKind: JsonValueKind.Object } known
        || !known.TryGetProperty("extensions", out var extensions) || extensions.ValueKind != JsonValueKind.Array || extensions.GetArrayLength() == 0
        || extensions.EnumerateArray().Any(extension => extension.ValueKind == JsonValueKind.String && extension.ValueEquals("binary_tensor_data"));

    private static List<TensorSpec> Tensors(JsonElement metadata, string member)
    {
        var tensors = new List<TensorSpec>();
        if (metadata.ValueKind == JsonValueKind.Object && metadata.TryGetProperty(member, out var list) && list.ValueKind == JsonValueKind.Array)
        {
            foreach (var tensor in list.EnumerateArray())
            {
                var type = Enum.GetValues<TensorType>().Cast<TensorType?>()
                    .FirstOrDefault(type => tensor.GetProperty("datatype").ValueEquals(TensorTypes.OpenInference(type!.Value)));
                long[] shape = [.. tensor.GetProperty("shape").EnumerateArray().Select(ToInt64)];
                if (type is { } known)
                {
                    tensors.Add(new(tensor.GetProperty("name").GetString() ?? "", known, shape));
                }
            }
        }

        return tensors;

        // Some servers write 64-bit numbers as texts.
        static long ToInt64(JsonElement side) =>
            side.ValueKind == JsonValueKind.String ? long.Parse(side.GetString()!, CultureInfo.InvariantCulture) : side.GetInt64();
    }

    private static bool Matches(IReadOnlyList<long> said, IReadOnlyList<long> needed) =>
        said.Count == needed.Count && said.Zip(needed).All(pair => pair.First < 0 || pair.First == pair.Second);

    private static string Describe(IEnumerable<TensorSpec> tensors) => string.Join(", ", tensors.Take(4)
        .Select(tensor => $"'{Sentence.OneLine(tensor.Name, 40)}' {TensorTypes.OpenInference(tensor.Type)} [{string.Join(',', tensor.Shape.Take(8))}]")
        .DefaultIfEmpty("nothing"));
}
