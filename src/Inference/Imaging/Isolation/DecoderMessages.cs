using System.Text.Json;
using System.Text.Json.Serialization;

namespace Whatsit.Inference.Imaging.Isolation;

/// <summary>The first line to a decoder process: what it needs to know once.</summary>
/// <param name="Options">The server's.</param>
/// <param name="Memory">The memory that both share, as a path.</param>
/// <param name="Seconds">Processor time that a picture may take.</param>
internal sealed record DecoderStart(DecodingOptions Options, string Memory, int Seconds);

/// <summary>What it answers when it is ready.</summary>
/// <param name="Reads">As <see cref="IImageDecoder.Reads"/>.</param>
internal sealed record DecoderReady(string Reads);

/// <summary>A picture, whose file lies at the beginning of the shared memory.</summary>
/// <param name="Length">Bytes of the file.</param>
/// <param name="Capacity">Bytes of the shared memory.</param>
/// <param name="ShrinkWidth">To what width it may be reduced; 0: not at all.</param>
/// <param name="ShrinkHeight">The same for the height.</param>
/// <param name="Bytes">What decoding may hold.</param>
internal sealed record DecoderRequest(int Length, int Capacity, int ShrinkWidth, int ShrinkHeight, long Bytes);

/// <summary>The picture, whose pixels lie at the beginning of the shared memory, or why there is none.</summary>
internal sealed record DecoderAnswer
{
    public int Capacity { get; init; }

    public int Width { get; init; }

    public int Height { get; init; }

    public int OriginalWidth { get; init; }

    public int OriginalHeight { get; init; }

    public string Format { get; init; } = "";

    public IReadOnlyList<Warning> Warnings { get; init; } = [];

    public InferenceError? Error { get; init; }

    public Warning? Refusal { get; init; }

    /// <summary>Parameters are numbers and strings, on both sides.</summary>
    public static Warning Plain(Warning sent) => sent with
    {
        Parameters = sent.Parameters.ToDictionary(entry => entry.Key, entry => entry.Value is JsonElement json ? Plain(json) : entry.Value),
    };

    private static object Plain(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.Number when value.TryGetInt64(out var whole) => whole,
        JsonValueKind.Number => value.GetDouble(),
        _ => value.ToString(),
    };
}

[JsonSerializable(typeof(DecoderStart))]
[JsonSerializable(typeof(DecoderReady))]
[JsonSerializable(typeof(DecoderRequest))]
[JsonSerializable(typeof(DecoderAnswer))]
[JsonSerializable(typeof(string))]
[JsonSerializable(typeof(int))]
[JsonSerializable(typeof(long))]
[JsonSerializable(typeof(double))]
internal sealed partial class DecoderJson : JsonSerializerContext;
