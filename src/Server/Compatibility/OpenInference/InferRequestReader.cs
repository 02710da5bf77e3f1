using System.Globalization;
using System.Text.Json;
using Whatsit.Inference;
using Whatsit.Inference.Backends;
using Whatsit.Inference.Catalog;
using Whatsit.Inference.Imaging;
using Whatsit.Server.Predictions;

namespace Whatsit.Server.Compatibility.OpenInference;

/// <summary>
/// Reads a request to <c>infer</c>: JSON, and behind it the inputs that are sent as bytes.
/// <code>
///   { "inputs": [ { "name", "shape", "datatype", "data": [ … ] } ] }
///   { "inputs": [ { …, "parameters": { "binary_data_size": 602112 } } ] } bytes      Inference-Header-Content-Length says where they begin
///   bytes                                                                           and 0 that there is nothing else
/// </code>
/// https://github.com/kserve/open-inference-protocol, https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_binary_data.md
/// </summary>
internal static class InferRequestReader
{
    public const string HeaderLength = "Inference-Header-Content-Length";

    /// <summary>Reads it.</summary>
    /// <param name="body">The body; base64 text in it is decoded where it lies.</param>
    /// <param name="headerLength">The header's value, if there is one.</param>
    /// <param name="model">The model that is asked.</param>
    /// <param name="maxBatchSize">How many pictures or tensors there may be.</param>
    /// <exception cref="InferenceException"><see cref="InferenceError.InvalidRequest"/>.</exception>
    public static InferRequest Read(Memory<byte> body, string? headerLength, Model model, int maxBatchSize)
    {
        var length = body.Length;
        if (!string.IsNullOrEmpty(headerLength)
            && !(int.TryParse(headerLength, NumberStyles.None, CultureInfo.InvariantCulture, out length) && length <= body.Length))
        {
            throw DeclaredInput.Invalid($"{HeaderLength} is '{Refusal.Shorten(headerLength)}'; the body has {Counted.Of(body.Length, "byte")}");
        }

        if (length == 0)
        {
            return body.IsEmpty ? throw DeclaredInput.Invalid($"the request has no body") : ReadRaw(body, model, maxBatchSize);
        }

        try
        {
            return ReadJson(body[..length], body[length..], model, maxBatchSize);
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException or FormatException)
        {
            // InvalidOperationException: a member of another type than it must have.
            throw new InferenceException(InferenceError.InvalidRequest, "failed to parse the request JSON buffer: it is no inference request", exception);
        }
    }

    /// <summary>The one input without a word about it: tensors, if it has just their size, or else a picture. The outputs are sent as bytes, too.</summary>
    private static InferRequest ReadRaw(Memory<byte> body, Model model, int maxBatchSize)
    {
        var input = model.Manifest.Input;
        var isTensor = body.Length % input.ByteLength == 0 && !ImageFormat.IsKnown(body.Span);
        var declared = new DeclaredInput(
            input.Name,
            isTensor ? TensorTypes.OpenInference(TensorTypes.Of(input)) : DataTypes.Bytes,
            isTensor ? [body.Length / input.ByteLength, .. input.Shape.Skip(1)] : [1]).CheckedFor(model, maxBatchSize);
        return new(null, isTensor ? declared.Split(model, body) : declared.Pictures([body]), AllOutputs(model, binary: true), null);
    }

    private static InferRequest ReadJson(Memory<byte> json, Memory<byte> bytes, Model model, int maxBatchSize)
    {
        var reader = new Utf8JsonReader(json.Span);
        reader.Read();
        if (reader.TokenType != JsonTokenType.StartObject)
        {
            throw new JsonException();
        }

        string? id = null;
        var parameters = default(JsonElement);
        JsonInput? input = null;
        var inputs = 0;
        List<(string Name, JsonElement Parameters)>? outputs = null;
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var name = JsonBody.Text(reader);
            reader.Read();
            switch (name)
            {
                case "id":
                    id = RequestJson.ReadShort(ref reader).GetString();
                    break;
                case "parameters":
                    parameters = RequestJson.ReadShort(ref reader);
                    break;
                case "inputs":
                    while (NextOf(ref reader))
                    {
                        input = ReadInput(ref reader);
                        inputs++;
                    }

                    break;
                case "outputs":
                    outputs = [];
                    while (NextOf(ref reader))
                    {
                        RequestedOutput.CheckCount(model, outputs.Count + 1);
                        var output = RequestJson.ReadShort(ref reader);
                        var wanted = output.Member("name") is { ValueKind: JsonValueKind.String } text ? text.GetString()!
                            : throw DeclaredInput.Invalid($"an output has no 'name'");
                        outputs.Add((wanted, output.Member("parameters")));
                    }

                    break;
                default:
                    reader.Skip();
                    break;
            }
        }

        // What comes behind the object is an error, too.
        reader.Read();
        if (input is null || inputs > 1)
        {
            throw DeclaredInput.Invalid($"expected 1 inputs but got {inputs} inputs for model '{model.Manifest.Name}'");
        }

