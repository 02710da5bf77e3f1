using Whatsit.Inference.Catalog;

namespace Whatsit.Inference;

/// <summary>
/// A photo in, labels out, for any program: the models of a folder behind one method. <see cref="ImageClassifier"/> does the work; this one loads the folder
/// with the first picture, and waits for that.
/// </summary>
/// <remarks>Add it with <c>services.AddWhatsit()</c>. It may be called from any number of threads; pictures wait for their turn.</remarks>
public sealed class WhatsitClassifier(ModelCatalog catalog, ImageClassifier classifier)
{
    private readonly Lazy<Task> _loaded = new(() => Task.Run(async () =>
    {
        await catalog.StartAsync(CancellationToken.None).ConfigureAwait(false);
        await catalog.FetchedAsync().ConfigureAwait(false);
    }));

    /// <summary>Loads the folder's models and lets each prove itself; a program that does not call it has that done with its first picture.</summary>
    /// <param name="cancellationToken">Ends the waiting; the loading goes on.</param>
    /// <exception cref="InferenceException"><see cref="InferenceError.ModelNotReady"/>: a model does not load or does not give its recorded answer.</exception>
    public async Task LoadAsync(CancellationToken cancellationToken = default)
    {
        await _loaded.Value.WaitAsync(cancellationToken).ConfigureAwait(false);
        if (catalog.Models.FirstOrDefault(model => model.State == ModelState.Failed) is { Problem: { } problem })
        {
            throw new InferenceException(InferenceError.ModelNotReady, problem);
        }
    }

    /// <summary>Classifies a picture.</summary>
    /// <param name="picture">The picture's file, whole: JPEG, PNG, WebP, GIF, AVIF, TIFF, BMP, ICO or Netpbm.</param>
    /// <param name="model">The model's name; by default the only one, or else <see cref="CatalogOptions.DefaultModel"/>.</param>
    /// <param name="options">What the caller wants to know; by default the five best labels, or all where there are fewer.</param>
    /// <param name="cancellationToken">The caller left.</param>
    /// <exception cref="InferenceException">Why there is no answer, in one sentence; <see cref="InferenceException.Error"/> says whether trying again
    /// helps.</exception>
    public async Task<Classification> ClassifyAsync(ReadOnlyMemory<byte> picture, string? model = null, ClassifyOptions? options = null,
        CancellationToken cancellationToken = default)
    {
        await _loaded.Value.WaitAsync(cancellationToken).ConfigureAwait(false);
        using var lease = await catalog.LeaseAsync(model ?? Only(), cancellationToken).ConfigureAwait(false);
        return await classifier.ClassifyAsync(lease.Model, picture, options ?? ClassifyOptions.For(lease.Model), cancellationToken).ConfigureAwait(false);
    }

    private string? Only() => catalog.Models switch
    {
        [] => throw new InferenceException(InferenceError.ModelNotFound, $"There is no model in the folder '{catalog.Folder}'."),
        [var only] => only.Name,
        _ => null,
    };
}
