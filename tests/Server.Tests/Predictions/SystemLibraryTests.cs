using System.Diagnostics;
using Whatsit.Tests;

namespace Whatsit.Server.Tests.Predictions;

/// <summary>The system's libvips in place of the shipped one: Debian's reads HEIC (packages libvips42 and, to make one, libheif-examples).</summary>
public sealed class SystemLibraryTests
{
    [Fact(Timeout = 600_000)]
    public async Task Heic_is_read_with_the_systems_library_and_the_start_says_so()
    {
        Assert.SkipUnless(SystemLibvips.IsThere, $"The system has no {SystemLibvips.Name}.");
        await using var server = WhatsitServer.With(new() { ["Decoding:LibvipsPath"] = SystemLibvips.Name });
        await server.InitializeAsync();
        var reads = await server.LoggedAsync("Pictures: libvips .*(?= reads)(.*)");
        Assert.SkipWhen(reads.Value.Contains("no HEIC", StringComparison.Ordinal), "The system's libvips has no decoder for HEIC.");
        Assert.Contains("AVIF and HEIC", reads.Value, StringComparison.Ordinal);

        using var photo = HttpAssert.Raw(Encode());
        var answer = await HttpAssert.OkAsync(await server.Http.PostAsync("/predict", photo, TestContext.Current.CancellationToken));
        Assert.Equal(("heic", 128, 128), ((string)answer["image"]!["format"]!, (int)answer["image"]!["width"]!, (int)answer["image"]!["height"]!));
        Assert.Equal("Granny Smith apple", (string)answer["predictions"]![0]!["label"]!);
        foreach (var file in (string[])["picture.jpg", "progressive.jpg", "cmyk.jpg", "picture.png", "picture.webp", "picture.gif", "picture.tif",
            "picture.avif", "orientation-6.webp"])
        {
            using var picture = HttpAssert.Raw(await File.ReadAllBytesAsync(Path.Combine(WhatsitServer.Root, "tests/data/images", file),
                TestContext.Current.CancellationToken));
            await HttpAssert.OkAsync(await server.Http.PostAsync("/predict", picture, TestContext.Current.CancellationToken));
        }
    }

    [Theory(Timeout = 600_000)]
    [InlineData("/nowhere/libvips.so.42")]
    [InlineData("libc.so.6")]
    public async Task Another_file_stops_the_start_by_name(string path)
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "The names are those of Linux.");
        var problem = await WhatsitServer.RefusalAsync(WhatsitServer.Start(new Dictionary<string, string> { ["Decoding:LibvipsPath"] = path }));
        Assert.StartsWith($"The setting Decoding:LibvipsPath is '{path}'. {path} is no libvips of version 8.13 or later", problem, StringComparison.Ordinal);
        Assert.DoesNotContain("   at ", problem, StringComparison.Ordinal);
    }

    /// <summary>As an iPhone's photo would be: made by heif-enc where it is, else the one that it made for the repository.</summary>
    private static byte[] Encode()
    {
        var made = Path.Combine(WhatsitServer.Root, "tests/data/pictures/encoded/scene.heic");
        var encoder = (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator).Select(folder => Path.Combine(folder, "heif-enc"))
            .FirstOrDefault(File.Exists);
        if (encoder is null)
        {
            return File.ReadAllBytes(made);
        }

        var folder = Directory.CreateTempSubdirectory().FullName;
        try
        {
            PictureCases.All();
            made = Path.Combine(folder, "photo.heic");
            using var process = Process.Start(new ProcessStartInfo(encoder, ["-q", "85", Path.Combine(PictureCases.Folder, "plain.png"), "-o", made])
            {
                RedirectStandardOutput = true,
            })!;
            process.StandardOutput.ReadToEnd();
            process.WaitForExit();
            return File.ReadAllBytes(made);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }
}
