using System.Text;
using Whatsit.Vips;

namespace Whatsit.Inference.Tests.Vips;

/// <summary>The library has one buffer of error messages for the whole process: what these tests read there must not be another's.</summary>
[CollectionDefinition(nameof(VipsLibraryTests), DisableParallelization = true)]
[Collection(nameof(VipsLibraryTests))]
public sealed class VipsLibraryTests
{
    [Fact]
    public void The_shipped_library_is_found_whatever_its_version()
    {
        Assert.True(VipsLibrary.Version >= new Version(8, 13), VipsLibrary.Version.ToString());
        Assert.NotEmpty(Directory.GetFiles(AppContext.BaseDirectory, "libvips*", SearchOption.AllDirectories));
    }

    /// <summary>All of these are in the library that we ship; a file that they would read is there, too.</summary>
    [Theory]
    [InlineData("svgload_buffer", "<svg xmlns='http://www.w3.org/2000/svg' width='8' height='8'/>")]
    [InlineData("uhdrload_buffer", "\u00ff\u00d8\u00ff")]
    [InlineData("svgload", "<svg xmlns='http://www.w3.org/2000/svg' width='8' height='8'/>")]
    [InlineData("rawload", "1234")]
    [InlineData("csvload", "1,2\n3,4\n")]
    [InlineData("matrixload", "2 1\n1 2\n")]
    [InlineData("vipsload", "1234")]
    public void Loaders_that_nobody_needs_are_blocked(string loader, string content)
    {
        var file = Path.GetTempFileName();
        try
        {
            File.WriteAllText(file, content, Encoding.Latin1);
            using var load = new VipsOperation(loader);
            _ = loader.EndsWith("_buffer", StringComparison.Ordinal) ? load.Set("buffer", File.ReadAllBytes(file)) : load.Set("filename", file);
            Assert.Contains($"{loader}: operation is blocked", Assert.Throws<VipsException>(() => load.Build()).Message, StringComparison.Ordinal);
        }
        finally
        {
            File.Delete(file);
        }
    }

    [Fact]
    public void Reading_stops_after_the_strip_in_which_nobody_waits_any_longer()
    {
        using var nobody = new CancellationTokenSource();
        using var image = VipsImage.FromRgb(new byte[64 * 640 * 3], 64, 640);
        var strips = 0;

        Assert.ThrowsAny<OperationCanceledException>(() => image.ReadStrips(
            new byte[64 * VipsImage.RowsPerStrip * 3],
            (_, _) =>
            {
                strips++;
                nobody.Cancel();
            },
            nobody.Token));
        Assert.Equal(1, strips);
    }

    [Fact]
    public void A_failure_carries_the_librarys_reason_once()
    {
        var first = Assert.Throws<VipsException>(() => new VipsOperation("no_such_operation"));
        Assert.Contains("no_such_operation", first.Message, StringComparison.Ordinal);

        using var load = new VipsOperation("pngload_buffer");
        var second = Assert.Throws<VipsException>(() => load.Set("buffer", new byte[] { 1, 2, 3 }).Build());
        Assert.DoesNotContain("no_such_operation", second.Message, StringComparison.Ordinal);
    }
}
