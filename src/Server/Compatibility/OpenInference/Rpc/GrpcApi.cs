using Grpc.AspNetCore.Server;
using Grpc.Core;
using Whatsit.Server.Access;

namespace Whatsit.Server.Compatibility.OpenInference.Rpc;

/// <summary>gRPC: the inference service, gRPC's own health protocol, and reflection for tools that have no .proto.</summary>
internal static class GrpcApi
{
    public static void AddGrpcProtocols(this WebApplicationBuilder builder)
    {
        if (!GrpcPort.IsReachable(builder.Configuration))
        {
            return;
        }

        AddGrpc(builder.Services);
    }

    /// <summary>Behind routing and keys.</summary>
    public static void UseGrpcProtocols(this WebApplication app)
    {
        if (!GrpcPort.IsReachable(app.Configuration))
        {
            return;
        }

        var (requests, limits) = (app.Services.GetRequiredService<ModelRequests>(), app.Services.GetRequiredService<LimitsOptions>());
        app.Use((context, next) => MethodOf(context.GetEndpoint()) is { ServiceName: InferenceService.Name } method
            ? ReceivedMessage.AnswerAsync(context, requests, limits, IsInference(method), next)
            : next(context));
    }

    public static void MapGrpcProtocols(this WebApplication app)
    {
        if (GrpcPort.IsReachable(app.Configuration))
        {
            MapGrpc(app);
        }
    }

    // Methods of their own: their packages are loaded when these are compiled.
    private static void AddGrpc(IServiceCollection services)
    {
        services.AddSingleton<GrpcFailures>();
        services.AddSingleton<GrpcHealth>();
        services.AddGrpc(grpc => grpc.MaxReceiveMessageSize = LimitsOptions.MaxPartLineBytes)
            .AddServiceOptions<InferenceService>(service =>
            {
                // What comes here is bounded by ReceivedMessage.
                service.MaxReceiveMessageSize = null;
                service.Interceptors.Add<GrpcFailures>();
            });
        services.AddGrpcReflection();
    }

    private static void MapGrpc(WebApplication app)
    {
        app.MapGrpcService<InferenceService>().ExcludeFromDescription().Add(endpoint =>
        {
            if (endpoint.Metadata.OfType<GrpcMethodMetadata>().FirstOrDefault()?.Method is { } method)
            {
                endpoint.Metadata.Add(Audiences.MarkOf(IsInference(method) ? Audience.Clients
                    : method.Name is "ServerLive" or "ServerReady" or "ModelReady" ? Audience.Probes : Audience.Everyone));
            }
        });
        app.MapGrpcService<GrpcHealth>().ExcludeFromDescription().For(Audience.Probes);
        app.MapGrpcReflectionService().ExcludeFromDescription();
    }

    private static IMethod? MethodOf(Endpoint? endpoint) => endpoint?.Metadata.GetMetadata<GrpcMethodMetadata>()?.Method;

    private static bool IsInference(IMethod method) => method.Name == "ModelInfer";
}
