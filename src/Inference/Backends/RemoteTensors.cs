using System.Runtime.InteropServices;

namespace Whatsit.Inference.Backends;

/// <summary>The values of a request that another server computes. They stay until the lease and the call have ended, whichever is later.</summary>
internal sealed class RemoteTensors : Tensors
{
    private readonly RemoteContract _contract;
    private readonly Action<RemoteTensors> _giveBack;
    private readonly byte[] _input;
    private readonly Dictionary<string, byte[]> _outputs = [];
    private int _users;

    public RemoteTensors(RemoteContract contract, Action<RemoteTensors> giveBack)
    {
        (_contract, _giveBack) = (contract, giveBack);
        _input = new byte[contract.InputLength];
    }

    /// <summary>The names of the outputs that are wanted.</summary>
    public IEnumerable<string> Wanted => _outputs.Keys;

    /// <summary>The input's bytes.</summary>
    public ReadOnlyMemory<byte> Sent => _input;

    public override Span<byte> Input => _input;

    public override Span<float> Scores => MemoryMarshal.Cast<byte, float>(_outputs[_contract.Scores].AsSpan());

    public override ReadOnlySpan<float> Evidence =>
        _contract.Evidence is { } evidence ? MemoryMarshal.Cast<byte, float>(_outputs[evidence].AsSpan()) : [];

    public override OutputView Output(string name) => new(_contract.ShapeOf(name), _outputs[name]);

    /// <summary>Where an output goes.</summary>
    public Span<byte> BufferOf(string name) => _outputs[name];

    /// <summary>A lease begins.</summary>
    public RemoteTensors Leased(IReadOnlyList<string> others)
    {
        _users = 1;
        MakeRoom(others);
        return this;
    }

    /// <summary>Makes room for outputs beside those that are always asked for.</summary>
    public void MakeRoom(IReadOnlyList<string> others)
    {
        foreach (var name in (string[])[.. _contract.Always, .. others])
        {
            if (!_outputs.ContainsKey(name))
            {
                _outputs.Add(name, new byte[_contract.LengthOf(name)]);
            }
        }
    }

    /// <summary>A call begins.</summary>
    public void Hold() => Interlocked.Increment(ref _users);

    /// <summary>A call ends.</summary>
    public void Release()
    {
        if (Interlocked.Decrement(ref _users) > 0)
        {
            return;
        }

        // What few ask for is not kept.
        foreach (var name in _outputs.Keys.Except(_contract.Always).ToArray())
        {
            _outputs.Remove(name);
        }

        _giveBack(this);
    }

    public override void Dispose() => Release();
}
