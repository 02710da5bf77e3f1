using System.Security.Cryptography;
using System.Text;
using System.Text.RegularExpressions;
using Whatsit.Inference.Fetching;
using Whatsit.ModelConversion;

namespace Whatsit.ModelTools.Hub;

/// <summary>A model that was fetched.</summary>
/// <param name="Path">Where it lies now.</param>
/// <param name="Source">Where it came from, for the manifest.</param>
internal sealed record RemoteModel(string Path, string Source)
{
    private const string Hub = "https://huggingface.co";

    /// <summary>Whether what was given is the address of a model elsewhere.</summary>
    public static bool IsOne(string text) => HubAddress.IsOne(text) || text.StartsWith("https://", StringComparison.OrdinalIgnoreCase)
        || text.StartsWith("http://", StringComparison.OrdinalIgnoreCase);

    /// <summary>Fetches it into this user's cache.</summary>
    /// <param name="text">An address.</param>
    /// <param name="file">The file of a repository that is meant, where that was said.</param>
    /// <param name="sha256">The hash that it must have; with a hub, the file's.</param>
    /// <param name="progress">Told how it goes.</param>
    /// <param name="cancellationToken">Stops it.</param>
    public static async Task<RemoteModel> FetchAsync(string text, string? file, string? sha256, Action<string> progress, CancellationToken cancellationToken)
    {
        if (sha256 is not null && !Regex.IsMatch(sha256, "^[0-9a-fA-F]{64}$"))
        {
            throw new ModelFormatException($"'{sha256}' is no SHA-256, which has 64 hexadecimal digits.");
        }

        using var client = Downloads.CreateClient();
        var cache = UserCache.Folder;
        if (!HubAddress.IsOne(text))
        {
            var address = Uri.TryCreate(text, UriKind.Absolute, out var given) ? given : throw new ModelFormatException($"'{text}' is no address.");
            return await FetchAsync(address, sha256, cache, new Downloads(client, null, progress, TimeProvider.System), cancellationToken);
        }

        var endpoint = Environment.GetEnvironmentVariable("HF_ENDPOINT") is { Length: > 0 } other ? other : Hub;
        var host = Uri.TryCreate(endpoint, UriKind.Absolute, out var hub) && hub.Scheme is "https" or "http" ? hub
            : throw new ModelFormatException($"HF_ENDPOINT is '{endpoint}', which is no address such as {Hub}.");
        var token = Environment.GetEnvironmentVariable("HF_TOKEN")?.Trim() is { Length: > 0 } secret ? secret : null;
        var repository = HubAddress.Parse(text);
        if (sha256 is not null)
        {
            throw new ModelFormatException("A hash (--sha256) belongs to the address of one file; a hub's files have hashes of their own, and a commit names " +
                "them all (hf:OWNER/NAME@COMMIT).");
        }

        var from = new HubClient(new Downloads(client, token, progress, TimeProvider.System), host, cache);
        (var folder, var commit) = await from.FetchAsync(repository, file, cancellationToken);
        return new RemoteModel(folder, $"{from.Page(repository)}@{commit[..12]}");
    }

    private static async Task<RemoteModel> FetchAsync(Uri address, string? sha256, string cache, Downloads downloads, CancellationToken cancellationToken)
    {
        if (address.Scheme == "http" && !address.IsLoopback && sha256 is null)
        {
            throw new ModelFormatException($"What comes by http may be changed on its way: give https://{address.Authority}{address.AbsolutePath}, or the " +
                $"file's hash with --sha256.");
        }

        var name = Uri.UnescapeDataString(address.Segments[^1]).Trim('/');
        name = name.Length > 0 && name.IndexOfAny(System.IO.Path.GetInvalidFileNameChars()) < 0 && name is not ("." or "..") ? name : "model";
        var folder = System.IO.Path.Combine(cache, "downloads", Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(address.AbsoluteUri)))[..32]);
        var path = System.IO.Path.Combine(folder, name);
        if (sha256 is null && File.Exists(path))
        {
            File.Delete(path); // nothing says that it is still the same
        }

        await downloads.FetchAsync(address, path, new Expected(Sha256: sha256), _ => null, cancellationToken);
        return new RemoteModel(path, address.GetLeftPart(UriPartial.Path));
    }
}
