using System.Buffers;
using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using System.Runtime.InteropServices;
using System.Text.Json;
using Whatsit.Inference.Preprocessing;

namespace Whatsit.Inference.Backends;

/// <summary>What is sent to <c>infer</c>, and what comes back: JSON, and behind it tensors as bytes (docs/protocol/extension_binary_data.md of Triton).</summary>
internal static class RemoteMessages
{
    public const string HeaderLength = "Inference-Header-Content-Length";

    // Names, shapes and whatever else a server says; a number as JSON has it at its longest.
    private const int MostJson = 64 * 1024, LongestNumber = 32;

    /// <summary>The question.</summary>
    /// <param name="contract">The model.</param>
    /// <param name="isBinary">Whether the server takes tensors as bytes behind the JSON.</param>
    /// <param name="batch">The pictures.</param>
    /// <param name="outputs">What is wanted of them.</param>
    /// <param name="within">How long somebody waits.</param>
    public static HttpContent Ask(RemoteContract contract, bool isBinary, IReadOnlyList<RemoteTensors> batch, string[] outputs, TimeSpan within)
    {
        var json = new ArrayBufferWriter<byte>();
        using (var writer = new Utf8JsonWriter(json))
        {
            var input = contract.Manifest.Input;
            writer.WriteStartObject();
            writer.WriteStartArray("inputs");
            writer.WriteStartObject();
            writer.WriteString("name", input.Name);
            writer.WriteStartArray("shape");
            writer.WriteNumberValue(batch.Count);
            foreach (var side in input.Shape.Skip(1))
            {
                writer.WriteNumberValue(side);
            }

            writer.WriteEndArray();
            writer.WriteString("datatype", TensorTypes.OpenInference(TensorTypes.Of(input)));
            if (isBinary)
            {
                writer.WriteStartObject("parameters");
                writer.WriteNumber("binary_data_size", contract.InputLength * batch.Count);
                writer.WriteEndObject();
            }
            else
            {
                WriteNumbers(writer, input, batch);
            }

            writer.WriteEndObject();
            writer.WriteEndArray();
            writer.WriteStartArray("outputs");
            foreach (var output in outputs)
            {
                writer.WriteStartObject();
                writer.WriteString("name", output);
                if (isBinary)
                {
                    writer.WriteStartObject("parameters");
                    writer.WriteBoolean("binary_data", true);
                    writer.WriteEndObject();
                }

                writer.WriteEndObject();
            }

            writer.WriteEndArray();
            writer.WriteStartObject("parameters");
            // Microseconds: docs/protocol/extension_schedule_policy.md
            writer.WriteNumber("timeout", (long)within.TotalMicroseconds);
            writer.WriteEndObject();
            writer.WriteEndObject();
        }

        return new Content(json.WrittenMemory, isBinary ? batch : []);
    }

