namespace Whatsit.Inference.Imaging;

/// <summary>
/// How a stored picture has to be turned to stand upright: Exif 2.32, tag 0x0112. <c>1</c> is upright, and so is every value outside 1–8.
/// </summary>
internal readonly record struct Orientation(int Value)
{
    /// <summary>Whether the stored pixels are the upright ones.</summary>
    public bool IsUpright => Value is < 2 or > 8;

    private bool SwapsSides => Value is >= 5 and <= 8;

    /// <summary>The upright picture's size.</summary>
    public (int Width, int Height) Apply(int width, int height) => SwapsSides ? (height, width) : (width, height);

    /// <summary>Puts stored rows where they belong in the upright picture.</summary>
    /// <param name="rows">Stored RGB rows.</param>
    /// <param name="top">The first one's number.</param>
    /// <param name="width">The stored picture's width.</param>
    /// <param name="height">The stored picture's height.</param>
    /// <param name="upright">The whole upright picture.</param>
    public void Place(ReadOnlySpan<byte> rows, int top, int width, int height, Span<byte> upright)
    {
        if (IsUpright)
        {
            rows.CopyTo(upright[(top * width * 3)..]);
            return;
        }

        // Where the stored pixel (0, 0) lands, and how far one step along a stored row and one stored row down move.
        (int first, int along, int down) = Value switch
        {
            2 => (width - 1, -1, width),
            3 => ((width * height) - 1, -1, -width),
            4 => (width * (height - 1), 1, -width),
            5 => (0, height, 1),
            6 => (height - 1, height, -1),
            7 => ((width * height) - 1, -height, -1),
            _ => ((width - 1) * height, -height, 1),
        };
        int count = rows.Length / (width * 3);
        first += top * down;
        if (SwapsSides)
        {
            // Stored columns become rows: pixel by pixel down a column writes one run of bytes.
            for (int x = 0; x < width; x++)
            {
                for (int y = 0; y < count; y++)
                {
                    CopyPixel(rows, (y * width) + x, upright, first + (x * along) + (y * down));
                }
            }
        }
        else
        {
            for (int y = 0; y < count; y++)
            {
                for (int x = 0; x < width; x++)
                {
                    CopyPixel(rows, (y * width) + x, upright, first + (x * along) + (y * down));
                }
            }
        }
    }

    private static void CopyPixel(ReadOnlySpan<byte> from, int fromPixel, Span<byte> to, int toPixel)
    {
        ReadOnlySpan<byte> pixel = from.Slice(fromPixel * 3, 3);
        Span<byte> target = to.Slice(toPixel * 3, 3);
        target[2] = pixel[2];
        target[1] = pixel[1];
        target[0] = pixel[0];
    }
}
