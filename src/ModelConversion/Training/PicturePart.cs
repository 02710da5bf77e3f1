using Whatsit.Inference.Imaging;

namespace Whatsit.ModelConversion.Training;

/// <summary>Cuts parts out of pictures to learn from.</summary>
public static class PicturePart
{
    /// <summary>A part of a picture at a place by chance, and every other time its mirror image.</summary>
    /// <param name="image">The picture; its pixels are only read.</param>
    /// <param name="width">The part's pixels per row.</param>
    /// <param name="height">Its rows.</param>
    /// <param name="random">Decides.</param>
    public static RgbImage Cut(RgbImage image, int width, int height, Random random)
    {
        var (left, top) = (random.Next(image.Width - width + 1), random.Next(image.Height - height + 1));
        var mirrored = random.Next(2) == 1;
        var part = new RgbImage(width, height) { OriginalWidth = width, OriginalHeight = height, Format = image.Format };
        for (var row = 0; row < height; row++)
        {
            var from = image.Pixels.Slice((((top + row) * image.Width) + left) * 3, width * 3);
            var to = part.Pixels.Slice(row * width * 3, width * 3);
            if (!mirrored)
            {
                from.CopyTo(to);
                continue;
            }

            for (var column = 0; column < width; column++)
            {
                from.Slice(column * 3, 3).CopyTo(to[((width - 1 - column) * 3)..]);
            }
        }

        return part;
    }
}
