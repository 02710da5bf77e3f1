using System.Buffers.Binary;
using System.Text.Json;
using Whatsit.Inference;
using Whatsit.ModelConversion.Graphs;

namespace Whatsit.ModelConversion.Formats.TensorFlowJs;

/// <summary>
/// The weights of a TensorFlow.js model: groups of weights, each group one run of bytes that is cut into shards without regard to where a weight ends.
/// https://github.com/tensorflow/tfjs/blob/master/tfjs-core/src/io/types.ts (WeightsManifestConfig)
/// </summary>
internal static class WeightsManifest
{
    // TensorFlow Lite's bound (kMaxDims), here too: TensorFlow.js itself stops at 6.
    private const int MaxRank = 8;

    /// <summary>Reads every weight, dequantized, by name in the file's order.</summary>
    public static Dictionary<string, Tensor> Read(JsonElement? manifest, string folder)
    {
        var weights = new Dictionary<string, Tensor>(StringComparer.Ordinal);
        foreach (var group in manifest.Items())
        {
            string[] shards = [.. group.Member("paths").Items()
                .Select(path => Resolve(folder, path.Text() ?? throw new ModelFormatException("A path of a weight shard is not text.")))];
            using var content = new ShardedStream(shards);
            foreach (var weight in group.Member("weights").Items())
            {
                var name = weight.Member("name").Text() ?? throw new ModelFormatException("A weight has no name.");
                if (!weights.TryAdd(name, ReadWeight(weight, name, content)))
                {
                    throw new ModelFormatException($"The weight '{name}' appears twice.");
                }
            }
        }

        return weights;
    }

    /// <summary>A shard lies beside <c>model.json</c> or below; a path that leads elsewhere is not followed.</summary>
    private static string Resolve(string folder, string path)
    {
        var root = Path.GetFullPath(folder) + Path.DirectorySeparatorChar;
        var full = path.Contains('\0') ? "" : Path.GetFullPath(Path.Combine(root, path)); // no path has a null, and Path throws
        if (path.Length == 0 || !full.StartsWith(root, StringComparison.Ordinal))
        {
            throw new ModelFormatException($"The weight shard '{path}' does not lie beside the model.");
        }

        if (File.Exists(full) && !ModelFile.IsBeside(folder, full))
        {
            throw new ModelFormatException($"The weight shard '{path}' is a link, which is not followed.");
        }

        Placeholder.Refuse(full, weights: true);
        return File.Exists(full) ? full : throw new ModelFormatException($"The weight shard '{path}' is missing.");
    }

    private static Tensor ReadWeight(JsonElement weight, string name, ShardedStream content)
    {
        var type = weight.Member("dtype").Text() ?? "float32";
        long[] sides = [.. weight.Member("shape").Items().Select(side => side.Integer() ?? -1)];
        if (sides.Length > MaxRank || Array.Exists(sides, side => side is < 0 or > int.MaxValue))
        {
            throw new ModelFormatException(
                $"The weight '{name}' has the shape [{string.Join(", ", sides)}]: at most {MaxRank} sides, none negative, are allowed.");
        }

        var shape = Array.ConvertAll(sides, side => (int)side);
        long length = Tensor.ElementsOf(shape);
        if (type == "string")
        {
            SkipTexts(name, length, content);
            return new Tensor(ElementType.String, shape, default);
        }

        var quantization = weight.Member("quantization");
        var stored = quantization.Member("dtype").Text() ?? type;
        var size = stored switch
        {
            "float32" or "int32" => 4,
            "float16" or "uint16" => 2,
            "uint8" or "bool" => 1,
            _ => throw new ModelFormatException($"The weight '{name}' is of the type {stored}, which is not supported."),
        };

        // Checked before anything is allocated: a shape is easily written, bytes must be there.
        var bytes = content.Read(length * size, name);
        return quantization is null ? Plain(stored, shape, bytes) : Dequantized(quantization, stored, type, name, shape, bytes);
    }

