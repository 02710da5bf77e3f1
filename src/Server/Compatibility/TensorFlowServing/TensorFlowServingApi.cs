using System.Buffers;
using System.Text.Json;
using System.Text.Json.Serialization;
using Microsoft.AspNetCore.Mvc;
using Whatsit.Inference;
using Whatsit.Inference.Backends;
using Whatsit.Inference.Catalog;
using Whatsit.Server.Access;
using Whatsit.Server.Compatibility.OpenInference;
using Whatsit.Server.Predictions;
using Whatsit.Server.Telemetry;

namespace Whatsit.Server.Compatibility.TensorFlowServing;

/// <summary>
/// TensorFlow Serving's REST API (https://www.tensorflow.org/tfx/serving/api_rest), and KServe's v1, which is a subset of it
/// (https://kserve.github.io/website/docs/concepts/architecture/data-plane/v1-protocol). Failures are <c>{"error":"…"}</c>.
/// </summary>
internal static class TensorFlowServingApi
{
    private static readonly TensorFlowServingJson Written = new(ReadableJson.Of(TensorFlowServingJson.Default.Options));

    public static void MapTensorFlowServing(this IEndpointRouteBuilder app)
    {
        var v1 = app.MapGroup("/v1/models").ExcludeFromDescription();
        v1.MapGet("", (ModelCatalog catalog) => Json(new ModelNames([.. catalog.Models.Select(model => model.Name)])));
        foreach (var model in (string[])["/{model}", "/{model}/versions/{version}"])
        {
            v1.MapGet(model, Status).For(Audience.Probes);
            v1.MapGet(model + "/metadata", DescribeAsync);
            v1.MapPost(model + ":predict", PredictAsync).WithMetadata(new AnswersPicturesAttribute()).For(Audience.Clients);
            v1.MapPost(model + ":classify", ClassifyAsync).WithMetadata(new AnswersPicturesAttribute()).For(Audience.Clients);
        }
    }

    /// <summary>A failure in the protocol's form.</summary>
    public static ProtocolFailure Fail(Refusal refusal, HttpRequest request) =>
        new(refusal.Status, JsonSerializer.SerializeToUtf8Bytes(new(refusal.Detail), Written.FailureMessage));

    private static string Unknown(string model, string? version)
    {
        var asked = Refusal.Shorten(model);
        return $"Servable not found for request: {(version is null ? $"Latest({asked})" : $"Specific({asked}, {Refusal.Shorten(version)})")}";
    }

    private static IResult Status(string model, string? version, [FromServices] ModelRequests models)
    {
        var status = models.Status(model, version, Unknown(model, version));
        var (state, code) = status.State switch
        {
            ModelState.Ready or ModelState.Unloaded => ("AVAILABLE", "OK"),
            ModelState.Loading => ("LOADING", "OK"),
            _ => ("END", "UNKNOWN"),
        };
        return Json(new StatusAnswer(
            [new(status.Manifest?.Version ?? "1", state, new(code, status.Problem ?? ""))], model, status.Answers));
    }

    private static async Task<IResult> DescribeAsync(HttpContext context, string model, string? version, [FromServices] ModelRequests models)
    {
        models.Status(model, version, Unknown(model, version));
        using var lease = await models.Catalog.LeaseAsync(model, context.RequestAborted);
        var (manifest, backend) = (lease.Model.Manifest, lease.Model.Backend);
        var output = backend.Outputs.First(output => output.Name == manifest.Output.Name);
        return Json(new MetadataAnswer(
            new(model, "", manifest.Version),
            new(new(new Dictionary<string, Signature>
            {
                ["serving_default"] = new(
                    new Dictionary<string, SignatureTensor> { [manifest.Input.Name] = Tensor(DataTypes.Describe(manifest.Input)) },
                    new Dictionary<string, SignatureTensor> { [output.Name] = Tensor(output) },
                    "tensorflow/serving/predict"),
            }))));

        static SignatureTensor Tensor(TensorSpec spec) => new(
            DataTypes.TensorFlow(spec.Type),
            new([new("-1", ""), .. spec.Shape.Skip(1).Select(side => new SignatureSide(side.ToString(), ""))], false),
            $"{spec.Name}:0");
    }

