using System.Buffers.Binary;
using System.Diagnostics;
using System.Text;
using Whatsit.Inference.Imaging;
using Whatsit.Inference.Imaging.Headers;

namespace Whatsit.Inference.Tests.Imaging;

/// <summary>
/// What every <see cref="IImageDecoder"/> promises. The pictures are one picture in many forms, made by tests/data/images/make.py.
/// </summary>
public abstract class ImageDecoderContract
{
    private const int Width = 144, Height = 108;

    protected abstract IImageDecoder Create(DecodingOptions options);

    // Where two decoders may differ, each says how: colours of wide-gamut pictures are only converted by one that has a colour engine…
    protected abstract bool ConvertsProfiles { get; }

    /// <summary>…files that are refused, with the words…</summary>
    protected abstract IReadOnlyDictionary<string, string> Refused { get; }

    /// <summary>…and how far it is from libjpeg, which others were trained with.</summary>
    protected abstract (double OnAverage, int AtMost) JpegDeviation { get; }

    /// <summary>What a decoder loses in addition that repeats the colours of a JPEG that has them at half the size, where libjpeg interpolates.</summary>
    protected abstract (double OnAverage, int AtMost) HalvedColorsLose { get; }

    /// <summary>Whether a progressive JPEG is decoded smaller where that is enough.</summary>
    protected abstract bool ReducesProgressive { get; }

    protected abstract IImageEncoder Encoder { get; }

    protected IImageDecoder Decoder => Create(new DecodingOptions());

    [Theory]
    [InlineData("picture.png", "png")]
    [InlineData("interlaced.png", "png")]
    [InlineData("opaque.png", "png")]
    [InlineData("rgb16.png", "png")]
    [InlineData("picture.webp", "webp")]
    [InlineData("animated.webp", "webp")]
    [InlineData("picture.tif", "tiff")]
    [InlineData("rgb16.tif", "tiff")]
    public void A_lossless_form_gives_the_very_pixels(string file, string format)
    {
        using var image = Decode(file);

        Assert.Equal((Width, Height, format), (image.Width, image.Height, image.Format));
        Assert.Equal((Width, Height), (image.OriginalWidth, image.OriginalHeight));
        Assert.Equal(Pixels("picture.u8"), image.Pixels.ToArray());
    }

    /// <summary>The bounds are what the file itself has lost: what Pillow decodes differs as much from the original.</summary>
    [Theory]
    [InlineData("picture.jpg", "jpeg", 1.9, 22)]
    [InlineData("subsampled.jpg", "jpeg", 2.9, 77)]
    [InlineData("progressive.jpg", "jpeg", 2.9, 77)]
    [InlineData("srgb-profile.jpg", "jpeg", 1.9, 22)]
    [InlineData("lossy.webp", "webp", 2.7, 67)]
    [InlineData("picture.gif", "gif", 1.7, 53)]
    [InlineData("animated.gif", "gif", 1.7, 53)]
    [InlineData("palette.png", "png", 1.7, 53)]
    [InlineData("cmyk.jpg", "jpeg", 1.3, 10)]
    [InlineData("ycck.jpg", "jpeg", 1.7, 14)]
    [InlineData("cmyk.tif", "tiff", 0.1, 1)]
    [InlineData("picture.avif", "avif", 2, 20)]
    public void A_form_that_loses_something_gives_nearly_the_same_pixels(string file, string format, double onAverage, int atMost)
    {
        if (Refused.TryGetValue(file, out var words))
        {
            var refusal = Refusal(File(file));
            Assert.Equal((InferenceError.UnsupportedImage, words), (refusal.Error, refusal.Message));
            return;
        }

        using var image = Decode(file);

        Assert.Equal((Width, Height, format), (image.Width, image.Height, image.Format));
        AssertNear(Pixels("picture.u8"), image.Pixels, onAverage + (HalvedColors(file) ? HalvedColorsLose.OnAverage : 0),
            atMost + (HalvedColors(file) ? HalvedColorsLose.AtMost : 0));

        static bool HalvedColors(string file) => file is "subsampled.jpg" or "progressive.jpg";
    }

    /// <summary>Training reads JPEG with libjpeg, through Pillow: another upsampling or transform would be seen by the model.</summary>
    [Theory]
    [InlineData("picture.jpg")]
    [InlineData("subsampled.jpg")]
    [InlineData("progressive.jpg")]
    [InlineData("cmyk.jpg")]
    public void Jpeg_gives_what_Pillow_gives(string file)
    {
        using var image = Decode(file);

        AssertNear(Pixels(file + ".u8"), image.Pixels, JpegDeviation.OnAverage, JpegDeviation.AtMost);
    }

    [Theory]
    [InlineData("gray.png", 0, 0)]
    [InlineData("gray16.png", 0, 0)]
    [InlineData("gray.tif", 0, 0)]
    [InlineData("gray.jpg", 2, 12)]
    [InlineData("wrong-profile.png", 0, 0)]
    public void Grey_gives_three_equal_channels(string file, double onAverage, int atMost)
    {
        using var image = Decode(file);

        // ITU-R 601-2, as Pillow's convert("L"), which made the grey pictures
        var rgb = Pixels("picture.u8");
        var gray = new byte[rgb.Length];
        for (var i = 0; i < rgb.Length; i += 3)
        {
            gray.AsSpan(i, 3).Fill((byte)(((rgb[i] * 19595) + (rgb[i + 1] * 38470) + (rgb[i + 2] * 7471) + 0x8000) >> 16));
        }

        AssertNear(gray, image.Pixels, onAverage, atMost);
    }

    [Theory]
    [InlineData("one-bit.png")]
    [InlineData("one-bit.tif")]
    public void One_bit_gives_black_and_white(string file)
    {
        using var image = Decode(file);

        Assert.Equal((Width, Height), (image.Width, image.Height));
        Assert.DoesNotContain(image.Pixels.ToArray(), value => value is not (0 or 255));
        // The dithered picture is as bright as the grey one on average, and the same way round.
        Assert.InRange(image.Pixels.ToArray().Average(value => value), 105, 155);
    }

