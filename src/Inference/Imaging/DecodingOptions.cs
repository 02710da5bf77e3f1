using System.ComponentModel.DataAnnotations;

namespace Whatsit.Inference.Imaging;

/// <summary>Limits on the pictures that are decoded. Configuration section <c>Decoding</c>.</summary>
public sealed class DecodingOptions
{
    private static readonly long QuarterOfMemory = GC.GetGCMemoryInfo().TotalAvailableMemoryBytes / 4;

    /// <summary>
    /// What reads and writes pictures: <c>libvips</c>, or <c>imagesharp</c>, which is managed code only. With it no native code stands between a stranger's
    /// bytes and the process, but large pictures take up to twice as long, there is no AVIF, and every colour profile is taken for sRGB. The default is
    /// <c>libvips</c>.
    /// </summary>
    [AllowedValues(ImageDecoders.Libvips, ImageDecoders.ImageSharp, ErrorMessage = "It must be libvips or imagesharp.")]
    public string Library { get; set; } = ImageDecoders.Libvips;

    /// <summary>
    /// The file of another libvips than the one that is shipped: the system's, which may read more (Debian's <c>libvips42</c> reads HEIC, what iPhones write).
    /// A path, or a name that the system's loader finds (<c>libvips.so.42</c>). The default is the shipped one.
    /// </summary>
    public string? LibvipsPath { get; set; }

    /// <summary>
    /// Where libraries decode a stranger's bytes: <c>none</c>, in the server's process, or <c>process</c>, in processes that do nothing else and that the
    /// operating system holds to the memory and the time that a picture's header lets expect; one that ends is replaced. The default is <c>none</c>;
    /// <c>process</c> is meant for servers that everyone may ask, and needs Linux.
    /// </summary>
    [AllowedValues(ImageDecoders.None, ImageDecoders.Process, ErrorMessage = "It must be none or process.")]
    public string Isolation { get; set; } = ImageDecoders.None;

    /// <summary>
    /// Width × height above which a picture is refused before a single pixel is decoded. A small file can ask for gigabytes. Of a JPEG that is decoded smaller,
    /// as photos are for most models, the smaller size counts: phones take up to 200 megapixels. The default is 50 megapixels.
    /// </summary>
    [Range(1, 700_000_000)]
    public long MaxPixels { get; set; } = 50_000_000;

    /// <summary>
    /// Bytes that a progressive JPEG or an interlaced PNG may have kept until its last pass, since no row is finished before: the coefficients, two bytes for
    /// each sample, or the samples. The default is 150 MB (150,000,000): a JPEG of 50 megapixels with its colours at half the size, 25 with them in full.
    /// </summary>
    [Range(1, 4_000_000_000)]
    public long MaxProgressiveBytes { get; set; } = 150_000_000;

    /// <summary>
    /// How many passes a JPEG may take over its pixels. Encoders write about ten; each costs time on the whole picture, however few bytes it has. The default
    /// is 100, as in libtiff, and for pictures of more than 5 megapixels in proportion less, down to 20.
    /// </summary>
    [Range(1, 10_000)]
    public int MaxScans { get; set; } = 100;

    /// <summary>How many frames an animation and how many pages a TIFF may have, although only the first is read. The default is 10,000.</summary>
    [Range(1, 1_000_000)]
    public int MaxFrames { get; set; } = 10_000;

    /// <summary>
    /// Bytes that all decodes together may hold, by an estimate from each picture's header. A picture that alone would need more is refused; others wait for
    /// each other. 0 means a quarter of the memory that the process may use (the container's limit, or what <c>DOTNET_GCHeapHardLimit</c> leaves). The default
    /// is 0.
    /// </summary>
    [Range(0, long.MaxValue)]
    public long MaxMemory { get; set; }

    /// <summary><see cref="MaxMemory"/>, with its default worked out.</summary>
    internal long MemoryBudget => MaxMemory > 0 ? MaxMemory : QuarterOfMemory;

    /// <summary>How many decodes may run at once; 0 means one per processor that the process may use. The default is 0.</summary>
    [Range(0, 1024)]
    public int MaxConcurrency { get; set; }
}
