using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

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
        (var first, var along, var down) = Value switch
        {
            2 => (width - 1, -1, width),
            3 => ((width * height) - 1, -1, -width),
            4 => (width * (height - 1), 1, -width),
            5 => (0, height, 1),
            6 => (height - 1, height, -1),
            7 => ((width * height) - 1, -height, -1),
            _ => ((width - 1) * height, -height, 1),
        };
        var count = rows.Length / (width * 3);
        first += top * down;
        // Pixels are taken in the order in which they lie side by side in the upright picture: down a stored column where the sides are swapped.
        (var outer, var inner) = SwapsSides ? (width, count) : (count, width);
        (var outerFrom, var innerFrom) = SwapsSides ? (3, width * 3) : (width * 3, 3);
        (var outerTo, var innerTo) = SwapsSides ? (along * 3, down * 3) : (down * 3, along * 3);
        // The corners are checked once, here, instead of each pixel.
        _ = rows[(count * width * 3) - 1];
        _ = upright[(width * height * 3) - 1];
        ref byte source = ref MemoryMarshal.GetReference(rows), target = ref Unsafe.Add(ref MemoryMarshal.GetReference(upright), first * 3);
        for (var i = 0; i < outer; i++)
        {
            ref byte from = ref Unsafe.Add(ref source, i * outerFrom), to = ref Unsafe.Add(ref target, i * outerTo);
            for (var j = 0; j < inner; j++)
            {
                Unsafe.WriteUnaligned(ref to, Unsafe.ReadUnaligned<ushort>(ref from));
                Unsafe.Add(ref to, 2) = Unsafe.Add(ref from, 2);
                from = ref Unsafe.Add(ref from, innerFrom);
                to = ref Unsafe.Add(ref to, innerTo);
            }
        }
    }
}
