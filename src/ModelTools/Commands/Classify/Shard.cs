using System.Buffers.Binary;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;

namespace Whatsit.ModelTools.Commands.Classify;

/// <summary>
/// One of several shares of the same photos. A photo's name alone decides whose it is, so that every photo is in exactly one share, on every machine and in
/// every run, whatever photos come and go beside it.
/// </summary>
/// <param name="Index">From 0.</param>
/// <param name="Count">How many shares there are.</param>
internal readonly record struct Shard(int Index, int Count)
{
    private const int Most = 1_000_000;

    /// <summary>What is wrong with <c>I/N</c>; nothing where nothing is.</summary>
    public static string? ProblemOf(string text) => TryParse(text, out _) ? null
        : $"--shard is '{text}'; it must be I/N, such as 0/4: the shares are counted from 0, so I is less than N, and N at most {Most:N0}.";

    /// <summary>Reads <c>I/N</c>, of which <see cref="ProblemOf"/> found nothing wrong.</summary>
    public static Shard Parse(string text) => TryParse(text, out var shard) ? shard : throw new ArgumentException(ProblemOf(text), nameof(text));

    /// <summary>Whether a photo is in this share.</summary>
    public bool Has(string name) => Count == 1 || BinaryPrimitives.ReadUInt64BigEndian(HashOf(name)) % (ulong)Count == (ulong)Index;

    /// <summary>A photo's name in few bytes; the same on every system.</summary>
    public static byte[] HashOf(string name) => SHA256.HashData(Encoding.UTF8.GetBytes(name.Replace('\\', '/')));

    private static bool TryParse(string text, out Shard shard)
    {
        shard = default;
        if (text.Split('/') is not [var index, var count] || !int.TryParse(index, NumberStyles.None, CultureInfo.InvariantCulture, out var i)
            || !int.TryParse(count, NumberStyles.None, CultureInfo.InvariantCulture, out var n) || n is < 1 or > Most || i >= n)
        {
            return false;
        }

        shard = new(i, n);
        return true;
    }
}