    /// <summary>Reads the answer into the tensors.</summary>
    /// <exception cref="InvalidDataException">It is not what was asked for; the message says how.</exception>
    public static async Task ReadAsync(RemoteContract contract, HttpResponseMessage response, IReadOnlyList<RemoteTensors> batch, string[] outputs,
        CancellationToken cancellationToken)
    {
        var bytes = outputs.Sum(output => (long)contract.LengthOf(output)) * batch.Count;
        var elements = outputs.Sum(contract.ElementsOf) * batch.Count;
        var headerLength = response.Headers.TryGetValues(HeaderLength, out var values) || response.Content.Headers.TryGetValues(HeaderLength, out values)
            ? int.TryParse(values.First(), NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? number
                : throw new InvalidDataException($"its {HeaderLength} is no number")
            : (int?)null;
        var body = await ReadBodyAsync(response.Content, MostJson + (headerLength is null ? elements * LongestNumber : bytes), cancellationToken)
            .ConfigureAwait(false);
        if (headerLength > body.Length)
        {
            throw new InvalidDataException($"its {HeaderLength} is {headerLength}, and its body has {Counted.Of(body.Length, "byte")}");
        }

        try
        {
            using var json = JsonDocument.Parse(body.AsMemory(0, headerLength ?? body.Length));
            Read(json.RootElement, body.AsSpan(headerLength ?? body.Length), new RemoteAnswer(contract, batch, outputs));
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException or FormatException or KeyNotFoundException)
        {
            throw new InvalidDataException("its answer is no inference response", exception);
        }
    }

    /// <summary>The sentence of a failure: {"error":"…"}; nothing where there is none.</summary>
    public static async Task<string?> ReadErrorAsync(HttpResponseMessage response, CancellationToken cancellationToken)
    {
        try
        {
            using var json = JsonDocument.Parse(await ReadBodyAsync(response.Content, MostJson, cancellationToken).ConfigureAwait(false));
            return json.RootElement.GetProperty("error").GetString() is { Length: > 0 } error ? Sentence.OneLine(error, 200) : null;
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException or KeyNotFoundException or InvalidDataException)
        {
            return null;
        }
    }

    /// <summary>A body of so many bytes at most.</summary>
    public static async Task<byte[]> ReadBodyAsync(HttpContent content, long most, CancellationToken cancellationToken)
    {
        try
        {
            await content.LoadIntoBufferAsync(Math.Min(most, int.MaxValue), cancellationToken).ConfigureAwait(false);
            return await content.ReadAsByteArrayAsync(cancellationToken).ConfigureAwait(false);
        }
        catch (HttpRequestException exception) when (exception.HttpRequestError == HttpRequestError.ConfigurationLimitExceeded)
        {
            throw new InvalidDataException(
                string.Create(CultureInfo.InvariantCulture, $"its answer has more than {Counted.Of(most, "byte")}, which none can have"), exception);
        }
    }

    private static void Read(JsonElement answer, ReadOnlySpan<byte> bytes, RemoteAnswer filled)
    {
        foreach (var output in answer.GetProperty("outputs").EnumerateArray())
        {
            var name = output.GetProperty("name").GetString() ?? "";
            var data = default(ReadOnlySpan<byte>);
            int? binary = output.TryGetProperty("parameters", out var parameters) && parameters.TryGetProperty("binary_data_size", out var size)
                ? size.GetInt32()
                : null;
            if (binary is { } length)
            {
                if (length < 0 || length > bytes.Length)
                {
                    throw new InvalidDataException(
                        $"its output '{Sentence.OneLine(name, 40)}' says {Counted.Of(length, "byte")}, and there are {bytes.Length:N0}");
                }

                data = bytes[..length];
                bytes = bytes[length..];
            }

            if (!filled.Wants(name))
            {
                continue;
            }

            var type = filled.Check(
                name,
                output.GetProperty("datatype").GetString() ?? "",
                [.. output.GetProperty("shape").EnumerateArray().Select(side => side.GetInt64())]);
            filled.Fill(name, binary is not null ? data : Numbers(output.GetProperty("data"), type, filled.LengthOf(name)));
        }

        filled.Finish();
    }

    /// <summary>Numbers of JSON, nested or not, as the bytes of their type.</summary>
    private static byte[] Numbers(JsonElement data, TensorType type, int length)
    {
        var bytes = new byte[length];
        var at = 0;
        Add(data);
        return at == length ? bytes : throw new InvalidDataException($"its data has {Counted.Of(at, "byte")} of numbers, not {length:N0}");

        void Add(JsonElement element)
        {
            if (element.ValueKind == JsonValueKind.Array)
            {
                foreach (var member in element.EnumerateArray())
                {
                    Add(member);
                }

                return;
            }

            if (at == length)
            {
                throw new InvalidDataException($"its data has more than {Counted.Of(length, "byte")} of numbers");
            }

            var target = bytes.AsSpan(at);
            at += TensorTypes.Size(type);
            switch (type)
            {
                case TensorType.Bool:
                    target[0] = element.ValueKind == JsonValueKind.True ? (byte)1 : element.ValueKind == JsonValueKind.False ? (byte)0 : element.GetByte();
                    break;
                case TensorType.UInt8:
                    target[0] = element.GetByte();
                    break;
                case TensorType.UInt16:
                    MemoryMarshal.Write(target, element.GetUInt16());
                    break;
                case TensorType.UInt32:
                    MemoryMarshal.Write(target, element.GetUInt32());
                    break;
                case TensorType.UInt64:
                    MemoryMarshal.Write(target, element.GetUInt64());
                    break;
                case TensorType.Int8:
                    MemoryMarshal.Write(target, element.GetSByte());
                    break;
                case TensorType.Int16:
                    MemoryMarshal.Write(target, element.GetInt16());
                    break;
                case TensorType.Int32:
                    MemoryMarshal.Write(target, element.GetInt32());
                    break;
                case TensorType.Int64:
                    MemoryMarshal.Write(target, element.GetInt64());
                    break;
                case TensorType.Float16:
                    MemoryMarshal.Write(target, (Half)element.GetDouble());
                    break;
                case TensorType.Float32:
                    MemoryMarshal.Write(target, element.GetSingle());
                    break;
                default:
                    MemoryMarshal.Write(target, element.GetDouble());
                    break;
            }
        }
    }

    private static void WriteNumbers(Utf8JsonWriter writer, InputSpec input, IReadOnlyList<RemoteTensors> batch)
    {
        writer.WriteStartArray("data");
        foreach (var tensors in batch)
        {
            if (input.ElementType == InputElementType.UInt8)
            {
                foreach (var value in tensors.Sent.Span)
                {
                    writer.WriteNumberValue(value);
                }
            }
            else
            {
                foreach (var value in MemoryMarshal.Cast<byte, float>(tensors.Sent.Span))
                {
                    writer.WriteNumberValue(value);
                }
            }
        }

        writer.WriteEndArray();
    }

    /// <summary>JSON, and the inputs as they lie in memory.</summary>
    private sealed class Content : HttpContent
    {
        private readonly ReadOnlyMemory<byte> _json;
        private readonly IReadOnlyList<RemoteTensors> _batch;

        public Content(ReadOnlyMemory<byte> json, IReadOnlyList<RemoteTensors> batch)
        {
            (_json, _batch) = (json, batch);
            Headers.ContentType = new MediaTypeHeaderValue(batch.Count > 0 ? "application/octet-stream" : "application/json");
            if (batch.Count > 0)
            {
                Headers.Add(HeaderLength, json.Length.ToString(CultureInfo.InvariantCulture));
            }
        }

        protected override async Task SerializeToStreamAsync(Stream stream, TransportContext? context)
        {
            await stream.WriteAsync(_json).ConfigureAwait(false);
            foreach (var tensors in _batch)
            {
                await stream.WriteAsync(tensors.Sent).ConfigureAwait(false);
            }
        }

        protected override bool TryComputeLength(out long length)
        {
            length = _json.Length + _batch.Sum(tensors => (long)tensors.Sent.Length);
            return true;
        }
    }
}
