using System.Diagnostics;
using System.Diagnostics.CodeAnalysis;
using System.Net.Http.Json;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;

[assembly: AssemblyFixture(typeof(Whatsit.Server.Tests.WhatsitServer))]

namespace Whatsit.Server.Tests;

/// <summary>The server as it ships: a process of its own, on a real socket of this machine. Tests speak HTTP to it and nothing else.</summary>
public sealed class WhatsitServer : IAsyncLifetime
{
    // artifacts/bin/Server.Tests/release/ → artifacts/bin/Server/release/
    public static string Program { get; } =
        Path.GetFullPath(Path.Combine(AppContext.BaseDirectory, "../../Server", Path.GetFileName(Path.TrimEndingDirectorySeparator(AppContext.BaseDirectory)),
            "Whatsit.Server.dll"));

    private readonly List<string> _log = [];
    private Dictionary<string, string> _settings = [];
    private string? _shell;
    private TaskCompletionSource _logGrows = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private Process? _process;

    /// <summary>Another server, with settings of its own.</summary>
    /// <param name="settings">Settings.</param>
    /// <param name="shell">What a shell runs first, in the process that becomes the server's: <c>ulimit -n 400</c>.</param>
    public static WhatsitServer With(Dictionary<string, string> settings, string? shell = null) => new() { _settings = settings, _shell = shell };

    /// <summary>The folder above src and tests.</summary>
    public static string Root { get; } = FindRoot();

    public HttpClient Http { get; } = new();

    /// <summary>The server's process.</summary>
    public Process Process => _process ?? throw new InvalidOperationException("The server was not started.");

    /// <summary>A picture of the bundled model, as its file.</summary>
    public static byte[] Picture => File.ReadAllBytes(Path.Combine(Root, "models/grocery/sample.png"));

    /// <summary>Starts the program, on a free port unless the settings name one.</summary>
    public static Process Start(IReadOnlyDictionary<string, string> settings, string? shell = null, string? program = null)
    {
        var all = new Dictionary<string, string>(settings);
        all.TryAdd("Catalog:Models", Path.Combine(Root, "models"));
        if (!all.ContainsKey("PORT"))
        {
            all.TryAdd("urls", "http://127.0.0.1:0");
        }

        string[] command = ["dotnet", "exec", program ?? Program, .. all.Select(setting => $"--{setting.Key}={setting.Value}")];
        if (shell is not null)
        {
            command = ["sh", "-ec", $"{shell}; exec \"$@\"", "sh", .. command];
        }

        var start = new ProcessStartInfo(command[0], command[1..]) { RedirectStandardOutput = true, RedirectStandardError = true };
        // However slow the machine is: what is asked in tests is what comes, not when. Settings of a test's own are arguments, which count more.
        start.Environment["Scheduling__TimeoutSeconds"] = "600";
        return Process.Start(start)!;
    }

    /// <summary>All that a server printed before it gave up, which it must.</summary>
    public static async Task<string> RefusalAsync(Process server)
    {
        using (server)
        {
            try
            {
                var output = server.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken);
                var error = await server.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken);
                await server.WaitForExitAsync(TestContext.Current.CancellationToken);
                Assert.Equal(1, server.ExitCode);
                return (await output + error).Trim();
            }
            finally
            {
                server.Kill();
            }
        }
    }

    /// <summary>Starts it, and waits until it listens.</summary>
    public async Task StartAsync()
    {
        _process = Start(_settings, _shell);
        _ = ReadLogAsync(_process);
        Http.BaseAddress = new Uri((await LoggedAsync("Now listening on: (.+)")).Groups[1].Value);
    }

    /// <summary>Starts it, and waits until its models are loaded.</summary>
    public async ValueTask InitializeAsync()
    {
        await StartAsync();
        // Those that fail are counted, too: some tests want a model that does.
        await LoggedAsync(@"\d+ of [1-9]\d* models serve");
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

    /// <summary>Asks again until the answer is yes, where the server says nothing of it; fails after a time that no healthy machine needs.</summary>
    public static async Task WaitUntilAsync(Func<Task<bool>> condition)
    {
        using var patience = new CancellationTokenSource(TimeSpan.FromMinutes(5));
        while (!await condition())
        {
            await Task.Delay(20, patience.Token);
        }
    }

    /// <summary>What the server has said so far.</summary>
    public IReadOnlyList<string> Log
    {
        get
        {
            lock (_log)
            {
                return [.. _log];
            }
        }
    }

    /// <summary>Waits until the server has said something that matches; what it said before counts.</summary>
    public async Task<Match> LoggedAsync([StringSyntax(StringSyntaxAttribute.Regex)] string pattern)
    {
        for (var read = 0; ;)
        {
            Task grows;
            lock (_log)
            {
                for (; read < _log.Count; read++)
                {
                    if (Regex.Match(_log[read], pattern) is { Success: true } match)
                    {
                        return match;
                    }
                }

                grows = _logGrows.Task;
            }

            // Nobody needs this long; a test that waits for what never comes ends all the same.
            await grows.WaitAsync(TimeSpan.FromMinutes(3), TestContext.Current.CancellationToken);
        }
    }

    public async Task<JsonNode> GetJsonAsync(string path) => (await Http.GetFromJsonAsync<JsonNode>(path, JsonSerializerOptions.Web))!;

    private async Task ReadLogAsync(Process server)
    {
        server.BeginErrorReadLine();
        while (await server.StandardOutput.ReadLineAsync() is { } line)
        {
            lock (_log)
            {
                _log.Add(line);
                _logGrows.SetResult();
                _logGrows = new(TaskCreationOptions.RunContinuationsAsynchronously);
            }
        }

        lock (_log)
        {
            _logGrows.SetException(new InvalidOperationException($"The server has ended. It said: {string.Join(Environment.NewLine, _log)}"));
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
