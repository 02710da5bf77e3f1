using System.Text.Json;
using System.Text.RegularExpressions;
using Whatsit.Inference.Fetching;
using Whatsit.ModelConversion;
using Whatsit.ModelConversion.Formats;
using Whatsit.ModelConversion.Formats.HuggingFace;
using Whatsit.ModelConversion.Formats.Safetensors;

namespace Whatsit.ModelTools.Hub;

/// <summary>One file of a repository.</summary>
/// <param name="Path">Its path in it.</param>
/// <param name="Expected">What it must be.</param>
internal sealed record HubFile(string Path, Expected Expected);

/// <summary>
/// Fetches the part of a repository that an import needs, by the routes that Hugging Face's own clients use
/// (https://huggingface.co/docs/hub/api): <c>/api/models/R/revision/V</c>, <c>/api/models/R/tree/V</c>, <c>/R/resolve/V/FILE</c>.
/// </summary>
internal sealed partial class HubClient(Downloads downloads, Uri endpoint, string cache)
{
    private const int LongestAnswer = 16 << 20;
    private const int MostPages = 50;

    // What describes a model, and holds labels: small texts beside it.
    private static readonly string[] Descriptions =
    [
        HubFolder.Config, HubFolder.Preprocessor, "labels.txt", "label.txt", "labelmap.txt", "class_names.txt", "classes.txt", "dict.txt", "labels.json",
        "class_names.json", "classes.json", "class_indices.json", "metadata.json",
    ];

    // What PyTorch pickles.
    private static readonly string[] Code = [".bin", ".pt", ".pth", ".ckpt", ".pkl"];

    /// <summary>Fetches it, and answers the folder, and the commit that a branch or tag meant.</summary>
    /// <param name="address">The repository.</param>
    /// <param name="file">The file that is meant, where that was said.</param>
    /// <param name="cancellationToken">Stops it.</param>
    public async Task<(string Folder, string Commit)> FetchAsync(HubAddress address, string? file, CancellationToken cancellationToken)
    {
        Exception? Refuse(HttpResponseMessage response) => Refusal(address, response);
        var about = await JsonAsync(At($"api/models/{address.Repository}/revision/{Uri.EscapeDataString(address.Revision)}"), Refuse, cancellationToken);
        var commit = about.Json.Member("sha").Text() is { } sha && Commit().IsMatch(sha) ? sha
            : throw new ModelFormatException($"{endpoint.Host} does not say which commit '{address}' is.");
        var files = await ListAsync(address, commit, Refuse, cancellationToken);
        var wanted = Wanted(address, files, file, about.Json.Member("pipeline_tag").Text());
        var folder = Path.Combine(cache, "hub", address.Repository.Replace("/", "--", StringComparison.Ordinal), commit);
        foreach (var one in wanted)
        {
            if (one == wanted[^1] && Checkpoint.IsName(one.Path))
            {
                TransformersReader.Check(Path.GetDirectoryName(Path.Combine(folder, one.Path))!); // before what is large
            }

            await FetchOneAsync(one);
        }

        if (wanted[^1].Path is var index && Checkpoint.IsIndex(index))
        {
            foreach (var name in Checkpoint.FilesOf(Path.Combine(folder, index)))
            {
                await FetchOneAsync(files.Find(one => one.Path == $"{index[..(index.LastIndexOf('/') + 1)]}{name}")
                    ?? throw new ModelFormatException($"'{address}' has no file '{name}', which '{index}' names."));
            }
        }

        return (folder, commit);

        Task FetchOneAsync(HubFile one) =>
            downloads.FetchAsync(At($"{address.Repository}/resolve/{commit}/{string.Join('/', one.Path.Split('/').Select(Uri.EscapeDataString))}"),
                Path.Combine(folder, one.Path), one.Expected, Refuse, cancellationToken);
    }

    /// <summary>The repository's page, for people.</summary>
    public Uri Page(HubAddress address) => At(address.Repository);

    private async Task<List<HubFile>> ListAsync(HubAddress address, string commit, Func<HttpResponseMessage, Exception?> refuse,
        CancellationToken cancellationToken)
    {
        var files = new List<HubFile>();
        var next = At($"api/models/{address.Repository}/tree/{commit}?recursive=true");
        for (var page = 0; next is not null; page++)
        {
            if (page == MostPages)
            {
                throw new ModelFormatException($"'{address}' has more files than a model's repository has: after {MostPages} lists there are more.");
            }

            (var json, var link) = await JsonAsync(next, refuse, cancellationToken);
            foreach (var entry in ((JsonElement?)json).Items().Where(entry => entry.Member("type").Text() == "file"))
            {
                var lfs = entry.Member("lfs");
                if (entry.Member("path").Text() is { } path && IsPlain(path))
                {
                    files.Add(new HubFile(path, new Expected(lfs.Member("size").Integer() ?? entry.Member("size").Integer(), lfs.Member("oid").Text(),
                        lfs.Member("oid") is null && entry.Member("oid").Text() is { Length: 40 } oid ? oid : null)));
                }
            }

            next = link;
        }

        return files;
    }

