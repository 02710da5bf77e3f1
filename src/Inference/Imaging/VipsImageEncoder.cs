using Whatsit.Vips;

namespace Whatsit.Inference.Imaging;

/// <summary>Writes pictures with libvips: libjpeg-turbo and libspng underneath.</summary>
public sealed class VipsImageEncoder : IImageEncoder
{
    /// <inheritdoc/>
    public byte[] ToJpeg(ReadOnlyMemory<byte> rgb, int width, int height, int quality)
    {
        // VIPS_FOREIGN_SUBSAMPLE_ON; left to itself the library keeps colours whole from quality 90 on.
        const int SubsampleOn = 1;
        using var image = VipsImage.FromRgb(rgb, width, height);
        using var save = new VipsOperation("jpegsave_buffer");
        return save.Set("in", image).Set("Q", quality).Set("subsample-mode", SubsampleOn).BuildFile();
    }

    /// <inheritdoc/>
    public byte[] ToPng(ReadOnlyMemory<byte> rgb, int width, int height, int compression = 9)
    {
        // VIPS_FOREIGN_PNG_FILTER_ALL: the filter is chosen for each row.
        const int AllFilters = 0xF8;
        using var image = VipsImage.FromRgb(rgb, width, height);
        using var save = new VipsOperation("pngsave_buffer");
        return save.Set("in", image).Set("compression", compression).Set("filter", AllFilters).BuildFile();
    }
}
