using Grpc.Core;
using Whatsit.Inference.Backends.Wire;
using Whatsit.Inference.Catalog;
using Whatsit.Server.Health;
using Whatsit.Server.Management;
using Whatsit.Server.Predictions;
using Whatsit.Server.Telemetry;
using Wire = Whatsit.Inference.Backends.Wire;

namespace Whatsit.Server.Compatibility.OpenInference.Rpc;

/// <summary>The Open Inference Protocol v2 over gRPC. What it answers is what <see cref="OpenInferenceApi"/> answers; only the form is another.</summary>
internal sealed class InferenceService(ModelRequests models, Shutdown shutdown) : GRPCInferenceService.GRPCInferenceServiceBase
{
    /// <summary>The service's name.</summary>
    public const string Name = "inference.GRPCInferenceService";

    /// <inheritdoc/>
    public override Task<ServerLiveResponse> ServerLive(ServerLiveRequest request, ServerCallContext context) =>
        Task.FromResult(new ServerLiveResponse { Live = true });

    /// <inheritdoc/>
    public override Task<ServerReadyResponse> ServerReady(ServerReadyRequest request, ServerCallContext context) =>
        Task.FromResult(new ServerReadyResponse { Ready = HealthApi.ProblemOf(models.Catalog, shutdown) is null });

    /// <inheritdoc/>
    public override Task<ModelReadyResponse> ModelReady(ModelReadyRequest request, ServerCallContext context) =>
        Task.FromResult(new ModelReadyResponse { Ready = StatusOf(request.Name, request.Version).Answers });

    /// <inheritdoc/>
    public override Task<ServerMetadataResponse> ServerMetadata(ServerMetadataRequest request, ServerCallContext context)
    {
        var server = OpenInferenceApi.Server;
        return Task.FromResult(new ServerMetadataResponse { Name = server.Name, Version = server.Version, Extensions = { server.Extensions } });
    }

    /// <inheritdoc/>
    public override async Task<ModelMetadataResponse> ModelMetadata(ModelMetadataRequest request, ServerCallContext context)
    {
        var metadata = await OpenInferenceApi.MetadataAsync(context.GetHttpContext(), models, request.Name, Given(request.Version));
        return new ModelMetadataResponse
        {
            Name = metadata.Name,
            Versions = { metadata.Versions },
            Platform = metadata.Platform,
            Inputs = { metadata.Inputs.Select(Tensor) },
            Outputs = { metadata.Outputs.Select(Tensor) },
        };

        static ModelMetadataResponse.Types.TensorMetadata Tensor(TensorMetadata tensor) =>
            new() { Name = tensor.Name, Datatype = tensor.Datatype, Shape = { tensor.Shape } };
    }

    /// <inheritdoc/>
    public override async Task<ModelConfigResponse> ModelConfig(ModelConfigRequest request, ServerCallContext context)
    {
        var configuration = await OpenInferenceApi.ConfigurationOfAsync(context.GetHttpContext(), models, request.Name, Given(request.Version));
        return new ModelConfigResponse
        {
            Config = new()
            {
                Name = configuration.Name,
                Platform = configuration.Platform,
                Backend = configuration.Backend,
                MaxBatchSize = configuration.MaxBatchSize,
            },
        };
    }

    /// <inheritdoc/>
    [AnswersPictures]
    public override async Task<ModelInferResponse> ModelInfer(ModelInferRequest request, ServerCallContext context)
    {
        var http = context.GetHttpContext();
        var version = Given(request.ModelVersion);
        var (lease, refusal) = await models.LeaseAsync(http, request.ModelName, version, OpenInferenceApi.Unknown(request.ModelName, version));
        using var leased = lease;
        if (refusal is not null)
        {
            throw refusal;
        }

        var asked = InferMessages.Read(request, http.Features.Get<RawContents>(), lease.Model, models.MaxBatchSize);
        var answers = await models.InferAsync(http, asked.Batch, [.. asked.Outputs.Select(output => output.Name)], WithinOf(asked, context));
        if (answers is [var answer])
        {
            http.Response.AddServerTiming(TimingResponse.From(answer.Timings));
        }

        return InferMessages.Write(asked, answers, lease.Model);
    }

    /// <inheritdoc/>
    public override Task<RepositoryIndexResponse> RepositoryIndex(RepositoryIndexRequest request, ServerCallContext context) =>
        Task.FromResult(new RepositoryIndexResponse
        {
            Models =
            {
                OpenInferenceApi.IndexOf(models.Catalog, request.Ready).Select(entry => new RepositoryIndexResponse.Types.ModelIndex
                {
                    Name = entry.Name,
                    Version = entry.Version ?? "",
                    State = entry.State,
                    Reason = entry.Reason,
                }),
            },
        });

    /// <inheritdoc/>
    public override Task<ModelStatisticsResponse> ModelStatistics(ModelStatisticsRequest request, ServerCallContext context)
    {
        var name = Given(request.Name);
        if (name is not null)
        {
            StatusOf(name, request.Version);
        }

        return Task.FromResult(new ModelStatisticsResponse
        {
            ModelStats =
            {
                OpenInferenceApi.Statistics(models.Catalog, name).ModelStats.Select(model => new Wire.ModelStatistics
                {
                    Name = model.Name,
                    Version = model.Version,
                    LastInference = (ulong)model.LastInference,
                    InferenceCount = (ulong)model.InferenceCount,
                    ExecutionCount = (ulong)model.ExecutionCount,
                    InferenceStats = new()
                    {
                        Success = Duration(model.InferenceStats.Success),
                        Fail = Duration(model.InferenceStats.Fail),
                        Queue = Duration(model.InferenceStats.Queue),
                        ComputeInput = Duration(model.InferenceStats.ComputeInput),
                        ComputeInfer = Duration(model.InferenceStats.ComputeInfer),
                        ComputeOutput = Duration(model.InferenceStats.ComputeOutput),
                        CacheHit = Duration(model.InferenceStats.CacheHit),
                        CacheMiss = Duration(model.InferenceStats.CacheMiss),
                    },
                }),
            },
        });

        static Wire.StatisticDuration Duration(OpenInference.StatisticDuration duration) => new() { Count = (ulong)duration.Count, Ns = (ulong)duration.Ns };
    }

    private ModelStatus StatusOf(string name, string version) => models.Status(name, Given(version), OpenInferenceApi.Unknown(name, Given(version)));

    /// <summary>The shorter of what the message and the call say.</summary>
    private static TimeSpan? WithinOf(InferRequest asked, ServerCallContext context)
    {
        if (context.Deadline == DateTime.MaxValue)
        {
            return asked.Within;
        }

        var left = context.Deadline - DateTime.UtcNow;
        return asked.Within < left ? asked.Within : left > TimeSpan.Zero ? left : TimeSpan.Zero;
    }

    private static string? Given(string text) => text.Length == 0 ? null : text;
}
