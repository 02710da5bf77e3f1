using Whatsit.Benchmarks.Photos;
using Whatsit.Inference.Catalog;
using Whatsit.Inference.Imaging;
using Whatsit.Inference.Preprocessing;

namespace Whatsit.Benchmarks;

/// <summary>What one way of decoding costs.</summary>
/// <param name="Decoder">The library and its binding.</param>
/// <param name="Size">The picture.</param>
/// <param name="CpuMs">CPU milliseconds of one decode, the median of the rounds.</param>
/// <param name="Bytes">Managed bytes that one decode allocates.</param>
/// <param name="FullCollections">Collections of generation 2 during all decodes.</param>
/// <param name="Count">Decodes of all rounds.</param>
internal sealed record DecoderRow(string Decoder, string Size, double CpuMs, long Bytes, int FullCollections, int Count);

/// <summary>
/// The decisions for our own binding of libvips and for libvips itself, to be repeated: our binding, NetVips over the same library, and ImageSharp decode the
/// same files one after the other, taking turns. Each to full size, and as the server does it for the model.
/// </summary>
internal static class Decoders
{
    private const int Rounds = 5;

    public static IReadOnlyList<DecoderRow> Measure(IReadOnlyList<Photo> photos, string model, Func<Photo, int> count)
    {
        var options = new DecodingOptions();
        var vips = ImageDecoders.Create(options);
        var imageSharp = ImageDecoders.Create(new DecodingOptions { Library = ImageDecoders.ImageSharp });
        var manifest = Bundle.ReadManifest(Repository.BundleOf(model));
        var shrinkTo = new Preprocessor(manifest.Preprocessing, manifest.Input).ShrinkTo;
        (string Name, Action<byte[]> Decode)[] contestants =
        [
            ("libvips, our binding", file => vips.Decode(file).Dispose()),
            ("libvips, NetVips", DecodeWithNetVips),
            ("ImageSharp", file => imageSharp.Decode(file).Dispose()),
            ("libvips, as small as the model takes it", file => vips.Decode(file, shrinkTo).Dispose()),
            ("ImageSharp, as small as the model takes it", file => imageSharp.Decode(file, shrinkTo).Dispose()),
        ];
        return [.. photos.SelectMany(photo => Measure(photo, contestants, Math.Max(10, count(photo) / Rounds)))];
    }

    private static IEnumerable<DecoderRow> Measure(Photo photo, (string Name, Action<byte[]> Decode)[] contestants, int count)
    {
        var cpu = contestants.Select(_ => new double[Rounds]).ToArray();
        var bytes = new long[contestants.Length];
        var collections = new int[contestants.Length];
        // The first round warms up.
        for (var round = -1; round < Rounds; round++)
        {
            for (var i = 0; i < contestants.Length; i++)
            {
                GC.Collect();
                var (full, allocated, started) = (GC.CollectionCount(2), GC.GetAllocatedBytesForCurrentThread(), Environment.CpuUsage.TotalTime);
                for (var number = 0; number < count; number++)
                {
                    contestants[i].Decode(photo.Files[number % photo.Files.Count]);
                }

                if (round >= 0)
                {
                    cpu[i][round] = (Environment.CpuUsage.TotalTime - started).TotalMilliseconds / count;
                    bytes[i] += GC.GetAllocatedBytesForCurrentThread() - allocated;
                    collections[i] += GC.CollectionCount(2) - full;
                }
            }
        }

        return contestants.Select((contestant, i) =>
            new DecoderRow(contestant.Name, photo.Name, cpu[i].Order().ElementAt(Rounds / 2), bytes[i] / (count * Rounds), collections[i], count * Rounds));
    }

    // One pass from top to bottom, into memory of the library's own: a managed array for the pixels would be counted against it.
    private static void DecodeWithNetVips(byte[] file)
    {
        using var image = NetVips.Image.NewFromBuffer(file, access: NetVips.Enums.Access.Sequential, failOn: NetVips.Enums.FailOn.Error);
        NetVips.NetVips.Free(image.WriteToMemory(out _));
    }
}
