using System.Buffers;
using System.Buffers.Binary;
using System.Globalization;
using System.IO.Compression;
using System.Text;
using System.Text.Json;
using Whatsit.Inference;
using Whatsit.Inference.Backends;
using Whatsit.Inference.Catalog;
using Whatsit.Inference.Postprocessing;
using Whatsit.Server.Predictions;

namespace Whatsit.Server.Compatibility.OpenInference;

/// <summary>An output as it is sent: of all the pictures together.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Type">The type of its elements; nothing where they are texts.</param>
/// <param name="Shape">Its sides.</param>
/// <param name="Data">Its elements; texts each behind its length.</param>
/// <param name="Texts">The texts.</param>
/// <param name="Binary">As bytes behind the JSON.</param>
internal sealed record SentOutput(string Name, TensorType? Type, IReadOnlyList<long> Shape, byte[] Data, IReadOnlyList<string> Texts, bool Binary)
{
    /// <summary>The protocol's name of the type.</summary>
    public string Datatype => Type is { } type ? TensorTypes.OpenInference(type) : DataTypes.Bytes;
}

/// <summary>Puts an answer together and writes it.</summary>
internal static class InferResponse
{
    private static readonly JsonWriterOptions Readable = new() { Encoder = ReadableJson.Encoder, SkipValidation = true };

    /// <summary>Writes it: JSON, and behind it what is sent as bytes.</summary>
    public static async Task WriteAsync(HttpContext context, InferRequest request, TensorAnswer[] answers, Model model)
    {
        var outputs = Join(request, answers, model);
        var json = new ArrayBufferWriter<byte>(1024);
        using (var writer = new Utf8JsonWriter(json, Readable))
        {
            Write(writer, request.Id, model, outputs);
        }

        var binary = outputs.Where(output => output.Binary).ToArray();
        var response = context.Response;
        response.ContentType = binary.Length > 0 ? "application/octet-stream" : "application/json";
        if (binary.Length > 0)
        {
            response.Headers[InferRequestReader.HeaderLength] = json.WrittenCount.ToString(CultureInfo.InvariantCulture);
        }

        if (answers is [var answer])
        {
            response.AddServerTiming(TimingResponse.From(answer.Timings));
        }

        await using var packed = Pack(context);
        if (packed is null)
        {
            response.ContentLength = json.WrittenCount + binary.Sum(output => output.Data.Length);
        }

        var body = packed ?? response.Body;
        await body.WriteAsync(json.WrittenMemory, context.RequestAborted);
        foreach (var output in binary)
        {
            await body.WriteAsync(output.Data, context.RequestAborted);
        }
    }

    /// <summary>The outputs of all pictures, one behind the other.</summary>
    public static SentOutput[] Join(InferRequest request, TensorAnswer[] answers, Model model) => [.. request.Outputs.Select(wanted =>
    {
        var rows = answers.Select(answer => answer.Outputs.First(output => output.Name == wanted.Name)).ToArray();
        return wanted.Classes > 0 ? Classify(wanted, rows, model)
            : new SentOutput(wanted.Name, rows[0].Type, [rows.Length, .. rows[0].Shape.Skip(1)], Join(rows), [], wanted.Binary);
    })];

    private static byte[] Join(OutputTensor[] rows)
    {
        if (rows is [var only])
        {
            return only.Data;
        }

        var all = new byte[rows.Sum(row => row.Data.Length)];
        var at = 0;
        foreach (var row in rows)
        {
            row.Data.CopyTo(all, at);
            at += row.Data.Length;
        }

        return all;
    }

    private static void Write(Utf8JsonWriter writer, string? id, Model model, SentOutput[] outputs)
    {
        writer.WriteStartObject();
        if (id is not null)
        {
            writer.WriteString("id", id);
        }

        writer.WriteString("model_name", model.Manifest.Name);
        writer.WriteString("model_version", model.Manifest.Version);
        writer.WriteStartArray("outputs");
        foreach (var output in outputs)
        {
            writer.WriteStartObject();
            writer.WriteString("name", output.Name);
            writer.WriteString("datatype", output.Datatype);
            writer.WriteStartArray("shape");
            foreach (var side in output.Shape)
            {
                writer.WriteNumberValue(side);
            }

            writer.WriteEndArray();
            if (output.Binary)
            {
                writer.WriteStartObject("parameters");
                writer.WriteNumber("binary_data_size", output.Data.Length);
                writer.WriteEndObject();
            }
            else
            {
                writer.WriteStartArray("data");
                if (output.Type is { } type)
                {
                    TensorJson.WriteFlat(writer, type, output.Data);
                }

                foreach (var text in output.Texts)
                {
                    writer.WriteStringValue(text);
                }

                writer.WriteEndArray();
            }

            writer.WriteEndObject();
        }

        writer.WriteEndArray();
        writer.WriteEndObject();
    }

    /// <summary>
    /// The classification extension: "value:index:label" of the largest elements, each row's for itself.
    /// https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_classification.md
    /// </summary>
    private static SentOutput Classify(RequestedOutput wanted, OutputTensor[] rows, Model model)
    {
        var texts = new List<string>();
        var count = 0;
        foreach (var row in rows)
        {
            var size = TensorTypes.Size(row.Type);
            var values = new double[row.Data.Length / size];
            for (var index = 0; index < values.Length; index++)
            {
                values[index] = TensorJson.ToDouble(row.Type, row.Data.AsSpan(index * size, size));
            }

            count = Math.Min(wanted.Classes, values.Length);
            var best = new int[count];
            TopK.Select(Array.ConvertAll(values, value => (float)value), best);
            var isScores = wanted.Name == model.Manifest.Output.Name;
            texts.AddRange(best.Select(index => string.Create(
                CultureInfo.InvariantCulture, $"{values[index]:F6}:{index}{(isScores ? ":" + model.Classes[index].Label : "")}")));
        }

        return new(wanted.Name, null, [rows.Length, count], WithLengths(texts), texts, wanted.Binary);
    }

    /// <summary>Texts as elements of BYTES: four bytes of length, little-endian, then UTF-8.</summary>
    private static byte[] WithLengths(List<string> texts)
    {
        using var bytes = new MemoryStream();
        Span<byte> length = stackalloc byte[4];
        foreach (var text in texts)
        {
            var utf8 = Encoding.UTF8.GetBytes(text);
            BinaryPrimitives.WriteInt32LittleEndian(length, utf8.Length);
            bytes.Write(length);
            bytes.Write(utf8);
        }

        return bytes.ToArray();
    }

    /// <summary>What the client takes packed is packed: the protocol's clients ask for it on purpose.</summary>
    private static Stream? Pack(HttpContext context)
    {
        var accepted = context.Request.GetTypedHeaders().AcceptEncoding.Where(encoding => encoding.Quality is not 0)
            .Select(encoding => encoding.Value.Value?.ToLowerInvariant()).ToArray();
        var encoding = accepted.Contains("gzip") ? "gzip" : accepted.Contains("deflate") ? "deflate" : null;
        context.Response.Headers.Vary = "Accept-Encoding";
        context.Response.Headers.ContentEncoding = encoding;
        return encoding switch
        {
            "gzip" => new GZipStream(context.Response.Body, CompressionLevel.Fastest, leaveOpen: true),
            // RFC 9110, 8.4.1.2: zlib's format.
            "deflate" => new ZLibStream(context.Response.Body, CompressionLevel.Fastest, leaveOpen: true),
            _ => null,
        };
    }
}
