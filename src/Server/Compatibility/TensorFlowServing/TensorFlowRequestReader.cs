using System.Text.Json;
using Whatsit.Inference;
using Whatsit.Inference.Backends;
using Whatsit.Inference.Catalog;
using Whatsit.Server.Predictions;

namespace Whatsit.Server.Compatibility.TensorFlowServing;

/// <summary>
/// Reads a body of TensorFlow Serving's REST API (https://www.tensorflow.org/tfx/serving/api_rest): pictures as <c>{"b64":"…"}</c> and tensors as nested
/// arrays, bare or under an input's name, in rows (<c>instances</c>), in columns (<c>inputs</c>) or as <c>examples</c>.
/// </summary>
internal sealed class TensorFlowRequestReader(Memory<byte> json, Model model, int maxBatchSize)
{
    private readonly List<ModelInput> _batch = [];

    /// <summary>Reads the member of this name, the first of these that is there.</summary>
    /// <returns>Its name, and what it holds.</returns>
    /// <exception cref="InferenceException"><see cref="InferenceError.InvalidRequest"/>.</exception>
    public (string Member, IReadOnlyList<ModelInput> Batch) Read(params ReadOnlySpan<string> members)
    {
        try
        {
            string? found = null;
            var reader = new Utf8JsonReader(json.Span);
            if (!reader.Read() || reader.TokenType != JsonTokenType.StartObject)
            {
                throw Invalid("The body is no JSON object.");
            }

            while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
            {
                var name = JsonBody.Text(reader);
                reader.Read();
                if (!members.Contains(name))
                {
                    reader.Skip();
                }
                else if (found is not null)
                {
                    throw Invalid($"The body has both '{found}' and '{name}'; one of them is wanted.");
                }
                else
                {
                    found = name;
                    ReadMany(ref reader, isColumn: name == "inputs");
                }
            }

            reader.Read();
            return found is null ? throw Invalid($"The body has no '{string.Join("' and no '", members!)}'.")
                : _batch.Count == 0 ? throw Invalid($"'{found}' is empty.")
                : (found, _batch);
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException)
        {
            throw new InferenceException(InferenceError.InvalidRequest, "The body is no valid JSON.", exception);
        }
    }

    private void ReadMany(ref Utf8JsonReader reader, bool isColumn)
    {
        if (reader.TokenType == JsonTokenType.StartArray)
        {
            while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
            {
                ReadOne(ref reader);
            }
        }
        else if (isColumn && reader.TokenType == JsonTokenType.StartObject)
        {
            ReadNamed(ref reader, isColumn: true);
        }
        else if (isColumn)
        {
            ReadOne(ref reader);
        }
        else
        {
            throw Invalid("Instances and examples are an array.");
        }
    }

    private void ReadOne(ref Utf8JsonReader reader)
    {
        if (_batch.Count == maxBatchSize)
        {
            throw Invalid($"The request has more than {Counted.Of(maxBatchSize, "instance")}, the limit.");
        }

        switch (reader.TokenType)
        {
            case JsonTokenType.String:
                _batch.Add(new(RequestJson.ReadPicture(json, ref reader, "b64"), IsTensor: false));
                break;
            case JsonTokenType.StartObject:
                ReadNamed(ref reader, isColumn: false);
                break;
            default:
                var input = model.Manifest.Input;
                var tensor = new byte[input.ByteLength];
                TensorJson.ReadNested(ref reader, TensorTypes.Of(input), input.Shape.Skip(1).ToArray(), tensor);
                _batch.Add(new(tensor, IsTensor: true));
                break;
        }
    }

    /// <summary>An object: a picture, <c>{"b64":"…"}</c>, or what an input's name stands before.</summary>
    private void ReadNamed(ref Utf8JsonReader reader, bool isColumn)
    {
        var count = _batch.Count;
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            if (_batch.Count > count)
            {
                throw Invalid($"An instance has more than one input; the model '{model.Manifest.Name}' takes one, '{model.Manifest.Input.Name}'.");
            }

            var isPicture = reader.ValueTextEquals("b64"u8);
            reader.Read();
            if (isPicture && reader.TokenType != JsonTokenType.String)
            {
                throw Invalid("'b64' must be base64 text.");
            }

            if (isColumn && !isPicture)
            {
                ReadMany(ref reader, isColumn);
            }
            else
            {
                ReadOne(ref reader);
            }
        }

        if (_batch.Count == count)
        {
            throw Invalid("An instance is an empty object.");
        }
    }

    private static InferenceException Invalid(string sentence) => new(InferenceError.InvalidRequest, sentence);
}
