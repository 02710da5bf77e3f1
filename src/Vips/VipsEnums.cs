namespace Whatsit.Vips;

/// <summary>The type of one sample; libvips/include/vips/image.h.</summary>
public enum VipsBandFormat
{
    /// <summary>8-bit unsigned.</summary>
    UChar = 0,

    /// <summary>16-bit unsigned.</summary>
    UShort = 2,
}

/// <summary>What the numbers of a pixel mean; libvips/include/vips/image.h.</summary>
public enum VipsInterpretation
{
    /// <summary>Many bands without a colour meaning.</summary>
    Multiband = 0,

    /// <summary>One grey band.</summary>
    BlackAndWhite = 1,

    /// <summary>Cyan, magenta, yellow, black.</summary>
    Cmyk = 15,

    /// <summary>Red, green, blue of no particular space.</summary>
    Rgb = 17,

    /// <summary>sRGB, 8 bits.</summary>
    Srgb = 22,

    /// <summary>sRGB, 16 bits.</summary>
    Rgb16 = 25,

    /// <summary>Grey, 16 bits.</summary>
    Grey16 = 26,
}

/// <summary>From what on a damaged file is an error; libvips/include/vips/foreign.h.</summary>
public enum VipsFailOn
{
    /// <summary>Never: what is missing becomes grey.</summary>
    None = 0,

    /// <summary>Truncated files.</summary>
    Truncated = 1,

    /// <summary>Serious errors and truncated files.</summary>
    Error = 2,

    /// <summary>Any complaint of the loader, also about files that every viewer shows.</summary>
    Warning = 3,
}