    [Theory]
    [InlineData("hole.png")]
    [InlineData("hole.webp")]
    [InlineData("hole.tif")]
    public void Transparency_lies_on_white(string file)
    {
        using var image = Decode(file);

        var expected = Pixels("picture.u8");
        for (var y = 0; y < Height / 2; y++)
        {
            expected.AsSpan(y * Width * 3, Width / 2 * 3).Fill(255);
        }

        Assert.Equal(expected, image.Pixels.ToArray());
    }

    [Fact]
    public void Transparency_of_a_grey_picture_lies_on_white()
    {
        using var image = Decode("gray-hole.png");
        using var gray = Decode("gray.png");

        var expected = gray.Pixels.ToArray();
        for (var y = 0; y < Height / 2; y++)
        {
            expected.AsSpan(y * Width * 3, Width / 2 * 3).Fill(255);
        }

        Assert.Equal(expected, image.Pixels.ToArray());
    }

    [Fact]
    public void A_wide_gamut_picture_is_converted_to_sRGB_or_taken_for_it()
    {
        using var image = Decode("display-p3.png");
        using var taken = Decoder.Decode(Pictures.WithoutChunk(File("display-p3.png"), "iCCP"));

        if (ConvertsProfiles)
        {
            AssertNear(Pixels("picture.u8"), image.Pixels, onAverage: 1, atMost: 4);
        }

        Assert.Equal(!ConvertsProfiles, image.Pixels.SequenceEqual(taken.Pixels));
        Assert.Equal(ConvertsProfiles ? [] : ["color-profile-ignored"], image.Warnings.Select(warning => warning.Code));
        Assert.Empty(taken.Warnings);
    }

    [Fact]
    public void Bmp_and_Netpbm_give_the_very_pixels()
    {
        var pixels = Pixels("picture.u8");
        (string Format, byte[] File)[] files =
        [
            ("bmp", Pictures.Bmp(pixels, Width, Height)), ("pnm", Pictures.Netpbm(pixels, Width, Height)), ("pnm", Pictures.NetpbmText(pixels, Width, Height)),
        ];
        foreach (var (format, file) in files)
        {
            using var image = Decoder.Decode(file);

            Assert.Equal((Width, Height, format), (image.Width, image.Height, image.Format));
            Assert.Equal(pixels, image.Pixels.ToArray());
            Assert.Equal(InferenceError.InvalidImage, Refusal(file[..(file.Length / 2)]).Error);
        }
    }

    [Fact]
    public void What_formats_allow_and_few_write_changes_nothing()
    {
        // Chunks of data without any, before and behind those that have some.
        byte[] png = File("picture.png"), empty = [0, 0, 0, 0, .. "IDAT"u8, 0x35, 0xAF, 0x06, 0x1E];
        var (first, end) = (png.AsSpan().IndexOf("IDAT"u8) - 4, png.Length - 12);
        AssertSame("picture.png", [.. png[..first], .. empty, .. png[first..end], .. empty, .. png[end..]]);

        // Fill bytes before each marker, those in coded data included.
        foreach (var file in (string[])["picture.jpg", "progressive.jpg", "cmyk.jpg"])
        {
            var jpeg = File(file);
            var filled = new List<byte>();
            for (var at = 0; at < jpeg.Length;)
            {
                var marker = jpeg[at] == 0xFF && at + 1 < jpeg.Length && jpeg[at + 1] != 0;
                var segment = marker && jpeg[at + 1] is not (>= 0xD0 and <= 0xD9);
                var bytes = segment ? 2 + (jpeg[at + 2] << 8) + jpeg[at + 3] : marker ? 2 : 1;
                // The first marker is what the format is known by.
                filled.AddRange(marker && at > 0 ? [0xFF, 0xFF, 0xFF] : []);
                filled.AddRange(jpeg[at..(at + bytes)]);
                at += bytes;
            }

            AssertSame(file, [.. filled]);
        }

        // A screen that is smaller than its only frame, or of no size.
        foreach (var (width, height) in ((int, int)[])[(3, 3), (0, 0)])
        {
            using var image = Decoder.Decode(Pictures.Gif(width, height, (2, 2, 2, 2)));
            Assert.Equal((4, 4), (image.Width, image.Height));
            Assert.Equal([255, 0, 0], image.Pixels[^3..].ToArray());
            Assert.Equal([255, 255, 255], image.Pixels[..3].ToArray());
        }

        void AssertSame(string name, byte[] file)
        {
            using var expected = Decode(name);
            using var image = Decoder.Decode(file);
            Assert.Empty(image.Warnings);
            Assert.True(expected.Pixels.SequenceEqual(image.Pixels), name);
        }
    }

    [Fact]
    public void What_a_first_frame_leaves_of_its_canvas_is_white()
    {
        // 6 × 5 pixels, of which 2 × 2 at (2, 2) are red.
        byte[][] files = [Pictures.Gif(6, 5, (2, 2, 2, 2)), Pictures.AnimatedWebp(6, 5, (2, 2), Pictures.RedWebp)];
        foreach (var file in files)
        {
            using var image = Decoder.Decode(file);

            Assert.Equal((6, 5), (image.Width, image.Height));
            for (var i = 0; i < 30; i++)
            {
                byte[] expected = i % 6 is 2 or 3 && i / 6 is 2 or 3 ? [255, 0, 0] : [255, 255, 255];
                Assert.Equal(expected, image.Pixels.Slice(i * 3, 3).ToArray());
            }
        }
    }

    [Theory]
    [InlineData("jpeg", 2.9, 77)]
    [InlineData("png", 0, 0)]
    public void What_the_library_writes_it_reads(string format, double onAverage, int atMost)
    {
        var pixels = Pixels("picture.u8");
        var jpeg = format == "jpeg";
        using var image = Decoder.Decode(jpeg ? Encoder.ToJpeg(pixels, Width, Height, quality: 90) : Encoder.ToPng(pixels, Width, Height));

        Assert.Equal((Width, Height, format), (image.Width, image.Height, image.Format));
        AssertNear(pixels, image.Pixels, onAverage + (jpeg ? HalvedColorsLose.OnAverage : 0), atMost + (jpeg ? HalvedColorsLose.AtMost : 0));
    }

