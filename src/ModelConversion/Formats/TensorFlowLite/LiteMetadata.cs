using System.Buffers.Binary;
using System.IO.Compression;
using System.Text;
using Whatsit.ModelConversion.Formats.FlatBuffers;
using Whatsit.ModelConversion.Formats.TensorFlow;

namespace Whatsit.ModelConversion.Formats.TensorFlowLite;

/// <summary>
/// What a file can say about itself beside the network: how pixels are normalised, and label files in a ZIP archive appended to it.
/// Field numbers are those of metadata_schema.fbs (tflite-support, version 1.1.0).
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

            // ModelMetadata: 3 subgraph_metadata. SubGraphMetadata: 2 input_tensor_metadata, 3 output_tensor_metadata, 4 associated_files.
            if (metadata.Root.Tables(3) is [FlatTable graph, ..])
            {
                // TensorMetadata: 4 process_units, 6 associated_files. ProcessUnit: 0 options_type (1 NormalizationOptions), 1 options: 0 mean, 1 std.
                foreach (var unit in graph.Tables(2) is [FlatTable input, ..] ? input.Tables(4) : [])
                {
                    if (unit.Scalar<byte>(0) == 1 && unit.Table(1) is { } options)
                    {
                        mean = options.Scalars<float>(0);
                        std = options.Scalars<float>(1);
                    }
                }

                // AssociatedFile: 0 name, 2 type (2 TENSOR_AXIS_LABELS), 3 locale. The first one is the default language's.
                labelFile = graph.Tables(3).SelectMany(output => output.Tables(6)).FirstOrDefault(associated => associated.Scalar<sbyte>(2) == 2) is var found && !found.Equals(default(FlatTable))
                    ? found.Text(0)
                    : null;
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
            ZipArchiveEntry[] texts = [.. archive.Entries.Where(entry => name is null ? entry.FullName.EndsWith(".txt", StringComparison.OrdinalIgnoreCase) : entry.FullName == name)];
            if (texts.Length != 1)
            {
                return null;
            }

            using var content = texts[0].Open();
            var text = new byte[MaxLabelFile + 1];
            var length = content.ReadAtLeast(text, text.Length, throwOnEndOfStream: false);
            return length <= MaxLabelFile
                ? LabelFile.Parse(Encoding.UTF8.GetString(text, 0, length))
                : throw new ModelFormatException($"The label file '{texts[0].FullName}' in the model has more than {MaxLabelFile} bytes.");
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
