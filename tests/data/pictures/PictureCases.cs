using System.Diagnostics;
using System.Security.Cryptography;
using System.Text.Json;

namespace Whatsit.Tests;

/// <summary>A picture of make.py, and what is expected of it.</summary>
/// <param name="Name">Its file.</param>
/// <param name="Kind">What it is a case of.</param>
/// <param name="Status">The status that the server answers.</param>
/// <param name="Code">The refusal's code.</param>
/// <param name="Sentence">What its sentence contains.</param>
/// <param name="Warning">The code of the one warning, where it is answered with one.</param>
/// <param name="Pixels">The file with the pixels that an independent decoder gives, as PPM.</param>
/// <param name="OnAverage">How far a sample may be from them on average.</param>
/// <param name="AtMost">And at most.</param>
/// <param name="Squares">How many pixels of the picture, in a row, each of them stands for.</param>
/// <param name="ImageSharp">What is different under that decoder.</param>
internal sealed record PictureCase(string Name, string Kind, int Status, string? Code, string? Sentence, string? Warning, string? Pixels, double OnAverage,
    int AtMost, int Squares, PictureOutcome? ImageSharp)
{
    /// <summary>What is expected under the decoder that is managed code only.</summary>
    public PictureCase UnderImageSharp => ImageSharp is not { } other
        ? this
        : this with { Status = other.Status, Code = other.Code, Sentence = other.Sentence, Warning = other.Warning };
}

/// <summary>What differs under another decoder.</summary>
internal sealed record PictureOutcome(int Status, string? Code, string? Sentence, string? Warning);

/// <summary>The pictures of make.py, written once for as long as its sources stay what they are.</summary>
internal static class PictureCases
{
    private static readonly Lazy<string> Written = new(Write);

    public static string Folder => Written.Value;

    /// <summary>All of them. Skips the test where there is no Python.</summary>
    public static IReadOnlyList<PictureCase> All()
    {
        Assert.SkipWhen(FindPython() is null, "The pictures are written by python3, which is not on the PATH.");
        return JsonSerializer.Deserialize<List<PictureCase>>(File.ReadAllText(Path.Combine(Folder, "cases.json")), JsonSerializerOptions.Web)!;
    }

    public static byte[] Read(string name) => File.ReadAllBytes(Path.Combine(Folder, name));

    private static string? FindPython() => (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator)
        .Select(folder => Path.Combine(folder, OperatingSystem.IsWindows() ? "python3.exe" : "python3")).FirstOrDefault(File.Exists);

    private static string Write()
    {
        var root = AppContext.BaseDirectory;
        while (!File.Exists(Path.Combine(root, "Server.sln")))
        {
            root = Path.GetDirectoryName(root)!;
        }

        var sources = Path.Combine(root, "tests/data/pictures");
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (var source in Directory.GetFiles(sources, "*", SearchOption.AllDirectories).Where(file => !file.EndsWith(".pyc", StringComparison.Ordinal))
            .Order(StringComparer.Ordinal))
        {
            hash.AppendData(File.ReadAllBytes(source));
        }

        var folder = Path.Combine(root, "artifacts/pictures", Convert.ToHexStringLower(hash.GetHashAndReset())[..16]);
        if (Directory.Exists(folder))
        {
            return folder;
        }

        // Under another name until all are there: two test programs may begin at once.
        var half = Directory.CreateDirectory($"{folder}-{Environment.ProcessId}").FullName;
        using var python = Process.Start(new ProcessStartInfo(FindPython()!, ["-B", Path.Combine(sources, "make.py"), half]) { RedirectStandardError = true })!;
        var problem = python.StandardError.ReadToEnd();
        python.WaitForExit();
        Assert.True(python.ExitCode == 0, problem);
        try
        {
            Directory.Move(half, folder);
        }
        catch (IOException) when (Directory.Exists(folder))
        {
            Directory.Delete(half, recursive: true);
        }

        return folder;
    }
}
