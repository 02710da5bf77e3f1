using System.IO.Compression;
using Whatsit.ModelConversion.Formats.Keras;

namespace Whatsit.ModelTools.Tests.Formats.Keras;

public sealed class KerasFuzzTests
{
    public static TheoryData<string> Files => [.. KerasFiles.Names.Where(name => name.Contains("keras", StringComparison.Ordinal))];

    [Theory]
    [MemberData(nameof(Files))]
    public void A_damaged_model_is_read_or_refused_in_bounded_time_and_memory(string file)
    {
        var original = File.ReadAllBytes(KerasFiles.Path(file));
        var archive = file.EndsWith(".keras", StringComparison.Ordinal);
        using var damaged = new DamagedFile(new KerasReader());
        DamagedFiles.AssertBounded(250, refusedAtLeast: 30, damaged.Read, (seed, random) => archive && seed % 4 > 0 ? DamageEntry(original, random)
            : Damage.Apply(original, random));
    }

    // What an archive holds is damaged before it is packed, or its checksums would be all that is tested.
    private static byte[] DamageEntry(byte[] original, Random random)
    {
        var packed = new MemoryStream();
        using (var from = new ZipArchive(new MemoryStream(original)))
        using (var to = new ZipArchive(packed, ZipArchiveMode.Create, leaveOpen: true))
        {
            var damaged = random.Next(2) == 0 ? "config.json" : "model.weights.h5";
            foreach (var entry in from.Entries)
            {
                var content = new MemoryStream();
                using (var stream = entry.Open())
                {
                    stream.CopyTo(content);
                }

                using var target = to.CreateEntry(entry.Name, CompressionLevel.NoCompression).Open();
                target.Write(entry.Name == damaged ? Damage.Apply(content.ToArray(), random) : content.ToArray());
            }
        }

        return packed.ToArray();
    }
}
