using System.Reflection;
using System.Text.Json;
using System.Text.Json.Serialization;
using Microsoft.AspNetCore.Mvc;
using Whatsit.Inference;
using Whatsit.Inference.Backends;
using Whatsit.Inference.Catalog;
using Whatsit.Server.Access;
using Whatsit.Server.Health;
using Whatsit.Server.Management;
using Whatsit.Server.Telemetry;

namespace Whatsit.Server.Compatibility.OpenInference;

/// <summary>
/// The Open Inference Protocol v2 over HTTP, as KServe, Triton, MLServer and OpenVINO Model Server speak it, with Triton's extensions for bytes, classes,
/// configuration, statistics and the repository's index. Failures are <c>{"error":"…"}</c>.
/// </summary>
internal static class OpenInferenceApi
{
    private static readonly OpenInferenceJson Written = new(ReadableJson.Of(OpenInferenceJson.Default.Options));

    /// <summary>What the server calls itself.</summary>
    public static ServerMetadata Server { get; } = new(
        "whatsit",
        typeof(OpenInferenceApi).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()!.InformationalVersion.Split('+')[0],
        ["binary_tensor_data", "classification", "statistics"]);

    public static void MapOpenInference(this IEndpointRouteBuilder app)
    {
        var v2 = app.MapGroup("/v2").ExcludeFromDescription();
        v2.MapGet("", () => Json(Server));
        v2.MapGet("/health/live", () => Json(new LiveAnswer(true))).For(Audience.Probes);
        v2.MapGet("/health/ready", Ready).For(Audience.Probes);
        v2.MapPost("/repository/index", Index);
        v2.MapGet("/models", List);
        v2.MapGet("/models/stats", (ModelRequests models) => Json(Statistics(models.Catalog, null)));
        foreach (var model in (string[])["/models/{model}", "/models/{model}/versions/{version}"])
        {
            v2.MapGet(model, DescribeAsync);
            v2.MapGet(model + "/ready", ModelReady).For(Audience.Probes);
            v2.MapGet(model + "/config", ConfigurationAsync);
            v2.MapGet(model + "/stats", StatisticsOf);
            v2.MapPost(model + "/infer", InferAsync).WithMetadata(new AnswersPicturesAttribute()).For(Audience.Clients);
        }
    }

    /// <summary>A failure in the protocol's form.</summary>
    public static ProtocolFailure Fail(Refusal refusal, HttpRequest request) =>
        new(refusal.Status, JsonSerializer.SerializeToUtf8Bytes(new(refusal.Detail), Written.FailureMessage));

    /// <summary>The protocol's sentence for a model that is not there.</summary>
    public static string Unknown(string model, string? version) => version is null
        ? $"Request for unknown model: '{Refusal.Shorten(model)}' is not found"
        : $"Request for unknown model: '{Refusal.Shorten(model)}' version {Refusal.Shorten(version)} is not found";

    /// <summary>What a model takes and gives.</summary>
    /// <exception cref="InferenceException">It is not there, or not ready.</exception>
    public static async Task<ModelMetadata> MetadataAsync(HttpContext context, ModelRequests models, string model, string? version)
    {
        models.Status(model, version, Unknown(model, version));
        using var lease = await models.Catalog.LeaseAsync(model, context.RequestAborted);
        return new(
            model,
            [lease.Model.Manifest.Version],
            "onnx_onnxv1",
            [Tensor(DataTypes.Describe(lease.Model.Manifest.Input))],
            [.. lease.Model.Backend.Outputs.Select(Tensor)]);

        // The batch is free: pictures of one request are computed one by one.
        static TensorMetadata Tensor(TensorSpec spec) => new(spec.Name, TensorTypes.OpenInference(spec.Type), [-1, .. spec.Shape.Skip(1)]);
    }

