using System.ComponentModel.DataAnnotations;
using Microsoft.AspNetCore.Server.Kestrel.Core;

namespace Whatsit.Server.Compatibility.OpenInference.Rpc;

/// <summary>Where gRPC is spoken. Configuration section <c>Grpc</c>.</summary>
public sealed class GrpcOptions
{
    /// <summary>
    /// A port of its own for gRPC, without TLS: in the clear, HTTP/1.1 and HTTP/2 cannot share one. 8001 is Triton's. The default, 0, has none; where the
    /// server speaks TLS, gRPC is answered on the same port as everything else, whatever this says.
    /// </summary>
    [Range(0, 65535)]
    public int Port { get; set; }
}

/// <summary>Kestrel's endpoint for it.</summary>
internal static class GrpcPort
{
    /// <summary>The port; 0 where there is none.</summary>
    /// <exception cref="Microsoft.Extensions.Options.OptionsValidationException">Another endpoint has it.</exception>
    public static int Of(IConfiguration configuration, IEnumerable<string> addresses)
    {
        // What is no number is said with all other settings, before anything listens.
        _ = ushort.TryParse(configuration["Grpc:Port"], out var port);
        return port == 0 || addresses.All(address => BindingAddress.Parse(address).Port != port)
            ? port
            : throw Settings.Wrong($"The setting Grpc:Port is '{port}', and that is where something else answers; name another port.");
    }

    /// <summary>Kestrel's section for it.</summary>
    public static IEnumerable<KeyValuePair<string, string?>> Endpoint(int port) => port == 0 ? [] :
    [
        new("Kestrel:Endpoints:Grpc:Url", $"http://*:{port}"),
        new("Kestrel:Endpoints:Grpc:Protocols", nameof(HttpProtocols.Http2)),
    ];

    /// <summary>
    /// Whether any endpoint may speak HTTP/2: that port, TLS, or what somebody has configured by hand. Where none does, nothing of gRPC is loaded.
    /// </summary>
    public static bool IsReachable(IConfiguration configuration) =>
        (configuration["urls"] ?? "").Contains("https://", StringComparison.OrdinalIgnoreCase)
        || configuration.GetSection("Kestrel:Endpoints").GetChildren().Any()
        || configuration["Kestrel:EndpointDefaults:Protocols"] is not null;
}
