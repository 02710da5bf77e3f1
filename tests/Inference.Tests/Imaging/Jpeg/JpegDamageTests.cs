using Whatsit.Inference.Imaging;
using Whatsit.Inference.Imaging.Headers;
using Whatsit.Inference.Imaging.Jpeg;
using Whatsit.Vips;

namespace Whatsit.Inference.Tests.Imaging.Jpeg;

public sealed class JpegDamageTests(ITestOutputHelper output)
{
    private const int Width = 160, Height = 400;

    private static readonly byte[] Photo = Encode(restartInterval: 0), WithRestarts = Encode(restartInterval: 10);

    [Fact]
    public void Half_of_a_picture_is_damaged_from_its_middle_on_with_and_without_an_end_marker()
    {
        var half = Photo[..(Photo.Length / 2)];

        var cut = DamageOf(half)!.Value;
        Assert.Equal(JpegDamageKind.PrematureEnd, cut.Kind);
        Assert.InRange(cut.Row, Height * 0.35, Height * 0.65);
        Assert.Equal(cut, DamageOf([.. half, 0xFF, 0xD9]));
    }

    [Theory]
    [InlineData(8)]
    [InlineData(4)]
    [InlineData(2)]
    public void The_rows_above_the_damage_are_right(int shrink)
    {
        byte[] whole = Decode(Photo, shrink, out _), half = Decode(Photo[..(Photo.Length / 2)], shrink, out var damage);

        var right = damage!.Value.Row / shrink * (Width / shrink) * 3;
        Assert.Equal(whole[..right], half[..right]);
        Assert.All(half[^(Width / shrink * 3)..], value => Assert.Equal(128, value));
    }

    [Fact]
    public void A_missing_end_marker_leaves_all_rows_right() =>
        Assert.Equal(new JpegDamage(Height, JpegDamageKind.MissingEnd), DamageOf(Photo[..^2]));

    [Fact]
    public void A_few_missing_bytes_damage_only_the_last_rows()
    {
        var damage = DamageOf(Photo[..^12])!.Value;

        Assert.Equal((Height - 16, JpegDamageKind.PrematureEnd), (damage.Row, damage.Kind));
    }

    [Fact]
    public void A_missing_restart_marker_is_found_in_its_row()
    {
        byte[] file = [.. WithRestarts];
        var marker = file.AsSpan().IndexOf([(byte)0xFF, (byte)0xD5]);
        file[marker + 1] = 0xD3;

        // Ten MCUs are one row of them; the sixth marker stands before the seventh row.
        Assert.Equal(new JpegDamage(6 * 16, JpegDamageKind.MissingRestart), DamageOf(file));
        Assert.Null(JpegReference.Decode(file, 4, VipsFailOn.Warning));
    }

    [Fact]
    public void Bytes_that_belong_to_nothing_are_found_before_a_restart_and_before_the_end()
    {
        var marker = WithRestarts.AsSpan().IndexOf([(byte)0xFF, (byte)0xD5]);

        Assert.Equal(new JpegDamage(6 * 16, JpegDamageKind.ExtraneousData), DamageOf([.. WithRestarts[..marker], 1, 2, 3, .. WithRestarts[marker..]]));
        Assert.Equal(new JpegDamage(Height, JpegDamageKind.ExtraneousData), DamageOf([.. Photo[..^2], 1, 2, 3, 0xFF, 0xD9]));
    }

    [Fact]
    public void Coded_data_that_no_block_needs_are_found_and_what_only_fills_up_is_not()
    {
        byte[] few = [.. Enumerable.Range(1, 20).Select(value => (byte)value)];
        byte[] many = [.. Enumerable.Repeat(few, Photo.Length / 500).SelectMany(bytes => bytes)];

        Assert.Equal(new JpegDamage(Height, JpegDamageKind.DataLeft), DamageOf([.. Photo[..^2], .. few, 0xFF, 0xD9]));
        Assert.Equal(new JpegDamage(0, JpegDamageKind.DataLeft), DamageOf([.. Photo[..^2], .. many, 0xFF, 0xD9]));
        Assert.Equal(new JpegDamage(Height, JpegDamageKind.ExtraneousData), DamageOf([.. Photo[..^2], .. new byte[many.Length], 0xFF, 0xD9]));
    }