    /// <summary>As much of Triton's configuration as holds here (model_config.proto of triton-inference-server/common).</summary>
    public static async Task<ModelConfiguration> ConfigurationOfAsync(HttpContext context, ModelRequests models, string model, string? version)
    {
        models.Status(model, version, Unknown(model, version));
        using var lease = await models.Catalog.LeaseAsync(model, context.RequestAborted);
        var manifest = lease.Model.Manifest;
        var input = DataTypes.Describe(manifest.Input);
        return new(
            model,
            "onnxruntime_onnx",
            "onnxruntime",
            models.MaxBatchSize,
            [new(input.Name, Type(input), $"FORMAT_{manifest.Input.Layout.ToString().ToUpperInvariant()}", [.. input.Shape.Skip(1)], null)],
            [.. lease.Model.Backend.Outputs.Select(output => new ConfiguredTensor(
                output.Name, Type(output), null, [.. output.Shape.Skip(1)], output.Name == manifest.Output.Name ? manifest.Labels : null))],
            manifest.Files.GetValueOrDefault(lease.Model.Variant)?.File ?? "");

        static string Type(TensorSpec spec) => $"TYPE_{TensorTypes.OpenInference(spec.Type)}";
    }

    /// <summary>Every model and how it stands.</summary>
    public static IReadOnlyList<IndexEntry> IndexOf(ModelCatalog catalog, bool onlyReady) =>
    [
        .. catalog.Models.Where(model => !onlyReady || model.Answers).Select(model => new IndexEntry(
            model.Name,
            model.Manifest?.Version,
            model.State switch { ModelState.Ready or ModelState.Unloaded => "READY", ModelState.Loading => "LOADING", _ => "UNAVAILABLE" },
            model.Problem ?? "")),
    ];

    /// <summary>
    /// What models have done: https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_statistics.md. Input is decoding and
    /// preprocessing, output what is left of the whole.
    /// </summary>
    /// <exception cref="InferenceException">The model is not there.</exception>
    public static StatisticsAnswer Statistics(ModelCatalog catalog, string? model) => new(
    [
        .. catalog.Models.Where(status => (model is null || status.Name == model) && status.State == ModelState.Ready)
            .Select(status => (status, Lease: catalog.TryLease(status.Name)))
            .Where(found => found.Lease is not null).Select(found =>
        {
            var (status, lease) = (found.status, found.Lease!.Value);
            using var held = lease;
            var totals = lease.Model.Statistics.Totals;
            var time = totals.Time;
            var input = time.Decode + time.Preprocess;
            return new ModelStatistic(
                status.Name,
                lease.Model.Manifest.Version,
                totals.Answered == 0 ? 0 : totals.Last.ToUnixTimeMilliseconds(),
                totals.Answered,
                totals.Answered,
                new(
                    Of(totals.Answered, time.Total),
                    Of(totals.Failed, totals.FailedTime),
                    Of(totals.Answered, time.Queue),
                    Of(totals.Answered, input),
                    Of(totals.Answered, time.Compute),
                    Of(totals.Answered, time.Total - time.Queue - input - time.Compute),
                    new(0, 0),
                    new(0, 0)),
                []);

            static StatisticDuration Of(long count, TimeSpan time) => new(count, (long)time.TotalNanoseconds);
        }),
    ]);

    private static async Task InferAsync(HttpContext context, string model, string? version, [FromServices] ModelRequests models) =>
        await models.AnswerAsync(context, model, version, Unknown(model, version), async leased =>
        {
            using var body = await models.ReadBodyAsync(context);
            var request = InferRequestReader.Read(body.Memory, context.Request.Headers[InferRequestReader.HeaderLength], leased, models.MaxBatchSize);
            var answers = await models.InferAsync(context, request.Batch, [.. request.Outputs.Select(output => output.Name)], request.Within);
            await InferResponse.WriteAsync(context, request, answers, leased);
        });

    private static IResult Ready([FromServices] ModelCatalog catalog, [FromServices] Shutdown shutdown) =>
        AnswerReady(null, HealthApi.ProblemOf(catalog, shutdown) is null);

    private static IResult ModelReady(string model, string? version, [FromServices] ModelRequests models) =>
        AnswerReady(model, models.Status(model, version, Unknown(model, version)).Answers);

    private static IResult AnswerReady(string? name, bool ready) =>
        Json(new ReadyAnswer(name, ready), ready ? StatusCodes.Status200OK : StatusCodes.Status503ServiceUnavailable);

