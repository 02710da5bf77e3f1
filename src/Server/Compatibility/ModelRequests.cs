using Whatsit.Inference;
using Whatsit.Inference.Catalog;
using Whatsit.Server.Limits;
using Whatsit.Server.Predictions;
using Whatsit.Server.Telemetry;

namespace Whatsit.Server.Compatibility;

/// <summary>What the routes of all protocols share: they name a model, read a body, and ask the classifier that answers <c>POST /predict</c>, too.</summary>
internal sealed class ModelRequests(
    ModelCatalog catalog, ImageClassifier classifier, ImageInput input, LimitsOptions limits, InferenceExceptionHandler failures)
{
    /// <summary>The models.</summary>
    public ModelCatalog Catalog => catalog;

    /// <summary>Pictures or tensors in one request.</summary>
    public int MaxBatchSize => limits.MaxImagesPerRequest;

    /// <summary>The status of a model of that name and version.</summary>
    /// <param name="name">As the route has it.</param>
    /// <param name="version">As the route has it, if it does.</param>
    /// <param name="unknown">The protocol's sentence where there is none.</param>
    /// <exception cref="InferenceException"><see cref="InferenceError.ModelNotFound"/>.</exception>
    public ModelStatus Status(string? name, string? version, string unknown)
    {
        var status = catalog.Status(name, unknown);
        return version is null || status.Manifest is null || status.Manifest.Version == version ? status
            : throw new InferenceException(InferenceError.ModelNotFound, unknown);
    }

    /// <summary>Leases the model and answers, unless the request would find no place in the queue.</summary>
    /// <param name="context">The request.</param>
    /// <param name="name">The model's name; nothing for the default one.</param>
    /// <param name="version">Its version, if the request names one.</param>
    /// <param name="unknown">The protocol's sentence where there is none.</param>
    /// <param name="answer">Answers.</param>
    /// <exception cref="InferenceException"><see cref="InferenceError.ModelNotFound"/>, <see cref="InferenceError.ModelNotReady"/>.</exception>
    public async Task AnswerAsync(HttpContext context, string? name, string? version, string unknown, Func<Model, Task> answer)
    {
        var (lease, refusal) = await LeaseAsync(context, name, version, unknown);
        using var leased = lease;
        await (refusal is null ? answer(lease.Model) : failures.WriteAsync(context, refusal, context.RequestAborted));
    }

    /// <summary>Leases the model for a request; the refusal says why it must not go on, if it would find no place in the queue, and is counted.</summary>
    /// <param name="context">The request.</param>
    /// <param name="name">The model's name; nothing for the default one.</param>
    /// <param name="version">Its version, if the request names one.</param>
    /// <param name="unknown">The protocol's sentence where there is none.</param>
    /// <exception cref="InferenceException"><see cref="InferenceError.ModelNotFound"/>, <see cref="InferenceError.ModelNotReady"/>.</exception>
    public async Task<(ModelLease Lease, InferenceException? Refusal)> LeaseAsync(HttpContext context, string? name, string? version, string unknown)
    {
        Status(name, version, unknown);
        var lease = await catalog.LeaseAsync(name, context.RequestAborted);
        context.Facts().Take(lease);
        var refusal = classifier.Refuse(lease.Model);
        if (refusal is not null)
        {
            context.Facts().IsCounted = true;
        }

        return (lease, refusal);
    }

    /// <summary>The pictures of a request in any of our ways.</summary>
    public IAsyncEnumerable<ReceivedFile> ReadPicturesAsync(HttpContext context, PredictFields? fields = null) =>
        input.ReadAsync(context, fields ?? new(null, null, null), context.RequestAborted);

    /// <summary>The body, whole, in memory.</summary>
    public Task<ReceivedFile> ReadBodyAsync(HttpContext context) => ReadBodyAsync(context, context.Request.Body, context.Request.ContentLength);

    /// <summary>A stream over the body, whole, in memory.</summary>
    public Task<ReceivedFile> ReadBodyAsync(HttpContext context, Stream body, long? length) => ReceivedFile.ReadAsync(
        body, length, (int)Math.Min(limits.RequestBytes, int.MaxValue - 64), context.Upload(), context.RequestAborted);

    /// <summary>Labels for a picture.</summary>
    public Task<Classification> ClassifyAsync(HttpContext context, ReadOnlyMemory<byte> picture, int topK)
    {
        CheckSize(picture);
        return context.ClassifyAsync(classifier, picture, new(topK));
    }

    /// <summary>Outputs of the graph, for each picture or tensor.</summary>
    public Task<TensorAnswer[]> InferAsync(HttpContext context, IReadOnlyList<ModelInput> batch, IReadOnlyList<string> outputs, TimeSpan? within = null)
    {
        foreach (var picture in batch.Where(input => !input.IsTensor))
        {
            CheckSize(picture.Bytes);
        }

        return context.InferAsync(classifier, batch, outputs, within);
    }

    private void CheckSize(ReadOnlyMemory<byte> picture)
    {
        if (picture.Length > limits.MaxImageBytes)
        {
            throw ReceivedFile.TooLarge(picture.Length, limits.MaxImageBytes);
        }
    }
}
