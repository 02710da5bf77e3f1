using System.Net;
using System.Net.Sockets;

namespace Whatsit.Server.Tests;

/// <summary>What is wrong with the settings stops a process of its own, in a sentence.</summary>
public sealed class SettingsTests
{
    [Theory(Timeout = 600_000)]
    [InlineData("Scheduling:MaxQueueLength", "0", "The setting Scheduling:MaxQueueLength is '0'. The field MaxQueueLength must be between 1 and 10000.")]
    [InlineData("Scheduling:MaxQueueLength", "many", "Failed to convert configuration value 'many' at 'Scheduling:MaxQueueLength' to type 'System.Int32'.")]
    [InlineData("Limits:MaxImageBites", "1",
        "There is no setting Limits:MaxImageBites; Limits has MaxImageBytes, MaxImagesPerRequest, MaxRequestBytes, MaxUploadBytesInMemory, " +
            "MaxUploadBytesPerClient, UploadPauseSeconds, MinUploadBytesPerSecond, MaxConnections.")]
    [InlineData("Scheduling:Instances", "2", "There is no setting Scheduling:Instances any more; it is Scheduling:Concurrency.")]
    [InlineData("Catalog:Variant", "int3", "The setting Catalog:Variant is 'int3'. It must be auto, fp32, fp16 or int8.")]
    [InlineData("Decoding:Library", "skia", "The setting Decoding:Library is 'skia'. It must be libvips or imagesharp.")]
    [InlineData("Log:Format", "xml", "The setting Log:Format is 'xml'. It must be text or json.")]
    [InlineData("Log:Query", "perhaps", "Failed to convert configuration value 'perhaps' at 'Log:Query' to type 'System.Boolean'.")]
    [InlineData("Log:Colour", "red", "There is no setting Log:Colour; Log has Format, Query, Labels.")]
    [InlineData("Serilog:MinimumLevel:Default", "Loud", "The section Serilog of the settings is wrong: The value Loud is not a valid Serilog level.")]
    [InlineData("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4317", "OTEL_EXPORTER_OTLP_ENDPOINT is 'collector:4317'; it must be an absolute http or https URL.")]
    [InlineData("OnnxRuntime:ExecutionProviders:0", "dml",
        "The setting OnnxRuntime:ExecutionProviders is 'dml'. This build of ONNX Runtime has no 'dml'; it has cpu. OnnxRuntime:Fallback=true goes on " +
        "without it.")]
    [InlineData("OnnxRuntime:ExecutionProviders:0", "gpu",
        "The setting OnnxRuntime:ExecutionProviders is 'gpu'. There is no execution provider 'gpu'; the names are cpu, cuda, tensorrt, dml, coreml, openvino.")]
    [InlineData("OnnxRuntime:ExecutionProviders", "cpu, gpu",
        "The setting OnnxRuntime:ExecutionProviders is 'cpu, gpu'. There is no execution provider 'gpu'; the names are cpu, cuda, tensorrt, dml, coreml, " +
        "openvino.")]
    [InlineData("Catalog:Load", "lazy", "The setting Catalog:Load is 'lazy'. It must be start or on-demand.")]
    [InlineData("Catalog:MaxMemory", "-1", "The setting Catalog:MaxMemory is '-1'. It must be a number of bytes, or 0.")]
    [InlineData("Catalog:MaxMemory", "2GB", "Failed to convert configuration value '2GB' at 'Catalog:MaxMemory' to type 'System.Int64'.")]
    [InlineData("Catalog:Sources", "https://models.example/a.zip",
        "The setting Catalog:Sources is 'https://models.example/a.zip'. It must be a list: Catalog:Sources:0 is its first entry.")]
    [InlineData("Catalog:Sources:0:Name", "a/b",
        "The setting Catalog:Sources:0:Name is 'a/b'; a model's name has letters, digits, '-', '_' and '.', at most 64.")]
    [InlineData("Catalog:Sources:0:Name", "a", "The setting Catalog:Sources:0:Url is '', which is no address such as https://models.example/a.zip.")]
    [InlineData("Catalog:Sources:0:AllowHttp", "perhaps",
        "Failed to convert configuration value 'perhaps' at 'Catalog:Sources:0:AllowHttp' to type 'System.Boolean'.")]
    [InlineData("Access:Keys:0:RequestsPerMinute", "many",
        "Failed to convert configuration value 'many' at 'Access:Keys:0:RequestsPerMinute' to type 'System.Int32'.")]
    [InlineData("Teaching:Enabled", "perhaps", "Failed to convert configuration value 'perhaps' at 'Teaching:Enabled' to type 'System.Boolean'.")]
    [InlineData("Teaching:Enabled", "true",
        "The setting Teaching:Enabled is 'True'. There is no key in Management:KeySha256 that the page could ask for.")]
    [InlineData("Tfjs:ShardSize", "-1", "The setting Tfjs:ShardSize is '-1'. The field ShardSize must be between 0 and 2147483647.")]
    [InlineData("Tfjs:ShardSize", "small", "Failed to convert configuration value 'small' at 'Tfjs:ShardSize' to type 'System.Int32'.")]
    [InlineData("Remote:Hosts:0", "http://10.0.0.1:8080",
        "The setting Remote:Hosts is 'http://10.0.0.1:8080'. 'http://10.0.0.1:8080' is none of host, host:port and *.")]
    [InlineData("Remote:Hosts", "10.0.0.1, 10.0.0.2/v2",
        "The setting Remote:Hosts is '10.0.0.1, 10.0.0.2/v2'. '10.0.0.2/v2' is none of host, host:port and *.")]
    [InlineData("Management:Port", "70000", "The setting Management:Port is '70000'. The field Port must be between 0 and 65535.")]
    [InlineData("Shutdown:Delay", "9", "The setting Shutdown:Delay is '9'. It must not be more than Shutdown:Seconds, which is 8 and includes it.")]
    [InlineData("Shutdown:Seconds", "soon", "Failed to convert configuration value 'soon' at 'Shutdown:Seconds' to type 'System.Double'.")]
    [InlineData("PORT", "http", "PORT is 'http'; it must be a number from 0 to 65535.")]
    [InlineData("PORT", "70000", "PORT is '70000'; it must be a number from 0 to 65535.")]
    [InlineData("urls", "http://192.0.2.1:8080",
        // RFC 5737: nobody has it
        "The server cannot listen at http://192.0.2.1:8080: Cannot assign requested address. Set PORT to another port; those below 1024 need rights of " +
            "their own.")]
    [InlineData("urls", "nowhere", "Invalid url: 'nowhere'")]
    public async Task A_wrong_setting_is_named_with_its_value(string setting, string value, string sentence) =>
        Assert.Equal(sentence, await RefusalAsync(setting, value));

