using Whatsit.Inference;
using Whatsit.Inference.Catalog;
using Whatsit.ModelTools.Evaluation;

namespace Whatsit.ModelTools.Commands.Classify;

/// <summary>The server's own code path, without the server.</summary>
internal sealed class LocalModel(Evaluator evaluator, Model model, ClassifyOptions options, string? drawn) : IAsked, IDisposable
{
    private readonly SemaphoreSlim _warming = new(1);
    private volatile bool _isWarm;

    /// <inheritdoc/>
    public int AtOnce { get; init; } = Environment.ProcessorCount;

    /// <inheritdoc/>
    public async Task<Classification> ClassifyAsync(NamedPhoto photo, CancellationToken cancellationToken)
    {
        var bytes = await photo.ReadAsync(cancellationToken);
        await WarmAsync(bytes, cancellationToken);
        var answer = await evaluator.Classifier.ClassifyAsync(model, bytes, options, cancellationToken);
        if (drawn is not null)
        {
            await DrawAsync(bytes, answer, drawn, cancellationToken);
        }

        return answer;
    }

    /// <inheritdoc/>
    public void Dispose() => _warming.Dispose();

    /// <summary>The first run compiles and allocates; its time is nobody's.</summary>
    private async Task WarmAsync(byte[] photo, CancellationToken cancellationToken)
    {
        if (_isWarm)
        {
            return;
        }

        await _warming.WaitAsync(cancellationToken);
        try
        {
            if (!_isWarm)
            {
                await evaluator.Classifier.ClassifyAsync(model, photo, options with { Explain = false }, cancellationToken);
                _isWarm = true;
            }
        }
        finally
        {
            _warming.Release();
        }
    }

    private async Task DrawAsync(byte[] photo, Classification answer, string file, CancellationToken cancellationToken)
    {
        var picture = await evaluator.Overlay.DrawAsync(model, photo, answer.Predictions[0].Map!, cancellationToken);
        try
        {
            await File.WriteAllBytesAsync(file, picture, cancellationToken);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new InferenceException(InferenceError.InvalidRequest, $"'{file}' cannot be written: {exception.Message}", exception);
        }
    }
}
