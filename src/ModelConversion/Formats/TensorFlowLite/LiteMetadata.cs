using System.Buffers.Binary;
using System.IO.Compression;
using Whatsit.ModelConversion.Formats.FlatBuffers;

namespace Whatsit.ModelConversion.Formats.TensorFlowLite;

/// <summary>
/// What a file can say about itself beside the network: how pixels are normalised, and label files in a ZIP archive appended to it.
/// </summary>
internal sealed record LiteMetadata(IReadOnlyList<float>? Mean, IReadOnlyList<float>? Std, IReadOnlyList<string>? Labels)
{
    private const int MaxLabelFile = 4 << 20;

    public static LiteMetadata Read(LiteModel model, ReadOnlyMemory<byte> file)
    {
        float[]? mean = null;
        float[]? std = null;
        string? labelFile = null;
        if (model.Metadata("TFLITE_METADATA") is { Length: > 0 } buffer)
        {
            var metadata = new FlatBuffer(buffer);
            if (!metadata.Identifier.SequenceEqual("M001"u8))
            {
                throw new ModelFormatException("The metadata in the file is not of the kind M001.");
            }

            if (metadata.Root.Tables(LiteMetadataSchema.ModelMetadata.SubgraphMetadata) is [FlatTable graph, ..])
            {
                var inputs = graph.Tables(LiteMetadataSchema.SubGraphMetadata.InputTensorMetadata);
                foreach (var unit in inputs is [FlatTable input, ..] ? input.Tables(LiteMetadataSchema.TensorMetadata.ProcessUnits) : [])
                {
                    const int Normalization = 1;
                    if (unit.Scalar<byte>(LiteMetadataSchema.ProcessUnit.OptionsType) == Normalization
                        && unit.Table(LiteMetadataSchema.ProcessUnit.Options) is { } options)
                    {
                        mean = options.Scalars<float>(LiteMetadataSchema.NormalizationOptions.Mean);
                        std = options.Scalars<float>(LiteMetadataSchema.NormalizationOptions.Std);
                    }
                }

                // The first one is the default language's.
                const int TensorAxisLabels = 2;
                labelFile = graph.Tables(LiteMetadataSchema.SubGraphMetadata.OutputTensorMetadata)
                    .SelectMany(output => output.Tables(LiteMetadataSchema.TensorMetadata.AssociatedFiles))
                    .Where(associated => associated.Scalar<sbyte>(LiteMetadataSchema.AssociatedFile.Type) == TensorAxisLabels)
                    .Select(associated => associated.Text(LiteMetadataSchema.AssociatedFile.Name))
                    .FirstOrDefault();
            }
        }

        if (mean is { Length: 0 } || std is null or { Length: 0 } || std.Any(value => value == 0))
        {
            mean = std = null;
        }

        return new LiteMetadata(mean, std, ReadLabels(file, labelFile));
    }

    private static List<string>? ReadLabels(ReadOnlyMemory<byte> file, string? name)
    {
        if (Archive(file) is not { } bytes)
        {
            return null;
        }

        try
        {
            using var archive = new ZipArchive(new MemoryStream(bytes.ToArray(), writable: false));
            ZipArchiveEntry[] texts = [.. archive.Entries.Where(entry => name is null ? entry.FullName.EndsWith(".txt", StringComparison.OrdinalIgnoreCase)
                : entry.FullName == name)];
            if (texts.Length != 1)
            {
                return null;
            }

            using var content = texts[0].Open();
            var text = new byte[MaxLabelFile + 1];
            var length = content.ReadAtLeast(text, text.Length, throwOnEndOfStream: false);
            return length <= MaxLabelFile
                ? LabelFile.Parse(LabelFile.Decode(text[..length], texts[0].FullName))
                : throw new ModelFormatException($"The label file '{texts[0].FullName}' in the model has more than {MaxLabelFile:N0} bytes.");
        }
        catch (InvalidDataException exception)
        {
            throw new ModelFormatException("The archive of labels at the end of the file is damaged.", exception);
        }
    }

    /// <summary>
    /// The appended archive. Its offsets count from its own first byte or, as Python's zipfile writes them, from the model's; the end-of-central-directory
    /// record (APPNOTE.TXT 4.3.16: signature, …, 12: size and 16: offset of the directory, which ends where the record begins) tells which.
    /// </summary>
    private static ReadOnlyMemory<byte>? Archive(ReadOnlyMemory<byte> file)
    {
        const int RecordSize = 22;
        var tail = file.Span[Math.Max(0, file.Length - RecordSize - ushort.MaxValue)..];
        var record = tail.LastIndexOf("PK\u0005\u0006"u8);
        if (record < 0 || record + RecordSize > tail.Length)
        {
            return null;
        }

        long end = file.Length - tail.Length + record;
        var start = end - BinaryPrimitives.ReadUInt32LittleEndian(tail[(record + 12)..]) - BinaryPrimitives.ReadUInt32LittleEndian(tail[(record + 16)..]);
        return start >= 0 ? file[(int)start..] : null;
    }
}
