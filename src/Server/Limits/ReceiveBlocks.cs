using System.Buffers;
using System.Runtime.InteropServices;
using Microsoft.AspNetCore.Connections;
using Whatsit.Inference.Memory;

namespace Whatsit.Server.Limits;

/// <summary>
/// What connections receive into and answer from. A body comes in blocks of 64 KB: in the framework's 4 KB, a photo is 900 calls and changes of thread. A
/// connection that waits holds none, or one where the framework woke it for nothing. There are so many large ones at once and no more; others, such as those
/// that a thousand slow clients would hold, are as small as the framework's.
/// </summary>
internal sealed class ReceiveBlocks : MemoryPool<byte>, IMemoryPoolFactory<byte>
{
    /// <summary>Bytes of a block, and of one that is handed out when all of these are in use.</summary>
    internal const int Large = 64 * 1024, Small = 4 * 1024;

    /// <summary>Large blocks at once: 8 MB.</summary>
    internal const int Most = 128;

    /// <summary>Bytes of uploads and pictures, given back at once, that tell of many large ones.</summary>
    private const long Burst = 64L * 1024 * 1024;

    // The last one back goes out first: its pages are in the processor's cache.
    private readonly Stack<Block> _idle = new();
    private int _blocks;

    public ReceiveBlocks() => BufferPool.Shared.GaveBack += GiveBack;

    /// <summary>Large blocks in use, and large blocks in all.</summary>
    internal (int Used, int All) Blocks
    {
        get
        {
            lock (_idle)
            {
                return (_blocks - _idle.Count, _blocks);
            }
        }
    }

    /// <inheritdoc/>
    public override int MaxBufferSize => Small;

    /// <summary>One pool for all listeners and queues: what one connection has done with is warm for the next.</summary>
    public MemoryPool<byte> Create(MemoryPoolOptions? options = null) => this;

    /// <inheritdoc/>
    public override IMemoryOwner<byte> Rent(int minBufferSize = -1)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(minBufferSize, MaxBufferSize);
        lock (_idle)
        {
            if (_idle.TryPop(out var idle))
            {
                return idle;
            }

            if (_blocks == Most)
            {
                return Shared.Rent(Small);
            }

            _blocks++;
        }

        return new Block(this);
    }

    /// <summary>A queue of the framework has ended; others go on.</summary>
    protected override void Dispose(bool disposing)
    {
    }

    private void GiveBack(long bytes)
    {
        lock (_idle)
        {
            _blocks -= _idle.Count;
            _idle.Clear();
        }

        if (bytes >= Burst)
        {
            // What it left on the collected heap would stay until that is full again, which on a calm server it never is. It takes some 30 ms.
            GC.Collect(GC.MaxGeneration, GCCollectionMode.Aggressive, blocking: true, compacting: true);
        }
    }

    private sealed class Block(ReceiveBlocks pool) : IMemoryOwner<byte>
    {
        // Where the system writes to it, the collector must not move it.
        public Memory<byte> Memory { get; } = MemoryMarshal.CreateFromPinnedArray(GC.AllocateUninitializedArray<byte>(Large, pinned: true), 0, Large);

        public void Dispose()
        {
            lock (pool._idle)
            {
                pool._idle.Push(this);
            }
        }
    }
}
