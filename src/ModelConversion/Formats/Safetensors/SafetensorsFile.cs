using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Text.Json;
using Whatsit.Inference;
using Whatsit.ModelConversion.Graphs;

namespace Whatsit.ModelConversion.Formats.Safetensors;

/// <summary>
/// Named tensors and nothing else (https://huggingface.co/docs/safetensors): the header's length in 8 bytes, the header as JSON (name to type, shape and
/// place), and the elements, without gaps. A file is checked whole before a tensor of it is read.
/// </summary>
internal sealed class SafetensorsFile
{
    private const int LengthBytes = 8;

    // The specification allows 100 MB; networks with a thousand layers have 1 MB.
    private const int LongestHeader = 16 << 20;

    private const int MaxRank = 16;

    private static readonly Dictionary<string, int> Sizes = new(StringComparer.Ordinal)
    {
        ["F64"] = 8,
        ["F32"] = 4,
        ["F16"] = 2,
        ["BF16"] = 2,
        ["I64"] = 8,
        ["U64"] = 8,
        ["I32"] = 4,
        ["U32"] = 4,
        ["I16"] = 2,
        ["U16"] = 2,
        ["I8"] = 1,
        ["U8"] = 1,
        ["BOOL"] = 1,
        ["F8_E4M3"] = 1,
        ["F8_E5M2"] = 1,
    };

    private readonly string _path;
    private readonly Dictionary<string, Entry> _entries;

    private SafetensorsFile(string path, Dictionary<string, Entry> entries) => (_path, _entries) = (path, entries);

    /// <summary>The tensors' names.</summary>
    public IReadOnlyCollection<string> Names => _entries.Keys;

    /// <summary>Whether a file begins as these do.</summary>
    public static bool Is(string path)
    {
        if (!ModelFile.Exists(path))
        {
            return false;
        }

        using var file = File.OpenRead(path);
        Span<byte> start = stackalloc byte[LengthBytes + 1];
        return file.ReadAtLeast(start, start.Length, throwOnEndOfStream: false) == start.Length && start[^1] == '{'
            && BinaryPrimitives.ReadUInt64LittleEndian(start) is >= 2 and <= LongestHeader;
    }

    /// <summary>Reads and checks the header.</summary>
    /// <exception cref="ModelFormatException">It is malformed.</exception>
    public static SafetensorsFile Open(string path)
    {
        var name = Path.GetFileName(path);
        using var file = File.OpenRead(path);
        Span<byte> length = stackalloc byte[LengthBytes];
        if (file.ReadAtLeast(length, LengthBytes, throwOnEndOfStream: false) < LengthBytes
            || BinaryPrimitives.ReadUInt64LittleEndian(length) is var bytes && (bytes > LongestHeader || (long)bytes > file.Length - LengthBytes))
        {
            throw new ModelFormatException(
                $"'{name}' is damaged: its header would be longer than the file, or than the {LongestHeader:N0} bytes that are read.");
        }

        var header = new byte[(int)BinaryPrimitives.ReadUInt64LittleEndian(length)];
        file.ReadExactly(header);
        try
        {
            using var document = JsonDocument.Parse(header);
            return new SafetensorsFile(path, Entries(name, document.RootElement, LengthBytes + header.Length, file.Length));
        }
        catch (JsonException exception)
        {
            throw new ModelFormatException($"'{name}' is damaged: its header is no JSON.", exception);
        }
    }

    /// <summary>A tensor's sides; <see langword="null"/> where there is none of that name.</summary>
    public int[]? Shape(string name) => _entries.GetValueOrDefault(name)?.Shape;

    /// <summary>A tensor's elements as 32-bit floats.</summary>
    /// <exception cref="ModelFormatException">They are no floats, or the file ends before them.</exception>
    public Tensor Read(string name)
    {
        var entry = _entries[name];
        if (entry.Type is not ("F32" or "F16" or "BF16" or "F64"))
        {
            throw new ModelFormatException($"'{name}' in '{Path.GetFileName(_path)}' has elements of the type {entry.Type}; floats are expected.");
        }

        var raw = new byte[checked((int)(entry.End - entry.Begin))];
        using var file = File.OpenHandle(_path);
        for (var read = 0; read < raw.Length;)
        {
            var got = RandomAccess.Read(file, raw.AsSpan(read), entry.Begin + read);
            read += got > 0 ? got : throw new ModelFormatException($"'{Path.GetFileName(_path)}' has become shorter while it was read.");
        }

        if (entry.Type == "F32")
        {
            return new Tensor(ElementType.Float32, entry.Shape, raw);
        }

        var tensor = Tensor.Allocate(ElementType.Float32, entry.Shape, out Span<float> floats);
        for (var i = 0; i < floats.Length; i++)
        {
            floats[i] = entry.Type switch
            {
                "F16" => (float)MemoryMarshal.Cast<byte, Half>(raw)[i],
                // The upper half of a 32-bit float.
                "BF16" => BitConverter.Int32BitsToSingle(MemoryMarshal.Cast<byte, ushort>(raw)[i] << 16),
                _ => (float)MemoryMarshal.Cast<byte, double>(raw)[i],
            };
        }

        return tensor;
    }

    private static Dictionary<string, Entry> Entries(string file, JsonElement header, long start, long length)
    {
        var entries = new Dictionary<string, Entry>(StringComparer.Ordinal);
        foreach ((var name, var value) in ((JsonElement?)header).Members().Where(member => member.Name != "__metadata__"))
        {
            var offsets = value.Member("data_offsets").Items().Select(offset => offset.Integer() ?? -1).ToArray();
            var type = value.Member("dtype").Text() ?? "";
            var shape = Sides(value.Member("shape")) ?? throw Damage(file, $"'{name}' has a shape that is none");
            if (offsets is not [>= 0 and var begin, var end] || end < begin || end > length - start)
            {
                throw Damage(file, $"'{name}' lies outside of it");
            }

            // Types that are newer than this reader have sizes that it does not know; nothing is read of them.
            if (Sizes.TryGetValue(type, out var size) && end - begin != (long)Tensor.ElementsOf(shape) * size)
            {
                throw Damage(file, $"'{name}' is {type} [{string.Join(", ", shape)}] in {Counted.Of(end - begin, "byte")}");
            }

            if (!entries.TryAdd(name, new Entry(type, shape, start + begin, start + end)))
            {
                throw Damage(file, $"two tensors are called '{name}'");
            }
        }

        // "Needs to be entirely indexed, and cannot contain holes", nor parts of two tensors.
        var at = start;
        foreach ((var name, var entry) in entries.OrderBy(entry => entry.Value.Begin).ThenBy(entry => entry.Value.End))
        {
            at = entry.Begin == at ? entry.End : throw Damage(file, entry.Begin < at ? $"'{name}' overlaps another tensor" : $"there is a gap before '{name}'");
        }

        return at == length ? entries : throw Damage(file, $"{Counted.Of(length - at, "byte")} at its end belong to no tensor");
    }

    private static int[]? Sides(JsonElement? shape)
    {
        if (shape is not { ValueKind: JsonValueKind.Array } list || list.GetArrayLength() > MaxRank)
        {
            return null;
        }

        long[] sides = [.. shape.Items().Select(side => side.Integer() ?? -1)];
        return Array.TrueForAll(sides, side => side is >= 0 and <= int.MaxValue) ? [.. sides.Select(side => (int)side)] : null;
    }

    private static ModelFormatException Damage(string file, string reason) => new($"'{file}' is damaged: {reason}.");

    private sealed record Entry(string Type, int[] Shape, long Begin, long End);
}
