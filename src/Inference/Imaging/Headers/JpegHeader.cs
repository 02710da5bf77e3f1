using System.Buffers;
using System.Buffers.Binary;
using Whatsit.Inference.Imaging.Jpeg;

namespace Whatsit.Inference.Imaging.Headers;

/// <summary>JPEG, ITU-T T.81, B.1.1: segments with their length, and coded data in which FF is followed by 00 or a restart marker.</summary>
internal static class JpegHeader
{
    private const string Instead = "save it as an ordinary JPEG with 8 bits per channel, or as PNG";

    // What says no more than "sRGB" has 3 KB; a file may have any number of segments, and what they add up to is the library's to bear.
    private const int LargestSrgbProfile = 64 << 10;

    // The library keeps each of them. 320 of the largest fill an upload, and a hundred scans bring a few tables each.
    private const int MostSegments = 2000;

    public static ImageHeader Read(ReadOnlySpan<byte> file)
    {
        ImageHeader? header = null;
        int? orientation = null;
        var (scans, segments) = (0, 0);
        var (tables, wanted) = (0, 0);
        JpegPasses? passes = null;
        var profile = new ArrayBufferWriter<byte>();
        for (var at = 2; NextMarker(file, at) is >= 0 and var marker; at = marker + 2)
        {
            var code = file[marker + 1];
            if (code == 0xD9)
            {
                return Finish(complete: true);
            }

            if (code is 0xD8 or 0x01)
            {
                continue;
            }

            if (marker + 4 > file.Length)
            {
                break;
            }

            var length = BinaryPrimitives.ReadUInt16BigEndian(file[(marker + 2)..]);
            if (length < 2 || marker + 2 + length > file.Length)
            {
                break;
            }

            if (++segments > MostSegments)
            {
                throw ImageHeader.Unsupported("jpeg", $"has more than {MostSegments} segments", Instead);
            }

            var body = file.Slice(marker + 4, length - 2);
            switch (code)
            {
                // Start of frame: every C0 to CF but the tables DHT, JPG and DAC. A second one belongs to a file that nobody writes.
                case >= 0xC0 and <= 0xCF and not (0xC4 or 0xC8 or 0xCC) when header is null:
                    header = ReadFrame(code, body);
                    passes = code == 0xC2 ? new JpegPasses(body) : null;
                    for (var component = 0; component < header.Bands; component++)
                    {
                        wanted |= 1 << (body[8 + (component * 3)] & 15);
                    }

                    break;
                // B.2.4.1: each table has 64 numbers, of one byte or two.
                case 0xDB:
                    for (var rest = body; rest.Length > 64; rest = rest[Math.Min(rest[0] < 16 ? 65 : 129, rest.Length)..])
                    {
                        tables |= 1 << (rest[0] & 15);
                    }

                    break;
                // The first: where Exif is too long for one segment, the others go on with its data.
                case 0xE1 when orientation is null && body.StartsWith("Exif\0\0"u8):
                    orientation = Exif.Orientation(body[6..]) ?? 1;
                    break;
                // ICC.1:2022, B.4: a profile may take several segments, each with its number and their count.
                case 0xE2 when body.StartsWith("ICC_PROFILE\0"u8) && body.Length > 14 && profile.WrittenCount <= LargestSrgbProfile:
                    profile.Write(body[14..]);
                    break;
                case 0xDA when header is not null && body.Length > 0:
                    scans++;
                    passes?.Add(body);
                    // Components that come one after the other wait for each other in memory, as the scans of a progressive picture do.
                    if (!header.Interlaced && body[0] < header.Bands)
                    {
                        header = header with { Interlaced = true };
                    }

                    // One scan is the rule, and where it ends costs time to find: only what has several is walked to its end.
                    if (!header.Interlaced && EndsWithMarker(file))
                    {
                        return Finish(complete: true);
                    }

                    break;
            }

            marker += length;
        }

        return Finish(complete: false);

        // Without a table each decoder makes up one of its own.
        ImageHeader Finish(bool complete) => scans == 0 || header is null || (wanted & ~tables) != 0
            ? throw ImageHeader.Damaged("jpeg")
            : passes is { LacksMeans: true }
            ? throw ReducedJpeg.TooFew(header, row: 0)
            : header with
            {
                LacksPasses = passes is { AreComplete: false },
                Orientation = new(orientation ?? 1),
                Scans = scans,
                IsComplete = complete,
                IsSrgb = profile.WrittenCount == 0 || (profile.WrittenCount <= LargestSrgbProfile && IccProfile.IsSrgb(profile.WrittenSpan)),
            };
    }

