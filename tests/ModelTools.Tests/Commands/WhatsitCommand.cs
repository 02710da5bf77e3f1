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
        var start = new ProcessStartInfo(program, arguments)
        {
            RedirectStandardInput = input is not null,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            WorkingDirectory = folder,
        };
        using var process = Process.Start(start)!;
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
