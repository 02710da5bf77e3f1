using System.Buffers.Binary;
using Whatsit.ModelConversion;
using Whatsit.ModelConversion.Formats;

namespace Whatsit.ModelTools.Tests.Formats;

/// <summary>
/// What happens to files: they are cut off, bits flip, numbers become huge, and pieces turn up in places of others (which closes circles of addresses).
/// </summary>
internal static class Damage
{
    /// <summary>
    /// Reads as many damaged files as told, each of another seed: every one is read or refused in one sentence, in bounded memory. The damage is real: some are
    /// refused.
    /// </summary>
    public static void AssertBounded(int files, int refusedAtLeast, Action<byte[]> read, Func<int, Random, byte[]> damage)
    {
        var refused = 0;
        for (var seed = 0; seed < files; seed++)
        {
            var damaged = damage(seed, new Random(seed));
            var allocated = GC.GetAllocatedBytesForCurrentThread();
            try
            {
                read(damaged);
            }
            catch (ModelFormatException exception)
            {
                refused++;
                Assert.DoesNotContain('\n', exception.Message);
            }
            catch (Exception exception)
            {
                Assert.Fail($"Seed {seed}: {exception}");
            }

            allocated = GC.GetAllocatedBytesForCurrentThread() - allocated;
            Assert.True(allocated < 1L << 30, $"Seed {seed} took {allocated} bytes.");
        }

        Assert.InRange(refused, refusedAtLeast, files);
    }

    public static byte[] Apply(byte[] original, Random random)
    {
        byte[] file = [.. original];
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
                var length = random.Next(1, 200);
                file.AsSpan(random.Next(file.Length - length), length).CopyTo(file.AsSpan(random.Next(file.Length - length)));
                return file;
        }
    }
}

/// <summary>A folder of its own for a damaged file, and the reader that reads it; where files belong beside it, the reader is given the folder.</summary>
internal sealed class DamagedFile : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("damaged").FullName;
    private readonly IModelReader _reader;
    private readonly string _path;
    private readonly string _model;

    public DamagedFile(IModelReader reader, string? beside = null, string name = "model")
    {
        _reader = reader;
        _path = Path.Combine(_folder, name);
        _model = beside is null ? _path : _folder;
        foreach (var file in beside is null ? [] : Directory.EnumerateFiles(beside))
        {
            File.Copy(file, Path.Combine(_folder, Path.GetFileName(file)));
        }
    }

    public void Read(byte[] damaged)
    {
        File.WriteAllBytes(_path, damaged);
        if (_reader.CanRead(_model))
        {
            _reader.Read(_model);
        }
    }

    public void Dispose() => Directory.Delete(_folder, recursive: true);
}