    [Fact]
    public void A_mean_that_no_picture_has_is_found_in_its_row()
    {
        // Larger steps make the same numbers means of more than 8 bits.
        byte[] file = [.. Photo];
        var table = file.AsSpan().IndexOf([(byte)0xFF, (byte)0xDB]) + 5;
        file[table] = 255;

        var damage = DamageOf(file)!.Value;
        Assert.Equal(JpegDamageKind.MeanOutOfRange, damage.Kind);
        Assert.InRange(damage.Row, 0, Height - 16);
    }

    [Fact]
    public void Of_single_flipped_bits_in_the_middle_more_are_found_than_libjpeg_turbo_warns_of()
    {
        var random = new Random(13);
        var scan = Photo.AsSpan().IndexOf([(byte)0xFF, (byte)0xDA]) + 14;
        int found = 0, warned = 0, flips = 0;
        while (flips < 300)
        {
            var at = random.Next(scan + (Photo.Length / 10), Photo.Length * 9 / 10);
            byte[] file = [.. Photo];
            file[at] ^= (byte)(1 << random.Next(8));
            // What makes or takes a marker is another kind of damage.
            if (file[at] == 0xFF || Photo[at] == 0xFF || Photo[at - 1] == 0xFF)
            {
                continue;
            }

            flips++;
            found += DamageOf(file) is null ? 0 : 1;
            warned += JpegReference.Decode(file, 4, VipsFailOn.Warning) is null ? 1 : 0;
        }

        output.WriteLine($"of {flips}: {found} found, libjpeg-turbo warns of {warned}");
        Assert.True(found > warned && found > 0);
    }

    [Fact]
    public void A_colour_that_is_missing_damages_all_rows()
    {
        var file = Encode(restartInterval: 0, interleaved: false);
        var last = file.AsSpan().LastIndexOf([(byte)0xFF, (byte)0xDA]);

        Assert.Null(DamageOf(file));
        Assert.Equal(new JpegDamage(0, JpegDamageKind.MissingScan), DamageOf([.. file[..last], 0xFF, 0xD9]));
        Assert.Equal(new JpegDamage(0, JpegDamageKind.BadSegment), DamageOf([.. file[..^2], .. file[last..]]));
    }

    [Fact]
    public void A_header_that_is_read_by_guessing_leaves_all_rows_right()
    {
        byte[] file = [.. Photo];
        file[file.AsSpan().IndexOf("JFIF\0"u8) + 5] = 2;

        Assert.Equal(new JpegDamage(Height, JpegDamageKind.OddHeader), DamageOf(file));
    }

