using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Mvc;
using Whatsit.Inference;
using Whatsit.Inference.Catalog;
using Whatsit.Server.Access;
using Whatsit.Server.Documentation;
using Whatsit.Server.Limits;

namespace Whatsit.Server.Models;

/// <summary>
/// <c>PUT</c> and <c>DELETE /models/{name}</c>, for those who have the key: a bundle as a zip, which replaces the one that serves when it has proved itself.
/// <code>
///   body ──► .NAME.zip… ──► .NAME… ──► loaded, gives its recorded answer ──► exchanged ──► serves
///            bytes          paths, files, hashes
/// </code>
/// </summary>
internal static partial class BundlesApi
{
    // One at a time: each is unpacked, loaded and asked beside what serves.
    private static readonly SemaphoreSlim One = new(1);

    public static void MapBundles(this IEndpointRouteBuilder app)
    {
        var models = app.MapGroup("/models").WithTags("Models").For(Audience.Management);
        models.MapPut("/{name}", PutAsync).WithName("PutModel").WithSummary("Put a bundle on the server, or another one in its place")
            .WithDescription("The body is the bundle as a zip: its files, or a folder that holds them. It serves when it has given its recorded answer; until "
                + "then, and where it does not, the old one does. Asks for the key of those who run the server (Management:KeySha256).")
            .WithMetadata(new BundleBodyAttribute())
            .Produces<ModelDetails>().Produces<ModelDetails>(201)
            .Refuses("invalid-model-name", "model-from-settings", "bundle-too-large", "invalid-bundle", "bundle-in-progress", "models-not-writable");
        models.MapDelete("/{name}", Delete).WithName("DeleteModel").WithSummary("Delete a model with everything in its folder")
            .Produces(204)
            .Refuses("invalid-model-name", "model-not-found", "model-from-settings", "default-model-needed", "models-not-writable");
    }

    private static async Task<IResult> PutAsync(string name, HttpContext context, [FromServices] ModelCatalog catalog, [FromServices] CatalogOptions options,
        [FromServices] ILogger<ModelCatalog> logger)
    {
        Check(name, catalog);
        if (!One.Wait(0, CancellationToken.None))
        {
            throw new RequestRefusedException(StatusCodes.Status429TooManyRequests, "Too busy", "bundle-in-progress",
                "Another bundle is being put on the server. Try again when it is done.");
        }

        var files = new List<string>();
        try
        {
            string New(string what)
            {
                files.Add(Path.Combine(catalog.Folder, TemporaryName.New(catalog.Folder, what)));
                return files[^1];
            }

            Directory.CreateDirectory(catalog.Folder);
            var zip = New($"{name}.zip");
            await ReceiveAsync(context, zip, options.MaxBundleBytes);
            var (folder, isNew) = (New(name), !Directory.Exists(Path.Combine(catalog.Folder, name)));
            ModelStatus status;
            try
            {
                BundleArchive.Unpack(zip, $"{name}.zip", name, folder, options.MaxBundleBytes);
                File.Delete(zip);
                status = await catalog.InstallAsync(name, folder, context.RequestAborted);
            }
            catch (InferenceException exception) when (exception.Error is InferenceError.InvalidRequest or InferenceError.ModelNotReady)
            {
                throw new RequestRefusedException(StatusCodes.Status422UnprocessableEntity, "Not a working bundle", "invalid-bundle", exception.Message);
            }

            Log.Put(logger, name, status.Manifest!.Version);
            var details = ModelsApi.DetailsOf(status, catalog);
            return isNew ? TypedResults.Created((string?)null, details) : TypedResults.Ok(details);
        }
        catch (Exception exception) when (IsUnwritable(exception))
        {
            throw Unwritable(logger, exception);
        }
        finally
        {
            One.Release();
            foreach (var left in files)
            {
                RemoveIfThere(left);
            }
        }
    }

    private static NoContent Delete(string name, [FromServices] ModelCatalog catalog, [FromServices] ILogger<ModelCatalog> logger)
    {
        catalog.Status(name);
        Check(name, catalog);
        if (name == catalog.DefaultModel)
        {
            throw new RequestRefusedException(StatusCodes.Status409Conflict, "Needed", "default-model-needed",
                $"'{name}' answers where a request names no model; without it the server would not be ready. Put another one in its place.", ("name", name));
        }

        try
        {
            catalog.Remove(name);
            return TypedResults.NoContent();
        }
        catch (Exception exception) when (IsUnwritable(exception))
        {
            throw Unwritable(logger, exception);
        }
    }

    private static void Check(string name, ModelCatalog catalog)
    {
        if (!Bundle.IsName(name))
        {
            throw Bundle.NoName(name);
        }

        if (catalog.IsFetched(name))
        {
            throw new RequestRefusedException(StatusCodes.Status409Conflict, "Not here", "model-from-settings",
                $"'{name}' comes from the settings (Catalog:Sources), and is changed there.", ("name", name));
        }
    }

    private static async Task ReceiveAsync(HttpContext context, string zip, long most)
    {
        if (context.Request.ContentLength > most)
        {
            throw TooLarge(most);
        }

        await using var file = new FileStream(zip, FileMode.CreateNew, FileAccess.Write);
        var buffer = new byte[1 << 16];
        for (var read = await context.Request.Body.ReadAsync(buffer); read > 0; read = await context.Request.Body.ReadAsync(buffer))
        {
            if (file.Length + read > most)
            {
                throw TooLarge(most);
            }

            await file.WriteAsync(buffer.AsMemory(0, read), context.RequestAborted);
        }
    }

    private static RequestRefusedException TooLarge(long most) => new(StatusCodes.Status413PayloadTooLarge, "Too large", "bundle-too-large",
        $"The bundle has more than {LimitsOptions.Bytes(most)}, the limit (Catalog:MaxBundleBytes).", ("limit", most));

    // What the framework says of a request is an I/O error, too.
    private static bool IsUnwritable(Exception exception) =>
        exception is UnauthorizedAccessException or IOException and not (BadHttpRequestException or Microsoft.AspNetCore.Connections.ConnectionResetException);

    private static RequestRefusedException Unwritable(ILogger logger, Exception exception)
    {
        Log.Unwritable(logger, exception);
        return new(StatusCodes.Status507InsufficientStorage, "Not writable", "models-not-writable",
            "The models folder cannot be written: it is read-only, or the disk is full. The cause has been logged.");
    }

    private static void RemoveIfThere(string path)
    {
        if (Directory.Exists(path))
        {
            Directory.Delete(path, recursive: true);
        }
        else if (File.Exists(path))
        {
            File.Delete(path);
        }
    }

    private static partial class Log
    {
        [LoggerMessage(Level = LogLevel.Information, Message = "Model {Model} version {Version} was put on the server")]
        public static partial void Put(ILogger logger, string model, string version);

        [LoggerMessage(Level = LogLevel.Warning, Message = "The models folder cannot be written")]
        public static partial void Unwritable(ILogger logger, Exception exception);
    }
}
