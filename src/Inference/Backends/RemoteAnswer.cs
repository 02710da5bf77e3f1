using System.Numerics.Tensors;

namespace Whatsit.Inference.Backends;

/// <summary>Holds an answer against what was asked, and fills the tensors of the batch with it.</summary>
internal sealed class RemoteAnswer(RemoteContract contract, IReadOnlyList<RemoteTensors> batch, IEnumerable<string> outputs)
{
    private readonly HashSet<string> _missing = [.. outputs];

    /// <summary>Whether the output was asked for, and has not come yet.</summary>
    public bool Wants(string name) => _missing.Contains(name);

    /// <summary>Bytes of an output for all pictures.</summary>
    public int LengthOf(string name) => contract.LengthOf(name) * batch.Count;

    /// <summary>Checks what is said of an output before its elements are read.</summary>
    /// <exception cref="InvalidDataException">It is another one.</exception>
    public TensorType Check(string name, string datatype, IReadOnlyList<long> shape)
    {
        var type = contract.TypeOf(name);
        long[] expected = [batch.Count, .. contract.ShapeOf(name).Skip(1)];
        return datatype == TensorTypes.OpenInference(type) && shape.SequenceEqual(expected) ? type
            : throw new InvalidDataException($"its output '{name}' is {Sentence.OneLine(datatype, 10)} [{string.Join(',', shape.Take(8))}], not "
                + $"{TensorTypes.OpenInference(type)} [{string.Join(',', expected)}]");
    }

    /// <summary>Takes the elements of an output.</summary>
    /// <exception cref="InvalidDataException">They are too many or too few.</exception>
    public void Fill(string name, ReadOnlySpan<byte> data)
    {
        if (data.Length != LengthOf(name))
        {
            throw new InvalidDataException($"its output '{name}' has {Counted.Of(data.Length, "byte")}, not {LengthOf(name):N0}");
        }

        _missing.Remove(name);
        var rowLength = contract.LengthOf(name);
        for (var row = 0; row < batch.Count; row++)
        {
            data.Slice(row * rowLength, rowLength).CopyTo(batch[row].BufferOf(name));
        }
    }

    /// <summary>The answer has ended.</summary>
    /// <exception cref="InvalidDataException">Something is missing, or a score is no number.</exception>
    public void Finish()
    {
        if (_missing.Count > 0)
        {
            throw new InvalidDataException($"its answer lacks the output '{_missing.First()}'");
        }

        foreach (var tensors in batch)
        {
            if (!TensorPrimitives.IsFiniteAll<float>(tensors.Scores))
            {
                throw new InvalidDataException($"its output '{contract.Scores}' has a score that is no number");
            }
        }
    }
}
