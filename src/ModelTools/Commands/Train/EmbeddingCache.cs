using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;

namespace Whatsit.ModelTools.Commands.Train;

/// <summary>
/// What a network said to pictures, by their content: one file for each network and way of preparing pictures, a record (key, numbers) behind the other. A
/// record that was cut off is written over; where another process has the file, this one does without.
/// </summary>
internal sealed class EmbeddingCache : IDisposable
{
    private const int KeyBytes = 32;
    private static readonly TimeSpan Forgotten = TimeSpan.FromDays(90);

    private readonly Dictionary<string, long> _places = new(StringComparer.Ordinal);
    private readonly FileStream? _file;
    private readonly int _length;
    private readonly Lock _lock = new();

    /// <summary>Opens the file of a network.</summary>
    /// <param name="folder">Where such files lie; it is made. What was not used for 90 days is removed from it.</param>
    /// <param name="network">Names everything that the numbers depend on but the picture.</param>
    /// <param name="length">How many numbers there are for each picture.</param>
    public EmbeddingCache(string folder, string network, int length)
    {
        _length = length;
        try
        {
            Directory.CreateDirectory(folder);
            var path = Path.Combine(folder, $"{Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(network)))[..16]}.embeddings");
            foreach (var old in Directory.EnumerateFiles(folder, "*.embeddings").Where(file => DateTime.UtcNow - File.GetLastWriteTimeUtc(file) > Forgotten))
            {
                File.Delete(old);
            }

            _file = new FileStream(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
            File.SetLastWriteTimeUtc(path, DateTime.UtcNow);
            _file.SetLength(_file.Length / Record * Record);
            var key = new byte[KeyBytes];
            for (long place = 0; place < _file.Length; place += Record)
            {
                RandomAccess.Read(_file.SafeFileHandle, key, place);
                _places[Convert.ToHexString(key)] = place;
            }
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            // A cache that cannot be had only costs time.
            _file?.Dispose();
            _file = null;
        }
    }

    private int Record => KeyBytes + (_length * sizeof(float));

    /// <summary>The numbers of a picture, if it was seen before.</summary>
    public float[]? Find(byte[] key)
    {
        lock (_lock)
        {
            if (_file is null || !_places.TryGetValue(Convert.ToHexString(key), out var place))
            {
                return null;
            }

            var numbers = new float[_length];
            var read = RandomAccess.Read(_file.SafeFileHandle, MemoryMarshal.AsBytes(numbers.AsSpan()), place + KeyBytes);
            return read == _length * sizeof(float) ? numbers : null;
        }
    }

    /// <summary>Keeps the numbers of a picture.</summary>
    public void Add(byte[] key, float[] numbers)
    {
        lock (_lock)
        {
            if (_file is null || _places.ContainsKey(Convert.ToHexString(key)))
            {
                return;
            }

            try
            {
                var place = _file.Length;
                RandomAccess.Write(_file.SafeFileHandle, [.. key, .. MemoryMarshal.AsBytes(numbers.AsSpan())], place);
                _places.Add(Convert.ToHexString(key), place);
            }
            catch (IOException)
            {
                // The disk is full: what is there stays, the half record is cut off next time.
            }
        }
    }

    public void Dispose() => _file?.Dispose();
}
