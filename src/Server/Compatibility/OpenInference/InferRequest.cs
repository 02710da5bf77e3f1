using System.Buffers.Binary;
using System.Globalization;
using Whatsit.Inference;
using Whatsit.Inference.Backends;
using Whatsit.Inference.Catalog;

namespace Whatsit.Server.Compatibility.OpenInference;

/// <summary>What is asked, however it was sent.</summary>
/// <param name="Id">The client's own name for it; it is sent back.</param>
/// <param name="Batch">The pictures or tensors.</param>
/// <param name="Outputs">The outputs that are wanted.</param>
/// <param name="Within">How long the client will wait.</param>
internal sealed record InferRequest(string? Id, IReadOnlyList<ModelInput> Batch, IReadOnlyList<RequestedOutput> Outputs, TimeSpan? Within)
{
    // A client that does not want to set any limit may send the largest number that there is.
    private static readonly long LongestWait = TimeSpan.MaxValue.Ticks / TimeSpan.TicksPerMicrosecond;

    /// <summary>
    /// The parameter <c>timeout</c>, in microseconds: https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_schedule_policy.md
    /// </summary>
    public static TimeSpan? WithinOf(long microseconds) => microseconds > 0 ? TimeSpan.FromMicroseconds(Math.Min(microseconds, LongestWait)) : null;
}

/// <summary>An output that is wanted.</summary>
/// <param name="Name">Its name in the graph.</param>
/// <param name="Classes">So many of its largest elements, with their labels, in place of all (the classification extension); 0: all.</param>
/// <param name="Binary">As bytes behind the JSON.</param>
internal sealed record RequestedOutput(string Name, int Classes, bool Binary)
{
    /// <summary>Each output as it is, and as its largest classes. Those that the graph makes are large, however short their names are.</summary>
    /// <exception cref="InferenceException"><see cref="InferenceError.InvalidRequest"/>: more are wanted.</exception>
    public static void CheckCount(Model model, int count)
    {
        var most = 2 * model.Backend.Outputs.Count;
        if (count > most)
        {
            throw DeclaredInput.Invalid($"expected at most {Counted.Of(most, "output")} for model '{model.Manifest.Name}'");
        }
    }
}

/// <summary>An input as it is declared, in front of its data.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Datatype">The type of its elements.</param>
/// <param name="Shape">Its sides.</param>
internal sealed record DeclaredInput(string Name, string Datatype, IReadOnlyList<long> Shape)
{
    /// <summary>Its elements are pictures' files.</summary>
    public bool IsPictures => Datatype == DataTypes.Bytes;

    /// <summary>How many pictures or tensors it holds.</summary>
    public int Count => (int)Shape[0];

    /// <summary>Refuses what the model does not take, before any of the data is looked at.</summary>
    /// <exception cref="InferenceException"><see cref="InferenceError.InvalidRequest"/>.</exception>
    public DeclaredInput CheckedFor(Model model, int maxBatchSize)
    {
        var input = DataTypes.Describe(model.Manifest.Input);
        var (name, datatype) = (model.Manifest.Name, TensorTypes.OpenInference(input.Type));
        if (Name != input.Name)
        {
            throw Invalid($"unexpected inference input '{Refusal.Shorten(Name)}' for model '{name}'; it has '{input.Name}'");
        }

        if (!IsPictures && Datatype != datatype)
        {
            var sent = Refusal.Shorten(Datatype);
            throw Invalid($"inference input '{Name}' data-type is '{sent}', but model '{name}' expects '{datatype}', or BYTES with pictures");
        }

        var fits = IsPictures ? Shape is [_] or [_, 1] : Shape.Count == input.Shape.Count && Shape.Skip(1).SequenceEqual(input.Shape.Skip(1));
        if (!fits || Shape[0] < 1)
        {
            var expected = IsPictures ? "-1" : string.Join(',', input.Shape);
            throw Invalid($"unexpected shape for input '{Name}' for model '{name}'. Expected [{expected}], got [{string.Join(',', Shape.Take(8))}]");
        }

        return Shape[0] <= maxBatchSize ? this
            : throw Invalid($"inference request batch-size must be <= {maxBatchSize} for '{name}', got {Shape[0]}");
    }

    /// <summary>Takes the tensors, or the pictures with their lengths in front, apart.</summary>
    /// <exception cref="InferenceException"><see cref="InferenceError.InvalidRequest"/>: there are too many bytes or too few.</exception>
    public IReadOnlyList<ModelInput> Split(Model model, ReadOnlyMemory<byte> bytes)
    {
        var batch = new ModelInput[Count];
        if (IsPictures)
        {
            for (var index = 0; index < batch.Length; index++)
            {
                // Four bytes of length, little-endian, then the element.
                var length = bytes.Length >= 4 ? BinaryPrimitives.ReadUInt32LittleEndian(bytes.Span) : 0;
                if (bytes.Length < 4 || length > bytes.Length - 4)
                {
                    throw Invalid($"unexpected end of the data of input '{Name}', at element {index} of {Count}");
                }

                batch[index] = new(bytes.Slice(4, (int)length), IsTensor: false);
                bytes = bytes[(4 + (int)length)..];
            }

            return bytes.IsEmpty ? batch : throw Invalid(
                $"unexpected additional data of input '{Name}', {Counted.Of(bytes.Length, "byte")} behind its {Counted.Of(Count, "element")}");
        }

        var size = model.Manifest.Input.ByteLength;
        if (bytes.Length != (long)size * Count)
        {
            throw Invalid($"unexpected total byte size {bytes.Length} for input '{Name}', expecting {(long)size * Count}");
        }

        for (var index = 0; index < batch.Length; index++)
        {
            batch[index] = new(bytes.Slice(index * size, size), IsTensor: true);
        }

        return batch;
    }

    /// <summary>Takes pictures that came one by one.</summary>
    /// <exception cref="InferenceException"><see cref="InferenceError.InvalidRequest"/>: they are not as many as the shape says.</exception>
    public IReadOnlyList<ModelInput> Pictures(IReadOnlyList<ReadOnlyMemory<byte>> files) => files.Count == Count
        ? [.. files.Select(file => new ModelInput(file, IsTensor: false))]
        : throw Invalid($"unexpected number of elements for input '{Name}', expecting {Count}");

    public static InferenceException Invalid(FormattableString sentence) =>
        new(InferenceError.InvalidRequest, sentence.ToString(CultureInfo.InvariantCulture));
}