    [Fact]
    public void A_written_jpeg_has_its_colours_at_half_the_size_whatever_its_quality()
    {
        // T.81, B.2.2: the sampling factors of the first component, luminance, stand in the 12th byte of the frame's segment.
        var file = Encoder.ToJpeg(Pixels("picture.u8"), Width, Height, quality: 95);
        var frame = file.AsSpan().IndexOf((ReadOnlySpan<byte>)[0xFF, 0xC0]);

        Assert.Equal(0x22, file[frame + 11]);
    }

    [Theory]
    [InlineData("orientation-1.jpg")]
    [InlineData("orientation-2.jpg")]
    [InlineData("orientation-3.jpg")]
    [InlineData("orientation-4.jpg")]
    [InlineData("orientation-5.jpg")]
    [InlineData("orientation-6.jpg")]
    [InlineData("orientation-7.jpg")]
    [InlineData("orientation-8.jpg")]
    [InlineData("orientation-6.png")]
    [InlineData("orientation-6.webp")]
    [InlineData("orientation-6.tif")]
    public void A_turned_picture_comes_out_upright(string file)
    {
        using var image = Decode(file);
        using var upright = Decode("orientation-1.jpg");

        Assert.Equal((72, 54), (image.Width, image.Height));
        Assert.Equal((72, 54), (image.OriginalWidth, image.OriginalHeight));
        // Each was compressed on its own: a wrong turn differs by 60 on average.
        AssertNear(upright.Pixels.ToArray(), image.Pixels, onAverage: 2, atMost: 30);
    }

    [Theory]
    [InlineData("subsampled.jpg", 72, 54, 2)]
    [InlineData("subsampled.jpg", 73, 54, 1)]
    [InlineData("subsampled.jpg", 36, 27, 4)]
    [InlineData("subsampled.jpg", 10, 10, 8)]
    [InlineData("progressive.jpg", 30, 20, 4)]
    [InlineData("cmyk.jpg", 72, 54, 2)]
    [InlineData("gray.jpg", 72, 54, 2)]
    public void Jpeg_may_be_decoded_smaller_but_never_below_what_was_asked(string file, int width, int height, int largestShrink)
    {
        using var image = Decoder.Decode(File(file), (width, height));

        Assert.Equal((Width, Height), (image.OriginalWidth, image.OriginalHeight));
        Assert.InRange(image.Width, Math.Max(width, Width / largestShrink), Width);
        Assert.InRange(image.Height, Math.Max(height, Height / largestShrink), Height);
        AssertShrunk(file, image);
    }