    private static Task PredictAsync(HttpContext context, string model, string? version, [FromServices] ModelRequests models) =>
        models.AnswerAsync(context, model, version, Unknown(model, version), async leased =>
        {
            using var body = await models.ReadBodyAsync(context);
            var (member, batch) = new TensorFlowRequestReader(body.Memory, leased, models.MaxBatchSize).Read("instances", "inputs");
            var answers = await models.InferAsync(context, batch, [leased.Manifest.Output.Name]);
            await WriteAsync(context, [.. answers], writer =>
            {
                writer.WriteStartArray(member == "inputs" ? "outputs" : "predictions");
                foreach (var scores in answers.Select(answer => answer.Outputs[0]))
                {
                    TensorJson.WriteNested(writer, scores.Type, [.. scores.Shape.Skip(1)], scores.Data);
                }

                writer.WriteEndArray();
            });
        });

    private static Task ClassifyAsync(HttpContext context, string model, string? version, [FromServices] ModelRequests models) =>
        models.AnswerAsync(context, model, version, Unknown(model, version), async leased =>
        {
            using var body = await models.ReadBodyAsync(context);
            var (_, batch) = new TensorFlowRequestReader(body.Memory, leased, models.MaxBatchSize).Read("examples");
            if (batch.Any(input => input.IsTensor))
            {
                throw new InferenceException(InferenceError.InvalidRequest, "Examples are pictures, {\"image\":{\"b64\":\"…\"}}; tensors go to :predict.");
            }

            var answers = new List<Classification>();
            foreach (var picture in batch)
            {
                answers.Add(await models.ClassifyAsync(context, picture.Bytes, ClassifyOptions.For(leased).TopK));
            }

            await WriteAsync(context, answers, writer =>
            {
                writer.WriteStartArray("results");
                foreach (var answer in answers)
                {
                    writer.WriteStartArray();
                    foreach (var prediction in answer.Predictions)
                    {
                        writer.WriteStartArray();
                        writer.WriteStringValue(prediction.Label);
                        writer.WriteNumberValue(prediction.Confidence);
                        writer.WriteEndArray();
                    }

                    writer.WriteEndArray();
                }

                writer.WriteEndArray();
            });
        });

    private static async Task WriteAsync(HttpContext context, IReadOnlyList<Answer> answers, Action<Utf8JsonWriter> write)
    {
        var json = new ArrayBufferWriter<byte>(1024);
        using (var writer = new Utf8JsonWriter(json, new() { Encoder = ReadableJson.Encoder }))
        {
            writer.WriteStartObject();
            write(writer);
            writer.WriteEndObject();
        }

        if (answers is [var answer])
        {
            context.Response.AddServerTiming(TimingResponse.From(answer.Timings));
        }

        context.Response.ContentType = "application/json";
        context.Response.ContentLength = json.WrittenCount;
        await context.Response.Body.WriteAsync(json.WrittenMemory, context.RequestAborted);
    }

    private static IResult Json<T>(T value) => Results.Json(value, Written, "application/json");
}

internal sealed record StatusAnswer(IReadOnlyList<VersionStatus> ModelVersionStatus, string Name, bool Ready);

internal sealed record VersionStatus(string Version, string State, VersionProblem Status);

internal sealed record VersionProblem(string ErrorCode, string ErrorMessage);

internal sealed record MetadataAnswer(ModelSpec ModelSpec, SignatureMetadata Metadata);

internal sealed record ModelSpec(string Name, string SignatureName, string Version);

internal sealed record SignatureMetadata(SignatureDefinitions SignatureDef);

internal sealed record SignatureDefinitions(IReadOnlyDictionary<string, Signature> SignatureDef);

internal sealed record Signature(
    IReadOnlyDictionary<string, SignatureTensor> Inputs, IReadOnlyDictionary<string, SignatureTensor> Outputs, string MethodName);

internal sealed record SignatureTensor(string Dtype, SignatureShape TensorShape, string Name);

internal sealed record SignatureShape(IReadOnlyList<SignatureSide> Dim, bool UnknownRank);

internal sealed record SignatureSide(string Size, string Name);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower)]
[JsonSerializable(typeof(ModelNames))]
[JsonSerializable(typeof(FailureMessage))]
[JsonSerializable(typeof(StatusAnswer))]
[JsonSerializable(typeof(MetadataAnswer))]
internal sealed partial class TensorFlowServingJson : JsonSerializerContext;