    [Theory]
    [InlineData("JFIF", false, null)]
    [InlineData("half", true, null)]
    [InlineData("no end", false, "image-end-missing")]
    [InlineData("padded", false, null)]
    public void A_picture_with_missing_rows_is_refused_and_one_that_is_only_odd_is_not(string form, bool refused, string? warning)
    {
        var file = form switch
        {
            "half" => [.. Photo[..(Photo.Length / 2)], 0xFF, 0xD9],
            "no end" => Photo[..^2],
            "padded" => [.. Photo[..^2], 0, 0, 0, 0xFF, 0xD9],
            _ => Photo,
        };
        var header = new ImageHeader { Format = "jpeg", Width = Width, Height = Height };

        if (refused)
        {
            var refusal = Assert.Throws<InferenceException>(() => ReducedJpeg.TryDecode(file, header, shrink: 2, CancellationToken.None));
            Assert.Equal(InferenceError.InvalidImage, refusal.Error);
            Assert.StartsWith("The JPEG picture is truncated or damaged from row ", refusal.Message, StringComparison.Ordinal);
            return;
        }

        using var picture = ReducedJpeg.TryDecode(file, header, shrink: 2, CancellationToken.None);
        Assert.Equal(warning, picture!.Warnings.SingleOrDefault()?.Code);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    public void Damaged_files_are_accepted_only_where_libjpeg_turbo_has_nothing_to_say(int seed)
    {
        var random = new Random(seed);
        byte[][] files =
        [
            Encode(0, height: 90), Encode(3, height: 90), Encode(0, height: 90, interleaved: false), Encode(4, height: 90, interleaved: false),
            Encode(0, height: 90, optimised: true), Encode(2, height: 90, samplings: [(1, 1)]), Encode(0, height: 90, samplings: [(1, 2), (1, 1), (1, 1)]),
        ];
        int accepted = 0, damaged = 0, notOurs = 0;
        for (var i = 0; i < 400; i++)
        {
            var file = Mutate([.. files[i % files.Length]], random);
            var shrink = 2 << random.Next(3);
            if (JpegReducedDecoder.TryOpen(file, shrink) is not { } decoder)
            {
                notOurs++;
            }
            else if (decoder.Decode(new Orientation(1), new byte[decoder.Width * decoder.Height * 3], CancellationToken.None) is { } damage)
            {
                damaged++;
                Assert.InRange(damage.Row, 0, decoder.FullHeight);
            }
            else
            {
                accepted++;
                Assert.True(JpegReference.Decode(file, shrink, VipsFailOn.Warning) is not null,
                    $"seed {seed}, file {i}, 1/{shrink}: {Convert.ToHexString(file)}");
            }
        }

        output.WriteLine($"{accepted} accepted, {damaged} damaged, {notOurs} left to the library");
        Assert.True(accepted > 20 && damaged > 100 && notOurs > 5);
    }

    private static byte[] Mutate(byte[] file, Random random)
    {
        var scan = file.AsSpan().IndexOf([(byte)0xFF, (byte)0xDA]);
        switch (random.Next(6))
        {
            case 0:
                return file[..random.Next(scan, file.Length)];
            case 1:
                int from = random.Next(scan, file.Length - 20), count = random.Next(1, 20);
                return [.. file[..from], .. file[(from + count)..]];
            case 2:
                var more = new byte[random.Next(1, 6)];
                random.NextBytes(more);
                var at = random.Next(scan, file.Length);
                return [.. file[..at], .. more, .. file[at..]];
            case 3:
                file[random.Next(2, scan)] = (byte)random.Next(256);
                return file;
            case 4:
                // Markers and stuffing, where they may hurt most.
                (file[^(random.Next(3, 200))], file[random.Next(scan, file.Length)]) = (0xFF, (byte)random.Next(0xD0, 0xDA));
                return file;
            default:
                for (var i = random.Next(1, 5); i > 0; i--)
                {
                    file[random.Next(scan, file.Length)] ^= (byte)(1 << random.Next(8));
                }

                return file;
        }
    }

    private static byte[] Encode(
        int restartInterval, bool interleaved = true, int height = Height, bool optimised = false,
            (int Horizontal, int Vertical)[]? samplings = null) => new JpegTestEncoder
            {
                Width = Width,
                Height = height,
                Samplings = samplings ?? [(2, 2), (1, 1), (1, 1)],
                RestartInterval = restartInterval,
                Interleaved = interleaved,
                Optimised = optimised,
            }.Encode();

    private static JpegDamage? DamageOf(byte[] file)
    {
        Decode(file, 4, out var damage);
        return damage;
    }

    private static byte[] Decode(byte[] file, int shrink, out JpegDamage? damage)
    {
        var decoder = JpegReducedDecoder.TryOpen(file, shrink)!;
        var pixels = new byte[decoder.Width * decoder.Height * 3];
        damage = decoder.Decode(new Orientation(1), pixels, CancellationToken.None);
        return pixels;
    }
}
