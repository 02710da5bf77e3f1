namespace Whatsit.Inference.Imaging.Jpeg;

/// <summary>What is wrong with a JPEG file: all that libjpeg-turbo warns of, and what it passes over while much of the file is left.</summary>
internal enum JpegDamageKind
{
    /// <summary>Nothing.</summary>
    None,

    /// <summary>A marker or the end of the file came before all blocks.</summary>
    PrematureEnd,

    /// <summary>Bits that are no Huffman code of the table.</summary>
    BadCode,

    /// <summary>A coefficient beyond the last of its block.</summary>
    CoefficientOutOfRange,

    /// <summary>A mean that no samples of 8 bits have.</summary>
    MeanOutOfRange,

    /// <summary>Another marker where a restart marker is due.</summary>
    MissingRestart,

    /// <summary>Bytes that belong to nothing, before a marker.</summary>
    ExtraneousData,

    /// <summary>Coded data that no block needs: blocks before them were lost.</summary>
    DataLeft,

    /// <summary>The file ends before a scan of each component.</summary>
    MissingScan,

    /// <summary>A segment between two scans that cannot be read.</summary>
    BadSegment,

    /// <summary>No end marker.</summary>
    MissingEnd,

    /// <summary>
    /// A header that only guessing can read, as every viewer does: an unknown JFIF version or Adobe transform, or a scan that is not called sequential.
    /// </summary>
    OddHeader,
}

/// <summary>Where a JPEG file begins to be damaged.</summary>
/// <param name="Row">
/// The first row, of the picture as it is stored and in full size, that may be wrong: the rows above it are right. The picture's height where
/// no row is wrong.
/// </param>
/// <param name="Kind">What was found there.</param>
internal readonly record struct JpegDamage(int Row, JpegDamageKind Kind);
