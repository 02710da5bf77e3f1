using Whatsit.Inference;

namespace Whatsit.ModelConversion.Formats;

/// <summary>What only the person who has the file knows of it.</summary>
public sealed record ReadingOptions
{
    /// <summary>Makes quantized models float.</summary>
    public bool Dequantize { get; init; }

    /// <summary>What Keras' layers of Python code compute, by the layer's name: <c>identity</c>, <c>x/255</c>, <c>x/127.5-1</c>.</summary>
    public IReadOnlyDictionary<string, string> Lambdas { get; init; } = new Dictionary<string, string>();

    /// <summary>The network's description as JSON (<c>model.to_json()</c>), for a file of Keras' that holds weights alone.</summary>
    public string? Architecture { get; init; }

    // As KerasReader has it for descriptions within its files.
    private const long LongestDescription = 64 << 20;

    /// <summary>A file with such a description.</summary>
    internal static string ReadArchitecture(string path)
    {
        if (!ModelFile.Exists(path))
        {
            throw new ModelFormatException($"There is no file '{path}' with the network's description.");
        }

        return new FileInfo(path).Length is var bytes && bytes <= LongestDescription ? File.ReadAllText(path)
            : throw new ModelFormatException($"The network's description '{path}' has {Counted.Of(bytes, "byte")}; {LongestDescription:N0} are allowed.");
    }
}
