using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using Whatsit.Tests;

namespace Whatsit.Server.Tests;

/// <summary>What can go wrong around the server, and what comes of it. What can happen to a model's files is in <c>Inference.Tests/Catalog</c>.</summary>
public sealed class FaultsTests
{
    [Theory(Timeout = 600_000)]
    [InlineData(64)]
    [InlineData(383)]
    public async Task Too_few_descriptors_stop_the_start_and_are_said(int limit)
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "skipped: sets the limit with sh");
        Assert.Equal(
            $"The process may open {limit} files and connections (ulimit -n); the server needs 384 at least.",
            await WhatsitServer.RefusalAsync(WhatsitServer.Start(new Dictionary<string, string>(), $"ulimit -n {limit}")));
    }

    [Fact(Timeout = 600_000)]
    public async Task As_few_descriptors_as_are_allowed_are_enough()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "skipped: sets the limit with sh");
        await using var server = WhatsitServer.With([], "ulimit -n 384");
        await server.InitializeAsync();
        await Task.WhenAll(Enumerable.Range(0, 40).Select(_ => PredictAsync(server.Http)));
    }

    [Fact(Timeout = 600_000)]
    public async Task Without_libvips_the_start_stops_and_names_it()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "skipped: the library is called otherwise");
        Assert.SkipWhen(SystemLibvips.IsThere, "skipped: this system has a libvips of its own, which is taken then");
        using var copy = new ServerWithout("libvips.so.42");
        var refusal = await WhatsitServer.RefusalAsync(WhatsitServer.Start(new Dictionary<string, string>(), program: copy.Program));
        Assert.Contains("libvips", refusal, StringComparison.Ordinal);
        Assert.DoesNotContain("   at ", refusal, StringComparison.Ordinal);
    }

    [Fact(Timeout = 600_000)]
    public async Task Without_ONNX_Runtime_the_server_is_not_ready_and_says_why()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "skipped: the library is called otherwise");
        using var copy = new ServerWithout("libonnxruntime.so");
        var (process, http) = await UnheardAsync("exec >/dev/null", copy.Program, HttpStatusCode.ServiceUnavailable);
        using (process)
        using (http)
        {
            await WhatsitServer.WaitUntilAsync(async () =>
                (await http.GetStringAsync("/models")).Contains("ONNX Runtime's library is missing", StringComparison.Ordinal));
            Assert.Equal(HttpStatusCode.ServiceUnavailable, (await http.GetAsync("/health/ready")).StatusCode);
            process.Kill();
        }
    }

    [Fact(Timeout = 600_000)]
    public async Task A_disk_that_is_full_takes_log_lines_and_nothing_else()
    {
        Assert.SkipUnless(File.Exists("/dev/full"), "skipped: there is no /dev/full");
        var (process, http) = await UnheardAsync("exec >/dev/full");
        using (process)
        using (http)
        {
            await PredictAsync(http);
            await PredictAsync(http);
            process.Kill();
        }
    }

    [Fact(Timeout = 600_000)]
    public async Task A_root_that_is_read_only_is_enough()
    {
        // A view of the file system of its own, nothing of which can be written.
        const string ReadOnly = "mount --make-rprivate / && mount -o remount,ro,bind / && ! touch /tmp/writable 2>/dev/null";
        using var possible = Process.Start(new ProcessStartInfo("sh", ["-c", $"unshare --mount sh -ec '{ReadOnly}' 2>/dev/null"]))!;
        await possible.WaitForExitAsync(TestContext.Current.CancellationToken);
        Assert.SkipUnless(possible.ExitCode == 0, "skipped: makes a read-only view of the file system, which takes root");

        // The shell becomes unshare, which becomes another shell, which becomes the server.
        var (process, http) = await UnheardAsync($"set -- unshare --mount sh -ec '{ReadOnly}; exec \"$@\"' sh \"$@\"");
        using (process)
        using (http)
        {
            await PredictAsync(http);
            process.Kill();
        }
    }

    [Fact(Timeout = 600_000)]
    public async Task Pictures_that_need_more_memory_than_there_is_are_refused_and_small_ones_answered()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "skipped: sets the limit with sh");
        // man 2 getrlimit, RLIMIT_DATA: unlike addresses, what .NET only reserves does not count. In kilobytes.
        await using var server = WhatsitServer.With(new() { ["Decoding:MaxMemory"] = "96000000" }, "ulimit -d 600000; export DOTNET_GCHeapHardLimit=0x8000000");
        await server.InitializeAsync();
        var large = Pictures.Png(6000, 8000);
        var statuses = await Task.WhenAll(Enumerable.Range(0, 12).Select(async number =>
        {
            using var content = new ByteArrayContent(number % 2 == 0 ? large : Pictures.Png(3000, 4000));
            return (await server.Http.PostAsync("/predict", content)).StatusCode;
        }));
        Assert.All(statuses.Where((_, number) => number % 2 == 0), status => Assert.Equal(HttpStatusCode.RequestEntityTooLarge, status));
        Assert.All(statuses.Where((_, number) => number % 2 == 1), status => Assert.Equal(HttpStatusCode.OK, status));
        await PredictAsync(server.Http);
    }

    private static async Task PredictAsync(HttpClient http)
    {
        using var content = HttpAssert.Raw(WhatsitServer.Picture);
        await HttpAssert.OkAsync(await http.PostAsync("/predict", content, TestContext.Current.CancellationToken));
    }

    /// <summary>A server whose log nobody reads, when its readiness is as told.</summary>
    private static async Task<(Process Process, HttpClient Http)> UnheardAsync(
        string shell, string? program = null, HttpStatusCode ready = HttpStatusCode.OK)
    {
        using var free = new TcpListener(IPAddress.Loopback, 0);
        free.Start();
        var address = $"http://{free.LocalEndpoint}";
        free.Stop();
        var process = WhatsitServer.Start(new Dictionary<string, string> { ["urls"] = address }, shell, program);
        var http = new HttpClient { BaseAddress = new(address) };
        await WhatsitServer.WaitUntilAsync(async () =>
        {
            Assert.False(process.HasExited);
            try
            {
                return (await http.GetAsync("/health/ready")).StatusCode == ready;
            }
            catch (HttpRequestException)
            {
                // It does not listen yet.
                return false;
            }
        });
        return (process, http);
    }

    /// <summary>A copy of the server's program that lacks a file.</summary>
    private sealed class ServerWithout : IDisposable
    {
        private readonly DirectoryInfo _copy = Directory.CreateTempSubdirectory("without-");

        public ServerWithout(string file)
        {
            var folder = Path.GetDirectoryName(WhatsitServer.Program)!;
            foreach (var path in Directory.EnumerateFiles(folder, "*", SearchOption.AllDirectories).Where(path => Path.GetFileName(path) != file))
            {
                var target = Path.Combine(_copy.FullName, Path.GetRelativePath(folder, path));
                Directory.CreateDirectory(Path.GetDirectoryName(target)!);
                File.Copy(path, target);
            }
        }

        public string Program => Path.Combine(_copy.FullName, Path.GetFileName(WhatsitServer.Program));

        public void Dispose() => _copy.Delete(recursive: true);
    }
}
