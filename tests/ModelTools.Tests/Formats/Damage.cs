using System.Buffers.Binary;

namespace Whatsit.ModelTools.Tests.Formats;

/// <summary>
/// What happens to files: they are cut off, bits flip, numbers become huge, and pieces turn up in places of others (which closes circles of addresses).
/// </summary>
internal static class Damage
{
    /// <summary>A damaged copy.</summary>
    public static byte[] Apply(byte[] original, Random random)
    {
        // Room for a number of eight bytes.
        byte[] file = [.. original, .. new byte[Math.Max(0, 16 - original.Length)]];
        switch (random.Next(5))
        {
            case 0:
                return file[..random.Next(file.Length)];
            case 1:
                for (var flips = random.Next(1, 30); flips > 0; flips--)
                {
                    file[random.Next(file.Length)] ^= (byte)(1 << random.Next(8));
                }

                return file;
            case 2:
                for (var numbers = random.Next(1, 8); numbers > 0; numbers--)
                {
                    ulong[] huge = [ulong.MaxValue, long.MaxValue, uint.MaxValue, int.MaxValue, 0, 1, (ulong)random.Next(file.Length),
                        (ulong)random.NextInt64()];
                    BinaryPrimitives.WriteUInt64LittleEndian(file.AsSpan(random.Next(file.Length - 8)), huge[random.Next(huge.Length)]);
                }

                return file;
            case 3:
                // Structures begin where addresses point: one address in the place of another.
                int[] places = [.. Enumerable.Range(0, file.Length / 8).Select(index => index * 8)
                    .Where(at => BinaryPrimitives.ReadUInt64LittleEndian(file.AsSpan(at)) is > 0 and var value && value < (ulong)file.Length)];
                for (var swaps = random.Next(1, 20); swaps > 0 && places.Length > 0; swaps--)
                {
                    file.AsSpan(places[random.Next(places.Length)], 8).CopyTo(file.AsSpan(places[random.Next(places.Length)]));
                }

                return file;
            default:
                var length = random.Next(1, Math.Min(200, file.Length));
                file.AsSpan(random.Next(file.Length - length), length).CopyTo(file.AsSpan(random.Next(file.Length - length)));
                return file;
        }
    }
}
