using Whatsit.Inference.Imaging;
using Whatsit.Inference.Imaging.Jpeg;
using Whatsit.Vips;

namespace Whatsit.Inference.Tests.Imaging.Jpeg;

public sealed class JpegReducedDecoderTests(ITestOutputHelper output)
{
    private static readonly (int Width, int Height)[] Sizes = [(96, 80), (97, 81), (105, 95), (103, 89), (111, 66), (64, 79), (17, 33), (9, 8)];

    /// <summary>Luma and both colours, or one component alone. More than ten blocks cannot be in one MCU: such are in scans of their own.</summary>
    public static TheoryData<string> Samplings =>
    [
        "1x1", "2x2", "3x1", "1x1 1x1 1x1", "2x1 1x1 1x1", "1x2 1x1 1x1", "2x2 1x1 1x1", "2x2 2x1 1x2", "2x2 1x2 1x2", "2x2 2x1 2x1", "4x1 1x1 1x1",
        "4x2 1x1 1x1", "1x4 1x1 1x1", "2x4 1x1 1x1", "4x2 2x1 1x1 apart", "3x1 1x1 1x1", "1x3 1x1 1x1", "1x1 2x2 1x1", "3x2 1x1 1x1", "4x2 1x2 1x2 apart",
            "4x4 1x1 1x1 apart",
    ];

    [Theory]
    [MemberData(nameof(Samplings))]
    public void Pictures_of_every_sampling_are_those_of_libjpeg_turbo(string samplings)
    {
        var (differences, whole) = (new Differences(), new Differences());
        foreach ((var width, var height) in Sizes)
        {
            foreach ((var restart, var interleaved, var optimised, var step) in
                ((int, bool, bool, int)[])[(0, true, true, 8), (1, true, false, 2), (5, true, true, 30), (0, false, false, 8), (7, false, true, 1)])
            {
                var encoder = Encoder(samplings, width, height, restart, interleaved
                    && !samplings.Contains("apart", StringComparison.Ordinal), optimised, step);
                var file = encoder.Encode();
                foreach (var shrink in (int[])[1, 2, 4, 8])
                {
                    using var picture = Decode(file, shrink, out var damage);

                    Assert.Null(damage);
                    (shrink == 1 ? whole : differences).Add(JpegReference.Decode(file, shrink, VipsFailOn.Warning)!, picture.Pixels);
                }
            }
        }

        output.WriteLine($"{samplings}: {differences}");
        Assert.Equal(0, whole.Largest);
        // One step of a colour difference is almost two of blue.
        Assert.True(differences is { Mean: < 0.05, Largest: <= 3 }, differences.ToString());
    }

    [Theory]
    [InlineData("1x1", 0.3, 2)]
    [InlineData("1x1 1x1 1x1", 0.8, 20)]
    [InlineData("2x2 1x1 1x1", 2, 60)]
    public void A_reduced_picture_is_the_mean_of_the_whole_one(string samplings, double mean, int largest)
    {
        var differences = new Differences();
        foreach (var shrink in (int[])[2, 4, 8])
        {
            var file = Encoder(samplings, 160, 128, 0, true, true, 2).Encode();
            var whole = JpegReference.Decode(file, 1, VipsFailOn.Warning)!;
            using var picture = Decode(file, shrink, out _);

            differences.Add(Means(whole, 160, shrink, picture.Width, picture.Height), picture.Pixels);
        }

        output.WriteLine($"{samplings}: {differences}");
        Assert.True(differences.Mean < mean && differences.Largest <= largest, differences.ToString());
    }

    [Theory]
    [InlineData("R, G, B")]
    [InlineData("Adobe, 0")]
    [InlineData("Adobe, 1")]
    [InlineData("other names")]
    [InlineData("extended")]
    public void Colours_are_told_as_libjpeg_tells_them(string form)
    {
        var file = new JpegTestEncoder
        {
            Width = 83,
            Height = 61,
            Samplings = [(1, 1), (1, 1), (1, 1)],
            Ids = form switch { "R, G, B" => "RGB"u8.ToArray(), "other names" => [7, 8, 9], _ => [1, 2, 3] },
            AdobeTransform = form.StartsWith("Adobe", StringComparison.Ordinal) ? (byte)(form[^1] - '0') : null,
            Extended = form == "extended",
        }.Encode();

        AssertIsLibraryPicture(file);
    }

