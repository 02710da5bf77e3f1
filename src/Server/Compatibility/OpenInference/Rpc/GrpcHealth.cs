using Grpc.Core;
using Grpc.Health.V1;
using Whatsit.Inference.Catalog;
using Whatsit.Server.Health;
using Whatsit.Server.Management;
using ServingStatus = Grpc.Health.V1.HealthCheckResponse.Types.ServingStatus;

namespace Whatsit.Server.Compatibility.OpenInference.Rpc;

/// <summary>
/// gRPC's own health protocol (https://github.com/grpc/grpc/blob/master/doc/health-checking.md), of the server and of the one service it has: what
/// <c>GET /health/ready</c> says.
/// </summary>
internal sealed class GrpcHealth(ModelCatalog catalog, Shutdown shutdown, IHostApplicationLifetime lifetime, TimeProvider time)
    : Grpc.Health.V1.Health.HealthBase
{
    private static readonly TimeSpan Pause = TimeSpan.FromSeconds(1);

    /// <inheritdoc/>
    public override Task<HealthCheckResponse> Check(HealthCheckRequest request, ServerCallContext context) => IsKnown(request)
        ? Task.FromResult(new HealthCheckResponse { Status = Now })
        : throw new RpcException(new(StatusCode.NotFound, $"There is no service '{Refusal.Shorten(request.Service)}' here."));

    /// <inheritdoc/>
    public override async Task Watch(HealthCheckRequest request, IServerStreamWriter<HealthCheckResponse> responseStream, ServerCallContext context)
    {
        using var ends = CancellationTokenSource.CreateLinkedTokenSource(context.CancellationToken, lifetime.ApplicationStopping);
        ServingStatus? said = null;
        while (true)
        {
            var status = IsKnown(request) ? Now : ServingStatus.ServiceUnknown;
            if (status != said)
            {
                await responseStream.WriteAsync(new() { Status = status }, context.CancellationToken);
                said = status;
            }

            if (lifetime.ApplicationStopping.IsCancellationRequested)
            {
                return;
            }

            await Task.Delay(Pause, time, ends.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            context.CancellationToken.ThrowIfCancellationRequested();
        }
    }

    private ServingStatus Now => HealthApi.ProblemOf(catalog, shutdown) is null ? ServingStatus.Serving : ServingStatus.NotServing;

    private static bool IsKnown(HealthCheckRequest request) => request.Service is "" or InferenceService.Name;
}
