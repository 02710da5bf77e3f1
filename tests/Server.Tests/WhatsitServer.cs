using System.Diagnostics;
using System.Net.Http.Json;
using System.Text.Json;
using System.Text.Json.Nodes;

[assembly: AssemblyFixture(typeof(Whatsit.Server.Tests.WhatsitServer))]

namespace Whatsit.Server.Tests;

/// <summary>The server as it ships: a process of its own, on a real socket of this machine. Tests speak HTTP to it and nothing else.</summary>
public sealed class WhatsitServer : IAsyncLifetime
{
    // artifacts/bin/Server.Tests/release/ → artifacts/bin/Server/release/
    private static readonly string Program =
        Path.GetFullPath(Path.Combine(AppContext.BaseDirectory, "../../Server", Path.GetFileName(Path.TrimEndingDirectorySeparator(AppContext.BaseDirectory)), "Whatsit.Server.dll"));

    private const string Listening = "Now listening on: ";

    private Dictionary<string, string> _settings = [];
    private int? _descriptors;
    private Process? _process;

    /// <summary>Another server, with settings of its own.</summary>
    /// <param name="settings">Settings.</param>
    /// <param name="descriptors">The most descriptors that the process may open.</param>
    public static WhatsitServer With(Dictionary<string, string> settings, int? descriptors = null) =>
        new() { _settings = settings, _descriptors = descriptors };

    /// <summary>The folder above src and tests.</summary>
    public static string Root { get; } = FindRoot();

    public HttpClient Http { get; } = new();

    /// <summary>A picture of the bundled model, as its file.</summary>
    public static byte[] Picture => File.ReadAllBytes(Path.Combine(Root, "models/grocery/sample.png"));

    /// <summary>Starts the program, on a free port unless the settings name one.</summary>
    public static Process Start(IReadOnlyDictionary<string, string> settings, int? descriptors = null)
    {
        var all = new Dictionary<string, string>(settings);
        all.TryAdd("Catalog:Models", Path.Combine(Root, "models"));
        if (!all.ContainsKey("PORT"))
        {
            all.TryAdd("urls", "http://127.0.0.1:0");
        }

        string[] command = ["dotnet", "exec", Program, .. all.Select(setting => $"--{setting.Key}={setting.Value}")];
        if (descriptors is not null)
        {
            command = ["sh", "-c", $"ulimit -n {descriptors}; exec \"$@\"", "sh", .. command];
        }

        return Process.Start(new ProcessStartInfo(command[0], command[1..]) { RedirectStandardOutput = true, RedirectStandardError = true })!;
    }

    /// <summary>Starts it, and waits until it listens.</summary>
    public async Task StartAsync()
    {
        _process = Start(_settings, _descriptors);
        Http.BaseAddress = await AddressAsync(_process);
    }

    /// <summary>Starts it, and waits until its models are loaded.</summary>
    public async ValueTask InitializeAsync()
    {
        await StartAsync();
        // Loaded or failed: some tests want a model that fails.
        await WaitUntilAsync(async () => (await GetJsonAsync("/models")).AsArray() is { Count: > 0 } models && models.All(model => (string)model!["state"]! != "loading"));
    }

    public async ValueTask DisposeAsync()
    {
        Http.Dispose();
        if (_process is not null)
        {
            _process.Kill();
            await _process.WaitForExitAsync();
            _process.Dispose();
        }
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

    /// <summary>Where the server says that it listens. What it says later is read too, for a full pipe would stop it.</summary>
    private static async Task<Uri> AddressAsync(Process server)
    {
        var output = server.StandardOutput;
        while (await output.ReadLineAsync() is { } line)
        {
            if (line.IndexOf(Listening, StringComparison.Ordinal) is >= 0 and var at)
            {
                _ = output.BaseStream.CopyToAsync(Stream.Null);
                server.BeginErrorReadLine();
                return new Uri(line[(at + Listening.Length)..]);
            }
        }

        throw new InvalidOperationException($"The server did not start. {await server.StandardError.ReadToEndAsync()}");
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