    [Theory]
    [InlineData("picture.jpg", true)]
    [InlineData("subsampled.jpg", true)]
    [InlineData("gray.jpg", true)]
    [InlineData("orientation-6.jpg", true)]
    [InlineData("progressive.jpg", false)]
    [InlineData("cmyk.jpg", false)]
    [InlineData("ycck.jpg", false)]
    [InlineData("picture.png", false)]
    public void The_header_says_whether_a_file_is_ours(string name, bool ours)
    {
        var file = File.ReadAllBytes(TestData.Path("images", name));

        Assert.Equal(ours, JpegReducedDecoder.TryOpen(file, 2) is not null);
        if (ours)
        {
            AssertIsLibraryPicture(file);
        }
    }

    [Fact]
    public void Samplings_that_are_no_multiples_of_one_another_are_not_ours()
    {
        var file = Encoder("3x1 2x1 1x1", 96, 80, 0, true, true, 8).Encode();

        Assert.Null(JpegReducedDecoder.TryOpen(file, 4));
        Assert.Null(JpegReference.Decode(file, 4, VipsFailOn.Error));
    }

    [Fact]
    public void A_200_megapixel_photo_takes_less_than_20_MB_beside_the_picture()
    {
        var file = new JpegTestEncoder { Width = 16_320, Height = 12_240, Samplings = [(2, 2), (1, 1), (1, 1)] }.EncodeFlat();
        var decoder = JpegReducedDecoder.TryOpen(file, 8)!;
        var pixels = new byte[decoder.Width * decoder.Height * 3];
        var before = GC.GetAllocatedBytesForCurrentThread();

        Assert.Null(decoder.Decode(new Orientation(6), pixels, CancellationToken.None));

        // What pools lend counts as well: this thread's first use of them has to allocate it.
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 20_000_000);
        Assert.DoesNotContain(pixels, value => value != 128);
    }

    [Fact]
    public void Decoding_stops_when_nobody_waits_any_more()
    {
        var file = Encoder("2x2 1x1 1x1", 96, 80, 0, true, false, 8).Encode();

        Assert.Throws<OperationCanceledException>(() =>
            JpegReducedDecoder.TryOpen(file, 4)!.Decode(new Orientation(1), new byte[24 * 20 * 3], new CancellationToken(canceled: true)));
    }

    private static void AssertIsLibraryPicture(byte[] file)
    {
        using var picture = Decode(file, 2, out var damage);
        var differences = new Differences();
        differences.Add(JpegReference.Decode(file, 2, VipsFailOn.Warning)!, picture.Pixels);
        Assert.Null(damage);
        Assert.True(differences is { Mean: < 0.05, Largest: <= 3 }, differences.ToString());
    }

    private static JpegTestEncoder Encoder(string samplings, int width, int height, int restart, bool interleaved, bool optimised, int step) => new()
    {
        Width = width,
        Height = height,
        Samplings = [.. samplings.Split(' ').Where(word => word[1] == 'x').Select(word => (word[0] - '0', word[2] - '0'))],
        RestartInterval = restart,
        Interleaved = interleaved,
        Optimised = optimised,
        Step = step,
    };

    private static RgbImage Decode(byte[] file, int shrink, out JpegDamage? damage)
    {
        var decoder = JpegReducedDecoder.TryOpen(file, shrink)!;
        var picture = new RgbImage(decoder.Width, decoder.Height) { OriginalWidth = 0, OriginalHeight = 0, Format = "jpeg" };
        damage = decoder.Decode(new Orientation(1), picture.Pixels, CancellationToken.None);
        return picture;
    }

    private static byte[] Means(byte[] whole, int stride, int shrink, int width, int height)
    {
        var means = new byte[width * height * 3];
        for (var i = 0; i < means.Length; i++)
        {
            (var x, var y, var sum) = (i / 3 % width * shrink, i / 3 / width * shrink, 0);
            for (var j = 0; j < shrink * shrink; j++)
            {
                sum += whole[((((y + (j / shrink)) * stride) + x + (j % shrink)) * 3) + (i % 3)];
            }

            means[i] = (byte)Math.Round((double)sum / (shrink * shrink));
        }

        return means;
    }

    private sealed class Differences
    {
        private long _sum, _count;

        public double Mean => (double)_sum / _count;

        public int Largest { get; private set; }

        public void Add(ReadOnlySpan<byte> expected, ReadOnlySpan<byte> actual)
        {
            Assert.Equal(expected.Length, actual.Length);
            for (var i = 0; i < expected.Length; i++)
            {
                var difference = Math.Abs(expected[i] - actual[i]);
                _sum += difference;
                Largest = Math.Max(Largest, difference);
            }

            _count += expected.Length;
        }

        public override string ToString() => FormattableString.Invariant($"differs by {Mean:0.000} on average and by {Largest} at most");
    }
}
