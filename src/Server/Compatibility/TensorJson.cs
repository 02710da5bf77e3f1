using System.Globalization;
using System.Runtime.InteropServices;
using System.Text.Json;
using Whatsit.Inference;
using Whatsit.Inference.Backends;
using Whatsit.Server.Predictions;

namespace Whatsit.Server.Compatibility;

/// <summary>Elements of tensors as JSON numbers, both ways, without a loss: what is written is read as the same bits.</summary>
internal static class TensorJson
{
    /// <summary>Reads an array, nested in any way or not at all, whose numbers are as many as the tensor has.</summary>
    /// <exception cref="InferenceException"><see cref="InferenceError.InvalidRequest"/>: they are more or fewer, or do not fit the type.</exception>
    public static void ReadFlat(ref Utf8JsonReader reader, TensorType type, Span<byte> tensor)
    {
        var size = TensorTypes.Size(type);
        var read = 0;
        var depth = reader.CurrentDepth;
        while (reader.Read() && !(reader.TokenType == JsonTokenType.EndArray && reader.CurrentDepth == depth))
        {
            if (reader.TokenType is JsonTokenType.StartArray or JsonTokenType.EndArray)
            {
                continue;
            }

            if (read < tensor.Length)
            {
                ReadElement(ref reader, type, tensor.Slice(read, size));
            }

            read += size;
        }

        if (read != tensor.Length)
        {
            throw Invalid($"The tensor's data has {Counted.Of(read / size, "element")}; its shape has {tensor.Length / size:N0}.");
        }
    }

    /// <summary>Reads an array that is nested as the shape says; the reader stands at its beginning.</summary>
    /// <exception cref="InferenceException"><see cref="InferenceError.InvalidRequest"/>: it is not.</exception>
    public static void ReadNested(ref Utf8JsonReader reader, TensorType type, ReadOnlySpan<long> shape, Span<byte> tensor)
    {
        if (shape.IsEmpty)
        {
            ReadElement(ref reader, type, tensor);
            return;
        }

        var part = tensor.Length / (int)shape[0];
        var isArray = reader.TokenType == JsonTokenType.StartArray;
        for (var index = 0; isArray && index < shape[0]; index++)
        {
            reader.Read();
            if (reader.TokenType == JsonTokenType.EndArray)
            {
                isArray = false;
                break;
            }

            ReadNested(ref reader, type, shape[1..], tensor.Slice(index * part, part));
        }

        if (!isArray || !reader.Read() || reader.TokenType != JsonTokenType.EndArray)
        {
            throw Invalid($"An array does not have the {Counted.Of(shape[0], "element")} that the model's input has there.");
        }
    }

    /// <summary>Writes elements one after the other.</summary>
    public static void WriteFlat(Utf8JsonWriter writer, TensorType type, ReadOnlySpan<byte> tensor)
    {
        var size = TensorTypes.Size(type);
        for (var at = 0; at < tensor.Length; at += size)
        {
            WriteElement(writer, type, tensor.Slice(at, size));
        }
    }

    /// <summary>Writes a tensor as nested arrays.</summary>
    public static void WriteNested(Utf8JsonWriter writer, TensorType type, ReadOnlySpan<long> shape, ReadOnlySpan<byte> tensor)
    {
        if (shape.IsEmpty)
        {
            WriteElement(writer, type, tensor);
            return;
        }

        writer.WriteStartArray();
        for (var index = 0; index < shape[0]; index++)
        {
            var part = tensor.Length / (int)shape[0];
            WriteNested(writer, type, shape[1..], tensor.Slice(index * part, part));
        }

        writer.WriteEndArray();
    }

    /// <summary>An element of any type as a number to compare.</summary>
    public static double ToDouble(TensorType type, ReadOnlySpan<byte> element) => type switch
    {
        TensorType.Bool or TensorType.UInt8 => element[0],
        TensorType.UInt16 => MemoryMarshal.Read<ushort>(element),
        TensorType.UInt32 => MemoryMarshal.Read<uint>(element),
        TensorType.UInt64 => MemoryMarshal.Read<ulong>(element),
        TensorType.Int8 => (sbyte)element[0],
        TensorType.Int16 => MemoryMarshal.Read<short>(element),
        TensorType.Int32 => MemoryMarshal.Read<int>(element),
        TensorType.Int64 => MemoryMarshal.Read<long>(element),
        TensorType.Float16 => (double)MemoryMarshal.Read<Half>(element),
        TensorType.Float32 => MemoryMarshal.Read<float>(element),
        _ => MemoryMarshal.Read<double>(element),
    };

    private static void ReadElement(ref Utf8JsonReader reader, TensorType type, Span<byte> element)
    {
        // Some write whole numbers as 255.0.
        var fits = reader.TokenType == JsonTokenType.Number && type switch
        {
            TensorType.Float32 => reader.TryGetSingle(out var single) && float.IsFinite(single) && MemoryMarshal.TryWrite(element, single),
            TensorType.UInt8 when reader.TryGetByte(out element[0]) => true,
            TensorType.UInt8 => reader.TryGetDouble(out var number) && double.IsInteger(number) && number is >= 0 and <= 255
                && MemoryMarshal.TryWrite(element, (byte)number),
            _ => false,
        };
        if (!fits)
        {
            throw Invalid($"The tensor has the element '{Refusal.Shorten(JsonBody.Beginning(reader))}', which is no {TensorTypes.OpenInference(type)}.");
        }
    }

    private static void WriteElement(Utf8JsonWriter writer, TensorType type, ReadOnlySpan<byte> element)
    {
        switch (type)
        {
            case TensorType.Bool:
                writer.WriteBooleanValue(element[0] != 0);
                break;
            case TensorType.Float32 when float.IsFinite(MemoryMarshal.Read<float>(element)):
                writer.WriteNumberValue(MemoryMarshal.Read<float>(element));
                break;
            case TensorType.UInt64:
                writer.WriteNumberValue(MemoryMarshal.Read<ulong>(element));
                break;
            case TensorType.Int64:
                writer.WriteNumberValue(MemoryMarshal.Read<long>(element));
                break;
            case var _ when ToDouble(type, element) is var number && double.IsFinite(number):
                writer.WriteNumberValue(number);
                break;
            default:
                // JSON has no infinity; the binary form has.
                writer.WriteNullValue();
                break;
        }
    }

    private static InferenceException Invalid(FormattableString sentence) =>
        new(InferenceError.InvalidRequest, sentence.ToString(CultureInfo.InvariantCulture));
}
