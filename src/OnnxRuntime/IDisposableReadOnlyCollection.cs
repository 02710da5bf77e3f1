namespace Microsoft.ML.OnnxRuntime;

/// <summary>The results of a run; disposing the collection disposes them.</summary>
public interface IDisposableReadOnlyCollection<T> : IReadOnlyList<T>, IDisposable
{
}

internal sealed class DisposableList<T>(int capacity) : List<T>(capacity), IDisposableReadOnlyCollection<T>
    where T : IDisposable
{
    public void Dispose() => ForEach(item => item.Dispose());
}
