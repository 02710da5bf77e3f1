using System.Buffers.Binary;
using System.Text;
using Whatsit.Inference.Imaging;

namespace Whatsit.Inference.Tests.Imaging;

/// <summary>
/// What every <see cref="IImageDecoder"/> promises. The pictures are one picture in many forms, made by tests/data/images/make.py.
/// </summary>
public abstract class ImageDecoderContract
{
    private const int Width = 144, Height = 108;

    protected abstract IImageDecoder Create(DecodingOptions options);

    // Where two decoders may differ: colours of wide-gamut pictures are only converted by one that has a colour engine.
    protected abstract bool ConvertsProfiles { get; }

    protected abstract bool ReadsAvif { get; }

    protected abstract (double OnAverage, int AtMost) JpegDeviation { get; }

    private IImageDecoder Decoder => Create(new DecodingOptions());

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
        using RgbImage image = Decode(file);

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
    public void A_form_that_loses_something_gives_nearly_the_same_pixels(string file, string format, double onAverage, int atMost)
    {
        using RgbImage image = Decode(file);

        Assert.Equal((Width, Height, format), (image.Width, image.Height, image.Format));
        AssertNear(Pixels("picture.u8"), image.Pixels, onAverage, atMost);
    }

    [Fact]
    public void Avif_is_decoded_or_refused_by_name()
    {
        if (ReadsAvif)
        {
            A_form_that_loses_something_gives_nearly_the_same_pixels("picture.avif", "avif", 2, 20);
            return;
        }
        InferenceException refusal = Refusal(File("picture.avif"));
        Assert.Equal(InferenceError.UnsupportedImage, refusal.Error);
        Assert.Contains("AVIF", refusal.Message, StringComparison.Ordinal);
    }

    /// <summary>Training reads JPEG with libjpeg, through Pillow: another upsampling or transform would be seen by the model.</summary>
    [Theory]
    [InlineData("picture.jpg")]
    [InlineData("subsampled.jpg")]
    [InlineData("progressive.jpg")]
    [InlineData("cmyk.jpg")]
    public void Jpeg_gives_what_Pillow_gives(string file)
    {
        using RgbImage image = Decode(file);

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
        using RgbImage image = Decode(file);

        // ITU-R 601-2, as Pillow's convert("L"), which made the grey pictures
        byte[] rgb = Pixels("picture.u8");
        byte[] gray = new byte[rgb.Length];
        for (int i = 0; i < rgb.Length; i += 3)
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
        using RgbImage image = Decode(file);

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
        using RgbImage image = Decode(file);

        byte[] expected = Pixels("picture.u8");
        for (int y = 0; y < Height / 2; y++)
        {
            expected.AsSpan(y * Width * 3, Width / 2 * 3).Fill(255);
        }
        Assert.Equal(expected, image.Pixels.ToArray());
    }

    [Fact]
    public void Transparency_of_a_grey_picture_lies_on_white()
    {
        using RgbImage image = Decode("gray-hole.png");
        using RgbImage gray = Decode("gray.png");

        byte[] expected = gray.Pixels.ToArray();
        for (int y = 0; y < Height / 2; y++)
        {
            expected.AsSpan(y * Width * 3, Width / 2 * 3).Fill(255);
        }
        Assert.Equal(expected, image.Pixels.ToArray());
    }

    [Fact]
    public void A_wide_gamut_picture_is_converted_to_sRGB()
    {
        Assert.SkipUnless(ConvertsProfiles, "This decoder has no colour engine.");
        using RgbImage image = Decode("display-p3.png");

        AssertNear(Pixels("picture.u8"), image.Pixels, onAverage: 1, atMost: 4);
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
        using RgbImage image = Decode(file);
        using RgbImage upright = Decode("orientation-1.jpg");

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
        using RgbImage image = Decoder.Decode(File(file), (width, height));

        Assert.Equal((Width, Height), (image.OriginalWidth, image.OriginalHeight));
        Assert.InRange(image.Width, Math.Max(width, Width / largestShrink), Width);
        Assert.InRange(image.Height, Math.Max(height, Height / largestShrink), Height);
        AssertShrunk(file, image);
    }

