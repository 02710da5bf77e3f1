using System.Diagnostics;

namespace Whatsit.ModelTools.Tests.Commands;

/// <summary>The command line as people run it: a process of its own.</summary>
internal static class WhatsitCommand
{
    /// <summary>The folder above src and tests.</summary>
    public static string Root { get; } = FindRoot();

    public static Task<(int Code, string Output, string Error)> RunAsync(params string[] arguments) => RunInAsync(Root, arguments);

    public static Task<(int Code, string Output, string Error)> RunInAsync(string folder, params string[] arguments) =>
        RunProgramAsync(Program, folder, null, arguments);

    public static Task<(int Code, string Output, string Error)> RunWithInputAsync(byte[] input, params string[] arguments) =>
        RunProgramAsync(Program, Root, input, arguments);

    public static async Task<(int Code, string Output, string Error)> RunProgramAsync(string program, string folder, byte[]? input, params string[] arguments)
    {
        using var process = Start(program, folder, input is not null, arguments);
        var output = process.StandardOutput.ReadToEndAsync();
        var error = process.StandardError.ReadToEndAsync();
        if (input is not null)
        {
            await process.StandardInput.BaseStream.WriteAsync(input, TestContext.Current.CancellationToken);
            process.StandardInput.Close();
        }

        await process.WaitForExitAsync(TestContext.Current.CancellationToken);
        return (process.ExitCode, await output, await error);
    }

    /// <summary>The same, told to end as soon as it has said something on standard error.</summary>
    public static async Task<(int Code, string Error)> RunAndEndAsync(params string[] arguments)
    {
        using var process = Start(Program, Root, false, arguments);
        var output = process.StandardOutput.ReadToEndAsync();
        var first = await process.StandardError.ReadLineAsync(TestContext.Current.CancellationToken);
        using var kill = Process.Start("kill", [$"{process.Id}"]);
        var rest = await process.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken);
        await process.WaitForExitAsync(TestContext.Current.CancellationToken);
        await output;
        return (process.ExitCode, $"{first}\n{rest}");
    }

    private static Process Start(string program, string folder, bool hasInput, string[] arguments) => Process.Start(new ProcessStartInfo(program, arguments)
    {
        RedirectStandardInput = hasInput,
        RedirectStandardOutput = true,
        RedirectStandardError = true,
        WorkingDirectory = folder,
    })!;

    private static string Program { get; } = Path.Combine(AppContext.BaseDirectory, OperatingSystem.IsWindows() ? "whatsit.exe" : "whatsit");

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
