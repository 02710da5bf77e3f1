namespace Whatsit.Inference.Tests.Backends;

/// <summary>
/// A server of the Open Inference Protocol that does what it is told. Its model has an input "image" of 2 × 2 pixels and three scores: the first three bytes of
/// the tensor.
/// </summary>
internal abstract class ScriptedPeer : IDisposable
{
    /// <summary>As a manifest names it.</summary>
    public string Address { get; protected init; } = "";

    public bool Ready { get; set; } = true;

    public string Metadata { get; set; } =
        """
        {"name":"colors","inputs":[{"name":"image","datatype":"UINT8","shape":[-1,2,2,3]}],
        "outputs":[{"name":"scores","datatype":"FP32","shape":["-1",3]},{"name":"other","datatype":"INT64","shape":[-1,2]}]}
        """;

    /// <summary>How many pictures it takes in one call; nothing: it does not say.</summary>
    public int? MaxBatchSize { get; set; } = 4;

    /// <summary>How often it was asked for the model's metadata.</summary>
    public int Described { get; set; }

    /// <summary>How many pictures the calls had that it was asked.</summary>
    public List<int> Asked { get; } = [];

    /// <summary>What it does when it is asked to infer, in place of answering.</summary>
    public Func<PeerCall, Task>? Infer { get; set; }

    public abstract void Dispose();

    /// <summary>Whatever is asked, in its order.</summary>
    protected Task AnswerAsync(PeerCall call)
    {
        lock (Asked)
        {
            Asked.Add(call.Count);
        }

        return (Infer ?? (call => call.AnswerAsync()))(call);
    }
}

/// <summary>A call that waits for what the peer does with it.</summary>
internal abstract class PeerCall
{
    /// <summary>Its pictures.</summary>
    public abstract int Count { get; }

    /// <summary>Their bytes.</summary>
    public abstract byte[] Tensors { get; }

    /// <summary>The true scores.</summary>
    public float[] Scores => [.. Enumerable.Range(0, Count).SelectMany(row => Tensors.AsSpan(row * 12, 3).ToArray().Select(value => (float)value))];

    /// <summary>Answers them, in the form that was asked for.</summary>
    public abstract Task AnswerAsync();

    /// <summary>Refuses, with the sentence "not now".</summary>
    public abstract Task RefuseAsync(Refusal refusal);

    /// <summary>Begins to answer, and ends the connection.</summary>
    public abstract Task BreakOffAsync();
}

internal enum Refusal
{
    Busy,
    NotReady,
    Failed,
}
