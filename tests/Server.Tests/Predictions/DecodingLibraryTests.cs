namespace Whatsit.Server.Tests.Predictions;

/// <summary>The server with each of its two decoders.</summary>
public sealed class DecodingLibraryTests
{
    [Theory(Timeout = 600_000)]
    [InlineData("libvips")]
    [InlineData("imagesharp")]
    public async Task The_server_answers_with_either_library_and_loads_no_other(string library)
    {
        await using var server = WhatsitServer.With(new() { ["Decoding:Library"] = library });
        await server.InitializeAsync();
        foreach (var (file, width) in ((string, int)[])[("twins/rgb.png", 192), ("twins/rgb.jpg", 192), ("twins/rgb.webp", 192), ("images/animated.webp", 144),
            ("images/orientation-6.jpg", 72)])
        {
            using var content =
                HttpAssert.Raw(await File.ReadAllBytesAsync(Path.Combine(WhatsitServer.Root, "tests/data", file), TestContext.Current.CancellationToken));
            var answer = await HttpAssert.OkAsync(await server.Http.PostAsync("/predict", content, TestContext.Current.CancellationToken));

            Assert.Equal(width, (int)answer["image"]!["width"]!);
            Assert.Null(answer["warnings"]);
        }

        // With ImageSharp no native code stands between a stranger's bytes and the process: nothing of libvips is mapped into it.
        if (OperatingSystem.IsLinux())
        {
            var mapped = await File.ReadAllTextAsync($"/proc/{server.Process.Id}/maps", TestContext.Current.CancellationToken);
            Assert.Equal(library == "libvips", mapped.Contains("libvips", StringComparison.Ordinal));
            Assert.Contains("libonnxruntime", mapped, StringComparison.Ordinal);
        }
    }
}