    [Fact]
    public void The_size_that_a_decoder_may_shrink_to_is_meant_upright()
    {
        // Stored 54 × 72, upright 72 × 54: half of it satisfies 36 × 27 but not 27 × 36.
        using RgbImage wide = Decoder.Decode(File("orientation-6.jpg"), (36, 27));
        using RgbImage tall = Decoder.Decode(File("orientation-6.jpg"), (27, 36));

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
        using RgbImage image = Decoder.Decode(File($"orientation-{orientation}.jpg"), (36, 27));
        using RgbImage upright = Decoder.Decode(File("orientation-1.jpg"), (36, 27));

        Assert.Equal((36, 27), (image.Width, image.Height));
        AssertNear(upright.Pixels.ToArray(), image.Pixels, onAverage: 2, atMost: 30);
    }

    [Fact]
    public void Half_a_photo_with_an_end_marker_is_refused_when_it_is_decoded_smaller()
    {
        byte[] whole = File("subsampled.jpg");
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
        byte[] whole = File(file);
        foreach (double part in (double[])[0.02, 0.3, 0.6, 0.95])
        {
            InferenceException refusal = Refusal(whole[..(int)(whole.Length * part)]);

            Assert.True(refusal.Error is InferenceError.InvalidImage, $"{part:P0} of {file}: {refusal.Error}, {refusal.Message}");
        }
    }

    [Fact]
    public void An_empty_file_is_refused()
    {
        InferenceException refusal = Refusal([]);

        Assert.Equal(InferenceError.InvalidImage, refusal.Error);
        Assert.Equal("The picture is empty: 0 bytes.", refusal.Message);
    }