    /// <summary>The same file with more rows in its header than it has in its data.</summary>
    public static byte[] WithMoreRows(ReadOnlySpan<byte> file, ImageHeader header)
    {
        const int More = 64;
        var taller = file.ToArray();
        for (var at = 2; NextMarker(file, at) is >= 0 and var marker && file.Length > marker + 6; at = marker + 2)
        {
            if (file[marker + 1] is >= 0xC0 and <= 0xC2)
            {
                BinaryPrimitives.WriteUInt16BigEndian(taller.AsSpan(marker + 5), (ushort)Math.Min(header.Height + More, ushort.MaxValue));
                break;
            }

            marker += file[marker + 1] == 0xD8 ? 0 : BinaryPrimitives.ReadUInt16BigEndian(file[(marker + 2)..]);
        }

        return taller;
    }

    /// <summary>The same file without fill bytes: any marker may stand behind some (B.1.1.2), and ImageSharp takes them for segments.</summary>
    public static ReadOnlyMemory<byte> WithoutFill(ReadOnlyMemory<byte> file)
    {
        var from = file.Span;
        if (from.IndexOf((ReadOnlySpan<byte>)[0xFF, 0xFF]) < 0)
        {
            return file;
        }

        var shorter = new byte[from.Length];
        var (at, written) = (0, 0);
        while (at < from.Length)
        {
            // Only what stands between segments and in coded data can be a fill byte; a segment's own bytes are what they are.
            var rest = from[at..];
            if (rest is [0xFF, 0xFF, ..])
            {
                at++;
                continue;
            }

            var next = rest[1..].IndexOf((byte)0xFF);
            var bytes = rest is [0xFF, not (0x00 or 0x01 or (>= 0xD0 and <= 0xD9)), _, _, ..]
                ? Math.Min(2 + BinaryPrimitives.ReadUInt16BigEndian(rest[2..]), rest.Length)
                : next < 0 ? rest.Length : next + 1;
            from.Slice(at, bytes).CopyTo(shorter.AsSpan(written));
            (at, written) = (at + bytes, written + bytes);
        }

        return shorter.AsMemory(0, written);
    }

    /// <summary>Whether the file ends with EOI. Cameras put zeros or data of their own behind it; those files are walked.</summary>
    private static bool EndsWithMarker(ReadOnlySpan<byte> file) => file.EndsWith((ReadOnlySpan<byte>)[0xFF, 0xD9]);

    private static int NextMarker(ReadOnlySpan<byte> file, int at)
    {
        while (at + 1 < file.Length)
        {
            var next = file[at..^1].IndexOf((byte)0xFF);
            if (next < 0)
            {
                return -1;
            }

            at += next;
            // Stuffed zeros, restart markers and fill bytes belong to the data.
            if (file[at + 1] is not (0x00 or (>= 0xD0 and <= 0xD7) or 0xFF))
            {
                return at;
            }

            at++;
        }

        return -1;
    }

    private static ImageHeader ReadFrame(byte code, ReadOnlySpan<byte> body)
    {
        if (body.Length < 6 || body.Length < 6 + (body[5] * 3))
        {
            throw ImageHeader.Damaged("jpeg");
        }

        var (bits, height, width, bands) = (body[0], BinaryPrimitives.ReadUInt16BigEndian(body[1..]), BinaryPrimitives.ReadUInt16BigEndian(body[3..]), body[5]);
        var problem = code switch
        {
            0xC3 or 0xC7 or 0xCB or 0xCF => "is losslessly coded (T.81, process 14)",
            0xC5 or 0xC6 or 0xCD or 0xCE => "is coded in a hierarchy of sizes",
            >= 0xC9 => "is arithmetically coded",
            _ when bits != 8 => $"has {Counted.Of(bits, "bit")} per sample",
            _ when bands is not (1 or 3 or 4) => $"has {Counted.Of(bands, "component")}",
            _ when height == 0 => "says its height only after its pixels (DNL)",
            _ => null,
        };
        if (problem is not null)
        {
            throw ImageHeader.Unsupported("jpeg", problem, Instead);
        }

        // 64 coefficients of 2 bytes for each block of each component; blocks fill whole units of the largest sampling factors.
        var (across, down) = (1, 1);
        for (var component = 0; component < bands; component++)
        {
            var sampling = body[7 + (component * 3)];
            (across, down) = (Math.Max(across, sampling >> 4), Math.Max(down, sampling & 15));
        }

        long units = Units(width, across) * Units(height, down), blocks = 0;
        for (var component = 0; component < bands; component++)
        {
            var sampling = body[7 + (component * 3)];
            blocks += units * (sampling >> 4) * (sampling & 15);
        }

        return new ImageHeader
        {
            Format = "jpeg",
            Width = width,
            Height = height,
            Bands = bands,
            Interlaced = code == 0xC2,
            UnitRows = 8 * down,
            CoefficientBytes = blocks * 128,
        };

        static long Units(int pixels, int factor) => (pixels + (8L * factor) - 1) / (8 * factor);
    }
}
