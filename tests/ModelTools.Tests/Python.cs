using System.Diagnostics;
using System.Runtime.InteropServices;

namespace Whatsit.ModelTools.Tests;

/// <summary>Python where it is installed, for what only its libraries can answer.</summary>
internal static class Python
{
    /// <summary>Runs a script of tests/data; the test is skipped where Python or a module is absent.</summary>
    public static async Task RunAsync(string modules, string script, params string[] arguments)
    {
        var python = RuntimeInformation.IsOSPlatform(OSPlatform.Windows) ? null
            : new[] { "/usr/bin/python3", "/usr/local/bin/python3" }.FirstOrDefault(File.Exists);
        Assert.SkipWhen(python is null || (await StartAsync(python, ["-c", $"import {modules}"])).Code != 0,
            $"skipped: python3 with {modules.Replace(", ", " and ", StringComparison.Ordinal)} is not here (apt install python3-torch, python3-h5py)");
        (var code, var output) = await StartAsync(python!, [script, .. arguments]);
        Assert.True(code == 0, output);
    }

    private static async Task<(int Code, string Output)> StartAsync(string program, string[] arguments)
    {
        using var process = Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardError = true, RedirectStandardOutput = true })!;
        var output = await Task.WhenAll(process.StandardOutput.ReadToEndAsync(), process.StandardError.ReadToEndAsync());
        await process.WaitForExitAsync();
        return (process.ExitCode, string.Concat(output));
    }
}
