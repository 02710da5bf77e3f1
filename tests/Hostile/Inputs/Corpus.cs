namespace Whatsit.Hostile.Inputs;

/// <summary>Damaged files: every picture of the tests, cut off and with some of its bytes changed. The seed makes every run the same.</summary>
internal static class Corpus
{
    private static readonly string Folder = Repository.PathOf("tests", "data", "images");

    private static readonly string[] Formats = [".jpg", ".png", ".webp", ".gif", ".avif", ".tif"];

    /// <summary>One of the tests' pictures.</summary>
    public static byte[] File(string name) => System.IO.File.ReadAllBytes(Path.Combine(Folder, name));

    /// <summary>So many damages of each file.</summary>
    public static IEnumerable<Attack> Damaged(int rounds)
    {
        var random = new Random(1);
        foreach (var path in Directory.EnumerateFiles(Folder).Where(path => Formats.Contains(Path.GetExtension(path))).Order(StringComparer.Ordinal))
        {
            var whole = System.IO.File.ReadAllBytes(path);
            for (var round = 0; round < rounds; round++)
            {
                var damaged = round % 4 == 3 ? whole[..random.Next(whole.Length)] : Changed(whole, random, round);
                yield return Attack.Picture($"{Path.GetFileName(path)}, damage {round}", () => damaged, [.. Attack.AnyPicture, 400]);
            }
        }
    }

    private static byte[] Changed(byte[] whole, Random random, int round)
    {
        byte[] changed = [.. whole];
        // Headers stand in front: half of the damages go there.
        var reach = round % 2 == 0 ? changed.Length : Math.Min(changed.Length, 300);
        for (var change = random.Next(1, 5); change > 0; change--)
        {
            var at = random.Next(reach);
            changed[at] = random.Next(3) switch { 0 => (byte)(changed[at] ^ (1 << random.Next(8))), 1 => 0xFF, _ => (byte)random.Next(256) };
        }

        return changed;
    }
}