    // TensorFlow.js has one integer type, of 32 bits; 64-bit and 8-bit ones became that when the model was converted.
    private static Tensor Plain(string type, int[] shape, byte[] bytes) => type switch
    {
        "float32" => new Tensor(ElementType.Float32, shape, bytes),
        "int32" => new Tensor(ElementType.Int32, shape, bytes),
        "bool" => new Tensor(ElementType.Bool, shape, bytes),
        "float16" => Tensor.Float32(shape, new Tensor(ElementType.Float16, shape, bytes).ToFloats()),
        _ => Tensor.FromDoubles(ElementType.Int32, shape, new Tensor(type == "uint8" ? ElementType.UInt8 : ElementType.UInt16, shape, bytes).ToDoubles()),
    };

    /// <summary>float16: widened. uint8 and uint16: value × scale + min, rounded for integers (tfjs-core/src/io/io_utils.ts, decodeWeights).</summary>
    private static Tensor Dequantized(JsonElement? quantization, string stored, string type, string name, int[] shape, byte[] bytes)
    {
        Tensor tensor = new(stored switch
        {
            "float16" => ElementType.Float16,
            "uint8" => ElementType.UInt8,
            "uint16" => ElementType.UInt16,
            _ => throw new ModelFormatException($"The weight '{name}' is quantized to {stored}, which is not supported."),
        }, shape, bytes);
        if (stored == "float16")
        {
            return type == "float32" ? Tensor.Float32(shape, tensor.ToFloats())
                : throw new ModelFormatException($"The weight '{name}' of the type {type} is quantized to float16.");
        }

        // In JavaScript's numbers, and rounded to 32 bits at the end, as there.
        var scale = quantization.Member("scale") is { ValueKind: JsonValueKind.Number } given ? given.GetDouble()
            : throw new ModelFormatException($"The quantized weight '{name}' has no scale.");
        var min = quantization.Member("min") is { ValueKind: JsonValueKind.Number } least ? least.GetDouble()
            : throw new ModelFormatException($"The quantized weight '{name}' has no min.");
        var values = tensor.ToDoubles();
        for (var i = 0; i < values.Length; i++)
        {
            values[i] = (values[i] * scale) + min;
        }

        return type switch
        {
            "float32" => Tensor.FromDoubles(ElementType.Float32, shape, values),
            "int32" => Tensor.FromDoubles(ElementType.Int32, shape, Array.ConvertAll(values, value => Math.Floor(value + 0.5))), // Math.round
            _ => throw new ModelFormatException($"The weight '{name}' of the type {type} is quantized, which is not supported."),
        };
    }

    /// <summary>Texts are stored with their lengths before them. No operator of an image classifier reads one; they are passed over.</summary>
    private static void SkipTexts(string name, long count, ShardedStream content)
    {
        for (long i = 0; i < count; i++)
        {
            content.Skip(BinaryPrimitives.ReadUInt32LittleEndian(content.Read(4, name)), name);
        }
    }

    /// <summary>The shards of a group, one after another.</summary>
    private sealed class ShardedStream(string[] shards) : IDisposable
    {
        // A pipe says that it is empty, too; opening one would wait for ever.
        private readonly Queue<string> _next = new(shards.Where(ModelFile.Exists));
        private FileStream? _shard;
        private long _remaining = shards.Sum(shard => new FileInfo(shard).Length);

        public byte[] Read(long count, string weight)
        {
            Check(count, weight);
            var bytes = new byte[count];
            for (var read = 0; read < bytes.Length;)
            {
                var got = Shard().Read(bytes, read, bytes.Length - read);
                read += got;
                if (got == 0)
                {
                    Advance();
                }
            }

            return bytes;
        }

        public void Skip(long count, string weight)
        {
            Check(count, weight);
            while (count > 0)
            {
                var shard = Shard();
                var step = Math.Min(count, shard.Length - shard.Position);
                shard.Position += step;
                count -= step;
                if (step == 0)
                {
                    Advance();
                }
            }
        }

        public void Dispose() => _shard?.Dispose();

        private FileStream Shard() => _shard ??= File.OpenRead(_next.Dequeue());

        private void Advance()
        {
            _shard?.Dispose();
            _shard = null;
        }

        private void Check(long count, string weight)
        {
            _remaining -= count;
            if (_remaining < 0)
            {
                throw new ModelFormatException($"The weight '{weight}' takes {Counted.Of(count, "byte")}; the shards hold {_remaining + count:N0} more.");
            }
        }
    }
}
