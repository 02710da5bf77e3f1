using System.Diagnostics;
using System.Text.Json;
using Whatsit.Tests;

namespace Whatsit.Inference.Tests.Samples;

/// <summary>The sample for programs without HTTP, as its reader runs it.</summary>
public sealed class ClassifySampleTests : IDisposable
{
    // artifacts/bin/Inference.Tests/release/ → artifacts/bin/Classify/release/
    private static readonly string Program = Path.GetFullPath(Path.Combine(AppContext.BaseDirectory, "../../Classify",
        Path.GetFileName(Path.TrimEndingDirectorySeparator(AppContext.BaseDirectory))));
    private static readonly string Root = FindRoot();
    private static readonly string Sample = Path.Combine(Root, "models/grocery/sample.png");

    private readonly string _folder = Directory.CreateTempSubdirectory("sample").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public async Task It_names_what_is_in_a_photo()
    {
        using var manifest =
            JsonDocument.Parse(await File.ReadAllTextAsync(Path.Combine(Root, "models/grocery/model.json"), TestContext.Current.CancellationToken));
        var recorded = manifest.RootElement.GetProperty("sample").GetProperty("predictions")[0].GetProperty("label").GetString();
        var (code, output, error) = await RunAsync(Program, Root, Sample);
        Assert.True(code == 0, error);
        Assert.StartsWith($"sample.png: {recorded} (", output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Without_a_model_one_sentence_says_so()
    {
        Directory.CreateDirectory(Path.Combine(_folder, "models"));
        var (code, _, error) = await RunAsync(Program, _folder, Sample);
        Assert.NotEqual(0, code);
        Assert.Contains($"InferenceException: There is no model in the folder '{Path.Combine(_folder, "models")}'.", error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Without_libvips_one_sentence_says_which_package_has_it()
    {
        Assert.SkipWhen(SystemLibvips.IsThere, "skipped: this system has a libvips of its own, which is taken then");
        // As a program that did not refer to the package: everything managed, nothing native, and nothing that names it.
        foreach (var file in Directory.EnumerateFiles(Program)
            .Where(file => Path.GetExtension(file) == ".dll" || file.EndsWith(".runtimeconfig.json", StringComparison.Ordinal)))
        {
            File.Copy(file, Path.Combine(_folder, Path.GetFileName(file)));
        }

        var (code, _, error) = await RunAsync(_folder, Root, Sample);
        Assert.NotEqual(0, code);
        Assert.Contains("was not found: add the package NetVips.Native.", error, StringComparison.Ordinal);
        Assert.Contains("InferenceException", error, StringComparison.Ordinal);
    }

    private static async Task<(int Code, string Output, string Error)> RunAsync(string program, string folder, string photo)
    {
        using var process = Process.Start(new ProcessStartInfo("dotnet", ["exec", Path.Combine(program, "Classify.dll"), photo])
        {
            WorkingDirectory = folder,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        })!;
        var output = process.StandardOutput.ReadToEndAsync();
        var error = process.StandardError.ReadToEndAsync();
        await process.WaitForExitAsync(TestContext.Current.CancellationToken);
        return (process.ExitCode, await output, await error);
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
