using System.ComponentModel.DataAnnotations;

namespace Whatsit.Server;

/// <summary>What a client may send. Configuration section <c>Limits</c>.</summary>
public sealed class LimitsOptions
{
    /// <summary>Bytes of one picture's file. A phone's 12-megapixel JPEG has 4 MB; the default is 20 MB (20,971,520).</summary>
    [Range(1024, 1_000_000_000)]
    public int MaxImageBytes { get; set; } = 20 * 1024 * 1024;

    /// <summary>Pictures in one multipart request. They are answered one after the other. The default is 32.</summary>
    [Range(1, 10_000)]
    public int MaxImagesPerRequest { get; set; } = 32;

    /// <summary>
    /// Bytes of all uploads that are in memory at once. Over it, requests are refused and may be retried; it keeps a burst of large pictures from
    /// taking the machine's memory. The default is 128 MB (134,217,728).
    /// </summary>
    [Range(1024, 100_000_000_000)]
    public long MaxUploadBytesInMemory { get; set; } = 128L * 1024 * 1024;
}
