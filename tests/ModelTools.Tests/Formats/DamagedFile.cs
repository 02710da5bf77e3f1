using Whatsit.ModelConversion;
using Whatsit.ModelConversion.Formats;

namespace Whatsit.ModelTools.Tests.Formats;

/// <summary>What readers must do with damaged files.</summary>
internal static class DamagedFiles
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