    [Theory]
    [InlineData("<svg xmlns='http://www.w3.org/2000/svg' width='10' height='10'/>", "an SVG drawing")]
    [InlineData("<?xml version='1.0'?><svg width='1e9' height='1e9'/>", "an SVG drawing")]
    [InlineData("%PDF-1.7\n", "a PDF document")]
    [InlineData("BM6\0\0\0", "a BMP picture")]
    [InlineData("\0\0\u0001\0\u0001\0", "an icon")]
    [InlineData("<!doctype html><title>404</title>", "a web page")]
    [InlineData("Just some words.\nAnd more.", "text")]
    [InlineData("PK\u0003\u0004rest", "a ZIP archive")]
    [InlineData("8BPS\0\u0001", "a Photoshop document")]
    [InlineData("\0\0\0\u0018ftypmp42\0\0\0\0isommp42", "a video")]
    public void What_is_no_picture_of_ours_is_refused_by_its_name(string content, string name)
    {
        InferenceException refusal = Refusal(Encoding.Latin1.GetBytes(content));

        Assert.Equal(InferenceError.UnsupportedImage, refusal.Error);
        Assert.Contains(name, refusal.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Bytes_without_meaning_are_refused()
    {
        byte[] noise = new byte[5000];
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
        byte[] header = [0, 0, 0, (byte)(16 + compatible.Length), .. Encoding.ASCII.GetBytes("ftyp" + brand), 0, 0, 0, 0, .. Encoding.ASCII.GetBytes(compatible)];

        InferenceException refusal = Refusal([.. header, 0, 0, 0, 8, .. "meta"u8]);

        Assert.Equal(InferenceError.UnsupportedImage, refusal.Error);
        Assert.Equal(
            "HEIC pictures are not supported: on the iPhone choose Settings > Camera > Formats > Most Compatible, or send JPEG or PNG.", refusal.Message);
    }

    [Theory]
    [InlineData("picture.jpg")]
    [InlineData("picture.png")]
    [InlineData("picture.webp")]
    [InlineData("picture.gif")]
    [InlineData("picture.tif")]
    public void A_picture_over_the_limit_is_refused_with_the_numbers(string file)
    {
        IImageDecoder decoder = Create(new DecodingOptions { MaxPixels = (Width * Height) - 1 });

        var refusal = Assert.Throws<InferenceException>(() => decoder.Decode(File(file)));

        Assert.Equal(InferenceError.ImageTooLarge, refusal.Error);
        Assert.Contains("144 × 108", refusal.Message, StringComparison.Ordinal);
        Create(new DecodingOptions { MaxPixels = Width * Height }).Decode(File(file)).Dispose();
    }

    [Theory]
    [InlineData("progressive.jpg")]
    [InlineData("interlaced.png")]
    public void A_progressive_picture_has_its_own_limit(string file)
    {
        IImageDecoder decoder = Create(new DecodingOptions { MaxProgressivePixels = (Width * Height) - 1 });

        Assert.Equal(InferenceError.ImageTooLarge, Assert.Throws<InferenceException>(() => decoder.Decode(File(file))).Error);
        decoder.Decode(File("subsampled.jpg")).Dispose();
        decoder.Decode(File("picture.png")).Dispose();
    }

    [Fact]
    public void A_png_that_would_take_gigabytes_costs_nothing()
    {
        // 20,000 × 20,000 × 3 = 1.2 GB; the real ones of 1.17 MB only add the zeros that never get read.
        byte[] ihdr = [.. "IHDR"u8, 0, 0, 0x4E, 0x20, 0, 0, 0x4E, 0x20, 8, 2, 0, 0, 0];
        byte[] bomb =
        [
            0x89, .. "PNG"u8, 0x0D, 0x0A, 0x1A, 0x0A, 0, 0, 0, 13, .. ihdr, .. Crc32(ihdr),
            0, 0, 0, 2, .. "IDAT"u8, 0x78, 0x9C, .. Crc32([.. "IDAT"u8, 0x78, 0x9C]),
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

    [Fact]
    public void Many_pictures_at_once_do_not_disturb_each_other()
    {
        IImageDecoder decoder = Decoder;
        string[] files = ["picture.png", "picture.webp", "picture.tif", "rgb16.png", "interlaced.png", "opaque.png"];
        byte[] expected = Pixels("picture.u8");
        byte[] truncated = File("picture.jpg")[..3000];

        Parallel.For(0, 400, new ParallelOptions { MaxDegreeOfParallelism = 8 }, i =>
        {
            if (i % 5 == 0)
            {
                Assert.Equal(InferenceError.InvalidImage, Assert.Throws<InferenceException>(() => decoder.Decode(truncated)).Error);
                return;
            }
            using RgbImage image = decoder.Decode(File(files[i % files.Length]));
            Assert.True(image.Pixels.SequenceEqual(expected), files[i % files.Length]);
        });
    }

    [Fact]
    public void A_decoder_lets_go_of_the_file()
    {
        // A slice in the middle of a buffer that others use as well, as request bodies come.
        byte[] file = File("picture.png");
        byte[] buffer = new byte[file.Length + 200];
        file.CopyTo(buffer, 100);
        using RgbImage image = Decoder.Decode(buffer.AsMemory(100, file.Length));

        buffer.AsSpan().Clear();
        GC.Collect();

        Assert.Equal(Pixels("picture.u8"), image.Pixels.ToArray());
    }

    private void AssertRefusedForFree(byte[] bomb, string numbers)
    {
        long before = Environment.WorkingSet;

        InferenceException refusal = Refusal(bomb);

        Assert.Equal(InferenceError.ImageTooLarge, refusal.Error);
        Assert.Contains(numbers, refusal.Message, StringComparison.Ordinal);
        Assert.InRange(Environment.WorkingSet - before, long.MinValue, 200L << 20);
    }

    private static void AssertShrunk(string file, RgbImage image)
    {
        // The mean colour survives any honest way of making a picture smaller.
        byte[] whole = file == "gray.jpg" ? [] : Pixels("picture.u8");
        if (whole.Length > 0)
        {
            for (int c = 0; c < 3; c++)
            {
                Assert.Equal(Mean(whole, c), Mean(image.Pixels, c), 3.0);
            }
        }

        static double Mean(ReadOnlySpan<byte> pixels, int channel)
        {
            long sum = 0;
            for (int i = channel; i < pixels.Length; i += 3)
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
        int largest = 0;
        for (int i = 0; i < expected.Length; i++)
        {
            int difference = Math.Abs(expected[i] - actual[i]);
            sum += difference;
            largest = Math.Max(largest, difference);
        }
        double average = sum / (double)expected.Length;
        Assert.True(average <= onAverage && largest <= atMost, $"differs by {average:0.000} on average and by {largest} at most");
    }

    private static byte[] Crc32(byte[] data)
    {
        // ISO/IEC 15948, annex D
        uint crc = uint.MaxValue;
        foreach (byte value in data)
        {
            crc ^= value;
            for (int bit = 0; bit < 8; bit++)
            {
                crc = (crc & 1) != 0 ? 0xEDB88320 ^ (crc >> 1) : crc >> 1;
            }
        }
        byte[] bytes = new byte[4];
        BinaryPrimitives.WriteUInt32BigEndian(bytes, ~crc);
        return bytes;
    }

    private RgbImage Decode(string file) => Decoder.Decode(File(file));

    private InferenceException Refusal(byte[] file) => Assert.Throws<InferenceException>(() => Decoder.Decode(file).Dispose());

    private static byte[] File(string name) => System.IO.File.ReadAllBytes(TestData.Path("images", name));

    private static byte[] Pixels(string name) => File(name);
}
