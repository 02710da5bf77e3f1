using System.IO.Compression;

namespace Whatsit.Inference.Imaging.Headers;

/// <summary>How much there is in a zlib stream. ImageSharp fills up what is missing, and says nothing.</summary>
internal static class Deflated
{
    /// <param name="packed">Disposed of.</param>
    /// <param name="wanted">What comes behind them does not matter.</param>
    /// <returns>Bytes up to the end, or to what cannot be unpacked; not many more than are wanted.</returns>
    public static long Count(Stream packed, long wanted)
    {
        using var unpacked = new ZLibStream(packed, CompressionMode.Decompress);
        var (count, buffer) = (0L, new byte[64 << 10]);
        try
        {
            while (count <= wanted && unpacked.Read(buffer) is > 0 and var more)
            {
                count += more;
            }

            return count;
        }
        catch (InvalidDataException)
        {
            // Also a checksum that is another one: some of them are wrong, and nobody knows which.
            return -1;
        }
    }
}