        var binary = IsTrue(parameters, "binary_data_output");
        return new(
            id,
            ReadData(input, json, bytes, model, maxBatchSize),
            outputs is null or [] ? AllOutputs(model, binary) : [.. outputs.Select(output => Requested(output.Name, output.Parameters, binary))],
            InferRequest.WithinOf(parameters.Member("timeout") is { ValueKind: JsonValueKind.Number } timeout ? timeout.GetInt64() : 0));
    }

    private static JsonInput ReadInput(ref Utf8JsonReader reader)
    {
        var input = new JsonInput();
        Expect(reader.TokenType == JsonTokenType.StartObject);
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var name = JsonBody.Text(reader);
            reader.Read();
            switch (name)
            {
                case "name":
                    input.Name = RequestJson.ReadShort(ref reader).GetString();
                    break;
                case "datatype":
                    input.Datatype = RequestJson.ReadShort(ref reader).GetString();
                    break;
                case "shape":
                    input.Shape = [.. RequestJson.ReadShort(ref reader).EnumerateArray().Select(side => side.GetInt64())];
                    break;
                case "parameters":
                    var size = RequestJson.ReadShort(ref reader).Member("binary_data_size");
                    input.Size = size.ValueKind == JsonValueKind.Undefined ? null : size.GetInt32();
                    break;
                case "data":
                    // Read later: what it must hold may stand behind it.
                    var start = (int)reader.TokenStartIndex;
                    reader.Skip();
                    input.Data = (start, (int)reader.BytesConsumed - start);
                    break;
                default:
                    reader.Skip();
                    break;
            }
        }

        return input;
    }

    private static IReadOnlyList<ModelInput> ReadData(JsonInput input, Memory<byte> json, Memory<byte> bytes, Model model, int maxBatchSize)
    {
        if (input is not { Name: { } name, Datatype: { } datatype, Shape: { } shape })
        {
            throw DeclaredInput.Invalid($"an input has no '{(input.Name is null ? "name" : input.Datatype is null ? "datatype" : "shape")}'");
        }

        var declared = new DeclaredInput(name, datatype, shape).CheckedFor(model, maxBatchSize);
        if (input.Size is { } size)
        {
            return size == bytes.Length ? declared.Split(model, bytes)
                : throw DeclaredInput.Invalid($"unexpected total byte size {bytes.Length} behind the JSON, where 'binary_data_size' says {size}");
        }

        if (!bytes.IsEmpty)
        {
            throw DeclaredInput.Invalid($"there are {Counted.Of(bytes.Length, "byte")} behind the JSON, and input '{name}' has no 'binary_data_size'");
        }

        if (input.Data is not { } data)
        {
            throw DeclaredInput.Invalid($"input '{name}' has no 'data'");
        }

        return declared.IsPictures ? declared.Pictures(ReadPictures(json, data, declared.Count))
            : declared.Split(model, ReadTensor(json, data, model, declared.Count));
    }

    private static byte[] ReadTensor(Memory<byte> json, (int Start, int Length) data, Model model, int count)
    {
        var tensor = new byte[model.Manifest.Input.ByteLength * count];
        var reader = new Utf8JsonReader(json.Span.Slice(data.Start, data.Length));
        reader.Read();
        Expect(reader.TokenType == JsonTokenType.StartArray);
        TensorJson.ReadFlat(ref reader, TensorTypes.Of(model.Manifest.Input), tensor);
        return tensor;
    }

    /// <summary>Text in base64, as OpenVINO Model Server has it with "content_type"; no picture can be anything else in JSON.</summary>
    private static List<ReadOnlyMemory<byte>> ReadPictures(Memory<byte> json, (int Start, int Length) data, int count)
    {
        var pictures = new List<ReadOnlyMemory<byte>>();
        var reader = new Utf8JsonReader(json.Span.Slice(data.Start, data.Length));
        // One too many is enough to refuse them all.
        while (pictures.Count <= count && reader.Read())
        {
            if (reader.TokenType == JsonTokenType.String)
            {
                pictures.Add(RequestJson.ReadPicture(json, ref reader, "data", data.Start));
            }
            else
            {
                Expect(reader.TokenType is JsonTokenType.StartArray or JsonTokenType.EndArray);
            }
        }

        return pictures;
    }

    private static IReadOnlyList<RequestedOutput> AllOutputs(Model model, bool binary) =>
        [.. model.Backend.Outputs.Select(output => new RequestedOutput(output.Name, 0, binary))];

    private static RequestedOutput Requested(string name, JsonElement parameters, bool binary) => new(
        name,
        parameters.Member("classification") is { ValueKind: JsonValueKind.Number } classes && classes.GetInt32() is >= 0 and var count ? count : 0,
        parameters.Member("binary_data").ValueKind == JsonValueKind.Undefined ? binary : IsTrue(parameters, "binary_data"));

    private static bool IsTrue(JsonElement of, string name) => of.Member(name).ValueKind == JsonValueKind.True;

    private static bool NextOf(ref Utf8JsonReader reader)
    {
        Expect(reader.TokenType is JsonTokenType.StartArray or JsonTokenType.EndObject);
        reader.Read();
        return reader.TokenType != JsonTokenType.EndArray;
    }

    private static void Expect(bool condition)
    {
        if (!condition)
        {
            throw new JsonException();
        }
    }

    private sealed class JsonInput
    {
        public string? Name { get; set; }

        public string? Datatype { get; set; }

        public long[]? Shape { get; set; }

        public int? Size { get; set; }

        public (int Start, int Length)? Data { get; set; }
    }
}