    private static IResult List([FromServices] ModelCatalog catalog) => Json(new ModelNames([.. catalog.Models.Select(model => model.Name)]));

    private static async Task<IResult> DescribeAsync(HttpContext context, string model, string? version, [FromServices] ModelRequests models) =>
        Json(await MetadataAsync(context, models, model, version));

    private static async Task<IResult> Index(HttpContext context, [FromServices] ModelRequests models)
    {
        using var body = await models.ReadBodyAsync(context);
        try
        {
            var asked = body.Memory.IsEmpty ? null : JsonSerializer.Deserialize(body.Memory.Span, Written.IndexRequest);
            return Json(IndexOf(models.Catalog, asked?.Ready == true));
        }
        catch (JsonException exception)
        {
            throw new InferenceException(InferenceError.InvalidRequest, "failed to parse the request JSON buffer", exception);
        }
    }

    private static IResult StatisticsOf(string model, string? version, [FromServices] ModelRequests models)
    {
        models.Status(model, version, Unknown(model, version));
        return Json(Statistics(models.Catalog, model));
    }

    private static async Task<IResult> ConfigurationAsync(HttpContext context, string model, string? version, [FromServices] ModelRequests models) =>
        Json(await ConfigurationOfAsync(context, models, model, version));

    private static IResult Json<T>(T value, int status = StatusCodes.Status200OK) =>
        Results.Json(value, Written, "application/json", status);
}

/// <summary>The server's metadata.</summary>
internal sealed record ServerMetadata(string Name, string Version, IReadOnlyList<string> Extensions);

internal sealed record LiveAnswer(bool Live);

internal sealed record ReadyAnswer(string? Name, bool Ready);

internal sealed record ModelNames(IReadOnlyList<string> Models);

internal sealed record ModelMetadata(
    string Name, IReadOnlyList<string> Versions, string Platform, IReadOnlyList<TensorMetadata> Inputs, IReadOnlyList<TensorMetadata> Outputs);

internal sealed record TensorMetadata(string Name, string Datatype, IReadOnlyList<long> Shape);

internal sealed record IndexRequest(bool? Ready);

internal sealed record IndexEntry(string Name, string? Version, string State, string Reason);

internal sealed record StatisticsAnswer(IReadOnlyList<ModelStatistic> ModelStats);

internal sealed record ModelStatistic(
    string Name,
    string Version,
    long LastInference,
    long InferenceCount,
    long ExecutionCount,
    InferenceStatistics InferenceStats,
    IReadOnlyList<string> BatchStats);

internal sealed record InferenceStatistics(
    StatisticDuration Success,
    StatisticDuration Fail,
    StatisticDuration Queue,
    StatisticDuration ComputeInput,
    StatisticDuration ComputeInfer,
    StatisticDuration ComputeOutput,
    StatisticDuration CacheHit,
    StatisticDuration CacheMiss);

internal sealed record StatisticDuration(long Count, long Ns);

internal sealed record ModelConfiguration(
    string Name,
    string Platform,
    string Backend,
    int MaxBatchSize,
    IReadOnlyList<ConfiguredTensor> Input,
    IReadOnlyList<ConfiguredTensor> Output,
    string DefaultModelFilename);

internal sealed record ConfiguredTensor(string Name, string DataType, string? Format, IReadOnlyList<long> Dims, string? LabelFilename);

internal sealed record FailureMessage(string Error);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(ServerMetadata))]
[JsonSerializable(typeof(LiveAnswer))]
[JsonSerializable(typeof(ReadyAnswer))]
[JsonSerializable(typeof(ModelNames))]
[JsonSerializable(typeof(ModelMetadata))]
[JsonSerializable(typeof(IndexRequest))]
[JsonSerializable(typeof(IReadOnlyList<IndexEntry>))]
[JsonSerializable(typeof(StatisticsAnswer))]
[JsonSerializable(typeof(ModelConfiguration))]
[JsonSerializable(typeof(FailureMessage))]
internal sealed partial class OpenInferenceJson : JsonSerializerContext;