    [Fact]
    public void The_size_that_a_decoder_may_shrink_to_is_meant_upright()
    {
        // Stored 54 × 72, upright 72 × 54: half of it satisfies 36 × 27 but not 27 × 36.
        using var wide = Decoder.Decode(File("orientation-6.jpg"), (36, 27));
        using var tall = Decoder.Decode(File("orientation-6.jpg"), (27, 36));

        Assert.True(wide.Width >= 36 && wide.Height >= 27, $"{wide.Width} × {wide.Height}");
        Assert.True(tall.Width >= 27 && tall.Height >= 36, $"{tall.Width} × {tall.Height}");
        Assert.Equal((72, 54), (wide.OriginalWidth, wide.OriginalHeight));
        Assert.Equal((72, 54), (tall.OriginalWidth, tall.OriginalHeight));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    [InlineData(5)]
    [InlineData(6)]
    [InlineData(7)]
    [InlineData(8)]
    public void A_turned_picture_that_is_decoded_smaller_comes_out_upright(int orientation)
    {
        using var image = Decoder.Decode(File($"orientation-{orientation}.jpg"), (36, 27));
        using var upright = Decoder.Decode(File("orientation-1.jpg"), (36, 27));

        Assert.Equal((36, 27), (image.Width, image.Height));
        AssertNear(upright.Pixels.ToArray(), image.Pixels, onAverage: 2, atMost: 30);
    }

    [Fact]
    public void Half_a_photo_with_an_end_marker_is_refused_when_it_is_decoded_smaller()
    {
        var whole = File("subsampled.jpg");
        byte[] half = [.. whole[..(whole.Length / 2)], 0xFF, 0xD9];

        var refusal = Assert.Throws<InferenceException>(() => Decoder.Decode(half, (36, 27)).Dispose());

        Assert.Equal(InferenceError.InvalidImage, refusal.Error);
        Assert.Contains(" of 108 on", refusal.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("picture.jpg")]
    [InlineData("progressive.jpg")]
    [InlineData("cmyk.jpg")]
    [InlineData("picture.png")]
    [InlineData("interlaced.png")]
    [InlineData("picture.webp")]
    [InlineData("picture.gif")]
    [InlineData("picture.tif")]
    public void A_truncated_file_is_refused(string file)
    {
        var whole = File(file);
        foreach (var part in (double[])[0.02, 0.3, 0.6, 0.95])
        {
            var refusal = Refusal(whole[..(int)(whole.Length * part)]);

            Assert.True(refusal.Error is InferenceError.InvalidImage, $"{part:P0} of {file}: {refusal.Error}, {refusal.Message}");
        }
    }

    [Fact]
    public void An_empty_file_is_refused()
    {
        var refusal = Refusal([]);

        Assert.Equal(InferenceError.InvalidImage, refusal.Error);
        Assert.Equal("The picture is empty: 0 bytes.", refusal.Message);
    }

    [Theory]
    [InlineData("<svg xmlns='http://www.w3.org/2000/svg' width='10' height='10'/>", "an SVG drawing")]
    [InlineData("<?xml version='1.0'?><svg width='1e9' height='1e9'/>", "an SVG drawing")]
    [InlineData("%PDF-1.7\n", "a PDF document")]
    [InlineData("<!doctype html><title>404</title>", "a web page")]
    [InlineData("Just some words.\nAnd more.", "text")]
    [InlineData("PK\u0003\u0004rest", "a ZIP archive")]
    [InlineData("8BPS\0\u0001", "a Photoshop document")]
    [InlineData("\0\0\0\u0018ftypmp42\0\0\0\0isommp42", "a video")]
    public void What_is_no_picture_of_ours_is_refused_by_its_name(string content, string name)
    {
        var refusal = Refusal(Encoding.Latin1.GetBytes(content));

        Assert.Equal(InferenceError.UnsupportedImage, refusal.Error);
        Assert.Contains(name, refusal.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Bytes_without_meaning_are_refused()
    {
        var noise = new byte[5000];
        new Random(1).NextBytes(noise);

        Assert.Equal(InferenceError.UnsupportedImage, Refusal(noise).Error);
        Assert.Equal(InferenceError.UnsupportedImage, Refusal([0x00]).Error);
    }

    [Theory]
    [InlineData("heic", "mif1heic")]
    [InlineData("mif1", "mif1heic")]
    [InlineData("heix", "mif1heixmiaf")]
    [InlineData("hevc", "msf1hevc")]
    public void Heic_is_refused_with_what_to_do(string brand, string compatible)
    {
        byte[] header = [0, 0, 0, (byte)(16 + compatible.Length), .. Encoding.ASCII.GetBytes("ftyp" + brand), 0, 0, 0, 0,
            .. Encoding.ASCII.GetBytes(compatible)];

        var refusal = Refusal([.. header, 0, 0, 0, 8, .. "meta"u8]);

        Assert.Equal(InferenceError.UnsupportedImage, refusal.Error);
        Assert.Equal("HEIC pictures are not supported by this server: share the photo as JPEG (on the iPhone: Settings > Camera > Formats > Most " +
            "Compatible), or let the server use a libvips that reads HEIC (setting Decoding:LibvipsPath).", refusal.Message);
    }

    [Theory]
    [InlineData("picture.jpg")]
    [InlineData("picture.png")]
    [InlineData("picture.webp")]
    [InlineData("picture.gif")]
    [InlineData("picture.tif")]
    public void A_picture_over_the_limit_is_refused_with_the_numbers(string file)
    {
        var decoder = Create(new DecodingOptions { MaxPixels = (Width * Height) - 1 });

        var refusal = Assert.Throws<InferenceException>(() => decoder.Decode(File(file)));

        Assert.Equal(InferenceError.ImageTooLarge, refusal.Error);
        Assert.Contains("144 × 108", refusal.Message, StringComparison.Ordinal);
        Create(new DecodingOptions { MaxPixels = Width * Height }).Decode(File(file)).Dispose();
    }

    [Fact]
    public void Of_a_jpeg_that_is_decoded_smaller_the_smaller_size_counts()
    {
        var decoder = Create(new DecodingOptions { MaxPixels = Width * Height / 4 });

        Assert.Equal(InferenceError.ImageTooLarge, Assert.Throws<InferenceException>(() => decoder.Open(File("subsampled.jpg")).Cost).Error);
        decoder.Decode(File("subsampled.jpg"), (72, 54)).Dispose();
        if (ReducesProgressive)
        {
            decoder.Decode(File("progressive.jpg"), (72, 54)).Dispose();
        }
        else
        {
            Assert.Equal(InferenceError.ImageTooLarge, Assert.Throws<InferenceException>(() => decoder.Open(File("progressive.jpg"), (72, 54)).Cost).Error);
        }
    }

    [Fact]
    public void An_icons_largest_picture_is_read_and_its_mask_is_white()
    {
        byte[] red = [.. Enumerable.Repeat((byte[])[200, 10, 10], 16 * 16).SelectMany(pixel => pixel)];
        byte[] green = [.. Enumerable.Repeat((byte[])[10, 200, 10], 32 * 32).SelectMany(pixel => pixel)];
        using var small = Decoder.Decode(Pictures.Icon((16, Pictures.IconBmp(red, 16, maskedRows: 4))));
        using var large = Decoder.Decode(Pictures.Icon((16, Pictures.IconBmp(red, 16, maskedRows: 4)), (32, Encoder.ToPng(green, 32, 32))));

        Assert.Equal((16, 16, "ico"), (small.Width, small.Height, small.Format));
        Assert.Equal(Enumerable.Repeat((byte)255, 4 * 16 * 3), small.Pixels[..(4 * 16 * 3)].ToArray());
        Assert.Equal(red[(4 * 16 * 3)..], small.Pixels[(4 * 16 * 3)..].ToArray());
        Assert.Equal((32, 32, "ico"), (large.Width, large.Height, large.Format));
        Assert.Equal(green, large.Pixels.ToArray());
        Assert.Equal(InferenceError.InvalidImage, Refusal(Pictures.Icon((16, Pictures.IconBmp(red, 16, maskedRows: 4)))[..60]).Error);
    }

    /// <summary>144 × 112 pixels fill whole units of 16; one sample of luma and a half of colours have coefficients of two bytes.</summary>
    [Theory]
    [InlineData("progressive.jpg", 144 * 112 * 3)]
    [InlineData("interlaced.png", Width * Height * 3)]
    public void A_progressive_picture_has_its_own_limit_in_bytes(string file, int bytes)
    {
        Create(new DecodingOptions { MaxProgressiveBytes = bytes }).Decode(File(file)).Dispose();
        var decoder = Create(new DecodingOptions { MaxProgressiveBytes = bytes - 1 });

        Assert.Equal(InferenceError.ImageTooLarge, Assert.Throws<InferenceException>(() => decoder.Decode(File(file))).Error);
        decoder.Decode(File("subsampled.jpg")).Dispose();
        decoder.Decode(File("picture.png")).Dispose();
    }

    [Fact]
    public void A_png_that_would_take_gigabytes_costs_nothing()
    {
        // 20,000 × 20,000 × 3 = 1.2 GB; the real ones of 1.17 MB only add the zeros that never get read.
        byte[] bomb =
        [
            0x89, .. "PNG"u8, 0x0D, 0x0A, 0x1A, 0x0A, .. Pictures.PngChunk("IHDR", [0, 0, 0x4E, 0x20, 0, 0, 0x4E, 0x20, 8, 2, 0, 0, 0]),
            .. Pictures.PngChunk("IDAT", [0x78, 0x9C]),
        ];

        AssertRefusedForFree(bomb, "20000 × 20000 = 400,000,000 pixels; the limit is 50,000,000");
    }

    [Fact]
    public void A_progressive_jpeg_that_would_take_gigabytes_costs_nothing()
    {
        byte[] bomb =
        [
            0xFF, 0xD8,
            .. Segment(0xDB, [0, .. Enumerable.Repeat((byte)1, 64)]),
            // Progressive, 65,500 × 65,500, one component: 8 GiB of coefficients
            .. Segment(0xC2, [8, 0xFF, 0xDC, 0xFF, 0xDC, 1, 1, 0x11, 0]),
            .. Segment(0xC4, [0x00, 1, .. new byte[15], 0]),
            .. Segment(0xDA, [1, 1, 0x00, 0, 0, 0]),
            0x00, 0xFF, 0xD9,
        ];

        AssertRefusedForFree(bomb, "65500 × 65500");

        static byte[] Segment(byte marker, byte[] body) => [0xFF, marker, (byte)((body.Length + 2) >> 8), (byte)(body.Length + 2), .. body];
    }

    [Fact]
    public void A_gif_that_would_take_gigabytes_costs_nothing()
    {
        byte[] bomb =
        [
            .. "GIF89a"u8, 0xFF, 0xFF, 0xFF, 0xFF, 0x80, 0, 0, 0, 0, 0, 255, 255, 255,
            0x2C, 0, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF, 0, 2, 2, 0x44, 1, 0, 0x3B,
        ];

        AssertRefusedForFree(bomb, "65535 × 65535");
    }

    /// <summary>163 KB held 8,993 MB once.</summary>
    [Fact]
    public void A_tiff_of_ten_thousand_samples_per_pixel_costs_nothing() => AssertRefusedForFree(
        Pictures.Tiff(6500, 16, new byte[1000], (258, [8]), (277, [10_000])),
        "The TIFF picture has 10,000 samples per pixel where 3 and one for transparency are read, which is not supported",
        InferenceError.UnsupportedImage);

    /// <summary>libtiff knows more kinds than anybody means; what they look like would be a guess.</summary>
    [Theory]
    [InlineData("signed samples", 339, 2)]
    [InlineData("floating-point samples", 339, 3)]
    [InlineData("complex samples", 339, 6)]
    [InlineData("12 bits per sample", 258, 12)]
    [InlineData("32 bits per sample", 258, 32)]
    [InlineData("4 bits per sample", 258, 4)]
    [InlineData("compressed with old-style JPEG", 259, 6)]
    [InlineData("compressed with LZMA", 259, 34925)]
    [InlineData("compressed with Zstandard", 259, 50000)]
    [InlineData("compressed with WebP", 259, 50001)]
    [InlineData("compressed with JPEG 2000", 259, 34712)]
    [InlineData("compressed with method 777", 259, 777)]
    [InlineData("the colour space L*a*b*", 262, 8)]
    [InlineData("a transparency mask", 262, 4)]
    [InlineData("the raw data of a camera's sensor", 262, 32803)]
    [InlineData("the photometric interpretation 99", 262, 99)]
    public void A_tiff_of_another_kind_is_refused_by_its_name(string name, int tag, int value)
    {
        int[] values = tag is 258 or 339 ? [value, value, value] : [value];
        var refusal = Refusal(Pictures.Tiff(16, 16, new byte[16 * 16 * 12], (tag, values)));

        Assert.Equal(InferenceError.UnsupportedImage, refusal.Error);
        Assert.Contains(name, refusal.Message, StringComparison.Ordinal);
        Assert.Contains("save it with 8 or 16 bits per channel", refusal.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_tiff_of_mixed_channels_or_planes_in_tiles_is_refused_by_its_name()
    {
        Assert.Contains("channels of 8 and 16 bits", Refusal(Pictures.Tiff(16, 16, new byte[2000], (258, [8, 16, 8]))).Message, StringComparison.Ordinal);
        (int, int[])[] tiles = [(273, []), (278, []), (279, []), (284, [2]), (322, [16]), (323, [16]), (324, [8, 264, 520]), (325, [256, 256, 256])];
        Assert.Contains("keeps its channels apart and in tiles", Refusal(Pictures.Tiff(16, 16, new byte[768], tiles)).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(0xC1, 12, 3, "has 12 bits per sample")]
    [InlineData(0xC3, 8, 3, "is losslessly coded")]
    [InlineData(0xC9, 8, 3, "is arithmetically coded")]
    [InlineData(0xC5, 8, 3, "is coded in a hierarchy of sizes")]
    [InlineData(0xC0, 8, 2, "has 2 components")]
    public void A_jpeg_of_another_kind_is_refused_by_its_name(byte frame, byte bits, byte components, string name)
    {
        var body = Enumerable.Range(1, components).SelectMany(component => (byte[])[(byte)component, 0x11, 0]).ToArray();
        byte[] file = [0xFF, 0xD8, 0xFF, frame, 0, (byte)(8 + body.Length), bits, 0, 16, 0, 16, components, .. body, 0xFF, 0xDA, 0, 8, 1, 1, 0, 0,
            63, 0, 0, 0xFF, 0xD9];

        var refusal = Refusal(file);

        Assert.Equal(InferenceError.UnsupportedImage, refusal.Error);
        Assert.Contains(name, refusal.Message, StringComparison.Ordinal);
    }

    /// <summary>883 scans in 86 KB took 10 s once: each is a pass over the whole picture.</summary>
    [Fact]
    public void Passes_of_a_jpeg_are_counted_before_any_is_made()
    {
        AssertRefusedForFree(Pictures.ProgressiveJpeg(640, 640, 883), "883 scans; at its size at most 100 are allowed");
        AssertRefusedForFree(Pictures.ProgressiveJpeg(4000, 4000, 50), "50 scans; at its size at most 31 are allowed");
        using var image = Decoder.Decode(Pictures.ProgressiveJpeg(640, 640, 20));
        Assert.Equal(640, image.Width);
    }

    /// <summary>80,000 frames in 3.6 MB took 48 s once, for each is laid on the canvas by itself.</summary>
    [Fact]
    public void Frames_of_an_animation_cost_nothing_up_to_a_limit()
    {
        AssertRefusedForFree(Pictures.AnimatedWebp(6, 5, (2, 2), Pictures.RedWebp, 80_000), "80,000 frames or pages; at most 10,000 are allowed");
        AssertRefusedForFree(Pictures.Gif(6, 5, (2, 2, 2, 2), 80_000), "80,000 frames or pages; at most 10,000 are allowed");
        using var webp = Decoder.Decode(Pictures.AnimatedWebp(6, 5, (2, 2), Pictures.RedWebp, 10_000));
        using var gif = Decoder.Decode(Pictures.Gif(6, 5, (2, 2, 2, 2), 10_000));
        Assert.Equal((6, 6), (webp.Width, gif.Width));
    }

    /// <summary>7 KB held 878 MB once: one row of tiles is the whole picture.</summary>
    [Fact]
    public void A_picture_that_never_fits_the_memory_is_refused_with_the_numbers()
    {
        (int, int[])[] tags =
        [
            (258, [16, 16, 16, 16]), (277, [4]), (338, [2]), (273, []), (278, []), (279, []), (322, [65_536]), (323, [768]), (324, [8]), (325, [7000]),
        ];
        var decoder = Create(new DecodingOptions { MaxMemory = 192_000_000 });

        foreach (var attempt in (Action<byte[]>[])[file => decoder.Open(file), file => decoder.Decode(file).Dispose()])
        {
            var refusal = Assert.Throws<InferenceException>(() => attempt(Pictures.Tiff(65_535, 762, new byte[7000], tags)));
            Assert.Equal(InferenceError.ImageTooLarge, refusal.Error);
            Assert.Matches("^Decoding the TIFF picture of 65535 × 762 pixels would take about [0-9,]+ MB of memory; the limit is 192 MB.$", refusal.Message);
        }
    }

    [Fact]
    public void A_tile_whose_size_overflows_is_too_large()
    {
        (int, int[])[] tags = [(273, []), (278, []), (279, []), (322, [int.MaxValue]), (323, [int.MaxValue]), (324, [8]), (325, [100])];

        AssertRefusedForFree(Pictures.Tiff(16, 16, new byte[100], tags), "would take about");
    }

    [Fact]
    public void The_cost_grows_with_what_must_be_held()
    {
        var decoder = Decoder;
        var plain = decoder.Open(File("picture.png")).Cost;
        var interlaced = decoder.Open(File("interlaced.png")).Cost;

        Assert.InRange(plain.Bytes, Width * Height * 3, Width * Height * 8);
        Assert.InRange(interlaced.Bytes, plain.Bytes, Width * Height * 12);
        Assert.False(plain.IsLong);
        Assert.True(decoder.Open(Pictures.ProgressiveJpeg(4500, 4500, 2)).Cost.IsLong);
    }

    [Fact]
    public void Nothing_is_decoded_for_who_left() =>
        Assert.ThrowsAny<OperationCanceledException>(() => Decoder.Decode(File("picture.png"), null, new CancellationToken(canceled: true)));

    /// <summary>Fringes of laboratories: what should be half as bright as can be would be nearly black.</summary>
    [Fact]
    public void Twelve_bits_in_sixteen_are_refused_by_their_name()
    {
        (int, int[])[] tags = [(258, [16]), (262, [1]), (277, [1])];
        byte[] dim = [.. Enumerable.Range(0, 256).SelectMany(i => BitConverter.GetBytes((ushort)(i * 16)))];
        byte[] bright = [.. Enumerable.Range(0, 256).SelectMany(i => BitConverter.GetBytes((ushort)(i * 257)))];

        var refusal = Refusal(Pictures.Tiff(16, 16, dim, tags));
        Assert.Equal(InferenceError.UnsupportedImage, refusal.Error);
        Assert.Contains("16 bits per sample but uses only the lowest 12", refusal.Message, StringComparison.Ordinal);
        using var image = Decoder.Decode(Pictures.Tiff(16, 16, bright, tags));
        Assert.Equal(255, image.Pixels[^1]);
        using var black = Decoder.Decode(Pictures.Tiff(16, 16, new byte[512], tags));
        Assert.Equal(0, black.Pixels[0]);
    }

    [Fact]
    public void A_jpeg_that_lacks_its_end_is_answered_with_a_warning_or_refused()
    {
        var (file, pixels) = Tall();
        var cases = new (byte[] File, string? Warning)[]
        {
            (file[..^2], "image-end-missing"),
            (file[..^12], "image-truncated"),
            (file[..(file.Length / 2)], null),
        };
        foreach (var (damaged, warning) in cases)
        {
            if (warning is null)
            {
                Assert.Equal(InferenceError.InvalidImage, Refusal(damaged).Error);
                continue;
            }

            using var image = Decoder.Decode(damaged);
            Assert.Equal([warning], image.Warnings.Select(entry => entry.Code));
            // All but the last sixteen rows are the picture's own.
            var intact = pixels.Length - (16 * 64 * 3);
            AssertNear(pixels[..intact], image.Pixels[..intact], onAverage: 3, atMost: 40);
        }

        using var whole = Decoder.Decode(file);
        Assert.Empty(whole.Warnings);
    }

    [Fact]
    public void A_jpeg_that_is_damaged_in_its_middle_is_refused()
    {
        var (file, _) = Tall();
        // A restart marker where none belongs ends the coded data early: the rest is invented.
        var damaged = file.ToArray();
        ((ReadOnlySpan<byte>)[0xFF, 0xD3]).CopyTo(damaged.AsSpan(file.Length / 2));
        Assert.Equal(InferenceError.InvalidImage, Refusal(damaged).Error);

        // So does an end marker.
        Assert.Equal(InferenceError.InvalidImage, Refusal([.. file[..(file.Length / 2)], 0xFF, 0xD9]).Error);
    }

    [Fact]
    public void Tiles_are_read_whole_or_not_at_all()
    {
        var pixels = Enumerable.Range(0, 32 * 32 * 3).Select(i => (byte)i).ToArray();
        var tiles = Enumerable.Range(0, 4).Select(tile => Pictures.Deflate([.. Enumerable.Range(0, 16).SelectMany(row =>
            pixels.AsSpan((((tile / 2 * 16) + row) * 32 * 3) + (tile % 2 * 16 * 3), 16 * 3).ToArray())])).ToArray();
        var whole = Tiled(tiles);
        tiles[3].AsSpan(4).Fill(0x55);
        var damaged = Tiled(tiles);

        if (Refused.TryGetValue("tiles", out var words))
        {
            Assert.Equal((InferenceError.UnsupportedImage, words), (Refusal(whole).Error, Refusal(whole).Message));
            return;
        }

        using var image = Decoder.Decode(whole);
        Assert.Equal(pixels, image.Pixels.ToArray());
        Assert.Equal(InferenceError.InvalidImage, Refusal(damaged).Error);

        // 65000 is nobody's tag; such are no reason to refuse.
        static byte[] Tiled(byte[][] tiles) => Pictures.Tiff(
            32,
            32,
            [.. tiles.SelectMany(tile => tile)],
            (259, [8]),
            (273, []),
            (278, []),
            (279, []),
            (322, [16]),
            (323, [16]),
            (324, [8, 8 + tiles[0].Length, 8 + tiles[0].Length + tiles[1].Length, 8 + tiles[0].Length + tiles[1].Length + tiles[2].Length]),
            (325, [.. tiles.Select(tile => tile.Length)]),
            (65_000, [7]));
    }

    /// <summary>A directory whose next is itself.</summary>
    [Fact]
    public void A_circle_of_pages_is_refused()
    {
        var file = Pictures.Tiff(16, 16, new byte[16 * 16 * 3]);
        var directory = BinaryPrimitives.ReadInt32LittleEndian(file.AsSpan(4));
        BinaryPrimitives.WriteInt32LittleEndian(file.AsSpan(directory + 2 + (9 * 12)), directory);

        AssertRefusedForFree(file, "frames or pages; at most 10,000 are allowed");
    }

    /// <summary>A library reads the directory of every page, and all may name the same megabytes of strips: 10,000 pages took longer than 25 s once.</summary>
    [Fact]
    public void Of_several_pages_the_first_is_read_and_the_others_are_not_looked_at()
    {
        var file = Pictures.Tiff(16, 16, Enumerable.Range(0, 16 * 16 * 3).Select(i => (byte)i).ToArray());
        var directory = BinaryPrimitives.ReadInt32LittleEndian(file.AsSpan(4));
        // The second says that it has 500 entries, of which none is one.
        byte[] pages = [.. file, 244, 1, .. Enumerable.Repeat((byte)255, 500 * 12), 0, 0, 0, 0];
        BinaryPrimitives.WriteInt32LittleEndian(pages.AsSpan(directory + 2 + (9 * 12)), file.Length);

        using var first = Decoder.Decode(pages);
        using var only = Decoder.Decode(file);
        Assert.Equal(only.Pixels.ToArray(), first.Pixels.ToArray());
        Assert.Equal(Decoder.Open(file).Cost.Bytes + pages.Length, Decoder.Open(pages).Cost.Bytes);
    }

    [Fact]
    public void A_directory_has_so_many_entries_and_no_more()
    {
        // 4,097 times width or height: 64
        var entries = Enumerable.Range(0, 0x1001).SelectMany(i => (byte[])[(byte)(i & 1), 1, 4, 0, 1, 0, 0, 0, 64, 0, 0, 0]);
        byte[] file = [.. "II*\0"u8, 8, 0, 0, 0, 0x01, 0x10, .. entries, 0, 0, 0, 0];

        Assert.Equal(InferenceError.InvalidImage, Refusal(file).Error);
    }

    /// <summary>Each of them was looked for among all entries once: a minute, before a picture of 64 × 64 pixels waited for its turn.</summary>
    [Fact]
    public void A_million_strips_behind_thousands_of_entries_cost_next_to_nothing()
    {
        const int Strips = 1_000_000, Unknown = 4000, Byte = 1, Short = 3, Long = 4;
        var end = 8 + 2 + ((Unknown + 8) * 12) + 4;
        // Each strip has no bytes, at the file's beginning.
        (int Tag, int Type, int Count, int Value)[] tags =
        [
            (256, Long, 1, 64), (257, Long, 1, 64), (258, Short, 1, 8), (259, Short, 1, 5), (262, Short, 1, 1), (273, Byte, Strips, end), (278, Long, 1, 1),
            (279, Byte, Strips, end),
        ];
        var entries = tags.SelectMany(tag => (byte[])
            [(byte)tag.Tag, (byte)(tag.Tag >> 8), (byte)tag.Type, 0, .. BitConverter.GetBytes(tag.Count), .. BitConverter.GetBytes(tag.Value)]);
        byte[] file =
        [
            .. "II*\0"u8, 8, 0, 0, 0, (Unknown + 8) & 255, (Unknown + 8) >> 8, .. new byte[Unknown * 12], .. entries, 0, 0, 0, 0, .. new byte[Strips],
        ];
        var started = Stopwatch.GetTimestamp();

        Assert.InRange(Decoder.Open(file).Cost.Bytes, 64 * 64 * 3, 64 * 64 * 20);

        Assert.InRange(Stopwatch.GetElapsedTime(started), TimeSpan.Zero, TimeSpan.FromSeconds(5));
    }

    /// <summary>Gathered piece by piece, a million of them took minutes once, and 320 large ones 3 GB.</summary>
    [Fact]
    public void Pieces_of_a_colour_profile_are_gathered_as_far_as_it_may_be_sRGB()
    {
        byte[] piece = [0xFF, 0xE2, 0x40, 0x10, .. "ICC_PROFILE\0"u8, 1, 1, .. new byte[0x4000]];
        var picture = File("picture.jpg");
        byte[] file = [.. picture[..2], .. Enumerable.Repeat(piece, 200).SelectMany(bytes => bytes), .. picture[2..]];
        var before = GC.GetAllocatedBytesForCurrentThread();

        var decoder = Decoder;
        Assert.Equal(decoder.Open(picture).Cost, decoder.Open(file).Cost);

        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 2 << 20);
    }

    /// <summary>The library keeps each: a million Exif segments in 20 MB held 230 MB once.</summary>
    [Fact]
    public void A_jpeg_of_a_million_segments_is_refused()
    {
        var picture = File("picture.jpg");
        byte[] file = [.. picture[..2], .. Enumerable.Repeat<byte[]>([0xFF, 0xE9, 0, 2], 1_000_000).SelectMany(segment => segment), .. picture[2..]];

        AssertRefusedForFree(file, "has more than 2000 segments", InferenceError.UnsupportedImage);
    }

    /// <summary>An animation of 16 × 16 pixels whose frame of 2 × 2 is one of 268 megapixels: 300 bytes ended the process once.</summary>
    [Fact]
    public void A_frame_that_is_not_as_large_as_its_animation_says_is_refused()
    {
        var still = Pictures.RedWebp.ToArray();
        // 14 bits for each side less one
        BinaryPrimitives.WriteUInt32LittleEndian(still.AsSpan(21), 0x0FFF_FFFF);

        AssertRefusedForFree(Pictures.AnimatedWebp(16, 16, (0, 0), still), "its header cannot be read", InferenceError.InvalidImage);
    }

    /// <summary>A library unpacks what nobody reads: 20 MB of it are 20 GB.</summary>
    [Fact]
    public void Texts_of_a_png_are_left_out_where_they_are_many()
    {
        var picture = File("picture.png");
        var chunk = Pictures.PngChunk("zTXt", [(byte)'a', 0, 0, .. new byte[100_000]]);
        byte[] file = [.. picture[..33], .. chunk, .. chunk, .. picture[33..]];

        using var image = Decoder.Decode(file);
        Assert.Equal(Pixels("picture.u8"), image.Pixels.ToArray());
        Assert.Equal(Decoder.Open(picture).Cost.Bytes + file.Length, Decoder.Open(file).Cost.Bytes);
        Assert.Equal(picture, PngHeader.WithoutTexts(file).ToArray());
    }

    [Fact]
    public void An_animated_png_is_read_as_it_is_for_libraries_pass_over_its_other_frames()
    {
        var picture = File("picture.png");
        byte[] file = [.. picture[..33], .. Pictures.PngChunk("acTL", [0, 0, 0, 2, 0, 0, 0, 0]), .. picture[33..]];

        using var image = Decoder.Decode(file);
        Assert.Equal(Pixels("picture.u8"), image.Pixels.ToArray());
        Assert.Equal(Decoder.Open(picture).Cost, Decoder.Open(file).Cost);
    }

    [Fact]
    public void Many_pictures_at_once_do_not_disturb_each_other()
    {
        var decoder = Decoder;
        string[] files = ["picture.png", "picture.webp", "picture.tif", "rgb16.png", "interlaced.png", "opaque.png"];
        var expected = Pixels("picture.u8");
        var truncated = File("picture.jpg")[..3000];

        Parallel.For(0, 400, new ParallelOptions { MaxDegreeOfParallelism = 8 }, i =>
        {
            if (i % 5 == 0)
            {
                Assert.Equal(InferenceError.InvalidImage, Assert.Throws<InferenceException>(() => decoder.Decode(truncated)).Error);
                return;
            }

            using var image = decoder.Decode(File(files[i % files.Length]));
            Assert.True(image.Pixels.SequenceEqual(expected), files[i % files.Length]);
        });
    }

    [Fact]
    public void A_decoder_lets_go_of_the_file()
    {
        // A slice in the middle of a buffer that others use as well, as request bodies come.
        var file = File("picture.png");
        var buffer = new byte[file.Length + 200];
        file.CopyTo(buffer, 100);
        using var image = Decoder.Decode(buffer.AsMemory(100, file.Length));

        buffer.AsSpan().Clear();
        GC.Collect();

        Assert.Equal(Pixels("picture.u8"), image.Pixels.ToArray());
    }

    private void AssertRefusedForFree(byte[] bomb, string numbers, InferenceError error = InferenceError.ImageTooLarge)
    {
        var before = Environment.WorkingSet;

        var refusal = Refusal(bomb);

        Assert.Equal(error, refusal.Error);
        Assert.Contains(numbers, refusal.Message, StringComparison.Ordinal);
        Assert.InRange(Environment.WorkingSet - before, long.MinValue, 200L << 20);
    }

    private static void AssertShrunk(string file, RgbImage image)
    {
        // The mean colour survives any honest way of making a picture smaller.
        var whole = file == "gray.jpg" ? [] : Pixels("picture.u8");
        if (whole.Length > 0)
        {
            for (var c = 0; c < 3; c++)
            {
                Assert.Equal(Mean(whole, c), Mean(image.Pixels, c), 3.0);
            }
        }

        static double Mean(ReadOnlySpan<byte> pixels, int channel)
        {
            long sum = 0;
            for (var i = channel; i < pixels.Length; i += 3)
            {
                sum += pixels[i];
            }

            return sum / (pixels.Length / 3.0);
        }
    }

    private static void AssertNear(byte[] expected, ReadOnlySpan<byte> actual, double onAverage, int atMost)
    {
        Assert.Equal(expected.Length, actual.Length);
        long sum = 0;
        var largest = 0;
        for (var i = 0; i < expected.Length; i++)
        {
            var difference = Math.Abs(expected[i] - actual[i]);
            sum += difference;
            largest = Math.Max(largest, difference);
        }

        var average = sum / (double)expected.Length;
        Assert.True(average <= onAverage && largest <= atMost, $"differs by {average:0.000} on average and by {largest} at most");
    }

    /// <summary>64 × 1600 pixels, of which the last sixteen rows are one in a hundred.</summary>
    private (byte[] File, byte[] Pixels) Tall()
    {
        var pixels = new byte[64 * 1600 * 3];
        for (var i = 0; i < pixels.Length; i++)
        {
            pixels[i] = (byte)(128 + (100 * Math.Sin((i / 3 % 64 / 9.0) + (i / 192 / 7.0))));
        }

        return (Encoder.ToJpeg(pixels, 64, 1600, quality: 90), pixels);
    }

    private RgbImage Decode(string file) => Decoder.Decode(File(file));

    private InferenceException Refusal(byte[] file) => Assert.Throws<InferenceException>(() => Decoder.Decode(file).Dispose());

    private static byte[] File(string name) => System.IO.File.ReadAllBytes(TestData.Path("images", name));

    private static byte[] Pixels(string name) => File(name);
}
