using System.ComponentModel.DataAnnotations;
using Whatsit.Inference;

namespace Whatsit.Server;

/// <summary>What a client may send, and how slowly. Configuration section <c>Limits</c>.</summary>
public sealed class LimitsOptions
{
    // What 32 photos of today's phones have together.
    private const long Enough = 256L * 1024 * 1024;

    /// <summary>Form fields beside the pictures of one request, and headers of one part. Browsers send three headers.</summary>
    internal const int MaxFields = 32, MaxPartHeaders = 16;

    /// <summary>Bytes of one line in front of a part: a header with a long file name.</summary>
    internal const int MaxPartLineBytes = 8 * 1024;

    /// <summary>
    /// Bytes of one picture's file. A phone's 12-megapixel JPEG has 4 MB, one of 200 megapixels up to 40; the default is 64 MB (67,108,864).
    /// </summary>
    [Range(1024, 1_000_000_000)]
    public int MaxImageBytes { get; set; } = 64 * 1024 * 1024;

    /// <summary>Pictures in one multipart request. They are answered one after the other. The default is 32.</summary>
    [Range(1, 10_000)]
    public int MaxImagesPerRequest { get; set; } = 32;

    /// <summary>
    /// Bytes of one request's body, on every route, sent and decompressed. The default is what the other limits allow (as many pictures as one request may
    /// have, each as base64 text, and the fields beside them), but 256 MB (268,435,456) or one picture as base64 text at most, whichever is more.
    /// </summary>
    [Range(1024, 1_000_000_000_000)]
    public long? MaxRequestBytes { get; set; }

    /// <summary>
    /// Bytes of all uploads that are in memory at once. Over it, requests are refused and may be retried; it keeps a burst of large pictures from
    /// taking the machine's memory. The default is 128 MB (134,217,728).
    /// </summary>
    [Range(1024, 100_000_000_000)]
    public long MaxUploadBytesInMemory { get; set; } = 128L * 1024 * 1024;

    /// <summary>
    /// Bytes of these that one client (an API key, or an address where addresses mean something) may hold. The default is half of them, but one picture as
    /// base64 text at least.
    /// </summary>
    [Range(1024, 100_000_000_000)]
    public long? MaxUploadBytesPerClient { get; set; }

    /// <summary>Seconds that an upload may pause. The default is 10.</summary>
    [Range(0.1, 3600)]
    public double UploadPauseSeconds { get; set; } = 10;

    /// <summary>
    /// Bytes per second that an upload must reach while the server waits for it, measured anew every <see cref="UploadPauseSeconds"/>. The default is 1,000;
    /// a phone at the edge of its network sends more.
    /// </summary>
    [Range(0, 1_000_000_000)]
    public int MinUploadBytesPerSecond { get; set; } = 1000;

    /// <summary>
    /// Connections at once; more are answered 503 and closed. The default is what the process may open, without what the server itself needs
    /// (<c>ulimit -n</c>), at most 10,000.
    /// </summary>
    [Range(1, 1_000_000)]
    public int? MaxConnections { get; set; }

    /// <summary>Bytes of a picture as base64 text with some room around it.</summary>
    internal int MaxTextBytes => (int)Math.Min(int.MaxValue - 64, (MaxImageBytes * 4L / 3) + MaxPartLineBytes);

    internal long RequestBytes => MaxRequestBytes
        ?? Math.Min((long)MaxImagesPerRequest * MaxTextBytes, Math.Max(Enough, MaxTextBytes)) + (MaxFields * MaxPartLineBytes);

    internal long UploadBytesPerClient => MaxUploadBytesPerClient ?? Math.Max(MaxUploadBytesInMemory / 2, MaxTextBytes);

    /// <summary>A number of bytes as sentences have it.</summary>
    internal static string Bytes(long bytes) => Counted.Of(bytes, "byte");
}