    [Fact(Timeout = 600_000)]
    public async Task An_address_that_another_process_has_is_said()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        var address = $"http://{listener.LocalEndpoint}";
        Assert.Equal($"Failed to bind to address {address}: address already in use. Set PORT to another port, or end the process that has this one.",
            await RefusalAsync("urls", address));
    }

    [Fact(Timeout = 600_000)]
    public async Task A_port_that_another_process_has_is_named()
    {
        using var listener = new TcpListener(IPAddress.IPv6Any, 0) { Server = { DualMode = true } };
        listener.Start();
        var port = ((IPEndPoint)listener.LocalEndpoint).Port;
        Assert.Contains($":{port}: address already in use. Set PORT", await RefusalAsync("PORT", $"{port}"), StringComparison.Ordinal);
    }

    [Fact(Timeout = 600_000)]
    public async Task Empty_addresses_are_none()
    {
        await using var server = WhatsitServer.With(new() { ["urls"] = "", ["PORT"] = "0" });
        await server.StartAsync();
        Assert.NotEqual(0, server.Http.BaseAddress!.Port);
    }

    private static Task<string> RefusalAsync(string setting, string value) =>
        WhatsitServer.RefusalAsync(WhatsitServer.Start(new Dictionary<string, string> { [setting] = value }));
}
