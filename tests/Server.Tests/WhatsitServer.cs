using System.Net.Http.Json;
using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Mvc.Testing;
using Microsoft.Extensions.Logging;

[assembly: AssemblyFixture(typeof(Whatsit.Server.Tests.WhatsitServer))]
// Of several hosts that one process starts at the same time, now and then one starts without the settings that its test gave it.
[assembly: CollectionBehavior(DisableTestParallelization = true)]

namespace Whatsit.Server.Tests;

/// <summary>The server as it ships, on a real socket of this machine; tests speak HTTP to it and nothing else.</summary>
public sealed class WhatsitServer : WebApplicationFactory<Program>, IAsyncLifetime
{
    private Dictionary<string, string> _settings = [];

    public WhatsitServer() => UseKestrel(0);

    /// <summary>Another server, with settings of its own.</summary>
    public static WhatsitServer With(Dictionary<string, string> settings) => new() { _settings = settings };

    /// <summary>The folder above src and tests.</summary>
    public static string Root { get; } = FindRoot();

    public HttpClient Http { get; private set; } = null!;

    /// <summary>A picture of the bundled model, as its file.</summary>
    public static byte[] Picture => File.ReadAllBytes(Path.Combine(Root, "models/grocery/sample.png"));

    public async ValueTask InitializeAsync()
    {
        StartServer();
        Http = CreateClient();
        // Loaded or failed: some tests want a model that fails.
        await WaitUntilAsync(async () => (await GetJsonAsync("/models")).AsArray() is { Count: > 0 } models && models.All(model => (string)model!["state"]! != "loading"));
    }

    /// <summary>Asks again until the answer is yes; fails after a time that no healthy machine needs.</summary>
    public static async Task WaitUntilAsync(Func<Task<bool>> condition)
    {
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(60));
        while (!await condition())
        {
            await Task.Delay(20, patience.Token);
        }
    }

    public async Task<JsonNode> GetJsonAsync(string path) => (await Http.GetFromJsonAsync<JsonNode>(path, JsonSerializerOptions.Web))!;

    protected override void ConfigureWebHost(IWebHostBuilder builder)
    {
        builder.ConfigureLogging(logging => logging.ClearProviders());
        builder.UseSetting("Catalog:Models", Path.Combine(Root, "models"));
        foreach (var (name, value) in _settings)
        {
            builder.UseSetting(name, value);
        }
    }

    private static string FindRoot()
    {
        var folder = new DirectoryInfo(AppContext.BaseDirectory);
        while (!File.Exists(Path.Combine(folder.FullName, "Server.sln")))
        {
            folder = folder.Parent ?? throw new InvalidOperationException("The tests run inside the repository.");
        }

        return folder.FullName;
    }
}
