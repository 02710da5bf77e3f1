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

    /// <summary>With an environment of its own.</summary>
    public static Task<(int Code, string Output, string Error)> RunWithAsync(IReadOnlyDictionary<string, string> environment, params string[] arguments) =>
        RunProgramAsync(Program, Root, null, environment, arguments);

    public static Task<(int Code, string Output, string Error)> RunProgramAsync(string program, string folder, byte[]? input, params string[] arguments) =>
        RunProgramAsync(program, folder, input, new Dictionary<string, string>(), arguments);

    private static async Task<(int Code, string Output, string Error)> RunProgramAsync(string program, string folder, byte[]? input,
        IReadOnlyDictionary<string, string> environment, string[] arguments)
    {
        using var process = Start(program, folder, input is not null, arguments, environment);
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

    /// <summary>Only started: what it says has to be read.</summary>
    public static Process Begin(params string[] arguments) => Start(Program, Root, false, arguments);

    private static Process Start(string program, string folder, bool hasInput, string[] arguments, IReadOnlyDictionary<string, string>? environment = null)
    {
        var start = new ProcessStartInfo(program, arguments)
        {
            RedirectStandardInput = hasInput,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            WorkingDirectory = folder,
        };
        foreach ((var name, var value) in environment ?? new Dictionary<string, string>())
        {
            start.Environment[name] = value;
        }

        return Process.Start(start)!;
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
