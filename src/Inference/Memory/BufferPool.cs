using System.Numerics;

namespace Whatsit.Inference.Memory;

/// <summary>
/// Large buffers that are used again: uploads and decoded pictures. Memory that is new costs the kernel a fault and 4 KB of zeros for each page, which was a
/// third of what a photo cost; pages that have been there before cost nothing.
/// <code>
///   Rent ──► kept, and of a fitting size ──┐
///        └─► new pages ────────────────────┴──► in use ──Return──► kept ──► the system, some seconds after it was last needed
/// </code>
/// What is kept never adds to the peak: with what is in use it is at most what was in use at once a moment ago, and that is bounded by the budgets of
/// uploads and of decodes.
/// </summary>
public sealed class BufferPool
{
    /// <summary>The smallest buffer, and what the first few bytes of an upload go into.</summary>
    internal const int Smallest = 16 * 1024;

    // Sizes between two powers of two: a buffer is at most an eighth larger than what was asked for.
    private const int Steps = 8;

    // What was needed in this window or the one before is kept.
    private static readonly TimeSpan Window = TimeSpan.FromSeconds(3);

    private readonly Lock _lock = new();
    private readonly Stack<NativeBuffer>?[] _kept = new Stack<NativeBuffer>?[Steps * 18];
    private readonly TimeProvider _time;
    private ITimer? _timer;
    private long _used, _keptBytes, _most, _mostBefore;

    internal BufferPool(TimeProvider time) => _time = time;

    /// <summary>The process's pool.</summary>
    public static BufferPool Shared { get; } = new(TimeProvider.System);

    /// <summary>So many bytes that nobody had needed for some seconds were given back to the system: a moment for others to do alike.</summary>
    public event Action<long>? GaveBack;

    /// <summary>Bytes in use, and bytes kept.</summary>
    internal (long Used, long Kept) Bytes
    {
        get
        {
            lock (_lock)
            {
                return (_used, _keptBytes);
            }
        }
    }

    /// <summary>A buffer of at least so many bytes, which hold whatever was there before. Give it back with <see cref="Return"/>, or dispose of it.</summary>
    /// <exception cref="InferenceException"><see cref="InferenceError.QueueFull"/>: the system has none.</exception>
    public NativeBuffer Rent(int length)
    {
        var (size, index) = Fit(length);
        List<NativeBuffer>? dropped = null;
        lock (_lock)
        {
            // A quarter larger at most: what is small must not sit in what is large, nor count for less than it holds.
            for (var i = index; i <= Math.Min(index + (Steps / 4), _kept.Length - 1); i++)
            {
                if (_kept[i] is { Count: > 0 } stack)
                {
                    var buffer = stack.Pop();
                    _keptBytes -= buffer.Length;
                    Use(buffer.Length);
                    return buffer;
                }
            }

            Use(size);
            dropped = Drop(Math.Max(_most, _mostBefore));
        }

        dropped?.ForEach(buffer => buffer.Dispose());
        try
        {
            return new NativeBuffer(size);
        }
        catch
        {
            lock (_lock)
            {
                _used -= size;
            }

            throw;
        }
    }

    /// <summary>Takes a buffer back, to be used again or, some seconds later, to be given back to the system.</summary>
    public void Return(NativeBuffer buffer)
    {
        lock (_lock)
        {
            _used -= buffer.Length;
            _keptBytes += buffer.Length;
            (_kept[Fit(buffer.Length).Index] ??= new()).Push(buffer);
            _timer ??= _time.CreateTimer(_ => GiveBack(), null, Window, Window);
        }
    }

    /// <summary>Gives back to the system what is kept beyond so many bytes, at once: others need the memory.</summary>
    public void KeepAtMost(long bytes)
    {
        List<NativeBuffer>? dropped;
        lock (_lock)
        {
            dropped = Drop(_used + bytes);
        }

        dropped?.ForEach(buffer => buffer.Dispose());
    }

    /// <summary>The size that is made for so many bytes, and its number among all sizes.</summary>
    internal static (int Size, int Index) Fit(int length)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(length);
        length = Math.Max(length, Smallest);
        var power = BitOperations.Log2((uint)length);
        var step = (1L << power) / Steps;
        var size = (length + step - 1) / step * step;
        var index = ((power - BitOperations.Log2(Smallest)) * Steps) + (int)((size - (1L << power)) / step);
        // Arrays and spans end there.
        return ((int)Math.Min(size, Array.MaxLength), index);
    }

    private void Use(int bytes)
    {
        _used += bytes;
        _most = Math.Max(_most, _used);
    }

    /// <summary>A window is over: what was not needed in it, nor in the one before, goes.</summary>
    private void GiveBack()
    {
        List<NativeBuffer>? dropped;
        lock (_lock)
        {
            dropped = Drop(Math.Max(_most, _mostBefore));
            (_mostBefore, _most) = (_most, _used);
            if (_keptBytes == 0 && _mostBefore == _used)
            {
                _timer?.Dispose();
                _timer = null;
            }
        }

        if (dropped is not null)
        {
            dropped.ForEach(buffer => buffer.Dispose());
            GaveBack?.Invoke(dropped.Sum(buffer => (long)buffer.Length));
        }
    }

    // The largest first: fewest calls.
    private List<NativeBuffer>? Drop(long most)
    {
        List<NativeBuffer>? dropped = null;
        for (var i = _kept.Length - 1; i >= 0 && _keptBytes > 0 && _used + _keptBytes > most; i--)
        {
            while (_used + _keptBytes > most && _kept[i] is { Count: > 0 } stack)
            {
                var buffer = stack.Pop();
                _keptBytes -= buffer.Length;
                (dropped ??= []).Add(buffer);
            }
        }

        return dropped;
    }
}
