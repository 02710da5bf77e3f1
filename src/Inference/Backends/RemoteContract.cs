using Whatsit.Inference.Catalog;
using Whatsit.Inference.Postprocessing;

namespace Whatsit.Inference.Backends;

/// <summary>What another server says of a model, held against what the manifest says.</summary>
internal sealed class RemoteContract
{
    private readonly Dictionary<string, TensorSpec> _outputs;

    private RemoteContract(ModelManifest manifest, IReadOnlyList<TensorSpec> outputs, int maxBatchSize)
    {
        Manifest = manifest;
        Outputs = outputs;
        MaxBatchSize = maxBatchSize;
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

    public string Scores { get; }

    public string? Evidence { get; }

    /// <summary>The outputs of every call.</summary>
    public IReadOnlyList<string> Always { get; }

    public int InputLength => Manifest.Input.ByteLength;

    /// <summary>Reads a model's metadata.</summary>
    /// <param name="manifest">What must hold.</param>
    /// <param name="metadata">What the server says of the model.</param>
    /// <exception cref="InferenceException"><see cref="InferenceError.ModelNotReady"/>: it is another model.</exception>
    public static RemoteContract Read(ModelManifest manifest, RemoteMetadata metadata)
    {
        var input = manifest.Input;
        var type = TensorTypes.Of(input);
        if (metadata.Inputs is not [var taken] || taken.Name != input.Name || taken.Type != type || !Matches(taken.Shape, input.Shape))
        {
            throw Another(
                $"takes {Describe(metadata.Inputs)}, the manifest says '{input.Name}' {TensorTypes.OpenInference(type)} [{string.Join(',', input.Shape)}]");
        }

        // An output with a free side cannot be split among pictures before it is there.
        var outputs = metadata.Outputs.Where(output => output.Shape.Count > 0 && output.Shape.Skip(1).All(side => side > 0))
            .Select(output => output with { Shape = [-1, .. output.Shape.Skip(1)] })
            .OrderByDescending(output => output.Name == manifest.Output.Name).ToArray();
        var contract = new RemoteContract(manifest, outputs, BatchOf(manifest, taken, metadata.MaxBatchSize ?? 1));
        foreach (var name in (string?[])[.. contract.Always, manifest.Output.Features])
        {
            if (name is not null && !outputs.Any(output => output.Name == name && output.Type == TensorType.Float32))
            {
                throw Another($"gives {Describe(metadata.Outputs)}, and the manifest needs '{name}' FP32 with sides that are known");
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
    private static int BatchOf(ModelManifest manifest, TensorSpec input, int said) =>
        input.Shape[0] > 0 ? 1 : Math.Clamp(manifest.Remote!.MaxBatchSize ?? said, 1, RemoteSpec.MostInOneCall);

    private static bool Matches(IReadOnlyList<long> said, IReadOnlyList<long> needed) =>
        said.Count == needed.Count && said.Zip(needed).All(pair => pair.First < 0 || pair.First == pair.Second);

    private static string Describe(IEnumerable<TensorSpec> tensors) => string.Join(", ", tensors.Take(4)
        .Select(tensor => $"'{Sentence.OneLine(tensor.Name, 40)}' {TensorTypes.OpenInference(tensor.Type)} [{string.Join(',', tensor.Shape.Take(8))}]")
        .DefaultIfEmpty("nothing"));
}
