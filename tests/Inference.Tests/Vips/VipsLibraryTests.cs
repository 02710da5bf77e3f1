using Whatsit.Vips;

namespace Whatsit.Inference.Tests.Vips;

public sealed class VipsLibraryTests
{
    [Fact]
    public void The_shipped_library_is_found_whatever_its_version()
    {
        Assert.True(VipsLibrary.Version >= new Version(8, 13), VipsLibrary.Version.ToString());
        Assert.NotEmpty(Directory.GetFiles(AppContext.BaseDirectory, "libvips*", SearchOption.AllDirectories));
    }

    [Theory]
    [InlineData("svgload_buffer", "<svg xmlns='http://www.w3.org/2000/svg' width='8' height='8'/>")]
    [InlineData("ppmload_buffer", "P3 1 1 255 0 0 0")]
    [InlineData("radload_buffer", "#?RADIANCE\n")]
    public void Loaders_that_nobody_needs_are_blocked(string loader, string content)
    {
        Assert.ThrowsAny<VipsException>(() =>
        {
            using var load = new VipsOperation(loader);
            load.Set("buffer", System.Text.Encoding.ASCII.GetBytes(content)).Build().Dispose();
        });
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
