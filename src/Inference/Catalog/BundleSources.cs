using Microsoft.Extensions.Logging;
using Whatsit.Inference.Fetching;

namespace Whatsit.Inference.Catalog;

/// <summary>Fetches the bundles of <c>Catalog:Sources</c> into a cache, where each lies under the hash of the zip that it came in.</summary>
internal sealed partial class BundleSources(CatalogOptions options, ILogger logger, TimeProvider time)
{
    private string Folder => Path.Combine(options.Cache is { Length: > 0 } cache ? Path.GetFullPath(cache) : UserCache.Folder, "bundles");

    /// <summary>The bundle's folder, whose name is the model's.</summary>
    /// <exception cref="InferenceException">Why it cannot be had, in one sentence that names it.</exception>
    public async Task<string> FetchAsync(BundleSource source, CancellationToken cancellationToken)
    {
        var folder = Path.Combine(Folder, source.Sha256.ToLowerInvariant(), source.Name);
        if (File.Exists(Path.Combine(folder, Bundle.ManifestFile)))
        {
            Log.Cached(logger, source.Name, folder);
            return folder;
        }

        try
        {
            var around = Path.GetDirectoryName(folder)!;
            var zip = Path.Combine(around, $"{source.Name}.zip");
            Log.Fetching(logger, source.Name, source.Address.Host);
            using var client = Downloads.CreateClient();
            var downloads = new Downloads(client, null, step => Log.Progress(logger, source.Name, step), time) { MostBytes = options.MaxBundleBytes };
            await downloads.FetchAsync(source.Address, zip, new Expected(Sha256: source.Sha256), _ => null, cancellationToken).ConfigureAwait(false);
            var temporary = Path.Combine(around, TemporaryName.New(around, source.Name));
            BundleArchive.Unpack(zip, Path.GetFileName(zip), source.Name, temporary, options.MaxBundleBytes);
            Install(temporary, folder);
            File.Delete(zip);
            return folder;
        }
        catch (Exception exception) when (exception is InferenceException or IOException or UnauthorizedAccessException)
        {
            throw new InferenceException(InferenceError.ModelNotReady,
                $"The model '{source.Name}' was not fetched (Catalog:Sources). {exception.Message}", exception);
        }
    }

    private static void Install(string temporary, string folder)
    {
        try
        {
            Directory.Move(temporary, folder);
        }
        catch (IOException) when (File.Exists(Path.Combine(folder, Bundle.ManifestFile)))
        {
            // Another server shares the cache, and was quicker.
            Directory.Delete(temporary, recursive: true);
        }
    }

    private static partial class Log
    {
        [LoggerMessage(Level = LogLevel.Information, Message = "Model {Model} is fetched from {Address}")]
        public static partial void Fetching(ILogger logger, string model, string address);

        [LoggerMessage(Level = LogLevel.Information, Message = "Model {Model} was fetched before: {Folder}")]
        public static partial void Cached(ILogger logger, string model, string folder);

        [LoggerMessage(Level = LogLevel.Debug, Message = "Model {Model}: {Step}")]
        public static partial void Progress(ILogger logger, string model, string step);
    }
}