    /// <summary>One network, with what describes it: ONNX in full precision, and in fewer bits beside it, or another format that can be read.</summary>
    private static List<HubFile> Wanted(HubAddress address, List<HubFile> files, string? file, string? task)
    {
        var network = file is not null ? files.Find(one => one.Path == file)?.Path
                ?? throw new ModelFormatException($"'{address}' has no file '{file}', only {Some(files)}.")
            : HubFolder.Choose(files.Select(one => one.Path).Where(path => path.Split('/') is [_] or ["onnx", _]))
            ?? Only(address, files, ".keras", ".tflite", ".h5", "model.json", ".onnx", ".zip")
            ?? Checkpoint.UsualNames.FirstOrDefault(name => files.Exists(one => one.Path == name));
        if (network is null)
        {
            if (task is null or "image-classification" && files.Find(one => Code.Contains(Path.GetExtension(one.Path))) is { } code)
            {
                throw Placeholder.Checkpoint(code.Path);
            }

            throw new ModelFormatException(task is not null and not "image-classification"
                ? $"'{address}' is for {task}, not for classifying pictures, and holds no network that can be read ({Some(files)})."
                : $"'{address}' holds no network that can be read: ONNX, Keras, TensorFlow Lite or TensorFlow.js, but {Some(files)}. Export it to ONNX " +
                    $"(optimum-cli export onnx --model {address.Repository} FOLDER) and import the folder.");
        }

        // Weights in files of their own: model.onnx_data beside model.onnx, shards beside model.json.
        var folder = network.Contains('/', StringComparison.Ordinal) ? network[..(network.LastIndexOf('/') + 1)] : "";
        string[] variants = file is not null ? [] : [.. HubFolder.FewerBits(network, [.. files.Select(one => one.Path)]).Select(variant => variant.File)];
        return
        [
            .. files.Where(one => one.Path == network || variants.Contains(one.Path)
                || Descriptions.Contains(one.Path) || Descriptions.Select(name => folder + name).Contains(one.Path)
                || one.Path.StartsWith($"{network}_data", StringComparison.Ordinal) || one.Path.StartsWith($"{network}.data", StringComparison.Ordinal)
                || (network.EndsWith("model.json", StringComparison.Ordinal) && one.Path.EndsWith(".bin", StringComparison.Ordinal)
                    && one.Path.StartsWith(folder, StringComparison.Ordinal) && one.Path.LastIndexOf('/') + 1 == folder.Length))
                .OrderBy(one => one.Path == network),
        ];
    }

    private static string? Only(HubAddress address, List<HubFile> files, params string[] endings)
    {
        foreach (var ending in endings)
        {
            string[] found = [.. files.Select(file => file.Path).Where(path => path.EndsWith(ending, StringComparison.Ordinal)
                && !path.EndsWith(".weights.h5", StringComparison.Ordinal) && !path.EndsWith("tf_model.h5", StringComparison.Ordinal))];
            if (found.Length > 1)
            {
                throw new ModelFormatException($"'{address}' holds several models: {string.Join(", ", found.Take(12))}. Say with --file which one is meant.");
            }

            if (found is [var only])
            {
                return only;
            }
        }

        return null;
    }

    private static string Some(List<HubFile> files) => files.Count == 0 ? "nothing"
        : $"{string.Join(", ", files.Select(file => file.Path).Take(8))}{(files.Count > 8 ? ", …" : "")}";

    // Nothing that would lie elsewhere than below the folder.
    private static bool IsPlain(string path) => path.Length > 0 && path.IndexOfAny(['\\', '\0', ':']) < 0
        && path.Split('/').All(part => part is not ("" or "." or ".."));

    private ModelFormatException? Refusal(HubAddress address, HttpResponseMessage response)
    {
        var code = response.Headers.TryGetValues("X-Error-Code", out var codes) ? codes.First() : "";
        return ((int)response.StatusCode, code) switch
        {
            (401 or 403, "GatedRepo") => new ModelFormatException(
                $"'{address}' is gated: accept its conditions on {Page(address)} and give your token (HF_TOKEN)."),
            (404, "RevisionNotFound") => new ModelFormatException($"'{address.Repository}' has no branch, tag or commit '{address.Revision}'."),
            (404, "EntryNotFound") => new ModelFormatException($"'{address}' has lost a file while it was read; try again."),
            (401, _) or (404, _) => new ModelFormatException($"There is no model '{address.Repository}' on {endpoint.Host}, or it is private and wants a " +
                $"token (HF_TOKEN) of somebody who may read it."),
            (403, _) => new ModelFormatException($"The token (HF_TOKEN) may not read '{address.Repository}' on {endpoint.Host}."),
            _ => null,
        };
    }

    private async Task<(JsonElement Json, Uri? Next)> JsonAsync(Uri address, Func<HttpResponseMessage, Exception?> refuse,
        CancellationToken cancellationToken)
    {
        (var content, var headers) = await downloads.GetAsync(address, LongestAnswer, refuse, cancellationToken);
        try
        {
            using var document = JsonDocument.Parse(content);
            var link = headers.TryGetValues("Link", out var links) && Next().Match(string.Join(", ", links)) is { Success: true } match
                && Uri.TryCreate(address, match.Groups[1].Value, out var next) && next.Host == address.Host ? next : null;
            return (document.RootElement.Clone(), link);
        }
        catch (JsonException exception)
        {
            throw new ModelFormatException($"{address} does not answer as a hub does: {exception.Message}", exception);
        }
    }

    private Uri At(string path) => new($"{endpoint.AbsoluteUri.TrimEnd('/')}/{path}");

    [GeneratedRegex("^[0-9a-f]{40}$")]
    private static partial Regex Commit();

    [GeneratedRegex("<([^>]+)>\\s*;\\s*rel=\"next\"")]
    private static partial Regex Next();
}
